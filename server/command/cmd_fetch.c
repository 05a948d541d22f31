/* cmd_fetch.c: FETCH and UID FETCH (RFC 3501 6.4.5, 7162 3.1.4, 3.2.6): one read with all messages
 * and items, in frames as the client takes them. If some item sets \Seen, one StoreFlags comes
 * before it (IMAP.md, section 4).
 *
 * A UID set may reach beyond what was told: "*", or UIDs that the client has from elsewhere. Then
 * all that may be meant is asked for, and once the changes of the answer's own pin have been told,
 * the set is resolved for good and the rest of the answer sifted by it. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/fetch_answer.h"
#include "server/command/uids.h"
#include "server/session/sync.h"
#include "storage/base/limits.h"

struct fetch_state {
	struct fetch_items items;
	struct uidset uids;  /* asked for */
	struct uidset exact; /* of a set that reaches beyond: what is meant after the changes */
	bool reaches_beyond;
	bool resolved;        /* `exact` is there */
	struct uidset unseen; /* \Seen is still to be sent for these */
	bool seen_changed;
	uint32_t answered;
};

static void release(struct session *s, struct command *c)
{
	struct fetch_state *st = c->state;

	(void)s;
	uidset_free(&st->uids);
	uidset_free(&st->exact);
	uidset_free(&st->unseen);
}

/* ---- the end ---- */

/* By number, what is gone is missed; with CHANGEDSINCE only the view knows which that is. */
static uint32_t count_gone(const struct session *s, const struct command *c)
{
	const struct fetch_state *st = c->state;
	const struct uidset *held = view_held(&s->selected.view);
	uint32_t gone = 0;

	for (uint32_t r = 0; r < held->count; r++)
		for (uint64_t uid = held->at[r].lo; uid <= held->at[r].hi; uid++)
			gone += uidset_has(&st->uids, (uint32_t)uid) ? 1 : 0;
	return gone;
}

static void end(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct fetch_state *st = c->state;
	bool saved = c->imap->u.fetch.set.saved;

	c->synced = true;
	if (s->mid_fetch) {
		session_bye(s, NULL, "");
	} else if (f->outcome != TM__OUTCOME__DONE) {
		answer_failed(s, f->outcome, f->text, ABOUT_MAILBOX);
	} else if (c->imap->uid || saved || count_gone(s, c) == 0) {
		session_answer(s, RESPONSE_OK, NULL, "FETCH completed");
	} else if (st->answered == 0 && count_gone(s, c) == uidset_size(&st->uids)) {
		session_answer(s, RESPONSE_NO, "EXPUNGEISSUED", "The messages are gone");
	} else {
		session_answer(s, RESPONSE_OK, "EXPUNGEISSUED", "Some of the messages are gone");
	}
}

static void on_frame(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct fetch_state *st = c->state;
	uint32_t n;

	if (st->reaches_beyond && !st->resolved && f->changes != NULL) {
		st->resolved = true;
		seq_set_resolve(&c->imap->u.fetch.set, view_highest_uid(&s->selected.view),
				&st->exact);
	}
	n = fetch_answer_put(s, f, st->resolved ? &st->exact : NULL);

	st->answered += n;
	if (n > 0 && s->read.read.fetch->with_modseq &&
	    view_seen(&s->selected.view).v > s->selected.modseq_sent)
		s->selected.modseq_sent = view_seen(&s->selected.view).v; /* at most that */
	if (f->end)
		end(s, c, f);
}

/* ---- the read ---- */

/* FLAGS in answers of an aware session come with UID and MODSEQ, as they stand for unsolicited
 * ones, too (RFC 7162 3.2.4). */
static void complete_items(struct session *s, struct command *c, Tm__FetchMessages *f)
{
	const struct args_fetch *a = &c->imap->u.fetch;
	struct fetch_state *st = c->state;

	if (st->seen_changed)
		st->items.simple |= FETCH_FLAGS;
	if (c->imap->uid || (s->aware && (st->items.simple & FETCH_FLAGS) != 0))
		st->items.simple |= FETCH_UID;
	f->has_changedsince = a->has_changedsince;
	f->changedsince = a->changedsince.v;
	f->with_modseq = a->has_changedsince || (st->items.simple & FETCH_MODSEQ) != 0 ||
			 (s->aware && (st->items.simple & FETCH_FLAGS) != 0);
}

static void ask_vanished(struct session *s, struct command *c, Tm__Read *r)
{
	const struct args_fetch *a = &c->imap->u.fetch;
	struct uidset *set = &session_scratch(s)->set;
	Tm__Vanished *v = arena_alloc(&c->arena, sizeof(*v));
	uint32_t next = view_uidnext(&s->selected.view);

	if (a->set.saved)
		uidset_copy(set, &s->saved);
	else
		seq_set_resolve(&a->set, next > 1 ? next - 1 : 0, set);
	tm__vanished__init(v);
	v->since = a->changedsince.v;
	v->uids = uidset_encode_arena(set, &c->arena);
	if (set->count > 0)
		r->vanished = v;
}

