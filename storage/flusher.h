/* flusher.h: turns applied entries into rows of state/, behind: the only writer of state/ (rules S1
 * and S2), and the one that has the log truncated (S6, S7).
 *
 * In the flow: apply -> [pending -> cut -> one batch] -> flushed. Every FLUSH_MILLISECONDS, or when
 * FLUSH_BYTES wait, it takes the pending entries (C, C'] of each partition, makes rows of them over
 * an overlay (cut.h), and writes them all with the partition row (C') as one batch. Then it drops
 * them from young and says so. The log is the truth until state/ is on the disk: entries are
 * truncated up to the applied seq that is *persisted*, never merely written.
 *
 * A full disk: pending stays, the cut is tried again. A record that cannot be decoded or
 * contradicts what is stored: ERR_CORRUPT for this partition, which gets no further cut. Any other
 * error is final for all. */
#ifndef STORAGE_FLUSHER_H
#define STORAGE_FLUSHER_H

#include "storage/base/inbox.h"
#include "storage/entry.h"
#include "storage/keys.h"
#include "storage/kv.h"
#include "storage/log.h"
#include "storage/young.h"

#include <stdatomic.h>

struct flusher;

/* One partition's place at the flusher; embedded in the owner's partition. {0} and then the first
 * group before flusher_register(). */
struct flush_partition {
	/* Fixed by the owner. */
	struct pgen p;
	struct inbox *home; /* NULL: nobody wants to know (tests) */
	/* On the owner's loop, after something changed below. One call may stand for several. */
	void (*flushed)(struct flush_partition *f, void *receiver);

	/* The flusher writes, anyone reads. */
	_Atomic uint64_t flushed_seq;   /* in state/: entries up to here may be forgotten */
	_Atomic uint64_t persisted_seq; /* on the disk in state/ */
	_Atomic int error;              /* OK, ERR_CORRUPT, ERR_IO */
	_Atomic uint64_t pending_bytes; /* added and not yet in state/ */

	/* The flusher's. */
	struct message message;
	_Atomic bool posted;
	struct flush_state *state;
};

struct flusher_options {
	struct kv *state;
	struct young *young; /* may be NULL */
	struct log *log;     /* NULL: nothing is truncated */
	uint32_t flush_ms;   /* 0: FLUSH_MILLISECONDS */
};

/* On 0 *ret owns it: flusher_close(). */
int flusher_open(const struct flusher_options *o, struct flusher **ret);
int flusher_start(struct flusher *fl); /* the thread; 0 or ERR_IO */
/* Write what is pending, bring state/ to the disk, end the thread (without it: nothing). Partitions
 * are quiet. OK, or why not everything was written; the log still has it. */
int flusher_stop(struct flusher *fl);
/* After flusher_stop() and log_close(). Accepts NULL, leaves NULL. */
void flusher_close(struct flusher **fl);

/* From now on entries above flushed_seq may be added; reads the partition row for it (ERR_CORRUPT,
 * ERR_IO). Thread: any. */
int flusher_register(struct flusher *fl, struct flush_partition *f);
/* Waits until no cut of it is under way; drops what is pending. `f` may be freed after that, when
 * no message of it is under way any more (the loop runs on its way down). Thread: any. */
void flusher_unregister(struct flusher *fl, struct flush_partition *f);

/* Applied entries, the next seqs of the partition; takes references of its own. The owner looks at
 * flusher_pending_bytes() before (S13). Thread: the partition's loop. */
void flusher_add(struct flusher *fl, struct flush_partition *f, struct log_entry *const *entries,
		 size_t count);
size_t flusher_pending_bytes(const struct flusher *fl); /* of all partitions; thread: any */

/* Make cuts of everything that was added before this call; wait for it. With `persist` also bring
 * it to the disk and ask for the truncation of the logs. OK, ERR_NO_SPACE, ERR_IO; a partition's
 * own error is at the partition. Thread: any but a loop that may not block. */
int flusher_flush_now(struct flusher *fl, bool persist);

/* For /metrics. Thread: any. */
struct flusher_figures {
	uint64_t cuts;
	uint64_t entries;
	uint64_t rows;
	uint64_t bytes;
	uint64_t forced_flushes;
	uint64_t truncations;
	uint64_t unflushed_bytes; /* of log entries that are not persisted in state/ */
	uint64_t cut_ns;
	uint64_t full_retries;
};
void flusher_figures(const struct flusher *fl, struct flusher_figures *ret);

/* ---- without the thread (tests, tests/sim) ---- */

/* Make the cuts that are due at `now_ms` (boot time), a forced flush if a bound is exceeded, and
 * ask for the truncations that are due. OK, or the first error of a disk. `force` makes all of it
 * due, but for the flush to the disk, for which `persist` does. */
int flusher_step(struct flusher *fl, uint64_t now_ms, bool force, bool persist);

#endif
