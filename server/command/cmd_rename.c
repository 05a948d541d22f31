/* cmd_rename.c: RENAME. Of INBOX it makes a new mailbox and moves the messages there (RFC 3501
 * 6.3.5; IMAP.md section 6): the op makes the mailbox, the rest is done here, in slices. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/uids.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

struct rename_state {
	uint64_t inbox;
	struct uidset todo;
	Tm__Known known;
};

static void move_slice(struct session *s, struct command *c);

static void release(struct session *s, struct command *c)
{
	struct rename_state *st = c->state;

	(void)s;
	uidset_free(&st->todo);
}

static void done(struct session *s)
{
	session_answer(s, RESPONSE_OK, NULL, "RENAME completed");
}

/* ---- of INBOX ---- */

/* What came into INBOX and went meanwhile is left out. */
static void on_moved(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct rename_state *st = c->state;
	struct uidset *gone = &session_scratch(s)->set;

	if (session_ends_with(s, r->outcome, false))
		return;
	if (r->outcome == TM__OUTCOME__GONE && r->what_case == TM__OP_RESULT__WHAT_UIDS &&
	    r->uids->uids.len > 0) {
		struct uidset *again = &session_scratch(s)->set2;

		if (uidset_decode(uids_span(r->uids->uids), UINT32_MAX, gone) == OK &&
		    uidset_decode(uids_span(s->op.op.copy->uids), UINT32_MAX, again) == OK) {
			uidset_subtract(again, gone);
			uidset_union(&st->todo, again);
		}
	} else if (r->outcome != TM__OUTCOME__DONE) {
		answer_failed(s, r->outcome, r->text, ABOUT_TARGET);
		return;
	}
	move_slice(s, c);
}

static void move_slice(struct session *s, struct command *c)
{
	struct rename_state *st = c->state;
	struct uidset slice = { 0 };
	Tm__Copy *what;
	Tm__Op *op;

	if (st->todo.count == 0) {
		done(s);
		return;
	}
	uidset_take_first(&st->todo, COPY_MESSAGES_MAX, &slice);
	what = arena_alloc(&c->arena, sizeof(*what));
	tm__copy__init(what);
	what->source = st->inbox;
	what->uids = uidset_encode_arena(&slice, &c->arena);
	what->target = arena_strdup(&c->arena, c->imap->u.rename.to.utf8);
	what->move = true;
	uidset_free(&slice);
	op = session_op(s);
	op->what_case = TM__OP__WHAT_COPY;
	op->copy = what;
	session_send_op(s, on_moved);
}

static void on_inbox(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct rename_state *st = c->state;

	if (f->changes != NULL) {
		st->inbox = f->mailbox;
		(void)uidset_decode(uids_all(f->changes), UINT32_MAX, &st->todo);
	}
	if (!f->end)
		return;
	if (f->outcome != TM__OUTCOME__DONE || st->inbox == 0)
		answer_failed(s, f->outcome, f->text, ABOUT_MAILBOX);
	else
		move_slice(s, c);
}

static void read_inbox(struct session *s, struct command *c)
{
	struct rename_state *st = c->state;
	Tm__Read *r = session_read(s);

	tm__known__init(&st->known);
	r->name = arena_strdup(&c->arena, c->imap->u.rename.from.utf8);
	r->known = &st->known;
	session_send_read(s, on_inbox);
}

/* ---- all ---- */

static void on_renamed(struct session *s, struct command *c, const Tm__OpResult *r)
{
	if (session_ends_with(s, r->outcome, false))
		return;
	if (r->outcome != TM__OUTCOME__DONE)
		answer_failed(s, r->outcome, r->text, ABOUT_MAILBOX);
	else if (mailbox_name_is_inbox(c->imap->u.rename.from.utf8))
		read_inbox(s, c);
	else
		done(s);
}

void rename_run(struct session *s, struct command *c)
{
	const struct args_rename *a = &c->imap->u.rename;
	Tm__RenameMailbox *what = arena_alloc(&c->arena, sizeof(*what));
	Tm__Op *op;

	c->state = arena_zalloc(&c->arena, sizeof(struct rename_state));
	c->release = release;
	if (a->from.fault != MAILBOX_NAME_GOOD || a->to.fault != MAILBOX_NAME_GOOD) {
		answer_bad_name(s, a->from.fault != MAILBOX_NAME_GOOD ? &a->from : &a->to);
		return;
	}
	tm__rename_mailbox__init(what);
	what->from = arena_strdup(&c->arena, a->from.utf8);
	what->to = arena_strdup(&c->arena, a->to.utf8);
	op = session_op(s);
	op->what_case = TM__OP__WHAT_RENAME_MAILBOX;
	op->rename_mailbox = what;
	session_send_op(s, on_renamed);
}
