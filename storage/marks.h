/* marks.h: what this replica acknowledged, kept apart from the log, so that a log that lost its end
 * is noticed (rules S8 and R11). One small preallocated file, two checksummed slots of 64 bytes per
 * partition, written in turns: a torn write costs the newer of two, never both.
 *
 * A mark is written after the log's sync and before the write is posted back, and synced once a
 * second: it costs no fsync, and survives any death of the process.
 *
 * Thread: the log writer; before that, who opens. */
#ifndef STORAGE_MARKS_H
#define STORAGE_MARKS_H

#include "storage/base/bytes.h"
#include "storage/log.h"

struct marks;

/* Where the bytes go; tests/sim has one that loses what was not synced. */
struct marks_file {
	int (*read)(void *data, uint64_t offset, void *at, size_t bytes); /* short: zeros */
	int (*write)(void *data, uint64_t offset, const void *at, size_t bytes);
	int (*sync)(void *data);
	void (*close)(void *data);
	void *data;
};

/* Open or make the file for `partitions` partitions. OK, ERR_IO, ERR_NO_SPACE, ERR_CORRUPT (not a
 * file of marks). On 0 *ret owns it: marks_close(). */
int marks_open(const char *path, unsigned partitions, struct marks **ret);
/* The same over another file, which it closes. */
int marks_open_file(struct marks_file file, unsigned partitions, struct marks **ret);
void marks_close(struct marks **m); /* accepts NULL, leaves NULL; does not sync */

/* The newest valid mark; {0, 0}: none was ever written, or both slots are damaged. */
struct log_pos marks_get(const struct marks *m, partition_id p);
/* Both slots are damaged: what was acknowledged is not known. A power cut within a second of a
 * partition's first two marks can do that; anything else is a disk that changed something. */
bool marks_damaged(const struct marks *m, partition_id p);
/* Set it (lower, too: after a cut). OK, ERR_IO or ERR_NO_SPACE. */
int marks_set(struct marks *m, partition_id p, struct log_pos pos);
int marks_sync(struct marks *m);

#endif
