/* server.h: the whole server, wired: node, loops, fronts, ports, admin. main.c starts and stops
 * it. Thread: main. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/config/config.h"

#include <stdbool.h>

struct server;

struct server_options {
	unsigned loops;    /* 0: as the configuration says */
	bool route_remote; /* tests: everything goes encoded, as if to another node */
	bool accept_loss;
	unsigned collect_after; /* seconds (tests); 0: BODY_COLLECT_SECONDS */
};

/* Open everything; no thread runs yet. Says in the log what is wrong. `config` is taken over on
 * success. On 0 *ret owns it: server_close(). */
int server_open(struct config *config, const struct server_options *o, struct server **ret);
/* Run the threads; returns when everything is recovered and the ports accept. */
int server_start(struct server *s);
/* SIGHUP: certificates, log level, limits, authentication. Bad ones change nothing. */
void server_reload(struct server *s, const char *file);
/* Clients are told, what is under way ends, everything is closed. Accepts NULL, leaves NULL. */
void server_close(struct server **s);

#endif
