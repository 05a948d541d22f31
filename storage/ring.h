/* ring.h: the newest flag changes of one mailbox in use, each with its text formatted once for all
 * sessions, and the newest expunges. Answers "what changed after S" without looking at the pages.
 *
 * New messages need no place here: a session knows by uidnext what is new to it. Of a message that
 * was changed several times only the newest change is told, because S below an older one is also
 * below the newest.
 *
 * Thread: the owner's loop. */
#ifndef STORAGE_RING_H
#define STORAGE_RING_H

#include "storage/base/uidset.h"
#include "storage/pages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_TEXT_BYTES = 106 };

struct ring_change {
	uint64_t modseq;
	uint32_t uid;
	bool newest;                /* false: the message was changed again or is gone; not told */
	uint8_t text_bytes;         /* 0: too long to keep, format it (ring_text_put()) */
	char text[RING_TEXT_BYTES]; /* "UID n FLAGS (...)" */
};

struct ring; /* opaque */

/* Empty: tells what changed after `floor`, the highestmodseq at this moment. */
struct ring *ring_new(uint64_t floor);
void ring_free(struct ring **r); /* accepts NULL, leaves NULL */

/* Apply reports, in the order of modseqs, after the pages were changed (they may already be ahead:
 * all records of a batch are applied first). */
void ring_changed(struct ring *r, const struct mailbox_pages *p, const struct uidset *uids,
		  uint64_t seq);
void ring_gone(struct ring *r, const struct uidset *uids);

/* Can it tell everything after `since`? If not, walk the pages. */
bool ring_reaches(const struct ring *r, uint64_t since);
/* The newest change of each message with uid < `below` and a modseq above `since`, ascending by
 * uid. The array is the ring's and valid until it is asked again or changed. since must be reached.
 */
const struct ring_change *const *ring_after(struct ring *r, uint64_t since, uint32_t below,
					    size_t *count);
size_t ring_bytes(const struct ring *r);

/* Append "UID n FLAGS (...)" of a message. */
void ring_text_put(const struct mailbox_pages *p, const struct page_entry *e, struct buf *out);

#endif
