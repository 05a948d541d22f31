#include "replication/partition.h"

#include "replication/apply.h"
#include "replication/batch.h"
#include "replication/evaluate.h"
#include "replication/janitor.h"
#include "replication/load.h"
#include "replication/node.h"
#include "replication/owner.h"
#include "replication/read.h"
#include "replication/upload_table.h"
#include "replication/watch.h"
#include "storage/base/clock.h"
#include "storage/base/crash_point.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"
#include "storage/base/mistakes.h"

#include <assert.h>

enum {
	DEDUP_MEMORY_SECONDS = 120, /* longer than any op is repeated */
	DEDUP_LOOKUP_MILLISECONDS = (SESSION_OP_DEADLINE_SECONDS + 60) * 1000,
};

/* ---- life ---- */

struct partition *partition_new(struct owner *o, partition_id id)
{
	struct partition *p = g_new0(struct partition, 1);

	p->id = id;
	p->owner = o;
	p->dedup = dedup_new();
	p->accounts = g_hash_table_new(g_str_hash, g_str_equal);
	p->accounts_by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
	p->watches = watches_new();
	p->uploads = upload_table_new();
	p->janitor = janitor_new(p, &o->node->options.janitor);
	g_queue_init(&p->pending);
	return p;
}

static void entry_free(gpointer data)
{
	struct log_entry *e = data;

	log_entry_unref(&e);
}

void partition_free(struct partition **pp)
{
	struct partition *p = *pp;
	GHashTableIter it;
	gpointer value;

	if (p == NULL)
		return;
	while (p->flight_first != NULL) {
		struct batch *b = p->flight_first;

		p->flight_first = b->next;
		b->touched = NULL;
		b->touched_accounts = NULL;
		batch_give_back(&p->owner->pool, b);
	}
	g_hash_table_iter_init(&it, p->accounts);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct account *a = value;

		account_free(&a);
	}
	g_hash_table_destroy(p->accounts);
	g_hash_table_destroy(p->accounts_by_id);
	g_queue_clear_full(&p->pending, entry_free);
	dedup_free(&p->dedup);
	watches_free(&p->watches);
	upload_table_free(&p->uploads);
	janitor_free(&p->janitor);
	g_free(p);
	*pp = NULL;
}

bool partition_recovered(const struct partition *p)
{
	return p->replica.state == REPLICA_LEADING;
}

/* ---- accounts ---- */

struct account *partition_find_account(struct partition *p, const char *name)
{
	return g_hash_table_lookup(p->accounts, name);
}

struct account *partition_account(struct partition *p, const char *name)
{
	struct account *a = partition_find_account(p, name);

	if (a == NULL) {
		a = account_new(name);
		g_hash_table_insert(p->accounts, a->name, a);
	}
	a->used_ms = owner_now_ms(p->owner);
	return a;
}

struct account *partition_account_by_id(struct partition *p, account_id id)
{
	return id.v == 0 ? NULL : g_hash_table_lookup(p->accounts_by_id, &id.v);
}

void partition_index_account(struct partition *p, struct account *a)
{
	if (a->state == ACCOUNT_LOADED)
		g_hash_table_replace(p->accounts_by_id, &a->id.v, a);
}

void partition_unindex_account(struct partition *p, struct account *a)
{
	g_hash_table_remove(p->accounts_by_id, &a->id.v);
}

/* ---- answering without evaluation ---- */

static void refuse_op(struct op_job *j, Tm__Outcome outcome, const char *text)
{
	Tm__OpResult r = TM__OP_RESULT__INIT;
	char copy[128];

	g_strlcpy(copy, text, sizeof(copy));
	r.outcome = outcome;
	r.text = copy;
	j->reply(j, &r);
}

static void push_op(struct op_job **first, struct op_job **last, struct op_job *j)
{
	j->next = NULL;
	if (*first == NULL)
		*first = j;
	else
		(*last)->next = j;
	*last = j;
}

static struct op_job *pop_op(struct op_job **first)
{
	struct op_job *j = *first;

	*first = j->next;
	j->next = NULL;
	return j;
}

