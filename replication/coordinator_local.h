/* coordinator_local.h: the coordinator of a single node: it is always its own leader, and the
 * version that its log has adopted is the configuration. */
#ifndef REPLICATION_COORDINATOR_LOCAL_H
#define REPLICATION_COORDINATOR_LOCAL_H

#include "replication/coordinator.h"

struct node;

/* Never NULL; close() frees it. */
struct coordinator *coordinator_local_new(struct node *n);

#endif
