/* store.c: questions to state/. Each is a walk over a range, or a lookup; rows are decoded here, so
 * that a damaged one is ERR_CORRUPT and goes no further. */
#include "storage/store.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <stdlib.h>

enum { GENERATION_FIRST = 1, SLICE = 64, FOLLOW_MAX = 64, COPIES_OF_COPIES_MAX = 100000 };

struct store {
	struct kv *state;
	struct young *young;
	unsigned partitions;
	uint32_t *generations;
};

struct store_snapshot {
	struct store *store;
	struct kv_snapshot *kv;
	struct buf value;
};

/* ---- life ---- */

static int generation_read(struct kv *kv, partition_id p, struct buf *b, uint32_t *ret)
{
	struct key k;
	struct key_parts parts = { .p = { p, 0 }, .table = TABLE_POINTER };
	int rc = kv_get(kv, NULL, KV_SMALL, key_put(&k, &parts), b);

	if (rc == ERR_NOT_FOUND) {
		*ret = GENERATION_FIRST;
		return OK;
	}
	if (rc == OK && b->bytes != 4)
		rc = ERR_CORRUPT;
	if (rc == OK)
		*ret = be32_get((const uint8_t *)b->at);
	return rc;
}

int store_open(struct kv *state, struct young *young, unsigned partitions, struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));
	struct buf b = { 0 };
	int rc = OK;

	if (s == NULL || (s->generations = calloc(partitions, sizeof(uint32_t))) == NULL)
		abort();
	s->state = state;
	s->young = young;
	s->partitions = partitions;
	for (unsigned i = 0; rc == OK && i < partitions; i++)
		rc = generation_read(state, (partition_id){ (uint16_t)i }, &b, &s->generations[i]);
	buf_free(&b);
	if (rc == OK)
		*ret = s;
	else
		store_close(&s);
	return rc;
}

void store_close(struct store **s)
{
	if (*s == NULL)
		return;
	free((*s)->generations);
	free(*s);
	*s = NULL;
}

struct pgen store_pgen(const struct store *s, partition_id p)
{
	assert(p.v < s->partitions);
	return (struct pgen){ p, s->generations[p.v] };
}

int store_snapshot_open(struct store *s, struct store_snapshot **ret)
{
	struct store_snapshot *sn = calloc(1, sizeof(*sn));

	if (sn == NULL)
		abort();
	sn->store = s;
	int rc = kv_snapshot(s->state, &sn->kv);
	if (rc == OK)
		*ret = sn;
	else
		free(sn);
	return rc;
}

void store_snapshot_close(struct store_snapshot **s)
{
	if (*s == NULL)
		return;
	kv_release((*s)->store->state, &(*s)->kv);
	buf_free(&(*s)->value);
	free(*s);
	*s = NULL;
}

/* ---- walking ---- */

/* A walk over the rows of a table that begin with some fields. */
struct walk {
	struct store_snapshot *s;
	struct key lo, hi;
	struct kv_range range;
};

static void walk_init(struct walk *w, struct store_snapshot *s, const struct key_parts *parts,
		      unsigned fields)
{
	w->s = s;
	w->range.lo = key_put_prefix(&w->lo, parts, fields);
	w->range.hi = key_after(&w->hi, w->range.lo);
}

static int walk_run(struct walk *w, enum table t, kv_row_fn fn, void *data)
{
	return kv_iterate(w->s->store->state, w->s->kv, table_family(t), w->range, fn, data);
}

static int walk_table(struct store_snapshot *s, const struct key_parts *parts, unsigned fields,
		      kv_row_fn fn, void *data)
{
	struct walk w;

	walk_init(&w, s, parts, fields);
	return walk_run(&w, parts->table, fn, data);
}

/* A lookup through the snapshot; the value stands in s->value. */
static int lookup(struct store_snapshot *s, enum table t, struct span key)
{
	return kv_get(s->store->state, s->kv, table_family(t), key, &s->value);
}

/* ---- the partition ---- */