int partition_offer_op(struct partition *p, struct op_job *j)
{
	if (p->ops_waiting >= PARTITION_WAITING_MAX_OPS)
		return ERR_BUSY;
	p->ops_waiting++;
	if (j->op->what_case == TM__OP__WHAT_PUT_CHUNK)
		push_op(&p->chunks_first, &p->chunks_last, j);
	else
		push_op(&p->ops_first, &p->ops_last, j);
	owner_ready(p->owner, p);
	return OK;
}

/* All that waited for something looks again. Parked ones go first: they came earlier. */
static void unpark(struct partition *p)
{
	struct op_job *last = p->parked_ops;

	if (last != NULL) {
		while (last->next != NULL)
			last = last->next;
		last->next = p->ops_first;
		if (p->ops_first == NULL)
			p->ops_last = last;
		p->ops_first = p->parked_ops;
		p->parked_ops = NULL;
	}
	read_unpark(p);
	owner_ready(p->owner, p);
}

/* ---- evaluation ---- */

enum taken { TAKEN, LEFT, PARKED };

static void load_for(struct partition *p, struct evaluation *e, enum evaluated why)
{
	if (why == NEEDS_ACCOUNT)
		load_account(p, partition_account(p, e->needs_account));
	else
		load_mailbox(p, e->needs_mailbox);
}

static client_id client_of(const Tm__Op *op)
{
	client_id c = { { 0 } };

	if (op->client.len == sizeof(c))
		memcpy(c.b, op->client.data, sizeof(c));
	return c;
}

static bool in_batch(const struct batch *b, const Tm__Op *op)
{
	for (unsigned i = 0; i < b->op_count; i++) {
		const Tm__Op *other = b->ops[i].job->op;

		if (other->client.len == op->client.len && op->client.len > 0 &&
		    memcmp(other->client.data, op->client.data, op->client.len) == 0)
			return true;
	}
	return false;
}

static void reply_stored(struct batch *b, struct op_job *j, struct span result)
{
	Tm__OpResult *r =
		tm__op_result__unpack(&b->arena.pb, result.bytes, (const uint8_t *)result.at);

	if (r == NULL)
		refuse_op(j, TM__OUTCOME__UNKNOWN_FATE, "The stored answer cannot be read");
	else
		j->reply(j, r);
}

/* Exactly once (DESIGN.md, section 3). True: the op has been dealt with. */
static bool deduplicated(struct partition *p, struct batch *b, struct op_job *j, bool *park)
{
	client_id c = client_of(j->op);
	struct span result;

	switch (dedup_look(p->dedup, c, j->op->number, &result)) {
	case DEDUP_NEWER: return false;
	case DEDUP_SAME: reply_stored(b, j, result); return true;
	case DEDUP_WITHDRAWN: refuse_op(j, TM__OUTCOME__WITHDRAWN, "Withdrawn"); return true;
	case DEDUP_OLDER: j->reply(j, NULL); return true;
	case DEDUP_UNKNOWN: break;
	}
	/* S11: for a while after a start it may stand in a row. */
	*park = owner_now_ms(p->owner) < p->dedup_lookup_until_ms;
	if (*park)
		load_dedup(p, c);
	return false;
}

static Tm__Change *new_change(struct batch *b, const Tm__Op *op)
{
	Tm__Change *c = arena_alloc(&b->arena, sizeof(*c));

	tm__change__init(c);
	c->client = op->client;
	c->number = op->number;
	return c;
}

static void take_change(struct batch *b, const struct evaluation *e)
{
	Tm__Change *c = new_change(b, e->op);
	size_t bytes = tm__op_result__get_packed_size(e->result);

	c->n_records = e->record_count;
	c->records = arena_alloc(&b->arena, e->record_count * sizeof(*c->records));
	memcpy(c->records, e->records, e->record_count * sizeof(*c->records));
	if (e->op->client.len > 0) {
		c->result.data = arena_alloc(&b->arena, bytes + 1);
		c->result.len = tm__op_result__pack(e->result, c->result.data);
	}
	batch_add_change(b, c);
}

/* Withdraw: the op with this number did not happen, and from now on will not (section 3). */
static void evaluate_withdraw(struct batch *b, const Tm__Op *op, Tm__OpResult *result)
{
	Tm__Change *c = new_change(b, op);

	tm__op_result__init(result);
	result->outcome = TM__OUTCOME__WITHDRAWN;
	c->withdrawn = true;
	batch_add_change(b, c);
}

