/* session.c: the life of a session: from the greeting to the last thing it waited for, its states,
 * its moves between loops, its end. Reading and running commands: pipeline.c. */
#include "server/session/session.h"

#include "server/config/config.h"
#include "server/session/session_metrics.h"
#include "server/session/sync.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>

#define BIT(n) (1u << (n))

static const struct state_def {
	const char *name;
	unsigned next;
} states[SESSION_STATES] = {
	[SESSION_NOT_AUTH] = { "not-auth", BIT(SESSION_AUTH) | BIT(SESSION_LOGOUT) },
	[SESSION_AUTH] = { "auth", BIT(SESSION_SELECTED) | BIT(SESSION_LOGOUT) },
	[SESSION_SELECTED] = { "selected", BIT(SESSION_AUTH) | BIT(SESSION_LOGOUT) },
	[SESSION_LOGOUT] = { "logout", 0 },
};

static struct session *session_of_conn(struct conn *c)
{
	struct session *s = conn_data(c);

	assert(s != NULL && s->magic == SESSION_MAGIC);
	return s;
}

bool session_ok(const struct session *s)
{
	return (s->state == SESSION_SELECTED) == session_is_selected(s) &&
	       (s->command != NULL || (s->op_then == NULL && s->read_then == NULL)) &&
	       (s->account != NULL || s->state == SESSION_NOT_AUTH || s->state == SESSION_LOGOUT);
}

void session_move(struct session *s, enum session_state to)
{
	assert(states[s->state].next & BIT(to));
	log_debug("session state", LOG_SESSION(s->id), LOG_STR("from", states[s->state].name),
		  LOG_STR("to", states[to].name), LOG_END);
	s->state = to;
	assert(session_ok(s));
}

/* ---- memory ---- */

void session_free_if_done(struct session *s)
{
	if (s->conn != NULL || front_client_is_busy(&s->client))
		return;
	session_drop_command(s);
	if (session_is_selected(s))
		session_unselect(s);
	front_client_done(&s->client);
	session_metrics_sessions(s->service->metrics, -1);
	g_free(s->account);
	s->magic = 0;
	g_free(s);
}

/* ---- opening ---- */

static void greet(struct session *s)
{
	struct buf code = { 0 };
	const struct config *config = front_config(s->client.front);
	const char *host = config != NULL && config->hostname != NULL ? config->hostname : "";
	struct buf text = { 0 };

	buf_puts(&code, "CAPABILITY ");
	s->service->put_capabilities(s, &code);
	buf_printf(&text, "%s%sTidemark ready", host, *host != '\0' ? " " : "");
	buf_putc(&text, '\0');
	response_status_code(conn_out(s->conn), (struct span){ 0 }, RESPONSE_OK, buf_span(&code),
			     text.at);
	buf_free(&text);
	buf_free(&code);
}

static void on_open(struct conn *c)
{
	struct front *front = front_of(conn_loop(c));
	struct session *s = g_new0(struct session, 1);
	char peer[CONN_ADDRESS_BYTES];

	s->magic = SESSION_MAGIC;
	s->id = front_draw_session_id(front);
	s->service = conn_data(c);
	s->loop = conn_loop(c);
	imap_parser_init(&s->parser);
	conn_set_data(c, s);
	front_client_init(&s->client, front, &session_client_ops, client_id_draw());
	s->conn = c;
	conn_set_input_max(c, SESSION_LOGIN_INPUT_MAX_BYTES);
	s->parser.literal_max_bytes = SESSION_LOGIN_LITERAL_MAX_BYTES;
	session_metrics_sessions(s->service->metrics, 1);
	log_debug("connection opened", LOG_SESSION(s->id), LOG_STR("peer", conn_peer(c, peer)),
		  LOG_END);
	if (s->stopping) {
		session_bye(s, "UNAVAILABLE", "The server is stopping");
		return;
	}
	greet(s);
	session_set_deadline(s);
}

/* ---- the connection's other news ---- */

static void on_input(struct conn *c)
{
	session_drive(session_of_conn(c));
}

static void on_eof(struct conn *c)
{
	session_drive(session_of_conn(c));
}

static void on_tls(struct conn *c)
{
	struct session *s = session_of_conn(c);

	imap_parser_init(&s->parser);
	s->parser.literal_max_bytes = SESSION_LOGIN_LITERAL_MAX_BYTES;
	session_drive(s);
}

static void on_drained(struct conn *c)
{
	struct session *s = session_of_conn(c);

	session_give_owed_credits(s);
	if (s->changed_then != NULL && !session_is_dead(s))
		s->changed_then(s, s->command); /* it waited for room */
	session_drive(s);
}

static void on_deadline(struct conn *c)
{
	struct session *s = session_of_conn(c);

	if (s->state == SESSION_NOT_AUTH)
		session_bye(s, NULL, "Too long without logging in");
	else if (!imap_parser_is_idle(&s->parser))
		session_bye(s, NULL, "Too long without the rest of the command");
	else
		session_bye(s, NULL, "Autologout: idle for too long");
}

static void on_moved(struct conn *c)
{
	struct session *s = session_of_conn(c);
	plain_then *then = s->moved_then;

	s->moving = false;
	s->moved_then = NULL;
	s->loop = conn_loop(c);
	front_client_enter(&s->client, front_of(s->loop));
	if (!session_is_dead(s))
		then(s, s->command);
	session_drive(s);
}

