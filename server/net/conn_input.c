/* conn_input.c: from the socket to the handler, through TLS and inflate, and no further than the
 * handler wants. */
#include "server/net/conn_private.h"
#include "storage/base/logfmt.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

enum pull { PULL_SOME, PULL_NONE, PULL_BROKEN };

bool conn_may_read(const struct conn *c)
{
	return c->state == CONN_OPEN && c->opened && !c->arrived && !conn_in_handshake(c) &&
	       !c->paused && !c->full && c->input.bytes < c->input_max;
}

static struct span conn_wire_in(const struct conn *c)
{
	return c->tls != NULL ? tls_stream_left(c->tls) : c->wire_in;
}

static void conn_feed_wire(struct conn *c, struct span s)
{
	if (c->tls != NULL)
		tls_stream_feed(c->tls, s);
	else
		c->wire_in = s;
}

bool conn_holds_input(const struct conn *c)
{
	if (c->z != NULL && compress_has_ended(c->z))
		return false;
	return conn_wire_in(c).bytes > 0 || (c->z != NULL && compress_pending(c->z)) ||
	       (c->tls_up && tls_stream_pending(c->tls));
}

/* ---- the stages ---- */

static enum pull conn_pull_wire(struct conn *c, struct span *ret)
{
	if (c->wire_in.bytes == 0)
		return PULL_NONE;
	*ret = c->wire_in;
	c->wire_in = (struct span){ 0 };
	return PULL_SOME;
}

static enum pull conn_pull_tls(struct conn *c, struct span *ret)
{
	size_t before = c->wire_out.bytes;
	size_t n = 0;
	enum tls_step step =
		tls_stream_read(c->tls, c->nl->plain_at, CONN_READ_BYTES, &n, &c->wire_out);

	if (c->wire_out.bytes != before)
		conn_flush_later(c); /* an alert, or an answer to a key update */
	switch (step) {
	case TLS_OK: *ret = span_of(c->nl->plain_at, n); return PULL_SOME;
	case TLS_MORE: return PULL_NONE;
	case TLS_EOF:
		c->ended = true;
		tls_stream_feed(c->tls, (struct span){ 0 });
		return PULL_NONE;
	case TLS_BAD: break;
	}
	c->why = CONN_END_TLS;
	return PULL_BROKEN;
}

static enum pull conn_pull_clear(struct conn *c, struct span *ret)
{
	return c->tls != NULL ? conn_pull_tls(c, ret) : conn_pull_wire(c, ret);
}

static enum pull conn_pull_inflated(struct conn *c, struct span *ret)
{
	for (;;) {
		struct span deflated;
		size_t n = 0;

		switch (compress_read(c->z, c->nl->inflated_at, CONN_READ_BYTES, &n)) {
		case COMPRESS_OK: *ret = span_of(c->nl->inflated_at, n); return PULL_SOME;
		case COMPRESS_END: c->ended = true; return PULL_NONE;
		case COMPRESS_BAD: c->why = CONN_END_COMPRESS; return PULL_BROKEN;
		case COMPRESS_MORE: break;
		}
		enum pull pull = conn_pull_clear(c, &deflated);
		if (pull != PULL_SOME)
			return pull;
		compress_feed(c->z, deflated);
	}
}

/* ---- keeping what nobody took (C2) ---- */

static bool buf_holds(const struct buf *b, struct span s)
{
	return s.bytes > 0 && b->at != NULL && s.at >= b->at && s.at < b->at + b->capacity;
}

static struct span span_keep(struct span s, struct buf *held)
{
	if (s.bytes == 0) {
		buf_free(held);
		return (struct span){ 0 };
	}
	if (buf_holds(held, s))
		return s;
	buf_reset(held);
	buf_put_span(held, s);
	return buf_span(held);
}

static void conn_keep_input(struct conn *c)
{
	c->input = span_keep(c->input, &c->input_held);
	conn_feed_wire(c, span_keep(conn_wire_in(c), &c->wire_held));
	if (c->z != NULL)
		compress_feed(c->z, span_keep(compress_left(c->z), &c->deflated_held));
}

void conn_drop_input(struct conn *c)
{
	c->input = (struct span){ 0 };
	conn_feed_wire(c, (struct span){ 0 });
	if (c->z != NULL)
		compress_feed(c->z, (struct span){ 0 });
	conn_keep_input(c);
}

/* ---- the pump ---- */

/* Put `s` behind what is there already. */
static void conn_add_input(struct conn *c, struct span s)
{
	if (c->input.bytes == 0) {
		c->input = s;
		return;
	}
	c->input = span_keep(c->input, &c->input_held);
	buf_drop_front(&c->input_held, (size_t)(c->input.at - c->input_held.at));
	buf_put_span(&c->input_held, s);
	c->input = buf_span(&c->input_held);
}

static void conn_call_input(struct conn *c)
{
	c->poked = false;
	if (c->handler->on_input != NULL)
		c->handler->on_input(c);
	else
		conn_consume(c, c->input.bytes);
}

static void conn_broken(struct conn *c, enum conn_end why)
{
	conn_send(c); /* the alert that says why */
	if (c->state == CONN_OPEN)
		conn_abort(c, why);
}

static void conn_shake_hands(struct conn *c)
{
	struct net *net = c->nl->net;
	char peer[CONN_ADDRESS_BYTES];
	enum tls_step step = tls_stream_handshake(c->tls, &c->wire_out);

	conn_flush_later(c);
	if (step == TLS_MORE && !c->ended)
		return;
	if (step != TLS_OK) {
		atomic_fetch_add(&net->handshake_failures, 1);
		log_info("tls handshake failed", LOG_STR("peer", conn_peer(c, peer)),
			 LOG_STR("reason", step == TLS_BAD ? tls_stream_error(c->tls) : "closed"),
			 LOG_END);
		conn_broken(c, CONN_END_TLS);
		return;
	}
	atomic_fetch_add(&net->handshakes, 1);
	atomic_fetch_add(&net->tls_connections, 1);
	c->tls_up = true;
	conn_set_watchdog(c, 0);
	if (c->opened && c->handler->on_tls != NULL)
		c->handler->on_tls(c);
}

