/* census.h: everything that state/ holds of one partition, as sorted arrays of plain values, for
 * check.c. Rows that cannot be decoded, or belong to no table or generation, are reported while
 * reading. One owner, no locks. */
#ifndef STORAGE_CENSUS_H
#define STORAGE_CENSUS_H

#include "storage/base/arena.h"
#include "storage/keys.h"
#include "storage/kv.h"
#include "storage/rows.h"

#include <stdarg.h>

struct census_account {
	account_id id;
	struct span name;
};
struct census_usage {
	account_id account;
	uint64_t bytes;
	uint64_t messages;
};
struct census_mailbox {
	account_id account;
	mailbox_id id;
	struct span name;
	uint32_t uidvalidity;
};
struct census_counters {
	account_id account;
	mailbox_id mailbox;
	const Tm__CountersRow *row;
};
struct census_purge {
	account_id account;
	mailbox_id mailbox;
};
struct census_keyword {
	mailbox_id mailbox;
	uint16_t slot;
};
struct census_vanished {
	mailbox_id mailbox;
	modseq modseq;
	struct span uids;
};
struct census_bodyref {
	guid guid;
	mailbox_id mailbox;
	msg_uid uid;
};
struct census_candidate {
	guid guid;
	struct candidate_row row;
};
struct census_message {
	mailbox_id mailbox;
	msg_uid uid;
	struct message_info info;
};
struct census_flags {
	mailbox_id mailbox;
	msg_uid uid;
	uint64_t modseq;
	uint32_t size;
	uint32_t system;
};
struct census_slot { /* a keyword slot that some message of the mailbox carries */
	mailbox_id mailbox;
	uint16_t slot;
};
struct census_body { /* all chunks of one body or shape */
	guid guid;
	uint32_t chunks;
	bool gap;         /* their numbers are not 0, 1, 2, ... */
	bool short_chunk; /* one before the last is not full */
	uint64_t bytes;
};
struct census_owned { /* something of an account: subscription, tombstone, threadref */
	account_id account;
	enum table table;
};

/* In the order of their keys. `at` is an array of the struct above. */
struct census_list {
	void *at;
	size_t count, capacity;
};

struct census {
	struct pgen p;
	Tm__PartitionRow partition;
	bool has_partition;
	struct arena arena;
	struct census_list accounts, usages, mailboxes, counters, purges, keywords, vanished,
		bodyrefs, candidates, messages, flags, slots, bodies, shapes, owned;
	struct flags_row row; /* while reading */

	void (*finding)(void *data, const char *text);
	void *data;
	uint64_t findings;
};

/* Reads everything of the partition. OK even if there were findings; an error only if it cannot be
 * read. On 0 the caller census_free()s it. */
int census_read(struct kv *state, struct pgen p, void (*finding)(void *data, const char *text),
		void *data, struct census *c);
void census_free(struct census *c);

/* Report something: "partition N: ..." */
void census_say(struct census *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
