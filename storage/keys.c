/* keys.c: one description of every key, and one writer and one reader that follow it. */
#include "storage/keys.h"

#include <assert.h>
#include <string.h>

enum { HEAD_BYTES = 2 + 4 + 1, LOG_HEAD_BYTES = 2 + 1 };

static const struct layout {
	const char *name;
	const char *fields; /* letters as in keys.h */
	enum kv_family family;
} layouts[TABLE_LAST + 1] = {
	[TABLE_POINTER] = { "pointer", "", KV_SMALL },
	[TABLE_PARTITION] = { "partition", "", KV_SMALL },
	[TABLE_ACCOUNT] = { "account", "*", KV_SMALL },
	[TABLE_USAGE] = { "usage", "a", KV_SMALL },
	[TABLE_MAILBOX] = { "mailbox", "am", KV_SMALL },
	[TABLE_COUNTERS] = { "counters", "am", KV_SMALL },
	[TABLE_KEYWORD] = { "keyword", "ms", KV_SMALL },
	[TABLE_SUBSCRIPTION] = { "subscription", "a*", KV_SMALL },
	[TABLE_TOMBSTONE] = { "tombstone", "a*", KV_SMALL },
	[TABLE_THREADREF] = { "threadref", "ah", KV_SMALL },
	[TABLE_DEDUP] = { "dedup", "c", KV_SMALL },
	[TABLE_VANISHED] = { "vanished", "mq", KV_SMALL },
	[TABLE_BODYREF] = { "bodyref", "gmu", KV_SMALL },
	[TABLE_CANDIDATE] = { "candidate", "g", KV_SMALL },
	[TABLE_PURGE] = { "purge", "am", KV_SMALL },
	[TABLE_MESSAGE] = { "message", "mu", KV_MESSAGE },
	[TABLE_FLAGS] = { "flags", "mu", KV_FLAGS },
	[TABLE_BODY] = { "body", "gn", KV_BODY },
	[TABLE_SHAPE] = { "shape", "gn", KV_BODY },
};
static_assert(KEY_MAX_BYTES >= HEAD_BYTES + 16 + 8 + 4, "the longest key without a name fits");
static_assert(ACCOUNT_NAME_MAX_BYTES <= MAILBOX_NAME_MAX_BYTES, "an account's name fits");

static const struct layout *layout_of(enum table t)
{
	assert(t >= TABLE_POINTER && t <= TABLE_LAST && layouts[t].name != NULL);
	return &layouts[t];
}

enum kv_family table_family(enum table t)
{
	return layout_of(t)->family;
}

const char *table_name(enum table t)
{
	return layout_of(t)->name;
}

/* Write the field `letter`; returns where the next one stands. */
static uint8_t *field_put(uint8_t *at, char letter, const struct key_parts *p)
{
	switch (letter) {
	case 'a': be64_put(at, p->account.v); return at + 8;
	case 'm': be64_put(at, p->mailbox.v); return at + 8;
	case 'q': be64_put(at, p->modseq.v); return at + 8;
	case 'h': be64_put(at, p->hash); return at + 8;
	case 'u': be32_put(at, p->uid.v); return at + 4;
	case 'n': be32_put(at, p->chunk); return at + 4;
	case 's': be16_put(at, p->slot); return at + 2;
	case 'g': memcpy(at, p->guid.b, 16); return at + 16;
	case 'c': memcpy(at, p->client.b, 16); return at + 16;
	case '*':
		assert(p->name.bytes <= MAILBOX_NAME_MAX_BYTES);
		if (p->name.bytes > 0)
			memcpy(at, p->name.at, p->name.bytes);
		return at + p->name.bytes;
	default: assert(!"a letter that keys.h does not name"); return at;
	}
}

/* Read the field `letter` from [at, end); NULL if it is cut. */
static const uint8_t *field_get(const uint8_t *at, const uint8_t *end, char letter,
				struct key_parts *ret)
{
	static const uint8_t sizes['u' + 1] = {
		['a'] = 8, ['m'] = 8, ['q'] = 8,  ['h'] = 8, ['u'] = 4,
		['n'] = 4, ['s'] = 2, ['g'] = 16, ['c'] = 16
	};

