/* conn.c: the life of a connection: opening, events of its socket, alarms, moving, the end. What
 * flows through it is in conn_input.c and conn_output.c; the invariants are in conn_private.h.
 *
 * The socket is polled (uv_poll_t) and read and written by ourselves: that is one recv and one send
 * per turn, into and out of buffers that several connections share, and it lets a connection change
 * its loop, which a uv_tcp_t cannot. */
#include "server/net/conn.h"

#include "server/net/conn_private.h"
#include "storage/base/logfmt.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn *conn_of(void *data)
{
	struct conn *c = data;

	assert(c != NULL && c->magic == CONN_MAGIC);
	loop_assert_mine(c->loop);
	return c;
}

/* Of a const struct conn, as a handler has it: not on its way to another loop either. */
static void conn_check(const struct conn *c)
{
	assert(c != NULL && c->magic == CONN_MAGIC);
	assert(c->state != CONN_MOVING);
	loop_assert_mine(c->loop);
}

const char *conn_end_name(enum conn_end why)
{
	switch (why) {
	case CONN_END_CLOSED: return "closed";
	case CONN_END_PEER: return "peer";
	case CONN_END_STALLED: return "stalled";
	case CONN_END_TLS: return "tls";
	case CONN_END_COMPRESS: return "compress";
	case CONN_END_ERROR: return "error";
	case CONN_END_STOPPING: return "stopping";
	}
	return "unknown";
}

/* ---- watching the socket ---- */

static void conn_on_poll(uv_poll_t *handle, int status, int events)
{
	struct conn *c = conn_of(handle->data);

	if (status < 0) { /* an error is pending; libuv has stopped the handle */
		c->watched = 0;
		conn_abort(c, CONN_END_PEER);
		return;
	}
	if ((events & UV_WRITABLE) != 0)
		conn_on_writable(c);
	if ((events & UV_READABLE) != 0)
		conn_on_readable(c);
}

static bool conn_wants_read(const struct conn *c)
{
	if (c->state == CONN_LINGERING)
		return true;
	if (c->state != CONN_OPEN || c->ended)
		return false;
	return conn_in_handshake(c) || (conn_may_read(c) && !conn_holds_input(c)); /* C1 */
}

static int conn_wanted(const struct conn *c)
{
	return (conn_wants_read(c) ? UV_READABLE : 0) | (c->blocked ? UV_WRITABLE : 0);
}

static void conn_arm(struct conn *c, int events)
{
	if (events == c->watched)
		return;
	int rc = events == 0 ? uv_poll_stop(&c->poll)
			     : uv_poll_start(&c->poll, events, conn_on_poll);
	assert(rc == 0);
	c->watched = events;
}

void conn_watch(struct conn *c)
{
	if (c->state != CONN_MOVING && c->state != CONN_DEAD)
		conn_arm(c, c->watched | conn_wanted(c));
}

void conn_watch_exactly(struct conn *c)
{
	if (c->state != CONN_MOVING && c->state != CONN_DEAD)
		conn_arm(c, conn_wanted(c));
}

/* ---- alarms ---- */

static void conn_on_deadline(struct loop_alarm *a)
{
	struct conn *c = conn_of((char *)a - offsetof(struct conn, deadline));

	if (c->state == CONN_MOVING)
		loop_alarm_set(c->loop, a, 0, conn_on_deadline); /* it comes along */
	else if (c->state == CONN_OPEN && c->handler->on_deadline != NULL)
		c->handler->on_deadline(c);
}

static void conn_on_watchdog(struct loop_alarm *a)
{
	struct conn *c = conn_of((char *)a - offsetof(struct conn, watchdog));

	if (c->state == CONN_MOVING) {
		loop_alarm_set(c->loop, a, 0, conn_on_watchdog);
	} else if (conn_in_handshake(c)) {
		atomic_fetch_add(&c->nl->net->handshake_failures, 1);
		conn_abort(c, CONN_END_TLS);
	} else if (c->state == CONN_LINGERING) {
		conn_abort(c, CONN_END_CLOSED);
	} else {
		atomic_fetch_add(&c->nl->net->stalled, 1);
		conn_abort(c, CONN_END_STALLED);
	}
}

