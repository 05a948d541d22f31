/* young.h: what is applied but not yet in state/ can be read (rule S3): (mailbox, uid) -> message
 * row, (guid, chunk) -> bytes of the pending entry.
 *
 * Apply adds an entry before anybody is told of it; the flusher drops it after its batch is
 * written. So who looks here first and then into the newest state/ misses nothing. Only what never
 * changes is here: flags and counters come from pins.
 *
 * Thread: any; a short mutex, no I/O under it. */
#ifndef STORAGE_YOUNG_H
#define STORAGE_YOUNG_H

#include "storage/base/buf.h"
#include "storage/base/ids.h"
#include "storage/entry.h"
#include "storage/rows.h"

struct young; /* opaque */

struct young *young_new(void);
void young_free(struct young **y); /* accepts NULL, leaves NULL */

/* Everything readable of an entry; takes references of its own. `decoded` is its
 * log_entry_decode(). ERR_CORRUPT: bytes that contradict each other; nothing was added. Seqs of a
 * partition rise. Thread: the partition's loop. */
int young_add(struct young *y, struct log_entry *e, const Tm__LogEntry *decoded);
/* Forget the entries of a partition up to `seq`. Thread: the flusher. */
void young_drop(struct young *y, partition_id p, log_seq seq);
/* Forget all of a partition (it is stopped, or will be installed anew). */
void young_clear(struct young *y, partition_id p);

/* A message that is not here but whose source may be: a pending copy. */
struct young_message {
	struct message_info info; /* if copy_of.v == 0 */
	mailbox_id source;        /* else: info is that of (source, copy_of), but for savedate */
	msg_uid copy_of;
	int64_t savedate;
};
/* False if it is not young. */
bool young_message(struct young *y, partition_id p, mailbox_id m, msg_uid uid,
		   struct young_message *ret);
/* Append bytes [offset, offset + length) of a chunk (cut at its end). False if it is not young. */
bool young_chunk(struct young *y, partition_id p, guid g, bool shape, uint32_t n, uint64_t offset,
		 size_t length, struct buf *out);

size_t young_bytes(const struct young *y); /* about, for /metrics */

#endif
