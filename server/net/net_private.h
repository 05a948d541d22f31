/* net_private.h: what conn.c, listener.c and net.c share: one struct net for the process, one
 * struct net_loop for each loop. */
#ifndef SERVER_NET_NET_PRIVATE_H
#define SERVER_NET_NET_PRIVATE_H

#include "server/net/net.h"
#include "storage/base/buf.h"
#include "storage/base/limits.h"
#include "storage/base/loop.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct conn;
struct address_count;

union net_address {
	sa_family_t family;
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

enum { ADDRESS_BUCKETS = 4096, NET_BUFS_MAX = 64, NET_BUF_KEEP_BYTES = 64 * 1024 };

/* A place in a list of connections; a list is a pointer to its first link. */
struct conn_link {
	struct conn_link *next;
	struct conn_link **pprev; /* who points here; NULL: in no list */
	struct conn *conn;
};

void conn_link_put(struct conn_link **list, struct conn_link *link); /* no effect if it is in one */
void conn_link_cut(struct conn_link *link);                          /* the same if it is in none */
/* Move the whole list to *to, an empty one. */
void conn_link_move(struct conn_link **list, struct conn_link **to);

/* What one loop's connections share. Owner thread only, but for the counters. */
struct net_loop {
	_Alignas(64) struct net *net; /* loops share no cache line */
	struct loop *loop;
	struct conn_link *conns; /* all */
	struct conn_link *flush; /* have output to send in LOOP_FLUSH */
	struct conn_link *pump;  /* go on with input they hold, later in the turn */
	struct loop_deferred pump_later;
	struct conn *in_hand; /* its input is being handled: the scratch buffers are in use */
	struct buf spare[NET_BUFS_MAX];
	size_t spare_count;
	struct buf deflated; /* scratch: compressed and not yet encrypted */
	char *read_at;       /* scratch, CONN_READ_BYTES each: from the socket, */
	char *plain_at;      /* decrypted, */
	char *inflated_at;   /* decompressed */

	/* Owner writes, anyone reads. */
	_Atomic uint64_t bytes_in;
	_Atomic uint64_t bytes_out;
};

struct net {
	/* Fixed at creation. */
	struct net_loop *loops;
	size_t count;
	uint64_t hash_seed;

	/* Any thread. */
	_Atomic uint64_t connections_max;
	_Atomic uint64_t per_address_max;
	_Atomic uint64_t handshake_ms;
	_Atomic uint64_t stall_ms;
	_Atomic uint64_t connections;
	_Atomic uint64_t tls_connections;
	_Atomic uint64_t accepted;
	_Atomic uint64_t refused;
	_Atomic uint64_t accept_failures;
	_Atomic uint64_t handshakes;
	_Atomic uint64_t handshake_failures;
	_Atomic uint64_t moves;
	_Atomic uint64_t stalled;

	pthread_mutex_t lock; /* of the buckets; held for one look-up */
	struct address_count *buckets[ADDRESS_BUCKETS];
};

struct net_loop *net_loop_of(struct loop *l);

/* May one more come from there? Counts it if so; net_leave() takes it back. Thread: any. */
bool net_admit(struct net *n, const union net_address *from);
void net_leave(struct net *n, const union net_address *from);

/* A buffer with room for a turn's output, from the loop's spare ones; and back. */
void net_buf_take(struct net_loop *nl, struct buf *b);
void net_buf_give(struct net_loop *nl, struct buf *b);

void net_count(_Atomic uint64_t *counter, uint64_t n); /* by one thread only */

#endif
