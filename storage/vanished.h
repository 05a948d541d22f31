/* vanished.h: which messages of a mailbox in use are gone since a modseq: the vanished rows in
 * memory (IMAP.md, section 5). Loaded with the pages and kept by apply. Of the sets at most
 * VANISHED_MEMORY_MAX_BYTES are kept; beyond that the oldest sets are forgotten here (not in the
 * store) and the floor rises, which makes answers longer but never wrong.
 *
 * Thread: the owner's loop (before that: who loads it). */
#ifndef STORAGE_VANISHED_H
#define STORAGE_VANISHED_H

#include "storage/base/uidset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vanished; /* opaque */

/* Knows all that vanished after `floor` (the horizon of the counters row; 0: none was pruned). */
struct vanished *vanished_new(uint64_t floor);
void vanished_free(struct vanished **v); /* accepts NULL, leaves NULL */

/* A row, in the order of modseqs: on loading, and by apply (MessagesExpunged). ERR_CORRUPT if the
 * encoded set is bad or the modseq does not rise. */
int vanished_add(struct vanished *v, uint64_t seq, struct span encoded_uids);
/* The record prunes rows with a modseq <= `to`. */
void vanished_prune(struct vanished *v, uint64_t to);

/* The modseq of the n-th oldest row, or the newest if there are fewer; *rows: how many a prune up
 * to it takes away. 0 and none if there are no rows. */
uint64_t vanished_oldest(const struct vanished *v, uint32_t n, uint32_t *rows);

/* False if `since` is below the floor: nobody can tell exactly any more. */
bool vanished_reaches(const struct vanished *v, uint64_t since);
/* All that vanished after `since`, which must be reached, and not after `until`. *ret is replaced.
 */
void vanished_after(const struct vanished *v, uint64_t since, uint64_t until, struct uidset *ret);
size_t vanished_bytes(const struct vanished *v);

#endif
