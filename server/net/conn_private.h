/* conn_private.h: a connection's insides, for conn.c (life, events), conn_input.c, conn_output.c
 * and listener.c only.
 *
 *	socket -> wire_in -> [TLS] -> [inflate] -> input -> handler
 *	handler -> out -> [deflate] -> [TLS] -> wire_out -> socket
 *
 * Invariants:
 *   C1  the socket is read only when no stage before the handler holds anything, so what a
 *       connection can hold is bounded by one read, whatever it inflates to.
 *   C2  between callbacks no span points into the loop's scratch buffers: conn_keep_input() has
 *       copied what was left.
 *   C3  handlers are called from the poll callback, the pump, the flush phase, alarms and arrival
 *       only, never from inside a conn_ function that a handler calls.
 *   C4  wire_out is filled only when it is empty, so what was put into it (the answer to STARTTLS
 *or COMPRESS) leaves before anything that is encrypted or compressed after it. */
#ifndef SERVER_NET_CONN_PRIVATE_H
#define SERVER_NET_CONN_PRIVATE_H

#include "server/net/compress.h"
#include "server/net/conn.h"
#include "server/net/net_private.h"

#include <uv.h>

enum { CONN_MAGIC = 0x636f6e6e };

enum conn_state {
	CONN_OPEN,      /* also while a handshake runs */
	CONN_CLOSING,   /* conn_close(): sends what is left */
	CONN_LINGERING, /* our side is shut; what the peer still sends is thrown away */
	CONN_MOVING,    /* not polled; arrives at `move_to` */
	CONN_DEAD,      /* its close callback is on the way */
};

struct conn {
	uint32_t magic;
	enum conn_state state;

	/* Fixed at opening. */
	union net_address peer;
	int fd;
	bool admitted; /* counted in net's limits */

	/* The loop's it is on. */
	struct loop *loop;
	struct net_loop *nl;
	uv_poll_t poll;
	int watched; /* UV_READABLE | UV_WRITABLE as armed */
	struct conn_link in_all;
	struct conn_link in_flush;
	struct conn_link in_pump;
	struct loop_alarm deadline; /* the handler's */
	struct loop_alarm watchdog; /* ours: handshake, stalled output, lingering */
	struct message moved;
	struct loop *move_to;

	const struct conn_handler *handler;
	void *data;
	bool opened;  /* on_open() was called, on_closed() is owed */
	bool arrived; /* on_moved() is owed */
	enum conn_end why;

	/* Input. */
	bool paused;
	bool poked; /* call on_input() although nothing is new */
	bool ended; /* the peer sends no more */
	bool ended_told;
	struct span wire_in;      /* not decrypted yet; with TLS the stream has the span instead */
	struct buf wire_held;     /* where wire_in is kept between callbacks */
	struct buf deflated_held; /* where compress_left() is kept */
	struct span input;        /* unconsumed */
	struct buf input_held;    /* where input is kept */
	size_t input_max;
	size_t lingered_bytes;

	/* Output. */
	bool full;    /* above the high mark, on_drained() is owed */
	bool blocked; /* the kernel takes no more; UV_WRITABLE is armed */
	struct buf out;
	size_t out_sent; /* of `out` */
	struct buf wire_out;
	size_t wire_sent; /* of `wire_out` */

	struct tls_stream *tls;
	bool tls_up;   /* the handshake is done */
	bool tls_told; /* close_notify was put out */
	struct compress *z;
	struct loop_alarm z_idle;
};

struct conn *conn_of(void *data);

static inline bool conn_in_handshake(const struct conn *c)
{
	return c->tls != NULL && !c->tls_up;
}

/* conn.c */

/* Arm what is wanted of the socket. What is not wanted any more stays armed until it fires, since
 * most pauses are over before it does; then conn_watch_exactly(). */
void conn_watch(struct conn *c);
void conn_watch_exactly(struct conn *c);
void conn_set_watchdog(struct conn *c, uint64_t after_ms);
/* A listener's: `from` was admitted and is counted. */
struct conn *conn_accept(struct loop *l, int fd, const union net_address *from,
			 const struct conn_handler *handler, void *data, struct tls *tls);
void conn_finish(struct conn *c); /* all is sent: say so, linger */
void conn_stop_all(struct loop *l, void *data);

/* conn_input.c */
bool conn_may_read(const struct conn *c);    /* the handler takes input now */
bool conn_holds_input(const struct conn *c); /* a stage before the handler has something */
void conn_on_readable(struct conn *c);
void conn_pump(struct conn *c);
void conn_pump_later(struct conn *c);
void conn_drop_input(struct conn *c); /* free and forget all of it */

/* conn_output.c */
void conn_flush_later(struct conn *c);
void conn_flush_phase(struct loop *l, void *data);
void conn_on_writable(struct conn *c);
/* Encrypt, compress and send until the kernel takes no more. Calls no handler. */
void conn_send(struct conn *c);
/* How long the peer may read nothing. */
uint64_t conn_stall_ms(const struct conn *c);
void conn_z_used(struct conn *c); /* its compressor is thrown away after a while without use */

#endif
