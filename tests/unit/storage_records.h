/* storage_records.h: log entries made by hand, as the leader's evaluation would make them: an entry
 * is begun, records are put into it, and it is packed. */
#ifndef TESTS_UNIT_STORAGE_RECORDS_H
#define TESTS_UNIT_STORAGE_RECORDS_H

#include "proto/record.pb-c.h"
#include "storage/base/arena.h"
#include "storage/base/uidset.h"
#include "storage/entry.h"
#include "storage/rows.h"

#include <check.h>

enum { RECORDS_MAX = 64 };

struct entry_maker {
	struct arena a;
	Tm__LogEntry entry;
	Tm__Change change;
	Tm__Change *changes[1];
	Tm__Record *records[RECORDS_MAX];
	uint64_t seq;
};

static inline void maker_init(struct entry_maker *m)
{
	*m = (struct entry_maker){ .seq = 0 };
	arena_init(&m->a);
}

static inline void maker_begin(struct entry_maker *m, int64_t when)
{
	arena_reset(&m->a);
	tm__log_entry__init(&m->entry);
	tm__change__init(&m->change);
	m->changes[0] = &m->change;
	m->entry.changes = m->changes;
	m->entry.n_changes = 1;
	m->entry.when = when;
	m->change.records = m->records;
}

static inline void maker_dedup(struct entry_maker *m, uint8_t client, uint64_t number,
			       const char *result)
{
	m->change.client.data = arena_zalloc(&m->a, 16);
	m->change.client.data[0] = client;
	m->change.client.len = 16;
	m->change.number = number;
	m->change.result.data = (uint8_t *)arena_strdup(&m->a, span_str(result));
	m->change.result.len = strlen(result);
}

static inline struct log_entry *maker_end(struct entry_maker *m)
{
	return log_entry_pack((partition_id){ 0 }, (log_seq){ ++m->seq }, 1, &m->entry);
}

static inline Tm__Record *maker_record(struct entry_maker *m)
{
	Tm__Record *r = arena_alloc(&m->a, sizeof(*r));

	ck_assert_uint_lt(m->change.n_records, RECORDS_MAX);
	tm__record__init(r);
	m->records[m->change.n_records++] = r;
	return r;
}

/* Adds a record of one kind: MAKE(m, MessagesAdded, messages_added, MESSAGES_ADDED). */
#define MAKE(m, type, field, upper) \
	({ \
		Tm__Record *record_ = maker_record(m); \
		record_->what_case = TM__RECORD__WHAT_##upper; \
		record_->field = arena_alloc(&(m)->a, sizeof(*record_->field)); \
		tm__##field##__init(record_->field); \
		record_->field; \
	})

static inline ProtobufCBinaryData make_bytes(struct entry_maker *m, const void *at, size_t n)
{
	struct span s = arena_copy(&m->a, span_of(at, n));

	return (ProtobufCBinaryData){ n, (uint8_t *)(uintptr_t)s.at };
}

static inline ProtobufCBinaryData make_uids(struct entry_maker *m, uint32_t lo, uint32_t hi)
{
	struct uidset s = { 0 };

	uidset_add_range(&s, lo, hi);
	ProtobufCBinaryData d = uidset_encode_arena(&s, &m->a);
	uidset_free(&s);
	return d;
}

static inline Tm__CountersRow *make_counters(struct entry_maker *m, uint32_t uidnext,
					     uint64_t highest, uint32_t exists)
{
	Tm__CountersRow *c = arena_alloc(&m->a, sizeof(*c));

	tm__counters_row__init(c);
	c->uidnext = uidnext;
	c->highestmodseq = highest;
	c->exists = exists;
	c->recent_from = 1;
	return c;
}

static inline Tm__UsageRow *make_usage(struct entry_maker *m, uint64_t bytes, uint64_t messages)
{
	Tm__UsageRow *u = arena_alloc(&m->a, sizeof(*u));

	tm__usage_row__init(u);
	u->bytes = bytes;
	u->messages = messages;
	u->listseq = 1;
	return u;
}

static inline Tm__PartitionRow *make_partition(struct entry_maker *m, uint32_t uidvalidity,
					       uint64_t next_mailbox, uint64_t next_account)
{
	Tm__PartitionRow *p = arena_alloc(&m->a, sizeof(*p));

	tm__partition_row__init(p);
	p->last_uidvalidity = uidvalidity;
	p->next_mailbox = next_mailbox;
	p->next_account = next_account;
	return p;
}

