#include "replication/evaluate.h"

#include "replication/apply.h"
#include "replication/owner.h"

#include <assert.h>

enum evaluated evaluated(struct evaluation *e, Tm__Outcome outcome, const char *text)
{
	e->result->outcome = outcome;
	if (text != NULL)
		e->result->text = eval_strdup(e, text);
	return EVALUATED;
}

char *eval_strdup(struct evaluation *e, const char *z)
{
	return arena_strdup(e->arena, span_str(z));
}

ProtobufCBinaryData eval_copy_bytes(struct evaluation *e, struct span s)
{
	ProtobufCBinaryData d = { .len = s.bytes, .data = NULL };

	if (s.bytes > 0) {
		d.data = arena_alloc(e->arena, s.bytes);
		memcpy(d.data, s.at, s.bytes);
	}
	return d;
}

enum evaluated eval_account(struct evaluation *e, struct account **ret)
{
	struct account *a = partition_account(e->partition, e->op->account);

	*ret = NULL;
	switch (a->state) {
	case ACCOUNT_LOADING: e->needs_account = e->op->account; return NEEDS_ACCOUNT;
	case ACCOUNT_ABSENT: return evaluated(e, TM__OUTCOME__NO_ACCOUNT, "No such account");
	case ACCOUNT_LOADED: break;
	}
	if (a->names_in_flight)
		return NEXT_BATCH;
	*ret = a;
	return EVALUATED;
}

enum evaluated eval_pages(struct evaluation *e, struct mailbox *m)
{
	m->used_ms = owner_now_ms(e->partition->owner);
	if (m->loaded)
		return EVALUATED;
	e->needs_mailbox = m;
	return NEEDS_MAILBOX;
}

enum evaluated eval_mailbox(struct evaluation *e, struct account *a, uint64_t id,
			    struct mailbox **ret)
{
	struct mailbox *m = account_mailbox(a, (mailbox_id){ id });

	*ret = NULL;
	if (m == NULL)
		return evaluated(e, TM__OUTCOME__NO_MAILBOX, "The mailbox does not exist any more");
	enum evaluated rc = eval_pages(e, m);
	if (rc == EVALUATED)
		*ret = m;
	return rc;
}

struct mailbox_pages *eval_work(struct evaluation *e, struct mailbox *m)
{
	if (m->work == NULL) {
		m->work = pages_pin(m->pages);
		m->next_touched = e->batch->touched;
		e->batch->touched = m;
	}
	return pages_writable(&m->work);
}

void eval_touch_account(struct evaluation *e, struct account *a, bool names)
{
	if (!a->touched) {
		a->touched = true;
		a->has_work = true;
		a->work_usage = a->usage;
		a->next_touched = e->batch->touched_accounts;
		e->batch->touched_accounts = a;
	}
	if (names)
		a->names_in_flight = true;
}

/* ---- building records ---- */

/* What each kind of record is made of. */
static const struct record_kind {
	const ProtobufCMessageDescriptor *descriptor;
} kinds[] = {
	[TM__RECORD__WHAT_CHUNK_STORED] = { &tm__chunk_stored__descriptor },
	[TM__RECORD__WHAT_MESSAGES_ADDED] = { &tm__messages_added__descriptor },
	[TM__RECORD__WHAT_MESSAGES_COPIED] = { &tm__messages_copied__descriptor },
	[TM__RECORD__WHAT_FLAGS_CHANGED] = { &tm__flags_changed__descriptor },
	[TM__RECORD__WHAT_MESSAGES_EXPUNGED] = { &tm__messages_expunged__descriptor },
	[TM__RECORD__WHAT_RECENT_CLAIMED] = { &tm__recent_claimed__descriptor },
	[TM__RECORD__WHAT_MAILBOX_CREATED] = { &tm__mailbox_created__descriptor },
	[TM__RECORD__WHAT_MAILBOX_DELETED] = { &tm__mailbox_deleted__descriptor },
	[TM__RECORD__WHAT_MAILBOX_RENAMED] = { &tm__mailbox_renamed__descriptor },
	[TM__RECORD__WHAT_SUBSCRIBED] = { &tm__subscribed__descriptor },
	[TM__RECORD__WHAT_ACCOUNT_CHANGED] = { &tm__account_changed__descriptor },
	[TM__RECORD__WHAT_ACCOUNT_DELETED] = { &tm__account_deleted__descriptor },
};

Tm__Record *eval_record(struct evaluation *e, Tm__Record__WhatCase what)
{
	const ProtobufCMessageDescriptor *d = kinds[what].descriptor;
	Tm__Record *r = arena_alloc(e->arena, sizeof(*r));
	void *body = arena_zalloc(e->arena, d->sizeof_message);

	d->message_init(body);
	tm__record__init(r);
	r->what_case = what;
	r->chunk_stored = body; /* all members of the union are pointers */
	return r;
}

Tm__CountersRow *eval_counters(struct evaluation *e, const struct mailbox_counters *c)
{
	Tm__CountersRow *row = arena_alloc(e->arena, sizeof(*row));

	counters_to_row(c, row);
	return row;
}

Tm__UsageRow *eval_usage(struct evaluation *e, const struct usage *u)
{
	Tm__UsageRow *row = arena_alloc(e->arena, sizeof(*row));

	tm__usage_row__init(row);
	row->bytes = u->bytes;
	row->messages = u->messages;
	row->listseq = u->listseq;
	return row;
}

