/* evaluate_expunge.c: Expunge and ClaimRecent. */
#include "replication/evaluate.h"

#include <assert.h>

/* What of `in` exists and, if asked for, has \Deleted. */
static bool collect(const struct mailbox_pages *pages, const Tm__Expunge *op, struct uidset *ret)
{
	struct uidset_iter it;
	struct uid_range r;
	struct pages_cursor c;
	const struct page_entry *m;

	pages_start(pages, &c);
	uidset_iter_init(&it, span_of(op->uids.data, op->uids.len));
	while (uidset_iter_next(&it, &r)) {
		pages_seek(&c, r.lo);
		while ((m = op->only_deleted ? pages_next_deleted(&c, r.hi)
					     : pages_next(&c, r.hi)) != NULL)
			uidset_add(ret, m->uid);
	}
	return !it.corrupt;
}

/* The expunge makes a row of table vanished; the one beyond the bound prunes the oldest (a quarter
 * of them at once, so that it happens seldom) and moves the horizon (IMAP.md, section 5). */
static void count_vanished(const struct mailbox *m, struct mailbox_counters *c,
			   Tm__MessagesExpunged *x)
{
	c->vanished_rows++;
	if (c->vanished_rows <= VANISHED_MAX_ROWS)
		return;
	uint32_t rows;
	x->prune_to = vanished_oldest(m->vanished, VANISHED_MAX_ROWS / 4, &rows);
	c->vanished_rows -= rows;
	if (x->prune_to > c->horizon)
		c->horizon = x->prune_to;
}

void eval_take_out(struct evaluation *e, struct account *a, struct mailbox *m,
		   const struct uidset *uids)
{
	struct mailbox_pages *now = mailbox_now(m);
	struct mailbox_counters c = now->counters;
	struct usage usage = account_usage_now(a);
	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_MESSAGES_EXPUNGED);
	Tm__MessagesExpunged *x = r->messages_expunged;
	struct pages_walk w;
	const struct page_entry *p;

	pages_walk_start(now, uids, &w);
	while ((p = pages_walk_next(&w)) != NULL) {
		uint32_t system = flag_sets_system(now->sets, p->set);

		c.exists--;
		c.bytes -= p->size;
		usage.bytes -= p->size;
		usage.messages--;
		if ((system & FLAG_SEEN) == 0)
			c.unseen--;
		if ((system & FLAG_DELETED) != 0) {
			c.deleted--;
			c.deleted_bytes -= p->size;
		}
	}
	x->account = a->id.v;
	x->mailbox = m->id.v;
	x->modseq = ++c.highestmodseq;
	x->uids = uidset_encode_arena(uids, e->arena);
	count_vanished(m, &c, x);
	x->counters = eval_counters(e, &c);
	x->usage = eval_usage(e, &usage);
	eval_add(e, r);
}

enum evaluated evaluate_expunge(struct evaluation *e, const Tm__Expunge *op)
{
	struct account *a;
	struct mailbox *m;
	struct uidset uids = { 0 };

	enum evaluated rc = eval_account(e, &a);
	if (a == NULL)
		return rc;
	rc = eval_mailbox(e, a, op->mailbox, &m);
	if (m == NULL)
		return rc;
	if (!collect(mailbox_now(m), op, &uids)) {
		uidset_free(&uids);
		return evaluated(e, TM__OUTCOME__CANNOT, "Invalid set of messages");
	}
	if (uids.count > 0 && e->batch->op_count > 0 &&
	    batch_room(e->batch) < 4096 + 20 * (size_t)uids.count) {
		uidset_free(&uids);
		return NEXT_BATCH;
	}

	Tm__UidResult *res = arena_alloc(e->arena, sizeof(*res));
	tm__uid_result__init(res);
	res->mailbox = m->id.v;
	res->uidvalidity = m->uidvalidity;
	res->uids = uidset_encode_arena(&uids, e->arena);
	if (uids.count > 0) {
		eval_touch_account(e, a, false);
		eval_take_out(e, a, m, &uids);
		res->source_modseq = mailbox_now(m)->counters.highestmodseq;
	}
	uidset_free(&uids);
	e->result->what_case = TM__OP_RESULT__WHAT_UIDS;
	e->result->uids = res;
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}

enum evaluated evaluate_claim_recent(struct evaluation *e, const Tm__ClaimRecent *op)
{
	struct account *a;
	struct mailbox *m;

	enum evaluated rc = eval_account(e, &a);
	if (a == NULL)
		return rc;
	rc = eval_mailbox(e, a, op->mailbox, &m);
	if (m == NULL)
		return rc;

	struct mailbox_counters c = mailbox_now(m)->counters;
	Tm__UidResult *res = arena_alloc(e->arena, sizeof(*res));
	tm__uid_result__init(res);
	res->mailbox = m->id.v;
	res->recent_from = c.recent_from;
	uint32_t up_to = op->up_to < c.uidnext ? op->up_to : c.uidnext;
	if (up_to > c.recent_from) {
		Tm__Record *r = eval_record(e, TM__RECORD__WHAT_RECENT_CLAIMED);

		c.recent_from = up_to;
		r->recent_claimed->account = a->id.v;
		r->recent_claimed->mailbox = m->id.v;
		r->recent_claimed->counters = eval_counters(e, &c);
		eval_add(e, r);
	}
	e->result->what_case = TM__OP_RESULT__WHAT_UIDS;
	e->result->uids = res;
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}
