/* cmd_mailbox.c: CREATE (and CREATE-SPECIAL-USE, RFC 6154), DELETE, SUBSCRIBE, UNSUBSCRIBE: one op
 * each; evaluation decides. */
#include "server/command/answer.h"
#include "server/command/commands.h"

/* ---- CREATE ---- */

static void on_created(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct buf *text = &session_scratch(s)->text;

	if (session_ends_with(s, r->outcome, false))
		return;
	if (r->outcome != TM__OUTCOME__DONE || r->what_case != TM__OP_RESULT__WHAT_MAILBOX) {
		answer_failed(s, r->outcome, r->text, ABOUT_MAILBOX);
		return;
	}
	buf_reset(text);
	buf_puts(text, "MAILBOXID (");
	answer_put_mailbox_id(s, text, r->mailbox->mailbox);
	buf_putc(text, ')');
	session_answer(s, RESPONSE_OK, answer_keep(c, text), "CREATE completed");
}

void create_run(struct session *s, struct command *c)
{
	const struct args_create *a = &c->imap->u.create;
	Tm__CreateMailbox *what = arena_alloc(&c->arena, sizeof(*what));
	Tm__Op *op;

	if (a->mailbox.fault != MAILBOX_NAME_GOOD) {
		answer_bad_name(s, &a->mailbox);
		return;
	}
	if (a->unknown_use) {
		session_answer(s, RESPONSE_NO, "USEATTR", "This special use is not known");
		return;
	}
	tm__create_mailbox__init(what);
	what->name = arena_strdup(&c->arena, a->mailbox.utf8);
	what->special_use = a->special_use;
	op = session_op(s);
	op->what_case = TM__OP__WHAT_CREATE_MAILBOX;
	op->create_mailbox = what;
	session_send_op(s, on_created);
}

/* ---- DELETE ---- */

/* One's own selected mailbox: OK [CLOSED], then OK (IMAP.md, section 6). */
static void on_deleted(struct session *s, struct command *c, const Tm__OpResult *r)
{
	bool own = r->what_case == TM__OP_RESULT__WHAT_MAILBOX && session_is_selected(s) &&
		   r->mailbox->mailbox == s->selected.mailbox.v;

	(void)c;
	if (session_ends_with(s, r->outcome, false))
		return;
	if (r->outcome != TM__OUTCOME__DONE) {
		answer_failed(s, r->outcome, r->text, ABOUT_MAILBOX);
		return;
	}
	if (own) {
		response_status(session_out(s), (struct span){ 0 }, RESPONSE_OK, "CLOSED",
				"The selected mailbox was deleted");
		session_unselect(s);
	}
	session_answer(s, RESPONSE_OK, NULL, "DELETE completed");
}

void delete_run(struct session *s, struct command *c)
{
	const struct mailbox_name *name = &c->imap->u.mailbox.mailbox;
	Tm__DeleteMailbox *what = arena_alloc(&c->arena, sizeof(*what));
	Tm__Op *op;

	if (name->fault != MAILBOX_NAME_GOOD) {
		answer_bad_name(s, name);
		return;
	}
	tm__delete_mailbox__init(what);
	what->name = arena_strdup(&c->arena, name->utf8);
	op = session_op(s);
	op->what_case = TM__OP__WHAT_DELETE_MAILBOX;
	op->delete_mailbox = what;
	session_send_op(s, on_deleted);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static void on_subscribed(struct session *s, struct command *c, const Tm__OpResult *r)
{
	if (session_ends_with(s, r->outcome, false))
		return;
	if (r->outcome != TM__OUTCOME__DONE)
		answer_failed(s, r->outcome, r->text, ABOUT_MAILBOX);
	else
		session_answer(s, RESPONSE_OK, NULL,
			       c->imap->kind == CMD_SUBSCRIBE ? "SUBSCRIBE completed"
							      : "UNSUBSCRIBE completed");
}

/* Also of names that do not exist (RFC 3501 6.3.6). */
static void subscribe(struct session *s, struct command *c, bool on)
{
	const struct mailbox_name *name = &c->imap->u.mailbox.mailbox;
	Tm__Subscribe *what = arena_alloc(&c->arena, sizeof(*what));
	Tm__Op *op;

	if (name->fault != MAILBOX_NAME_GOOD) {
		answer_bad_name(s, name);
		return;
	}
	tm__subscribe__init(what);
	what->name = arena_strdup(&c->arena, name->utf8);
	what->on = on;
	op = session_op(s);
	op->what_case = TM__OP__WHAT_SUBSCRIBE;
	op->subscribe = what;
	session_send_op(s, on_subscribed);
}

void subscribe_run(struct session *s, struct command *c)
{
	subscribe(s, c, true);
}

void unsubscribe_run(struct session *s, struct command *c)
{
	subscribe(s, c, false);
}
