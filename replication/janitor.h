/* janitor.h: what goes in the background, by records of the leader's own (IMAP.md, section 9):
 * bodies that no message refers to any more (BodiesCollected, rule S12), the rows of deleted
 * mailboxes (MailboxPurged), results that nobody will ask for again (DedupExpired, rule S11).
 *
 * Life of a round: a tick asks for it -> a loader looks through a snapshot of state/ for what may
 * go -> back on the loop that waits until nothing evaluated is in flight -> it is evaluated against
 * what is newer than the snapshot -> one change without an op -> log, apply, cut. The next round
 * begins when the rows of this one are gone, at once if there was more than fits, else after the
 * interval.
 *
 * Why nothing goes that is in use:
 *   J1  a body whose chunks an upload may still count on (upload_table.h) is left out; once its
 *       record is committed the table does not know it, so a later Append says CHUNKS_MISSING.
 *   J2  a client that has done something since the snapshot is left out.
 *   J3  a deleted mailbox takes no ops, and its id is never used again.
 *   J4  cut.c looks again, on every replica alike: only what is a candidate still when the record
 *       is applied, only a result with the number that the record names.
 *
 * Thread: the partition's loop. */
#ifndef REPLICATION_JANITOR_H
#define REPLICATION_JANITOR_H

#include "proto/record.pb-c.h"
#include "storage/base/arena.h"
#include "storage/base/ids.h"

#include <stdbool.h>
#include <stdint.h>

struct janitor; /* opaque */
struct partition;

/* 0: the bound of limits.h. */
struct janitor_options {
	uint32_t interval_ms;       /* between two rounds */
	uint32_t dedup_interval_ms; /* between two looks at all results */
	uint32_t body_seconds;      /* how long a body without a message is kept */
	uint32_t dedup_seconds;     /* how long a result is kept after its client's last op */
};

/* `o` outlives it. */
struct janitor *janitor_new(struct partition *p, const struct janitor_options *o);
/* No loader runs any more, and its messages are delivered or dropped. Accepts NULL, leaves NULL. */
void janitor_free(struct janitor **j);

/* Begin a round if one is due. Only of a partition that leads and is recovered. */
void janitor_tick(struct janitor *j, uint64_t now_ms);
/* Something was found and waits to be evaluated. */
bool janitor_waits(const struct janitor *j);
/* What was found, as far as it still holds, as a change in arena memory; NULL: nothing holds. The
 * round is over, or goes on with janitor_proposed(). */
Tm__Change *janitor_evaluate(struct janitor *j, struct arena *a);
/* The change stands in the entry with this seq. */
void janitor_proposed(struct janitor *j, log_seq seq);

/* How long a body without a message is kept (seconds). */
uint32_t janitor_body_seconds(const struct janitor_options *o);

#endif
