/* flag_sets.c: the sets stand in chunks that double and never move: chunk k holds
 * FIRST_CHUNK << k sets. What readers look at (struct set) is written once, before its number
 * leaves the owner, so no reader ever meets a write.
 *
 * A set is known by its bits, its slots and the very names that the slots had (their hashes), so a
 * slot that gets another name needs no care here.
 *
 * Invariant F1: a number below `count` names a complete set; it is never changed or moved. */
#include "storage/flag_sets.h"

#include "storage/base/buf.h"
#include "storage/base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <xxhash.h>

enum { FIRST_CHUNK = 8, CHUNKS = 29, FIRST_INDEX = 16 };

struct set {
	uint32_t system;
	uint32_t keyword_count;
	uint32_t text_bytes;
	uint16_t *keywords; /* in the memory of `text`, behind it; NULL: none */
	char *text;
};

struct flag_sets {
	_Atomic uint32_t refs;

	/* Any thread, for numbers it found in its pages. */
	struct set *chunks[CHUNKS];

	/* The owner's thread. */
	uint32_t count;
	uint64_t *hashes; /* of bits, slots and names, by number */
	uint32_t hash_capacity;
	uint32_t *index; /* number + 1 by hash, open; 0: free */
	uint32_t index_size;
	size_t bytes;
};

/* ---- values ---- */

bool flag_set_has(struct flag_set s, uint32_t slot)
{
	for (uint32_t i = 0; i < s.count && s.keywords[i] <= slot; i++)
		if (s.keywords[i] == slot)
			return true;
	return false;
}

bool flag_set_eq(struct flag_set a, struct flag_set b)
{
	if (a.system != b.system || a.count != b.count)
		return false;
	return a.count == 0 || memcmp(a.keywords, b.keywords, a.count * sizeof(*a.keywords)) == 0;
}

bool flag_set_valid(const struct keywords *names, struct flag_set set)
{
	if ((set.system & ~(uint32_t)FLAG_SYSTEM_ALL) != 0)
		return false;
	for (uint32_t i = 0; i < set.count; i++) {
		if (keywords_name(names, set.keywords[i]).at == NULL)
			return false;
		if (i > 0 && set.keywords[i - 1] >= set.keywords[i])
			return false;
	}
	return true;
}

/* Equal hashes of sets with equal slots: the slots also had equal names. */
static uint64_t value_hash(const struct keywords *names, struct flag_set s)
{
	uint64_t h = XXH64(&s.system, sizeof(s.system), 0);

	for (uint32_t i = 0; i < s.count; i++) {
		uint64_t with[2] = { s.keywords[i], keywords_hash(names, s.keywords[i]) };

		h = XXH64(with, sizeof(with), h);
	}
	return h;
}

static void value_text(const struct keywords *names, struct flag_set s, struct buf *out)
{
	static const char *const system[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
					      "\\Draft" };
	size_t start;

	static_assert(FLAG_SYSTEM_ALL == (1 << (sizeof(system) / sizeof(*system))) - 1, "all");
	buf_puts(out, "FLAGS (");
	start = out->bytes;
	for (uint32_t i = 0; i < sizeof(system) / sizeof(*system); i++) {
		if ((s.system & (1u << i)) == 0)
			continue;
		if (out->bytes > start)
			buf_putc(out, ' ');
		buf_puts(out, system[i]);
	}
	for (uint32_t i = 0; i < s.count; i++) {
		if (out->bytes > start)
			buf_putc(out, ' ');
		buf_put_span(out, keywords_name(names, s.keywords[i]));
	}
	buf_putc(out, ')');
}

/* ---- life ---- */

static uint32_t add(struct flag_sets *t, const struct keywords *names, struct flag_set set);

struct flag_sets *flag_sets_new(void)
{
	struct flag_sets *t = mem_zalloc(1, sizeof(*t));
	uint32_t empty;

	atomic_init(&t->refs, 1);
	t->index_size = FIRST_INDEX;
	t->index = mem_zalloc(t->index_size, sizeof(*t->index));
	t->bytes = sizeof(*t);
	empty = add(t, NULL, (struct flag_set){ 0 });
	assert(empty == FLAG_SET_EMPTY);
	return t;
}

