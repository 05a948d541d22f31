/* identity.h: who this node is. Lives in its data directory only and is never used again: an empty
 * directory is a new node (DESIGN.md, section 6). */
#ifndef STORAGE_IDENTITY_H
#define STORAGE_IDENTITY_H

#include "storage/base/buf.h"

#include <stdint.h>

enum { PATH_MAX_BYTES = 4096 };

struct db_identity {
	char cluster[37];    /* uuid, lower case, with NUL */
	uint32_t node;       /* from 1 */
	unsigned partitions; /* of the cluster, for ever */
	char boot[33];       /* of this run: 128 random bits in hex */
};

/* Read DIR/node, or make it for a cluster of its own with `partitions` partitions (0: it must be
 * there, else ERR_NOT_FOUND). ERR_BAD_INPUT: not a file of ours, or of another format. On failure
 * `why` has a line for people. */
int identity_open(const char *dir, unsigned partitions, struct db_identity *ret, struct buf *why);

#endif