int store_partition(struct store_snapshot *s, partition_id p, Tm__PartitionRow *ret)
{
	struct key k;
	struct arena a;
	int rc = lookup(s, TABLE_PARTITION, key_partition(&k, store_pgen(s->store, p)));

	if (rc == ERR_NOT_FOUND) {
		tm__partition_row__init(ret);
		ret->next_mailbox = 1;
		ret->next_account = 1;
		return OK;
	}
	if (rc < 0)
		return rc;
	arena_init(&a);
	const Tm__PartitionRow *row = row_partition(buf_span(&s->value), &a);
	if (row == NULL)
		rc = ERR_CORRUPT;
	else
		*ret = *row; /* plain numbers */
	arena_free(&a);
	return rc;
}

int store_applied(struct store_snapshot *s, partition_id p, struct log_pos *ret)
{
	Tm__PartitionRow row;
	int rc = store_partition(s, p, &row);

	if (rc == OK)
		*ret = (struct log_pos){ { row.applied_seq }, row.applied_version };
	return rc;
}

/* ---- accounts ---- */

/* What an account's walks find; arrays grow by doubling within the arena. */
struct account_walk {
	struct arena *a;
	struct stored_account *to;
	size_t capacity;
	size_t counters; /* how many have theirs */
};

static void *array_room(struct arena *a, void *at, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return at;
	*capacity = *capacity == 0 ? 16 : 2 * *capacity;
	void *more = arena_alloc(a, *capacity * size);
	if (count > 0)
		memcpy(more, at, count * size);
	return more;
}

static int mailbox_row(void *data, struct span key, struct span value)
{
	struct account_walk *w = data;
	struct key_parts parts;
	Tm__MailboxRow *row = row_mailbox(value, w->a);

	if (row == NULL || !key_get(key, &parts) || parts.mailbox.v != row->id)
		return ERR_CORRUPT;
	w->to->mailboxes = array_room(w->a, w->to->mailboxes, w->to->mailbox_count, &w->capacity,
				      sizeof(w->to->mailboxes[0]));
	w->to->mailboxes[w->to->mailbox_count++] = (struct stored_mailbox){ row, NULL };
	return OK;
}

/* In the same order as the mailboxes, one for each. */
static int counters_row(void *data, struct span key, struct span value)
{
	struct account_walk *w = data;
	struct key_parts parts;
	Tm__CountersRow *row = row_counters(value, w->a);

	if (row == NULL || !key_get(key, &parts) || w->counters == w->to->mailbox_count ||
	    w->to->mailboxes[w->counters].row->id != parts.mailbox.v)
		return ERR_CORRUPT;
	w->to->mailboxes[w->counters++].counters = row;
	return OK;
}

static int subscription_row(void *data, struct span key, struct span value)
{
	struct account_walk *w = data;
	struct stored_account *to = w->to;
	struct key_parts parts;

	(void)value;
	if (!key_get(key, &parts))
		return ERR_CORRUPT;
	to->subscriptions = array_room(w->a, to->subscriptions, to->subscription_count,
				       &w->capacity, sizeof(to->subscriptions[0]));
	to->subscriptions[to->subscription_count++] = arena_copy(w->a, parts.name);
	return OK;
}

static int tombstone_row(void *data, struct span key, struct span value)
{
	struct account_walk *w = data;
	struct stored_account *to = w->to;
	struct key_parts parts;
	const Tm__TombstoneRow *row = row_tombstone(value, w->a);

	if (row == NULL || !key_get(key, &parts))
		return ERR_CORRUPT;
	to->tombstones = array_room(w->a, to->tombstones, to->tombstone_count, &w->capacity,
				    sizeof(to->tombstones[0]));
	to->tombstones[to->tombstone_count++] =
		(struct stored_tombstone){ arena_copy(w->a, parts.name), row->uidvalidity };
	return OK;
}

static int account_walks(struct store_snapshot *s, struct pgen p, struct arena *a,
			 struct stored_account *to)
{
	static const struct {
		enum table table;
		kv_row_fn fn;
	} walks[] = { { TABLE_MAILBOX, mailbox_row },
		      { TABLE_COUNTERS, counters_row },
		      { TABLE_SUBSCRIPTION, subscription_row },
		      { TABLE_TOMBSTONE, tombstone_row } };
	struct key_parts parts = { .p = p, .account = { to->row->id } };
	struct account_walk w = { .a = a, .to = to };
	int rc = OK;

