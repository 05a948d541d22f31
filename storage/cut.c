/* cut.c: one function per kind of record. All of them write into the overlay only; cut_write()
 * makes the batch. */
#include "storage/cut.h"

#include "proto/record.pb-c.h"
#include "storage/base/crash_point.h"
#include "storage/base/err.h"
#include "storage/base/mistakes.h"
#include "storage/base/uidset.h"
#include "storage/overlay.h"
#include "storage/rows.h"

#include <assert.h>
#include <stdlib.h>

enum { SLICE = 256 }; /* message rows read at a time */

/* A body that got or lost something in this cut: is it a candidate at its end (C3)? */
struct touched {
	struct touched *next;
	guid guid;
	int64_t when;
	uint32_t chunks, shape_chunks; /* at least as many rows */
};

struct cut {
	struct kv *state;
	struct overlay *rows;
	struct kv_batch *batch;
	struct arena arena; /* of the present entry */
	struct arena kept;  /* of the cut: what was touched */
	struct pgen p;
	Tm__PartitionRow partition;
	struct touched *touched;
	int64_t when; /* of the present entry */
	struct key key, key2;
	struct flags_row flags;
};

/* ---- small helpers ---- */

static struct span data_span(ProtobufCBinaryData d)
{
	return d.len == 0 ? span_of("", 0) : span_of(d.data, d.len); /* never NULL */
}

static struct span pack(struct cut *c, const ProtobufCMessage *m)
{
	return row_pack(&c->arena, m);
}

static int guid_of(ProtobufCBinaryData d, guid *ret)
{
	if (d.len != sizeof(ret->b))
		return ERR_CORRUPT;
	memcpy(ret->b, d.data, sizeof(ret->b));
	return OK;
}

/* All keys of a table that begin with the first `fields` fields; uses key and key2. */
static struct kv_range range_of(struct cut *c, const struct key_parts *parts, unsigned fields)
{
	struct span lo = key_put_prefix(&c->key, parts, fields);

	return (struct kv_range){ lo, key_after(&c->key2, lo) };
}

static struct kv_range mailbox_range(struct cut *c, enum table t, mailbox_id m)
{
	return range_of(c, &(struct key_parts){ .p = c->p, .table = t, .mailbox = m }, 1);
}

static struct kv_range account_range(struct cut *c, enum table t, account_id a)
{
	return range_of(c, &(struct key_parts){ .p = c->p, .table = t, .account = a }, 1);
}

static int put_counters(struct cut *c, uint64_t account, uint64_t mailbox,
			const Tm__CountersRow *row)
{
	if (row == NULL)
		return ERR_CORRUPT;
	overlay_put(c->rows, TABLE_COUNTERS,
		    key_counters(&c->key, c->p, (account_id){ account }, (mailbox_id){ mailbox }),
		    pack(c, &row->base));
	return OK;
}

static void put_usage(struct cut *c, uint64_t account, const Tm__UsageRow *row)
{
	if (row != NULL)
		overlay_put(c->rows, TABLE_USAGE, key_usage(&c->key, c->p, (account_id){ account }),
			    pack(c, &row->base));
}

static void take_partition(struct cut *c, const Tm__PartitionRow *row)
{
	if (row == NULL)
		return;
	c->partition.last_uidvalidity = row->last_uidvalidity;
	c->partition.next_mailbox = row->next_mailbox;
	c->partition.next_account = row->next_account;
}

static int put_names(struct cut *c, uint64_t mailbox, Tm__KeywordName *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (names[i]->slot >= MAILBOX_KEYWORDS_MAX)
			return ERR_CORRUPT;
		overlay_put(c->rows, TABLE_KEYWORD,
			    key_keyword(&c->key, c->p, (mailbox_id){ mailbox },
					(uint16_t)names[i]->slot),
			    span_str(names[i]->name));
	}
	return OK;
}

static int put_tombstone(struct cut *c, uint64_t account, const char *name,
			 const Tm__TombstoneRow *row)
{
	struct span n = span_str(name);

	if (row == NULL || n.bytes > MAILBOX_NAME_MAX_BYTES)
		return ERR_CORRUPT;
	overlay_put(c->rows, TABLE_TOMBSTONE,
		    key_tombstone(&c->key, c->p, (account_id){ account }, n), pack(c, &row->base));
	return OK;
}

/* A mailbox's row; a name that is in use needs no tombstone. */
static int put_mailbox(struct cut *c, uint64_t account, const Tm__MailboxRow *row)
{
	if (row == NULL || strlen(row->name) > MAILBOX_NAME_MAX_BYTES)
		return ERR_CORRUPT;
	overlay_put(c->rows, TABLE_MAILBOX,
		    key_mailbox(&c->key, c->p, (account_id){ account }, (mailbox_id){ row->id }),
		    pack(c, &row->base));
	overlay_delete(c->rows, TABLE_TOMBSTONE,
		       key_tombstone(&c->key, c->p, (account_id){ account }, span_str(row->name)));
	return OK;
}