static enum taken evaluate_into(struct partition *p, struct batch *b, struct op_job *j)
{
	struct evaluation e = {
		.partition = p,
		.batch = b,
		.arena = &b->arena,
		.now = clock_real_seconds(),
		.op = j->op,
		.result = &b->ops[b->op_count].result,
	};

	if (j->op->what_case == TM__OP__WHAT_WITHDRAW) {
		evaluate_withdraw(b, j->op, e.result);
	} else {
		enum evaluated how = evaluate_op(&e);

		if (how == NEXT_BATCH)
			return LEFT;
		if (how != EVALUATED) {
			load_for(p, &e, how);
			return PARKED;
		}
		if (e.record_count > 0)
			take_change(b, &e);
	}
	b->ops[b->op_count++].job = j;
	return TAKEN;
}

static enum taken take_op(struct partition *p, struct batch *b, struct op_job *j)
{
	bool park = false;

	if (j->op->client.len > 0) {
		if (in_batch(b, j->op))
			return LEFT;
		if (deduplicated(p, b, j, &park)) {
			p->ops_waiting--;
			return TAKEN;
		}
	}
	enum taken how = park ? PARKED : evaluate_into(p, b, j);
	if (how == TAKEN)
		p->ops_waiting--;
	return how;
}

static void answer_batch(struct batch *b)
{
	for (unsigned i = 0; i < b->op_count; i++)
		b->ops[i].job->reply(b->ops[i].job, &b->ops[i].result);
	b->op_count = 0;
}

static void on_logged(struct log_write *w, void *receiver)
{
	struct batch *b = (struct batch *)w;

	(void)receiver;
	owner_logged(b->partition->owner, b);
}

static void propose(struct partition *p, struct batch *b)
{
	struct owner *o = p->owner;
	log_seq seq = replica_propose(&p->replica);

	CRASH_POINT("partition.evaluated");
	batch_seal(b, seq, p->replica.adopted, clock_real_seconds());
	if (p->flight_first == NULL)
		p->flight_first = b;
	else
		p->flight_last->next = b;
	p->flight_last = b;

	b->write = (struct log_write){
		.partition = p->id,
		.home = loop_inbox(o->loop),
		.done = on_logged,
		.entries = &b->sealed,
		.count = 1,
	};
	log_write_prepare(o->node->db->log, &b->write);
	loop_send_forced(o->loop, log_inbox(o->node->db->log), &b->write.message);
}

/* Make one batch of what waits in a queue; what cannot be in it stays, in order. */
static struct batch *make_batch(struct partition *p, struct op_job **first, struct op_job **last)
{
	struct batch *b = batch_take(&p->owner->pool, p);
	struct op_job *left = NULL, *left_last = NULL;
	struct op_job *parked = NULL, *parked_last = NULL;

	while (*first != NULL && !batch_is_full(b)) {
		struct op_job *j = pop_op(first);

		switch (take_op(p, b, j)) {
		case TAKEN: break;
		case LEFT: push_op(&left, &left_last, j); break;
		case PARKED: push_op(&parked, &parked_last, j); break;
		}
	}
	if (left != NULL) {
		left_last->next = *first;
		if (*first == NULL)
			*last = left_last;
		*first = left;
	}
	if (parked != NULL) {
		parked_last->next = p->parked_ops;
		p->parked_ops = parked;
	}
	return b;
}

/* Nothing can be made durable: say so at once, while it is certain that nothing happened. */
static bool refuse_all(struct partition *p)
{
	const char *why = NULL;

	if (p->stopped)
		why = "The mailbox store is damaged or its disk failed";
	else if (log_is_full(p->owner->node->db->log))
		why = "The disk is full";
	if (why == NULL)
		return false;
	while (p->chunks_first != NULL) {
		p->ops_waiting--;
		refuse_op(pop_op(&p->chunks_first), TM__OUTCOME__UNAVAILABLE, why);
	}
	while (p->ops_first != NULL) {
		p->ops_waiting--;
		refuse_op(pop_op(&p->ops_first), TM__OUTCOME__UNAVAILABLE, why);
	}
	return true;
}

