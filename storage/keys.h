/* keys.h: every key of `state/` and `log/` (DESIGN.md, section 5). Format 1, big-endian, so that
 * RocksDB's byte order is the order of the numbers.
 *
 * state/: partition (2) | generation (4) | table (1) | fields of the table
 * log/:   partition (2) | table (1) | fields
 *
 * Generation 0 belongs to no rows; under it stands the partition's pointer (rule S9).
 * Pure; any thread. */
#ifndef STORAGE_KEYS_H
#define STORAGE_KEYS_H

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/base/limits.h"
#include "storage/kv.h"

enum { KEYS_FORMAT = 1 };

/* Numbers are for ever. The fields of each, in this order, stand in keys.c and here:
 * a account 8, m mailbox 8, u uid 4, q modseq 8, g guid 16, n chunk 4, c client 16, h hash 8,
 * s keyword slot 2, * a name up to the end of the key. */
enum table {
	TABLE_POINTER = 1, /* -                 small: PointerRow's generation (4); generation 0 */
	TABLE_PARTITION = 2,    /* -                 small: PartitionRow */
	TABLE_ACCOUNT = 3,      /* *                 small: AccountRow */
	TABLE_USAGE = 4,        /* a                 small: UsageRow */
	TABLE_MAILBOX = 5,      /* a m               small: MailboxRow */
	TABLE_COUNTERS = 6,     /* a m               small: CountersRow */
	TABLE_KEYWORD = 7,      /* m s               small: the name */
	TABLE_SUBSCRIPTION = 8, /* a *               small: empty */
	TABLE_TOMBSTONE = 9,    /* a *               small: TombstoneRow */
	TABLE_THREADREF = 10,   /* a h               small: thread (8) */
	TABLE_DEDUP = 11,       /* c                 small: DedupRow */
	TABLE_VANISHED = 12,    /* m q               small: encoded uid set */
	TABLE_BODYREF = 13,     /* g m u             small: empty */
	TABLE_CANDIDATE = 14,   /* g                 small: struct candidate_row */
	TABLE_PURGE = 15,   /* a m               small: empty; a deleted mailbox with rows left */
	TABLE_MESSAGE = 16, /* m u               message: MessageRow */
	TABLE_FLAGS = 17,   /* m u               flags: struct flags_row */
	TABLE_BODY = 18,    /* g n               body: up to MESSAGE_CHUNK_BYTES */
	TABLE_SHAPE = 19,   /* g n               body: as above */
	TABLE_LAST = TABLE_SHAPE,
};

/* One replica's rows on this node. */
struct pgen {
	partition_id partition;
	uint32_t generation;
};

/* A key taken apart. Fields that the table does not have are left alone. */
struct key_parts {
	struct pgen p;
	enum table table;
	account_id account;
	mailbox_id mailbox;
	msg_uid uid;
	modseq modseq;
	guid guid;
	client_id client;
	uint64_t hash;
	uint32_t chunk;
	uint16_t slot;
	struct span name;
};

enum { KEY_MAX_BYTES = 2 + 4 + 1 + 8 + MAILBOX_NAME_MAX_BYTES };

/* Memory for one key; only the first bytes of it are ever written. */
struct key {
	size_t bytes;
	uint8_t at[KEY_MAX_BYTES];
};

/* The family that holds a table. */
enum kv_family table_family(enum table t);
/* "flags", for messages to people. */
const char *table_name(enum table t);

/* Write the key of `parts`; the result points into *k. */
struct span key_put(struct key *k, const struct key_parts *parts);
/* Only the first `fields` fields: what all keys with them begin with (0: the whole table). */
struct span key_put_prefix(struct key *k, const struct key_parts *parts, unsigned fields);
/* False if it is no key of this format. ret->name points into `key`. */
bool key_get(struct span key, struct key_parts *ret);
/* The lowest key above all keys that begin with `prefix` (which may be in *k itself). */
struct span key_after(struct key *k, struct span prefix);

/* Shorthands for the keys that are used most. */
struct span key_partition(struct key *k, struct pgen p);
struct span key_account(struct key *k, struct pgen p, struct span name);
struct span key_usage(struct key *k, struct pgen p, account_id a);
struct span key_mailbox(struct key *k, struct pgen p, account_id a, mailbox_id m);
struct span key_counters(struct key *k, struct pgen p, account_id a, mailbox_id m);
struct span key_keyword(struct key *k, struct pgen p, mailbox_id m, uint16_t slot);
struct span key_subscription(struct key *k, struct pgen p, account_id a, struct span name);
struct span key_tombstone(struct key *k, struct pgen p, account_id a, struct span name);
struct span key_threadref(struct key *k, struct pgen p, account_id a, uint64_t hash);
struct span key_dedup(struct key *k, struct pgen p, client_id c);
struct span key_vanished(struct key *k, struct pgen p, mailbox_id m, modseq q);
struct span key_bodyref(struct key *k, struct pgen p, guid g, mailbox_id m, msg_uid uid);
struct span key_candidate(struct key *k, struct pgen p, guid g);
struct span key_purge(struct key *k, struct pgen p, account_id a, mailbox_id m);
struct span key_message(struct key *k, struct pgen p, mailbox_id m, msg_uid uid);
struct span key_flags(struct key *k, struct pgen p, mailbox_id m, msg_uid uid);
struct span key_body(struct key *k, struct pgen p, guid g, bool shape, uint32_t n);

/* ---- log/ ---- */

enum log_table {
	LOG_TABLE_VERSION = 1, /* -   adopted version (8) */
	LOG_TABLE_BASE = 2,    /* -   seq (8), version (8) of the entry before the first */
	LOG_TABLE_ENTRY = 3,   /* seq 8   version (8), the entry's bytes */
};

struct span log_key_version(struct key *k, partition_id p);
struct span log_key_base(struct key *k, partition_id p);
struct span log_key_entry(struct key *k, partition_id p, log_seq seq);
/* False if it is no key of an entry. */
bool log_key_entry_get(struct span key, partition_id *p, log_seq *seq);

#endif