	if (letter == '*') {
		if (end - at > MAILBOX_NAME_MAX_BYTES)
			return NULL;
		ret->name = span_of(at, (size_t)(end - at));
		return end;
	}
	if (end - at < sizes[(unsigned char)letter])
		return NULL;
	switch (letter) {
	case 'a': ret->account.v = be64_get(at); break;
	case 'm': ret->mailbox.v = be64_get(at); break;
	case 'q': ret->modseq.v = be64_get(at); break;
	case 'h': ret->hash = be64_get(at); break;
	case 'u': ret->uid.v = be32_get(at); break;
	case 'n': ret->chunk = be32_get(at); break;
	case 's': ret->slot = be16_get(at); break;
	case 'g': memcpy(ret->guid.b, at, 16); break;
	case 'c': memcpy(ret->client.b, at, 16); break;
	default: assert(!"a letter that keys.h does not name");
	}
	return at + sizes[(unsigned char)letter];
}

struct span key_put_prefix(struct key *k, const struct key_parts *parts, unsigned fields)
{
	const char *letters = layout_of(parts->table)->fields;
	uint8_t *at = k->at + HEAD_BYTES;

	be16_put(k->at, parts->p.partition.v);
	be32_put(k->at + 2, parts->p.generation);
	k->at[6] = (uint8_t)parts->table;
	for (unsigned i = 0; i < fields && letters[i] != '\0'; i++)
		at = field_put(at, letters[i], parts);
	k->bytes = (size_t)(at - k->at);
	return span_of(k->at, k->bytes);
}

struct span key_put(struct key *k, const struct key_parts *parts)
{
	return key_put_prefix(k, parts, UINT32_MAX);
}

bool key_get(struct span key, struct key_parts *ret)
{
	const uint8_t *at = (const uint8_t *)key.at;
	const uint8_t *end = at + key.bytes;

	if (key.bytes < HEAD_BYTES || at[6] < TABLE_POINTER || at[6] > TABLE_LAST)
		return false;
	ret->p.partition.v = be16_get(at);
	ret->p.generation = be32_get(at + 2);
	ret->table = (enum table)at[6];
	at += HEAD_BYTES;
	for (const char *l = layouts[ret->table].fields; *l != '\0'; l++)
		if ((at = field_get(at, end, *l, ret)) == NULL)
			return false;
	return at == end;
}

struct span key_after(struct key *k, struct span prefix)
{
	assert(prefix.bytes <= sizeof(k->at));
	memmove(k->at, prefix.at, prefix.bytes);
	k->bytes = prefix.bytes;
	while (k->bytes > 0 && k->at[k->bytes - 1] == 0xff)
		k->bytes--;
	assert(k->bytes > 0); /* the partition 0xffff does not exist */
	k->at[k->bytes - 1]++;
	return span_of(k->at, k->bytes);
}

struct span key_partition(struct key *k, struct pgen p)
{
	return key_put(k, &(struct key_parts){ .p = p, .table = TABLE_PARTITION });
}

struct span key_account(struct key *k, struct pgen p, struct span name)
{
	return key_put(k, &(struct key_parts){ .p = p, .table = TABLE_ACCOUNT, .name = name });
}

struct span key_usage(struct key *k, struct pgen p, account_id a)
{
	return key_put(k, &(struct key_parts){ .p = p, .table = TABLE_USAGE, .account = a });
}

struct span key_mailbox(struct key *k, struct pgen p, account_id a, mailbox_id m)
{
	return key_put(k, &(struct key_parts){
				  .p = p, .table = TABLE_MAILBOX, .account = a, .mailbox = m });
}

struct span key_counters(struct key *k, struct pgen p, account_id a, mailbox_id m)
{
	return key_put(k, &(struct key_parts){
				  .p = p, .table = TABLE_COUNTERS, .account = a, .mailbox = m });
}

