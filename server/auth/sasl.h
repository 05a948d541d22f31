/* sasl.h: one SASL exchange, step by step and synchronously: what GNU SASL does, plus the name of
 * the account, which is parsed here first because the account has to be read before a step needs
 * it (DESIGN.md, section 8). auth.c drives it.
 *
 *	sasl_open()
 *	for each response of the client:
 *		sasl_name()         on the loop, cheap: who is it? Known: read the account,
 *		sasl_set_verifier() give what it has
 *		sasl_step()         in the pool: milliseconds
 *
 * Thread: one at a time. */
#ifndef SERVER_AUTH_SASL_H
#define SERVER_AUTH_SASL_H

#include "server/auth/auth.h"
#include "server/auth/scram.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <gsasl.h>
#include <stdbool.h>

struct sasl;

struct sasl_options {
	enum auth_mechanism mechanism;
	/* Channel binding in base64, or NULL: not to be had on this connection. */
	const char *exporter;
	const char *unique;
	const char *identity; /* of the client certificate, for EXTERNAL */
	bool plus_offered;    /* SCRAM-SHA-256-PLUS was, too: "y" is a downgrade then */
};

/* The GNU SASL context that all exchanges of a process share. NULL: it can not be had. */
Gsasl *sasl_context(void);

/* `o` may go away afterwards. On 0 *ret owns it: sasl_close(). ERR_UNSUPPORTED. */
int sasl_open(Gsasl *ctx, const struct sasl_options *o, struct sasl **ret);
/* Wipes. Accepts NULL, leaves NULL. */
void sasl_close(struct sasl **s);

/* The server speaks first (LOGIN): step once with an empty response. */
bool sasl_server_first(const struct sasl *s);
enum scram_hash sasl_hash(const struct sasl *s); /* the verifier that it needs */

/* Look for the account's name in this response of the client. OK: it was appended to `name` as the
 * client wrote it. ERR_MISSING: not in this one. ERR_BAD_INPUT: not a message of the mechanism.
 * ERR_DENIED: it wants to act as somebody else, or talks down the channel binding. */
int sasl_name(struct sasl *s, struct span response, struct buf *name);

/* What the account has; `accept` false: nothing will be right (no such account). */
void sasl_set_verifier(struct sasl *s, const struct scram_verifier *v, bool accept);

enum sasl_result { SASL_MORE, SASL_DONE, SASL_FAILED, SASL_MALFORMED };
/* Append to `out` what the server says next. DONE may come with a last message (SCRAM). */
enum sasl_result sasl_step(struct sasl *s, struct span response, struct buf *out);

#endif
