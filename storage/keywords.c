/* keywords.c: slot -> name, as an array: a mailbox has few names, and a look-up by name compares
 * hashes first.
 *
 * Invariant K1: no two slots have the same name (without ASCII case). */
#include "storage/keywords.h"

#include "storage/base/err.h"
#include "storage/base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <xxhash.h>

struct slot {
	char *name; /* NULL: none */
	uint32_t bytes;
	uint32_t hash;  /* of the name in lower case */
	uint64_t exact; /* of the name as it is spelt */
};

struct keywords {
	_Atomic uint32_t refs;
	uint32_t top;
	uint32_t count;
	uint32_t capacity;
	struct slot *slots;
};

static uint32_t name_hash(struct span name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < name.bytes; i++)
		h = (h ^ ascii_lower((unsigned char)name.at[i])) * 16777619u;
	return h;
}

struct keywords *keywords_new(void)
{
	struct keywords *k = mem_zalloc(1, sizeof(*k));

	atomic_init(&k->refs, 1);
	return k;
}

struct keywords *keywords_ref(struct keywords *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void keywords_unref(struct keywords **kp)
{
	struct keywords *k = *kp;

	*kp = NULL;
	if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (uint32_t i = 0; i < k->top; i++)
		free(k->slots[i].name);
	free(k->slots);
	free(k);
}

int keywords_find(const struct keywords *k, struct span name)
{
	uint32_t hash = name_hash(name);

	for (uint32_t i = 0; i < k->top; i++)
		if (k->slots[i].hash == hash && k->slots[i].name != NULL &&
		    span_eq_nocase(keywords_name(k, i), name))
			return (int)i;
	return -1;
}

struct span keywords_name(const struct keywords *k, uint32_t slot)
{
	if (slot >= k->top || k->slots[slot].name == NULL)
		return (struct span){ 0 };
	return span_of(k->slots[slot].name, k->slots[slot].bytes);
}

uint64_t keywords_hash(const struct keywords *k, uint32_t slot)
{
	return slot < k->top ? k->slots[slot].exact : 0;
}

uint32_t keywords_top(const struct keywords *k)
{
	return k->top;
}

uint32_t keywords_count(const struct keywords *k)
{
	return k->count;
}

size_t keywords_bytes(const struct keywords *k)
{
	size_t bytes = sizeof(*k) + k->capacity * sizeof(*k->slots);

	for (uint32_t i = 0; i < k->top; i++)
		bytes += k->slots[i].bytes;
	return bytes;
}

static char *name_copy(struct span name)
{
	char *z = mem_alloc(name.bytes + 1);

	memcpy(z, name.at, name.bytes);
	z[name.bytes] = '\0';
	return z;
}

/* A table of our own: itself, or a copy if somebody else reads it. */
static void make_own(struct keywords **kp)
{
	struct keywords *k = *kp;
	struct keywords *copy;

	if (atomic_load_explicit(&k->refs, memory_order_acquire) == 1)
		return;
	copy = keywords_new();
	copy->top = copy->capacity = k->top;
	copy->count = k->count;
	copy->slots = mem_zalloc(k->top, sizeof(*k->slots));
	for (uint32_t i = 0; i < k->top; i++) {
		copy->slots[i] = k->slots[i];
		if (k->slots[i].name != NULL)
			copy->slots[i].name = name_copy(keywords_name(k, i));
	}
	keywords_unref(kp);
	*kp = copy;
}

static void grow(struct keywords *k, uint32_t slot)
{
	if (slot >= k->capacity) {
		k->capacity = slot + 1 > k->capacity * 2 ? slot + 1 : k->capacity * 2;
		k->slots = mem_resize(k->slots, k->capacity, sizeof(*k->slots));
	}
	while (k->top <= slot)
		k->slots[k->top++] = (struct slot){ 0 };
}

int keywords_set(struct keywords **kp, uint32_t slot, struct span name)
{
	int there = keywords_find(*kp, name);
	struct keywords *k;

	if (slot >= MAILBOX_KEYWORDS_MAX || name.bytes == 0 || name.bytes > KEYWORD_MAX_BYTES)
		return ERR_CORRUPT;
	if (there >= 0)
		return (uint32_t)there == slot ? OK : ERR_CORRUPT; /* K1; first spelling kept */
	make_own(kp);
	k = *kp;
	grow(k, slot);
	if (k->slots[slot].name == NULL)
		k->count++;
	free(k->slots[slot].name);
	k->slots[slot] = (struct slot){ name_copy(name), (uint32_t)name.bytes, name_hash(name),
					XXH64(name.at, name.bytes, 0) };
	return OK;
}