struct flag_sets *flag_sets_ref(struct flag_sets *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

static uint32_t chunk_size(uint32_t chunk)
{
	return (uint32_t)FIRST_CHUNK << chunk;
}

void flag_sets_unref(struct flag_sets **tp)
{
	struct flag_sets *t = *tp;
	uint32_t left;

	*tp = NULL;
	if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
		return;
	left = t->count;
	for (uint32_t c = 0; c < CHUNKS && t->chunks[c] != NULL; c++) {
		for (uint32_t i = 0; i < chunk_size(c) && left > 0; i++, left--)
			free(t->chunks[c][i].text);
		free(t->chunks[c]);
	}
	free(t->hashes);
	free(t->index);
	free(t);
}

/* ---- looking ---- */

static struct set *set_at(const struct flag_sets *t, uint32_t number)
{
	/* chunk c begins at FIRST_CHUNK * (2^c - 1) */
	uint32_t chunk = 31u - (uint32_t)__builtin_clz(number / FIRST_CHUNK + 1);

	return &t->chunks[chunk][number - FIRST_CHUNK * ((1u << chunk) - 1)];
}

struct flag_set flag_sets_get(const struct flag_sets *t, uint32_t number)
{
	const struct set *s = set_at(t, number);

	return (struct flag_set){ s->system, s->keyword_count, s->keywords };
}

struct span flag_sets_text(const struct flag_sets *t, uint32_t number)
{
	const struct set *s = set_at(t, number);

	return span_of(s->text, s->text_bytes);
}

uint32_t flag_sets_system(const struct flag_sets *t, uint32_t number)
{
	return set_at(t, number)->system;
}

/* ---- adding ---- */

/* The place in the index where the set stands, or a free one. */
static uint32_t *index_place(const struct flag_sets *t, struct flag_set set, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & (t->index_size - 1);

	for (;; at = (at + 1) & (t->index_size - 1)) {
		uint32_t number = t->index[at];

		if (number == 0 || (t->hashes[number - 1] == hash &&
				    flag_set_eq(flag_sets_get(t, number - 1), set)))
			return &t->index[at];
	}
}

static void index_grow(struct flag_sets *t)
{
	free(t->index);
	t->index_size *= 2;
	t->index = mem_zalloc(t->index_size, sizeof(*t->index));
	for (uint32_t n = 0; n < t->count; n++)
		*index_place(t, flag_sets_get(t, n), t->hashes[n]) = n + 1;
}

/* Keywords and text in one piece of memory; freed by its text. */
static void set_fill(struct set *s, const struct keywords *names, struct flag_set set,
		     size_t *bytes)
{
	struct buf text = { 0 };
	size_t tail = set.count * sizeof(*set.keywords);
	size_t at;

	value_text(names, set, &text);
	at = (text.bytes + 1) & ~(size_t)1; /* slots are two bytes wide */
	*s = (struct set){ set.system, set.count, (uint32_t)text.bytes, NULL, NULL };
	s->text = mem_alloc(at + tail);
	memcpy(s->text, text.at, text.bytes);
	if (set.count > 0) {
		s->keywords = (uint16_t *)(void *)(s->text + at);
		memcpy(s->keywords, set.keywords, tail);
	}
	*bytes += at + tail + sizeof(struct set) + sizeof(uint64_t) + 2 * sizeof(uint32_t);
	buf_free(&text);
}

static uint32_t add(struct flag_sets *t, const struct keywords *names, struct flag_set set)
{
	uint32_t number = t->count;
	uint32_t chunk = 31u - (uint32_t)__builtin_clz(number / FIRST_CHUNK + 1);

	assert(chunk < CHUNKS);
	if (t->chunks[chunk] == NULL)
		t->chunks[chunk] = mem_zalloc(chunk_size(chunk), sizeof(struct set));
	if (number == t->hash_capacity) {
		t->hash_capacity = t->hash_capacity < 8 ? 8 : t->hash_capacity * 2;
		t->hashes = mem_resize(t->hashes, t->hash_capacity, sizeof(*t->hashes));
	}
	if ((number + 1) * 2 > t->index_size)
		index_grow(t);
	t->hashes[number] = value_hash(names, set);
	set_fill(set_at(t, number), names, set, &t->bytes);
	*index_place(t, set, t->hashes[number]) = number + 1;
	t->count++;
	return number;
}

uint32_t flag_sets_intern(struct flag_sets *t, const struct keywords *names, struct flag_set set)
{
	uint32_t *place;

	if (set.system == 0 && set.count == 0)
		return FLAG_SET_EMPTY;
	place = index_place(t, set, value_hash(names, set));
	if (*place != 0)
		return *place - 1;
	assert(flag_set_valid(names, set));
	return add(t, names, set);
}

uint32_t flag_sets_numbers(const struct flag_sets *t)
{
	return t->count;
}

size_t flag_sets_bytes(const struct flag_sets *t)
{
	return t->bytes;
}
