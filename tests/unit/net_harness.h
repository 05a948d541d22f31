/* net_harness.h: for the tests of server/net: a server on a few loops that speaks a small language
 * of lines, and a blocking client for it with TLS and compression.
 *
 *	ECHO n\r\n<n bytes>   the bytes come back        FLOOD n     n bytes come, as fast as taken
 *	STARTTLS, COMPRESS    "OK\r\n", then it is on     MOVE i      goes to loop i, then "MOVED
 *i\r\n" WHO                   one line about the connection QUIT                  "BYE\r\n",
 *conn_close()     ABORT       conn_abort() HOLD ms               pauses reading, then "HELD\r\n" at
 *the deadline */
#ifndef TESTS_UNIT_NET_HARNESS_H
#define TESTS_UNIT_NET_HARNESS_H

#include "server/net/conn.h"
#include "server/net/listener.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { SERVER_LOOPS_MAX = 4 };

struct server {
	struct loop *loops[SERVER_LOOPS_MAX];
	size_t count;
	struct net *net;
	struct tls *tls;
	struct listener *plain;
	struct listener *tls_port;
	char dir[64];
	char cert[128];
	char key[128];
	_Atomic uint64_t open;
	_Atomic uint64_t closed;
	_Atomic uint64_t eofs;
	_Atomic int last_end; /* enum conn_end */
	_Atomic size_t out_max_bytes;
	_Atomic size_t in_max_bytes;
};

struct visit {
	struct server *server;
	size_t echo_left;
	size_t flood_left;
	uint64_t flooded;
	char id[16]; /* for WHO */
};

/* ---- the server's handler; its session is a struct visit ---- */

static void visit_work(struct conn *c);

static void max_note(_Atomic size_t *max, size_t n)
{
	size_t before = atomic_load(max);

	while (n > before && !atomic_compare_exchange_weak(max, &before, n))
		;
}

static void visit_on_open(struct conn *c)
{
	struct visit *v = calloc(1, sizeof(*v));

	v->server = conn_data(c);
	conn_set_data(c, v);
	atomic_fetch_add(&v->server->open, 1);
	buf_puts(conn_out(c), "HELLO\r\n");
}

static void visit_flood(struct conn *c, struct visit *v)
{
	while (v->flood_left > 0 && !conn_is_full(c)) {
		char at[4096];
		size_t n = v->flood_left < sizeof(at) ? v->flood_left : sizeof(at);

		for (size_t i = 0; i < n; i++)
			at[i] = (char)('a' + (v->flooded++ % 23));
		buf_put(conn_out(c), at, n);
		v->flood_left -= n;
	}
	max_note(&v->server->out_max_bytes, conn_out_bytes(c));
}

static bool visit_echo(struct conn *c, struct visit *v)
{
	struct span in = conn_input(c);
	size_t n = in.bytes < v->echo_left ? in.bytes : v->echo_left;

	if (n == 0)
		return false;
	buf_put(conn_out(c), in.at, n);
	conn_consume(c, n);
	v->echo_left -= n;
	max_note(&v->server->out_max_bytes, conn_out_bytes(c));
	return true;
}

static void visit_who(struct conn *c)
{
	char peer[CONN_ADDRESS_BYTES];
	const struct tls_stream *tls = conn_tls(c);
	struct buf name = { 0 };

	if (tls != NULL && tls_stream_identity(tls, &name) < 0)
		buf_puts(&name, "nobody");
	buf_printf(conn_out(c), "WHO %s loopback=%d loop=%u tls=%s z=%d name=%.*s\r\n",
		   conn_peer(c, peer), conn_is_loopback(c), loop_index(conn_loop(c)),
		   tls == NULL ? "no" : tls_stream_version(tls), conn_is_compressed(c),
		   (int)name.bytes, name.at == NULL ? "" : name.at);
	buf_free(&name);
}

static void visit_binding(struct conn *c, unsigned kind)
{
	struct buf b = { 0 };

	if (tls_stream_binding(conn_tls(c), (enum tls_binding)kind, &b) < 0)
		buf_puts(conn_out(c), "none");
	for (size_t i = 0; i < b.bytes; i++)
		buf_printf(conn_out(c), "%02x", (unsigned char)b.at[i]);
	buf_puts(conn_out(c), "\r\n");
	buf_free(&b);
}