static void submit(struct partition *p, struct batch *b, bool evaluated)
{
	assert(b->touched == NULL || b->entry.n_changes > 0);
	if (b->entry.n_changes == 0) {
		answer_batch(b);
		batch_give_back(&p->owner->pool, b);
		return;
	}
	b->evaluated = evaluated;
	if (evaluated)
		p->evaluated_in_flight = true; /* W1 */
	propose(p, b);
}

/* What the leader changes by itself: a batch without ops. */
static void evaluate_own(struct partition *p)
{
	if (p->evaluated_in_flight || !janitor_waits(p->janitor))
		return;
	struct batch *b = batch_take(&p->owner->pool, p);
	Tm__Change *c = janitor_evaluate(p->janitor, &b->arena);

	if (c != NULL)
		batch_add_change(b, c);
	submit(p, b, true);
	if (c != NULL)
		janitor_proposed(p->janitor, p->replica.last);
}

static void evaluate_waiting(struct partition *p)
{
	if (refuse_all(p) || !partition_recovered(p))
		return;
	if (flusher_pending_bytes(p->owner->node->db->flusher) > PENDING_MAX_BYTES)
		return; /* S13; partition_on_flushed() and the tick look again */
	if (p->chunks_first != NULL)
		submit(p, make_batch(p, &p->chunks_first, &p->chunks_last), false);
	evaluate_own(p);
	while (p->ops_first != NULL && !p->evaluated_in_flight) {
		struct op_job *before = p->ops_first;

		p->work = p->values;
		submit(p, make_batch(p, &p->ops_first, &p->ops_last), true);
		if (p->ops_first == before && !p->evaluated_in_flight)
			break; /* it waits for what is in flight */
	}
	if (p->chunks_first != NULL)
		owner_ready(p->owner, p);
}

void partition_turn(struct partition *p)
{
	evaluate_waiting(p);
	read_turn(p);
}

/* ---- after the log ---- */

static void publish_work(struct partition *p, struct batch *b)
{
	while (b->touched != NULL) {
		struct mailbox *m = b->touched;

		b->touched = m->next_touched;
		pages_drop(&m->pages);
		m->pages = m->work;
		m->work = NULL;
	}
	while (b->touched_accounts != NULL) {
		struct account *a = b->touched_accounts;

		b->touched_accounts = a->next_touched;
		a->usage = a->work_usage;
		a->has_work = false;
		a->touched = false;
		a->names_in_flight = false;
	}
	(void)p;
}

void partition_stop(struct partition *p, const char *what, int rc)
{
	if (p->stopped)
		return;
	p->stopped = true;
	log_error("partition stopped: its state contradicts its log", LOG_PARTITION(p->id),
		  LOG_STR("what", what), LOG_ERR(rc));
}

static void remember_result(struct partition *p, const Tm__Change *c, int64_t when)
{
	client_id id;

	if (c->client.len != sizeof(id))
		return;
	memcpy(id.b, c->client.data, sizeof(id));
	dedup_put(p->dedup, id, c->number, span_of(c->result.data, c->result.len), c->withdrawn,
		  when);
}

/* Everything that a committed entry means for memory, beside the work states. */
static void apply_entry(struct partition *p, struct log_entry *e, const Tm__LogEntry *decoded,
			bool replay)
{
	for (size_t i = 0; i < decoded->n_changes; i++) {
		const Tm__Change *c = decoded->changes[i];

		for (size_t k = 0; k < c->n_records; k++) {
			int rc = apply_committed(p, c->records[k]);

			if (rc != OK)
				partition_stop(p, "record", rc);
		}
		if (!(replay && mistake_active("dedup-forgotten")))
			remember_result(p, c, decoded->when);
	}
	g_queue_push_tail(&p->pending, log_entry_ref(e));
	p->pending_bytes += e->bytes;

	int rc = young_add(p->owner->node->db->young, e, decoded);
	if (rc != OK)
		partition_stop(p, "young", rc);
	flusher_add(p->owner->node->db->flusher, &p->flush, &e, 1);
}

