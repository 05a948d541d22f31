/* TLS as clients meet it: versions, STARTTLS injection, SNI, reload, client certificates, channel
 * bindings, and what an idle encrypted connection costs. */
#include "tests/unit/net_harness.h"

#include <malloc.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct server server;

/* The CN of the certificate that the server showed. */
static const char *shown_name(struct client *c)
{
	static char name[128];
	X509 *cert = SSL_get0_peer_certificate(c->ssl);

	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
	return name;
}

static void tls_open(struct client *c, SSL_CTX *ctx, const char *name)
{
	memset(c, 0, sizeof(*c));
	c->fd = socket_to(listener_port(server.tls_port));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	client_shake_hands(c, ctx, name);
	client_expect(c, "HELLO\r\n");
}

START_TEST(nothing_pipelined_survives_starttls)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct client c;

	server_start(&server, 1);
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, "STARTTLS\r\nECHO 9\r\ninjected\nECHO 20\r\nhalf");
	client_expect(&c, "OK\r\n");
	client_shake_hands(&c, ctx, NULL);
	client_say(&c, "WHO\r\n");
	client_expect(&c, "WHO 127.0.0.1:");
	ck_assert_ptr_nonnull(strstr(client_line(&c), "tls=TLSv1.3"));
	client_close(&c);
	server_wait_closed(&server, 1);

	/* In a segment of its own the injected text is not a ClientHello. */
	client_open(&c, listener_port(server.plain), NULL);
	client_say(&c, "STARTTLS\r\n");
	client_expect(&c, "OK\r\n");
	client_say(&c, "ECHO 9\r\ninjected\n");
	ssize_t n;
	while ((n = client_pull(&c)) >= 0) /* an alert, perhaps */
		if (n == 0)
			client_wait(&c, POLLIN);
	ck_assert_ptr_null(memmem(c.got.at, c.got.bytes, "injected", 8));
	client_close(&c);
	server_wait_closed(&server, 2);
	ck_assert_int_eq(atomic_load(&server.last_end), CONN_END_TLS);
	SSL_CTX_free(ctx);
	server_stop(&server);
}
END_TEST

