/* cmd_auth.c: LOGIN and AUTHENTICATE: server/auth does it, here are its questions and answers. */
#include "server/auth/auth.h"
#include "server/command/commands.h"
#include "storage/base/limits.h"

#include <string.h>

struct auth_state {
	struct session *session;
	struct auth_attempt *attempt; /* NULL: not begun, or over */
	struct auth_peer peer;
	char address[CONN_ADDRESS_BYTES];
	bool wipe; /* the arguments hold a password */
};

static const struct {
	enum response_status status;
	const char *code, *text;
} answers[] = {
	[AUTH_DONE] = { RESPONSE_OK, NULL, "Logged in" },
	[AUTH_FAILED] = { RESPONSE_NO, "AUTHENTICATIONFAILED", "Authentication failed" },
	[AUTH_NOT_ALLOWED] = { RESPONSE_NO, "AUTHORIZATIONFAILED", "You may not act as another" },
	[AUTH_UNAVAILABLE] = { RESPONSE_NO, "UNAVAILABLE", "Accounts cannot be read now" },
	[AUTH_MALFORMED] = { RESPONSE_BAD, NULL, "The response is malformed" },
	[AUTH_CANCELLED] = { RESPONSE_BAD, NULL, "Authentication cancelled" },
	[AUTH_UNSUPPORTED] = { RESPONSE_NO, "CANNOT", "This mechanism is not offered" },
	[AUTH_NEEDS_TLS] = { RESPONSE_NO, "PRIVACYREQUIRED", "Not without TLS" },
};

static void wipe(struct span secret)
{
	if (secret.at != NULL)
		explicit_bzero((void *)(uintptr_t)secret.at, secret.bytes);
}

static void release(struct session *s, struct command *c)
{
	struct auth_state *st = c->state;

	(void)s;
	auth_drop(&st->attempt);
	if (st->wipe)
		wipe(c->imap->u.login.password);
}

static void on_challenge(void *data, struct span base64)
{
	struct session *s = data;

	response_continue(session_out(s), base64);
	session_want_line(s, AUTH_LINE_MAX_BYTES);
}

static void on_done(void *data, enum auth_outcome outcome, struct span account, account_id id)
{
	struct session *s = data;
	struct auth_state *st = s->command->state;
	const char *code = answers[outcome].code;

	(void)id;
	st->attempt = NULL;
	if (outcome == AUTH_DONE) {
		session_enter_account(s, account);
		code = capabilities_code(s, s->command);
	}
	session_answer(s, answers[outcome].status, code, answers[outcome].text);
}

static struct auth_state *begin(struct session *s, struct command *c)
{
	struct auth_state *st = arena_zalloc(&c->arena, sizeof(*st));

	st->session = s;
	st->peer = (struct auth_peer){
		.front = s->client.front,
		.address = conn_peer_address(s->conn, st->address),
		.loopback = conn_is_loopback(s->conn),
		.tls = conn_tls(s->conn),
		.session = s->id,
	};
	c->state = st;
	c->release = release;
	return st;
}

void login_run(struct session *s, struct command *c)
{
	struct auth *auth = front_options(s->client.front)->auth;
	const struct args_login *a = &c->imap->u.login;
	struct auth_owner owner = { s, on_challenge, on_done };
	struct auth_state *st = begin(s, c);

	st->wipe = true;
	if (auth == NULL || !auth_allows_plaintext(auth, &st->peer)) {
		session_answer(s, RESPONSE_NO, "PRIVACYREQUIRED",
			       "LOGIN is not offered without TLS");
		return;
	}
	st->attempt = auth_login(auth, &st->peer, a->user, a->password, &owner);
}

void authenticate_run(struct session *s, struct command *c)
{
	struct auth *auth = front_options(s->client.front)->auth;
	const struct args_authenticate *a = &c->imap->u.authenticate;
	struct auth_owner owner = { s, on_challenge, on_done };
	struct auth_state *st = begin(s, c);
	struct span initial = { 0 };

	if (auth == NULL) {
		session_answer(s, RESPONSE_NO, "CANNOT", "Authentication is not offered");
		return;
	}
	if (a->has_initial)
		initial = a->initial.bytes > 0 ? a->initial : span_str("=");
	st->attempt = auth_start(auth, &st->peer, a->mechanism, initial, &owner);
}

void authenticate_line(struct session *s, struct command *c, struct span line)
{
	struct auth_state *st = c->state;

	(void)s;
	auth_respond(st->attempt, line);
	wipe(line);
}
