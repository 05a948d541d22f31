/* Connections over real sockets: echo in all dresses, moving in the middle of a stream, slow and
 * vanishing clients, limits. */
#include "tests/unit/net_harness.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

static struct server server;

START_TEST(echo_pipelined_and_cut)
{
	static const char text[] = "ECHO 5\r\nhelloWHAT\r\nECHO 3\r\nabcWHO\r\n";
	struct client c;

	server_start(&server, 1);
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, text);
	client_expect(&c, "helloBAD WHAT\r\nabcWHO 127.0.0.1:");
	ck_assert_ptr_nonnull(strstr(client_line(&c), " loopback=1 loop=0 tls=no z=0 name="));
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		client_exchange(&c, text + i, 1, 0);
		usleep(500);
	}
	client_expect(&c, "helloBAD WHAT\r\nabcWHO 127.0.0.1:");
	client_line(&c);
	client_say(&c, "QUIT\r\nWHO\r\n");
	client_expect(&c, "BYE\r\n");
	client_expect_end(&c);
	client_close(&c);
	server_wait_closed(&server, 1);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_CLOSED);
	server_stop(&server);
}
END_TEST

START_TEST(ends)
{
	struct client c;
	struct linger hard = { 1, 0 };

	server_start(&server, 2);
	/* Aborted inside on_input, with more input waiting. */
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, "ABORT\r\nWHO\r\n");
	client_expect_end(&c);
	client_close(&c);
	server_wait_closed(&server, 1);

	/* Half closed: what was asked for is still answered. */
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, "ECHO 5\r\nhelloFLOOD 3000000\r\nECHO 9\r\ncut");
	shutdown(c.fd, SHUT_WR);
	client_expect(&c, "hello");
	client_exchange(&c, "", 0, 3000003);
	ck_assert_int_eq(memcmp(c.got.at + 3000000, "cut", 3), 0);
	buf_reset(&c.got);
	client_expect_end(&c);
	client_close(&c);
	server_wait_closed(&server, 2);
	ck_assert_uint_eq(atomic_load(&server.eofs), 1);

	/* Reset. */
	client_open(&c, listener_port(server.plain), NULL);
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_say(&c, "ECHO 5\r\nhel");
	client_expect(&c, "hel");
	client_close(&c);
	server_wait_closed(&server, 3);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_PEER);

	/* Reset while a lot is on its way. */
	client_open(&c, listener_port(server.plain), NULL);
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_say(&c, "FLOOD 100000000\r\n");
	client_exchange(&c, "", 0, 100000);
	client_close(&c);
	server_wait_closed(&server, 4);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_PEER);

	/* The server stops. */
	client_open(&c, listener_port(server.plain), NULL);
	server_stop(&server);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_STOPPING);
	client_close(&c);
}
END_TEST

START_TEST(pausing_and_deadlines)
{
	struct client c;

	server_start(&server, 1);
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, "HOLD 300\r\nECHO 5\r\nhello");
	client_say(&c, "ECHO 5\r\nworld");
	client_expect(&c, "HELD\r\nhelloworld");
	client_say(&c, "HOLD 100\r\n");
	client_expect(&c, "HELD\r\n");
	client_close(&c);
	server_stop(&server);
}
END_TEST

/* ---- megabytes in both directions, with moves in between ---- */

enum { ROUNDS = 24, ROUND_BYTES = 300 * 1000 };

/* Bytes that compress about 2:1 and never repeat as a whole. */
static void noise(char *at, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		at[i] = (char)('0' + ((seed >> 33) & 15));
	}
}

static void stream_with_moves(SSL_CTX *ctx, bool starttls, bool compress)
{
	struct client c;
	struct buf say = { 0 }, want = { 0 };
	char *bytes = malloc(ROUND_BYTES);

	client_open(&c, listener_port(ctx != NULL && !starttls ? server.tls_port : server.plain),
		    starttls ? NULL : ctx);
	if (starttls) {
		client_say(&c, "STARTTLS\r\n");
		client_expect(&c, "OK\r\n");
		client_shake_hands(&c, ctx, NULL);
	}
	if (compress)
		client_compress(&c);
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t n = ROUND_BYTES - i * 7919;

		noise(bytes, n, i + 1);
		buf_printf(&say, "ECHO %zu\r\n", n);
		buf_put(&say, bytes, n);
		buf_put(&want, bytes, n);
		for (unsigned k = 0; k <= i % 3; k++) {
			buf_printf(&say, "MOVE %u\r\n", i + k + 1);
			buf_printf(&want, "MOVED %u\r\n", (i + k + 1) % 4);
		}
	}
	client_exchange(&c, say.at, say.bytes, want.bytes);
	ck_assert_uint_eq(c.got.bytes, want.bytes);
	ck_assert_int_eq(memcmp(c.got.at, want.at, want.bytes), 0);
	buf_reset(&c.got);
	client_say(&c, "QUIT\r\n");
	client_expect(&c, "BYE\r\n");
	client_expect_end(&c);
	client_close(&c);
	buf_free(&say);
	buf_free(&want);
	free(bytes);
}