START_TEST(versions)
{
	static const int good[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct client c;

	server_start(&server, 1);
	for (int i = 0; i < 2; i++) {
		SSL_CTX *ctx = client_context(good[i]);

		tls_open(&c, ctx, "one.example");
		client_say(&c, "WHO\r\nQUIT\r\n");
		ck_assert_ptr_nonnull(strstr(client_line(&c), i == 0 ? "TLSv1.2" : "TLSv1.3"));
		client_expect(&c, "BYE\r\n");
		client_expect_end(&c);
		ck_assert_int_eq(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN,
				 SSL_RECEIVED_SHUTDOWN); /* close_notify, not just a cut */
		client_close(&c);
		SSL_CTX_free(ctx);
	}
	SSL_CTX *old = client_context(TLS1_1_VERSION);
	SSL_CTX_set_security_level(old, 0);
	SSL_CTX_set_cipher_list(old, "ALL:@SECLEVEL=0");
	memset(&c, 0, sizeof(c));
	c.fd = socket_to(listener_port(server.tls_port));
	c.ssl = SSL_new(old);
	SSL_set_fd(c.ssl, c.fd);
	ck_assert_int_ne(SSL_connect(c.ssl), 1);
	client_close(&c);
	SSL_CTX_free(old);

	/* TLS 1.2 can be switched off. */
	struct tls_pair pair = { server.cert, server.key };
	struct tls_config config = { .pairs = &pair, .count = 1, .only_1_3 = true };
	struct buf why = { 0 };
	ck_assert_int_eq(tls_reload(server.tls, &config, &why), OK);
	old = client_context(TLS1_2_VERSION);
	memset(&c, 0, sizeof(c));
	c.fd = socket_to(listener_port(server.tls_port));
	c.ssl = SSL_new(old);
	SSL_set_fd(c.ssl, c.fd);
	ck_assert_int_ne(SSL_connect(c.ssl), 1);
	client_close(&c);
	SSL_CTX_free(old);

	/* Rubbish and silence on the port do not harm. */
	memset(&c, 0, sizeof(c));
	c.fd = socket_to(listener_port(server.tls_port));
	client_say(&c, "GET / HTTP/1.0\r\n\r\n");
	while (client_pull(&c) >= 0)
		usleep(1000);
	client_close(&c);
	struct net_figures f;
	net_figures(server.net, &f);
	ck_assert_uint_eq(f.handshakes, 2);
	ck_assert_uint_ge(f.handshake_failures, 1);
	server_stop(&server);
}
END_TEST

START_TEST(names_and_reload)
{
	char cert[2][128], key[2][128];
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct client c, stays;
	struct buf why = { 0 };

	server_start(&server, 2);
	server_make_certificate(server.dir, "two.example", cert[0], key[0]);
	server_make_certificate(server.dir, "new.example", cert[1], key[1]);
	struct tls_pair pairs[] = { { server.cert, server.key }, { cert[0], key[0] } };
	tls_open(&stays, ctx, NULL);
	ck_assert_int_eq(
		tls_reload(server.tls, &(struct tls_config){ .pairs = pairs, .count = 2 }, &why),
		OK);
	tls_open(&c, ctx, "two.example");
	ck_assert_str_eq(shown_name(&c), "two.example");
	client_close(&c);
	tls_open(&c, ctx, "unknown.example");
	ck_assert_str_eq(shown_name(&c), "one.example");
	client_close(&c);
	tls_open(&c, ctx, NULL);
	ck_assert_str_eq(shown_name(&c), "one.example");
	client_close(&c);

	/* A pair that does not fit, a file that is not there: nothing changes. */
	pairs[0] = (struct tls_pair){ cert[0], key[1] };
	ck_assert_int_eq(
		tls_reload(server.tls, &(struct tls_config){ .pairs = pairs, .count = 2 }, &why),
		ERR_BAD_INPUT);
	ck_assert_uint_gt(why.bytes, 0);
	ck_assert_ptr_nonnull(memmem(why.at, why.bytes, key[1], strlen(key[1])));
	buf_reset(&why);
	pairs[0] = (struct tls_pair){ "/nonexistent/x.crt", key[1] };
	ck_assert_int_eq(
		tls_reload(server.tls, &(struct tls_config){ .pairs = pairs, .count = 2 }, &why),
		ERR_BAD_INPUT);
	ck_assert_ptr_nonnull(memmem(why.at, why.bytes, "No such file", 12));
	tls_open(&c, ctx, NULL);
	ck_assert_str_eq(shown_name(&c), "one.example");
	client_close(&c);

	pairs[0] = (struct tls_pair){ cert[1], key[1] };
	ck_assert_int_eq(
		tls_reload(server.tls, &(struct tls_config){ .pairs = pairs, .count = 1 }, &why),
		OK);
	tls_open(&c, ctx, "two.example");
	ck_assert_str_eq(shown_name(&c), "new.example");
	client_close(&c);
	client_say(&stays, "ECHO 2\r\nok");
	client_expect(&stays, "ok");
	client_close(&stays);

	struct stat st;
	ck_assert_int_eq(stat(key[1], &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	buf_free(&why);
	SSL_CTX_free(ctx);
	server_stop(&server);
}
END_TEST

/* ---- client certificates ---- */

/* Self-signed; with what is given: e-mail (a SAN), CN. */
static void write_client_certificate(const char *file, EVP_PKEY *key, const char *email,
				     const char *cn)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	X509V3_CTX ctx;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"Test", -1,
				   -1, 0);
	if (cn != NULL)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn,
					   -1, -1, 0);
	X509_set_issuer_name(cert, subject);
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	if (email != NULL) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, email);

		X509_add_ext(cert, e, -1);
		X509_EXTENSION_free(e);
	}
	X509_sign(cert, key, EVP_sha256());
	FILE *f = fopen(file, "w");
	PEM_write_X509(f, cert);
	fclose(f);
	X509_free(cert);
}