/* False: stop reading lines for now. */
static bool visit_line(struct conn *c, struct visit *v, const char *line)
{
	struct server *s = v->server;
	unsigned long n = strtoul(line + strcspn(line, " "), NULL, 10);

	if (strncmp(line, "ECHO ", 5) == 0) {
		v->echo_left = n;
	} else if (strncmp(line, "FLOOD ", 6) == 0) {
		v->flood_left = n;
	} else if (strcmp(line, "STARTTLS") == 0) {
		buf_puts(conn_out(c), "OK\r\n");
		conn_start_tls(c, s->tls);
	} else if (strcmp(line, "COMPRESS") == 0) {
		buf_puts(conn_out(c), "OK\r\n");
		conn_start_compress(c);
	} else if (strncmp(line, "MOVE ", 5) == 0) {
		conn_move(c, s->loops[n % s->count]);
		return false;
	} else if (strcmp(line, "WHO") == 0) {
		visit_who(c);
	} else if (strncmp(line, "BINDING ", 8) == 0) {
		visit_binding(c, (unsigned)n);
	} else if (strcmp(line, "QUIT") == 0) {
		buf_puts(conn_out(c), "BYE\r\n");
		conn_close(c);
		return false;
	} else if (strcmp(line, "ABORT") == 0) {
		conn_abort(c, CONN_END_CLOSED);
		buf_puts(conn_out(c), "never");
		return false;
	} else if (strncmp(line, "HOLD ", 5) == 0) {
		conn_pause_reading(c);
		conn_set_deadline(c, n);
		return false;
	} else {
		buf_printf(conn_out(c), "BAD %.40s\r\n", line);
	}
	return true;
}

static bool visit_next_line(struct conn *c, struct visit *v)
{
	struct span in = conn_input(c);
	const char *end = in.bytes == 0 ? NULL : memchr(in.at, '\n', in.bytes);
	char line[64];

	if (end == NULL || end == in.at) {
		if (conn_input_is_full(c))
			conn_abort(c, CONN_END_CLOSED);
		return false;
	}
	size_t n = (size_t)(end - in.at);
	snprintf(line, sizeof(line), "%.*s", (int)(n - 1), in.at);
	conn_consume(c, n + 1);
	return visit_line(c, v, line);
}

static void visit_work(struct conn *c)
{
	struct visit *v = conn_data(c);

	max_note(&v->server->in_max_bytes, conn_input(c).bytes);
	for (;;) {
		if (v->flood_left > 0)
			visit_flood(c, v);
		if (v->flood_left > 0 || conn_is_full(c))
			return; /* on_drained() */
		if (v->echo_left > 0 ? !visit_echo(c, v) : !visit_next_line(c, v))
			return;
	}
}

static void visit_on_moved(struct conn *c)
{
	loop_assert_mine(conn_loop(c));
	buf_printf(conn_out(c), "MOVED %u\r\n", loop_index(conn_loop(c)));
}

static void visit_on_deadline(struct conn *c)
{
	buf_puts(conn_out(c), "HELD\r\n");
	conn_resume_reading(c);
}

static void visit_on_eof(struct conn *c)
{
	struct visit *v = conn_data(c);

	atomic_fetch_add(&v->server->eofs, 1);
	conn_close(c);
}

static void visit_on_closed(struct conn *c, enum conn_end why)
{
	struct visit *v = conn_data(c);

	atomic_store(&v->server->last_end, (int)why);
	atomic_fetch_add(&v->server->closed, 1);
	free(v);
}

static const struct conn_handler visit_handler = {
	.on_open = visit_on_open,
	.on_input = visit_work,
	.on_eof = visit_on_eof,
	.on_drained = visit_work,
	.on_deadline = visit_on_deadline,
	.on_moved = visit_on_moved,
	.on_closed = visit_on_closed,
};

/* ---- the server ---- */

static void server_make_certificate(const char *dir, const char *name, char cert[128],
				    char key[128])
{
	const char *names[] = { name, "127.0.0.1" };

	snprintf(cert, 128, "%s/%s.crt", dir, name);
	snprintf(key, 128, "%s/%s.key", dir, name);
	ck_assert_int_eq(tls_make_self_signed(cert, key, names, 2), OK);
}

