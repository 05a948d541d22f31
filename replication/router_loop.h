/* router_loop.h: making and ending the routers; for node.c alone. */
#ifndef REPLICATION_ROUTER_LOOP_H
#define REPLICATION_ROUTER_LOOP_H

#include "replication/router.h"

struct node;
struct peer_frame;

struct router *router_new(struct node *n, struct loop *l, void *front);
void router_free(struct router **r);
/* A frame for the front-end side of this loop has come. Thread: the loop's. */
void router_take_frame(struct router *r, struct peer_frame *f);

#endif
