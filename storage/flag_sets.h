/* flag_sets.h: the table of all different sets of flags in one mailbox: a set <-> a dense number,
 * so that a million messages cost four bytes each (IMAP.md, section 7).
 *
 * Append-only. The owner adds sets; readers of older pins, on other threads, look only at numbers
 * that they found in their pages. Growing never moves what they read. A number means the same set,
 * with the same text, as long as the table lives. */
#ifndef STORAGE_FLAG_SETS_H
#define STORAGE_FLAG_SETS_H

#include "storage/base/bytes.h"
#include "storage/base/flag_bits.h"
#include "storage/keywords.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set as a value. `keywords`: slots, ascending, no slot twice. */
struct flag_set {
	uint32_t system; /* enum system_flag */
	uint32_t count;
	const uint16_t *keywords;
};

bool flag_set_has(struct flag_set s, uint32_t slot);
bool flag_set_eq(struct flag_set a, struct flag_set b);

struct flag_sets; /* opaque */

/* A table in which number FLAG_SET_EMPTY is the empty set. One reference. */
struct flag_sets *flag_sets_new(void);
enum { FLAG_SET_EMPTY = 0 };
/* One more reference. Thread: the owner's. Returns t. */
struct flag_sets *flag_sets_ref(struct flag_sets *t);
/* Accepts NULL, leaves NULL. Thread: any. */
void flag_sets_unref(struct flag_sets **t);

/* ---- any thread that holds a reference, for numbers it found in its pages ---- */

/* Valid as long as the table. */
struct flag_set flag_sets_get(const struct flag_sets *t, uint32_t number);
/* "FLAGS (\Seen foo)", formatted once, when the set was added. Valid as long as the table. */
struct span flag_sets_text(const struct flag_sets *t, uint32_t number);
/* The system flags alone. */
uint32_t flag_sets_system(const struct flag_sets *t, uint32_t number);

/* ---- the owner's thread ---- */

/* The number of a set, added if it is new. Its keywords must have names in `names`. The same slots
 * under other names (a slot that was used again) are another set. */
uint32_t flag_sets_intern(struct flag_sets *t, const struct keywords *names, struct flag_set set);
/* `set.system` must be system bits and each keyword a named slot, strictly ascending: what a record
 * says is checked with this before it is interned. */
bool flag_set_valid(const struct keywords *names, struct flag_set set);
/* How many numbers there are. */
uint32_t flag_sets_numbers(const struct flag_sets *t);
size_t flag_sets_bytes(const struct flag_sets *t);

#endif
