/* evaluate_flags.c: StoreFlags (IMAP.md, section 4), the op that Tidemark exists for.
 *
 * The condition is looked at first, before anything else and also before "nothing would change":
 * of several clients that set the same flag with UNCHANGEDSINCE, one wins. */
#include "replication/evaluate.h"
#include "replication/owner.h"

#include <assert.h>

enum {
	MESSAGE_BOUND_BYTES = 25, /* a uid in the record and in the result, a size */
	GROUP_BOUND_BYTES = 96,   /* a group in both, without its flags */
	STORE_BOUND_BYTES = 4096, /* all else */
};

struct store {
	struct evaluation *e;
	const Tm__StoreFlags *op;
	struct mailbox *mailbox;
	struct mailbox_pages *pages; /* work, if a name was added, else as it is now */
	struct slots slots;
	struct mailbox_counters counters;

	struct flag_groups *changed, *same, *failed; /* the loop's own, cleared */
	struct uidset missing, stale, remaining;
	size_t bytes;       /* no encoding of record and result is larger */
	size_t limit_bytes; /* then the rest remains */

	/* The op maps a set of flags to another, always the same one. */
	bool memo_valid;
	uint32_t memo_from, memo_to;
	uint16_t *merged; /* room for a set's slots */
};

static uint32_t merge_slots(const struct store *s, struct flag_set from, uint16_t *out)
{
	uint32_t n = 0, i = 0, j = 0;
	bool removes = s->op->mode == TM__STORE_MODE__REMOVE;

	while (i < from.count || j < s->slots.count) {
		if (j == s->slots.count || (i < from.count && from.keywords[i] < s->slots.at[j])) {
			out[n++] = from.keywords[i++];
		} else {
			bool both = i < from.count && from.keywords[i] == s->slots.at[j];

			if (!removes)
				out[n++] = s->slots.at[j];
			i += both;
			j++;
		}
	}
	return n;
}

static struct flag_set after_store(const struct store *s, struct flag_set from)
{
	struct flag_set to = { .system = s->op->system, .keywords = s->merged };

	switch (s->op->mode) {
	case TM__STORE_MODE__ADD: to.system = from.system | s->op->system; break;
	case TM__STORE_MODE__REMOVE: to.system = from.system & ~s->op->system; break;
	case TM__STORE_MODE__REPLACE:
	case _TM__STORE_MODE_IS_INT_SIZE:
		to.keywords = s->slots.at;
		to.count = s->slots.count;
		return to;
	}
	to.count = merge_slots(s, from, s->merged);
	return to;
}

static uint32_t set_after_store(struct store *s, uint32_t from)
{
	if (s->memo_valid && s->memo_from == from)
		return s->memo_to;

	struct flag_set old = flag_sets_get(s->pages->sets, from);
	struct flag_set new = after_store(s, old);
	uint32_t to = from;

	if (!flag_set_eq(old, new)) {
		int rc = pages_intern(s->pages, new, &to);

		assert(rc == OK); /* slots come from the table itself */
	}
	s->memo_valid = true;
	s->memo_from = from;
	s->memo_to = to;
	return to;
}

static void count_change(struct store *s, const struct page_entry *m, uint32_t to)
{
	uint32_t was = flag_sets_system(s->pages->sets, m->set);
	uint32_t is = flag_sets_system(s->pages->sets, to);

	if ((was & FLAG_SEEN) != 0 && (is & FLAG_SEEN) == 0)
		s->counters.unseen++;
	if ((was & FLAG_SEEN) == 0 && (is & FLAG_SEEN) != 0)
		s->counters.unseen--;
	if ((was & FLAG_DELETED) == 0 && (is & FLAG_DELETED) != 0) {
		s->counters.deleted++;
		s->counters.deleted_bytes += m->size;
	}
	if ((was & FLAG_DELETED) != 0 && (is & FLAG_DELETED) == 0) {
		s->counters.deleted--;
		s->counters.deleted_bytes -= m->size;
	}
}

static void gather(struct store *s, struct flag_groups *into, uint32_t set, uint64_t at_modseq,
		   const struct page_entry *m)
{
	s->bytes += MESSAGE_BOUND_BYTES;
	if (flag_groups_add(into, set, at_modseq, m->uid, m->size))
		s->bytes += GROUP_BOUND_BYTES + 2 * flag_sets_text(s->pages->sets, set).bytes;
}