static void publish_batch(struct partition *p, struct batch *b)
{
	p->flight_first = b->next;
	if (b->evaluated) {
		publish_work(p, b);
		p->evaluated_in_flight = false;
	}
	apply_entry(p, b->sealed, &b->entry, false);
	if (b->evaluated)
		CRASH_POINT("partition.applied");
	else
		CRASH_POINT("partition.chunk-applied");
	answer_batch(b);
	CRASH_POINT("partition.answered");
	batch_give_back(&p->owner->pool, b);
}

static void replay_entry(struct partition *p, struct log_entry *e)
{
	struct arena a;
	Tm__LogEntry *decoded;

	arena_init(&a);
	int rc = log_entry_decode(e, &a, &decoded);
	if (rc == OK)
		apply_entry(p, e, decoded, true);
	else
		partition_stop(p, "log entry", rc);
	arena_free(&a);
	CRASH_POINT("recovery.replayed");
}

static void apply_up_to(struct partition *p, log_seq to)
{
	while (p->replay != NULL && p->replayed < p->replay->len) {
		struct log_entry *e = g_ptr_array_index(p->replay, p->replayed);

		if (e->seq.v > to.v)
			break;
		replay_entry(p, e);
		p->replayed++;
	}
	if (p->replay != NULL && p->replayed == p->replay->len) {
		g_ptr_array_free(p->replay, TRUE);
		p->replay = NULL;
	}
	while (p->flight_first != NULL && p->flight_first->sealed->seq.v <= to.v)
		publish_batch(p, p->flight_first);
}

static void carry_out(struct partition *p, const struct replica_out *out);

static void on_adopted(struct log_write *w, void *receiver)
{
	struct partition *p =
		(struct partition *)((char *)w - offsetof(struct partition, adopt_write));

	(void)receiver;
	struct replica_out out = { 0 };
	if (w->result != OK) {
		node_disk_failed(p->owner->node, w->result);
		return;
	}
	CRASH_POINT("recovery.adopted");
	replica_on_adopted(&p->replica, w->adopt_version, &out);
	carry_out(p, &out);
}

static void adopt(struct partition *p)
{
	struct node *n = p->owner->node;

	p->adopt_write.partition = p->id;
	p->adopt_write.home = loop_inbox(p->owner->loop);
	p->adopt_write.done = on_adopted;
	p->adopt_write.adopt_version = p->replica.config.version;
	p->adopt_write.begin = p->begin;
	p->adopt_write.base = p->begin_at;
	log_write_prepare(n->db->log, &p->adopt_write);
	loop_send_forced(p->owner->loop, log_inbox(n->db->log), &p->adopt_write.message);
}

static void carry_out(struct partition *p, const struct replica_out *out)
{
	struct node *n = p->owner->node;

	if (out->damaged) {
		p->stopped = true;
		log_error("partition stopped: its log lost what was acknowledged",
			  LOG_PARTITION(p->id));
		node_partition_settled(n, false);
	}
	if (out->read_config)
		n->coordinator->read(n->coordinator, p->id);
	if (out->swap)
		n->coordinator->swap(n->coordinator, p->id, &out->wanted);
	if (out->adopt)
		adopt(p);
	if (out->apply) {
		struct replica_out more = { 0 };

		apply_up_to(p, out->to);
		replica_on_applied(&p->replica, out->to, &more);
		carry_out(p, &more);
	}
	if (out->recovered) {
		p->dedup_lookup_until_ms = owner_now_ms(p->owner) + DEDUP_LOOKUP_MILLISECONDS;
		node_partition_settled(n, true);
	}
	owner_ready(p->owner, p);
}

void partition_on_logged(struct partition *p, struct batch *b, int rc)
{
	struct replica_out out = { 0 };

	CRASH_POINT("partition.logged");
	if (rc != OK) {
		/* Whether it is on the disk cannot be known: no answer but an honest one. */
		for (unsigned i = 0; i < b->op_count; i++)
			refuse_op(b->ops[i].job, TM__OUTCOME__UNKNOWN_FATE, "The disk failed");
		b->op_count = 0;
		p->stopped = true; /* what waits was never handed over: refused, for certain */
		owner_ready(p->owner, p);
		node_disk_failed(p->owner->node, rc);
		return;
	}
	replica_on_durable(&p->replica, b->sealed->seq, &out);
	carry_out(p, &out);
}