/* What is owed to the handler before any input. */
static void conn_begin(struct conn *c)
{
	if (c->arrived && c->state == CONN_OPEN) {
		c->arrived = false;
		c->poked = c->input.bytes > 0;
		if (c->handler->on_moved != NULL)
			c->handler->on_moved(c);
	}
	if (c->state == CONN_OPEN && conn_in_handshake(c))
		conn_shake_hands(c);
	if (c->state == CONN_OPEN && !c->opened && !conn_in_handshake(c)) {
		c->opened = true;
		if (c->handler->on_open != NULL)
			c->handler->on_open(c);
	}
}

static void conn_deliver(struct conn *c)
{
	size_t budget = CONN_PUMP_MAX_BYTES;
	struct span s = { 0 };

	if (c->poked && c->input.bytes > 0 && conn_may_read(c))
		conn_call_input(c);
	while (conn_may_read(c)) {
		if (s.bytes >= budget) {
			conn_pump_later(c); /* a bomb, or a lot of mail: let the others in */
			return;
		}
		budget -= s.bytes;
		enum pull pull = c->z != NULL ? conn_pull_inflated(c, &s) : conn_pull_clear(c, &s);
		if (pull == PULL_BROKEN)
			conn_broken(c, c->why);
		if (pull != PULL_SOME)
			return;
		conn_add_input(c, s);
		conn_call_input(c);
		c->input = span_keep(c->input, &c->input_held); /* `s` is overwritten next */
	}
}

static void conn_tell_ended(struct conn *c)
{
	if (!c->ended || c->ended_told || c->state != CONN_OPEN || !c->opened || c->arrived ||
	    c->paused || c->full || conn_holds_input(c))
		return;
	c->ended_told = true;
	if (c->handler->on_eof != NULL)
		c->handler->on_eof(c);
	else
		conn_close(c);
}

void conn_pump(struct conn *c)
{
	struct net_loop *nl = c->nl;

	assert(nl->in_hand == NULL);
	nl->in_hand = c;
	conn_link_cut(&c->in_pump);
	conn_begin(c);
	conn_deliver(c);
	conn_keep_input(c);
	conn_tell_ended(c);
	conn_watch(c);
	nl->in_hand = NULL;
}

static void conn_pump_all(struct loop_deferred *d)
{
	struct net_loop *nl =
		(struct net_loop *)(void *)((char *)d - offsetof(struct net_loop, pump_later));
	struct conn_link *now;

	conn_link_move(&nl->pump, &now);
	while (now != NULL)
		conn_pump(now->conn); /* takes it off the list */
}

void conn_pump_later(struct conn *c)
{
	if (c->state != CONN_OPEN)
		return;
	conn_link_put(&c->nl->pump, &c->in_pump);
	loop_defer(c->loop, &c->nl->pump_later, conn_pump_all);
}

/* ---- the socket ---- */

/* What the peer says after we said goodbye. */
static void conn_linger(struct conn *c, ssize_t n)
{
	if (n > 0)
		c->lingered_bytes += (size_t)n;
	if (n == 0 || c->lingered_bytes > CONN_LINGER_MAX_BYTES)
		conn_abort(c, CONN_END_CLOSED);
}

void conn_on_readable(struct conn *c)
{
	bool linger = c->state == CONN_LINGERING;

	if (c->state == CONN_DEAD || c->state == CONN_MOVING)
		return;
	if (!linger &&
	    ((!conn_may_read(c) && !conn_in_handshake(c)) || c->ended || conn_holds_input(c))) {
		conn_watch_exactly(c); /* it was left armed, and now it fires */
		return;
	}
	ssize_t n = recv(c->fd, c->nl->read_at, CONN_READ_BYTES, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_abort(c, CONN_END_PEER);
		return;
	}
	net_count(&c->nl->bytes_in, (uint64_t)n);
	if (linger) {
		conn_linger(c, n);
		return;
	}
	if (n == 0)
		c->ended = true;
	conn_feed_wire(c, span_of(c->nl->read_at, (size_t)n));
	conn_pump(c);
}

/* ---- what handlers call ---- */

struct span conn_input(const struct conn *c)
{
	return c->state == CONN_OPEN ? c->input : (struct span){ 0 };
}

void conn_consume(struct conn *c, size_t n)
{
	bool was_full = c->input.bytes >= c->input_max;

	if (c->state != CONN_OPEN)
		return;
	assert(n <= c->input.bytes);
	c->input = span_of(c->input.at + n, c->input.bytes - n);
	if (c->nl->in_hand != c && (was_full || c->input.bytes == 0))
		conn_pump_later(c); /* reads on; frees the buffer */
}

void conn_set_input_max(struct conn *c, size_t bytes)
{
	assert(bytes > 0);
	c->input_max = bytes;
	if (c->nl->in_hand != c)
		conn_pump_later(c);
}

bool conn_input_is_full(const struct conn *c)
{
	return c->input.bytes >= c->input_max;
}

bool conn_input_ended(const struct conn *c)
{
	return c->ended;
}

void conn_pause_reading(struct conn *c)
{
	c->paused = true; /* the socket stays armed until it fires: mostly we go on before */
}

void conn_resume_reading(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	c->poked = c->input.bytes > 0;
	if (c->poked || c->ended || conn_holds_input(c) || (c->watched & UV_READABLE) == 0)
		conn_pump_later(c);
}