static void expect_identity(const char *file, EVP_PKEY *key, const char *name)
{
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *ctx = client_context(version);
		struct client c;

		if (file != NULL) {
			ck_assert_int_eq(SSL_CTX_use_certificate_file(ctx, file, SSL_FILETYPE_PEM),
					 1);
			ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
		}
		tls_open(&c, ctx, NULL);
		client_say(&c, "WHO\r\n");
		const char *line = client_line(&c);
		ck_assert_str_eq(strstr(line, "name=") + 5, name);
		client_close(&c);
		SSL_CTX_free(ctx);
	}
}

START_TEST(client_certificates)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct buf why = { 0 };
	char file[128], strange[128];

	server_start(&server, 1);
	snprintf(file, sizeof(file), "%s/client.crt", server.dir);
	snprintf(strange, sizeof(strange), "%s/strange.crt", server.dir);
	struct tls_pair pair = { server.cert, server.key };
	struct tls_config config = { .pairs = &pair, .count = 1, .client_ca_file = file };

	expect_identity(NULL, NULL, "nobody");
	write_client_certificate(file, key, "email:demo@example.org,email:other@example.org", "x");
	ck_assert_int_eq(tls_reload(server.tls, &config, &why), OK);
	expect_identity(NULL, NULL, "nobody"); /* asked for, not required */
	expect_identity(file, key, "demo@example.org");
	write_client_certificate(file, key, "DNS:example.org", "d\xc3\xa9mo");
	ck_assert_int_eq(tls_reload(server.tls, &config, &why), OK);
	expect_identity(file, key, "d\xc3\xa9mo");
	write_client_certificate(file, key, NULL, NULL);
	ck_assert_int_eq(tls_reload(server.tls, &config, &why), OK);
	expect_identity(file, key, "nobody");

	/* One that the CA does not know ends the handshake. */
	EVP_PKEY *other = EVP_EC_gen("P-256");
	write_client_certificate(strange, other, "email:demo@example.org", "x");
	SSL_CTX *ctx = client_context(TLS1_2_VERSION);
	SSL_CTX_use_certificate_file(ctx, strange, SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey(ctx, other);
	struct client c = { .fd = socket_to(listener_port(server.tls_port)) };
	c.ssl = SSL_new(ctx);
	SSL_set_fd(c.ssl, c.fd);
	ck_assert_int_ne(SSL_connect(c.ssl), 1);
	client_close(&c);
	SSL_CTX_free(ctx);
	EVP_PKEY_free(other);
	EVP_PKEY_free(key);
	buf_free(&why);
	server_stop(&server);
}
END_TEST

/* ---- channel bindings: both sides must come to the same bytes ---- */

static void hex(const unsigned char *at, size_t bytes, char *ret)
{
	for (size_t i = 0; i < bytes; i++)
		sprintf(ret + 2 * i, "%02x", at[i]);
}

static void expect_binding(struct client *c, enum tls_binding kind, const char *want)
{
	char say[32];

	snprintf(say, sizeof(say), "BINDING %d\r\n", (int)kind);
	client_say(c, say);
	ck_assert_str_eq(client_line(c), want);
}

static void compare_bindings(struct client *c)
{
	unsigned char value[64];
	unsigned bytes;
	char text[129];

	ck_assert_int_eq(SSL_export_keying_material(c->ssl, value, 32, "EXPORTER-Channel-Binding",
						    24, (const unsigned char *)"", 0, 1),
			 1);
	hex(value, 32, text);
	expect_binding(c, TLS_BINDING_EXPORTER, text);
	X509_digest(SSL_get0_peer_certificate(c->ssl), EVP_sha256(), value, &bytes);
	hex(value, bytes, text);
	expect_binding(c, TLS_BINDING_END_POINT, text);
	if (SSL_version(c->ssl) == TLS1_3_VERSION) {
		expect_binding(c, TLS_BINDING_UNIQUE, "none");
		return;
	}
	size_t n = SSL_session_reused(c->ssl) ? SSL_get_peer_finished(c->ssl, value, sizeof(value))
					      : SSL_get_finished(c->ssl, value, sizeof(value));
	hex(value, n, text);
	expect_binding(c, TLS_BINDING_UNIQUE, text);
}