static bool condition_holds(const Tm__StoreFlags *op, const struct page_entry *m)
{
	return !op->conditional || m->modseq <= op->unchangedsince;
}

/* One message that exists. */
static void store_message(struct store *s, const struct page_entry *m)
{
	if (!condition_holds(s->op, m)) {
		gather(s, s->failed, m->set, m->modseq, m);
		return;
	}

	uint32_t to = set_after_store(s, m->set);
	if (m->modseq > s->op->seen)
		uidset_add(&s->stale, m->uid);
	if (to == m->set) {
		gather(s, s->same, m->set, m->modseq, m);
		return;
	}
	count_change(s, m, to);
	gather(s, s->changed, to, 0, m);
}

static void look_at_range(struct store *s, struct pages_cursor *c, struct uid_range r)
{
	uint32_t next = r.lo;
	const struct page_entry *m;

	pages_seek(c, r.lo);
	while ((m = pages_next(c, r.hi)) != NULL) {
		if (s->bytes > s->limit_bytes) {
			uidset_add_range(&s->remaining, m->uid, r.hi);
			return;
		}
		if (m->uid > next)
			uidset_add_range(&s->missing, next, m->uid - 1);
		next = m->uid + 1;
		store_message(s, m);
	}
	if (next <= r.hi && next != 0)
		uidset_add_range(&s->missing, next, r.hi);
}

static bool look_at_messages(struct store *s)
{
	struct uidset_iter it;
	struct uid_range r;
	struct pages_cursor c;

	pages_start(s->pages, &c);
	uidset_iter_init(&it, span_of(s->op->uids.data, s->op->uids.len));
	while (uidset_iter_next(&it, &r)) {
		if (s->bytes > s->limit_bytes)
			uidset_add_range(&s->remaining, r.lo, r.hi);
		else
			look_at_range(s, &c, r);
	}
	return !it.corrupt;
}

static void result_groups(const struct store *s, const struct flag_groups *groups,
			  uint64_t new_modseq, size_t *count, Tm__ResultFlags ***ret)
{
	struct arena *a = s->e->arena;

	*count = groups->count;
	*ret = arena_alloc(a, groups->count * sizeof(**ret));
	for (uint32_t i = 0; i < groups->count; i++) {
		const struct flag_group *g = &groups->at[i];
		struct flag_set set = flag_sets_get(s->pages->sets, g->set);
		Tm__ResultFlags *f = arena_alloc(a, sizeof(*f));

		tm__result_flags__init(f);
		f->system = set.system;
		f->modseq = new_modseq != 0 ? new_modseq : g->modseq;
		f->uids = uidset_encode_arena(&g->uids, a);
		f->n_keywords = set.count;
		f->keywords = arena_alloc(a, set.count * sizeof(char *));
		for (uint32_t k = 0; k < set.count; k++)
			f->keywords[k] =
				arena_strdup(a, keywords_name(s->pages->keywords, set.keywords[k]));
		(*ret)[i] = f;
	}
}

static void make_record(struct store *s)
{
	struct evaluation *e = s->e;
	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_FLAGS_CHANGED);
	Tm__FlagsChanged *c = r->flags_changed;

	s->counters.highestmodseq++;
	c->account = s->mailbox->account->id.v;
	c->mailbox = s->mailbox->id.v;
	c->modseq = s->counters.highestmodseq;
	c->n_new_names = s->slots.new_count;
	c->new_names = s->slots.new_names;
	c->n_groups = s->changed->count;
	c->groups = arena_alloc(e->arena, c->n_groups * sizeof(*c->groups));
	for (uint32_t i = 0; i < s->changed->count; i++) {
		const struct flag_group *g = &s->changed->at[i];
		Tm__FlagGroup *out = arena_alloc(e->arena, sizeof(*out));

		tm__flag_group__init(out);
		out->flags = eval_flag_set(e, flag_sets_get(s->pages->sets, g->set));
		out->uids = uidset_encode_arena(&g->uids, e->arena);
		out->sizes = eval_copy_bytes(e, buf_span(&g->sizes));
		c->groups[i] = out;
	}
	if (s->slots.new_count > 0)
		s->counters.keywords_version++;
	c->counters = eval_counters(e, &s->counters);
	eval_add(e, r);
}

