/* keywords.h: the keyword names of one mailbox: slot -> name (IMAP.md, section 7). The first
 * spelling is kept; names are compared without ASCII case.
 *
 * A table is reference-counted and immutable as soon as it is shared: the owner's changes copy it
 * then, so that a pin goes on reading the names of its own moment. */
#ifndef STORAGE_KEYWORDS_H
#define STORAGE_KEYWORDS_H

#include "storage/base/bytes.h"
#include "storage/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keywords; /* opaque */

/* An empty table with one reference. */
struct keywords *keywords_new(void);
/* One more reference. Thread: the owner's. Returns k. */
struct keywords *keywords_ref(struct keywords *k);
/* Accepts NULL, leaves NULL. Thread: any. */
void keywords_unref(struct keywords **k);

/* The slot of a name, or -1. Thread: any that holds a reference, as below. */
int keywords_find(const struct keywords *k, struct span name);
/* The name of a slot; `at` is NULL if the slot has none. Valid while the reference is held and the
 * table is not changed. */
struct span keywords_name(const struct keywords *k, uint32_t slot);
/* A hash of the name as it is spelt; 0 if the slot has none. */
uint64_t keywords_hash(const struct keywords *k, uint32_t slot);
/* Slots below it may have names; a slot never loses its name, so all of them do unless slots were
 * skipped. */
uint32_t keywords_top(const struct keywords *k);
/* How many slots have a name. */
uint32_t keywords_count(const struct keywords *k);
size_t keywords_bytes(const struct keywords *k);

/* Give a slot a (new) name; *k is replaced by a copy if somebody else holds it. ERR_CORRUPT if the
 * slot is not below MAILBOX_KEYWORDS_MAX, or the name is empty, too long or in another slot.
 * Thread: the owner's. */
int keywords_set(struct keywords **k, uint32_t slot, struct span name);

#endif
