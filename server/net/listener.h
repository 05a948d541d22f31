/* listener.h: ports. Every port is bound and listened on once exclusively, so that a second server
 * on it is an error and not a silent sharer, and only then shared: each loop has its own listening
 * socket (SO_REUSEPORT), so a connection is accepted where it lives first. */
#ifndef SERVER_NET_LISTENER_H
#define SERVER_NET_LISTENER_H

#include "server/net/conn.h"
#include "server/net/net.h"
#include "server/net/tls.h"
#include "storage/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct listener;

struct listener_options {
	const char *address; /* "127.0.0.1", "::1", "0.0.0.0", "::" (both families) */
	uint16_t port;       /* 0: any; listener_port() tells which */
	const struct conn_handler *handler; /* stays valid */
	void *data;                         /* conn_data() at on_open() */
	struct tls *tls;                    /* not NULL: TLS from the first byte */
	const char
		*refusal; /* what a client over the limit is told before it is closed, with its
			   * CRLF: "* BYE [UNAVAILABLE] ..."; not sent on a TLS port; stays valid */
};

/* Bind and listen, on all loops of `net`. 0; ERR_EXISTS: the port is taken; ERR_DENIED: not allowed
 * to (a port below 1024); ERR_BAD_INPUT: not an address of this machine; ERR_IO. Connections are
 * accepted from listener_start() on; until then they wait. Thread: main, before the loops run. */
int listener_open(struct net *net, const struct listener_options *options, struct listener **ret);
uint16_t listener_port(const struct listener *l);
/* Begin to accept. Thread: main; the loops may run or not. */
void listener_start(struct listener *l);
/* Accept no more, close the ports. Connections stay. Thread: any; it happens soon. */
void listener_stop(struct listener *l);
/* After the loops are destroyed. Accepts NULL, leaves NULL. */
void listener_free(struct listener **l);

#endif
