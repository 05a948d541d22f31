/* cut.h: committed entries of one partition become rows: the pure cut (rules S1 and S2).
 *
 * The entries (C, C'] go in, in order; out comes ONE batch with all their rows and the partition
 * row that says C'. Reads happen before the batch only, over an overlay of what the cut has done so
 * far: a copy's source rows, an expunged message's guid, who refers to a body. No clock, no random
 * source, no configuration: same state and entries, same rows on every replica.
 *
 *   C1  an entry at or below C changes nothing (replay may begin early).
 *   C2  of each row only the newest value of the cut is written.
 *   C3  a body whose last reference goes becomes a candidate, one that gets a reference is none.
 *
 * Thread: the flusher, or who tests. */
#ifndef STORAGE_CUT_H
#define STORAGE_CUT_H

#include "storage/entry.h"
#include "storage/keys.h"
#include "storage/kv.h"
#include "storage/log.h"

struct cut; /* opaque; used again for cut after cut */

struct cut *cut_new(struct kv *state);
void cut_free(struct cut **c); /* accepts NULL, leaves NULL */

/* Start a cut: reads the partition row. OK, ERR_CORRUPT, or an error of the disk. */
int cut_begin(struct cut *c, struct pgen p);
/* The next entry. ERR_CORRUPT: it is not the next one, cannot be
 * decoded, or contradicts the stored state; the cut must be given up. */
int cut_add(struct cut *c, const struct log_entry *e);
/* Write the batch. With ERR_NO_SPACE it may be called again. */
int cut_write(struct cut *c);
/* C' as of the entries added so far. */
struct log_pos cut_applied(const struct cut *c);
size_t cut_rows(const struct cut *c);

#endif
