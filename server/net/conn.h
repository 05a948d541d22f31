/* conn.h: one TCP connection: bytes in, bytes out, TLS, compression, moving between loops.
 *
 * A connection belongs to one loop at a time; all calls are made on that loop's thread (asserted)
 * and handlers are called there. The struct conn keeps its address while it moves.
 *
 * Input: conn_input() is what the client said and nobody consumed. on_input() is called when it has
 * grown. What the handler leaves (an incomplete command) is kept, and no more than
 * conn_set_input_max() bytes: at the bound the socket is not read until something is consumed.
 * A handler that is busy calls conn_pause_reading() and looks at conn_input() again by itself when
 * it goes on; conn_resume_reading() calls on_input() (later in the turn, not at once) if there is
 * unconsumed input.
 *
 * Output: append to conn_out(); it leaves in one send at the end of the turn. Above
 * SESSION_OUTPUT_HIGH_BYTES (conn_is_full()) producers pause until on_drained(), which comes once
 * less than SESSION_OUTPUT_LOW_BYTES are left, and the connection reads no more input itself.
 *
 * End: after conn_close() and conn_abort() no handler but on_closed() is called. on_closed() is the
 * last call, exactly once per opened connection, never from inside another conn_ function. An idle
 * connection holds no buffers. */
#ifndef SERVER_NET_CONN_H
#define SERVER_NET_CONN_H

#include "server/net/tls.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"
#include "storage/base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct net;

enum conn_end {
	CONN_END_CLOSED,   /* conn_close() was called and all was sent, or conn_abort() */
	CONN_END_PEER,     /* the peer closed or reset */
	CONN_END_STALLED,  /* the peer read nothing for SESSION_WRITE_STALL_MAX_SECONDS */
	CONN_END_TLS,      /* TLS failed */
	CONN_END_COMPRESS, /* the peer's deflate stream is broken */
	CONN_END_ERROR,    /* the socket failed otherwise */
	CONN_END_STOPPING, /* the loop ends */
};
/* "closed", "peer", ... for logs. */
const char *conn_end_name(enum conn_end why);

/* NULL where nothing needs to be done. */
struct conn_handler {
	/* The client is there (on a TLS port: the handshake is done). conn_data() is what the
	 * listener was given; make the session, conn_set_data() it, write the greeting. */
	void (*on_open)(struct conn *c);
	void (*on_input)(struct conn *c);
	/* The peer will send no more (it may still read): finish what it asked for, then
	 * conn_close(). conn_input() may hold a rest. NULL: conn_close() at once. */
	void (*on_eof)(struct conn *c);
	/* The handshake of conn_start_tls() is done. */
	void (*on_tls)(struct conn *c);
	void (*on_drained)(struct conn *c);
	/* The time of conn_set_deadline() is over. The deadline is cleared. */
	void (*on_deadline)(struct conn *c);
	/* On the new loop, the first call there. on_input() follows if there is input. */
	void (*on_moved)(struct conn *c);
	/* Free the session. Not called if on_open() was not. `c` goes away when it returns. */
	void (*on_closed)(struct conn *c, enum conn_end why);
};

/* Take over a connected non-blocking socket (tests; listener.c does it by itself). From now on
 * the connection owns `fd`. `tls` not NULL: the handshake comes first. Limits do not apply. */
struct conn *conn_open(struct loop *l, int fd, const struct conn_handler *handler, void *data,
		       struct tls *tls);

void conn_set_handler(struct conn *c, const struct conn_handler *handler);
void conn_set_data(struct conn *c, void *data);
void *conn_data(const struct conn *c);
struct loop *conn_loop(const struct conn *c);

/* ---- input ---- */

/* The bytes stay where they are, also consumed ones, until the callback (or whatever the loop
 * called) returns. May be asked for at any time, not only in on_input(). */
struct span conn_input(const struct conn *c);
void conn_consume(struct conn *c, size_t n);
/* Default CONN_INPUT_MAX_BYTES. Set it as low as the state allows. */
void conn_set_input_max(struct conn *c, size_t bytes);
/* Unconsumed input is at its maximum: the handler must consume, or end the connection. */
bool conn_input_is_full(const struct conn *c);
bool conn_input_ended(const struct conn *c); /* on_eof() was or is about to be called */
/* While paused on_input() and on_eof() are not called and the socket is not read. */
void conn_pause_reading(struct conn *c);
void conn_resume_reading(struct conn *c);

/* ---- output ---- */

/* Append only. The pointer is good until the callback returns. */
struct buf *conn_out(struct conn *c);
/* Not yet taken by the kernel. */
size_t conn_out_bytes(const struct conn *c);
/* Above the high mark: pause and wait for on_drained(). */
bool conn_is_full(struct conn *c);
/* Do not wait for the end of the turn (long work follows). */
void conn_flush(struct conn *c);

/* ---- end ---- */

/* Send what is there, then close in peace. Input is read no more. */
void conn_close(struct conn *c);
/* Close at once; unsent output is lost. `why` is what on_closed() is told. */
void conn_abort(struct conn *c, enum conn_end why);
bool conn_is_closing(const struct conn *c);

/* on_deadline() in `after_ms` (within a second); 0: never. Setting it anew is cheap. */
void conn_set_deadline(struct conn *c, uint64_t after_ms);

/* ---- changing what the connection is ---- */

/* STARTTLS: what is in conn_out() goes out in plain, what was sent before the handshake is thrown
 * away (RFC 3501 6.2.1, CVE-2011-0411), then on_tls(). A failed handshake ends the connection. */
void conn_start_tls(struct conn *c, struct tls *tls);
/* COMPRESS=DEFLATE (RFC 4978): what is in conn_out() goes out as it is, what comes after it is
 * compressed, both ways; conn_input() that is not consumed is taken as compressed. */
void conn_start_compress(struct conn *c);
bool conn_is_compressed(const struct conn *c);

/* Go to another loop, with input, output, TLS, compression and conn_data(). From this call until
 * on_moved() (on `to`'s thread) nobody may touch the connection, and what conn_data() points to
 * goes along. No byte is lost. The deadline goes along. Not for a connection that is closing.
 * on_closed() may come instead of on_moved() (on `to`'s thread). To the own loop: on_moved() comes
 * later in the turn. */
void conn_move(struct conn *c, struct loop *to);

/* ---- facts ---- */

enum { CONN_ADDRESS_BYTES = 64 };
/* "192.0.2.1:1234" or "[2001:db8::1]:1234", "unknown" if there is none. */
const char *conn_peer(const struct conn *c, char text[static CONN_ADDRESS_BYTES]);
/* The address alone, as authentication delays want it. */
const char *conn_peer_address(const struct conn *c, char text[static CONN_ADDRESS_BYTES]);
bool conn_is_loopback(const struct conn *c); /* 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104 */
bool conn_is_tls(const struct conn *c);      /* the handshake is done */
/* NULL without TLS. For tls_stream_version(), _identity(), _binding(). */
const struct tls_stream *conn_tls(const struct conn *c);

#endif
