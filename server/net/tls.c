/* tls.c: OpenSSL behind two spans. A stream's BIO reads from what it was last fed and writes to
 * the buffer of the call that is running, so no byte is copied through memory BIOs and an idle
 * stream holds no buffer (SSL_MODE_RELEASE_BUFFERS).
 *
 * Invariants:
 *   T1  a set of contexts is built completely before it is swapped in, and is immutable then; it
 *       lives until the last stream that was made from it is freed.
 *   T2  writing to the BIO never blocks or fails, so a write is always done at once. */
#include "server/net/tls.h"

#include "storage/base/err.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tls_set {
	_Atomic size_t refs;
	BIO_METHOD *bio;
	SSL_CTX **contexts; /* one per pair */
	size_t count;
};

struct tls {
	pthread_mutex_t lock;
	struct tls_set *set; /* under the lock */
};

struct tls_stream {
	SSL *ssl;
	struct tls_set *set;
	struct span in;  /* fed and not used yet */
	struct buf *out; /* of the call that is running; NULL between calls */
	const char *error;
	bool broken; /* no close_notify any more */
};

/* ---- the BIO ---- */

static int stream_bio_read(BIO *bio, char *at, size_t bytes, size_t *ret)
{
	struct tls_stream *s = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (s->in.bytes == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	if (bytes > s->in.bytes)
		bytes = s->in.bytes;
	memcpy(at, s->in.at, bytes);
	s->in = span_of(s->in.at + bytes, s->in.bytes - bytes);
	*ret = bytes;
	return 1;
}

static int stream_bio_write(BIO *bio, const char *at, size_t bytes, size_t *ret)
{
	struct tls_stream *s = BIO_get_data(bio);

	assert(s->out != NULL);
	BIO_clear_retry_flags(bio);
	buf_put(s->out, at, bytes);
	*ret = bytes;
	return 1;
}

static long stream_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *stream_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tidemark");

	if (m == NULL)
		abort();
	BIO_meth_set_read_ex(m, stream_bio_read);
	BIO_meth_set_write_ex(m, stream_bio_write);
	BIO_meth_set_ctrl(m, stream_bio_ctrl);
	return m;
}

/* ---- contexts ---- */

