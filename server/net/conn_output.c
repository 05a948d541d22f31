/* conn_output.c: from the handler to the socket, through deflate and TLS: once per turn, in the
 * loop's flush phase, and whenever a full socket takes more again. */
#include "server/net/conn_private.h"
#include "storage/base/crash_point.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

static size_t conn_out_left(const struct conn *c)
{
	return c->out.bytes - c->out_sent;
}

static size_t conn_wire_left(const struct conn *c)
{
	return c->wire_out.bytes - c->wire_sent;
}

size_t conn_out_bytes(const struct conn *c)
{
	return conn_out_left(c) + conn_wire_left(c);
}

static void conn_on_z_idle(struct loop_alarm *a)
{
	struct conn *c = conn_of((char *)a - offsetof(struct conn, z_idle));

	if (conn_out_left(c) == 0) /* the last slice ended on a byte boundary */
		compress_rest(c->z);
}

void conn_z_used(struct conn *c)
{
	loop_alarm_set(c->loop, &c->z_idle, CONN_DEFLATE_IDLE_SECONDS * UINT64_C(1000),
		       conn_on_z_idle);
}

/* Take a slice of `out` through the stages into wire_out, which is empty (C4). False: it cannot. */
static bool conn_fill_wire(struct conn *c)
{
	struct buf *deflated = c->tls != NULL ? &c->nl->deflated : &c->wire_out;
	size_t n = conn_out_left(c);
	bool last = n <= CONN_WIRE_SLICE_BYTES;

	if (n == 0 || conn_in_handshake(c) || c->state == CONN_DEAD)
		return false;
	if (!last)
		n = CONN_WIRE_SLICE_BYTES;
	if (c->wire_out.at == NULL)
		net_buf_take(c->nl, &c->wire_out);
	struct span plain = span_of(c->out.at + c->out_sent, n);
	if (c->z != NULL) {
		compress_write(c->z, plain, last, deflated);
		conn_z_used(c);
		plain = buf_span(deflated);
	}
	if (c->tls != NULL && tls_stream_write(c->tls, plain, &c->wire_out) != TLS_OK)
		conn_abort(c, CONN_END_TLS);
	buf_reset(&c->nl->deflated);
	c->out_sent += n;
	return true;
}

/* The bytes that the kernel gets next. */
static struct span conn_next(struct conn *c)
{
	if (conn_wire_left(c) == 0) {
		c->wire_out.bytes = 0;
		c->wire_sent = 0;
		if (c->tls == NULL && c->z == NULL)
			return span_of(c->out.at + c->out_sent, conn_out_left(c));
		while (conn_wire_left(c) == 0 && conn_out_left(c) > 0 && conn_fill_wire(c))
			; /* deflate may keep a whole slice to itself */
	}
	return span_of(c->wire_out.at + c->wire_sent, conn_wire_left(c));
}

static void conn_took(struct conn *c, size_t n)
{
	if (conn_wire_left(c) > 0)
		c->wire_sent += n;
	else
		c->out_sent += n;
	net_count(&c->nl->bytes_out, n);
}

uint64_t conn_stall_ms(const struct conn *c)
{
	uint64_t ms = atomic_load_explicit(&c->nl->net->stall_ms, memory_order_relaxed);

	return c->state == CONN_CLOSING ? ms / 10 + 1 : ms;
}

/* Give back what is empty; watch for a peer that does not read. */
static void conn_settle(struct conn *c, bool progress)
{
	if (conn_out_left(c) == 0) {
		c->out_sent = 0;
		net_buf_give(c->nl, &c->out);
	}
	if (conn_wire_left(c) == 0) {
		c->wire_sent = 0;
		net_buf_give(c->nl, &c->wire_out);
	}
	if (conn_out_bytes(c) > SESSION_OUTPUT_HIGH_BYTES)
		c->full = true;
	if (conn_in_handshake(c))
		return; /* has its own watchdog */
	if (!c->blocked && c->state != CONN_CLOSING)
		conn_set_watchdog(c, 0);
	else if (progress || !loop_alarm_is_set(&c->watchdog))
		conn_set_watchdog(c, conn_stall_ms(c));
}

void conn_send(struct conn *c)
{
	bool progress = false;

	while (!c->blocked) {
		struct span s = conn_next(c);
		if (s.bytes == 0 || c->state == CONN_DEAD)
			break;
		CRASH_POINT("conn.before-send");
		ssize_t n = send(c->fd, s.at, s.bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		CRASH_POINT("conn.sent");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			if (c->state != CONN_MOVING) /* then its next loop meets the error */
				conn_abort(c, CONN_END_PEER);
			return;
		}
		if (n > 0) {
			conn_took(c, (size_t)n);
			progress = true;
		}
		c->blocked = n < 0 || (size_t)n < s.bytes;
	}
	if (c->state != CONN_DEAD)
		conn_settle(c, progress);
}

/* ---- after sending: what the handler waits for ---- */

static bool conn_say_goodbye(struct conn *c)
{
	if (conn_out_bytes(c) > 0)
		return false;
	if (c->tls_up && !c->tls_told) {
		c->tls_told = true;
		tls_stream_close(c->tls, &c->wire_out);
		conn_send(c);
	}
	return c->state == CONN_CLOSING && conn_out_bytes(c) == 0;
}

static void conn_after_send(struct conn *c)
{
	if (c->state == CONN_CLOSING && conn_say_goodbye(c)) {
		conn_finish(c);
		return;
	}
	if (c->state == CONN_OPEN && c->full && conn_out_bytes(c) <= SESSION_OUTPUT_LOW_BYTES) {
		c->full = false;
		conn_pump_later(c);
		if (c->handler->on_drained != NULL)
			c->handler->on_drained(c);
	}
	conn_watch(c);
}

void conn_on_writable(struct conn *c)
{
	bool was_blocked = c->blocked;

	if (c->state == CONN_DEAD || c->state == CONN_MOVING)
		return;
	c->blocked = false;
	conn_send(c);
	conn_after_send(c);
	if (!was_blocked || !c->blocked)
		conn_watch_exactly(c);
}

void conn_flush_phase(struct loop *l, void *data)
{
	struct net_loop *nl = data;
	struct conn_link *now;

	assert(nl->loop == l);
	conn_link_move(&nl->flush, &now);
	while (now != NULL) {
		struct conn *c = now->conn;

		conn_link_cut(&c->in_flush);
		conn_send(c);
		conn_after_send(c);
	}
}

void conn_flush_later(struct conn *c)
{
	if (c->state == CONN_DEAD || c->state == CONN_LINGERING)
		return;
	conn_link_put(&c->nl->flush, &c->in_flush);
	loop_mark(c->loop, LOOP_FLUSH);
}

/* ---- what handlers call ---- */

struct buf *conn_out(struct conn *c)
{
	assert(c->state != CONN_MOVING);
	if (c->out.at == NULL)
		net_buf_take(c->nl, &c->out);
	if (c->out_sent > 0) {
		buf_drop_front(&c->out, c->out_sent);
		c->out_sent = 0;
	}
	conn_flush_later(c);
	return &c->out;
}

bool conn_is_full(struct conn *c)
{
	if (conn_out_bytes(c) > SESSION_OUTPUT_HIGH_BYTES && c->state == CONN_OPEN) {
		c->full = true;
		conn_flush_later(c);
	}
	return c->full;
}

void conn_flush(struct conn *c)
{
	if (c->state != CONN_OPEN && c->state != CONN_CLOSING)
		return;
	conn_send(c);
	conn_flush_later(c); /* for what may be owed to the handler */
}