START_TEST(moves_keep_every_byte)
{
	static const int versions[] = { 0, TLS1_2_VERSION, TLS1_3_VERSION };

	server_start(&server, 4);
	for (int i = 0; i < 3; i++) {
		SSL_CTX *ctx = i == 0 ? NULL : client_context(versions[i]);

		stream_with_moves(ctx, false, false);
		stream_with_moves(ctx, false, true);
		if (ctx != NULL)
			stream_with_moves(ctx, true, true);
		SSL_CTX_free(ctx);
	}
	struct net_figures f;
	net_figures(server.net, &f);
	ck_assert_uint_gt(f.moves, 8 * ROUNDS);
	ck_assert_uint_le(atomic_load(&server.out_max_bytes),
			  SESSION_OUTPUT_HIGH_BYTES + CONN_INPUT_MAX_BYTES);
	server_stop(&server);
}
END_TEST

/* ---- what a client can make us hold ---- */

static void slow_reader(SSL_CTX *ctx, bool compress)
{
	struct client slow, quick;
	size_t total = 30000000;

	client_open(&slow, listener_port(ctx == NULL ? server.plain : server.tls_port), ctx);
	client_open(&quick, listener_port(server.plain), NULL);
	if (compress)
		client_compress(&slow);
	client_say(&slow, "FLOOD 30000000\r\n");
	for (int i = 0; i < 20; i++) { /* the loop has time for others */
		client_say(&quick, "ECHO 2\r\nok");
		client_expect(&quick, "ok");
	}
	for (size_t got = 0; got < total;) {
		client_exchange(&slow, "", 0, 1);
		for (size_t i = 0; i < slow.got.bytes; i++)
			if (slow.got.at[i] != (char)('a' + (got + i) % 23))
				ck_abort_msg("wrong byte at %zu", got + i);
		got += slow.got.bytes;
		buf_reset(&slow.got);
	}
	ck_assert_uint_le(atomic_load(&server.out_max_bytes), SESSION_OUTPUT_HIGH_BYTES + 8192);
	client_close(&slow);
	client_close(&quick);
}

START_TEST(slow_readers_are_bounded)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);

	server_start(&server, 1);
	slow_reader(NULL, false);
	slow_reader(ctx, false);
	slow_reader(ctx, true);
	SSL_CTX_free(ctx);
	server_stop(&server);
}
END_TEST

/* 200 MB of echo in a few hundred KB, and the client reads nothing: neither input nor output may
 * pile up, and others are served meanwhile. */
START_TEST(bombs_are_bounded)
{
	static char zeros[1000 * 1000];
	struct client bomb, quick;
	struct buf b;

	server_start(&server, 1);
	client_open(&bomb, listener_port(server.plain), NULL);
	client_open(&quick, listener_port(server.plain), NULL);
	client_compress(&bomb);
	client_say(&bomb, "ECHO 200000000\r\n");
	for (int i = 0; i < 200; i++) {
		b = client_encode(&bomb, zeros, sizeof(zeros));
		ssize_t n = client_raw_write(&bomb, b.at, b.bytes);
		buf_free(&b);
		if (n <= 0)
			break;
	}
	for (int i = 0; i < 100; i++) {
		client_say(&quick, "ECHO 2\r\nok");
		client_expect(&quick, "ok");
	}
	ck_assert_uint_le(atomic_load(&server.out_max_bytes),
			  SESSION_OUTPUT_HIGH_BYTES + 2 * CONN_READ_BYTES);
	ck_assert_uint_le(atomic_load(&server.in_max_bytes), 2 * CONN_READ_BYTES);
	client_close(&bomb);

	client_open(&bomb, listener_port(server.plain), NULL);
	client_compress(&bomb);
	bomb.compressed = false; /* not deflate at all */
	client_say(&bomb, "\xff\xff\xff\xff\xff");
	client_expect_end(&bomb);
	bomb.compressed = true;
	client_close(&bomb);
	server_wait_closed(&server, 2);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_COMPRESS);
	client_close(&quick);
	server_stop(&server);
}
END_TEST

