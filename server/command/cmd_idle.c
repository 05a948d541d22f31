/* cmd_idle.c: IDLE (RFC 2177): the mailbox is watched, and at every hint the one question is asked
 * (sync.h) and the answer told at once. Register first, ask afterwards. DONE is answered at once,
 * with or without an owner that answers (IMAP.md, section 9). */
#include "server/command/commands.h"
#include "server/session/session_metrics.h"
#include "server/session/sync.h"

enum { IDLE_LINE_MAX_BYTES = 1024 };

struct idle_state {
	uint64_t told; /* T when it began */
	bool asking;
	bool again; /* a hint came meanwhile */
	bool done;  /* DONE came */
	bool bad;   /* something else came */
};

static void ask(struct session *s, struct command *c);

static void release(struct session *s, struct command *c)
{
	(void)c;
	s->changed_then = NULL;
	front_unwatch(&s->client);
	session_metrics_idling(s->service->metrics, -1);
}

static void end(struct session *s, struct command *c)
{
	struct idle_state *st = c->state;

	c->tells_highest = !st->bad && s->aware && session_is_selected(s) &&
			   view_told(&s->selected.view).v > st->told;
	session_answer_now(s, st->bad ? RESPONSE_BAD : RESPONSE_OK, NULL,
			   st->bad ? "DONE was expected" : "IDLE completed");
}

static void on_told(struct session *s, struct command *c)
{
	struct idle_state *st = c->state;

	st->asking = false;
	if (st->done) {
		end(s, c);
	} else if (st->again && !conn_is_full(s->conn)) {
		ask(s, c);
	}
}

static void ask(struct session *s, struct command *c)
{
	struct idle_state *st = c->state;

	st->asking = true;
	st->again = false;
	sync_now(s, on_told);
}

static void on_changed(struct session *s, struct command *c)
{
	struct idle_state *st = c->state;

	st->again = true;
	if (!st->asking && !conn_is_full(s->conn)) /* else when there is room */
		ask(s, c);
}

void idle_line(struct session *s, struct command *c, struct span line)
{
	struct idle_state *st = c->state;

	st->done = true;
	st->bad = !span_is(line, "DONE");
	s->changed_then = NULL;
	front_unwatch(&s->client);
	if (!st->asking)
		end(s, c);
	else if (session_is_reading(s) && !s->sync.claiming)
		session_cancel_read(s); /* its end comes at once */
}

void idle_run(struct session *s, struct command *c)
{
	struct idle_state *st = arena_zalloc(&c->arena, sizeof(*st));
	struct selected *sel = &s->selected;

	c->state = st;
	c->release = release;
	session_metrics_idling(s->service->metrics, 1);
	response_continue(session_out(s), span_str("idling"));
	if (session_is_selected(s)) {
		st->told = view_told(&sel->view).v;
		s->changed_then = on_changed;
		front_watch(&s->client, s->account, sel->mailbox, view_seen(&sel->view));
		ask(s, c);
	}
	session_want_line(s, IDLE_LINE_MAX_BYTES);
}
