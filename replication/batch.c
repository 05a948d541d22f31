#include "replication/batch.h"

#include <assert.h>
#include <stdlib.h>

enum {
	BATCH_POOL_MAX = 64,
	ENTRY_OVERHEAD_BYTES = 1024, /* of the entry around its changes */
	CHANGE_OVERHEAD_BYTES = 16,  /* tag and length of one */
};

struct batch *batch_take(struct batch_pool *pool, struct partition *p)
{
	struct batch *b = pool->first;

	if (b != NULL) {
		pool->first = b->next;
		pool->count--;
	} else {
		b = calloc(1, sizeof(*b));
		if (b == NULL)
			abort();
		arena_init(&b->arena);
	}
	b->partition = p;
	b->next = NULL;
	b->packed_bytes = ENTRY_OVERHEAD_BYTES;
	b->evaluated = false;
	b->op_count = 0;
	b->touched = NULL;
	b->touched_accounts = NULL;
	tm__log_entry__init(&b->entry);
	b->entry.changes = b->changes;
	return b;
}

static void batch_destroy(struct batch *b)
{
	arena_free(&b->arena);
	free(b);
}

void batch_give_back(struct batch_pool *pool, struct batch *b)
{
	assert(b->touched == NULL && b->touched_accounts == NULL);
	log_entry_unref(&b->sealed);
	arena_reset(&b->arena);
	if (pool->count >= BATCH_POOL_MAX) {
		batch_destroy(b);
		return;
	}
	b->next = pool->first;
	pool->first = b;
	pool->count++;
}

void batch_pool_free(struct batch_pool *pool)
{
	while (pool->first != NULL) {
		struct batch *b = pool->first;

		pool->first = b->next;
		batch_destroy(b);
	}
	pool->count = 0;
}

bool batch_is_full(const struct batch *b)
{
	return b->op_count == BATCH_OPS_MAX || batch_room(b) < 4096;
}

size_t batch_room(const struct batch *b)
{
	return b->packed_bytes >= LOG_ENTRY_MAX_BYTES ? 0 : LOG_ENTRY_MAX_BYTES - b->packed_bytes;
}

void batch_add_change(struct batch *b, Tm__Change *c)
{
	assert(b->entry.n_changes < BATCH_OPS_MAX);
	b->changes[b->entry.n_changes++] = c;
	b->packed_bytes += tm__change__get_packed_size(c) + CHANGE_OVERHEAD_BYTES;
}

void batch_seal(struct batch *b, log_seq seq, uint64_t version, int64_t now)
{
	assert(b->sealed == NULL);
	b->entry.when = now;
	b->sealed = log_entry_pack(b->partition->id, seq, version, &b->entry);
}
