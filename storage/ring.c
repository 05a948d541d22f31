/* ring.c: a circular array of the newest changes, with a chained hash from uid to the newest change
 * of each message. It grows from RING_FIRST to RING_MAX_CHANGES, so a quiet mailbox costs nothing.
 *
 * Invariants:
 *   N1  modseqs do not fall from the oldest to the newest change.
 *   N2  a change is `newest` if and only if the hash leads to it, and there is one per uid.
 *   N3  each message whose flags changed after `floor` and that still exists has its newest change
 *       here. */
#include "storage/ring.h"

#include "storage/base/limits.h"
#include "storage/base/mem.h"

#include <assert.h>
#include <string.h>

enum { RING_FIRST = 16 };
static_assert((RING_MAX_CHANGES & (RING_MAX_CHANGES - 1)) == 0, "capacities are powers of two");
static_assert(RING_MAX_CHANGES < UINT16_MAX, "a place + 1 fits 16 bits");

struct place {
	struct ring_change c;
	uint16_t chain; /* the next place of the same bucket + 1; 0: none */
};

struct ring {
	uint64_t floor;
	uint32_t capacity; /* 0 or a power of two */
	uint32_t first;    /* the oldest */
	uint32_t count;
	struct place *at;
	uint16_t *buckets; /* capacity; place + 1 */
	const struct ring_change **answer;
	uint32_t answer_capacity;
};

struct ring *ring_new(uint64_t floor)
{
	struct ring *r = mem_zalloc(1, sizeof(*r));

	r->floor = floor;
	return r;
}

void ring_free(struct ring **rp)
{
	struct ring *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	free(r->at);
	free(r->buckets);
	free(r->answer);
	free(r);
}

size_t ring_bytes(const struct ring *r)
{
	return sizeof(*r) + r->capacity * (sizeof(*r->at) + sizeof(*r->buckets)) +
	       r->answer_capacity * sizeof(*r->answer);
}

/* ---- the hash ---- */

static uint16_t *bucket_of(const struct ring *r, uint32_t uid)
{
	return &r->buckets[(uid * 2654435761u >> 16) & (r->capacity - 1)];
}

static void link_place(struct ring *r, uint32_t place)
{
	uint16_t *bucket = bucket_of(r, r->at[place].c.uid);

	r->at[place].chain = *bucket;
	*bucket = (uint16_t)(place + 1);
	r->at[place].c.newest = true;
}

/* The change of this uid is not the newest any more, if there is one. */
static void unlink_uid(struct ring *r, uint32_t uid)
{
	uint16_t *link;

	if (r->capacity == 0)
		return;
	for (link = bucket_of(r, uid); *link != 0; link = &r->at[*link - 1].chain) {
		struct place *p = &r->at[*link - 1];

		if (p->c.uid == uid) {
			*link = p->chain;
			p->c.newest = false;
			return;
		}
	}
}

/* ---- the ring ---- */

static uint32_t place_at(const struct ring *r, uint32_t n)
{
	return (r->first + n) & (r->capacity - 1);
}

static void grow(struct ring *r)
{
	uint32_t capacity = r->capacity == 0 ? RING_FIRST : r->capacity * 2;
	struct place *at = mem_alloc(capacity * sizeof(*at));

	for (uint32_t i = 0; i < r->count; i++)
		at[i] = r->at[place_at(r, i)];
	free(r->at);
	free(r->buckets);
	r->at = at;
	r->buckets = mem_zalloc(capacity, sizeof(*r->buckets));
	r->capacity = capacity;
	r->first = 0;
	for (uint32_t i = 0; i < r->count; i++)
		if (at[i].c.newest)
			link_place(r, i);
}

static void drop_oldest(struct ring *r)
{
	const struct ring_change *c = &r->at[r->first].c;

	if (c->newest) { /* else a newer one, or the vanished rows, tell of it */
		r->floor = c->modseq;
		unlink_uid(r, c->uid);
	}
	r->first = place_at(r, 1);
	r->count--;
}

static void forget(struct ring *r, uint64_t floor)
{
	while (r->count > 0)
		drop_oldest(r);
	r->floor = floor;
}

static void put(struct ring *r, const struct mailbox_pages *p, const struct page_entry *e,
		uint64_t seq)
{
	struct span flags = flag_sets_text(p->sets, e->set);
	struct ring_change *c;
	uint32_t place;

	if (r->count == RING_MAX_CHANGES)
		drop_oldest(r);
	else if (r->count == r->capacity)
		grow(r);
	unlink_uid(r, e->uid);
	place = place_at(r, r->count++);
	c = &r->at[place].c;
	*c = (struct ring_change){ .modseq = seq, .uid = e->uid };
	link_place(r, place);
	if (flags.bytes + sizeof("UID 4294967295 ") <= RING_TEXT_BYTES) {
		struct buf text = { c->text, 0, RING_TEXT_BYTES };

		ring_text_put(p, e, &text); /* fits, so nothing is allocated */
		assert(text.at == c->text);
		c->text_bytes = (uint8_t)text.bytes;
	}
}

void ring_changed(struct ring *r, const struct mailbox_pages *p, const struct uidset *uids,
		  uint64_t seq)
{
	struct pages_walk w;
	const struct page_entry *e;

	if (uidset_size(uids) > RING_MAX_CHANGES) {
		forget(r, seq);
		return;
	}
	pages_walk_start(p, uids, &w);
	while ((e = pages_walk_next(&w)) != NULL)
		put(r, p, e, seq);
}

void ring_gone(struct ring *r, const struct uidset *uids)
{
	for (uint32_t i = 0; i < r->count; i++) {
		const struct ring_change *c = &r->at[place_at(r, i)].c;

		if (c->newest && uidset_has(uids, c->uid))
			unlink_uid(r, c->uid);
	}
}

/* ---- asking ---- */

bool ring_reaches(const struct ring *r, uint64_t since)
{
	return since >= r->floor;
}

static int by_uid(const void *a, const void *b)
{
	const struct ring_change *x = *(const struct ring_change *const *)a;
	const struct ring_change *y = *(const struct ring_change *const *)b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

const struct ring_change *const *ring_after(struct ring *r, uint64_t since, uint32_t below,
					    size_t *count)
{
	size_t n = 0;
	bool sorted = true;

	assert(ring_reaches(r, since));
	if (r->answer_capacity < r->capacity) {
		r->answer_capacity = r->capacity;
		r->answer = mem_resize(r->answer, r->capacity, sizeof(*r->answer));
	}
	for (uint32_t i = r->count; i > 0; i--) {
		const struct ring_change *c = &r->at[place_at(r, i - 1)].c;

		if (c->modseq <= since)
			break;
		if (!c->newest || c->uid >= below)
			continue;
		sorted = sorted && (n == 0 || r->answer[n - 1]->uid < c->uid);
		r->answer[n++] = c;
	}
	if (!sorted)
		qsort(r->answer, n, sizeof(*r->answer), by_uid);
	*count = n;
	return r->answer;
}

void ring_text_put(const struct mailbox_pages *p, const struct page_entry *e, struct buf *out)
{
	buf_put(out, "UID ", 4);
	buf_put_u64(out, e->uid);
	buf_putc(out, ' ');
	buf_put_span(out, flag_sets_text(p->sets, e->set));
}
