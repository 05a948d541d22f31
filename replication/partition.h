/* partition.h: one partition at its owner: the single writer (DESIGN.md, sections 3 and 4).
 *
 * In the flow: ops and reads come in (router.c), wait, are evaluated as one batch while no other
 * evaluated batch is in flight, become one log entry, go to the log writer, and are applied and
 * answered when the entry is committed. Reads are answered from pins, short ones here, long ones
 * by reader threads.
 *
 * Thread: the loop that owns it, if nothing else is said.
 *
 * Invariants:
 *   W1  at most one evaluated batch is in flight; chunks may be in flight beside it.
 *   W2  `work` states exist only while a batch is evaluated or in flight.
 *   W3  pending holds every applied entry above min(flushed, what loaders hold), in order.
 *   W4  a result leaves after the batch in which it was made is committed. */
#ifndef REPLICATION_PARTITION_H
#define REPLICATION_PARTITION_H

#include "replication/account.h"
#include "replication/dedup.h"
#include "replication/job.h"
#include "replication/replica.h"
#include "storage/base/err.h"
#include "storage/entry.h"
#include "storage/flusher.h"
#include "storage/log.h"

#include <glib.h>

struct batch;
struct owner;
struct janitor;
struct load;

/* Values of the partition row that ops change. */
struct partition_values {
	uint32_t last_uidvalidity;
	uint64_t next_mailbox;
	uint64_t next_account;
};

struct partition {
	/* Fixed at open. */
	partition_id id;
	struct owner *owner;

	struct replica replica;
	struct partition_values values; /* committed */
	struct partition_values work;   /* of the batch in evaluation or in flight */
	struct dedup *dedup;
	GHashTable *accounts; /* name -> struct account *; owns them */
	GHashTable *accounts_by_id;

	/* Ops and reads that wait for evaluation, for recovery, or for a load. */
	struct op_job *ops_first, *ops_last;
	size_t ops_waiting;
	struct op_job *chunks_first, *chunks_last; /* PutChunks: they wait for no evaluation */
	struct op_job *parked_ops;
	struct read_job *reads_first, *reads_last;
	struct read_job *parked_reads;
	size_t reads_waiting;

	/* Batches in flight, in the order of their seqs. */
	struct batch *flight_first, *flight_last;
	bool evaluated_in_flight;

	/* Applied entries that are not surely in state/ (W3): struct log_entry *. */
	GQueue pending;
	size_t pending_bytes;
	struct flush_partition flush;
	struct load *loads; /* readers at work for us; each holds pending from its start */

	/* At start: entries above C, not yet known to be committed (S5). */
	GPtrArray *replay;
	bool begin;
	struct log_pos begin_at;
	guint replayed;
	struct log_write adopt_write;

	struct watches *watches;
	struct upload_table *uploads;
	struct janitor *janitor;
	uint64_t dedup_lookup_until_ms; /* rule S11 */
	struct partition *next_ready;   /* in the owner's list */
	bool ready;
	bool stopped; /* its log or state is damaged: answers UNAVAILABLE */
};

/* What the disk holds of it at start: `entries` (owned from here) are those above C, in order. */
struct partition_start {
	struct replica_disk disk;
	struct partition_values values;
	struct pgen pgen;
	bool begin; /* the log ends below C and begins anew there (S8) */
	struct log_pos applied;
	GPtrArray *entries; /* struct log_entry *, owning */
};

struct partition *partition_new(struct owner *o, partition_id id);
void partition_free(struct partition **p);
/* Ask the coordinator, adopt, recover. */
void partition_start(struct partition *p, struct partition_start *s);

/* Take an op or a read in. Never answers from within the call. ERR_BUSY: the queue is full, and
 * nothing was taken. */
int partition_offer_op(struct partition *p, struct op_job *j);
int partition_offer_read(struct partition *p, struct read_job *j);

/* One turn of it: evaluate what waits, answer reads. Called by the owner in LOOP_EVALUATE. */
void partition_turn(struct partition *p);

/* The coordinator's answer. */
void partition_on_config(struct partition *p, const struct configuration *c, bool swapped);
/* The log writer is done with a batch, or with an adopted version. */
void partition_on_logged(struct partition *p, struct batch *b, int rc);
/* The flusher has more in state/, or it failed. */
void partition_on_flushed(struct partition *p);
/* A reader has loaded something: what waited looks again. */
void partition_on_loaded(struct partition *p);
/* Look after what is old: parked jobs, dedup, accounts and pages over the budget. Each second. */
void partition_tick(struct partition *p, uint64_t now_ms);

/* The account, made (not loaded) if it is not in memory. */
struct account *partition_account(struct partition *p, const char *name);
/* NULL if it is not in memory. */
struct account *partition_find_account(struct partition *p, const char *name);
struct account *partition_account_by_id(struct partition *p, account_id id);
/* Its id is known from now on; is not any more. */
void partition_index_account(struct partition *p, struct account *a);
void partition_unindex_account(struct partition *p, struct account *a);

/* Its state contradicts its log, or cannot be read: it says so and serves nothing any more. */
void partition_stop(struct partition *p, const char *what, int rc);
bool partition_recovered(const struct partition *p);

#endif