void conn_set_watchdog(struct conn *c, uint64_t after_ms)
{
	if (after_ms == 0)
		loop_alarm_clear(c->loop, &c->watchdog);
	else
		loop_alarm_set(c->loop, &c->watchdog, after_ms, conn_on_watchdog);
}

void conn_set_deadline(struct conn *c, uint64_t after_ms)
{
	conn_check(c);
	if (after_ms == 0 || c->state != CONN_OPEN)
		loop_alarm_clear(c->loop, &c->deadline);
	else
		loop_alarm_set(c->loop, &c->deadline, after_ms, conn_on_deadline);
}

/* ---- opening ---- */

static void conn_poll_init(struct conn *c)
{
	int rc = uv_poll_init(loop_uv(c->loop), &c->poll, c->fd);

	assert(rc == 0); /* a socket of ours, polled nowhere else */
	c->poll.data = c;
	c->watched = 0;
	conn_link_put(&c->nl->conns, &c->in_all);
}

static void conn_begin_handshake(struct conn *c, struct tls *tls)
{
	c->tls = tls_stream_new(tls);
	conn_set_watchdog(c, atomic_load(&c->nl->net->handshake_ms));
	conn_watch(c);
}

struct conn *conn_accept(struct loop *l, int fd, const union net_address *from,
			 const struct conn_handler *handler, void *data, struct tls *tls)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->magic = CONN_MAGIC;
	c->loop = l;
	c->nl = net_loop_of(l);
	c->fd = fd;
	c->peer = *from;
	c->handler = handler;
	c->data = data;
	c->input_max = CONN_INPUT_MAX_BYTES;
	c->in_all.conn = c->in_flush.conn = c->in_pump.conn = c;
	conn_poll_init(c);
	if (tls != NULL)
		conn_begin_handshake(c, tls);
	else
		conn_pump_later(c); /* calls on_open() */
	return c;
}

struct conn *conn_open(struct loop *l, int fd, const struct conn_handler *handler, void *data,
		       struct tls *tls)
{
	union net_address from = { 0 };
	socklen_t bytes = sizeof(from);

	if (getpeername(fd, &from.any, &bytes) != 0)
		from.family = AF_UNSPEC;
	return conn_accept(l, fd, &from, handler, data, tls);
}

/* ---- what it is ---- */

void conn_set_handler(struct conn *c, const struct conn_handler *handler)
{
	conn_check(c);
	c->handler = handler;
}

void conn_set_data(struct conn *c, void *data)
{
	conn_check(c);
	c->data = data;
}

void *conn_data(const struct conn *c)
{
	conn_check(c);
	return c->data;
}

struct loop *conn_loop(const struct conn *c)
{
	return c->loop;
}

bool conn_is_closing(const struct conn *c)
{
	return c->state != CONN_OPEN;
}

const char *conn_peer_address(const struct conn *c, char text[static CONN_ADDRESS_BYTES])
{
	const void *at = c->peer.family == AF_INET ? (const void *)&c->peer.v4.sin_addr
						   : (const void *)&c->peer.v6.sin6_addr;

	if (c->peer.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&c->peer.v6.sin6_addr))
		return inet_ntop(AF_INET, c->peer.v6.sin6_addr.s6_addr + 12, text,
				 CONN_ADDRESS_BYTES);
	if ((c->peer.family != AF_INET && c->peer.family != AF_INET6) ||
	    inet_ntop(c->peer.family, at, text, CONN_ADDRESS_BYTES) == NULL)
		(void)snprintf(text, CONN_ADDRESS_BYTES, "unknown");
	return text;
}

const char *conn_peer(const struct conn *c, char text[static CONN_ADDRESS_BYTES])
{
	char address[CONN_ADDRESS_BYTES];
	unsigned port =
		ntohs(c->peer.family == AF_INET ? c->peer.v4.sin_port : c->peer.v6.sin6_port);

	conn_peer_address(c, address);
	if (c->peer.family != AF_INET && c->peer.family != AF_INET6)
		(void)snprintf(text, CONN_ADDRESS_BYTES, "unknown");
	else if (strchr(address, ':') != NULL)
		(void)snprintf(text, CONN_ADDRESS_BYTES, "[%.45s]:%u", address, port);
	else
		(void)snprintf(text, CONN_ADDRESS_BYTES, "%.45s:%u", address, port);
	return text;
}