struct span key_keyword(struct key *k, struct pgen p, mailbox_id m, uint16_t slot)
{
	return key_put(k, &(struct key_parts){
				  .p = p, .table = TABLE_KEYWORD, .mailbox = m, .slot = slot });
}

struct span key_subscription(struct key *k, struct pgen p, account_id a, struct span name)
{
	return key_put(k,
		       &(struct key_parts){
			       .p = p, .table = TABLE_SUBSCRIPTION, .account = a, .name = name });
}

struct span key_tombstone(struct key *k, struct pgen p, account_id a, struct span name)
{
	return key_put(k, &(struct key_parts){
				  .p = p, .table = TABLE_TOMBSTONE, .account = a, .name = name });
}

struct span key_threadref(struct key *k, struct pgen p, account_id a, uint64_t hash)
{
	return key_put(k, &(struct key_parts){
				  .p = p, .table = TABLE_THREADREF, .account = a, .hash = hash });
}

struct span key_dedup(struct key *k, struct pgen p, client_id c)
{
	return key_put(k, &(struct key_parts){ .p = p, .table = TABLE_DEDUP, .client = c });
}

struct span key_vanished(struct key *k, struct pgen p, mailbox_id m, modseq q)
{
	return key_put(k, &(struct key_parts){
				  .p = p, .table = TABLE_VANISHED, .mailbox = m, .modseq = q });
}

struct span key_bodyref(struct key *k, struct pgen p, guid g, mailbox_id m, msg_uid uid)
{
	return key_put(
		k, &(struct key_parts){
			   .p = p, .table = TABLE_BODYREF, .guid = g, .mailbox = m, .uid = uid });
}

struct span key_candidate(struct key *k, struct pgen p, guid g)
{
	return key_put(k, &(struct key_parts){ .p = p, .table = TABLE_CANDIDATE, .guid = g });
}

struct span key_purge(struct key *k, struct pgen p, account_id a, mailbox_id m)
{
	return key_put(
		k, &(struct key_parts){ .p = p, .table = TABLE_PURGE, .account = a, .mailbox = m });
}

struct span key_message(struct key *k, struct pgen p, mailbox_id m, msg_uid uid)
{
	return key_put(
		k, &(struct key_parts){ .p = p, .table = TABLE_MESSAGE, .mailbox = m, .uid = uid });
}

struct span key_flags(struct key *k, struct pgen p, mailbox_id m, msg_uid uid)
{
	return key_put(
		k, &(struct key_parts){ .p = p, .table = TABLE_FLAGS, .mailbox = m, .uid = uid });
}

struct span key_body(struct key *k, struct pgen p, guid g, bool shape, uint32_t n)
{
	return key_put(k, &(struct key_parts){ .p = p,
					       .table = shape ? TABLE_SHAPE : TABLE_BODY,
					       .guid = g,
					       .chunk = n });
}

static struct span log_key(struct key *k, partition_id p, enum log_table t)
{
	be16_put(k->at, p.v);
	k->at[2] = (uint8_t)t;
	k->bytes = LOG_HEAD_BYTES;
	return span_of(k->at, k->bytes);
}

struct span log_key_version(struct key *k, partition_id p)
{
	return log_key(k, p, LOG_TABLE_VERSION);
}

struct span log_key_base(struct key *k, partition_id p)
{
	return log_key(k, p, LOG_TABLE_BASE);
}

struct span log_key_entry(struct key *k, partition_id p, log_seq seq)
{
	log_key(k, p, LOG_TABLE_ENTRY);
	be64_put(k->at + LOG_HEAD_BYTES, seq.v);
	k->bytes = LOG_HEAD_BYTES + 8;
	return span_of(k->at, k->bytes);
}

bool log_key_entry_get(struct span key, partition_id *p, log_seq *seq)
{
	const uint8_t *at = (const uint8_t *)key.at;

	if (key.bytes != LOG_HEAD_BYTES + 8 || at[2] != LOG_TABLE_ENTRY)
		return false;
	p->v = be16_get(at);
	seq->v = be64_get(at + LOG_HEAD_BYTES);
	return true;
}
