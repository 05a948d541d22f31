/* cmd_status.c: STATUS (RFC 3501 6.3.10 and what extends it). From the mailbox's rows; of the
 * selected mailbox the news are told first, and what was told is what counts (IMAP.md, section 7).
 * RECENT is no row: it is counted, only if asked for. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/status_answer.h"
#include "server/session/sync.h"

struct status_state {
	struct status_facts facts;
	Tm__ListMailboxes list;
	Tm__Known known;
};

static void end(struct session *s, struct command *c)
{
	const struct args_status *a = &c->imap->u.status;
	struct status_state *st = c->state;

	status_put(s, a->mailbox.utf8, a->items, &st->facts);
	session_answer(s, RESPONSE_OK, NULL, "STATUS completed");
}

static void on_uids(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct status_state *st = c->state;

	if (f->changes != NULL)
		st->facts.recent = status_count_recent(f->changes);
	if (!f->end)
		return;
	if (f->outcome != TM__OUTCOME__DONE)
		answer_failed(s, f->outcome, f->text, ABOUT_MAILBOX);
	else
		end(s, c);
}

static void count_recent(struct session *s, struct command *c)
{
	struct status_state *st = c->state;
	Tm__Read *r = session_read(s);

	tm__known__init(&st->known);
	r->name = arena_strdup(&c->arena, c->imap->u.status.mailbox.utf8);
	r->known = &st->known;
	session_send_read(s, on_uids);
}

static void on_row(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct status_state *st = c->state;
	bool count = false;

	if (f->list != NULL && f->list->n_mailboxes > 0) {
		const Tm__ListedMailbox *m = f->list->mailboxes[0];

		status_facts_fill(s, m, &st->facts);
		count = status_must_count_recent(s, m, c->imap->u.status.items);
	}
	if (!f->end)
		return;
	if (f->outcome != TM__OUTCOME__DONE)
		answer_failed(s, f->outcome, f->text, ABOUT_MAILBOX);
	else if (st->facts.mailbox == 0)
		answer_failed(s, TM__OUTCOME__NO_MAILBOX, NULL, ABOUT_MAILBOX);
	else if (count)
		count_recent(s, c);
	else
		end(s, c);
}

static void ask(struct session *s, struct command *c)
{
	struct status_state *st = c->state;
	Tm__Read *r = session_read(s);

	tm__list_mailboxes__init(&st->list);
	st->list.status = true;
	st->list.only = arena_strdup(&c->arena, c->imap->u.status.mailbox.utf8);
	r->what_case = TM__READ__WHAT_LIST;
	r->list = &st->list;
	session_send_read(s, on_row);
}

void status_run(struct session *s, struct command *c)
{
	const struct args_status *a = &c->imap->u.status;

	c->state = arena_zalloc(&c->arena, sizeof(struct status_state));
	if (a->mailbox.fault != MAILBOX_NAME_GOOD) {
		answer_bad_name(s, &a->mailbox);
		return;
	}
	if ((a->items & STATUS_HIGHESTMODSEQ) != 0)
		session_become_aware(s);
	if (session_is_selected(s) && span_eq(span_str(s->selected.name), a->mailbox.utf8))
		sync_now(s, ask);
	else
		ask(s, c);
}