/* ---- flags rows ---- */

static int flags_take(struct cut *c, const Tm__FlagSet *set)
{
	if (set == NULL || set->system > UINT8_MAX || set->n_keywords > MAILBOX_KEYWORDS_MAX)
		return ERR_CORRUPT;
	c->flags.system = set->system;
	c->flags.count = (uint32_t)set->n_keywords;
	for (size_t i = 0; i < set->n_keywords; i++) {
		if (set->keywords[i] >= MAILBOX_KEYWORDS_MAX ||
		    (i > 0 && set->keywords[i] <= set->keywords[i - 1]))
			return ERR_CORRUPT;
		c->flags.slots[i] = (uint16_t)set->keywords[i];
	}
	return OK;
}

/* Write c->flags as the row of a message. */
static int flags_put(struct cut *c, uint64_t mailbox, uint32_t uid, uint64_t q, uint64_t size)
{
	uint8_t bytes[FLAGS_ROW_MAX_BYTES];

	if (size > UINT32_MAX)
		return ERR_CORRUPT;
	c->flags.modseq = q;
	c->flags.size = (uint32_t)size;
	overlay_put(c->rows, TABLE_FLAGS,
		    key_flags(&c->key, c->p, (mailbox_id){ mailbox }, (msg_uid){ uid }),
		    span_of(bytes, flags_row_put(bytes, &c->flags)));
	return OK;
}

/* ---- bodies ---- */

static struct touched *touch(struct cut *c, guid g, int64_t when)
{
	struct touched *t;

	/* The same body comes again soon or never: an upload's next chunk, a move's other half. */
	if (c->touched != NULL && guid_eq(c->touched->guid, g)) {
		t = c->touched;
	} else {
		t = arena_zalloc(&c->kept, sizeof(*t));
		t->guid = g;
		t->next = c->touched;
		c->touched = t;
	}
	t->when = when > t->when ? when : t->when;
	return t;
}

static int row_exists(void *data, struct span key, struct span value)
{
	(void)key;
	(void)value;
	*(bool *)data = true;
	return 1;
}

static int body_used(struct cut *c, guid g, bool *ret)
{
	*ret = false;
	return overlay_iterate(
		c->rows, TABLE_BODYREF,
		range_of(c, &(struct key_parts){ .p = c->p, .table = TABLE_BODYREF, .guid = g }, 1),
		row_exists, ret);
}

static int candidate_get(struct cut *c, guid g, struct candidate_row *ret)
{
	struct span value;
	int rc = overlay_get(c->rows, TABLE_CANDIDATE, key_candidate(&c->key, c->p, g), &value);

	return rc < 0 ? rc : candidate_row_get(value, ret);
}

static int resolve(struct cut *c, const struct touched *t)
{
	uint8_t bytes[CANDIDATE_ROW_MAX_BYTES];
	struct candidate_row row = { 0 };
	bool used;
	int rc = body_used(c, t->guid, &used);

	if (rc == OK)
		rc = candidate_get(c, t->guid, &row);
	if (rc < 0 && rc != ERR_NOT_FOUND)
		return rc;
	if (used) {
		if (rc == OK)
			overlay_delete(c->rows, TABLE_CANDIDATE,
				       key_candidate(&c->key, c->p, t->guid));
		return OK;
	}
	row.when = t->when > row.when ? t->when : row.when;
	row.chunks = t->chunks > row.chunks ? t->chunks : row.chunks;
	row.shape_chunks = t->shape_chunks > row.shape_chunks ? t->shape_chunks : row.shape_chunks;
	overlay_put(c->rows, TABLE_CANDIDATE, key_candidate(&c->key, c->p, t->guid),
		    span_of(bytes, candidate_row_put(bytes, &row)));
	return OK;
}

static int resolve_all(struct cut *c)
{
	int rc = OK;

	for (const struct touched *t = c->touched; rc == OK && t != NULL; t = t->next)
		rc = resolve(c, t);
	c->touched = NULL;
	return rc;
}

static int chunk_stored(struct cut *c, const Tm__ChunkStored *r)
{
	guid g;

	if (guid_of(r->guid, &g) < 0 || r->n >= MESSAGE_MAX_BYTES / MESSAGE_CHUNK_BYTES + 1)
		return ERR_CORRUPT;
	overlay_put(c->rows, r->shape ? TABLE_SHAPE : TABLE_BODY,
		    key_body(&c->key, c->p, g, r->shape, r->n), data_span(r->bytes));
	struct touched *t = touch(c, g, r->when);
	uint32_t *chunks = r->shape ? &t->shape_chunks : &t->chunks;
	*chunks = r->n + 1 > *chunks ? r->n + 1 : *chunks;
	return OK;
}

