/* cmd_expunge.c: EXPUNGE, UID EXPUNGE (RFC 4315), CLOSE and UNSELECT (RFC 3691). Only UIDs of the
 * view are sent, so nothing is removed that was never announced; in slices of OP_MESSAGES_MAX. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/uids.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

struct expunge_state {
	struct uidset todo;
	bool closing;
	bool removed; /* something */
};

static void on_expunged(struct session *s, struct command *c, const Tm__OpResult *r);

static void release(struct session *s, struct command *c)
{
	struct expunge_state *st = c->state;

	(void)s;
	uidset_free(&st->todo);
}

static void end(struct session *s, struct command *c)
{
	struct expunge_state *st = c->state;

	if (st->closing) {
		session_unselect(s);
		session_answer(s, RESPONSE_OK, NULL, "CLOSE completed");
		return;
	}
	c->tells_highest = s->qresync && st->removed; /* a MUST of RFC 7162 3.2.7 */
	session_answer(s, RESPONSE_OK, NULL, "EXPUNGE completed");
}

static void send_slice(struct session *s, struct command *c)
{
	struct expunge_state *st = c->state;
	struct uidset slice = { 0 };
	Tm__Expunge *what;
	Tm__Op *op;

	if (st->todo.count == 0) {
		end(s, c);
		return;
	}
	uidset_take_first(&st->todo, OP_MESSAGES_MAX, &slice);
	what = arena_alloc(&c->arena, sizeof(*what));
	tm__expunge__init(what);
	what->mailbox = s->selected.mailbox.v;
	what->uids = uidset_encode_arena(&slice, &c->arena);
	what->only_deleted = true;
	uidset_free(&slice);
	op = session_op(s);
	op->what_case = TM__OP__WHAT_EXPUNGE;
	op->expunge = what;
	session_send_op(s, on_expunged);
}

static void on_expunged(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct expunge_state *st = c->state;

	if (session_ends_with(s, r->outcome, !st->closing))
		return;
	if (st->closing && r->outcome == TM__OUTCOME__NO_MAILBOX) {
		uidset_clear(&st->todo); /* it is gone with all that was in it */
	} else if (r->outcome != TM__OUTCOME__DONE) {
		answer_failed(s, r->outcome, r->text, ABOUT_MAILBOX);
		return;
	}
	if (r->what_case == TM__OP_RESULT__WHAT_UIDS && r->uids->uids.len > 0)
		st->removed = true;
	send_slice(s, c);
}

static struct expunge_state *begin(struct command *c)
{
	struct expunge_state *st = arena_zalloc(&c->arena, sizeof(*st));

	c->state = st;
	c->release = release;
	return st;
}

void expunge_run(struct session *s, struct command *c)
{
	struct expunge_state *st = begin(c);

	if (!c->imap->uid)
		view_uids(&s->selected.view, &st->todo);
	else if (!uids_of_set(s, &c->imap->u.expunge.set, &st->todo))
		return;
	send_slice(s, c);
}

void close_run(struct session *s, struct command *c)
{
	struct expunge_state *st = begin(c);

	st->closing = true;
	if (!s->selected.read_only)
		view_uids(&s->selected.view, &st->todo);
	send_slice(s, c);
}

void unselect_run(struct session *s, struct command *c)
{
	(void)c;
	session_unselect(s);
	session_answer(s, RESPONSE_OK, NULL, "UNSELECT completed");
}
