/* pages.h: what can change of one mailbox in use, in memory: uid, flags and modseq of each message,
 * counters, keyword names (DESIGN.md, section 3, Reading).
 *
 * In the flow: record -> apply -> [pages] -> pins -> reads. Pages of PAGE_ENTRIES messages hang in
 * directories of DIR_ENTRIES pages, those in one header, the struct mailbox_pages. The owner's loop
 * holds one reference to the header and changes it; a *pin* is one more reference, taken by the
 * owner and dropped by anybody. Whoever holds a pin sees one state that never changes.
 *
 * To change: pages_writable() first (a copy of the header if there are pins), then any of the
 * changes below; each copies the directory and the page it touches if they are shared, and changes
 * them in place if not. So a change costs the same in a mailbox of a million as of a thousand.
 *
 * Invariants, checked by pages_check():
 *   G1  uids ascend strictly through pages, directories and header; no page or directory is empty.
 *   G2  a summary says exactly what is below it (count, unseen, deleted, first and last uid), and
 *       no modseq below it is above its `modseq`.
 *   G3  a header with more than one reference, and what hangs in it, is never written.
 *
 * Threads: changes and pages_pin() are for the owner's; everything else for whoever holds a pin. */
#ifndef STORAGE_PAGES_H
#define STORAGE_PAGES_H

#include "proto/row.pb-c.h"
#include "storage/base/ids.h"
#include "storage/base/uidset.h"
#include "storage/flag_sets.h"
#include "storage/keywords.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_ENTRIES = 256, DIR_ENTRIES = 64 };

/* 20 bytes a message. The size, which never changes, is here because records carry it with every
 * change of flags, and evaluation counts with it. */
struct page_entry {
	uint32_t uid;
	uint32_t set;  /* number in the mailbox's flag_sets */
	uint32_t size; /* octets */
	uint64_t modseq;
} __attribute__((packed, aligned(4)));

/* The counters row as plain values. */
struct mailbox_counters {
	uint32_t uidnext;
	uint64_t highestmodseq;
	uint32_t exists;
	uint32_t unseen;
	uint32_t deleted;
	uint64_t bytes;
	uint64_t deleted_bytes;
	uint64_t horizon;
	uint32_t vanished_rows;
	uint32_t recent_from;
	uint32_t keywords_version;
};

struct mailbox_counters counters_of_row(const Tm__CountersRow *row);
/* *row is initialised and filled; nothing of it needs freeing. */
void counters_to_row(const struct mailbox_counters *c, Tm__CountersRow *row);

struct page;
struct page_dir;

/* What hangs below: of a page (in its directory), of a directory (in the header). */
struct page_summary {
	union {
		struct page *page;
		struct page_dir *dir;
	} at;
	uint64_t modseq;      /* highest below, or above it (a message that had it may be gone) */
	uint32_t first, last; /* uids */
	uint16_t count;       /* messages */
	uint16_t unseen;      /* without \Seen */
	uint16_t deleted;     /* with \Deleted */
	uint16_t unused;
};

struct mailbox_pages {
	_Atomic uint32_t refs;

	/* The owner writes them after pages_writable(); apply takes them from the record. */
	mailbox_id id;
	uint32_t uidvalidity;
	struct mailbox_counters counters;

	/* Use the functions below. */
	struct keywords *keywords;
	struct flag_sets *sets;
	struct page_summary *dirs;
	uint32_t dir_count;
	uint32_t dir_capacity;
	uint32_t page_count;
};

/* ---- life ---- */

/* An empty mailbox: uidnext 1, highestmodseq 1. The caller holds the one reference. */
struct mailbox_pages *pages_new(mailbox_id id, uint32_t uidvalidity);
/* One more reference. Thread: the owner's, nobody else's. Returns p. */
struct mailbox_pages *pages_pin(struct mailbox_pages *p);
/* Give a reference back. Accepts NULL, leaves NULL. Thread: any. */
void pages_drop(struct mailbox_pages **p);
/* After it *p has one reference, the caller's, and may be changed: itself if nobody else holds it,
 * else a copy. Returns *p. */
struct mailbox_pages *pages_writable(struct mailbox_pages **p);
/* Bytes of this state, about, as if nothing of it were shared. For the memory budget; cheap. */
size_t pages_bytes(const struct mailbox_pages *p);
/* Checks G1, G2 and the counters exists, unseen and deleted: OK or ERR_CORRUPT. Walks everything.
 */
int pages_check(const struct mailbox_pages *p);

/* ---- changes (the owner, after pages_writable()); none of them touches counters ---- */

/* A message above all others: ERR_CORRUPT if it is not. Also the bulk load, from rows ascending. */
int pages_append(struct mailbox_pages *p, uint32_t uid, uint32_t set, uint64_t seq, uint32_t size);
/* ERR_NOT_FOUND if there is no such message. */
int pages_set_flags(struct mailbox_pages *p, uint32_t uid, uint32_t set, uint64_t seq);
/* The same for all of `uids`; those that do not exist are counted in the result and left out. */
uint64_t pages_set_flags_all(struct mailbox_pages *p, const struct uidset *uids, uint32_t set,
			     uint64_t seq);
