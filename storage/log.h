/* log.h: the replicated logs of all partitions of this node, made durable by one thread.
 *
 * In the flow: evaluate -> log_entry -> [log] -> committed -> apply. Loops submit writes; the log
 * writer takes everything that came meanwhile, writes ONE batch with sync, then the marks
 * (marks.h), then posts every write back to its home, one list per loop. It never looks into an
 * entry.
 *
 * Invariants:
 *   L1  the stored seqs of a partition are contiguous: base.seq + 1 .. last.seq (asserted on
 *       writing, ERR_CORRUPT on reading).
 *   L2  an adopted version, a cut and the entries of one write become durable together.
 *   L3  a write is posted back exactly once, in the order of submission of its home.
 *
 * A full disk fails nothing: the writer keeps the batch and tries the same bytes again every
 * LOG_RETRY_MILLISECONDS; meanwhile log_is_full(). Any other error is final: this and all later
 * writes come back with ERR_IO, and the node must stop. */
#ifndef STORAGE_LOG_H
#define STORAGE_LOG_H

#include "storage/base/ids.h"
#include "storage/base/inbox.h"
#include "storage/entry.h"
#include "storage/kv.h"

#include <stdbool.h>
#include <stdint.h>

struct log;
struct marks;

/* A place in a log. {0, 0} is before the first entry. */
struct log_pos {
	log_seq seq;
	uint64_t version; /* of the entry with that seq */
};

/* Is `a` at least as far as `b`: a higher version, or the same and not a lower seq? */
static inline bool log_pos_reaches(struct log_pos a, struct log_pos b)
{
	return a.version > b.version || (a.version == b.version && a.seq.v >= b.seq.v);
}

/* One request; owned by the log from log_submit() until `done`. What is asked for takes effect in
 * this order: adopt, begin, cut, entries, truncate. */
struct log_write {
	struct message message; /* the log's */
	partition_id partition;

	/* Who wants to know: `done` runs where `home` is consumed, with its receiver; home NULL: on
	 * the log writer's thread, with NULL. */
	struct inbox *home;
	void (*done)(struct log_write *w, void *receiver);

	uint64_t adopt_version; /* 0: none */
	bool begin;             /* drop all entries; the log begins anew behind `base` (S8) */
	struct log_pos base;
	bool cut; /* drop the entries above cut_to (R2); it must be in the log */
	struct log_pos cut_to;
	struct log_entry **entries; /* append; the caller holds array and references until done */
	size_t count;
	bool truncate; /* drop the entries up to truncate_to, which is durable in state/ */
	struct log_pos truncate_to;

	/* The answer: OK, ERR_IO, ERR_CLOSED (shut down before it was written). */
	int result;
};

/* What a partition's log holds. */
struct log_bounds {
	struct log_pos base; /* the entry before the first */
	struct log_pos last; /* == base if there is none */
	uint64_t adopted;    /* highest adopted version; 0: none */
};

/* `kv` and `marks` are the caller's and outlive the log. Reads the bounds of `partitions`
 * partitions. On 0 *ret owns it: log_close(). */
int log_open(struct kv *kv, struct marks *marks, unsigned partitions, struct log **ret);
/* Ends the thread after everything that was submitted; with a full disk the rest comes back with
 * ERR_CLOSED. Accepts NULL, leaves NULL. */
void log_close(struct log **l);
/* Start the thread. 0 or ERR_IO. */
int log_start(struct log *l);

/* Thread: any, before log_start() or for a partition that has no write under way. */
void log_bounds(const struct log *l, partition_id p, struct log_bounds *ret);

/* Every entry from `from` on (0: from the first that is there), ascending, as stored; the callback
 * takes over the reference if it wants it (and sets *e to NULL). A positive answer ends the
 * reading, a negative one too and is returned. ERR_NOT_FOUND: `from` was truncated, nothing was
 * called. ERR_CORRUPT: a gap, or a row that is none. Thread: any. */
int log_read(struct log *l, partition_id p, log_seq from,
	     int (*fn)(void *data, struct log_entry **e), void *data);

/* Prepare w for the writer's inbox; then loop_send_forced(loop, log_inbox(l), &w->message) gathers
 * it with the others of the turn. */
void log_write_prepare(struct log *l, struct log_write *w);
struct inbox *log_inbox(struct log *l);
/* Both at once, from any thread. */
void log_submit(struct log *l, struct log_write *w);

/* The disk is full: nothing more is made durable for now. Owners refuse new ops. Thread: any. */
bool log_is_full(const struct log *l);
/* The disk failed; the node must stop. OK or ERR_IO. Thread: any. */
int log_failed(const struct log *l);

/* For /metrics. Thread: any. Buckets of fsync latency: below 2^i * 16 us; the last: the rest. */
enum { LOG_LATENCY_BUCKETS = 20 };
struct log_figures {
	uint64_t batches;
	uint64_t writes;
	uint64_t entries;
	uint64_t bytes;
	uint64_t sync_ns;
	uint64_t sync_buckets[LOG_LATENCY_BUCKETS];
	uint64_t full_retries;
};
void log_figures(const struct log *l, struct log_figures *ret);

/* ---- without the thread (tests, tests/sim): one turn of the writer ---- */

/* Write everything that is in the inbox as one batch and post it back: OK, or the error of the
 * disk (with ERR_NO_SPACE nothing came back; call again). */
int log_step(struct log *l);
/* Sync the marks (the thread does it once a second). */
int log_sync_marks(struct log *l);

#endif