	for (size_t i = 0; rc == OK && i < sizeof(walks) / sizeof(walks[0]); i++) {
		parts.table = walks[i].table;
		w.capacity = 0;
		rc = walk_table(s, &parts, 1, walks[i].fn, &w);
	}
	return rc == OK && w.counters != to->mailbox_count ? ERR_CORRUPT : rc;
}

int store_account(struct store_snapshot *s, partition_id partition, struct span name,
		  struct arena *a, struct stored_account *ret)
{
	struct pgen p = store_pgen(s->store, partition);
	struct stored_account to = { 0 };
	struct key k;

	if (name.bytes > ACCOUNT_NAME_MAX_BYTES)
		return ERR_NOT_FOUND;
	int rc = lookup(s, TABLE_ACCOUNT, key_account(&k, p, name));
	if (rc < 0)
		return rc;
	to.row = row_account(buf_span(&s->value), a);
	if (to.row == NULL)
		return ERR_CORRUPT;
	rc = lookup(s, TABLE_USAGE, key_usage(&k, p, (account_id){ to.row->id }));
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
	to.usage = row_usage(buf_span(&s->value), a);
	if (to.usage == NULL)
		return ERR_CORRUPT;
	rc = account_walks(s, p, a, &to);
	if (rc == OK)
		*ret = to;
	return rc;
}

struct accounts_walk {
	struct arena *a;
	int (*fn)(void *data, const Tm__AccountRow *row);
	void *data;
};

static int account_row(void *data, struct span key, struct span value)
{
	struct accounts_walk *w = data;

	(void)key;
	arena_reset(w->a);
	const Tm__AccountRow *row = row_account(value, w->a);
	return row == NULL ? ERR_CORRUPT : w->fn(w->data, row);
}

int store_accounts(struct store_snapshot *s, partition_id p, struct arena *a,
		   int (*fn)(void *data, const Tm__AccountRow *row), void *data)
{
	struct accounts_walk w = { a, fn, data };
	struct key_parts parts = { .p = store_pgen(s->store, p), .table = TABLE_ACCOUNT };

	return walk_table(s, &parts, 0, account_row, &w);
}

int store_tombstone(struct store_snapshot *s, partition_id p, account_id account, struct span name,
		    uint32_t *uidvalidity)
{
	struct key k;
	struct arena a;

	if (name.bytes > MAILBOX_NAME_MAX_BYTES)
		return ERR_NOT_FOUND;
	int rc = lookup(s, TABLE_TOMBSTONE,
			key_tombstone(&k, store_pgen(s->store, p), account, name));
	if (rc < 0)
		return rc;
	arena_init(&a);
	const Tm__TombstoneRow *row = row_tombstone(buf_span(&s->value), &a);
	if (row == NULL)
		rc = ERR_CORRUPT;
	else
		*uidvalidity = row->uidvalidity;
	arena_free(&a);
	return rc;
}

int store_threadref(struct store_snapshot *s, partition_id p, account_id a, uint64_t hash,
		    uint64_t *thread)
{
	struct key k;
	int rc = lookup(s, TABLE_THREADREF, key_threadref(&k, store_pgen(s->store, p), a, hash));

	if (rc == OK && s->value.bytes != 8)
		rc = ERR_CORRUPT;
	if (rc == OK)
		*thread = be64_get((const uint8_t *)s->value.at);
	return rc;
}

/* ---- results of ops ---- */

int store_dedup(struct store_snapshot *s, partition_id p, client_id c, struct arena *a,
		Tm__DedupRow *ret)
{
	struct key k;
	int rc = lookup(s, TABLE_DEDUP, key_dedup(&k, store_pgen(s->store, p), c));
	const Tm__DedupRow *row = rc < 0 ? NULL : row_dedup(buf_span(&s->value), a);

	if (rc == OK && row == NULL)
		rc = ERR_CORRUPT;
	if (rc == OK)
		*ret = *row;
	return rc;
}

struct dedups_walk {
	struct arena *a;
	int (*fn)(void *data, client_id c, const Tm__DedupRow *row);
	void *data;
};

static int dedup_row(void *data, struct span key, struct span value)
{
	struct dedups_walk *w = data;
	struct key_parts parts;

	arena_reset(w->a);
	const Tm__DedupRow *row = row_dedup(value, w->a);
	if (row == NULL || !key_get(key, &parts))
		return ERR_CORRUPT;
	return w->fn(w->data, parts.client, row);
}