void partition_on_config(struct partition *p, const struct configuration *c, bool swapped)
{
	struct replica_out out = { 0 };

	if (swapped)
		replica_on_swapped(&p->replica, c, &out);
	else
		replica_on_config(&p->replica, c, &out);
	carry_out(p, &out);
}

static void on_flushed(struct flush_partition *f, void *receiver)
{
	struct partition *p = (struct partition *)((char *)f - offsetof(struct partition, flush));

	(void)receiver;
	partition_on_flushed(p);
}

void partition_start(struct partition *p, struct partition_start *s)
{
	struct replica_out out = { 0 };

	p->values = s->values;
	p->replay = s->entries;
	p->begin = s->begin;
	p->begin_at = s->applied;
	s->entries = NULL;
	p->flush = (struct flush_partition){
		.p = s->pgen,
		.home = loop_inbox(p->owner->loop),
		.flushed = on_flushed,
	};
	int rc = flusher_register(p->owner->node->db->flusher, &p->flush);
	if (rc != OK)
		partition_stop(p, "partition row", rc);
	replica_start(&p->replica, (node_id){ p->owner->node->db->identity.node }, &s->disk, &out);
	carry_out(p, &out);
}

/* W3: what no loader needs any more goes. */
void partition_on_flushed(struct partition *p)
{
	uint64_t flushed = atomic_load(&p->flush.flushed_seq);
	uint64_t keep_from = load_lowest_hold(p, flushed);

	if (atomic_load(&p->flush.error) != OK && !p->stopped)
		partition_stop(p, "rows", atomic_load(&p->flush.error));
	while (!g_queue_is_empty(&p->pending)) {
		struct log_entry *e = g_queue_peek_head(&p->pending);

		if (e->seq.v > keep_from)
			break;
		g_queue_pop_head(&p->pending);
		p->pending_bytes -= e->bytes;
		log_entry_unref(&e);
	}
	owner_ready(p->owner, p);
}

void partition_on_loaded(struct partition *p)
{
	partition_on_flushed(p);
	unpark(p);
}

/* ---- time passes ---- */

/* Takes out of a queue what has waited too long; answered afterwards, when the queue is whole. */
static void take_expired(struct op_job **first, struct op_job **last, uint64_t now_ms,
			 struct op_job **expired)
{
	struct op_job *kept = NULL, *kept_last = NULL;

	while (*first != NULL) {
		struct op_job *j = pop_op(first);

		if (j->expires_ms > now_ms) {
			push_op(&kept, &kept_last, j);
		} else {
			j->next = *expired;
			*expired = j;
		}
	}
	*first = kept;
	if (last != NULL)
		*last = kept_last;
}

/* An op of the queue was never handed over, so a refusal is certain. */
static void expire_waiting(struct partition *p, uint64_t now_ms)
{
	struct op_job *expired = NULL;

	take_expired(&p->parked_ops, NULL, now_ms, &expired);
	take_expired(&p->ops_first, &p->ops_last, now_ms, &expired);
	take_expired(&p->chunks_first, &p->chunks_last, now_ms, &expired);
	while (expired != NULL) {
		struct op_job *j = pop_op(&expired);

		p->ops_waiting--;
		refuse_op(j, TM__OUTCOME__UNAVAILABLE, "No answer in time");
	}
	read_expire(p, now_ms);
}

void partition_tick(struct partition *p, uint64_t now_ms)
{
	const struct node *n = p->owner->node;
	int64_t now = clock_real_seconds();

	expire_waiting(p, now_ms);
	dedup_age(p->dedup, now - DEDUP_MEMORY_SECONDS);
	/* Long before the janitor takes what an upload left behind (J1). */
	upload_table_age(p->uploads, now - janitor_body_seconds(&n->options.janitor) / 2);
	if (partition_recovered(p) && !p->stopped)
		janitor_tick(p->janitor, now_ms);
	/* A load that found the loaders' queue full is asked for again. */
	if (p->loads == NULL && (p->parked_ops != NULL || p->parked_reads != NULL))
		unpark(p);
	if (p->ops_first != NULL || p->chunks_first != NULL)
		owner_ready(p->owner, p);
}