static void on_closed(struct conn *c, enum conn_end why)
{
	struct session *s = session_of_conn(c);
	char peer[CONN_ADDRESS_BYTES];

	log_debug("connection closed", LOG_SESSION(s->id), LOG_STR("why", conn_end_name(why)),
		  LOG_STR("peer", conn_peer(c, peer)), LOG_END);
	s->conn = NULL;
	s->loop = conn_loop(c);
	s->moving = false;
	if (session_is_reading(s))
		session_cancel_read(s);
	session_free_if_done(s);
}

const struct conn_handler imap_handler = {
	.on_open = on_open,
	.on_input = on_input,
	.on_eof = on_eof,
	.on_tls = on_tls,
	.on_drained = on_drained,
	.on_deadline = on_deadline,
	.on_moved = on_moved,
	.on_closed = on_closed,
};

void session_set_deadline(struct session *s)
{
	const struct config *config;
	uint64_t ms;

	if (session_is_dead(s) || s->moving)
		return;
	config = front_config(s->client.front);
	if (s->input == INPUT_BUSY)
		ms = 0; /* ops and reads have deadlines of their own */
	else if (s->state == SESSION_NOT_AUTH)
		ms = config != NULL ? config->limits.login_ms
				    : SESSION_AUTH_IDLE_MAX_SECONDS * 1000u;
	else if (!imap_parser_is_idle(&s->parser))
		ms = SESSION_LITERAL_STALL_MAX_SECONDS * 1000u;
	else
		ms = config != NULL ? config->limits.idle_ms : SESSION_IDLE_MAX_SECONDS * 1000u;
	conn_set_deadline(s->conn, ms);
}

/* ---- who and what ---- */

void session_enter_account(struct session *s, struct span account)
{
	char peer[CONN_ADDRESS_BYTES];

	assert(s->account == NULL);
	s->account = g_strndup(account.at, account.bytes);
	conn_set_input_max(s->conn, CONN_INPUT_MAX_BYTES);
	s->parser.literal_max_bytes = SESSION_LITERAL_MAX_BYTES;
	session_move(s, SESSION_AUTH);
	log_info("logged in", LOG_SESSION(s->id), LOG_STR("account", s->account),
		 LOG_STR("peer", conn_peer(s->conn, peer)), LOG_END);
}

void session_go_home(struct session *s, plain_then *then)
{
	const struct front_options *o = front_options(s->client.front);
	int owner = router_owner_loop(front_router(s->client.front), s->account);

	if (owner < 0 || (unsigned)owner >= o->loop_count ||
	    (unsigned)owner == loop_index(s->loop)) {
		then(s, s->command);
		return;
	}
	s->moving = true;
	s->moved_then = then;
	front_client_leave(&s->client);
	conn_move(s->conn, o->loops[owner]);
}

void session_select(struct session *s, mailbox_id m, struct span name, bool read_only)
{
	assert(!session_is_selected(s));
	s->selected = (struct selected){ 0 };
	s->selected.mailbox = m;
	s->selected.name = g_strndup(name.at, name.bytes);
	s->selected.read_only = read_only;
	session_move(s, SESSION_SELECTED);
	session_metrics_selected(s->service->metrics, 1);
}

void session_unselect(struct session *s)
{
	front_unwatch(&s->client);
	view_free(&s->selected.view);
	uidset_free(&s->selected.recent);
	uidset_free(&s->saved);
	uidset_free(&s->sync.recent);
	g_free(s->selected.name);
	s->selected = (struct selected){ 0 };
	session_metrics_selected(s->service->metrics, -1);
	if (s->state == SESSION_SELECTED)
		session_move(s, SESSION_AUTH);
}

void session_become_aware(struct session *s)
{
	if (s->aware)
		return;
	s->aware = true;
	if (session_is_selected(s))
		response_ok_number(session_out(s), "HIGHESTMODSEQ", view_told(&s->selected.view).v,
				   "Highest");
}

/* ---- the end ---- */

void session_bye(struct session *s, const char *code, const char *text)
{
	if (session_is_dead(s))
		return;
	if (!s->mid_fetch) /* inside a literal nothing can be said */
		response_status(conn_out(s->conn), (struct span){ 0 }, RESPONSE_BYE, code, text);
	log_info("said good-bye", LOG_SESSION(s->id), LOG_STR("account", s->account),
		 LOG_STR("why", text), LOG_END);
	session_metrics_bye(s->service->metrics);
	if (session_is_selected(s))
		session_unselect(s);
	session_move(s, SESSION_LOGOUT);
	conn_close(s->conn);
}

void session_on_stop(struct front_client *k)
{
	struct session *s = (struct session *)((char *)k - offsetof(struct session, client));

	s->stopping = true;
	if (s->conn != NULL && s->input != INPUT_BUSY)
		session_bye(s, "UNAVAILABLE", "The server is stopping");
}

bool session_ends_with(struct session *s, Tm__Outcome outcome, bool of_selected)
{
	if (outcome == TM__OUTCOME__UNKNOWN_FATE) {
		session_bye(s, "UNAVAILABLE",
			    "What became of the command is not known: please look");
		return true;
	}
	if (of_selected &&
	    (outcome == TM__OUTCOME__NO_MAILBOX || outcome == TM__OUTCOME__NO_ACCOUNT)) {
		session_bye(s, NULL, "The mailbox was deleted");
		return true;
	}
	return false;
}