int store_dedups(struct store_snapshot *s, partition_id p, struct arena *a,
		 int (*fn)(void *data, client_id c, const Tm__DedupRow *row), void *data)
{
	struct dedups_walk w = { a, fn, data };
	struct key_parts parts = { .p = store_pgen(s->store, p), .table = TABLE_DEDUP };

	return walk_table(s, &parts, 0, dedup_row, &w);
}

/* ---- mailboxes ---- */

struct keywords_walk {
	int (*fn)(void *data, uint16_t slot, struct span name);
	void *data;
};

static int keyword_row(void *data, struct span key, struct span value)
{
	struct keywords_walk *w = data;
	struct key_parts parts;

	if (!key_get(key, &parts))
		return ERR_CORRUPT;
	return w->fn(w->data, parts.slot, value);
}

int store_keywords(struct store_snapshot *s, partition_id p, mailbox_id m,
		   int (*fn)(void *data, uint16_t slot, struct span name), void *data)
{
	struct keywords_walk w = { fn, data };
	struct key_parts parts = { .p = store_pgen(s->store, p),
				   .table = TABLE_KEYWORD,
				   .mailbox = m };

	return walk_table(s, &parts, 1, keyword_row, &w);
}

struct flags_walk {
	int (*fn)(void *data, const struct flags_row *row);
	void *data;
	struct flags_row row;
};

static int flags_row(void *data, struct span key, struct span value)
{
	struct flags_walk *w = data;

	w->row.uid = be32_get((const uint8_t *)key.at + key.bytes - 4);
	if (flags_row_get(value, &w->row) < 0)
		return ERR_CORRUPT;
	return w->fn(w->data, &w->row);
}

int store_flags(struct store_snapshot *s, partition_id p, mailbox_id m,
		int (*fn)(void *data, const struct flags_row *row), void *data)
{
	struct flags_walk w = { .fn = fn, .data = data };
	struct key_parts parts = { .p = store_pgen(s->store, p),
				   .table = TABLE_FLAGS,
				   .mailbox = m };

	return walk_table(s, &parts, 1, flags_row, &w);
}

struct vanished_walk {
	int (*fn)(void *data, modseq q, struct span uids);
	void *data;
};

static int vanished_row(void *data, struct span key, struct span value)
{
	struct vanished_walk *w = data;
	struct key_parts parts;

	if (!key_get(key, &parts))
		return ERR_CORRUPT;
	return w->fn(w->data, parts.modseq, value);
}

int store_vanished(struct store_snapshot *s, partition_id p, mailbox_id m, modseq since,
		   int (*fn)(void *data, modseq q, struct span uids), void *data)
{
	struct vanished_walk v = { fn, data };
	struct key_parts parts = { .p = store_pgen(s->store, p),
				   .table = TABLE_VANISHED,
				   .mailbox = m };
	struct walk w;

	if (since.v == UINT64_MAX)
		return OK;
	walk_init(&w, s, &parts, 1);
	w.range.lo = key_vanished(&w.lo, parts.p, m, (modseq){ since.v + 1 });
	return walk_run(&w, TABLE_VANISHED, vanished_row, &v);
}

/* ---- what goes in the background ---- */

struct candidates_walk {
	int64_t before;
	size_t left;
	int (*fn)(void *data, guid g, const struct candidate_row *row);
	void *data;
};

static int candidate_row(void *data, struct span key, struct span value)
{
	struct candidates_walk *w = data;
	struct candidate_row row;
	struct key_parts parts;

	if (!key_get(key, &parts) || candidate_row_get(value, &row) < 0)
		return ERR_CORRUPT;
	if (row.when >= w->before)
		return OK;
	int rc = w->fn(w->data, parts.guid, &row);
	return rc == OK && --w->left == 0 ? 1 : rc;
}

int store_candidates(struct store_snapshot *s, partition_id p, int64_t before, size_t max,
		     int (*fn)(void *data, guid g, const struct candidate_row *row), void *data)
{
	struct candidates_walk w = { before, max, fn, data };
	struct key_parts parts = { .p = store_pgen(s->store, p), .table = TABLE_CANDIDATE };

	return max == 0 ? OK : walk_table(s, &parts, 0, candidate_row, &w);
}