static void delete_chunks(struct cut *c, guid g, bool shape, uint32_t count)
{
	for (uint32_t n = 0; n < count; n++)
		overlay_delete(c->rows, shape ? TABLE_SHAPE : TABLE_BODY,
			       key_body(&c->key, c->p, g, shape, n));
}

/* Only what is a candidate still: a message may have come to refer to it. */
static int bodies_collected(struct cut *c, const Tm__BodiesCollected *r)
{
	int rc = resolve_all(c);

	for (size_t i = 0; rc == OK && i < r->n_guids; i++) {
		struct candidate_row row;
		guid g;

		if (guid_of(r->guids[i], &g) < 0)
			return ERR_CORRUPT;
		rc = candidate_get(c, g, &row);
		if (rc == OK) {
			delete_chunks(c, g, false, row.chunks);
			delete_chunks(c, g, true, row.shape_chunks);
			overlay_delete(c->rows, TABLE_CANDIDATE, key_candidate(&c->key, c->p, g));
		}
		rc = rc == ERR_NOT_FOUND ? OK : rc;
	}
	return rc;
}

/* ---- messages ---- */

static void put_message(struct cut *c, uint64_t mailbox, uint32_t uid, const Tm__MessageRow *row)
{
	overlay_put(c->rows, TABLE_MESSAGE,
		    key_message(&c->key, c->p, (mailbox_id){ mailbox }, (msg_uid){ uid }),
		    pack(c, &row->base));
}

static void put_bodyref(struct cut *c, guid g, uint64_t mailbox, uint32_t uid)
{
	overlay_put(c->rows, TABLE_BODYREF,
		    key_bodyref(&c->key, c->p, g, (mailbox_id){ mailbox }, (msg_uid){ uid }),
		    span_of("", 0));
}

static void put_whole(struct cut *c, guid g, bool shape, struct span bytes)
{
	if (bytes.bytes > 0)
		overlay_put(c->rows, shape ? TABLE_SHAPE : TABLE_BODY,
			    key_body(&c->key, c->p, g, shape, 0), bytes);
}

static void put_threads(struct cut *c, uint64_t account, const Tm__AddedMessage *m)
{
	uint8_t thread[8];

	be64_put(thread, m->row->thread);
	for (size_t i = 0; i < m->n_thread_hashes; i++)
		overlay_put(
			c->rows, TABLE_THREADREF,
			key_threadref(&c->key, c->p, (account_id){ account }, m->thread_hashes[i]),
			span_of(thread, sizeof(thread)));
}

static int add_message(struct cut *c, const Tm__MessagesAdded *r, uint32_t uid,
		       const Tm__AddedMessage *m)
{
	struct message_info info;
	int rc = m->row == NULL ? ERR_CORRUPT : message_info_of_row(m->row, &info);

	if (rc == OK)
		rc = flags_take(c, m->flags);
	if (rc == OK)
		rc = flags_put(c, r->mailbox, uid, r->modseq, info.size);
	if (rc < 0)
		return rc;
	put_message(c, r->mailbox, uid, m->row);
	put_bodyref(c, info.guid, r->mailbox, uid);
	put_whole(c, info.guid, false, data_span(m->body));
	put_whole(c, info.guid, true, data_span(m->shape));
	put_threads(c, r->account, m);
	if (info.chunks > 0 || info.shape_chunks > 0)
		touch(c, info.guid, 0); /* its chunks made it a candidate */
	return OK;
}

/* The mistake "apply-twice": counters are counted up instead of taken from the record. */
static int count_up(struct cut *c, const Tm__MessagesAdded *r)
{
	Tm__CountersRow sum = *r->counters;
	struct span value;
	int rc = overlay_get(
		c->rows, TABLE_COUNTERS,
		key_counters(&c->key, c->p, (account_id){ r->account }, (mailbox_id){ r->mailbox }),
		&value);

	if (rc < 0)
		return rc;
	const Tm__CountersRow *old = row_counters(value, &c->arena);
	if (old == NULL)
		return ERR_CORRUPT;
	sum.exists = old->exists + (uint32_t)r->n_messages;
	return put_counters(c, r->account, r->mailbox, &sum);
}

static int messages_added(struct cut *c, const Tm__MessagesAdded *r)
{
	int rc = put_names(c, r->mailbox, r->new_names, r->n_new_names);

	if (r->first_uid == 0 || r->n_messages > UINT32_MAX - r->first_uid)
		return ERR_CORRUPT;
	for (size_t i = 0; rc == OK && i < r->n_messages; i++)
		rc = add_message(c, r, r->first_uid + (uint32_t)i, r->messages[i]);
	if (rc == OK && r->counters != NULL && mistake_active("apply-twice"))
		rc = count_up(c, r);
	else if (rc == OK)
		rc = put_counters(c, r->account, r->mailbox, r->counters);
	if (rc == OK)
		put_usage(c, r->account, r->usage);
	return rc;
}

