/* reader.h: the answer to one read of messages, FETCH or SEARCH, frame by frame, from a pin and the
 * store (DESIGN.md, section 3, Reading). A generator: it can stop after every frame and go on
 * later, on another thread, so a slow client holds memory for one frame and no thread.
 *
 * In the flow: read.c takes the pin, answers Changes and VANISHED itself, and then asks a reader
 * for one frame after the other, here or on a reader thread, as long as there are credits.
 *
 * Everything that can change comes from the pin; the store is asked only for what never changes.
 * A message whose row is not in the store any more is expunged: it is left out.
 *
 * Thread: one at a time. */
#ifndef REPLICATION_READER_H
#define REPLICATION_READER_H

#include "proto/read.pb-c.h"
#include "storage/base/arena.h"
#include "storage/pages.h"
#include "storage/store.h"

struct reader; /* opaque */

/* `read` (what: fetch or search) is the caller's and lives as long as the reader. Takes over *pin
 * (NULL afterwards) also on failure. ERR_BAD_INPUT: items or program cannot be decoded. `store` may
 * be NULL if reader_needs_store() is false. */
int reader_new(struct mailbox_pages **pin, const Tm__Read *read, struct store *store,
	       partition_id p, struct reader **ret);
/* A reader that first tells the rows that read_changes() left over: from *pin, the state it looked
 * at, and its `rest` (not 0), then what *then answers (may be NULL: nothing). Takes over both.
 * `known` must live as long as the reader. Never NULL. */
struct reader *rows_reader_new(struct mailbox_pages **pin, const Tm__Known *known, uint32_t rest,
			       struct reader **then);
/* The next frame into *frame (initialised here; request is the caller's to set; it and all it
 * points to lives until the next call). At most about READ_FRAME_MAX_BYTES of text; also a 64 MB
 * literal comes in such pieces. 1: more to come. 0: this was the last; `end` and `outcome` are set.
 * Negative: the store failed; nothing is in *frame. */
int reader_next(struct reader *r, Tm__ReadFrame *frame);
/* How many messages it has answered or looked at so far. */
uint64_t reader_progress(const struct reader *r);
void reader_free(struct reader **r); /* accepts NULL, leaves NULL */

/* Does it need RocksDB (bodies, headers, dates, ids)? If not, and if few messages are concerned,
 * the loop runs it itself. ERR_BAD_INPUT as above. */
int reader_needs_store(const Tm__Read *read, bool *ret);

#endif