static void server_start(struct server *s, size_t loops)
{
	struct buf why = { 0 };
	struct tls_pair pair;

	memset(s, 0, sizeof(*s));
	s->count = loops;
	snprintf(s->dir, sizeof(s->dir), "/tmp/tidemark-net-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	server_make_certificate(s->dir, "one.example", s->cert, s->key);
	pair = (struct tls_pair){ s->cert, s->key };
	ck_assert_int_eq(
		tls_create(&(struct tls_config){ .pairs = &pair, .count = 1 }, &s->tls, &why), OK);
	for (unsigned i = 0; i < loops; i++)
		ck_assert_int_eq(loop_create(i, &s->loops[i]), OK);
	ck_assert_int_eq(net_create(s->loops, loops, &s->net), OK);

	struct listener_options o = { .address = "127.0.0.1",
				      .handler = &visit_handler,
				      .data = s,
				      .refusal = "* BYE too many\r\n" };
	ck_assert_int_eq(listener_open(s->net, &o, &s->plain), OK);
	o.tls = s->tls;
	ck_assert_int_eq(listener_open(s->net, &o, &s->tls_port), OK);
	listener_start(s->plain);
	listener_start(s->tls_port);
	for (size_t i = 0; i < loops; i++)
		ck_assert_int_eq(loop_start(s->loops[i]), OK);
}

static void server_stop(struct server *s)
{
	char command[128];
	struct net_figures f;

	for (size_t i = 0; i < s->count; i++)
		loop_stop(s->loops[i]);
	for (size_t i = 0; i < s->count; i++)
		loop_join(s->loops[i]);
	for (size_t i = 0; i < s->count; i++)
		loop_destroy(&s->loops[i]);
	net_figures(s->net, &f);
	ck_assert_uint_eq(f.connections, 0);
	ck_assert_uint_eq(f.tls_connections, 0);
	ck_assert_uint_eq(atomic_load(&s->open), atomic_load(&s->closed));
	listener_free(&s->plain);
	listener_free(&s->tls_port);
	net_free(&s->net);
	tls_free(&s->tls);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	ck_assert_int_eq(system(command), 0);
}

static void server_wait_closed(struct server *s, uint64_t count)
{
	for (int i = 0; i < 5000 && atomic_load(&s->closed) < count; i++)
		usleep(1000);
	ck_assert_uint_eq(atomic_load(&s->closed), count);
}

/* ---- the client ---- */

struct client {
	int fd;
	SSL *ssl;
	bool compressed;
	z_stream in;
	z_stream out;
	char raw[16384]; /* not inflated yet */
	struct buf got;  /* read and not asked for yet */
};

static int socket_to(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	ck_assert_int_ge(fd, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Waits until the socket has or takes something. */
static void client_wait(struct client *c, short events)
{
	struct pollfd p = { c->fd, events, 0 };

	ck_assert_int_eq(poll(&p, 1, 20000), 1);
}

static void client_shake_hands(struct client *c, SSL_CTX *ctx, const char *name)
{
	int rc;

	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	if (name != NULL)
		SSL_set_tlsext_host_name(c->ssl, name);
	while ((rc = SSL_connect(c->ssl)) != 1) {
		ck_assert_int_eq(SSL_get_error(c->ssl, rc), SSL_ERROR_WANT_READ);
		client_wait(c, POLLIN);
	}
}

static SSL_CTX *client_context(int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

/* Non-blocking; 0: not now; -1: the end. */
static ssize_t client_raw_read(struct client *c, char *at, size_t bytes)
{
	ssize_t n;

	if (c->ssl == NULL) {
		n = recv(c->fd, at, bytes, MSG_DONTWAIT);
		return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	n = SSL_read(c->ssl, at, (int)bytes);
	if (n > 0)
		return n;
	return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static ssize_t client_raw_write(struct client *c, const char *at, size_t bytes)
{
	ssize_t n;

	if (c->ssl == NULL) {
		n = send(c->fd, at, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	n = SSL_write(c->ssl, at, (int)(bytes > 16384 ? 16384 : bytes));
	if (n > 0)
		return n;
	int e = SSL_get_error(c->ssl, (int)n);
	return e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* What has arrived goes to c->got. 0: nothing for now; -1: the end. */
static ssize_t client_pull(struct client *c)
{
	ssize_t n = client_raw_read(c, c->raw, sizeof(c->raw));

	if (n <= 0)
		return n;
	if (!c->compressed) {
		buf_put(&c->got, c->raw, (size_t)n);
		return n;
	}
	c->in.next_in = (Bytef *)c->raw;
	c->in.avail_in = (uInt)n;
	do {
		buf_reserve(&c->got, 65536);
		c->in.next_out = (Bytef *)c->got.at + c->got.bytes;
		c->in.avail_out = 65536;
		int rc = inflate(&c->in, Z_SYNC_FLUSH);
		ck_assert(rc == Z_OK || rc == Z_BUF_ERROR);
		c->got.bytes += 65536 - c->in.avail_out;
	} while (c->in.avail_out == 0);
	return n;
}

/* As the wire wants them. */
static struct buf client_encode(struct client *c, const void *at, size_t bytes)
{
	struct buf b = { 0 };

	if (!c->compressed) {
		buf_put(&b, at, bytes);
		return b;
	}
	c->out.next_in = (Bytef *)(uintptr_t)at;
	c->out.avail_in = (uInt)bytes;
	do {
		buf_reserve(&b, 65536);
		c->out.next_out = (Bytef *)b.at + b.bytes;
		c->out.avail_out = 65536;
		ck_assert_int_ge(deflate(&c->out, Z_SYNC_FLUSH), Z_BUF_ERROR);
		b.bytes += 65536 - c->out.avail_out;
	} while (c->out.avail_out == 0);
	return b;
}

/* Send all of it and read meanwhile, until `want` bytes are in c->got. */
static void client_exchange(struct client *c, const void *at, size_t bytes, size_t want)
{
	struct buf b = client_encode(c, at, bytes);
	size_t sent = 0;

	while (sent < b.bytes || c->got.bytes < want) {
		ssize_t n = 0;

		if (sent < b.bytes) {
			n = client_raw_write(c, b.at + sent, b.bytes - sent);
			ck_assert_int_ge(n, 0);
			sent += (size_t)n;
		}
		ssize_t m = client_pull(c);
		ck_assert(m >= 0 || (sent == b.bytes && c->got.bytes >= want));
		if (n == 0 && m == 0)
			client_wait(c, (short)(POLLIN | (sent < b.bytes ? POLLOUT : 0)));
	}
	buf_free(&b);
}

static void client_say(struct client *c, const char *text)
{
	client_exchange(c, text, strlen(text), 0);
}

static void client_expect(struct client *c, const char *text)
{
	size_t n = strlen(text);

	client_exchange(c, "", 0, n);
	if (memcmp(c->got.at, text, n) != 0)
		ck_abort_msg("expected '%s', got '%.*s'", text, (int)n, c->got.at);
	buf_drop_front(&c->got, n);
}

/* The next line without its CRLF, until the next call. */
static const char *client_line(struct client *c)
{
	static char line[512];
	char *end;

	while (c->got.bytes == 0 || (end = memchr(c->got.at, '\n', c->got.bytes)) == NULL)
		client_exchange(c, "", 0, c->got.bytes + 1);
	size_t n = (size_t)(end - c->got.at);
	ck_assert_uint_lt(n, sizeof(line));
	memcpy(line, c->got.at, n);
	line[n == 0 ? 0 : n - 1] = '\0';
	buf_drop_front(&c->got, n + 1);
	return line;
}

static void client_expect_end(struct client *c)
{
	ssize_t n;

	while ((n = client_pull(c)) >= 0)
		if (n == 0)
			client_wait(c, POLLIN);
	ck_assert_uint_eq(c->got.bytes, 0);
}

static void client_open(struct client *c, uint16_t port, SSL_CTX *ctx)
{
	memset(c, 0, sizeof(*c));
	c->fd = socket_to(port);
	ck_assert_int_eq(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
	if (ctx != NULL)
		client_shake_hands(c, ctx, "one.example");
	client_expect(c, "HELLO\r\n");
}

static void client_compress(struct client *c)
{
	client_say(c, "COMPRESS\r\n");
	client_expect(c, "OK\r\n");
	ck_assert_int_eq(inflateInit2(&c->in, -15), Z_OK);
	ck_assert_int_eq(deflateInit2(&c->out, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	c->compressed = true;
}

static void client_close(struct client *c)
{
	SSL_free(c->ssl);
	if (c->compressed) {
		inflateEnd(&c->in);
		deflateEnd(&c->out);
	}
	close(c->fd);
	buf_free(&c->got);
}

#endif