/* Message rows of up to SLICE uids of one mailbox. */
struct slice {
	mailbox_id mailbox;
	size_t count;
	size_t found;
	uint32_t uids[SLICE];
	struct message_info infos[SLICE];
};

static int slice_found(void *data, size_t i, struct span value)
{
	struct slice *s = data;

	s->found++;
	return message_info_decode(value, &s->infos[i]);
}

/* Every uid must have its row. */
static int slice_read(struct cut *c, struct slice *s)
{
	struct { /* a key without room for names */
		uint8_t at[24];
	} memory[SLICE];
	struct span keys[SLICE];

	for (size_t i = 0; i < s->count; i++) {
		struct span k = key_message(&c->key, c->p, s->mailbox, (msg_uid){ s->uids[i] });

		assert(k.bytes <= sizeof(memory[i].at));
		memcpy(memory[i].at, k.at, k.bytes);
		keys[i] = span_of(memory[i].at, k.bytes);
	}
	s->found = 0;
	int rc = overlay_get_many(c->rows, TABLE_MESSAGE, keys, s->count, slice_found, s);
	return rc == OK && s->found != s->count ? ERR_CORRUPT : rc;
}

/* Walks an encoded uid set uid by uid. */
struct uids {
	struct uidset_iter it;
	struct uid_range range;
	bool in_range;
};

static bool uids_next(struct uids *u, uint32_t *ret)
{
	if (!u->in_range && !uidset_iter_next(&u->it, &u->range))
		return false;
	*ret = u->range.lo;
	u->in_range = u->range.lo < u->range.hi;
	if (u->in_range)
		u->range.lo++;
	return true;
}

static struct uids uids_of(ProtobufCBinaryData encoded)
{
	struct uids u = { .in_range = false };

	uidset_iter_init(&u.it, data_span(encoded));
	return u;
}

static void slice_fill(struct slice *s, struct uids *u)
{
	uint32_t uid;

	s->count = 0;
	while (s->count < SLICE && uids_next(u, &uid))
		s->uids[s->count++] = uid;
}

/* ---- copies ---- */

/* The set of flags of each target uid, by its distance to the first. */
static int copy_flags(const Tm__MessagesCopied *r, size_t count, const Tm__FlagSet **sets)
{
	for (size_t i = 0; i < r->n_groups; i++) {
		struct uids u = uids_of(r->groups[i]->uids);
		uint32_t uid;

		while (uids_next(&u, &uid)) {
			if (uid < r->first_uid || uid - r->first_uid >= count)
				return ERR_CORRUPT;
			sets[uid - r->first_uid] = r->groups[i]->flags;
		}
		if (u.it.corrupt)
			return ERR_CORRUPT;
	}
	return OK;
}

static int copy_one(struct cut *c, const Tm__MessagesCopied *r, uint32_t uid,
		    struct message_info *info, const Tm__FlagSet *set)
{
	Tm__MessageRow row;
	int rc = flags_take(c, set);

	if (rc == OK)
		rc = flags_put(c, r->target, uid, r->modseq, info->size);
	if (rc < 0)
		return rc;
	info->savedate = r->savedate;
	message_info_to_row(info, &row);
	put_message(c, r->target, uid, &row);
	put_bodyref(c, info->guid, r->target, uid);
	return OK;
}

static int count_uids(ProtobufCBinaryData encoded, size_t *ret)
{
	struct uidset_iter it;
	struct uid_range range;

	*ret = 0;
	uidset_iter_init(&it, data_span(encoded));
	while (uidset_iter_next(&it, &range))
		*ret += (size_t)range.hi - range.lo + 1;
	return it.corrupt || *ret > OP_MESSAGES_MAX ? ERR_CORRUPT : OK;
}

static int copy_all(struct cut *c, const Tm__MessagesCopied *r, size_t count)
{
	const Tm__FlagSet **sets = arena_zalloc(&c->arena, (count + 1) * sizeof(sets[0]));
	struct slice *s = arena_alloc(&c->arena, sizeof(*s));
	struct uids u = uids_of(r->source_uids);
	int rc = copy_flags(r, count, sets);

	s->mailbox.v = r->source;
	for (size_t done = 0; rc == OK && done < count; done += s->count) {
		slice_fill(s, &u);
		rc = slice_read(c, s);
		for (size_t i = 0; rc == OK && i < s->count; i++)
			rc = copy_one(c, r, r->first_uid + (uint32_t)(done + i), &s->infos[i],
				      sets[done + i]);
	}
	return rc;
}

static int messages_copied(struct cut *c, const Tm__MessagesCopied *r)
{
	size_t count;
	int rc = count_uids(r->source_uids, &count);

	if (rc < 0 || r->first_uid == 0 || count > UINT32_MAX - r->first_uid)
		return ERR_CORRUPT;
	rc = put_names(c, r->target, r->new_names, r->n_new_names);
	if (rc == OK)
		rc = copy_all(c, r, count);
	if (rc == OK)
		rc = put_counters(c, r->account, r->target, r->counters);
	if (rc == OK)
		put_usage(c, r->account, r->usage);
	return rc;
}

