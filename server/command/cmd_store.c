/* cmd_store.c: STORE and UID STORE: IMAP.md section 4, to the letter.
 *
 * One op per slice of OP_MESSAGES_MAX messages. Its result says what changed, what did not, what
 * failed the condition, what is gone. If nobody else changed the mailbox since S (the result's
 * `before` is S), the session is up to date without asking; else it asks (sync.h), and the answers
 * of this STORE come after VANISHED and EXISTS and before the rows of others. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/uids.h"
#include "server/session/sync.h"
#include "server/session/tell.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

struct store_state {
	Tm__StoreFlags what;
	struct uidset todo;     /* not sent yet */
	struct uidset modified; /* for the code: failed, or gone from a conditional UID STORE */
	struct uidset touched;  /* told by the answers at hand */
	const Tm__StoreResult *result; /* to be told once the news are */
	bool gone;                     /* something that was named by number */
	bool any;                      /* some op was answered */
};

static void release(struct session *s, struct command *c)
{
	struct store_state *st = c->state;

	(void)s;
	uidset_free(&st->todo);
	uidset_free(&st->modified);
	uidset_free(&st->touched);
}

static void go_on(struct session *s, struct command *c);

/* ---- the end ---- */

static const char *modified_code(struct session *s, struct command *c)
{
	struct store_state *st = c->state;
	struct buf *text = &session_scratch(s)->text;

	buf_reset(text);
	buf_puts(text, "MODIFIED ");
	uids_put(s, &st->modified, text);
	return answer_keep(c, text);
}

static void end(struct session *s, struct command *c)
{
	const struct args_store *a = &c->imap->u.store;
	struct store_state *st = c->state;
	bool failed = st->modified.count > 0;

	c->synced = c->synced || st->any;
	if (failed)
		session_answer(s, st->gone ? RESPONSE_NO : RESPONSE_OK, modified_code(s, c),
			       st->gone ? "Some of the messages are gone" : "Some had changed");
	else if (st->gone)
		session_answer(s, a->silent && !a->conditional ? RESPONSE_OK : RESPONSE_NO,
			       "EXPUNGEISSUED", "Some of the messages are gone");
	else
		session_answer(s, RESPONSE_OK, NULL, "STORE completed");
}

/* This slice and the rest certainly did not and will not happen. */
static void fail(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct store_state *st = c->state;
	struct uidset *slice = &session_scratch(s)->set;

	if (!c->imap->u.store.conditional || !st->any) {
		answer_failed(s, r->outcome, r->text, ABOUT_MAILBOX);
		return;
	}
	if (uidset_decode(uids_span(st->what.uids), UINT32_MAX, slice) == OK)
		uidset_union(&st->modified, slice);
	uidset_union(&st->modified, &st->todo);
	session_answer(s, RESPONSE_NO, modified_code(s, c), answer_text(r->outcome));
}

/* ---- the answers ---- */

enum row_kind { ROW_CHANGED, ROW_SAME, ROW_FAILED };

/* What a row of this kind tells; 0: nothing. `stale`: somebody else had changed the message after
 * S, so the client cannot know its flags. */
static unsigned row_items(const struct session *s, const struct command *c, enum row_kind kind,
			  bool stale)
{
	const struct args_store *a = &c->imap->u.store;
	unsigned modseq_item = s->aware ? TELL_MODSEQ : 0;

	if (kind == ROW_FAILED || !a->silent || stale)
		return TELL_FLAGS | modseq_item;
	if (kind == ROW_CHANGED || a->conditional)
		return modseq_item;
	return 0;
}

static void put_rows(struct session *s, struct command *c, Tm__ResultFlags *const *groups,
		     size_t count, enum row_kind kind)
{
	struct store_state *st = c->state;
	struct uidset *uids = &session_scratch(s)->set;
	struct uidset *stale = &session_scratch(s)->set2;
	unsigned fresh_items = row_items(s, c, kind, false);
	unsigned stale_items = row_items(s, c, kind, true);

	for (size_t i = 0; i < count; i++) {
		if (uidset_decode(uids_span(groups[i]->uids), UINT32_MAX, uids) != OK)
			continue;
		if (stale_items != fresh_items && st->result->stale.len > 0 &&
		    uidset_decode(uids_span(st->result->stale), UINT32_MAX, stale) == OK) {
			uidset_intersect(stale, uids);
			uidset_subtract(uids, stale);
			tell_group(s, groups[i], stale, stale_items);
		}
		if (fresh_items != 0)
			tell_group(s, groups[i], uids, fresh_items);
	}
}

static void put_answers(struct session *s, struct command *c)
{
	struct store_state *st = c->state;
	const Tm__StoreResult *r = st->result;

	put_rows(s, c, r->failed, r->n_failed, ROW_FAILED);
	put_rows(s, c, r->same, r->n_same, ROW_SAME);
	put_rows(s, c, r->changed, r->n_changed, ROW_CHANGED);
	st->result = NULL;
}

/* ---- an op's result ---- */

static void note_failed(struct session *s, struct store_state *st, const Tm__StoreResult *r)
{
	struct uidset *uids = &session_scratch(s)->set;

	for (size_t i = 0; i < r->n_failed; i++)
		if (uidset_decode(uids_span(r->failed[i]->uids), UINT32_MAX, uids) == OK)
			uidset_union(&st->modified, uids);
}

