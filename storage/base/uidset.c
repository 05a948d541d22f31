/* uidset.c: sets of UIDs as sorted, disjoint, non-adjacent ranges.
 *
 * Invariant, of every set between two calls: 1 <= lo <= hi in each range, and each lo is at least
 * two above the hi before it. Only uidset_append_raw() may break it, until uidset_normalise(). */
#include "storage/base/uidset.h"

#include "storage/base/err.h"

#include <assert.h>
#include <stdlib.h>

/* ---- memory ---- */

void uidset_free(struct uidset *s)
{
	free(s->at);
	*s = (struct uidset){ 0 };
}

void uidset_clear(struct uidset *s)
{
	s->count = 0;
}

static void reserve(struct uidset *s, size_t ranges)
{
	size_t capacity = s->capacity < 4 ? 4 : s->capacity;
	struct uid_range *at;

	if (ranges <= s->capacity)
		return;
	while (capacity < ranges)
		capacity *= 2;
	assert(capacity <= UINT32_MAX);
	at = realloc(s->at, capacity * sizeof(*at));
	if (at == NULL)
		abort(); /* as buf.h: bounds keep memory finite, not malloc */
	s->at = at;
	s->capacity = (uint32_t)capacity;
}

void uidset_append_raw(struct uidset *s, uint32_t lo, uint32_t hi)
{
	assert(lo >= 1 && lo <= hi);
	reserve(s, (size_t)s->count + 1);
	s->at[s->count++] = (struct uid_range){ lo, hi };
}

/* Put a range at the end that starts not before the last one does. */
static void append(struct uidset *s, uint32_t lo, uint32_t hi)
{
	struct uid_range *last = s->count > 0 ? &s->at[s->count - 1] : NULL;

	if (last == NULL || (lo > last->hi && lo - last->hi > 1))
		uidset_append_raw(s, lo, hi);
	else if (hi > last->hi)
		last->hi = hi;
}

/* The first range whose hi is not below `uid`; count if there is none. */
static uint32_t range_from(const struct uidset *s, uint32_t uid)
{
	uint32_t from = 0;
	uint32_t to = s->count;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (s->at[mid].hi < uid)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

/* Replace `old` ranges at `at` by room for `new` ones. */
static void splice(struct uidset *s, uint32_t at, uint32_t old, uint32_t new)
{
	uint32_t tail = s->count - at - old;

	reserve(s, (size_t)s->count - old + new);
	if (tail > 0)
		memmove(&s->at[at + new], &s->at[at + old], tail * sizeof(*s->at));
	s->count = s->count - old + new;
}

/* ---- changes ---- */

void uidset_add(struct uidset *s, uint32_t uid)
{
	uidset_add_range(s, uid, uid);
}

void uidset_add_range(struct uidset *s, uint32_t lo, uint32_t hi)
{
	uint32_t first;
	uint32_t end;

	assert(lo >= 1 && lo <= hi);
	if (s->count == 0 || lo >= s->at[s->count - 1].lo) {
		append(s, lo, hi);
		return;
	}
	first = range_from(s, lo - 1 > 0 ? lo - 1 : 1); /* an adjacent range is merged */
	for (end = first; end < s->count && (hi == UINT32_MAX || s->at[end].lo <= hi + 1); end++) {
		if (s->at[end].lo < lo)
			lo = s->at[end].lo;
		if (s->at[end].hi > hi)
			hi = s->at[end].hi;
	}
	splice(s, first, end - first, 1);
	s->at[first] = (struct uid_range){ lo, hi };
}

void uidset_remove_range(struct uidset *s, uint32_t lo, uint32_t hi)
{
	struct uid_range rest[2];
	uint32_t rests = 0;
	uint32_t first = range_from(s, lo);
	uint32_t end = first;

	assert(lo >= 1 && lo <= hi);
	while (end < s->count && s->at[end].lo <= hi)
		end++;
	if (end == first)
		return;
	if (s->at[first].lo < lo)
		rest[rests++] = (struct uid_range){ s->at[first].lo, lo - 1 };
	if (s->at[end - 1].hi > hi)
		rest[rests++] = (struct uid_range){ hi + 1, s->at[end - 1].hi };
	splice(s, first, end - first, rests);
	memcpy(&s->at[first], rest, rests * sizeof(*rest));
}

void uidset_copy(struct uidset *to, const struct uidset *from)
{
	assert(to != from);
	to->count = 0;
	reserve(to, from->count);
	if (from->count > 0)
		memcpy(to->at, from->at, from->count * sizeof(*from->at));
	to->count = from->count;
}

/* `s` becomes `with`, whose memory moves. */
static void replace(struct uidset *s, struct uidset *with)
{
	free(s->at);
	*s = *with;
}

void uidset_union(struct uidset *s, const struct uidset *other)
{
	struct uidset sum = { 0 };
	uint32_t i = 0;
	uint32_t k = 0;

	if (other->count == 0 || s == other)
		return;
	if (other->count == 1) {
		uidset_add_range(s, other->at[0].lo, other->at[0].hi);
		return;
	}
	while (i < s->count || k < other->count) {
		const struct uid_range *r;

		if (k == other->count || (i < s->count && s->at[i].lo <= other->at[k].lo))
			r = &s->at[i++];
		else
			r = &other->at[k++];
		append(&sum, r->lo, r->hi);
	}
	replace(s, &sum);
}

void uidset_intersect(struct uidset *s, const struct uidset *other)
{
	struct uidset both = { 0 };
	uint32_t i = 0;
	uint32_t k = 0;

	if (s == other)
		return;
	while (i < s->count && k < other->count) {
		struct uid_range a = s->at[i];
		struct uid_range b = other->at[k];
		uint32_t lo = a.lo > b.lo ? a.lo : b.lo;
		uint32_t hi = a.hi < b.hi ? a.hi : b.hi;

		if (lo <= hi)
			uidset_append_raw(&both, lo, hi);
		if (a.hi <= b.hi)
			i++;
		else
			k++;
	}
	replace(s, &both);
}

void uidset_subtract(struct uidset *s, const struct uidset *other)
{
	struct uidset rest = { 0 };
	uint32_t k = 0;

	if (s->count == 0 || other->count == 0)
		return;
	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t lo = s->at[i].lo;
		uint32_t hi = s->at[i].hi;

		while (k < other->count && other->at[k].hi < lo)
			k++;
		for (uint32_t m = k; m < other->count && other->at[m].lo <= hi; m++) {
			if (other->at[m].lo > lo)
				uidset_append_raw(&rest, (uint32_t)lo, other->at[m].lo - 1);
			lo = (uint64_t)other->at[m].hi + 1;
			if (lo > hi)
				break;
		}
		if (lo <= hi)
			uidset_append_raw(&rest, (uint32_t)lo, hi);
	}
	replace(s, &rest);
}

