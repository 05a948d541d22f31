/* tls.h: TLS 1.2 and 1.3 for servers, over memory (no socket is touched here). The only folder
 * that uses OpenSSL's SSL_*. A struct tls is what the configuration says (certificates, client
 * CA) and can be reloaded; a struct tls_stream is one connection's state. */
#ifndef SERVER_NET_TLS_H
#define SERVER_NET_TLS_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls;
struct tls_stream;

struct tls_pair {
	const char *cert_file; /* PEM, the leaf first, then its chain */
	const char *key_file;  /* PEM */
};

struct tls_config {
	const struct tls_pair *pairs; /* the first serves names that no certificate has */
	size_t count;                 /* at least one */
	const char *client_ca_file;   /* PEM; NULL: no client certificate is asked for. Else one is
				       * asked for, verified if it comes, and not required */
	bool only_1_3;                /* TLS 1.2 is refused */
};

/* 0; ERR_BAD_INPUT: a file is missing or wrong, and `why` (one line, no secret) says which. The
 * files are read here, never later. On 0 *ret owns it: tls_free(). Thread: any. */
int tls_create(const struct tls_config *config, struct tls **ret, struct buf *why);
/* The same, into a live `t`: new handshakes use the new certificates, running connections keep the
 * old ones; on error all stays as it was. Thread: any. */
int tls_reload(struct tls *t, const struct tls_config *config, struct buf *why);
/* Streams may outlive it. Accepts NULL, leaves NULL. */
void tls_free(struct tls **t);

/* Write a key (P-256, mode 0600) and a certificate of its own for `names` (DNS names or addresses;
 * the first is the CN), valid for ten years, if `cert_file` is not there yet. 0, or ERR_IO.
 * For trying out on loopback. */
int tls_make_self_signed(const char *cert_file, const char *key_file, const char *const *names,
			 size_t count);

/* ---- one connection; thread: whoever owns the connection at the time ---- */

/* Never NULL. */
struct tls_stream *tls_stream_new(struct tls *t);
void tls_stream_free(struct tls_stream **s);

enum tls_step {
	TLS_OK,   /* did something: ask again */
	TLS_MORE, /* needs more from the peer */
	TLS_EOF,  /* the peer said close_notify */
	TLS_BAD,  /* broken: send what is in `out` (an alert) and close */
};

/* What came from the socket. The bytes must stay until they are used up (tls_stream_left) or
 * another span is given. */
void tls_stream_feed(struct tls_stream *s, struct span cipher);
/* What of it was not used yet. */
struct span tls_stream_left(const struct tls_stream *s);
/* Drive the handshake; OK: it is done. What must be sent is added to `out`. */
enum tls_step tls_stream_handshake(struct tls_stream *s, struct buf *out);
/* Decrypt up to `bytes`; OK: *ret of them, at least one. `out`: alerts, key updates. */
enum tls_step tls_stream_read(struct tls_stream *s, void *at, size_t bytes, size_t *ret,
			      struct buf *out);
/* Encrypt all of `plain` to `out`. OK or BAD. */
enum tls_step tls_stream_write(struct tls_stream *s, struct span plain, struct buf *out);
/* Our close_notify. */
void tls_stream_close(struct tls_stream *s, struct buf *out);
/* Decrypted bytes are held that tls_stream_read() would give without new input. */
bool tls_stream_pending(const struct tls_stream *s);

/* ---- facts, after the handshake ---- */

const char *tls_stream_version(const struct tls_stream *s); /* "TLSv1.3" */
const char *tls_stream_cipher(const struct tls_stream *s);
/* The verified client certificate's first rfc822Name, else its CN, for SASL EXTERNAL.
 * 0, or ERR_NOT_FOUND: no certificate, or neither in it, or a NUL in it. */
int tls_stream_identity(const struct tls_stream *s, struct buf *ret);
/* Why the last step was BAD; a constant or OpenSSL's text for the log. */
const char *tls_stream_error(const struct tls_stream *s);

enum tls_binding {
	TLS_BINDING_EXPORTER, /* RFC 9266 */
	TLS_BINDING_UNIQUE,   /* RFC 5929 3; only TLS 1.2 with extended master secret */
	TLS_BINDING_END_POINT /* RFC 5929 4: tls-server-end-point */
};
/* Channel binding data for SCRAM-*-PLUS. 0, or ERR_UNSUPPORTED. */
int tls_stream_binding(const struct tls_stream *s, enum tls_binding kind, struct buf *ret);

#endif