/* A client may end its deflate stream; what it sends behind that is not looked at. */
START_TEST(ended_stream_is_the_end)
{
	static const char junk[2000] = { 'j' };
	struct client c;
	char at[256];

	server_start(&server, 1);
	for (int i = 0; i < 2; i++) {
		SSL_CTX *ctx = i == 0 ? NULL : client_context(TLS1_3_VERSION);

		client_open(&c, listener_port(i == 0 ? server.plain : server.tls_port), ctx);
		client_compress(&c);
		c.out.next_in = (Bytef *)(uintptr_t) "ECHO 5\r\nhello";
		c.out.avail_in = 13;
		c.out.next_out = (Bytef *)at;
		c.out.avail_out = sizeof(at);
		ck_assert_int_eq(deflate(&c.out, Z_FINISH), Z_STREAM_END);
		client_raw_write(&c, at, sizeof(at) - c.out.avail_out);
		client_raw_write(&c, junk, sizeof(junk));
		client_expect(&c, "hello");
		client_expect_end(&c);
		client_close(&c);
		SSL_CTX_free(ctx);
	}
	server_wait_closed(&server, 2);
	ck_assert_uint_eq(atomic_load(&server.eofs), 2);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_CLOSED);
	server_stop(&server);
}
END_TEST

START_TEST(endless_line)
{
	static char line[CONN_INPUT_MAX_BYTES * 2];
	struct client c;

	memset(line, 'x', sizeof(line));
	server_start(&server, 1);
	client_open(&c, listener_port(server.plain), NULL);
	for (size_t sent = 0; sent < sizeof(line);) {
		ssize_t n = client_raw_write(&c, line, sizeof(line) - sent);
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	client_expect_end(&c);
	client_close(&c);
	server_wait_closed(&server, 1);
	ck_assert_uint_le(atomic_load(&server.in_max_bytes),
			  CONN_INPUT_MAX_BYTES + CONN_READ_BYTES);
	server_stop(&server);
}
END_TEST

/* Who says nothing in a handshake, or takes nothing of what it asked for, is closed. */
START_TEST(patience_ends)
{
	struct client silent = { 0 }, c;
	struct net_figures f;

	server_start(&server, 1);
	net_set_patience(server.net, 200, 500);
	silent.fd = socket_to(listener_port(server.tls_port));
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, "FLOOD 100000000\r\n");
	client_expect_end(&silent);
	server_wait_closed(&server, 1);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_STALLED);
	client_close(&c);

	/* Closing: no longer than a tenth of that. */
	net_set_patience(server.net, 200, 10000);
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, "ECHO 3000000\r\n");
	for (int i = 0; i < 100; i++) /* as much as it takes unread */
		if (client_raw_write(&c, (const char *)server.dir, sizeof(server.dir)) <= 0)
			break;
	shutdown(c.fd, SHUT_WR);
	server_wait_closed(&server, 2);
	client_close(&c);
	net_figures(server.net, &f);
	ck_assert_uint_eq(f.handshake_failures, 1);
	ck_assert_uint_ge(f.stalled, 1);
	server_stop(&server);
}
END_TEST

/* ---- chaos: everything at once, and the server stops in the middle of it ---- */

enum { CHAOTIC = 8 };

struct chaotic {
	pthread_t thread;
	unsigned seed;
	uint16_t port;
	uint16_t tls_port;
	_Atomic bool *stop;
};

static void chaotic_say(SSL *ssl, int fd, const char *at, size_t bytes)
{
	if (ssl != NULL)
		(void)SSL_write(ssl, at, (int)bytes);
	else
		(void)!send(fd, at, bytes, MSG_NOSIGNAL);
}

static void chaotic_hear(SSL *ssl, int fd)
{
	char at[4096];

	if (ssl != NULL)
		(void)SSL_read(ssl, at, sizeof(at));
	else
		(void)!recv(fd, at, sizeof(at), 0);
}

/* One of the things that clients do; some of them are rude. */
static void chaotic_step(struct chaotic *x, SSL *ssl, int fd)
{
	static const char body[3000] = { 'b' };
	char line[64];
	unsigned r = (unsigned)rand_r(&x->seed);

	switch (r % 8) {
	case 0:
	case 1:
	case 2: snprintf(line, sizeof(line), "MOVE %u\r\n", r / 8 % 4); break;
	case 3: snprintf(line, sizeof(line), "FLOOD %u\r\n", r / 8 % 200000); break;
	case 4: snprintf(line, sizeof(line), "HOLD 1\r\n"); break;
	case 5: snprintf(line, sizeof(line), r / 8 % 4 == 0 ? "QUIT\r\n" : "WHO\r\n"); break;
	case 6: snprintf(line, sizeof(line), "ECHO %zu\r\n", sizeof(body)); break;
	default: chaotic_hear(ssl, fd); return;
	}
	chaotic_say(ssl, fd, line, strlen(line));
	if (r % 8 == 6)
		chaotic_say(ssl, fd, body, r / 8 % sizeof(body)); /* mostly not all of it */
}

