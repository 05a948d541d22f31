/* cmd_select.c: SELECT and EXAMINE (RFC 3501 6.3.1; CONDSTORE and QRESYNC: RFC 7162). One read by
 * name, whose first frame is the whole state of the mailbox, from one pin; with QRESYNC the same
 * read goes on with what vanished and what changed. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/fetch_answer.h"
#include "server/command/uids.h"
#include "server/session/sync.h"
#include "server/session/tell.h"
#include "storage/base/err.h"

struct select_state {
	bool read_only;
	bool other_uidvalidity; /* the client knows another incarnation: nothing is resynchronised
				 */
};

/* ---- the read ---- */

static ProtobufCBinaryData encoded(struct session *s, struct command *c, const struct seq_set *set)
{
	struct uidset *uids = &session_scratch(s)->set;

	seq_set_resolve(set, 0, uids);
	return uidset_encode_arena(uids, &c->arena);
}

/* Sequence match data are pairs in order; a set would lose nothing, as both ascend (3.2.5.2). */
static void ask_vanished(struct session *s, struct command *c, Tm__Read *r)
{
	const struct args_select *a = &c->imap->u.select;
	Tm__Vanished *v = arena_alloc(&c->arena, sizeof(*v));

	tm__vanished__init(v);
	v->since = a->modseq.v;
	if (a->has_known_uids)
		v->uids = encoded(s, c, &a->known_uids);
	if (a->has_match) {
		v->match_seqnos = encoded(s, c, &a->match_seqs);
		v->match_uids = encoded(s, c, &a->match_uids);
	}
	r->vanished = v;
}

static void ask_changed(struct session *s, struct command *c, Tm__Read *r)
{
	const struct args_select *a = &c->imap->u.select;
	Tm__FetchMessages *f = arena_alloc(&c->arena, sizeof(*f));
	struct fetch_items items = { .simple = FETCH_UID | FETCH_FLAGS };
	struct buf *text = &session_scratch(s)->text;
	struct uidset *all = &session_scratch(s)->set;
	struct span copy;

	tm__fetch_messages__init(f);
	buf_reset(text);
	fetch_items_encode(&items, text);
	copy = arena_copy(&c->arena, buf_span(text));
	f->items = (ProtobufCBinaryData){ copy.bytes, (uint8_t *)(uintptr_t)copy.at };
	f->has_changedsince = true;
	f->changedsince = a->modseq.v;
	f->with_modseq = true;
	if (a->has_known_uids) {
		f->uids = encoded(s, c, &a->known_uids);
	} else {
		uidset_clear(all);
		uidset_add_range(all, 1, UINT32_MAX);
		f->uids = uidset_encode_arena(all, &c->arena);
	}
	r->what_case = TM__READ__WHAT_FETCH;
	r->fetch = f;
}

/* ---- the answer ---- */

static void put_unseen(struct session *s, uint32_t first_unseen)
{
	seqno n;

	if (first_unseen != 0 && view_seqno_of(&s->selected.view, (msg_uid){ first_unseen }, &n))
		response_ok_number(session_out(s), "UNSEEN", n.v, "The first unseen one");
}

static void put_state(struct session *s, const Tm__Changes *ch)
{
	struct buf *out = session_out(s);

	tell_names(s, ch);
	tell_exists(s);
	tell_recent(s);
	put_unseen(s, ch->first_unseen_uid);
	response_ok_number(out, "UIDVALIDITY", ch->uidvalidity, "UIDs are valid");
	response_ok_number(out, "UIDNEXT", ch->uidnext, "The next UID");
	response_ok_number(out, "HIGHESTMODSEQ", ch->highestmodseq, "Highest");
	buf_puts(out, "* OK [MAILBOXID (");
	answer_put_mailbox_id(s, out, s->selected.mailbox.v);
	buf_puts(out, ")] Its id\r\n");
}

/* ERR_CORRUPT if the answer contradicts itself; nothing is selected then. */
static int take_state(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	const struct args_select *a = &c->imap->u.select;
	struct select_state *st = c->state;
	const Tm__Changes *ch = f->changes;
	struct uidset *all = &session_scratch(s)->set;
	struct selected *sel = &s->selected;

	if (f->mailbox == 0 || uidset_decode(uids_all(ch), UINT32_MAX, all) != OK)
		return ERR_CORRUPT;
	session_select(s, (mailbox_id){ f->mailbox }, a->mailbox.utf8, st->read_only);
	view_reset(&sel->view, all, ch->uidnext, (modseq){ ch->highestmodseq });
	sel->uidvalidity = ch->uidvalidity;
	if (st->read_only && ch->recent_from < ch->uidnext)
		uidset_add_range(&s->sync.recent, ch->recent_from > 0 ? ch->recent_from : 1,
				 ch->uidnext - 1);
	uidset_intersect(&s->sync.recent, all);
	uidset_copy(&sel->recent, &s->sync.recent);
	uidset_clear(&s->sync.recent);
	st->other_uidvalidity = a->qresync && ch->uidvalidity != a->uidvalidity;
	put_state(s, ch);
	return OK;
}

static void on_frame(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct select_state *st = c->state;

	if (f->changes != NULL && !session_is_selected(s) && take_state(s, c, f) < 0) {
		session_bye(s, "SERVERBUG", "The mailbox contradicts itself");
		return;
	}
	if (session_is_selected(s) && !st->other_uidvalidity)
		(void)fetch_answer_put(s, f, NULL);
	if (!f->end)
		return;
	if (f->outcome != TM__OUTCOME__DONE) {
		if (s->mid_fetch) {
			session_bye(s, NULL, "");
			return;
		}
		if (session_is_selected(s))
			session_unselect(s);
		answer_failed(s, f->outcome, f->text, ABOUT_MAILBOX);
		return;
	}
	session_answer(s, RESPONSE_OK, st->read_only ? "READ-ONLY" : "READ-WRITE",
		       st->read_only ? "EXAMINE completed" : "SELECT completed");
}

static void ask(struct session *s, struct command *c)
{
	const struct args_select *a = &c->imap->u.select;
	struct select_state *st = c->state;
	Tm__Read *r = session_read(s);

	r->name = arena_strdup(&c->arena, a->mailbox.utf8);
	if (a->qresync) {
		r->uidvalidity = a->uidvalidity;
		ask_vanished(s, c, r);
		ask_changed(s, c, r);
	}
	sync_send_select(s, st->read_only, on_frame);
}

static void select_or_examine(struct session *s, struct command *c, bool read_only)
{
	const struct args_select *a = &c->imap->u.select;
	struct select_state *st = arena_zalloc(&c->arena, sizeof(*st));

	c->state = st;
	st->read_only = read_only;
	if (a->qresync && !s->qresync) {
		session_answer(s, RESPONSE_BAD, NULL, "ENABLE QRESYNC first");
		return;
	}
	if (session_is_selected(s)) {
		response_status(session_out(s), (struct span){ 0 }, RESPONSE_OK, "CLOSED",
				"The previous mailbox is closed");
		session_unselect(s);
	}
	if (a->condstore || a->qresync)
		session_become_aware(s);
	if (a->mailbox.fault != MAILBOX_NAME_GOOD)
		answer_bad_name(s, &a->mailbox);
	else
		session_go_home(s, ask);
}

void select_run(struct session *s, struct command *c)
{
	select_or_examine(s, c, false);
}

void examine_run(struct session *s, struct command *c)
{
	select_or_examine(s, c, true);
}