/* A change that is not one of flags (annotations): the modseq alone. ERR_NOT_FOUND. */
int pages_touch(struct mailbox_pages *p, uint32_t uid, uint64_t seq);
/* Take messages out. Returns how many of `uids` did not exist. */
uint64_t pages_remove(struct mailbox_pages *p, const struct uidset *uids);
/* Name a keyword slot (a record's new_names). ERR_CORRUPT as keywords_set(), or if the slot has
 * another name and messages carry it. */
int pages_set_keyword(struct mailbox_pages *p, uint32_t slot, struct span name);
/* The number of a set of flags, for append and set_flags. ERR_CORRUPT if a keyword has no name, the
 * slots do not ascend, or a system bit is unknown. */
int pages_intern(struct mailbox_pages *p, struct flag_set set, uint32_t *ret);
/* If there are far more sets of flags than messages: number them anew, in a copy if *p is pinned.
 * Costs a walk then, else nothing: call it now and then. Numbers from before are invalid afterwards
 * (pins keep theirs). */
void pages_tidy(struct mailbox_pages **p);

/* ---- looking ---- */

/* NULL if there is no such message. Valid until the owner changes the state (with a pin: as long as
 * the pin). */
const struct page_entry *pages_find(const struct mailbox_pages *p, uint32_t uid);
uint32_t pages_exists(const struct mailbox_pages *p);      /* counted, not counters.exists */
uint32_t pages_highest_uid(const struct mailbox_pages *p); /* 0: empty */
/* The uid of the n-th message from 1, 0 if there are fewer. Skips pages. */
uint32_t pages_uid_at(const struct mailbox_pages *p, uint32_t n);
/* All uids, or those from `from` on. *ret is replaced. */
void pages_uids(const struct mailbox_pages *p, uint32_t from, struct uidset *ret);
/* Those of `in` that exist; those that do not. *ret is replaced. */
void pages_existing(const struct mailbox_pages *p, const struct uidset *in, struct uidset *ret);
void pages_missing(const struct mailbox_pages *p, const struct uidset *in, struct uidset *ret);
/* The lowest uid without \Seen, 0: none. Skips pages. */
uint32_t pages_first_unseen(const struct mailbox_pages *p);
/* How many slots can be given a new name, counted up to `enough`: those without a name and, only
 * if these are too few (then it costs a walk), those that no message carries. */
uint32_t pages_free_slots(const struct mailbox_pages *p, uint32_t enough);
/* A slot for a new keyword: the first without a name, else the first from `from` on that no message
 * carries, else the first of all of these, else -1 (NO [LIMIT]). To get several, name each with
 * pages_set_keyword() and ask with the last one + 1. */
int pages_free_slot(const struct mailbox_pages *p, uint32_t from);

static inline struct flag_set pages_flags(const struct mailbox_pages *p, const struct page_entry *e)
{
	return flag_sets_get(p->sets, e->set);
}

/* ---- walking, ascending; the state must not change meanwhile ---- */

struct pages_cursor {
	const struct mailbox_pages *p;
	uint32_t dir, page, at; /* of the next message */
};

void pages_start(const struct mailbox_pages *p, struct pages_cursor *ret);
/* Forward to the first message with a uid >= `uid`; never back. Near ones are found fast. */
void pages_seek(struct pages_cursor *c, uint32_t uid);
/* The next message with a uid <= `last` (UINT32_MAX: all), or NULL. */
const struct page_entry *pages_next(struct pages_cursor *c, uint32_t last);
/* The same, only messages with a modseq above `since`: skips pages and directories. */
const struct page_entry *pages_next_changed(struct pages_cursor *c, uint32_t last, uint64_t since);
/* The same, only messages with \Deleted: skips pages and directories. */
const struct page_entry *pages_next_deleted(struct pages_cursor *c, uint32_t last);

/* Walk the messages of a set:
 *	struct pages_walk w;
 *	pages_walk_start(p, uids, &w);
 *	while ((e = pages_walk_next(&w)) != NULL) ... */
struct pages_walk {
	struct pages_cursor c;
	const struct uidset *uids;
	uint32_t range;
	uint64_t since;
	bool only_changed;
	bool inside; /* the range has been reached */
};
void pages_walk_start(const struct mailbox_pages *p, const struct uidset *uids,
		      struct pages_walk *ret);
/* ... only those with a modseq above `since`. */
void pages_walk_changed(const struct mailbox_pages *p, const struct uidset *uids, uint64_t since,
			struct pages_walk *ret);
const struct page_entry *pages_walk_next(struct pages_walk *w);

#endif
