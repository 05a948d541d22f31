/* census.c: one function per table that takes a row into its array. */
#include "storage/census.h"

#include "proto/op.pb-c.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <stdio.h>
#include <stdlib.h>

enum { FINDING_MAX_BYTES = 400 };

void census_say(struct census *c, const char *fmt, ...)
{
	char text[FINDING_MAX_BYTES];
	va_list args;
	int n = snprintf(text, sizeof(text), "partition %u: ", c->p.partition.v);

	va_start(args, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	c->findings++;
	c->finding(c->data, text);
}

static void *list_add(struct census_list *l, size_t size)
{
	if (l->count == l->capacity) {
		l->capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
		l->at = realloc(l->at, l->capacity * size);
		if (l->at == NULL)
			abort();
	}
	return (char *)l->at + size * l->count++;
}

#define ADD(list, type) ((struct type *)list_add(&(list), sizeof(struct type)))

/* ---- small ---- */

/* Each returns false if the row cannot be decoded. */

static bool take_partition(struct census *c, struct span value)
{
	const Tm__PartitionRow *row = row_partition(value, &c->arena);

	if (row == NULL)
		return false;
	c->partition = *row;
	c->has_partition = true;
	return true;
}

static bool take_account(struct census *c, const struct key_parts *k, struct span value)
{
	const Tm__AccountRow *row = row_account(value, &c->arena);

	if (row == NULL || !span_eq(span_str(row->name), k->name))
		return false;
	*ADD(c->accounts, census_account) =
		(struct census_account){ { row->id }, span_str(row->name) };
	return true;
}

static bool take_usage(struct census *c, const struct key_parts *k, struct span value)
{
	const Tm__UsageRow *row = row_usage(value, &c->arena);

	if (row == NULL)
		return false;
	*ADD(c->usages, census_usage) =
		(struct census_usage){ k->account, row->bytes, row->messages };
	return true;
}

static bool take_mailbox(struct census *c, const struct key_parts *k, struct span value)
{
	const Tm__MailboxRow *row = row_mailbox(value, &c->arena);

	if (row == NULL || row->id != k->mailbox.v)
		return false;
	*ADD(c->mailboxes, census_mailbox) =
		(struct census_mailbox){ k->account, k->mailbox, span_str(row->name),
					 row->uidvalidity };
	return true;
}

static bool take_counters(struct census *c, const struct key_parts *k, struct span value)
{
	const Tm__CountersRow *row = row_counters(value, &c->arena);

	if (row == NULL)
		return false;
	*ADD(c->counters, census_counters) =
		(struct census_counters){ k->account, k->mailbox, row };
	return true;
}

static bool take_dedup(struct census *c, struct span value)
{
	const Tm__DedupRow *row = row_dedup(value, &c->arena);

	return row != NULL &&
	       (row->withdrawn ||
		tm__op_result__unpack(&c->arena.pb, row->result.len, row->result.data) != NULL);
}

static bool take_vanished(struct census *c, const struct key_parts *k, struct span value)
{
	*ADD(c->vanished, census_vanished) =
		(struct census_vanished){ k->mailbox, k->modseq, arena_copy(&c->arena, value) };
	return true;
}

static bool take_candidate(struct census *c, const struct key_parts *k, struct span value)
{
	struct census_candidate *to = ADD(c->candidates, census_candidate);

	to->guid = k->guid;
	return candidate_row_get(value, &to->row) == OK;
}

static bool take_owned(struct census *c, const struct key_parts *k, struct span value)
{
	*ADD(c->owned, census_owned) = (struct census_owned){ k->account, k->table };
	if (k->table == TABLE_TOMBSTONE)
		return row_tombstone(value, &c->arena) != NULL;
	return value.bytes == (k->table == TABLE_THREADREF ? 8 : 0);
}

/* ---- message, flags, body ---- */

static bool take_message(struct census *c, const struct key_parts *k, struct span value)
{
	struct census_message *to = ADD(c->messages, census_message);

	to->mailbox = k->mailbox;
	to->uid = k->uid;
	return message_info_decode(value, &to->info) == OK;
}

static void take_slot(struct census *c, mailbox_id m, uint16_t slot)
{
	const struct census_slot *seen = c->slots.at;

	/* Few different ones in a mailbox: looked for from the newest. */
	for (size_t i = c->slots.count; i > 0 && seen[i - 1].mailbox.v == m.v; i--)
		if (seen[i - 1].slot == slot)
			return;
	*ADD(c->slots, census_slot) = (struct census_slot){ m, slot };
}

static bool take_flags(struct census *c, const struct key_parts *k, struct span value)
{
	if (flags_row_get(value, &c->row) < 0)
		return false;
	*ADD(c->flags, census_flags) = (struct census_flags){ k->mailbox, k->uid, c->row.modseq,
							      c->row.size, c->row.system };
	for (uint32_t i = 0; i < c->row.count; i++)
		take_slot(c, k->mailbox, c->row.slots[i]);
	return true;
}

static bool take_chunk(struct census_list *l, const struct key_parts *k, struct span value)
{
	struct census_body *to = l->count == 0 ? NULL : (struct census_body *)l->at + l->count - 1;

	if (to == NULL || !guid_eq(to->guid, k->guid)) {
		to = ADD(*l, census_body);
		*to = (struct census_body){ .guid = k->guid };
	}
	to->gap = to->gap || k->chunk != to->chunks;
	to->short_chunk =
		to->short_chunk || to->bytes != (uint64_t)to->chunks * MESSAGE_CHUNK_BYTES;
	to->chunks++;
	to->bytes += value.bytes;
	return value.bytes > 0 && value.bytes <= MESSAGE_CHUNK_BYTES;
}

static bool take(struct census *c, const struct key_parts *k, struct span value)
{
	switch (k->table) {
	case TABLE_POINTER: return value.bytes == 4;
	case TABLE_PARTITION: return take_partition(c, value);
	case TABLE_ACCOUNT: return take_account(c, k, value);
	case TABLE_USAGE: return take_usage(c, k, value);
	case TABLE_MAILBOX: return take_mailbox(c, k, value);
	case TABLE_COUNTERS: return take_counters(c, k, value);
	case TABLE_KEYWORD:
		*ADD(c->keywords, census_keyword) = (struct census_keyword){ k->mailbox, k->slot };
		return value.bytes > 0 && value.bytes <= KEYWORD_MAX_BYTES;
	case TABLE_SUBSCRIPTION:
	case TABLE_TOMBSTONE:
	case TABLE_THREADREF: return take_owned(c, k, value);
	case TABLE_DEDUP: return take_dedup(c, value);
	case TABLE_VANISHED: return take_vanished(c, k, value);
	case TABLE_BODYREF:
		*ADD(c->bodyrefs, census_bodyref) =
			(struct census_bodyref){ k->guid, k->mailbox, k->uid };
		return value.bytes == 0;
	case TABLE_CANDIDATE: return take_candidate(c, k, value);
	case TABLE_PURGE:
		*ADD(c->purges, census_purge) = (struct census_purge){ k->account, k->mailbox };
		return value.bytes == 0;
	case TABLE_MESSAGE: return take_message(c, k, value);
	case TABLE_FLAGS: return take_flags(c, k, value);
	case TABLE_BODY: return take_chunk(&c->bodies, k, value);
	case TABLE_SHAPE: return take_chunk(&c->shapes, k, value);
	}
	return false;
}

struct reading {
	struct census *c;
	enum kv_family family;
};

static int take_row(void *data, struct span key, struct span value)
{
	struct reading *r = data;
	struct key_parts k = { 0 };
	uint32_t generation = r->c->p.generation;

	if (!key_get(key, &k) || table_family(k.table) != r->family)
		census_say(r->c, "a key of %zu bytes in family %d is none of ours", key.bytes,
			   (int)r->family);
	else if (k.p.generation != (k.table == TABLE_POINTER ? 0 : generation))
		census_say(r->c, "a row of table %s belongs to generation %u", table_name(k.table),
			   k.p.generation);
	else if (!take(r->c, &k, value))
		census_say(
			r->c,
			"a row of table %s cannot be decoded (account %llu, mailbox %llu, uid %u)",
			table_name(k.table), (unsigned long long)k.account.v,
			(unsigned long long)k.mailbox.v, k.uid.v);
	return OK;
}

int census_read(struct kv *state, struct pgen p, void (*finding)(void *data, const char *text),
		void *data, struct census *c)
{
	uint8_t lo[2];
	uint8_t hi[2];
	int rc = OK;

	*c = (struct census){ .p = p, .finding = finding, .data = data };
	arena_init(&c->arena);
	tm__partition_row__init(&c->partition);
	be16_put(lo, p.partition.v);
	be16_put(hi, (uint16_t)(p.partition.v + 1));
	for (int f = 0; rc == OK && f < KV_FAMILIES; f++) {
		struct reading r = { c, (enum kv_family)f };

		rc = kv_iterate(state, NULL, r.family,
				(struct kv_range){ span_of(lo, 2), span_of(hi, 2) }, take_row, &r);
	}
	if (rc < 0)
		census_free(c);
	return rc;
}

void census_free(struct census *c)
{
	struct census_list *const lists[] = { &c->accounts, &c->usages,   &c->mailboxes,
					      &c->counters, &c->purges,   &c->keywords,
					      &c->vanished, &c->bodyrefs, &c->candidates,
					      &c->messages, &c->flags,    &c->slots,
					      &c->bodies,   &c->shapes,   &c->owned };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		free(lists[i]->at);
	arena_free(&c->arena);
}