static int range_order(const void *a, const void *b)
{
	uint32_t x = ((const struct uid_range *)a)->lo;
	uint32_t y = ((const struct uid_range *)b)->lo;

	return x < y ? -1 : x > y;
}

void uidset_normalise(struct uidset *s)
{
	uint32_t raw = s->count;
	bool sorted = true;

	for (uint32_t i = 1; i < raw && sorted; i++)
		sorted = s->at[i - 1].lo <= s->at[i].lo;
	if (!sorted)
		qsort(s->at, raw, sizeof(*s->at), range_order);
	s->count = 0;
	for (uint32_t i = 0; i < raw; i++)
		append(s, s->at[i].lo, s->at[i].hi); /* writes at or below i */
}

void uidset_take_first(struct uidset *s, uint64_t n, struct uidset *ret)
{
	uint32_t whole = 0;

	assert(ret->count == 0 && ret != s);
	while (whole < s->count && n > 0) {
		struct uid_range *r = &s->at[whole];
		uint64_t size = (uint64_t)r->hi - r->lo + 1;

		if (size > n) {
			uidset_append_raw(ret, r->lo, r->lo + (uint32_t)n - 1);
			r->lo += (uint32_t)n;
			break;
		}
		uidset_append_raw(ret, r->lo, r->hi);
		n -= size;
		whole++;
	}
	splice(s, 0, whole, 0);
}

/* ---- looking ---- */

bool uidset_has(const struct uidset *s, uint32_t uid)
{
	uint32_t i = range_from(s, uid);

	return i < s->count && s->at[i].lo <= uid;
}

bool uidset_eq(const struct uidset *a, const struct uidset *b)
{
	if (a->count != b->count)
		return false;
	return a->count == 0 || memcmp(a->at, b->at, a->count * sizeof(*a->at)) == 0;
}

uint64_t uidset_size(const struct uidset *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->count; i++)
		n += (uint64_t)s->at[i].hi - s->at[i].lo + 1;
	return n;
}

uint32_t uidset_min(const struct uidset *s)
{
	return s->count == 0 ? 0 : s->at[0].lo;
}

uint32_t uidset_max(const struct uidset *s)
{
	return s->count == 0 ? 0 : s->at[s->count - 1].hi;
}

