/* overlay.h: rows that will be written with the next batch, over what is stored: reads see both, so
 * that records of one cut see each other (rule S2). Only the newest value of a row is kept.
 *
 * Keys and values are copied. One owner, no locks. */
#ifndef STORAGE_OVERLAY_H
#define STORAGE_OVERLAY_H

#include "storage/base/arena.h"
#include "storage/keys.h"
#include "storage/kv.h"

struct overlay; /* opaque */

struct overlay *overlay_new(struct kv *kv);
void overlay_free(struct overlay **o); /* accepts NULL, leaves NULL */
void overlay_reset(struct overlay *o);

void overlay_put(struct overlay *o, enum table t, struct span key, struct span value);
void overlay_delete(struct overlay *o, enum table t, struct span key);
/* Also drops the rows of the overlay that are in it. */
void overlay_delete_range(struct overlay *o, enum table t, struct kv_range range);

/* *ret is valid until the next call. OK, ERR_NOT_FOUND or an error of the disk. */
int overlay_get(struct overlay *o, enum table t, struct span key, struct span *ret);
/* Many at once, keys ascending; as kv_get_many(), but fn is called in no particular order. */
int overlay_get_many(struct overlay *o, enum table t, const struct span *keys, size_t count,
		     kv_found_fn fn, void *data);
/* All rows of a range, in no particular order. fn must not change the overlay. */
int overlay_iterate(struct overlay *o, enum table t, struct kv_range range, kv_row_fn fn,
		    void *data);

size_t overlay_rows(const struct overlay *o);
/* Fill the batch: deleted ranges first, then rows. */
void overlay_fill(const struct overlay *o, struct kv_batch *b);

#endif