bool conn_is_loopback(const struct conn *c)
{
	const struct in6_addr *v6 = &c->peer.v6.sin6_addr;

	if (c->peer.family == AF_INET)
		return ntohl(c->peer.v4.sin_addr.s_addr) >> 24 == 127;
	return c->peer.family == AF_INET6 &&
	       (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}

bool conn_is_tls(const struct conn *c)
{
	return c->tls_up;
}

const struct tls_stream *conn_tls(const struct conn *c)
{
	return c->tls_up ? c->tls : NULL;
}

bool conn_is_compressed(const struct conn *c)
{
	return c->z != NULL;
}

/* ---- changing what it is ---- */

void conn_start_tls(struct conn *c, struct tls *tls)
{
	conn_check(c);
	if (c->state != CONN_OPEN)
		return;
	assert(c->tls == NULL && c->z == NULL);
	buf_put(&c->wire_out, c->out.at + c->out_sent, c->out.bytes - c->out_sent); /* C4 */
	c->out_sent = 0;
	net_buf_give(c->nl, &c->out);
	conn_flush_later(c);
	/* What was said in plain before the handshake may be an attacker's (CVE-2011-0411). */
	c->input = c->wire_in = (struct span){ 0 };
	c->poked = false;
	conn_begin_handshake(c, tls);
}

void conn_start_compress(struct conn *c)
{
	struct span plain = span_of(c->out.at + c->out_sent, c->out.bytes - c->out_sent);

	conn_check(c);
	if (c->state != CONN_OPEN)
		return;
	assert(c->z == NULL && !conn_in_handshake(c));
	if (c->tls != NULL && tls_stream_write(c->tls, plain, &c->wire_out) != TLS_OK) {
		conn_abort(c, CONN_END_TLS);
		return;
	}
	if (c->tls == NULL)
		buf_put(&c->wire_out, plain.at, plain.bytes); /* C4 */
	c->out_sent = 0;
	net_buf_give(c->nl, &c->out);
	conn_flush_later(c);

	c->z = compress_new();
	buf_reset(&c->deflated_held);
	buf_put_span(&c->deflated_held, c->input);
	c->input = (struct span){ 0 };
	c->poked = false;
	compress_feed(c->z, buf_span(&c->deflated_held));
	conn_pump_later(c);
}

/* ---- moving ---- */

/* An alarm goes along as its absolute time (CLOCK_BOOTTIME is one for all loops). */
static void alarm_rearm(struct conn *c, struct loop_alarm *a, void (*fn)(struct loop_alarm *a))
{
	uint64_t now = loop_now_ms(c->loop);

	if (a->due_ms != 0)
		loop_alarm_set(c->loop, a, a->due_ms > now ? a->due_ms - now : 0, fn);
}

static void alarm_pack(struct conn *c, struct loop_alarm *a)
{
	if (!loop_alarm_is_set(a))
		a->due_ms = 0;
	loop_alarm_clear(c->loop, a);
}

/* On the new loop. */
static void conn_arrive(struct message *m, void *receiver)
{
	struct conn *c = conn_of((char *)m - offsetof(struct conn, moved));

	assert(c->state == CONN_MOVING && c->loop == receiver);
	c->state = CONN_OPEN;
	conn_poll_init(c);
	alarm_rearm(c, &c->deadline, conn_on_deadline);
	alarm_rearm(c, &c->watchdog, conn_on_watchdog);
	if (c->z != NULL)
		conn_z_used(c);
	c->arrived = true;
	conn_flush_later(c);
	conn_pump(c);
}

static void conn_free(struct conn *c)
{
	if (c->tls_up)
		atomic_fetch_sub(&c->nl->net->tls_connections, 1);
	if (c->admitted)
		net_leave(c->nl->net, &c->peer);
	close(c->fd);
	buf_free(&c->input_held);
	buf_free(&c->wire_held);
	buf_free(&c->deflated_held);
	buf_free(&c->out);
	buf_free(&c->wire_out);
	tls_stream_free(&c->tls);
	compress_free(&c->z);
	c->magic = 0;
	free(c);
}

static void conn_tell_closed(struct conn *c, enum conn_end why)
{
	if (!c->opened)
		return;
	c->opened = false;
	if (c->handler->on_closed != NULL)
		c->handler->on_closed(c, why);
}

/* It was under way when its new loop ended. Thread: who destroys that loop. */
static void conn_lost(struct message *m)
{
	struct conn *c = conn_of((char *)m - offsetof(struct conn, moved));

	c->state = CONN_DEAD;
	conn_tell_closed(c, CONN_END_STOPPING);
	conn_free(c);
}

/* On the old loop, when nothing of libuv refers to the connection any more. */
static void conn_depart(struct conn *c)
{
	struct net *net = c->nl->net;

	conn_link_cut(&c->in_all);
	conn_link_cut(&c->in_flush);
	conn_link_cut(&c->in_pump);
	alarm_pack(c, &c->deadline);
	alarm_pack(c, &c->watchdog);
	if (c->z != NULL)
		loop_alarm_clear(c->loop, &c->z_idle);
	atomic_fetch_add_explicit(&net->moves, 1, memory_order_relaxed);

	c->loop = c->move_to;
	c->nl = &net->loops[loop_index(c->move_to)];
	assert(c->nl->loop == c->move_to);
	c->moved = (struct message){ .deliver = conn_arrive, .drop = conn_lost };
	inbox_force_one(loop_inbox(c->move_to), &c->moved); /* bounded by CONNECTIONS_MAX */
}

static void conn_on_gone(uv_handle_t *handle)
{
	struct conn *c = conn_of(handle->data);

	if (c->state == CONN_MOVING) {
		conn_depart(c);
		return;
	}
	conn_tell_closed(c, c->why);
	conn_link_cut(&c->in_all);
	conn_free(c);
}

void conn_move(struct conn *c, struct loop *to)
{
	conn_check(c);
	assert(c->state == CONN_OPEN && c->opened && !conn_in_handshake(c));
	if (to == c->loop) {
		c->arrived = true;
		conn_pump_later(c);
		return;
	}
	c->state = CONN_MOVING;
	c->move_to = to;
	conn_link_cut(&c->in_pump);
	uv_close((uv_handle_t *)&c->poll, conn_on_gone); /* after this turn's flush */
}

/* ---- the end ---- */

void conn_abort(struct conn *c, enum conn_end why)
{
	conn_check(c);
	if (c->state == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	c->why = why;
	conn_link_cut(&c->in_flush);
	conn_link_cut(&c->in_pump);
	loop_alarm_clear(c->loop, &c->deadline);
	loop_alarm_clear(c->loop, &c->watchdog);
	loop_alarm_clear(c->loop, &c->z_idle);
	uv_close((uv_handle_t *)&c->poll, conn_on_gone);
}

void conn_close(struct conn *c)
{
	conn_check(c);
	if (c->state != CONN_OPEN)
		return;
	if (conn_in_handshake(c)) {
		conn_abort(c, CONN_END_CLOSED);
		return;
	}
	c->state = CONN_CLOSING;
	loop_alarm_clear(c->loop, &c->deadline);
	conn_set_watchdog(c, conn_stall_ms(c));
	conn_flush_later(c);
}

/* All is sent. Closing with unread input would send an RST, which can eat what the peer has not
 * read yet; so we say that we are done and wait a little for the peer to close. */
void conn_finish(struct conn *c)
{
	assert(c->state == CONN_CLOSING);
	c->state = CONN_LINGERING;
	conn_tell_closed(c, CONN_END_CLOSED);
	conn_drop_input(c);
	if (c->ended || shutdown(c->fd, SHUT_WR) != 0) {
		conn_abort(c, CONN_END_CLOSED);
		return;
	}
	conn_set_watchdog(c, CONN_LINGER_SECONDS * UINT64_C(1000));
	conn_watch(c);
}

/* A last attempt to send what is there; nobody waits for it. */
void conn_stop_all(struct loop *l, void *data)
{
	struct net_loop *nl = data;

	assert(nl->loop == l);
	for (struct conn_link *at = nl->conns; at != NULL; at = at->next) {
		struct conn *c = at->conn;

		if (c->state == CONN_MOVING)
			continue; /* its new loop has it soon */
		if (c->state == CONN_OPEN || c->state == CONN_CLOSING)
			conn_send(c);
		conn_abort(c, CONN_END_STOPPING);
	}
	loop_undefer(l, &nl->pump_later);
}
