/* load.h: bringing rows into memory: a small recovery each (rule S4). Hold pending from now; on a
 * reader thread take a snapshot, read C from its partition row, load; back on the loop replay the
 * pending entries above C, publish, and let what was parked look again.
 *
 * Thread: the partition's loop. The load itself runs on a reader thread and touches nothing but
 * what it carries. */
#ifndef REPLICATION_LOAD_H
#define REPLICATION_LOAD_H

#include "replication/account.h"
#include "replication/partition.h"

/* Start loading, if that is not under way. */
void load_account(struct partition *p, struct account *a);
void load_mailbox(struct partition *p, struct mailbox *m);
void load_dedup(struct partition *p, client_id c);

/* The seq up to which no running load needs pending, at most `flushed`. */
uint64_t load_lowest_hold(const struct partition *p, uint64_t flushed);

#endif
