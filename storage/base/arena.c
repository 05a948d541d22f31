#include "storage/base/arena.h"

#include <assert.h>
#include <stdlib.h>

enum { ARENA_BLOCK_BYTES = 2048, ARENA_KEEP_BYTES = 16 * 1024, ARENA_ALIGN_BYTES = 16 };

struct arena_block {
	struct arena_block *next;
	size_t capacity;
	size_t used;
	size_t pad;
	char bytes[];
};
static_assert(sizeof(struct arena_block) % ARENA_ALIGN_BYTES == 0, "the first byte is aligned");

static void *pb_alloc(void *data, size_t bytes)
{
	return arena_alloc(data, bytes);
}

static void pb_free(void *data, void *at)
{
	(void)data; /* dies with the arena */
	(void)at;
}

void arena_init(struct arena *a)
{
	*a = (struct arena){ 0 };
	a->pb = (ProtobufCAllocator){ pb_alloc, pb_free, a };
}

void arena_free(struct arena *a)
{
	while (a->blocks != NULL) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	a->used_bytes = 0;
}

void arena_reset(struct arena *a)
{
	while (a->blocks != NULL &&
	       (a->blocks->next != NULL || a->blocks->capacity > ARENA_KEEP_BYTES)) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	if (a->blocks != NULL)
		a->blocks->used = 0;
	a->used_bytes = 0;
}

static void add_block(struct arena *a, size_t bytes)
{
	size_t capacity = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;

	if (a->blocks != NULL && capacity < 2 * a->blocks->capacity &&
	    a->blocks->capacity < 64 * 1024)
		capacity = 2 * a->blocks->capacity;
	struct arena_block *b = malloc(sizeof(*b) + capacity);
	if (b == NULL)
		abort();
	*b = (struct arena_block){ .next = a->blocks, .capacity = capacity };
	a->blocks = b;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	assert(bytes < (size_t)1 << 40);
	bytes = (bytes + ARENA_ALIGN_BYTES - 1) & ~(size_t)(ARENA_ALIGN_BYTES - 1);
	if (a->blocks == NULL || a->blocks->capacity - a->blocks->used < bytes)
		add_block(a, bytes);

	void *at = a->blocks->bytes + a->blocks->used;
	a->blocks->used += bytes;
	a->used_bytes += bytes;
	return at;
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
	void *at = arena_alloc(a, bytes);

	memset(at, 0, bytes);
	return at;
}

struct span arena_copy(struct arena *a, struct span s)
{
	char *at = arena_alloc(a, s.bytes + 1);

	if (s.bytes != 0)
		memcpy(at, s.at, s.bytes);
	at[s.bytes] = '\0';
	return span_of(at, s.bytes);
}

char *arena_strdup(struct arena *a, struct span s)
{
	char *at = arena_alloc(a, s.bytes + 1);

	if (s.bytes != 0)
		memcpy(at, s.at, s.bytes);
	at[s.bytes] = '\0';
	return at;
}
