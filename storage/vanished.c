/* vanished.c: the rows as they were encoded, oldest first, in an array that is used from `first`
 * on.
 *
 * Invariants:
 *   E1  modseqs rise.
 *   E2  rows above `floor` have their sets, which were looked through once and are good; the sets
 *       of the others are forgotten. */
#include "storage/vanished.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/mem.h"

#include <assert.h>
#include <string.h>

struct row {
	uint64_t modseq;
	uint8_t *uids;
	uint32_t bytes;
};

struct vanished {
	uint64_t floor;
	struct row *rows;
	uint32_t first;
	uint32_t kept; /* the first that has its set */
	uint32_t end;
	uint32_t capacity;
	size_t bytes; /* of the sets */
};

struct vanished *vanished_new(uint64_t floor)
{
	struct vanished *v = mem_zalloc(1, sizeof(*v));

	v->floor = floor;
	return v;
}

/* The oldest set that is kept goes; its row stays. */
static void forget_oldest(struct vanished *v)
{
	struct row *r = &v->rows[v->kept++];

	v->floor = r->modseq;
	v->bytes -= r->bytes;
	free(r->uids);
	r->uids = NULL;
}

void vanished_free(struct vanished **vp)
{
	struct vanished *v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	while (v->kept < v->end)
		forget_oldest(v);
	free(v->rows);
	free(v);
}

size_t vanished_bytes(const struct vanished *v)
{
	return sizeof(*v) + v->capacity * sizeof(*v->rows) + v->bytes;
}

static bool is_good(struct span encoded)
{
	struct uidset_iter it;
	struct uid_range r;

	uidset_iter_init(&it, encoded);
	while (uidset_iter_next(&it, &r))
		continue;
	return !it.corrupt && encoded.bytes <= UINT32_MAX;
}

static void make_room(struct vanished *v)
{
	if (v->end < v->capacity)
		return;
	if (v->first > v->capacity / 2) {
		memmove(v->rows, &v->rows[v->first], (v->end - v->first) * sizeof(*v->rows));
		v->end -= v->first;
		v->kept -= v->first;
		v->first = 0;
		return;
	}
	v->capacity = v->capacity == 0 ? 4 : v->capacity * 2;
	v->rows = mem_resize(v->rows, v->capacity, sizeof(*v->rows));
}

int vanished_add(struct vanished *v, uint64_t seq, struct span encoded)
{
	uint64_t last = v->first < v->end ? v->rows[v->end - 1].modseq : v->floor;
	struct row *r;

	if (seq <= last || !is_good(encoded))
		return ERR_CORRUPT;
	make_room(v);
	r = &v->rows[v->end++];
	*r = (struct row){ seq, mem_alloc(encoded.bytes), (uint32_t)encoded.bytes };
	if (encoded.bytes > 0)
		memcpy(r->uids, encoded.at, encoded.bytes);
	v->bytes += encoded.bytes;
	while (v->bytes > VANISHED_MEMORY_MAX_BYTES)
		forget_oldest(v);
	return OK;
}

void vanished_prune(struct vanished *v, uint64_t to)
{
	while (v->first < v->end && v->rows[v->first].modseq <= to) {
		if (v->kept == v->first)
			forget_oldest(v);
		v->first++;
	}
	if (to > v->floor)
		v->floor = to;
}

uint64_t vanished_oldest(const struct vanished *v, uint32_t n, uint32_t *rows)
{
	uint32_t have = v->end - v->first;

	*rows = n < have ? n : have;
	return *rows == 0 ? 0 : v->rows[v->first + *rows - 1].modseq;
}

bool vanished_reaches(const struct vanished *v, uint64_t since)
{
	return since >= v->floor;
}

/* The first row with a modseq above `since`. */
static uint32_t row_after(const struct vanished *v, uint64_t since)
{
	uint32_t from = v->kept;
	uint32_t to = v->end;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (v->rows[mid].modseq <= since)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

void vanished_after(const struct vanished *v, uint64_t since, uint64_t until, struct uidset *ret)
{
	assert(vanished_reaches(v, since));
	uidset_clear(ret);
	for (uint32_t i = row_after(v, since); i < v->end && v->rows[i].modseq <= until; i++) {
		struct uidset_iter it;
		struct uid_range r;

		uidset_iter_init(&it, span_of(v->rows[i].uids, v->rows[i].bytes));
		while (uidset_iter_next(&it, &r))
			uidset_append_raw(ret, r.lo, r.hi);
		assert(!it.corrupt); /* E2 */
	}
	uidset_normalise(ret);
}
