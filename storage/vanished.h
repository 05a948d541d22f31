/* vanished.h: which messages of a mailbox in use are gone since a modseq: the vanished rows in
 * memory (IMAP.md, section 5). Loaded with the pages and kept by apply, at most VANISHED_MAX_ROWS
 * rows and VANISHED_MEMORY_MAX_BYTES; beyond that the oldest are forgotten here (not in the store)
 * and the floor rises, which makes answers longer but never wrong.
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
int vanished_add(struct vanished *v, uint64_t modseq, struct span encoded_uids);
/* The record prunes rows with a modseq <= `to`. */
void vanished_prune(struct vanished *v, uint64_t to);

/* False if `since` is below the floor: nobody can tell exactly any more. */
bool vanished_reaches(const struct vanished *v, uint64_t since);
/* All that vanished after `since`, which must be reached, and not after `until`. *ret is replaced.
 */
void vanished_after(const struct vanished *v, uint64_t since, uint64_t until, struct uidset *ret);
size_t vanished_bytes(const struct vanished *v);

#endif
