/* watch.h: who wants to hear when a mailbox changes (DESIGN.md, section 3, Watching). Kept by the
 * partition, apart from its mailboxes, so that a watch survives when one is unloaded.
 * Hints are gathered and leave once per turn: watch_tell(). Thread: the partition's loop. */
#ifndef REPLICATION_WATCH_H
#define REPLICATION_WATCH_H

#include "storage/base/ids.h"

#include <stdbool.h>

struct watches; /* opaque */

struct watches *watches_new(void);
void watches_free(struct watches **w);

/* Front end `front` (a loop's index) watches; counted per front. */
void watch_add(struct watches *w, mailbox_id m, unsigned front);
void watch_remove(struct watches *w, mailbox_id m, unsigned front);
/* A change was committed; newest.v == 0: the mailbox is gone. */
void watch_changed(struct watches *w, mailbox_id m, modseq newest);
/* True: there is something to tell. */
bool watch_pending(const struct watches *w);
/* Calls `fn` for each (front, mailbox) with news, once. */
void watch_tell(struct watches *w,
		void (*fn)(void *data, unsigned front, mailbox_id m, modseq newest), void *data);

#endif
