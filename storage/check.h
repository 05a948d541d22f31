/* check.h: `ops/check`: reads everything that a stopped node has stored and says what does not fit.
 *
 * Because of rule S1 state/ is exactly the state after C of each partition, so it must be
 * consistent by itself; the log after C must be decodable, without gaps, and join it (S8).
 *
 * Per partition: counters (exists, unseen, deleted, bytes, deleted bytes, uidnext, highestmodseq,
 * horizon, vanished rows) against flags, message and vanished rows; each message has its flags row
 * and the other way round, with the same size; sets of keywords name named slots; bodyrefs against
 * message rows; every body and shape that is referred to is complete, every other one is a
 * candidate; usage against mailboxes; ids below the partition's counters; no row that cannot be
 * decoded or belongs to nobody; log and marks. */
#ifndef STORAGE_CHECK_H
#define STORAGE_CHECK_H

#include "storage/db.h"

struct check_result {
	uint64_t findings;
	uint64_t accounts, mailboxes, messages, bodies, log_entries;
	uint64_t message_bytes;
};

/* `finding` is called with one line for people for each inconsistency. Negative only if it could
 * not be read at all. No thread of `db` may run. */
int check_db(struct db *db, void (*finding)(void *data, const char *text), void *data,
	     struct check_result *ret);

#endif
