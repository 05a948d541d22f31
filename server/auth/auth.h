/* auth.h: who is this client? LOGIN, and AUTHENTICATE by SASL (RFC 3501 6.2, RFC 4422, 4959).
 *
 * In the flow: command -> [auth] -> account row by router_read() -> GNU SASL in a thread pool ->
 * the owner's callbacks. GNU SASL's callbacks are synchronous and the account may live on another
 * node, so the name is parsed here first, the account is read, and only then is a step run.
 *
 * One struct auth per process; an attempt lives on the loop of its connection and nowhere else.
 *
 * Invariants:
 *   A1  an attempt ends with exactly one done(), never from within a call of its owner; after
 *       auth_drop() with none.
 *   A2  what an observer sees of an unknown account (messages, salts, work) is what he sees of a
 *       known one with a wrong password.
 *   A3  passwords and keys are wiped when an attempt ends, and never logged. */
#ifndef SERVER_AUTH_AUTH_H
#define SERVER_AUTH_AUTH_H

#include "server/net/tls.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/base/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct auth;
struct auth_attempt;
struct front;
struct metrics;

/* Bits, as in server/config/config.h. */
enum auth_mechanism {
	AUTH_PLAIN = 1,
	AUTH_LOGIN = 2,
	AUTH_SCRAM_SHA_1 = 4,
	AUTH_SCRAM_SHA_256 = 8,
	AUTH_SCRAM_SHA_256_PLUS = 16,
	AUTH_EXTERNAL = 32,
	AUTH_ALL = 63,
};

struct auth_options {
	unsigned mechanisms;        /* enum auth_mechanism */
	bool plaintext_on_loopback; /* PLAIN, LOGIN without TLS from this machine */
	uint32_t iterations;        /* of new verifiers, and what unknown accounts seem to have */
	uint64_t failure_delay_ms;  /* server/auth/throttle.h */
	uint64_t failure_delay_max_ms;
	uint8_t secret[32];      /* the cluster's; the same on all nodes */
	unsigned threads;        /* of the pool */
	struct metrics *metrics; /* may be NULL */
};

/* On 0 *ret owns it: auth_free(), when no loop runs any more and before they are destroyed.
 * ERR_IO: no threads. Thread: main. */
int auth_create(const struct auth_options *o, struct auth **ret);
/* Accepts NULL, leaves NULL. */
void auth_free(struct auth **a);
/* A reload: mechanisms, plaintext_on_loopback, iterations and delays. Thread: any. */
void auth_reload(struct auth *a, const struct auth_options *o);

/* Where the client stands. All valid until the attempt has ended. */
struct auth_peer {
	struct front *front;          /* of the connection's loop */
	const char *address;          /* without the port: conn_peer_address() */
	bool loopback;                /* conn_is_loopback() */
	const struct tls_stream *tls; /* conn_tls(); NULL: no TLS */
	session_id session;           /* for the log */
};

/* What CAPABILITY says: append " AUTH=PLAIN AUTH=..." as it is for this client (EXTERNAL only with
 * a certificate, PLAIN and LOGIN only where plaintext is allowed). Thread: any. */
void auth_put_capabilities(const struct auth *a, const struct auth_peer *p, struct buf *out);
/* May passwords be sent in plain here? False: LOGINDISABLED, and LOGIN is NO [PRIVACYREQUIRED]. */
bool auth_allows_plaintext(const struct auth *a, const struct auth_peer *p);

enum auth_outcome {
	AUTH_DONE,        /* the client is `account` */
	AUTH_FAILED,      /* NO [AUTHENTICATIONFAILED] */
	AUTH_NOT_ALLOWED, /* NO [AUTHORIZATIONFAILED]: may not act as another */
	AUTH_UNAVAILABLE, /* NO [UNAVAILABLE]: the account could not be read now */
	AUTH_MALFORMED,   /* BAD: not base64, or not a message of the mechanism */
	AUTH_CANCELLED,   /* BAD: the client said "*" */
	AUTH_UNSUPPORTED, /* NO [CANNOT]: no such mechanism here */
	AUTH_NEEDS_TLS,   /* NO [PRIVACYREQUIRED] */
};

struct auth_owner {
	void *data;
	/* Send "+ ", `base64` (may be empty) and CRLF; what the client answers is for
	 * auth_respond(). */
	void (*challenge)(void *data, struct span base64);
	/* It ended; the attempt is gone. `account`: lower case, NFC; valid during the call only;
	 * empty unless AUTH_DONE. `id`: the account's in its partition. */
	void (*done)(void *data, enum auth_outcome outcome, struct span account, account_id id);
};

/* LOGIN. Never fails at once; `name` and `password` are copied. */
struct auth_attempt *auth_login(struct auth *a, const struct auth_peer *p, struct span name,
				struct span password, const struct auth_owner *owner);
/* AUTHENTICATE. `initial`: the argument as it came (base64, or "=" for an empty one); at == NULL:
 * there was none. */
struct auth_attempt *auth_start(struct auth *a, const struct auth_peer *p, struct span mechanism,
				struct span initial, const struct auth_owner *owner);
/* The line that answered a challenge, without CRLF, at most AUTH_LINE_MAX_BYTES. */
void auth_respond(struct auth_attempt *t, struct span line);
/* A line was longer than that, or the client said something else: ends as AUTH_MALFORMED. */
void auth_respond_too_long(struct auth_attempt *t);
/* The connection is gone: no done(). Accepts NULL, leaves NULL. */
void auth_drop(struct auth_attempt **t);

/* Make verifiers for a new password in the pool (admin). done() is called on the pool's thread.
 * ERR_BUSY: not now; done() is not called then. */
struct scram_verifiers;
int auth_make_verifiers(struct auth *a, struct span password,
			void (*done)(void *data, int err, const struct scram_verifiers *v),
			void *data);

#endif
