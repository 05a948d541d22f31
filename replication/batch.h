/* batch.h: ops that were evaluated together and become one log entry (group commit).
 *
 * Life: batch_take() -> evaluate ops into it -> batch_seal() -> log -> committed -> published and
 * answered -> batch_give_back(). A loop keeps a few and their memory.
 * Thread: the partition's loop; while it is at the log writer, `write` is that thread's. */
#ifndef REPLICATION_BATCH_H
#define REPLICATION_BATCH_H

#include "proto/record.pb-c.h"
#include "replication/flag_groups.h"
#include "replication/job.h"
#include "replication/partition.h"
#include "storage/base/arena.h"
#include "storage/base/limits.h"
#include "storage/log.h"

struct account;
struct mailbox;
struct partition;

struct batch_op {
	struct op_job *job;
	Tm__OpResult result; /* memory of the batch's arena */
};

struct batch {
	struct log_write write; /* first: on its way to the log writer and back */
	struct partition *partition;
	struct batch *next;        /* in flight, or in the pool */
	struct batch *logged_next; /* came back from the log writer */

	struct arena arena; /* records, results */
	Tm__LogEntry entry;
	Tm__Change *changes[BATCH_OPS_MAX];
	size_t packed_bytes; /* of the changes so far, without the entry's own few bytes */
	bool evaluated;      /* not only chunks: W1 */

	struct batch_op ops[BATCH_OPS_MAX];
	unsigned op_count;

	struct mailbox *touched;          /* have a `work` state of this batch */
	struct account *touched_accounts; /* have a `work_usage`, or names in flight */
	struct log_entry *sealed;
};

struct batch_pool {
	struct batch *first;
	unsigned count;
};

struct batch *batch_take(struct batch_pool *pool, struct partition *p);
void batch_give_back(struct batch_pool *pool, struct batch *b);
void batch_pool_free(struct batch_pool *pool);

bool batch_is_full(const struct batch *b);
/* Bytes of records that still fit. */
size_t batch_room(const struct batch *b);
/* Add what one op turned out to do. `c` lives in the batch's arena. */
void batch_add_change(struct batch *b, Tm__Change *c);
/* Encode it: b->sealed becomes the entry, which the batch holds. */
void batch_seal(struct batch *b, log_seq seq, uint64_t version, int64_t now);

#endif
