/* dedup.h: exactly once (DESIGN.md, section 3): the last op number and its result of each client
 * id that changed something, in memory. Rows of table dedup hold the same for 24 hours; what is
 * not here may be there only for DEDUP_LOOKUP_SECONDS after a start (rule S11), because an op is
 * repeated for that long at most.
 * Thread: the partition's loop. */
#ifndef REPLICATION_DEDUP_H
#define REPLICATION_DEDUP_H

#include "storage/base/bytes.h"
#include "storage/base/ids.h"

#include <stdbool.h>
#include <stdint.h>

struct dedup; /* opaque */

enum dedup_answer {
	DEDUP_UNKNOWN,   /* nothing in memory about this client */
	DEDUP_NEWER,     /* the number is above the last one: evaluate */
	DEDUP_SAME,      /* the stored result is the answer */
	DEDUP_WITHDRAWN, /* it was withdrawn: it did not and will not happen */
	DEDUP_OLDER,     /* a late copy: no answer */
};

struct dedup *dedup_new(void);
void dedup_free(struct dedup **d);
/* *result points into the table until the next change of it (DEDUP_SAME only). */
enum dedup_answer dedup_look(const struct dedup *d, client_id c, uint64_t number,
			     struct span *result);
/* Remember (copies `result`). An older number than the known one is ignored. */
void dedup_put(struct dedup *d, client_id c, uint64_t number, struct span result, bool withdrawn,
	       int64_t when);
/* There is no row of this client either: do not look it up again. */
void dedup_put_none(struct dedup *d, client_id c, int64_t when);
/* Forget what was last used before `when` (unix seconds, of the records). */
void dedup_age(struct dedup *d, int64_t when);
size_t dedup_count(const struct dedup *d);

#endif
