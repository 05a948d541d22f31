#include "server/auth/sasl.h"

#include "server/auth/account_name.h"
#include "server/auth/base64.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#define SASL_MAGIC 0x5a51ab1eu

struct sasl {
	uint32_t magic;
	enum auth_mechanism mechanism;
	Gsasl_session *session;
	bool plus_offered;
	bool prompted; /* LOGIN: the server has asked for the name */
	bool accept;
	bool has_verifier;
	struct scram_verifier verifier;
	struct buf identity; /* EXTERNAL */
};

/* ---- GNU SASL asks ---- */

static void give_base64(Gsasl_session *session, Gsasl_property p, const void *at, size_t bytes)
{
	struct buf text = { 0 };

	base64_put(&text, span_of(at, bytes));
	buf_putc(&text, '\0');
	(void)gsasl_property_set(session, p, text.at);
	OPENSSL_cleanse(text.at, text.bytes);
	buf_free(&text);
}

static int give_iterations(Gsasl_session *session, const struct sasl *s)
{
	struct buf text = { 0 };

	buf_put_u64(&text, s->verifier.iterations);
	buf_putc(&text, '\0');
	(void)gsasl_property_set(session, GSASL_SCRAM_ITER, text.at);
	buf_free(&text);
	return GSASL_OK;
}