static void note(struct session *s, struct command *c, const Tm__StoreResult *r)
{
	struct store_state *st = c->state;
	struct uidset *uids = &session_scratch(s)->set;

	st->any = true;
	note_failed(s, st, r);
	if (uidset_decode(uids_span(r->missing), UINT32_MAX, uids) == OK && uids->count > 0) {
		if (!c->imap->uid)
			st->gone = !c->imap->u.store.set.saved;
		else if (c->imap->u.store.conditional)
			uidset_union(&st->modified, uids); /* no silence for a lost claim */
	}
	if (uidset_decode(uids_span(r->remaining), UINT32_MAX, uids) == OK)
		uidset_union(&st->todo, uids);
}

static void collect_touched(struct session *s, struct store_state *st, const Tm__StoreResult *r)
{
	struct uidset *uids = &session_scratch(s)->set;
	Tm__ResultFlags *const *groups[] = { r->changed, r->same, r->failed };
	const size_t counts[] = { r->n_changed, r->n_same, r->n_failed };

	uidset_clear(&st->touched);
	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < counts[k]; i++)
			if (uidset_decode(uids_span(groups[k][i]->uids), UINT32_MAX, uids) == OK)
				uidset_union(&st->touched, uids);
}

/* A copy that lives until the news are here. */
static const Tm__StoreResult *keep(struct command *c, const Tm__StoreResult *r)
{
	size_t bytes = tm__store_result__get_packed_size(r);
	uint8_t *at = arena_alloc(&c->arena, bytes + 1);

	tm__store_result__pack(r, at);
	return tm__store_result__unpack(&c->arena.pb, bytes, at);
}

static void on_news(struct session *s, struct command *c)
{
	struct store_state *st = c->state;

	s->sync.before_rows = NULL;
	if (st->result != NULL) /* the news did not come */
		put_answers(s, c);
	go_on(s, c);
}

static bool is_up_to_date(const struct session *s, const Tm__StoreResult *r)
{
	return r->before == view_seen(&s->selected.view).v &&
	       r->keywords_version == s->selected.keywords_version;
}

static void on_stored(struct session *s, struct command *c, const Tm__OpResult *result)
{
	struct store_state *st = c->state;
	const Tm__StoreResult *r = result->store;
	struct view *v = &s->selected.view;

	if (session_ends_with(s, result->outcome, true))
		return;
	if (result->outcome != TM__OUTCOME__DONE ||
	    result->what_case != TM__OP_RESULT__WHAT_STORE) {
		fail(s, c, result);
		return;
	}
	if (r->limit) {
		session_answer(s, RESPONSE_NO, "LIMIT", "The mailbox has too many keywords");
		return;
	}
	note(s, c, r);
	if (is_up_to_date(s, r)) {
		if (c->tells == TELLS_ALL)
			tell_held(s);
		if (r->modseq != 0)
			view_advance(v, (modseq){ r->modseq }, view_uidnext(v));
		st->result = r;
		put_answers(s, c);
		go_on(s, c);
		return;
	}
	st->result = keep(c, r);
	collect_touched(s, st, r);
	sync_skip(s, &st->touched, 0, r->modseq != 0 ? r->modseq : r->before);
	s->sync.before_rows = put_answers;
	sync_now(s, on_news);
}

/* ---- sending ---- */

static void send_op(struct session *s, struct command *c, const struct uidset *uids)
{
	struct store_state *st = c->state;
	Tm__Op *op = session_op(s);

	st->what.uids = uidset_encode_arena(uids, &c->arena);
	st->what.seen = view_seen(&s->selected.view).v;
	op->what_case = TM__OP__WHAT_STORE_FLAGS;
	op->store_flags = &st->what;
	session_send_op(s, on_stored);
}

static void go_on(struct session *s, struct command *c)
{
	struct store_state *st = c->state;
	struct uidset slice = { 0 };

	if (st->todo.count == 0) {
		end(s, c);
		return;
	}
	uidset_take_first(&st->todo, OP_MESSAGES_MAX, &slice);
	send_op(s, c, &slice);
	uidset_free(&slice);
}

static void fill(struct session *s, struct command *c, Tm__StoreFlags *what)
{
	static const Tm__StoreMode modes[] = {
		[STORE_REPLACE] = TM__STORE_MODE__REPLACE,
		[STORE_ADD] = TM__STORE_MODE__ADD,
		[STORE_REMOVE] = TM__STORE_MODE__REMOVE,
	};
	const struct args_store *a = &c->imap->u.store;

	tm__store_flags__init(what);
	what->mailbox = s->selected.mailbox.v;
	what->mode = modes[a->mode];
	what->system = a->flags.system;
	what->n_keywords = a->flags.keyword_count;
	what->keywords = uids_keywords(c, &a->flags);
	what->conditional = a->conditional;
	what->unchangedsince = a->unchangedsince.v;
}

static void resolve(struct session *s, struct command *c)
{
	struct store_state *st = c->state;
	struct uidset *uids = &session_scratch(s)->set;

	c->synced = false;
	if (!uids_of_set(s, &c->imap->u.store.set, uids))
		return;
	if (uids->count == 0) {
		session_answer(s, RESPONSE_OK, NULL, "STORE completed: there are no such messages");
		return;
	}
	if (uidset_size(uids) <= OP_MESSAGES_MAX) {
		send_op(s, c, uids);
		return;
	}
	uidset_copy(&st->todo, uids);
	go_on(s, c);
}

void store_run(struct session *s, struct command *c)
{
	const struct args_store *a = &c->imap->u.store;
	struct store_state *st = arena_zalloc(&c->arena, sizeof(*st));

	c->state = st;
	c->release = release;
	fill(s, c, &st->what);
	if (a->conditional)
		session_become_aware(s);
	if (uids_want_news(s, &a->set))
		sync_now(s, resolve);
	else
		resolve(s, c);
}
