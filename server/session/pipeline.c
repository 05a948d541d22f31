/* pipeline.c: the course of one command (IMAP.md, section 2): read, looked up in the table, checked
 * against the state, run, answered; then the next.
 *
 * session_drive() is the only loop. What a command starts (an op, a read) leaves input BUSY and the
 * loop; session_answer(), when it is called later, enters it again. Called from within it does
 * nothing, so the stack does not grow with pipelined commands. */
#include "server/session/session.h"
#include "server/session/session_metrics.h"
#include "server/session/sync.h"
#include "storage/base/clock.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"

#include <assert.h>
#include <glib.h>
#include <stdio.h>

/* ---- what the sessions of a loop share ---- */

enum { FREE_COMMANDS_MAX = 64 };

static void loop_stops(struct loop *l, void *data)
{
	struct session_loop *sl = data;

	while (sl->free != NULL) {
		struct command *c = sl->free;

		sl->free = c->next;
		arena_free(&c->arena);
		g_free(c);
	}
	uidset_free(&sl->sync_set);
	uidset_free(&sl->set);
	uidset_free(&sl->set2);
	buf_free(&sl->text);
	g_free(sl);
	loop_set_slot(l, LOOP_SLOT_COMMAND, NULL);
}

struct session_loop *session_loop_of(struct loop *l)
{
	struct session_loop *sl = loop_slot(l, LOOP_SLOT_COMMAND);

	if (sl == NULL) {
		sl = g_new0(struct session_loop, 1);
		loop_set_slot(l, LOOP_SLOT_COMMAND, sl);
		loop_on_stop(l, loop_stops, sl);
	}
	return sl;
}

struct session_loop *session_scratch(struct session *s)
{
	return session_loop_of(s->loop);
}

struct command *command_take(struct session_loop *l)
{
	struct command *c = l->free;

	if (c == NULL) {
		c = g_new0(struct command, 1);
		arena_init(&c->arena);
		return c;
	}
	l->free = c->next;
	l->free_count--;
	c->next = NULL;
	return c;
}

void command_give(struct session_loop *l, struct command *c)
{
	struct arena keep;

	if (l->free_count >= FREE_COMMANDS_MAX) {
		arena_free(&c->arena);
		g_free(c);
		return;
	}
	arena_reset(&c->arena);
	keep = c->arena;
	*c = (struct command){ .next = l->free, .arena = keep };
	l->free = c;
	l->free_count++;
}