/* PLAIN and LOGIN: the work is done also when nothing will be right (A2). */
static int check_password(Gsasl_session *session, const struct sasl *s)
{
	const char *password = gsasl_property_fast(session, GSASL_PASSWORD);

	if (password == NULL)
		return GSASL_AUTHENTICATION_ERROR;
	bool right = scram_check_password(&s->verifier, span_str(password));
	return right && s->accept ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

/* The properties have too many names for a switch without default. */
static int on_property(Gsasl *ctx, Gsasl_session *session, Gsasl_property p)
{
	const struct sasl *s = session == NULL ? NULL : gsasl_session_hook_get(session);
	(void)ctx;

	if (s == NULL || !s->has_verifier)
		return GSASL_NO_CALLBACK;
	assert(s->magic == SASL_MAGIC);
	const struct scram_verifier *v = &s->verifier;
	if (p == GSASL_VALIDATE_SIMPLE)
		return check_password(session, s);
	if (p == GSASL_VALIDATE_EXTERNAL)
		return s->accept ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
	if (p == GSASL_SCRAM_ITER)
		return give_iterations(session, s);
	if (p == GSASL_SCRAM_SALT)
		give_base64(session, p, v->salt, v->salt_bytes);
	else if (p == GSASL_SCRAM_STOREDKEY)
		give_base64(session, p, v->stored_key, scram_key_bytes(v->hash));
	else if (p == GSASL_SCRAM_SERVERKEY)
		give_base64(session, p, v->server_key, scram_key_bytes(v->hash));
	else
		return GSASL_NO_CALLBACK;
	return GSASL_OK;
}

Gsasl *sasl_context(void)
{
	Gsasl *ctx = NULL;

	if (gsasl_init(&ctx) != GSASL_OK)
		return NULL;
	gsasl_callback_set(ctx, on_property);
	return ctx;
}

/* ---- life ---- */

static const char *gsasl_name(enum auth_mechanism m)
{
	switch (m) {
	case AUTH_PLAIN: return "PLAIN";
	case AUTH_LOGIN: return "LOGIN";
	case AUTH_SCRAM_SHA_1: return "SCRAM-SHA-1";
	case AUTH_SCRAM_SHA_256: return "SCRAM-SHA-256";
	case AUTH_SCRAM_SHA_256_PLUS: return "SCRAM-SHA-256-PLUS";
	case AUTH_EXTERNAL: return "EXTERNAL";
	case AUTH_ALL: break;
	}
	return "";
}

int sasl_open(Gsasl *ctx, const struct sasl_options *o, struct sasl **ret)
{
	struct sasl *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	*s = (struct sasl){ .magic = SASL_MAGIC,
			    .mechanism = o->mechanism,
			    .plus_offered = o->plus_offered };
	if (gsasl_server_start(ctx, gsasl_name(o->mechanism), &s->session) != GSASL_OK) {
		free(s);
		return ERR_UNSUPPORTED;
	}
	gsasl_session_hook_set(s->session, s);
	if (o->exporter != NULL)
		(void)gsasl_property_set(s->session, GSASL_CB_TLS_EXPORTER, o->exporter);
	if (o->unique != NULL)
		(void)gsasl_property_set(s->session, GSASL_CB_TLS_UNIQUE, o->unique);
	if (o->identity != NULL)
		buf_puts(&s->identity, o->identity);
	*ret = s;
	return OK;
}

void sasl_close(struct sasl **s)
{
	if (*s == NULL)
		return;
	gsasl_finish((*s)->session);
	buf_free(&(*s)->identity);
	OPENSSL_cleanse(*s, sizeof(**s));
	free(*s);
	*s = NULL;
}

bool sasl_server_first(const struct sasl *s)
{
	return s->mechanism == AUTH_LOGIN;
}

enum scram_hash sasl_hash(const struct sasl *s)
{
	return s->mechanism == AUTH_SCRAM_SHA_1 ? SCRAM_SHA_1 : SCRAM_SHA_256;
}

void sasl_set_verifier(struct sasl *s, const struct scram_verifier *v, bool accept)
{
	s->verifier = *v;
	s->accept = accept;
	s->has_verifier = true;
}

/* ---- who is it? ---- */

/* Two spellings of one account. */
static bool same_account(struct span a, struct span b)
{
	struct buf x = { 0 }, y = { 0 };

	bool same = account_name_normalise(a, &x) == OK && account_name_normalise(b, &y) == OK &&
		    span_eq(buf_span(&x), buf_span(&y));
	buf_free(&x);
	buf_free(&y);
	return same;
}

/* Nobody acts for another, so an authorization identity can only repeat the name. */
static int allow_authzid(struct span authzid, struct span name)
{
	return authzid.bytes == 0 || same_account(authzid, name) ? OK : ERR_DENIED;
}

/* What is before the next `end`; *rest is what follows it. False: there is none. */
static bool take_until(struct span *rest, char end, struct span *ret)
{
	const char *p = rest->bytes == 0 ? NULL : memchr(rest->at, end, rest->bytes);

	if (p == NULL)
		return false;
	*ret = span_of(rest->at, (size_t)(p - rest->at));
	*rest = span_of(p + 1, rest->bytes - ret->bytes - 1);
	return true;
}

/* RFC 4616: [authzid] NUL authcid NUL password */
static int plain_name(struct span response, struct buf *name)
{
	struct span authzid, authcid, rest = response;

	if (!take_until(&rest, '\0', &authzid) || !take_until(&rest, '\0', &authcid) ||
	    authcid.bytes == 0 || rest.bytes == 0 || memchr(rest.at, '\0', rest.bytes) != NULL)
		return ERR_BAD_INPUT;
	int rc = allow_authzid(authzid, authcid);
	if (rc == OK)
		buf_put_span(name, authcid);
	return rc;
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, and no other equals sign may stand there. */
static int take_saslname(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.bytes; i++) {
		char c = text.at[i];
		if (c == '\0')
			return ERR_BAD_INPUT;
		if (c != '=') {
			buf_putc(out, c);
			continue;
		}
		struct span code = span_of(text.at + i + 1, text.bytes - i - 1);
		if (code.bytes < 2)
			return ERR_BAD_INPUT;
		code.bytes = 2;
		if (!span_is(code, "2C") && !span_is(code, "3D"))
			return ERR_BAD_INPUT;
		buf_putc(out, span_is(code, "2C") ? ',' : '=');
		i += 2;
	}
	return OK;
}

/* The part of the gs2-header before its first comma: n, y or p=NAME (RFC 5802, 6). */
static int check_binding_flag(const struct sasl *s, struct span flag)
{
	bool plus = s->mechanism == AUTH_SCRAM_SHA_256_PLUS;

	if (flag.bytes > 2 && flag.at[0] == 'p' && flag.at[1] == '=')
		return plus ? OK : ERR_BAD_INPUT;
	if (flag.bytes != 1 || (flag.at[0] != 'n' && flag.at[0] != 'y') || plus)
		return ERR_BAD_INPUT;
	/* It thinks that we can not bind channels, although we said so: somebody took it out. */
	bool same_hash = s->mechanism == AUTH_SCRAM_SHA_256;
	return flag.at[0] == 'y' && same_hash && s->plus_offered ? ERR_DENIED : OK;
}

/* RFC 5802, 7: gs2-cbind-flag "," ["a=" saslname] "," "n=" saslname "," ... */
static int scram_name(const struct sasl *s, struct span response, struct buf *name)
{
	struct span flag, authzid, user, rest = response;
	struct buf other = { 0 };

	if (!take_until(&rest, ',', &flag) || !take_until(&rest, ',', &authzid) ||
	    !take_until(&rest, ',', &user) || user.bytes <= 2 || memcmp(user.at, "n=", 2) != 0)
		return ERR_BAD_INPUT;
	if (authzid.bytes != 0 && (authzid.bytes <= 2 || memcmp(authzid.at, "a=", 2) != 0))
		return ERR_BAD_INPUT;
	int rc = check_binding_flag(s, flag);
	size_t before = name->bytes;
	if (rc == OK)
		rc = take_saslname(span_of(user.at + 2, user.bytes - 2), name);
	if (rc == OK && authzid.bytes != 0)
		rc = take_saslname(span_of(authzid.at + 2, authzid.bytes - 2), &other);
	if (rc == OK)
		rc = allow_authzid(buf_span(&other),
				   span_of(name->at + before, name->bytes - before));
	if (rc < 0)
		name->bytes = before;
	buf_free(&other);
	return rc;
}

/* RFC 4422, appendix A: the response is the authorization identity, or empty. */
static int external_name(const struct sasl *s, struct span response, struct buf *name)
{
	if (response.bytes != 0 && memchr(response.at, '\0', response.bytes) != NULL)
		return ERR_BAD_INPUT;
	int rc = allow_authzid(response, buf_span(&s->identity));
	if (rc == OK)
		buf_put_span(name, buf_span(&s->identity));
	return rc;
}

static int login_name(const struct sasl *s, struct span response, struct buf *name)
{
	if (!s->prompted)
		return ERR_MISSING;
	if (response.bytes == 0 || memchr(response.at, '\0', response.bytes) != NULL)
		return ERR_BAD_INPUT;
	buf_put_span(name, response);
	return OK;
}

int sasl_name(struct sasl *s, struct span response, struct buf *name)
{
	assert(s->magic == SASL_MAGIC && !s->has_verifier);
	switch (s->mechanism) {
	case AUTH_PLAIN: return plain_name(response, name);
	case AUTH_LOGIN: return login_name(s, response, name);
	case AUTH_SCRAM_SHA_1:
	case AUTH_SCRAM_SHA_256:
	case AUTH_SCRAM_SHA_256_PLUS: return scram_name(s, response, name);
	case AUTH_EXTERNAL: return external_name(s, response, name);
	case AUTH_ALL: break;
	}
	return ERR_UNSUPPORTED;
}

/* ---- a step ---- */

static enum sasl_result result_of(int rc)
{
	switch (rc) {
	case GSASL_OK: return SASL_DONE;
	case GSASL_NEEDS_MORE: return SASL_MORE;
	case GSASL_MECHANISM_PARSE_ERROR: return SASL_MALFORMED;
	default: return SASL_FAILED;
	}
}

/* GNU SASL 2.2 prepares the password of PLAIN with characters forbidden that Unicode 3.2 did not
 * have (its GSASL_ALLOW_UNASSIGNED is inverted), and gives up; the message is sound, so look at it.
 */
static int plain_again(const struct sasl *s, struct span response)
{
	struct span authzid, authcid, rest = response;

	if (!take_until(&rest, '\0', &authzid) || !take_until(&rest, '\0', &authcid))
		return GSASL_MECHANISM_PARSE_ERROR;
	return scram_check_password(&s->verifier, rest) && s->accept ? GSASL_OK
								     : GSASL_AUTHENTICATION_ERROR;
}

enum sasl_result sasl_step(struct sasl *s, struct span response, struct buf *out)
{
	char *reply = NULL;
	size_t reply_bytes = 0;

	assert(s->magic == SASL_MAGIC);
	s->prompted = true;
	/* GNU SASL takes a NULL for "no response yet"; an empty one must not look like it. */
	const char *at = response.at == NULL ? "" : response.at;
	int rc = gsasl_step(s->session, at, response.bytes, &reply, &reply_bytes);
	if (rc == GSASL_SASLPREP_ERROR && s->mechanism == AUTH_PLAIN && s->has_verifier)
		rc = plain_again(s, response);
	if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE)
		buf_put(out, reply, reply == NULL ? 0 : reply_bytes);
	gsasl_free(reply);
	return result_of(rc);
}
