/* evaluate_copy.c: COPY and MOVE inside one account (IMAP.md, section 7): one record, sources in
 * ascending order, so that both sets of COPYUID ascend; a MOVE is copied and expunged in one log
 * entry. */
#include "replication/evaluate.h"
#include "replication/owner.h"

#include <assert.h>
#include <stdlib.h>

enum { COPY_FIXED_BYTES = 8192, COPY_MESSAGE_BYTES = 20, COPY_GROUP_BYTES = 32 };

struct copy {
	struct evaluation *e;
	const Tm__Copy *op;
	struct account *account;
	struct mailbox *source, *target;
	struct uidset uids; /* of the source */
	struct uidset missing;
	struct mailbox_counters counters; /* of the target */
	struct usage usage;
	char **names; /* keywords of the source's sets by slot, as the target will know them */
	uint16_t *slot_map;
};

static enum evaluated find_mailboxes(struct copy *c)
{
	enum evaluated rc = eval_mailbox(c->e, c->account, c->op->source, &c->source);

	if (c->source == NULL)
		return rc;
	c->target = account_mailbox_named(c->account, c->op->target);
	if (c->target == NULL) {
		c->source = NULL;
		return evaluated(c->e, TM__OUTCOME__NO_MAILBOX, "No such mailbox");
	}
	rc = eval_pages(c->e, c->target);
	if (rc != EVALUATED)
		c->source = NULL;
	return rc;
}

/* The slots of all keywords that the messages carry, mapped by name; new names get slots in the
 * target. False: they do not all fit, and nothing was done. */
static bool map_keywords(struct copy *c, Tm__KeywordName ***new_names, size_t *new_count)
{
	const struct mailbox_pages *from = mailbox_now(c->source);
	uint32_t top = keywords_top(from->keywords);
	bool *used = arena_zalloc(c->e->arena, top + 1);
	char **names = arena_alloc(c->e->arena, (top + 1) * sizeof(*names));
	size_t count = 0;
	struct pages_walk w;
	const struct page_entry *m;
	struct slots slots;

	pages_walk_start(from, &c->uids, &w);
	while ((m = pages_walk_next(&w)) != NULL) {
		struct flag_set set = flag_sets_get(from->sets, m->set);

		for (uint32_t i = 0; i < set.count; i++)
			used[set.keywords[i]] = true;
	}
	for (uint32_t i = 0; i < top; i++)
		if (used[i])
			names[count++] =
				arena_strdup(c->e->arena, keywords_name(from->keywords, i));
	if (!eval_keywords(c->e, c->target, names, count, true, &slots))
		return false;
	*new_names = slots.new_names;
	*new_count = slots.new_count;

	c->slot_map = arena_zalloc(c->e->arena, (top + 1) * sizeof(*c->slot_map));
	for (uint32_t i = 0; i < top; i++)
		if (used[i])
			c->slot_map[i] = (uint16_t)keywords_find(mailbox_now(c->target)->keywords,
								 keywords_name(from->keywords, i));
	return true;
}

static int compare_slots(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* The number, in the target's sets, of what a message carries in the source. */
static uint32_t target_set(struct copy *c, uint32_t source_set)
{
	struct flag_set from = flag_sets_get(mailbox_now(c->source)->sets, source_set);
	uint16_t *slots = arena_alloc(c->e->arena, (from.count + 1) * sizeof(*slots));
	uint32_t number;

	for (uint32_t i = 0; i < from.count; i++)
		slots[i] = c->slot_map[from.keywords[i]];
	qsort(slots, from.count, sizeof(*slots), compare_slots);
	int rc = pages_intern(mailbox_now(c->target),
			      (struct flag_set){ from.system, from.count, slots }, &number);
	assert(rc == OK);
	return number;
}

static void count_message(struct copy *c, uint32_t set, uint32_t size)
{
	uint32_t system = flag_sets_system(mailbox_now(c->target)->sets, set);

	c->counters.exists++;
	c->counters.bytes += size;
	c->counters.unseen += (system & FLAG_SEEN) == 0;
	if ((system & FLAG_DELETED) != 0) {
		c->counters.deleted++;
		c->counters.deleted_bytes += size;
	}
	c->usage.bytes += size;
	c->usage.messages++;
}

static void make_groups(struct copy *c, struct flag_groups *groups, Tm__MessagesCopied *r)
{
	struct pages_walk w;
	const struct page_entry *m;
	uint32_t uid = c->counters.uidnext, memo_from = 0, memo_to = 0;
	bool memo = false;

	flag_groups_clear(groups);
	pages_walk_start(mailbox_now(c->source), &c->uids, &w);
	while ((m = pages_walk_next(&w)) != NULL) {
		if (!memo || memo_from != m->set) {
			memo_to = target_set(c, m->set);
			memo_from = m->set;
			memo = true;
		}
		flag_groups_add(groups, memo_to, 0, uid++, m->size);
		count_message(c, memo_to, m->size);
	}
	r->n_groups = groups->count;
	r->groups = arena_alloc(c->e->arena, r->n_groups * sizeof(*r->groups));
	for (uint32_t i = 0; i < groups->count; i++) {
		Tm__FlagGroup *g = arena_alloc(c->e->arena, sizeof(*g));

		tm__flag_group__init(g);
		g->flags = eval_flag_set(
			c->e, flag_sets_get(mailbox_now(c->target)->sets, groups->at[i].set));
		g->uids = uidset_encode_arena(&groups->at[i].uids, c->e->arena);
		g->sizes = eval_copy_bytes(c->e, buf_span(&groups->at[i].sizes));
		r->groups[i] = g;
	}
}

static Tm__MessagesCopied *make_record(struct copy *c, Tm__KeywordName **new_names,
				       size_t new_count)
{
	struct evaluation *e = c->e;
	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_MESSAGES_COPIED);
	Tm__MessagesCopied *x = r->messages_copied;

	c->counters = mailbox_now(c->target)->counters;
	c->usage = account_usage_now(c->account);
	x->account = c->account->id.v;
	x->source = c->source->id.v;
	x->source_uids = uidset_encode_arena(&c->uids, e->arena);
	x->target = c->target->id.v;
	x->first_uid = c->counters.uidnext;
	x->savedate = e->now;
	make_groups(c, owner_flag_groups(e->partition->owner), x);
	c->counters.uidnext += (uint32_t)uidset_size(&c->uids);
	x->modseq = ++c->counters.highestmodseq;
	x->new_names = new_names;
	x->n_new_names = new_count;
	if (new_count > 0)
		c->counters.keywords_version++;
	x->counters = eval_counters(e, &c->counters);
	x->usage = eval_usage(e, &c->usage);
	eval_add(e, r);
	return x;
}

