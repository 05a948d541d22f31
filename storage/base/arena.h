/* arena.h: memory that dies all at once. Each command has one (STYLE.md, B9). Blocks are kept
 * over a reset up to ARENA_KEEP_BYTES, so that the next command allocates nothing. */
#ifndef STORAGE_BASE_ARENA_H
#define STORAGE_BASE_ARENA_H

#include "storage/base/bytes.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used_bytes;          /* since the last reset */
	ProtobufCAllocator pb; /* hand &a->pb to protobuf-c's unpack; never free what it made */
};

void arena_init(struct arena *a);
void arena_free(struct arena *a);
void arena_reset(struct arena *a);
/* Never NULL; 16-byte aligned, not cleared. The caller keeps `used_bytes` within its bound. */
void *arena_alloc(struct arena *a, size_t bytes);
void *arena_zalloc(struct arena *a, size_t bytes);
/* A copy with a NUL behind it that `bytes` does not count. */
struct span arena_copy(struct arena *a, struct span s);
char *arena_strdup(struct arena *a, struct span s);

#endif