static void chaotic_visit(struct chaotic *x, SSL_CTX *ctx)
{
	bool tls = rand_r(&x->seed) % 3 == 0;
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(tls ? x->tls_port : x->port) };
	struct timeval patience = { 0, 50000 };
	struct linger hard = { 1, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *ssl = NULL;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (rand_r(&x->seed) % 2 == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
		if (tls) {
			ssl = SSL_new(ctx);
			SSL_set_fd(ssl, fd);
			(void)SSL_connect(ssl);
		}
		for (int i = rand_r(&x->seed) % 40; i > 0 && !atomic_load(x->stop); i--)
			chaotic_step(x, ssl, fd);
	}
	SSL_free(ssl);
	close(fd);
}

static void *chaotic_main(void *data)
{
	struct chaotic *x = data;
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);

	while (!atomic_load(x->stop))
		chaotic_visit(x, ctx);
	SSL_CTX_free(ctx);
	return NULL;
}

START_TEST(chaos)
{
	struct chaotic x[CHAOTIC];
	_Atomic bool stop = false;

	server_start(&server, 4);
	for (unsigned i = 0; i < CHAOTIC; i++) {
		x[i] = (struct chaotic){ 0, i + 1, listener_port(server.plain),
					 listener_port(server.tls_port), &stop };
		pthread_create(&x[i].thread, NULL, chaotic_main, &x[i]);
	}
	usleep(1500000);
	server_stop(&server); /* checks that every session was ended exactly once */
	atomic_store(&stop, true);
	for (unsigned i = 0; i < CHAOTIC; i++)
		pthread_join(x[i].thread, NULL);
	ck_assert_uint_gt(atomic_load(&server.open), 20);
}
END_TEST

/* ---- limits and listeners ---- */

START_TEST(limits)
{
	struct client c[3], over = { 0 };

	server_start(&server, 2);
	net_set_limits(server.net, 10, 3);
	for (int i = 0; i < 3; i++)
		client_open(&c[i], listener_port(server.plain), NULL);
	over.fd = socket_to(listener_port(server.plain));
	client_expect(&over, "* BYE too many\r\n");
	client_expect_end(&over);
	client_close(&over);
	client_close(&c[0]);
	struct net_figures f;
	for (int i = 0; i < 5000; i++) {
		net_figures(server.net, &f);
		if (f.connections == 2)
			break;
		usleep(1000);
	}
	client_open(&c[0], listener_port(server.plain), NULL);
	net_set_limits(server.net, 3, 10);
	over = (struct client){ .fd = socket_to(listener_port(server.plain)) };
	client_expect(&over, "* BYE too many\r\n");
	client_close(&over);
	net_figures(server.net, &f);
	ck_assert_uint_eq(f.refused, 2);
	ck_assert_uint_eq(f.accepted, 4);
	for (int i = 0; i < 3; i++)
		client_close(&c[i]);
	server_stop(&server);
}
END_TEST