/* ---- flags ---- */

static int group_changed(struct cut *c, const Tm__FlagsChanged *r, const Tm__FlagGroup *g)
{
	struct span sizes = data_span(g->sizes);
	const uint8_t *size_at = (const uint8_t *)sizes.at;
	const uint8_t *size_end = size_at + sizes.bytes;
	struct uids u = uids_of(g->uids);
	uint32_t uid;
	int rc = flags_take(c, g->flags);

	while (rc == OK && uids_next(&u, &uid)) {
		uint64_t size;

		if (size_at == size_end || !varint_get(&size_at, size_end, &size))
			return ERR_CORRUPT;
		rc = flags_put(c, r->mailbox, uid, r->modseq, size);
	}
	return rc == OK && (u.it.corrupt || size_at != size_end) ? ERR_CORRUPT : rc;
}

static int flags_changed(struct cut *c, const Tm__FlagsChanged *r)
{
	int rc = put_names(c, r->mailbox, r->new_names, r->n_new_names);

	for (size_t i = 0; rc == OK && i < r->n_groups; i++)
		rc = group_changed(c, r, r->groups[i]);
	return rc < 0 ? rc : put_counters(c, r->account, r->mailbox, r->counters);
}

/* ---- what goes ---- */

static void forget_message(struct cut *c, mailbox_id m, msg_uid uid,
			   const struct message_info *info)
{
	overlay_delete(c->rows, TABLE_BODYREF, key_bodyref(&c->key, c->p, info->guid, m, uid));
	struct touched *t = touch(c, info->guid, c->when);
	t->chunks = info->chunks > 0 ? info->chunks : 1;
	t->shape_chunks = info->shape_chunks > 0 ? info->shape_chunks : 1;
}

static int expunge_slice(struct cut *c, struct slice *s)
{
	int rc = slice_read(c, s);

	for (size_t i = 0; rc == OK && i < s->count; i++) {
		msg_uid uid = { s->uids[i] };

		forget_message(c, s->mailbox, uid, &s->infos[i]);
		overlay_delete(c->rows, TABLE_MESSAGE, key_message(&c->key, c->p, s->mailbox, uid));
		overlay_delete(c->rows, TABLE_FLAGS, key_flags(&c->key, c->p, s->mailbox, uid));
	}
	return rc;
}

static int expunge_all(struct cut *c, const Tm__MessagesExpunged *r)
{
	struct slice *s = arena_alloc(&c->arena, sizeof(*s));
	struct uids u = uids_of(r->uids);
	int rc = OK;

	s->mailbox.v = r->mailbox;
	do {
		slice_fill(s, &u);
		rc = expunge_slice(c, s);
	} while (rc == OK && s->count == SLICE);
	return rc == OK && u.it.corrupt ? ERR_CORRUPT : rc;
}

struct found_keys {
	struct cut *c;
	struct found_key {
		struct found_key *next;
		struct span key;
	} * first;
};

static int keep_key(void *data, struct span key, struct span value)
{
	struct found_keys *f = data;
	struct found_key *k = arena_alloc(&f->c->arena, sizeof(*k));

	(void)value;
	*k = (struct found_key){ f->first, arena_copy(&f->c->arena, key) };
	f->first = k;
	return OK;
}

/* Vanished rows above the former horizon, up to prune_to, go one by one: there are few, and many
 * deleted ranges would make reading slow. */
static int prune(struct cut *c, const Tm__MessagesExpunged *r)
{
	struct found_keys found = { c, NULL };
	struct span value;
	mailbox_id m = { r->mailbox };
	int rc = overlay_get(c->rows, TABLE_COUNTERS,
			     key_counters(&c->key, c->p, (account_id){ r->account }, m), &value);

	if (rc < 0)
		return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
	const Tm__CountersRow *old = row_counters(value, &c->arena);
	if (old == NULL || r->prune_to == UINT64_MAX || old->horizon > r->prune_to)
		return ERR_CORRUPT;
	rc = overlay_iterate(
		c->rows, TABLE_VANISHED,
		(struct kv_range){ key_vanished(&c->key, c->p, m, (modseq){ old->horizon }),
				   key_vanished(&c->key2, c->p, m, (modseq){ r->prune_to + 1 }) },
		keep_key, &found);
	for (const struct found_key *k = found.first; rc == OK && k != NULL; k = k->next)
		overlay_delete(c->rows, TABLE_VANISHED, k->key);
	return rc;
}