static void make_result(struct store *s)
{
	struct arena *a = s->e->arena;
	Tm__StoreResult *r = arena_alloc(a, sizeof(*r));
	uint64_t new_modseq = s->changed->count > 0 ? s->counters.highestmodseq : 0;

	tm__store_result__init(r);
	r->modseq = new_modseq;
	result_groups(s, s->changed, new_modseq, &r->n_changed, &r->changed);
	result_groups(s, s->same, 0, &r->n_same, &r->same);
	result_groups(s, s->failed, 0, &r->n_failed, &r->failed);
	r->missing = uidset_encode_arena(&s->missing, a);
	r->stale = uidset_encode_arena(&s->stale, a);
	r->remaining = uidset_encode_arena(&s->remaining, a);
	r->before = s->counters.highestmodseq - (new_modseq != 0);
	r->keywords_version = s->counters.keywords_version;
	s->e->result->what_case = TM__OP_RESULT__WHAT_STORE;
	s->e->result->store = r;
}

static enum evaluated keywords_do_not_fit(struct store *s)
{
	Tm__StoreResult *r = arena_alloc(s->e->arena, sizeof(*r));

	tm__store_result__init(r);
	r->limit = true;
	s->e->result->what_case = TM__OP_RESULT__WHAT_STORE;
	s->e->result->store = r;
	return evaluated(s->e, TM__OUTCOME__LIMIT, "Too many different keywords in this mailbox");
}

static enum evaluated store_all(struct store *s)
{
	if (!look_at_messages(s))
		return evaluated(s->e, TM__OUTCOME__CANNOT, "Invalid set of messages");
	if (s->changed->count > 0)
		make_record(s);
	make_result(s);
	return evaluated(s->e, TM__OUTCOME__DONE, NULL);
}

/* Would this op change anything if it brought a new keyword? */
static bool any_passes(const struct mailbox_pages *pages, const Tm__StoreFlags *op, uint64_t *uids)
{
	struct uidset_iter it;
	struct uid_range r;
	struct pages_cursor c;
	bool any = false;

	*uids = 0;
	pages_start(pages, &c);
	uidset_iter_init(&it, span_of(op->uids.data, op->uids.len));
	while (uidset_iter_next(&it, &r)) {
		const struct page_entry *m;

		*uids += r.hi - r.lo + 1;
		if (op->n_keywords == 0 || any)
			continue;
		pages_seek(&c, r.lo);
		while (!any && (m = pages_next(&c, r.hi)) != NULL)
			any = condition_holds(op, m);
	}
	return any;
}

static enum evaluated store_prepared(struct store *s)
{
	struct flag_groups *groups = owner_flag_groups(s->e->partition->owner);

	s->pages = mailbox_now(s->mailbox);
	s->counters = s->pages->counters;
	s->merged = arena_alloc(s->e->arena, (keywords_top(s->pages->keywords) + s->slots.count +
					      1) * sizeof(*s->merged));
	s->changed = &groups[0];
	s->same = &groups[1];
	s->failed = &groups[2];
	for (int i = 0; i < 3; i++)
		flag_groups_clear(&groups[i]);

	enum evaluated rc = store_all(s);
	uidset_free(&s->missing);
	uidset_free(&s->stale);
	uidset_free(&s->remaining);
	return rc;
}

enum evaluated evaluate_store_flags(struct evaluation *e, const Tm__StoreFlags *op)
{
	struct store s = { .e = e, .op = op };
	struct account *a;
	uint64_t uids;

	enum evaluated rc = eval_account(e, &a);
	if (a == NULL)
		return rc;
	rc = eval_mailbox(e, a, op->mailbox, &s.mailbox);
	if (s.mailbox == NULL)
		return rc;

	/* A new name gets a slot only if some message will carry it. */
	bool create =
		any_passes(mailbox_now(s.mailbox), op, &uids) && op->mode != TM__STORE_MODE__REMOVE;
	size_t room = batch_room(e->batch);
	if (e->batch->op_count > 0 &&
	    room < 2 * STORE_BOUND_BYTES + (uids < 1000 ? uids : 1000) * MESSAGE_BOUND_BYTES)
		return NEXT_BATCH;
	s.limit_bytes = room - 2 * STORE_BOUND_BYTES;
	if (!eval_keywords(e, s.mailbox, op->keywords, op->n_keywords, create, &s.slots))
		return keywords_do_not_fit(&s);
	return store_prepared(&s);
}
