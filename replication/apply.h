/* apply.h: change records become state in memory (DESIGN.md, section 3). Apply is a pure function
 * of record and state: no clock, no random source, no configuration. A record that contradicts the
 * state is ERR_CORRUPT, never an assert. The flusher (storage/flusher.h) makes rows of the same
 * records.
 *
 * Three ways in, all over the same few functions:
 *   leader   apply_to_work() when a record was made, apply_committed() when its batch is committed
 *   loading  apply_loaded_account(), apply_loaded_mailbox() for what was applied meanwhile (S4)
 *   restart  apply_committed() with nothing loaded
 *
 * Thread: the partition's loop. */
#ifndef REPLICATION_APPLY_H
#define REPLICATION_APPLY_H

#include "proto/record.pb-c.h"
#include "replication/evaluate.h"
#include "replication/partition.h"

/* The record was just made: the next op of the batch has to see it in the work states. */
int apply_to_work(struct evaluation *e, const Tm__Record *r);
/* The record is committed: names, accounts, partition values; rings and vanished logs; and, where
 * there is no work state that already has it (a follower), pages. */
int apply_committed(struct partition *p, const Tm__Record *r);

/* Bring what a reader has loaded (as of the applied seq it saw) up to date with one record. */
int apply_loaded_account(struct account *a, const Tm__Record *r);
int apply_loaded_mailbox(struct mailbox *m, const Tm__Record *r);

#endif