static int messages_expunged(struct cut *c, const Tm__MessagesExpunged *r)
{
	mailbox_id m = { r->mailbox };
	int rc = expunge_all(c, r);

	if (rc == OK)
		overlay_put(c->rows, TABLE_VANISHED,
			    key_vanished(&c->key, c->p, m, (modseq){ r->modseq }),
			    data_span(r->uids));
	if (rc == OK && r->prune_to != 0)
		rc = prune(c, r);
	if (rc == OK)
		rc = put_counters(c, r->account, r->mailbox, r->counters);
	if (rc == OK)
		put_usage(c, r->account, r->usage);
	return rc;
}

/* ---- mailboxes and accounts ---- */

static int mailbox_created(struct cut *c, const Tm__MailboxCreated *r)
{
	int rc = put_mailbox(c, r->account, r->row);

	if (rc == OK)
		rc = put_counters(c, r->account, r->row->id, r->counters);
	if (rc == OK) {
		put_usage(c, r->account, r->usage);
		take_partition(c, r->partition);
	}
	return rc;
}

static void queue_purge(struct cut *c, account_id a, mailbox_id m)
{
	overlay_put(c->rows, TABLE_PURGE, key_purge(&c->key, c->p, a, m), span_of("", 0));
}

static int mailbox_deleted(struct cut *c, const Tm__MailboxDeleted *r)
{
	account_id a = { r->account };
	mailbox_id m = { r->mailbox };
	int rc = put_tombstone(c, r->account, r->name, r->tombstone);

	if (rc < 0)
		return rc;
	overlay_delete(c->rows, TABLE_MAILBOX, key_mailbox(&c->key, c->p, a, m));
	overlay_delete(c->rows, TABLE_COUNTERS, key_counters(&c->key, c->p, a, m));
	queue_purge(c, a, m);
	put_usage(c, r->account, r->usage);
	return OK;
}

static int mailbox_renamed(struct cut *c, const Tm__MailboxRenamed *r)
{
	int rc = OK;

	/* All old names first: a new name may be the old one of another. */
	for (size_t i = 0; rc == OK && i < r->n_mailboxes; i++)
		if (r->mailboxes[i]->tombstone != NULL)
			rc = put_tombstone(c, r->account, r->mailboxes[i]->old_name,
					   r->mailboxes[i]->tombstone);
	for (size_t i = 0; rc == OK && i < r->n_mailboxes; i++)
		rc = put_mailbox(c, r->account, r->mailboxes[i]->row);
	put_usage(c, r->account, r->usage);
	take_partition(c, r->partition);
	return rc;
}

static int subscribed(struct cut *c, const Tm__Subscribed *r)
{
	struct span name = span_str(r->name);

	if (name.bytes > MAILBOX_NAME_MAX_BYTES)
		return ERR_CORRUPT;
	struct span key = key_subscription(&c->key, c->p, (account_id){ r->account }, name);
	if (r->on)
		overlay_put(c->rows, TABLE_SUBSCRIPTION, key, span_of("", 0));
	else
		overlay_delete(c->rows, TABLE_SUBSCRIPTION, key);
	put_usage(c, r->account, r->usage);
	return OK;
}

static int account_changed(struct cut *c, const Tm__AccountChanged *r)
{
	if (r->row == NULL || strlen(r->row->name) > ACCOUNT_NAME_MAX_BYTES)
		return ERR_CORRUPT;
	overlay_put(c->rows, TABLE_ACCOUNT, key_account(&c->key, c->p, span_str(r->row->name)),
		    pack(c, &r->row->base));
	put_usage(c, r->row->id, r->usage);
	take_partition(c, r->partition);
	return OK;
}

static int account_deleted(struct cut *c, const Tm__AccountDeleted *r)
{
	static const enum table tables[] = { TABLE_MAILBOX, TABLE_COUNTERS, TABLE_SUBSCRIPTION,
					     TABLE_TOMBSTONE, TABLE_THREADREF };
	account_id a = { r->account };
	struct found_keys found = { c, NULL };
	int rc = overlay_iterate(c->rows, TABLE_MAILBOX, account_range(c, TABLE_MAILBOX, a),
				 keep_key, &found);

	if (rc < 0 || strlen(r->name) > ACCOUNT_NAME_MAX_BYTES)
		return rc < 0 ? rc : ERR_CORRUPT;
	for (const struct found_key *k = found.first; k != NULL; k = k->next) {
		struct key_parts parts;

		if (!key_get(k->key, &parts))
			return ERR_CORRUPT;
		queue_purge(c, a, parts.mailbox);
	}
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		overlay_delete_range(c->rows, tables[i], account_range(c, tables[i], a));
	overlay_delete(c->rows, TABLE_USAGE, key_usage(&c->key, c->p, a));
	overlay_delete(c->rows, TABLE_ACCOUNT, key_account(&c->key, c->p, span_str(r->name)));
	return OK;
}