static int row_is_there(void *data, struct span key, struct span value)
{
	(void)key;
	(void)value;
	*(bool *)data = true;
	return 1;
}

int store_body_used(struct store_snapshot *s, partition_id p, guid g)
{
	struct key_parts parts = { .p = store_pgen(s->store, p),
				   .table = TABLE_BODYREF,
				   .guid = g };
	bool used = false;
	int rc = walk_table(s, &parts, 1, row_is_there, &used);

	return rc < 0 || used ? rc : ERR_NOT_FOUND;
}

struct purges_walk {
	int (*fn)(void *data, account_id a, mailbox_id m);
	void *data;
};

static int purge_row(void *data, struct span key, struct span value)
{
	struct purges_walk *w = data;
	struct key_parts parts;

	(void)value;
	if (!key_get(key, &parts))
		return ERR_CORRUPT;
	return w->fn(w->data, parts.account, parts.mailbox);
}

int store_purges(struct store_snapshot *s, partition_id p,
		 int (*fn)(void *data, account_id a, mailbox_id m), void *data)
{
	struct purges_walk w = { fn, data };
	struct key_parts parts = { .p = store_pgen(s->store, p), .table = TABLE_PURGE };

	return walk_table(s, &parts, 0, purge_row, &w);
}

struct nth_walk {
	size_t left;
	msg_uid uid;
};

static int nth_row(void *data, struct span key, struct span value)
{
	struct nth_walk *w = data;

	(void)value;
	w->uid.v = be32_get((const uint8_t *)key.at + key.bytes - 4);
	return --w->left == 0;
}

int store_nth_uid(struct store_snapshot *s, partition_id p, mailbox_id m, size_t n, msg_uid *ret)
{
	struct nth_walk w = { .left = n };
	struct key_parts parts = { .p = store_pgen(s->store, p),
				   .table = TABLE_MESSAGE,
				   .mailbox = m };

	assert(n > 0);
	int rc = walk_table(s, &parts, 1, nth_row, &w);
	if (rc == OK && w.left > 0)
		rc = ERR_NOT_FOUND;
	if (rc == OK)
		*ret = w.uid;
	return rc;
}

/* ---- what never changes: young first, then the newest state ---- */

static int message_stored(struct store *s, struct pgen p, mailbox_id m, msg_uid uid,
			  struct message_info *ret)
{
	struct key k;
	struct buf b = { 0 };
	int rc = kv_get(s->state, NULL, KV_MESSAGE, key_message(&k, p, m, uid), &b);

	if (rc == OK)
		rc = message_info_decode(buf_span(&b), ret);
	buf_free(&b);
	return rc;
}

/* One try: a pending copy is followed to its source. *again: the source went meanwhile, because the
 * copy was flushed, so it can be found now. */
static int message_try(struct store *s, partition_id p, mailbox_id m, msg_uid uid,
		       struct message_info *ret, bool *again)
{
	struct young_message y;
	bool copied = false;
	int64_t savedate = 0;

	for (unsigned hops = 0; s->young != NULL && young_message(s->young, p, m, uid, &y);
	     hops++) {
		if (hops == COPIES_OF_COPIES_MAX)
			return ERR_CORRUPT; /* copies of each other */
		if (y.copy_of.v == 0) {
			*ret = y.info;
			ret->savedate = copied ? savedate : y.info.savedate;
			return OK;
		}
		savedate = copied ? savedate : y.savedate;
		copied = true;
		m = y.source;
		uid = y.copy_of;
	}
	int rc = message_stored(s, store_pgen(s, p), m, uid, ret);
	if (rc == OK && copied)
		ret->savedate = savedate;
	*again = rc == ERR_NOT_FOUND && copied;
	return rc;
}

int store_message(struct store *s, partition_id p, mailbox_id m, msg_uid uid,
		  struct message_info *ret)
{
	bool again = true;
	int rc = ERR_NOT_FOUND;

	/* Each round needs another flush in between. */
	for (unsigned i = 0; again && i < FOLLOW_MAX; i++) {
		again = false;
		rc = message_try(s, p, m, uid, ret, &again);
	}
	return rc;
}

/* A few uids: the young ones one by one, the others in one lookup. */
struct many {
	struct message_info infos[SLICE];
	bool found[SLICE];
	size_t index[SLICE];
};