static inline Tm__FlagSet *make_flags(struct entry_maker *m, uint32_t system, uint32_t n_keywords)
{
	Tm__FlagSet *f = arena_alloc(&m->a, sizeof(*f));

	tm__flag_set__init(f);
	f->system = system;
	f->n_keywords = n_keywords;
	f->keywords = arena_alloc(&m->a, (n_keywords + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < n_keywords; i++)
		f->keywords[i] = i;
	return f;
}

static inline guid make_guid(uint8_t first)
{
	guid g = { { first, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };

	return g;
}

static inline void put_account(struct entry_maker *m, uint64_t id, const char *name)
{
	Tm__AccountChanged *r = MAKE(m, AccountChanged, account_changed, ACCOUNT_CHANGED);

	r->row = arena_alloc(&m->a, sizeof(*r->row));
	tm__account_row__init(r->row);
	r->row->id = id;
	r->row->name = arena_strdup(&m->a, span_str(name));
	r->usage = make_usage(m, 0, 0);
	r->partition = make_partition(m, 0, 1, id + 1);
}

static inline void put_mailbox(struct entry_maker *m, uint64_t account, uint64_t id,
			       const char *name)
{
	Tm__MailboxCreated *r = MAKE(m, MailboxCreated, mailbox_created, MAILBOX_CREATED);

	r->account = account;
	r->row = arena_alloc(&m->a, sizeof(*r->row));
	tm__mailbox_row__init(r->row);
	r->row->id = id;
	r->row->name = arena_strdup(&m->a, span_str(name));
	r->row->uidvalidity = (uint32_t)(1000 + id);
	r->counters = make_counters(m, 1, 1, 0);
	r->usage = make_usage(m, 0, 0);
	r->partition = make_partition(m, r->row->uidvalidity, id + 1, account + 1);
}

/* One message whose body is `body` in the record, or went ahead in `chunks` (body NULL). */
static inline Tm__MessagesAdded *put_message(struct entry_maker *m, uint64_t mailbox, uint32_t uid,
					     uint64_t q, guid g, const char *body, uint32_t chunks)
{
	Tm__MessagesAdded *r = MAKE(m, MessagesAdded, messages_added, MESSAGES_ADDED);
	Tm__AddedMessage *a = arena_alloc(&m->a, sizeof(*a));

	tm__added_message__init(a);
	a->row = arena_alloc(&m->a, sizeof(*a->row));
	tm__message_row__init(a->row);
	a->row->guid = make_bytes(m, g.b, 16);
	a->row->size = body != NULL ? strlen(body) : 200000;
	a->row->internaldate = 1700000000 + uid;
	a->row->savedate = 5;
	a->row->thread = uid;
	a->row->chunks = chunks;
	a->flags = make_flags(m, 0, 0);
	if (body != NULL)
		a->body = make_bytes(m, body, strlen(body));
	a->shape = make_bytes(m, "shape", 5);
	r->account = 1;
	r->mailbox = mailbox;
	r->modseq = q;
	r->first_uid = uid;
	r->messages = arena_alloc(&m->a, sizeof(r->messages[0]));
	r->messages[0] = a;
	r->n_messages = 1;
	r->counters = make_counters(m, uid + 1, q, uid);
	r->usage = make_usage(m, uid * 10, uid);
	return r;
}

static inline void put_chunk(struct entry_maker *m, guid g, uint32_t n, size_t bytes, int64_t when)
{
	Tm__ChunkStored *r = MAKE(m, ChunkStored, chunk_stored, CHUNK_STORED);
	uint8_t *at = arena_alloc(&m->a, bytes);

	memset(at, (int)('a' + n), bytes);
	r->guid = make_bytes(m, g.b, 16);
	r->n = n;
	r->when = when;
	r->bytes = (ProtobufCBinaryData){ bytes, at };
}

static inline Tm__FlagGroup **make_groups(struct entry_maker *m, ProtobufCBinaryData uids,
					  Tm__FlagSet *flags, const uint8_t *sizes, size_t n_sizes)
{
	Tm__FlagGroup *g = arena_alloc(&m->a, sizeof(*g));
	Tm__FlagGroup **groups = arena_alloc(&m->a, sizeof(groups[0]));

	tm__flag_group__init(g);
	g->uids = uids;
	g->flags = flags;
	g->sizes = make_bytes(m, sizes, n_sizes);
	groups[0] = g;
	return groups;
}

/* All of lo..hi have one octet less than 128 as size. */
static inline void put_flags(struct entry_maker *m, uint64_t mailbox, uint32_t lo, uint32_t hi,
			     uint64_t q, uint32_t system, uint32_t n_keywords, uint8_t size)
{
	Tm__FlagsChanged *r = MAKE(m, FlagsChanged, flags_changed, FLAGS_CHANGED);
	uint8_t *sizes = arena_alloc(&m->a, hi - lo + 1);

	memset(sizes, size, hi - lo + 1);
	r->account = 1;
	r->mailbox = mailbox;
	r->modseq = q;
	r->groups = make_groups(m, make_uids(m, lo, hi), make_flags(m, system, n_keywords), sizes,
				hi - lo + 1);
	r->n_groups = 1;
	r->counters = make_counters(m, 100, q, 3);
}

static inline void put_copy(struct entry_maker *m, uint64_t source, uint32_t lo, uint32_t hi,
			    uint64_t target, uint32_t first, uint64_t q)
{
	Tm__MessagesCopied *r = MAKE(m, MessagesCopied, messages_copied, MESSAGES_COPIED);

	r->account = 1;
	r->source = source;
	r->source_uids = make_uids(m, lo, hi);
	r->target = target;
	r->first_uid = first;
	r->modseq = q;
	r->savedate = 77;
	r->groups =
		make_groups(m, make_uids(m, first, first + hi - lo), make_flags(m, 1, 0), NULL, 0);
	r->n_groups = 1;
	r->counters = make_counters(m, first + hi - lo + 1, q, hi - lo + 1);
}

static inline Tm__MessagesExpunged *put_expunge(struct entry_maker *m, uint64_t mailbox,
						uint32_t lo, uint32_t hi, uint64_t q)
{
	Tm__MessagesExpunged *r = MAKE(m, MessagesExpunged, messages_expunged, MESSAGES_EXPUNGED);

	r->account = 1;
	r->mailbox = mailbox;
	r->modseq = q;
	r->uids = make_uids(m, lo, hi);
	r->counters = make_counters(m, 100, q, 0);
	return r;
}

#endif