struct purge {
	struct cut *c;
	struct purged {
		struct purged *next;
		mailbox_id mailbox;
		msg_uid uid;
		struct message_info info;
	} * first;
};

static int purge_row(void *data, struct span key, struct span value)
{
	struct purge *p = data;
	struct key_parts parts;
	struct purged *m = arena_alloc(&p->c->arena, sizeof(*m));

	if (!key_get(key, &parts) || message_info_decode(value, &m->info) < 0)
		return ERR_CORRUPT;
	m->mailbox = parts.mailbox;
	m->uid = parts.uid;
	m->next = p->first;
	p->first = m;
	return OK;
}

/* The rows of its messages below `up_to` (0: all). */
static int purge_messages(struct cut *c, mailbox_id m, uint32_t up_to)
{
	static const enum table tables[] = { TABLE_MESSAGE, TABLE_FLAGS };
	struct purge p = { c, NULL };
	int rc = OK;

	for (size_t i = 0; rc == OK && i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct kv_range range = mailbox_range(c, tables[i], m);

		if (up_to != 0) /* both tables have keys (mailbox, uid) */
			range.hi = key_put(&c->key2, &(struct key_parts){ .p = c->p,
									  .table = tables[i],
									  .mailbox = m,
									  .uid = { up_to } });
		if (tables[i] == TABLE_MESSAGE)
			rc = overlay_iterate(c->rows, TABLE_MESSAGE, range, purge_row, &p);
		if (rc == OK)
			overlay_delete_range(c->rows, tables[i], range);
	}
	for (const struct purged *g = p.first; rc == OK && g != NULL; g = g->next)
		forget_message(c, g->mailbox, g->uid, &g->info);
	return rc;
}

static int mailbox_purged(struct cut *c, const Tm__MailboxPurged *r)
{
	mailbox_id m = { r->mailbox };
	int rc = purge_messages(c, m, r->up_to);

	if (rc < 0 || r->up_to != 0)
		return rc;
	overlay_delete_range(c->rows, TABLE_VANISHED, mailbox_range(c, TABLE_VANISHED, m));
	overlay_delete_range(c->rows, TABLE_KEYWORD, mailbox_range(c, TABLE_KEYWORD, m));
	overlay_delete(c->rows, TABLE_PURGE,
		       key_purge(&c->key, c->p, (account_id){ r->account }, m));
	return OK;
}

/* ---- results of ops ---- */

static int client_of(ProtobufCBinaryData d, client_id *ret)
{
	if (d.len != sizeof(ret->b))
		return ERR_CORRUPT;
	memcpy(ret->b, d.data, sizeof(ret->b));
	return OK;
}

static int put_dedup(struct cut *c, const Tm__Change *change)
{
	Tm__DedupRow row = TM__DEDUP_ROW__INIT;
	client_id client;

	if (change->client.len == 0)
		return OK;
	if (client_of(change->client, &client) < 0)
		return ERR_CORRUPT;
	row.number = change->number;
	row.result = change->result;
	row.when = c->when;
	row.withdrawn = change->withdrawn;
	overlay_put(c->rows, TABLE_DEDUP, key_dedup(&c->key, c->p, client), pack(c, &row.base));
	return OK;
}

/* Only if the client has done nothing since. */
static int dedup_expired(struct cut *c, const Tm__DedupExpired *r)
{
	if (r->n_clients != r->n_numbers)
		return ERR_CORRUPT;
	for (size_t i = 0; i < r->n_clients; i++) {
		client_id client;
		struct span value;

		if (client_of(r->clients[i], &client) < 0)
			return ERR_CORRUPT;
		int rc =
			overlay_get(c->rows, TABLE_DEDUP, key_dedup(&c->key, c->p, client), &value);
		if (rc == ERR_NOT_FOUND)
			continue;
		const Tm__DedupRow *row = rc < 0 ? NULL : row_dedup(value, &c->arena);
		if (row == NULL)
			return rc < 0 ? rc : ERR_CORRUPT;
		if (row->number == r->numbers[i])
			overlay_delete(c->rows, TABLE_DEDUP, key_dedup(&c->key, c->p, client));
	}
	return OK;
}

/* ---- the cut ---- */