Tm__FlagSet *eval_flag_set(struct evaluation *e, struct flag_set set)
{
	Tm__FlagSet *f = arena_alloc(e->arena, sizeof(*f));

	tm__flag_set__init(f);
	f->system = set.system;
	f->n_keywords = set.count;
	f->keywords = arena_alloc(e->arena, set.count * sizeof(*f->keywords));
	for (uint32_t i = 0; i < set.count; i++)
		f->keywords[i] = set.keywords[i];
	return f;
}

void eval_add(struct evaluation *e, Tm__Record *r)
{
	assert(e->record_count < EVALUATION_RECORDS_MAX);
	e->records[e->record_count++] = r;

	/* What was just decided cannot contradict the state it was decided from. */
	int rc = apply_to_work(e, r);
	assert(rc == OK);
}

/* ---- keywords ---- */

static int compare_slots(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static void sort_slots(struct slots *s)
{
	uint32_t n = 0;

	qsort(s->at, s->count, sizeof(*s->at), compare_slots);
	for (uint32_t i = 0; i < s->count; i++)
		if (n == 0 || s->at[n - 1] != s->at[i])
			s->at[n++] = s->at[i];
	s->count = n;
}

static bool add_name(struct evaluation *e, struct mailbox *m, const char *name, struct slots *s)
{
	struct mailbox_pages *work = eval_work(e, m);
	int slot = pages_free_slot(
		work, s->new_count == 0 ? 0 : s->new_names[s->new_count - 1]->slot + 1);

	if (slot < 0 || pages_set_keyword(work, (uint32_t)slot, span_str(name)) != OK)
		return false;
	Tm__KeywordName *k = arena_alloc(e->arena, sizeof(*k));
	tm__keyword_name__init(k);
	k->slot = (uint32_t)slot;
	k->name = eval_strdup(e, name);
	s->new_names[s->new_count++] = k;
	s->at[s->count++] = (uint16_t)slot;
	return true;
}

/* How many of the names are not in the table (each counted once). */
static uint32_t count_new(const struct keywords *k, char **names, size_t count)
{
	uint32_t n = 0;

	for (size_t i = 0; i < count; i++) {
		bool seen = keywords_find(k, span_str(names[i])) >= 0;

		for (size_t j = 0; !seen && j < i; j++)
			seen = span_eq_nocase(span_str(names[i]), span_str(names[j]));
		n += !seen;
	}
	return n;
}

bool eval_keywords(struct evaluation *e, struct mailbox *m, char **names, size_t count, bool create,
		   struct slots *ret)
{
	struct mailbox_pages *now = mailbox_now(m);

	*ret = (struct slots){ 0 };
	if (count == 0)
		return true;
	/* Nothing is named in the work state before it is known that all names fit. */
	uint32_t new = create ? count_new(now->keywords, names, count) : 0u;
	if (new > pages_free_slots(now, new))
		return false;

	ret->at = arena_alloc(e->arena, count * sizeof(*ret->at));
	ret->new_names = arena_alloc(e->arena, (new + 1) * sizeof(*ret->new_names));
	for (size_t i = 0; i < count; i++) {
		int slot = keywords_find(mailbox_now(m)->keywords, span_str(names[i]));

		if (slot >= 0)
			ret->at[ret->count++] = (uint16_t)slot;
		else if (create && !add_name(e, m, names[i], ret))
			return false;
	}
	sort_slots(ret);
	return true;
}

/* ---- dispatch ---- */

static enum evaluated dispatch(struct evaluation *e)
{
	const Tm__Op *op = e->op;

	switch (op->what_case) {
	case TM__OP__WHAT_PUT_CHUNK: return evaluate_put_chunk(e, op->put_chunk);
	case TM__OP__WHAT_APPEND: return evaluate_append(e, op->append);
	case TM__OP__WHAT_COPY: return evaluate_copy(e, op->copy);
	case TM__OP__WHAT_STORE_FLAGS: return evaluate_store_flags(e, op->store_flags);
	case TM__OP__WHAT_EXPUNGE: return evaluate_expunge(e, op->expunge);
	case TM__OP__WHAT_CLAIM_RECENT: return evaluate_claim_recent(e, op->claim_recent);
	case TM__OP__WHAT_CREATE_MAILBOX: return evaluate_create_mailbox(e, op->create_mailbox);
	case TM__OP__WHAT_DELETE_MAILBOX: return evaluate_delete_mailbox(e, op->delete_mailbox);
	case TM__OP__WHAT_RENAME_MAILBOX: return evaluate_rename_mailbox(e, op->rename_mailbox);
	case TM__OP__WHAT_SUBSCRIBE: return evaluate_subscribe(e, op->subscribe);
	case TM__OP__WHAT_CREATE_ACCOUNT: return evaluate_create_account(e, op->create_account);
	case TM__OP__WHAT_CHANGE_ACCOUNT: return evaluate_change_account(e, op->change_account);
	case TM__OP__WHAT_DELETE_ACCOUNT: return evaluate_delete_account(e);
	case TM__OP__WHAT_WITHDRAW: /* partition.c: it is a matter of dedup alone */
	case TM__OP__WHAT__NOT_SET:
	case _TM__OP__WHAT__CASE_IS_INT_SIZE: break;
	}
	return evaluated(e, TM__OUTCOME__CANNOT, "Unknown operation");
}

enum evaluated evaluate_op(struct evaluation *e)
{
	e->record_count = 0;
	e->needs_account = NULL;
	e->needs_mailbox = NULL;
	tm__op_result__init(e->result);
	return dispatch(e);
}
