/* net.h: what all connections of the process share: the loops, the limits and counts. main makes
 * one struct net, attaches every loop to it before they run, then opens listeners. */
#ifndef SERVER_NET_NET_H
#define SERVER_NET_NET_H

#include "storage/base/loop.h"

#include <stddef.h>
#include <stdint.h>

struct net;

/* `loops` is copied and stays valid for net's life. Attaches each loop. On 0 *ret owns it:
 * net_free() after the loops are destroyed. Thread: main. */
int net_create(struct loop *const *loops, size_t count, struct net **ret);
void net_free(struct net **n);

size_t net_loop_count(const struct net *n);               /* thread: any */
struct loop *net_loop(const struct net *n, size_t index); /* thread: any */

/* Connections in all and per address (IPv6: per /64). Thread: any, at any time; connections that
 * are there stay. Default: CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX. */
void net_set_limits(struct net *n, uint64_t connections, uint64_t per_address);

/* How long a handshake may take, and how long a client may read nothing while we have something
 * for it (a tenth of that when we are closing). Thread: any; for what begins afterwards. Default:
 * TLS_HANDSHAKE_MAX_SECONDS, SESSION_WRITE_STALL_MAX_SECONDS. */
void net_set_patience(struct net *n, uint64_t handshake_ms, uint64_t stall_ms);

struct net_figures {
	uint64_t connections;     /* now */
	uint64_t tls_connections; /* now */
	uint64_t accepted;        /* since the start, as all below */
	uint64_t refused;         /* over a limit */
	uint64_t accept_failures; /* no descriptors, no memory */
	uint64_t handshakes;
	uint64_t handshake_failures;
	uint64_t moves; /* from loop to loop */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t stalled; /* closed because the client read nothing */
};
void net_figures(const struct net *n, struct net_figures *ret); /* thread: any */

#endif