START_TEST(channel_bindings)
{
	server_start(&server, 1);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *ctx = client_context(version);
		struct client c;

		tls_open(&c, ctx, NULL);
		compare_bindings(&c);
		SSL_SESSION *session = SSL_get1_session(c.ssl);
		SSL_shutdown(c.ssl); /* else OpenSSL takes the session for a bad one */
		client_close(&c);

		c = (struct client){ .fd = socket_to(listener_port(server.tls_port)) };
		c.ssl = SSL_new(ctx);
		SSL_set_session(c.ssl, session);
		SSL_set_fd(c.ssl, c.fd);
		ck_assert_int_eq(SSL_connect(c.ssl), 1);
		ck_assert_int_eq(SSL_session_reused(c.ssl), 1); /* by a ticket */
		fcntl(c.fd, F_SETFL, O_NONBLOCK);
		client_expect(&c, "HELLO\r\n");
		compare_bindings(&c);
		client_close(&c);
		SSL_SESSION_free(session);
		SSL_CTX_free(ctx);
	}
	server_stop(&server);
}
END_TEST

/* ---- what it costs ---- */

enum { MANY = 300 };

static long heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return (long)(m.uordblks + m.hblkhd);
}

/* Server and client share this heap: the client's objects of each connection are freed before. */
static long idle_cost(int version, bool compress)
{
	static struct client c[MANY];
	SSL_CTX *ctx = client_context(version);

	usleep(50000);
	long before = heap_bytes();

	for (int i = 0; i < MANY; i++) {
		client_open(&c[i], listener_port(server.tls_port), ctx);
		if (compress)
			client_compress(&c[i]);
		client_say(&c[i], "ECHO 6\r\nhello\n");
		client_expect(&c[i], "hello\n");
		SSL_free(c[i].ssl); /* not a close_notify: the server keeps its end */
		c[i].ssl = NULL;
		buf_free(&c[i].got);
		if (compress) {
			inflateEnd(&c[i].in);
			deflateEnd(&c[i].out);
			c[i].compressed = false;
		}
	}
	usleep(50000);
	long each = (heap_bytes() - before) / MANY;
	uint64_t closed = atomic_load(&server.closed);
	for (int i = 0; i < MANY; i++)
		client_close(&c[i]);
	server_wait_closed(&server, closed + MANY);
	SSL_CTX_free(ctx);
	return each;
}

START_TEST(costs)
{
	server_start(&server, 1);
	idle_cost(TLS1_3_VERSION, false); /* fills pools and caches */
	long tls12 = idle_cost(TLS1_2_VERSION, false);
	long tls13 = idle_cost(TLS1_3_VERSION, false);
	long both = idle_cost(TLS1_3_VERSION, true);
	printf("idle connection: TLS 1.2 %ld, TLS 1.3 %ld, with a live compressor %ld bytes\n",
	       tls12, tls13, both);
	ck_assert_int_lt(tls12, 40 * 1024);
	ck_assert_int_lt(tls13, 40 * 1024);
	server_stop(&server);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net_tls");
	TCase *t = tcase_create("net_tls");

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, nothing_pipelined_survives_starttls);
	tcase_add_test(t, versions);
	tcase_add_test(t, names_and_reload);
	tcase_add_test(t, client_certificates);
	tcase_add_test(t, channel_bindings);
	tcase_add_test(t, costs);
	suite_add_tcase(s, t);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