uint32_t uidset_nth(const struct uidset *s, uint64_t n)
{
	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t size = (uint64_t)s->at[i].hi - s->at[i].lo + 1;

		if (n < size)
			return s->at[i].lo + (uint32_t)n;
		n -= size;
	}
	assert(n < uidset_size(s));
	abort();
}

/* ---- bytes ---- */

enum { RANGE_MAX_BYTES = 10, COUNT_MAX_BYTES = 5 }; /* varints of 32 bits: 5 bytes each */

static size_t encode(const struct uidset *s, uint8_t *out)
{
	size_t n = 0;
	uint32_t next = 1; /* the lowest lo that may follow */

	if (s->count == 0)
		return 0;
	n += varint_put(out, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		n += varint_put(out + n, s->at[i].lo - next);
		n += varint_put(out + n, s->at[i].hi - s->at[i].lo);
		next = s->at[i].hi + 2; /* after the last range it may wrap, unused */
	}
	return n;
}

void uidset_encode(const struct uidset *s, struct buf *out)
{
	buf_reserve(out, COUNT_MAX_BYTES + (size_t)s->count * RANGE_MAX_BYTES);
	out->bytes += encode(s, (uint8_t *)out->at + out->bytes);
}

ProtobufCBinaryData uidset_encode_arena(const struct uidset *s, struct arena *a)
{
	ProtobufCBinaryData d = { 0 };
	uint8_t counted[COUNT_MAX_BYTES * 2];
	size_t bytes;
	uint32_t next = 1;

	if (s->count == 0)
		return d;
	bytes = varint_put(counted, s->count);
	for (uint32_t i = 0; i < s->count; i++) { /* a pass to know the size: arenas don't shrink */
		bytes += varint_put(counted, s->at[i].lo - next);
		bytes += varint_put(counted, s->at[i].hi - s->at[i].lo);
		next = s->at[i].hi + 2;
	}
	d.data = arena_alloc(a, bytes);
	d.len = encode(s, d.data);
	assert(d.len == bytes);
	return d;
}

int uidset_decode(struct span bytes, uint32_t max_ranges, struct uidset *ret)
{
	struct uidset s = { 0 };
	struct uidset_iter it;
	struct uid_range r;

	uidset_iter_init(&it, bytes);
	if (it.left > max_ranges)
		return ERR_CORRUPT;
	if (!it.corrupt)
		reserve(&s, it.left);
	while (uidset_iter_next(&it, &r))
		uidset_append_raw(&s, r.lo, r.hi);
	if (it.corrupt) {
		uidset_free(&s);
		return ERR_CORRUPT;
	}
	replace(ret, &s);
	return OK;
}

/* A varint in its shortest form, at most `max`: only so equal sets have equal bytes. */
static bool iter_varint(struct uidset_iter *it, uint64_t max, uint64_t *ret)
{
	const uint8_t *from = it->at;

	if (!varint_get(&it->at, it->end, ret) || *ret > max)
		return false;
	return it->at - from == 1 || it->at[-1] != 0;
}

void uidset_iter_init(struct uidset_iter *it, struct span bytes)
{
	*it = (struct uidset_iter){ .at = (const uint8_t *)bytes.at };
	it->end = it->at == NULL ? NULL : it->at + bytes.bytes;
	if (bytes.bytes == 0)
		return;
	/* A range takes at least two bytes, so a count never promises more than came. */
	if (!iter_varint(it, bytes.bytes / 2, &it->left) || it->left == 0) {
		it->corrupt = true;
		it->left = 0;
	}
}

bool uidset_iter_next(struct uidset_iter *it, struct uid_range *ret)
{
	uint64_t next = it->last == 0 ? 1 : it->last + 2;
	uint64_t skip;
	uint64_t more;

	if (it->corrupt || it->left == 0) {
		it->corrupt = it->corrupt || it->at != it->end;
		return false;
	}
	if (next > UINT32_MAX || !iter_varint(it, UINT32_MAX - next, &skip) ||
	    !iter_varint(it, UINT32_MAX - next - skip, &more)) {
		it->corrupt = true;
		return false;
	}
	it->left--;
	it->last = next + skip + more;
	*ret = (struct uid_range){ (uint32_t)(next + skip), (uint32_t)it->last };
	return true;
}

void uidset_text(const struct uidset *s, struct buf *out)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (i > 0)
			buf_putc(out, ',');
		buf_put_u64(out, s->at[i].lo);
		if (s->at[i].lo < s->at[i].hi) {
			buf_putc(out, ':');
			buf_put_u64(out, s->at[i].hi);
		}
	}
}