static void set_unref(struct tls_set *set)
{
	if (set == NULL || atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	for (size_t i = 0; i < set->count; i++)
		SSL_CTX_free(set->contexts[i]);
	BIO_meth_free(set->bio);
	free(set->contexts);
	free(set);
}

/* NOLINTBEGIN(readability-non-const-parameter): the signatures are OpenSSL's */

/* SNI: the first pair whose certificate has the name; else the pair we began with. */
static int set_choose(SSL *ssl, int *alert, void *arg)
{
	struct tls_set *set = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	for (size_t i = 0; name != NULL && i < set->count; i++) {
		X509 *leaf = SSL_CTX_get0_certificate(set->contexts[i]);

		if (X509_check_host(leaf, name, strlen(name), 0, NULL) == 1) {
			SSL_set_SSL_CTX(ssl, set->contexts[i]);
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static int no_passphrase(char *at, int bytes, int writing, void *data)
{
	(void)at;
	(void)bytes;
	(void)writing;
	(void)data;
	return -1; /* a server cannot ask anybody */
}

/* NOLINTEND(readability-non-const-parameter) */

static int explain(struct buf *why, const char *what, const char *file)
{
	unsigned long first = ERR_peek_error();
	unsigned long last = ERR_peek_last_error();
	const char *reason = ERR_SYSTEM_ERROR(first) ? strerrordesc_np(ERR_GET_REASON(first))
						     : ERR_reason_error_string(last);

	buf_printf(why, "%s %s: %s", what, file, reason == NULL ? "not usable" : reason);
	ERR_clear_error();
	return ERR_BAD_INPUT;
}

static int context_load_pair(SSL_CTX *ctx, const struct tls_pair *pair, struct buf *why)
{
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, pair->cert_file) != 1)
		return explain(why, "certificate", pair->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx, pair->key_file, SSL_FILETYPE_PEM) != 1)
		return explain(why, "key", pair->key_file);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return explain(why, "key", pair->key_file);
	return OK;
}

static int context_load_client_ca(SSL_CTX *ctx, const char *file, struct buf *why)
{
	if (file == NULL)
		return OK;
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
	if (names == NULL || SSL_CTX_load_verify_file(ctx, file) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return explain(why, "client CA", file);
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL); /* asked for, not required */
	return OK;
}

static SSL_CTX *context_new(struct tls_set *set, bool only_1_3)
{
	static const unsigned char id[] = "tidemark";
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		abort();
	SSL_CTX_set_min_proto_version(ctx, only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	int rc = SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL");
	assert(rc == 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets, no memory of ours */
	SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_tlsext_servername_callback(ctx, set_choose);
	SSL_CTX_set_tlsext_servername_arg(ctx, set);
	return ctx;
}

static int set_build(const struct tls_config *config, struct tls_set **ret, struct buf *why)
{
	struct tls_set *set = calloc(1, sizeof(*set));
	int rc = OK;

	assert(config->count > 0);
	if (set == NULL)
		abort();
	atomic_init(&set->refs, 1);
	set->bio = stream_bio_method();
	set->contexts = calloc(config->count, sizeof(SSL_CTX *));
	if (set->contexts == NULL)
		abort();
	while (rc == OK && set->count < config->count) {
		SSL_CTX *ctx = context_new(set, config->only_1_3);

		rc = context_load_pair(ctx, &config->pairs[set->count], why);
		if (rc == OK)
			rc = context_load_client_ca(ctx, config->client_ca_file, why);
		set->contexts[set->count++] = ctx;
	}
	if (rc == OK)
		*ret = set;
	else
		set_unref(set);
	return rc;
}

int tls_create(const struct tls_config *config, struct tls **ret, struct buf *why)
{
	struct tls_set *set = NULL;
	int rc = set_build(config, &set, why);

	if (rc < 0)
		return rc;
	struct tls *t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	pthread_mutex_init(&t->lock, NULL);
	t->set = set;
	*ret = t;
	return OK;
}

int tls_reload(struct tls *t, const struct tls_config *config, struct buf *why)
{
	struct tls_set *set = NULL;
	int rc = set_build(config, &set, why);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&t->lock);
	struct tls_set *old = t->set;
	t->set = set;
	pthread_mutex_unlock(&t->lock);
	set_unref(old);
	return OK;
}

void tls_free(struct tls **t)
{
	if (*t == NULL)
		return;
	set_unref((*t)->set);
	pthread_mutex_destroy(&(*t)->lock);
	free(*t);
	*t = NULL;
}

/* ---- streams ---- */

struct tls_stream *tls_stream_new(struct tls *t)
{
	struct tls_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	pthread_mutex_lock(&t->lock);
	s->set = t->set;
	atomic_fetch_add(&s->set->refs, 1);
	pthread_mutex_unlock(&t->lock);

	BIO *bio = BIO_new(s->set->bio);
	s->ssl = SSL_new(s->set->contexts[0]);
	if (bio == NULL || s->ssl == NULL)
		abort();
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_accept_state(s->ssl);
	return s;
}

void tls_stream_free(struct tls_stream **s)
{
	if (*s == NULL)
		return;
	SSL_free((*s)->ssl);
	set_unref((*s)->set);
	free(*s);
	*s = NULL;
}

void tls_stream_feed(struct tls_stream *s, struct span cipher)
{
	s->in = cipher;
}

struct span tls_stream_left(const struct tls_stream *s)
{
	return s->in;
}

bool tls_stream_pending(const struct tls_stream *s)
{
	return SSL_pending(s->ssl) > 0;
}

/* `rc`: what the SSL_ function returned, 1 for success. */
static enum tls_step stream_step(struct tls_stream *s, int rc)
{
	s->out = NULL;
	if (rc == 1)
		return TLS_OK;
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ: return TLS_MORE;
	case SSL_ERROR_ZERO_RETURN: return TLS_EOF;
	default: break;
	}
	unsigned long e = ERR_peek_error();
	const char *reason = e == 0 ? NULL : ERR_reason_error_string(e);
	s->error = reason == NULL ? "protocol error" : reason;
	s->broken = true;
	ERR_clear_error();
	return TLS_BAD;
}

enum tls_step tls_stream_handshake(struct tls_stream *s, struct buf *out)
{
	ERR_clear_error();
	s->out = out;
	return stream_step(s, SSL_do_handshake(s->ssl));
}

enum tls_step tls_stream_read(struct tls_stream *s, void *at, size_t bytes, size_t *ret,
			      struct buf *out)
{
	size_t got = 0;
	int rc = 1;

	ERR_clear_error();
	s->out = out;
	while (got < bytes) { /* one record at a time */
		size_t n = 0;

		rc = SSL_read_ex(s->ssl, (char *)at + got, bytes - got, &n);
		if (rc != 1)
			break;
		got += n;
	}
	if (got == 0)
		return stream_step(s, rc);
	ERR_clear_error(); /* an error is met again by the next call */
	s->out = NULL;
	*ret = got;
	return TLS_OK;
}

enum tls_step tls_stream_write(struct tls_stream *s, struct span plain, struct buf *out)
{
	size_t n;

	if (plain.bytes == 0)
		return TLS_OK;
	ERR_clear_error();
	s->out = out;
	enum tls_step step = stream_step(s, SSL_write_ex(s->ssl, plain.at, plain.bytes, &n));
	assert(step != TLS_OK || n == plain.bytes); /* T2 */
	return step == TLS_OK ? TLS_OK : TLS_BAD;
}

void tls_stream_close(struct tls_stream *s, struct buf *out)
{
	if (s->broken || !SSL_is_init_finished(s->ssl))
		return;
	ERR_clear_error();
	s->out = out;
	SSL_shutdown(s->ssl);
	s->out = NULL;
	ERR_clear_error();
}

/* ---- facts ---- */

const char *tls_stream_version(const struct tls_stream *s)
{
	return SSL_get_version(s->ssl);
}

const char *tls_stream_cipher(const struct tls_stream *s)
{
	return SSL_get_cipher_name(s->ssl);
}

const char *tls_stream_error(const struct tls_stream *s)
{
	return s->error == NULL ? "none" : s->error;
}

/* A name with a NUL inside is a name that somebody wants us to misread. */
static int put_name(struct buf *b, const unsigned char *at, int bytes)
{
	if (bytes <= 0 || memchr(at, '\0', (size_t)bytes) != NULL)
		return ERR_NOT_FOUND;
	buf_put(b, at, (size_t)bytes);
	return OK;
}

/* ERR_BAD_INPUT: there is no rfc822Name at all. */
static int identity_from_email(X509 *cert, struct buf *ret)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int rc = ERR_BAD_INPUT;

	for (int i = 0; rc == ERR_BAD_INPUT && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_EMAIL)
			rc = put_name(ret, ASN1_STRING_get0_data(name->d.rfc822Name),
				      ASN1_STRING_length(name->d.rfc822Name));
	}
	GENERAL_NAMES_free(names);
	return rc;
}