START_TEST(ports_are_exclusive)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct listener *other = NULL;
	struct listener_options o = { .address = "127.0.0.1", .handler = &visit_handler };
	int on = 1;

	server_start(&server, 4);
	struct loop *loop;
	struct net *net;
	ck_assert_int_eq(loop_create(0, &loop), OK);
	ck_assert_int_eq(net_create(&loop, 1, &net), OK);
	o.port = listener_port(server.plain);
	ck_assert_int_eq(listener_open(net, &o, &other), ERR_EXISTS);
	o.address = "0.0.0.0";
	ck_assert_int_eq(listener_open(net, &o, &other), ERR_EXISTS);
	o.address = "localhost";
	ck_assert_int_eq(listener_open(net, &o, &other), ERR_BAD_INPUT);
	o.address = "192.0.2.1";
	ck_assert_int_eq(listener_open(net, &o, &other), ERR_BAD_INPUT);
	o.address = "::";
	o.port = 0;
	ck_assert_int_eq(listener_open(net, &o, &other), OK);
	ck_assert_uint_ne(listener_port(other), 0);
	loop_destroy(&loop);
	listener_free(&other);
	net_free(&net);

	/* Nor can a stranger share it. */
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = htons(listener_port(server.plain));
	ck_assert_int_ne(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);

	/* All loops accept. */
	unsigned seen = 0;
	for (int i = 0; i < 200 && seen != 15; i++) {
		struct client c;

		client_open(&c, listener_port(server.plain), NULL);
		client_say(&c, "WHO\r\n");
		seen |= 1u << (strstr(client_line(&c), "loop=")[5] - '0');
		client_close(&c);
	}
	ck_assert_uint_eq(seen, 15);

	struct client c;
	uint16_t port = listener_port(server.plain);
	client_open(&c, port, NULL);
	listener_stop(server.plain);
	at.sin_port = htons(port);
	int rc = 0;
	for (int i = 0; i < 500 && rc == 0; i++) { /* it happens soon */
		usleep(10000);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		rc = connect(fd, (struct sockaddr *)&at, sizeof(at));
		close(fd);
	}
	ck_assert_int_ne(rc, 0);
	client_say(&c, "ECHO 2\r\nok"); /* who is there stays */
	client_expect(&c, "ok");
	client_close(&c);
	server_stop(&server);
}
END_TEST

START_TEST(out_of_descriptors)
{
	struct rlimit before, low;
	struct loop_figures f0, f1;
	struct client c;
	int fds[16];

	server_start(&server, 1);
	getrlimit(RLIMIT_NOFILE, &before);
	for (int i = 0; i < 16; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
	low = before;
	low.rlim_cur = (rlim_t)fds[15] + 1; /* not one more */
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(listener_port(server.plain)) };
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setrlimit(RLIMIT_NOFILE, &low);
	ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&at, sizeof(at)), 0);
	usleep(50000);
	loop_figures(server.loops[0], &f0);
	usleep(300000);
	loop_figures(server.loops[0], &f1);
	ck_assert_uint_lt(f1.turns - f0.turns, 30); /* it does not spin */
	struct net_figures n;
	net_figures(server.net, &n);
	ck_assert_uint_gt(n.accept_failures, 0);
	setrlimit(RLIMIT_NOFILE, &before);
	memset(&c, 0, sizeof(c));
	c.fd = fds[0];
	client_expect(&c, "HELLO\r\n"); /* and goes on by itself */
	client_close(&c);
	for (int i = 1; i < 16; i++)
		close(fds[i]);
	server_stop(&server);
}
END_TEST

/* ---- many ---- */

enum { MANY = 2000 };

static size_t heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

START_TEST(two_thousand)
{
	static int fds[MANY];
	struct rlimit files = { 3 * MANY, 3 * MANY };
	char text[64];

	setrlimit(RLIMIT_NOFILE, &files);
	server_start(&server, 2);
	struct client first;
	client_open(&first, listener_port(server.plain), NULL);
	size_t before = heap_bytes();
	for (int i = 0; i < MANY; i++)
		fds[i] = socket_to(listener_port(server.plain));
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(recv(fds[i], text, 7, MSG_WAITALL), 7);
		int n = snprintf(text, sizeof(text), "ECHO 6\r\n%06d", i);
		ck_assert_int_eq(send(fds[i], text, (size_t)n, 0), n);
	}
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(recv(fds[i], text, 6, MSG_WAITALL), 6);
		text[6] = '\0';
		ck_assert_int_eq(atoi(text), i);
	}
	usleep(20000);
	size_t each = (heap_bytes() - before) / MANY;
	printf("idle connection: %zu bytes of heap\n", each);
	ck_assert_uint_lt(each, 2048);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	server_wait_closed(&server, MANY);
	client_close(&first);
	server_stop(&server);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net_conn");
	TCase *t = tcase_create("net_conn");

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, echo_pipelined_and_cut);
	tcase_add_test(t, ends);
	tcase_add_test(t, pausing_and_deadlines);
	tcase_add_test(t, moves_keep_every_byte);
	tcase_add_test(t, slow_readers_are_bounded);
	tcase_add_test(t, bombs_are_bounded);
	tcase_add_test(t, ended_stream_is_the_end);
	tcase_add_test(t, endless_line);
	tcase_add_test(t, patience_ends);
	tcase_add_test(t, chaos);
	tcase_add_test(t, limits);
	tcase_add_test(t, ports_are_exclusive);
	tcase_add_test(t, out_of_descriptors);
	tcase_add_test(t, two_thousand);
	suite_add_tcase(s, t);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