static int many_found(void *data, size_t i, struct span value)
{
	struct many *m = data;

	m->found[m->index[i]] = true;
	return message_info_decode(value, &m->infos[m->index[i]]);
}

struct short_key { /* without room for names */
	uint8_t at[24];
};

static int many_read(struct store *s, partition_id p, mailbox_id m, const msg_uid *uids,
		     size_t count, struct many *to)
{
	struct short_key memory[SLICE];
	struct span keys[SLICE];
	size_t n = 0;
	struct key k;

	for (size_t i = 0; i < count; i++) {
		struct young_message y;

		to->found[i] = false;
		if (s->young != NULL && young_message(s->young, p, m, uids[i], &y)) {
			int rc = store_message(s, p, m, uids[i], &to->infos[i]);

			if (rc < 0 && rc != ERR_NOT_FOUND)
				return rc;
			to->found[i] = rc == OK;
			continue;
		}
		struct span key = key_message(&k, store_pgen(s, p), m, uids[i]);
		memcpy(memory[n].at, key.at, key.bytes);
		to->index[n] = i;
		keys[n] = span_of(memory[n].at, key.bytes);
		n++;
	}
	return kv_get_many(s->state, KV_MESSAGE, keys, n, many_found, to);
}

int store_messages(struct store *s, partition_id p, mailbox_id m, const msg_uid *uids, size_t count,
		   int (*fn)(void *data, msg_uid uid, const struct message_info *info), void *data)
{
	struct many many;

	for (size_t done = 0; done < count; done += SLICE) {
		size_t n = count - done < SLICE ? count - done : SLICE;
		int rc = many_read(s, p, m, uids + done, n, &many);

		for (size_t i = 0; rc == OK && i < n; i++)
			if (many.found[i])
				rc = fn(data, uids[done + i], &many.infos[i]);
		if (rc < 0)
			return rc;
	}
	return OK;
}

/* Append bytes [offset, offset + length) of one chunk, cut at its end. */
static int chunk_read(struct store *s, partition_id p, guid g, bool shape, uint32_t n,
		      uint64_t offset, size_t length, struct buf *out)
{
	struct key k;
	struct buf b = { 0 };

	if (s->young != NULL && young_chunk(s->young, p, g, shape, n, offset, length, out))
		return OK;
	int rc = kv_get(s->state, NULL, KV_BODY, key_body(&k, store_pgen(s, p), g, shape, n), &b);
	if (rc == OK && offset < b.bytes)
		buf_put(out, b.at + offset,
			length < b.bytes - offset ? length : b.bytes - (size_t)offset);
	buf_free(&b);
	return rc;
}

int store_body(struct store *s, partition_id p, guid g, uint64_t offset, size_t length,
	       struct buf *out)
{
	size_t end = out->bytes + length;

	while (out->bytes < end) {
		uint64_t at = offset % MESSAGE_CHUNK_BYTES;
		size_t left = end - out->bytes;
		size_t n =
			left < MESSAGE_CHUNK_BYTES - at ? left : MESSAGE_CHUNK_BYTES - (size_t)at;
		size_t before = out->bytes;
		int rc = chunk_read(s, p, g, false, (uint32_t)(offset / MESSAGE_CHUNK_BYTES), at, n,
				    out);

		if (rc < 0)
			return rc;
		if (out->bytes - before != n)
			return ERR_CORRUPT; /* a chunk that is too short */
		offset += n;
	}
	return OK;
}

int store_shape(struct store *s, partition_id p, const struct message_info *m, struct buf *out)
{
	uint32_t count = m->shape_chunks == 0 ? 1 : m->shape_chunks;
	int rc = OK;

	for (uint32_t n = 0; rc == OK && n < count; n++)
		rc = chunk_read(s, p, m->guid, true, n, 0, MESSAGE_CHUNK_BYTES, out);
	return rc;
}

int store_chunks(struct store *s, partition_id p, guid g, bool shape, uint32_t count, bool *present)
{
	struct buf b = { 0 };
	int rc = OK;

	for (uint32_t n = 0; rc == OK && n < count; n++) {
		rc = chunk_read(s, p, g, shape, n, 0, 0, &b);
		present[n] = rc == OK;
		rc = rc == ERR_NOT_FOUND ? OK : rc;
	}
	buf_free(&b);
	return rc;
}