static int add_record(struct cut *c, const Tm__Record *r)
{
	switch (r->what_case) {
	case TM__RECORD__WHAT_CHUNK_STORED: return chunk_stored(c, r->chunk_stored);
	case TM__RECORD__WHAT_MESSAGES_ADDED: return messages_added(c, r->messages_added);
	case TM__RECORD__WHAT_MESSAGES_COPIED: return messages_copied(c, r->messages_copied);
	case TM__RECORD__WHAT_FLAGS_CHANGED: return flags_changed(c, r->flags_changed);
	case TM__RECORD__WHAT_MESSAGES_EXPUNGED: return messages_expunged(c, r->messages_expunged);
	case TM__RECORD__WHAT_RECENT_CLAIMED:
		return put_counters(c, r->recent_claimed->account, r->recent_claimed->mailbox,
				    r->recent_claimed->counters);
	case TM__RECORD__WHAT_MAILBOX_CREATED: return mailbox_created(c, r->mailbox_created);
	case TM__RECORD__WHAT_MAILBOX_DELETED: return mailbox_deleted(c, r->mailbox_deleted);
	case TM__RECORD__WHAT_MAILBOX_RENAMED: return mailbox_renamed(c, r->mailbox_renamed);
	case TM__RECORD__WHAT_SUBSCRIBED: return subscribed(c, r->subscribed);
	case TM__RECORD__WHAT_ACCOUNT_CHANGED: return account_changed(c, r->account_changed);
	case TM__RECORD__WHAT_ACCOUNT_DELETED: return account_deleted(c, r->account_deleted);
	case TM__RECORD__WHAT_MAILBOX_PURGED: return mailbox_purged(c, r->mailbox_purged);
	case TM__RECORD__WHAT_BODIES_COLLECTED: return bodies_collected(c, r->bodies_collected);
	case TM__RECORD__WHAT_DEDUP_EXPIRED: return dedup_expired(c, r->dedup_expired);
	case TM__RECORD__WHAT__NOT_SET:
	case _TM__RECORD__WHAT__CASE_IS_INT_SIZE: break;
	}
	return ERR_CORRUPT; /* of a newer version: must not be skipped */
}

struct cut *cut_new(struct kv *state)
{
	struct cut *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->state = state;
	c->rows = overlay_new(state);
	c->batch = kv_batch_new(state);
	arena_init(&c->arena);
	arena_init(&c->kept);
	return c;
}

void cut_free(struct cut **c)
{
	if (*c == NULL)
		return;
	overlay_free(&(*c)->rows);
	kv_batch_free(&(*c)->batch);
	arena_free(&(*c)->arena);
	arena_free(&(*c)->kept);
	free(*c);
	*c = NULL;
}

int cut_begin(struct cut *c, struct pgen p)
{
	struct span value;

	overlay_reset(c->rows);
	arena_reset(&c->arena);
	arena_reset(&c->kept);
	c->touched = NULL;
	c->p = p;
	tm__partition_row__init(&c->partition);
	int rc = overlay_get(c->rows, TABLE_PARTITION, key_partition(&c->key, p), &value);
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? OK : rc;
	const Tm__PartitionRow *row = row_partition(value, &c->arena);
	if (row == NULL)
		return ERR_CORRUPT;
	c->partition = *row;
	return OK;
}

int cut_add(struct cut *c, const struct log_entry *e)
{
	Tm__LogEntry *m;

	if (e->seq.v <= c->partition.applied_seq && !mistake_active("apply-twice"))
		return OK; /* C1 */
	if (e->seq.v > c->partition.applied_seq + 1 || e->partition.v != c->p.partition.v)
		return ERR_CORRUPT;
	arena_reset(&c->arena);
	int rc = log_entry_decode(e, &c->arena, &m);
	if (rc < 0)
		return rc;
	c->when = m->when;
	for (size_t i = 0; i < m->n_changes; i++) {
		for (size_t j = 0; rc == OK && j < m->changes[i]->n_records; j++)
			rc = add_record(c, m->changes[i]->records[j]);
		if (rc == OK)
			rc = put_dedup(c, m->changes[i]);
		if (rc < 0)
			return rc;
	}
	c->partition.applied_seq = e->seq.v;
	c->partition.applied_version = e->version;
	return OK;
}

static void put_partition(struct cut *c)
{
	overlay_put(c->rows, TABLE_PARTITION, key_partition(&c->key, c->p),
		    pack(c, &c->partition.base));
}

/* The mistake "torn-cut": the rows, and which entries they are of, in two batches. */
static int write_torn(struct cut *c)
{
	struct kv_batch *first = kv_batch_new(c->state);

	kv_batch_put(first, KV_SMALL, key_partition(&c->key, c->p), pack(c, &c->partition.base));
	int rc = kv_write(c->state, first, false);
	kv_batch_free(&first);
	return rc < 0 ? rc : kv_write(c->state, c->batch, false);
}

int cut_write(struct cut *c)
{
	int rc = resolve_all(c);

	if (rc < 0)
		return rc;
	put_partition(c);
	kv_batch_clear(c->batch);
	overlay_fill(c->rows, c->batch);
	CRASH_POINT("flush.before-write");
	rc = mistake_active("torn-cut") ? write_torn(c) : kv_write(c->state, c->batch, false);
	if (rc == OK)
		CRASH_POINT("flush.written");
	return rc;
}

struct log_pos cut_applied(const struct cut *c)
{
	return (struct log_pos){ { c->partition.applied_seq }, c->partition.applied_version };
}

size_t cut_rows(const struct cut *c)
{
	return overlay_rows(c->rows);
}
