#include "replication/flag_groups.h"

#include <assert.h>
#include <stdlib.h>

enum { UID_ENCODED_MAX_BYTES = 10, SIZE_ENCODED_MAX_BYTES = 5 };

void flag_groups_clear(struct flag_groups *g)
{
	for (uint32_t i = 0; i < g->count; i++) {
		uidset_clear(&g->at[i].uids);
		buf_reset(&g->at[i].sizes);
	}
	if (g->count > 0)
		memset(g->slots, 0, g->slot_count * sizeof(*g->slots));
	g->count = 0;
	g->last = 0;
	g->bytes_bound = 0;
}

void flag_groups_free(struct flag_groups *g)
{
	for (uint32_t i = 0; i < g->capacity; i++) {
		uidset_free(&g->at[i].uids);
		buf_free(&g->at[i].sizes);
	}
	free(g->at);
	free(g->slots);
	*g = (struct flag_groups){ 0 };
}

static uint32_t slot_of(const struct flag_groups *g, uint32_t set, uint64_t at_modseq)
{
	uint64_t h =
		(set * UINT64_C(0x9e3779b97f4a7c15)) ^ (at_modseq * UINT64_C(0xc2b2ae3d27d4eb4f));

	return (uint32_t)(h >> 32) & (g->slot_count - 1);
}

static uint32_t find(const struct flag_groups *g, uint32_t set, uint64_t at_modseq, uint32_t *slot)
{
	uint32_t s = slot_of(g, set, at_modseq);

	while (g->slots[s] != 0) {
		const struct flag_group *group = &g->at[g->slots[s] - 1];

		if (group->set == set && group->modseq == at_modseq)
			return g->slots[s];
		s = (s + 1) & (g->slot_count - 1);
	}
	*slot = s;
	return 0;
}

static void grow(struct flag_groups *g)
{
	uint32_t capacity = g->capacity == 0 ? 8 : 2 * g->capacity;

	g->at = realloc(g->at, capacity * sizeof(*g->at));
	free(g->slots);
	g->slot_count = 2 * capacity;
	g->slots = calloc(g->slot_count, sizeof(*g->slots));
	if (g->at == NULL || g->slots == NULL)
		abort();
	memset(g->at + g->capacity, 0, (capacity - g->capacity) * sizeof(*g->at));
	g->capacity = capacity;
	for (uint32_t i = 0; i < g->count; i++) {
		uint32_t slot = 0;
		uint32_t found = find(g, g->at[i].set, g->at[i].modseq, &slot);

		assert(found == 0);
		g->slots[slot] = i + 1;
	}
}

static uint32_t group_for(struct flag_groups *g, uint32_t set, uint64_t at_modseq)
{
	uint32_t slot = 0;

	if (g->last < g->count && g->at[g->last].set == set && g->at[g->last].modseq == at_modseq)
		return g->last;
	if (g->count == g->capacity)
		grow(g);

	uint32_t found = find(g, set, at_modseq, &slot);
	if (found != 0)
		return found - 1;
	g->at[g->count].set = set;
	g->at[g->count].modseq = at_modseq;
	g->slots[slot] = g->count + 1;
	return g->count++;
}

bool flag_groups_add(struct flag_groups *g, uint32_t set, uint64_t at_modseq, uint32_t uid,
		     uint32_t size)
{
	uint32_t before = g->count;
	struct flag_group *group;

	g->last = group_for(g, set, at_modseq);
	group = &g->at[g->last];
	uidset_add(&group->uids, uid);
	buf_put_varint(&group->sizes, size);
	g->bytes_bound += UID_ENCODED_MAX_BYTES + SIZE_ENCODED_MAX_BYTES;
	return g->count > before;
}