static int identity_from_cn(X509 *cert, struct buf *ret)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;

	if (at < 0)
		return ERR_NOT_FOUND;
	const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, at);
	int bytes = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
	int rc = put_name(ret, text, bytes);
	OPENSSL_free(text);
	return rc;
}

int tls_stream_identity(const struct tls_stream *s, struct buf *ret)
{
	X509 *cert = SSL_get0_peer_certificate(s->ssl);

	if (cert == NULL || SSL_get_verify_result(s->ssl) != X509_V_OK)
		return ERR_NOT_FOUND;
	int rc = identity_from_email(cert, ret);
	return rc == ERR_BAD_INPUT ? identity_from_cn(cert, ret) : rc;
}

static int binding_exporter(SSL *ssl, struct buf *ret)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char value[32];

	/* RFC 9266 4: in TLS 1.2 only with the extended master secret. */
	if (SSL_version(ssl) != TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
		return ERR_UNSUPPORTED;
	if (SSL_export_keying_material(ssl, value, sizeof(value), label, sizeof(label) - 1,
				       (const unsigned char *)"", 0, 1) != 1)
		return ERR_UNSUPPORTED;
	buf_put(ret, value, sizeof(value));
	return OK;
}

/* The first Finished message of the handshake: the client's, or ours if a session was resumed. */
static int binding_unique(SSL *ssl, struct buf *ret)
{
	unsigned char value[EVP_MAX_MD_SIZE];

	if (SSL_version(ssl) != TLS1_2_VERSION || SSL_get_extms_support(ssl) != 1)
		return ERR_UNSUPPORTED;
	size_t bytes = SSL_session_reused(ssl) ? SSL_get_finished(ssl, value, sizeof(value))
					       : SSL_get_peer_finished(ssl, value, sizeof(value));
	if (bytes == 0 || bytes > sizeof(value))
		return ERR_UNSUPPORTED;
	buf_put(ret, value, bytes);
	return OK;
}

static int binding_end_point(SSL *ssl, struct buf *ret)
{
	X509 *cert = SSL_get_certificate(ssl);
	unsigned char value[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;
	int digest = NID_undef;

	if (cert == NULL || X509_get_signature_info(cert, &digest, NULL, NULL, NULL) != 1 ||
	    digest == NID_undef)
		return ERR_UNSUPPORTED; /* RFC 5929 4.1: undefined, e.g. for Ed25519 */
	if (digest == NID_md5 || digest == NID_sha1)
		digest = NID_sha256;
	const EVP_MD *md = EVP_get_digestbynid(digest);
	if (md == NULL || X509_digest(cert, md, value, &bytes) != 1)
		return ERR_UNSUPPORTED;
	buf_put(ret, value, bytes);
	return OK;
}

int tls_stream_binding(const struct tls_stream *s, enum tls_binding kind, struct buf *ret)
{
	switch (kind) {
	case TLS_BINDING_EXPORTER: return binding_exporter(s->ssl, ret);
	case TLS_BINDING_UNIQUE: return binding_unique(s->ssl, ret);
	case TLS_BINDING_END_POINT: return binding_end_point(s->ssl, ret);
	}
	return ERR_UNSUPPORTED;
}