/* Changed rows that the data repeat are not told. "5:*" has them from 5 on, wherever "*" is. */
static void skip_rows(struct session *s, struct command *c)
{
	const struct args_fetch *a = &c->imap->u.fetch;
	struct fetch_state *st = c->state;

	if ((st->items.simple & FETCH_FLAGS) == 0)
		return;
	if (st->reaches_beyond)
		seq_set_resolve(&a->set, UINT32_MAX, &st->exact);
	sync_skip(s, st->reaches_beyond ? &st->exact : &st->uids,
		  a->has_changedsince ? a->changedsince.v : 0, UINT64_MAX);
}

static void ask(struct session *s, struct command *c)
{
	const struct args_fetch *a = &c->imap->u.fetch;
	struct fetch_state *st = c->state;
	Tm__FetchMessages *f = arena_alloc(&c->arena, sizeof(*f));
	struct buf *text = &session_scratch(s)->text;
	Tm__Read *r = session_read(s);
	struct span copy;

	tm__fetch_messages__init(f);
	complete_items(s, c, f);
	buf_reset(text);
	fetch_items_encode(&st->items, text);
	copy = arena_copy(&c->arena, buf_span(text));
	f->items = (ProtobufCBinaryData){ copy.bytes, (uint8_t *)(uintptr_t)copy.at };
	f->uids = uidset_encode_arena(&st->uids, &c->arena);
	r->what_case = TM__READ__WHAT_FETCH;
	r->fetch = f;
	if (a->vanished)
		ask_vanished(s, c, r);
	skip_rows(s, c);
	sync_send_read(s, on_frame);
}

/* ---- \Seen ---- */

static void on_seen(struct session *s, struct command *c, const Tm__OpResult *r);

static void send_seen(struct session *s, struct command *c)
{
	struct fetch_state *st = c->state;
	struct uidset slice = { 0 };
	Tm__StoreFlags *what = arena_alloc(&c->arena, sizeof(*what));
	Tm__Op *op = session_op(s);

	tm__store_flags__init(what);
	uidset_take_first(&st->unseen, OP_MESSAGES_MAX, &slice);
	what->mailbox = s->selected.mailbox.v;
	what->uids = uidset_encode_arena(&slice, &c->arena);
	what->mode = TM__STORE_MODE__ADD;
	what->system = FLAG_SEEN;
	what->seen = view_seen(&s->selected.view).v;
	op->what_case = TM__OP__WHAT_STORE_FLAGS;
	op->store_flags = what;
	uidset_free(&slice);
	session_send_op(s, on_seen);
}

/* If it failed, the data are sent anyway. */
static void on_seen(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct fetch_state *st = c->state;

	if (session_ends_with(s, r->outcome, true))
		return;
	if (r->outcome != TM__OUTCOME__DONE) {
		uidset_clear(&st->unseen);
	} else if (r->what_case == TM__OP_RESULT__WHAT_STORE) {
		struct uidset *rest = &session_scratch(s)->set;

		st->seen_changed = st->seen_changed || r->store->n_changed > 0;
		if (uidset_decode(uids_span(r->store->remaining), UINT32_MAX, rest) == 0)
			uidset_union(&st->unseen, rest);
	}
	if (st->unseen.count > 0)
		send_seen(s, c);
	else
		ask(s, c);
}

/* ---- the beginning ---- */

/* All that the set may mean when the changes are known. */
static void reach_beyond(struct session *s, struct command *c)
{
	const struct args_fetch *a = &c->imap->u.fetch;
	struct fetch_state *st = c->state;
	uint32_t next = view_uidnext(&s->selected.view);

	seq_set_resolve(&a->set, view_highest_uid(&s->selected.view), &st->uids);
	if (seq_set_has_star(&a->set))
		uidset_add_range(&st->uids, next, UINT32_MAX);
}

static void resolve(struct session *s, struct command *c)
{
	const struct args_fetch *a = &c->imap->u.fetch;
	struct fetch_state *st = c->state;

	c->synced = false;
	if (!uids_of_set(s, &a->set, &st->uids))
		return;
	if (st->reaches_beyond)
		reach_beyond(s, c);
	if (st->uids.count == 0 && !a->vanished) {
		session_answer(s, RESPONSE_OK, NULL, "FETCH completed: there are no such messages");
		return;
	}
	if (fetch_items_set_seen(&st->items) && !s->selected.read_only) {
		uidset_copy(&st->unseen, &st->uids);
		send_seen(s, c);
		return;
	}
	ask(s, c);
}

void fetch_run(struct session *s, struct command *c)
{
	const struct args_fetch *a = &c->imap->u.fetch;
	struct fetch_state *st = arena_zalloc(&c->arena, sizeof(*st));

	if (a->vanished && !s->qresync) {
		session_answer(s, RESPONSE_BAD, NULL, "ENABLE QRESYNC first");
		return;
	}
	st->items = a->items;
	c->state = st;
	c->release = release;
	if (a->has_changedsince || (a->items.simple & FETCH_MODSEQ) != 0)
		session_become_aware(s);
	if (uids_want_news(s, &a->set) && fetch_items_set_seen(&st->items) &&
	    !s->selected.read_only) {
		sync_now(s, resolve); /* \\Seen has to be set before the data are read */
	} else {
		st->reaches_beyond = uids_want_news(s, &a->set);
		resolve(s, c);
	}
}