static enum evaluated copy_result(struct copy *c, const Tm__MessagesCopied *r)
{
	Tm__UidResult *res = arena_alloc(c->e->arena, sizeof(*res));

	tm__uid_result__init(res);
	res->uidvalidity = c->target->uidvalidity;
	res->mailbox = c->target->id.v;
	res->uids = uidset_encode_arena(&c->uids, c->e->arena);
	if (r != NULL) {
		res->first_uid = r->first_uid;
		res->modseq = r->modseq;
	}
	if (c->op->move)
		res->source_modseq = mailbox_now(c->source)->counters.highestmodseq;
	c->e->result->what_case = TM__OP_RESULT__WHAT_UIDS;
	c->e->result->uids = res;
	return evaluated(c->e, TM__OUTCOME__DONE, NULL);
}

static enum evaluated gone(struct copy *c)
{
	Tm__UidResult *res = arena_alloc(c->e->arena, sizeof(*res));

	tm__uid_result__init(res);
	res->uids = uidset_encode_arena(&c->missing, c->e->arena);
	c->e->result->what_case = TM__OP_RESULT__WHAT_UIDS;
	c->e->result->uids = res;
	return evaluated(c->e, TM__OUTCOME__GONE, "Some of the messages no longer exist");
}

static enum evaluated copy_all(struct copy *c)
{
	Tm__KeywordName **new_names = NULL;
	size_t new_count = 0;
	struct evaluation *e = c->e;

	if (uidset_decode(span_of(c->op->uids.data, c->op->uids.len), UID_SET_MAX_RANGES,
			  &c->uids) != OK ||
	    uidset_size(&c->uids) > COPY_MESSAGES_MAX)
		return evaluated(e, TM__OUTCOME__TOO_MANY, "Too many messages in one command");
	pages_missing(mailbox_now(c->source), &c->uids, &c->missing);
	if (c->missing.count > 0)
		return gone(c);
	if (c->uids.count == 0)
		return copy_result(c, NULL);
	if (e->batch->op_count > 0 &&
	    batch_room(e->batch) < COPY_FIXED_BYTES + uidset_size(&c->uids) * COPY_MESSAGE_BYTES)
		return NEXT_BATCH;
	if (mailbox_now(c->target)->counters.uidnext > UINT32_MAX - COPY_MESSAGES_MAX)
		return evaluated(e, TM__OUTCOME__LIMIT, "The mailbox has no UIDs left");
	if (!map_keywords(c, &new_names, &new_count))
		return evaluated(e, TM__OUTCOME__LIMIT,
				 "Too many different keywords in the target mailbox");
	eval_touch_account(e, c->account, false);
	const Tm__MessagesCopied *r = make_record(c, new_names, new_count);
	if (c->op->move)
		eval_take_out(e, c->account, c->source, &c->uids);
	return copy_result(c, r);
}

enum evaluated evaluate_copy(struct evaluation *e, const Tm__Copy *op)
{
	struct copy c = { .e = e, .op = op };
	enum evaluated rc = eval_account(e, &c.account);

	if (c.account == NULL)
		return rc;
	rc = find_mailboxes(&c);
	if (c.source == NULL)
		return rc;
	rc = copy_all(&c);
	uidset_free(&c.uids);
	uidset_free(&c.missing);
	return rc;
}
