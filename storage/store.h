/* store.h: what readers ask of state/.
 *
 * Two kinds of questions. What can change (accounts, mailboxes, flags, dedup, ...) is read through
 * a snapshot, which is the pure state after applied entry C (rule S1), and the caller brings it up
 * to date with the entries after C (S4). What never changes (message rows, bodies, shapes) is
 * looked up in young first and in the newest state/ afterwards (S3), never through an older
 * snapshot; "not there" means expunged, or collected.
 *
 * Errors: ERR_NOT_FOUND, ERR_CORRUPT (a damaged block, a row that cannot be decoded), ERR_IO.
 * Thread: any that may block: these read the disk. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/ids.h"
#include "storage/base/uidset.h"
#include "storage/keys.h"
#include "storage/kv.h"
#include "storage/log.h"
#include "storage/rows.h"
#include "storage/young.h"

struct store;

/* Over a state/ and (may be NULL) the table of what is young, both the caller's. Reads which
 * generation of each of `partitions` partitions is valid. On 0 *ret owns it: store_close(). */
int store_open(struct kv *state, struct young *young, unsigned partitions, struct store **ret);
void store_close(struct store **s); /* accepts NULL, leaves NULL */
/* The rows of this partition (rule S9). */
struct pgen store_pgen(const struct store *s, partition_id p);

/* ---- through a snapshot ---- */

struct store_snapshot;
int store_snapshot_open(struct store *s, struct store_snapshot **ret);
void store_snapshot_close(struct store_snapshot **s); /* accepts NULL, leaves NULL */

/* The partition row; all zeros (next ids 1) if nothing was ever applied. */
int store_partition(struct store_snapshot *s, partition_id p, Tm__PartitionRow *ret);
/* C and its version. */
int store_applied(struct store_snapshot *s, partition_id p, struct log_pos *ret);

struct stored_mailbox {
	Tm__MailboxRow *row;
	Tm__CountersRow *counters;
};
struct stored_tombstone {
	struct span name; /* of a mailbox that is gone; with a NUL behind it */
	uint32_t uidvalidity;
};
struct stored_account {
	Tm__AccountRow *row;
	Tm__UsageRow *usage;
	struct stored_mailbox *mailboxes; /* by id */
	size_t mailbox_count;
	struct span *subscriptions; /* names, each with a NUL behind it; by byte order */
	size_t subscription_count;
	struct stored_tombstone *tombstones; /* by name, byte order */
	size_t tombstone_count;
};
/* Everything of an account but its messages and keywords, in arena memory. ERR_NOT_FOUND. */
int store_account(struct store_snapshot *s, partition_id p, struct span name, struct arena *a,
		  struct stored_account *ret);
/* All accounts of a partition, by name; the row lives in `a`, which is reset before each call. */
int store_accounts(struct store_snapshot *s, partition_id p, struct arena *a,
		   int (*fn)(void *data, const Tm__AccountRow *row), void *data);
/* ERR_NOT_FOUND: no mailbox of that name ever went. */
int store_tombstone(struct store_snapshot *s, partition_id p, account_id a, struct span name,
		    uint32_t *uidvalidity);
int store_threadref(struct store_snapshot *s, partition_id p, account_id a, uint64_t hash,
		    uint64_t *thread);
/* The result's fields live in `a`. */
int store_dedup(struct store_snapshot *s, partition_id p, client_id c, struct arena *a,
		Tm__DedupRow *ret);
/* All of them, for a start; each row lives in `a`, which is reset before each call. */
int store_dedups(struct store_snapshot *s, partition_id p, struct arena *a,
		 int (*fn)(void *data, client_id c, const Tm__DedupRow *row), void *data);

/* Names of a mailbox's keyword slots, ascending. */
int store_keywords(struct store_snapshot *s, partition_id p, mailbox_id m,
		   int (*fn)(void *data, uint16_t slot, struct span name), void *data);
/* Every message of a mailbox, ascending by uid: a million in less than half a second. The row is
 * valid during the call. A negative answer ends it and is returned. */
int store_flags(struct store_snapshot *s, partition_id p, mailbox_id m,
		int (*fn)(void *data, const struct flags_row *row), void *data);
/* Vanished rows with a modseq above `since`, ascending; the uids are encoded (uidset.h). */
int store_vanished(struct store_snapshot *s, partition_id p, mailbox_id m, modseq since,
		   int (*fn)(void *data, modseq q, struct span uids), void *data);

/* Bodies without a message since before `before` (unix seconds), at most `max`. */
int store_candidates(struct store_snapshot *s, partition_id p, int64_t before, size_t max,
		     int (*fn)(void *data, guid g, const struct candidate_row *row), void *data);
/* Is there a message that refers to the body? OK or ERR_NOT_FOUND. */
int store_body_used(struct store_snapshot *s, partition_id p, guid g);
/* Deleted mailboxes that still have rows. */
int store_purges(struct store_snapshot *s, partition_id p,
		 int (*fn)(void *data, account_id a, mailbox_id m), void *data);
/* The uid of the n-th message (from 1) of a mailbox, for purging in slices; ERR_NOT_FOUND: it has
 * fewer. */
int store_nth_uid(struct store_snapshot *s, partition_id p, mailbox_id m, size_t n, msg_uid *ret);

/* ---- newest: what never changes ---- */

int store_message(struct store *s, partition_id p, mailbox_id m, msg_uid uid,
		  struct message_info *ret);
/* Many at once, `uids` ascending; fn is called ascending for those that are there. */
int store_messages(struct store *s, partition_id p, mailbox_id m, const msg_uid *uids, size_t count,
		   int (*fn)(void *data, msg_uid uid, const struct message_info *info), void *data);
/* Append bytes [offset, offset + length) of a body to `out`; all of them, or ERR_NOT_FOUND if a
 * chunk is not there. The caller keeps within the message's size. */
int store_body(struct store *s, partition_id p, guid g, uint64_t offset, size_t length,
	       struct buf *out);
/* Append a whole shape. */
int store_shape(struct store *s, partition_id p, const struct message_info *m, struct buf *out);
/* Which chunks 0 .. count - 1 are there: present[i] is set. Rebuilds an upload after a takeover. */
int store_chunks(struct store *s, partition_id p, guid g, bool shape, uint32_t count,
		 bool *present);

#endif