char *command_text(struct command *c, const char *fmt, ...)
{
	va_list args, again;
	char *text;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	text = arena_alloc(&c->arena, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return text;
}

struct buf *session_out(struct session *s)
{
	return conn_out(s->conn);
}

void session_drop_command(struct session *s)
{
	struct command *c = s->command;

	if (c == NULL)
		return;
	if (c->release != NULL)
		c->release(s, c);
	s->command = NULL;
	s->changed_then = NULL;
	s->sync.skip = NULL;
	s->sync.before_rows = NULL;
	command_give(session_loop_of(s->loop), c);
}

/* ---- the end of a command ---- */

/* [HIGHESTMODSEQ T] has to be said with this tag (IMAP.md, section 1). */
static bool owes_highest(struct session *s, const struct command *c)
{
	struct selected *sel = &s->selected;

	if (!session_is_selected(s))
		return false;
	if (s->aware && sel->modseq_sent > view_told(&sel->view).v) {
		sel->owes_highest = true;
		return true;
	}
	if (sel->owes_highest && !view_holds(&sel->view)) {
		sel->owes_highest = false;
		return true;
	}
	return c->tells_highest;
}

static void put_tag(struct session *s, struct command *c)
{
	struct span tag = c->imap->tag;
	struct answer *a = &c->answer;

	if (owes_highest(s, c)) {
		uint64_t told = view_told(&s->selected.view).v;

		if (a->code.bytes == 0 && a->status == RESPONSE_OK)
			a->code = span_str(
				command_text(c, "HIGHESTMODSEQ %llu", (unsigned long long)told));
		else
			response_ok_number(session_out(s), "HIGHESTMODSEQ", told, "Highest");
	}
	response_status_code(session_out(s), tag, a->status, a->code, a->text);
}

static void finish(struct session *s, struct command *c)
{
	uint64_t ns = clock_boot_ns() - c->began_ns;
	enum response_status status = c->answer.status;

	assert(c == s->command && s->op_then == NULL && s->read_then == NULL);
	put_tag(s, c);
	session_metrics_command(s->service->metrics, c->imap->kind, status, ns);
	log_debug("command", LOG_SESSION(s->id), LOG_STR("name", command_kind_name(c->imap->kind)),
		  LOG_I64("status", status), LOG_SPAN("code", c->answer.code),
		  LOG_U64("us", ns / 1000), LOG_END);
	session_drop_command(s);
	s->input = INPUT_COMMAND;
	s->bad_commands = status == RESPONSE_BAD ? s->bad_commands + 1 : 0;
	if (s->bad_commands >= SESSION_BAD_COMMANDS_MAX)
		session_bye(s, NULL, "Too many commands that are none");
	else if (s->stopping)
		session_bye(s, "UNAVAILABLE", "The server is stopping");
	session_drive(s);
}

static void set_answer(struct command *c, enum response_status status, const char *code,
		       const char *text)
{
	assert(!c->ending);
	c->ending = true;
	c->answer =
		(struct answer){ status, code != NULL ? span_str(code) : (struct span){ 0 }, text };
}

void session_answer_now(struct session *s, enum response_status status, const char *code,
			const char *text)
{
	set_answer(s->command, status, code, text);
	finish(s, s->command);
}

void session_answer(struct session *s, enum response_status status, const char *code,
		    const char *text)
{
	struct command *c = s->command;

	set_answer(c, status, code, text);
	if (status != RESPONSE_BAD && c->tells != TELLS_NOTHING && !c->synced &&
	    session_is_selected(s))
		sync_now(s, finish);
	else
		finish(s, c);
}

/* ---- running ---- */

static void adopt(struct session *s, struct imap_command *imap)
{
	struct command *c = s->command;

	c->imap = imap;
	c->def = &s->service->commands[imap->kind];
	c->tells = imap->uid ? c->def->uid_tells : c->def->tells;
	c->began_ns = clock_boot_ns();
}

/* NULL: it may run in this state. */
static const char *state_fault(const struct session *s, const struct command *c)
{
	unsigned needs = c->def->needs;

	if ((needs & NEEDS_NOT_AUTH) != 0 && s->state != SESSION_NOT_AUTH)
		return "You are logged in already";
	if ((needs & (NEEDS_AUTH | NEEDS_SELECTED)) != 0 && s->state == SESSION_NOT_AUTH)
		return "Log in first";
	if ((needs & NEEDS_SELECTED) != 0 && s->state != SESSION_SELECTED)
		return "Select a mailbox first";
	return NULL;
}

static bool is_denied(const struct session *s, const struct command *c)
{
	return (c->def->needs & WRITES_SELECTED) != 0 && s->selected.read_only;
}

static void run(struct session *s)
{
	struct command *c = s->command;
	const char *fault = state_fault(s, c);

	s->input = INPUT_BUSY;
	if (fault != NULL)
		session_answer_now(s, RESPONSE_BAD, NULL, fault);
	else if (is_denied(s, c))
		session_answer(s, RESPONSE_NO, "READ-ONLY", "The mailbox is open read-only");
	else
		c->def->run(s, c);
}

/* ---- literals ---- */

void session_take_literal(struct session *s)
{
	imap_parser_accept(&s->parser);
	if (s->command->literal_waits)
		response_continue(session_out(s), span_str("OK"));
	s->input = INPUT_COMMAND;
	session_drive(s);
}

void session_refuse_literal(struct session *s, enum response_status status, const char *code,
			    const char *text)
{
	struct command *c = s->command;

	c->refused = true;
	c->answer =
		(struct answer){ status, code != NULL ? span_str(code) : (struct span){ 0 }, text };
	imap_parser_reject(&s->parser);
	s->input = INPUT_COMMAND;
	session_drive(s);
}

/* An argument may come if its command may; of a message APPEND says so itself. */
static void ask_literal(struct session *s, const struct append_message *message)
{
	struct command *c = s->command;
	const char *fault = state_fault(s, c);

	c->literal_waits = message == NULL || message->waits;
	s->input = INPUT_BUSY;
	if (fault != NULL)
		session_refuse_literal(s, RESPONSE_BAD, NULL, fault);
	else if (message != NULL)
		c->def->message_comes(s, c, message->bytes);
	else
		session_take_literal(s);
}

void session_pause_input(struct session *s)
{
	s->input = INPUT_BUSY;
	conn_pause_reading(s->conn);
}

void session_resume_input(struct session *s)
{
	s->input = INPUT_COMMAND;
	conn_resume_reading(s->conn);
	session_drive(s);
}

/* ---- reading ---- */

static void bad(struct session *s, struct imap_command *imap, const char *why)
{
	adopt(s, imap);
	s->input = INPUT_BUSY;
	session_answer_now(s, RESPONSE_BAD, NULL, why);
}

/* More would have to be thrown away than we do (IMAP.md, section 8). */
static void lost(struct session *s, const struct imap_input *in)
{
	struct command *c = s->command;

	if (c->refused)
		response_status_code(session_out(s), in->command->tag, c->answer.status,
				     c->answer.code, c->answer.text);
	else if (in->command != NULL)
		response_status(session_out(s), in->command->tag, RESPONSE_BAD, NULL, in->why);
	session_bye(s, "TOOBIG", in->why);
}

/* Nothing more can be parsed before more bytes come. */
static void wait_for_more(struct session *s)
{
	bool idle = imap_parser_is_idle(&s->parser);

	if (idle && conn_input(s->conn).bytes == 0 && !s->command->refused)
		session_drop_command(s);
	if (conn_input_ended(s->conn))
		conn_close(s->conn);
	else if (conn_input_is_full(s->conn))
		session_bye(s, NULL, "A command of this length is not taken");
}

static void on_event(struct session *s, enum imap_event e, const struct imap_input *in)
{
	struct command *c = s->command;

	if (e != IMAP_MESSAGE_BYTES)
		conn_consume(s->conn, in->consumed);
	switch (e) {
	case IMAP_MORE: wait_for_more(s); return;
	case IMAP_COMMAND:
		adopt(s, in->command);
		run(s);
		return;
	case IMAP_BAD: bad(s, in->command, in->why); return;
	case IMAP_LITERAL:
		adopt(s, in->command);
		ask_literal(s, NULL);
		return;
	case IMAP_MESSAGE: {
		const struct args_append *a = &in->command->u.append;

		adopt(s, in->command);
		ask_literal(s, &a->messages[a->count - 1]);
		return;
	}
	case IMAP_MESSAGE_BYTES:
		c->def->message(s, c, in->message, in->message_end);
		if (!session_is_dead(s))
			conn_consume(s->conn, in->consumed);
		return;
	case IMAP_REJECTED:
		adopt(s, in->command);
		assert(c->refused);
		s->input = INPUT_BUSY;
		c->ending = true;
		if (c->answer.status == RESPONSE_BAD || !session_is_selected(s))
			finish(s, c);
		else
			sync_now(s, finish);
		return;
	case IMAP_LOST: lost(s, in); return;
	}
	g_assert_not_reached();
}

/* True: there may be more to do. */
static bool read_command(struct session *s)
{
	struct span bytes = conn_input(s->conn);
	struct imap_input in = { 0 };
	enum imap_event e;

	if (s->command == NULL) {
		if (bytes.bytes == 0) {
			if (conn_input_ended(s->conn))
				conn_close(s->conn);
			return false;
		}
		if (s->stopping) {
			session_bye(s, "UNAVAILABLE", "The server is stopping");
			return false;
		}
		s->command = command_take(session_loop_of(s->loop));
	}
	e = imap_parser_next(&s->parser, bytes, &s->command->arena, &in);
	on_event(s, e, &in);
	return e != IMAP_MORE;
}

void session_want_line(struct session *s, size_t max_bytes)
{
	s->input = INPUT_LINE;
	s->line_max_bytes = max_bytes;
	session_drive(s);
}

static bool read_line(struct session *s)
{
	struct span line = { 0 };
	size_t consumed = 0;
	enum imap_event e = imap_parser_line(&s->parser, conn_input(s->conn), s->line_max_bytes,
					     &line, &consumed);

	if (e == IMAP_LOST) {
		session_bye(s, NULL, "A line of this length is not taken");
		return false;
	}
	if (e != IMAP_COMMAND) {
		if (conn_input_ended(s->conn))
			conn_close(s->conn);
		return false;
	}
	line = arena_copy(&s->command->arena, line);
	conn_consume(s->conn, consumed);
	s->input = INPUT_BUSY;
	s->command->def->line(s, s->command, line);
	return true;
}

static bool may_go_on(struct session *s)
{
	return !session_is_dead(s) && !s->moving && s->input != INPUT_BUSY &&
	       !conn_is_closing(s->conn) && !conn_is_full(s->conn);
}

void session_drive(struct session *s)
{
	bool more = true;

	if (s->driving || session_is_dead(s))
		return;
	s->driving = true;
	while (more && may_go_on(s))
		more = s->input == INPUT_LINE ? read_line(s) : read_command(s);
	s->driving = false;
	session_set_deadline(s);
}
