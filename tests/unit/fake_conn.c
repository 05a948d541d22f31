#include "tests/unit/fake_conn.h"

#include <assert.h>
#include <glib.h>

struct conn {
	struct loop *loop;
	const struct conn_handler *handler;
	void *data;
	struct buf in, out, taken;
	size_t in_max;
	uint64_t deadline_ms;
	bool paused, full, ended, closed, dead, tls, compressed;
	struct loop *to;
};

struct conn *fake_conn_open(struct loop *l, const struct conn_handler *h, void *data)
{
	struct conn *c = g_new0(struct conn, 1);

	c->loop = l;
	c->handler = h;
	c->data = data;
	c->in_max = 320 * 1024;
	h->on_open(c);
	return c;
}

void fake_conn_send(struct conn *c, struct span bytes)
{
	buf_put_span(&c->in, bytes);
	if (!c->paused && !c->closed && c->to == NULL && !c->dead)
		c->handler->on_input(c);
}

void fake_conn_eof(struct conn *c)
{
	c->ended = true;
	if (!c->closed)
		c->handler->on_eof(c);
}

const char *fake_conn_take(struct conn *c)
{
	buf_reset(&c->taken);
	buf_put_span(&c->taken, buf_span(&c->out));
	buf_putc(&c->taken, '\0');
	buf_reset(&c->out);
	return c->taken.at;
}

bool fake_conn_is_closed(const struct conn *c)
{
	return c->closed;
}

bool fake_conn_is_paused(const struct conn *c)
{
	return c->paused;
}

void fake_conn_set_full(struct conn *c, bool full)
{
	c->full = full;
	if (!full && !c->dead)
		c->handler->on_drained(c);
}

void fake_conn_deadline(struct conn *c)
{
	c->deadline_ms = 0;
	c->handler->on_deadline(c);
}

uint64_t fake_conn_deadline_ms(const struct conn *c)
{
	return c->deadline_ms;
}

void fake_conn_die(struct conn *c)
{
	if (c->dead)
		return;
	c->dead = c->closed = true;
	if (c->to != NULL)
		c->loop = c->to;
	c->handler->on_closed(c, CONN_END_PEER);
}

void fake_conn_free(struct conn *c)
{
	fake_conn_die(c);
	buf_free(&c->in);
	buf_free(&c->out);
	buf_free(&c->taken);
	g_free(c);
}

bool fake_conn_is_moving(const struct conn *c)
{
	return c->to != NULL;
}

void fake_conn_arrive(struct conn *c)
{
	assert(c->to != NULL);
	c->loop = c->to;
	c->to = NULL;
	c->handler->on_moved(c);
	if (c->in.bytes > 0 && !c->closed && !c->paused)
		c->handler->on_input(c);
}

/* ---- conn.h ---- */

const char *conn_end_name(enum conn_end why)
{
	(void)why;
	return "end";
}

void conn_set_data(struct conn *c, void *data)
{
	c->data = data;
}

void *conn_data(const struct conn *c)
{
	return c->data;
}

struct loop *conn_loop(const struct conn *c)
{
	return c->loop;
}

struct span conn_input(const struct conn *c)
{
	assert(c->to == NULL);
	return buf_span(&c->in);
}

void conn_consume(struct conn *c, size_t n)
{
	buf_drop_front(&c->in, n);
}

void conn_set_input_max(struct conn *c, size_t bytes)
{
	c->in_max = bytes;
}

bool conn_input_is_full(const struct conn *c)
{
	return c->in.bytes >= c->in_max;
}

bool conn_input_ended(const struct conn *c)
{
	return c->ended;
}

void conn_pause_reading(struct conn *c)
{
	c->paused = true;
}

void conn_resume_reading(struct conn *c)
{
	c->paused = false;
}

struct buf *conn_out(struct conn *c)
{
	assert(c->to == NULL && !c->dead);
	return &c->out;
}

size_t conn_out_bytes(const struct conn *c)
{
	return c->out.bytes;
}

bool conn_is_full(struct conn *c)
{
	return c->full;
}

void conn_flush(struct conn *c)
{
	(void)c;
}

void conn_close(struct conn *c)
{
	c->closed = true;
}

void conn_abort(struct conn *c, enum conn_end why)
{
	(void)why;
	c->closed = true;
}

bool conn_is_closing(const struct conn *c)
{
	return c->closed;
}

void conn_set_deadline(struct conn *c, uint64_t after_ms)
{
	assert(c->to == NULL);
	c->deadline_ms = after_ms;
}

void conn_start_tls(struct conn *c, struct tls *tls)
{
	(void)tls;
	buf_reset(&c->in);
	c->tls = true;
	buf_puts(&c->out, "<TLS>");
}

void conn_start_compress(struct conn *c)
{
	c->compressed = true;
	buf_puts(&c->out, "<DEFLATE>");
}

bool conn_is_compressed(const struct conn *c)
{
	return c->compressed;
}

void conn_move(struct conn *c, struct loop *to)
{
	c->to = to;
}

const char *conn_peer(const struct conn *c, char text[static CONN_ADDRESS_BYTES])
{
	(void)c;
	return strcpy(text, "192.0.2.1:7");
}

const char *conn_peer_address(const struct conn *c, char text[static CONN_ADDRESS_BYTES])
{
	(void)c;
	return strcpy(text, "192.0.2.1");
}

bool conn_is_loopback(const struct conn *c)
{
	(void)c;
	return true;
}

bool conn_is_tls(const struct conn *c)
{
	return c->tls;
}

const struct tls_stream *conn_tls(const struct conn *c)
{
	(void)c;
	return NULL;
}
