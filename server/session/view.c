/* view.c: the bitmap gives both directions: a UID's rank is its sequence number, and the n-th
 * element is the UID at position n. CRoaring keeps dense runs as ranges, so a view of a million
 * messages costs kilobytes, and of ten some hundred bytes. */
#include "server/session/view.h"

#include "storage/base/err.h"

#include <assert.h>
#include <roaring/roaring.h>

enum { READ_AT_ONCE = 256 };

void view_free(struct view *v)
{
	if (v->uids != NULL)
		roaring_bitmap_free(v->uids);
	uidset_free(&v->held);
	*v = (struct view){ 0 };
}

static void add_range(struct view *v, uint32_t lo, uint32_t hi)
{
	if (v->uids == NULL) {
		v->uids = roaring_bitmap_create();
		if (v->uids == NULL)
			abort();
	}
	roaring_bitmap_add_range_closed(v->uids, lo, hi);
	v->exists += hi - lo + 1; /* all of them were new */
	if (v->uidnext <= hi)
		v->uidnext = hi < UINT32_MAX ? hi + 1 : hi;
}

void view_reset(struct view *v, const struct uidset *all, uint32_t uidnext, modseq seen)
{
	view_free(v);
	for (uint32_t i = 0; i < all->count; i++)
		add_range(v, all->at[i].lo, all->at[i].hi);
	v->seen = seen.v;
	if (uidnext > v->uidnext)
		v->uidnext = uidnext;
}

/* ---- looking ---- */

modseq view_told(const struct view *v)
{
	return (modseq){ view_holds(v) ? v->held_from - 1 : v->seen };
}

bool view_holds(const struct view *v)
{
	return v->held.count > 0;
}

bool view_uid_at(const struct view *v, seqno n, msg_uid *ret)
{
	return n.v >= 1 && n.v <= v->exists && roaring_bitmap_select(v->uids, n.v - 1, &ret->v);
}

bool view_has(const struct view *v, msg_uid uid)
{
	return v->uids != NULL && roaring_bitmap_contains(v->uids, uid.v);
}

bool view_seqno_of(const struct view *v, msg_uid uid, seqno *ret)
{
	if (!view_has(v, uid))
		return false;
	ret->v = (uint32_t)roaring_bitmap_rank(v->uids, uid.v);
	return true;
}

uint32_t view_highest_uid(const struct view *v)
{
	return v->exists == 0 ? 0 : roaring_bitmap_maximum(v->uids);
}

/* Put the view's UIDs in lo .. hi, but at most `max` of them, at the end of `ret`. */
static void put_uids(const struct view *v, uint32_t lo, uint32_t hi, uint32_t max,
		     struct uidset *ret)
{
	roaring_uint32_iterator_t it;
	uint32_t uids[READ_AT_ONCE];
	uint32_t n;

	if (v->exists == 0)
		return;
	roaring_init_iterator(v->uids, &it);
	if (!roaring_move_uint32_iterator_equalorlarger(&it, lo))
		return;
	do {
		n = roaring_read_uint32_iterator(&it, uids, READ_AT_ONCE);
		for (uint32_t i = 0; i < n; i++, max--) {
			if (uids[i] > hi || max == 0)
				return;
			uidset_add(ret, uids[i]);
		}
	} while (n == READ_AT_ONCE);
}

void view_uids(const struct view *v, struct uidset *ret)
{
	uidset_clear(ret);
	put_uids(v, 1, UINT32_MAX, UINT32_MAX, ret);
}

void view_intersect(const struct view *v, struct uidset *s)
{
	struct uidset both = { 0 };

	for (uint32_t i = 0; i < s->count; i++)
		put_uids(v, s->at[i].lo, s->at[i].hi, UINT32_MAX, &both);
	uidset_free(s);
	*s = both;
}

/* "5:*" uses the number 5, whatever "*" is. */
static bool is_within(const struct seq_set *seqnos, uint32_t exists)
{
	for (uint32_t i = 0; i < seqnos->count; i++)
		if (exists == 0 || seqnos->at[i].lo > exists || seqnos->at[i].hi > exists)
			return false;
	return true;
}

int view_resolve_seqnos(const struct view *v, const struct seq_set *seqnos, struct uidset *ret)
{
	struct uidset numbers = { 0 };
	msg_uid first = { 0 };

	static_assert(SEQ_STAR == 0, "is below every bound");
	assert(!seqnos->saved);
	if (!is_within(seqnos, v->exists))
		return ERR_BAD_INPUT;
	seq_set_resolve(seqnos, v->exists, &numbers);
	uidset_clear(ret);
	for (uint32_t i = 0; i < numbers.count; i++) {
		struct uid_range r = numbers.at[i];
		bool there = view_uid_at(v, (seqno){ r.lo }, &first);

		assert(there);
		put_uids(v, first.v, UINT32_MAX, r.hi - r.lo + 1, ret);
	}
	uidset_free(&numbers);
	return OK;
}

/* ---- taking over ---- */

static void hold(struct view *v, const struct uidset *gone)
{
	if (gone->count == 0)
		return;
	if (!view_holds(v))
		v->held_from = v->seen + 1;
	uidset_union(&v->held, gone);
}

void view_hold(struct view *v, const struct uidset *vanished)
{
	struct uidset gone = { 0 };

	uidset_copy(&gone, vanished);
	view_intersect(v, &gone);
	hold(v, &gone);
	uidset_free(&gone);
}

void view_hold_missing(struct view *v, const struct uidset *all)
{
	struct uidset gone = { 0 };

	view_uids(v, &gone);
	uidset_subtract(&gone, all);
	hold(v, &gone);
	uidset_free(&gone);
}

bool view_add(struct view *v, const struct uidset *new_uids)
{
	uint32_t before = v->exists;
	uint32_t from = v->uidnext > 0 ? v->uidnext : 1;

	for (uint32_t i = 0; i < new_uids->count; i++) {
		struct uid_range r = new_uids->at[i];

		if (r.hi >= from)
			add_range(v, r.lo > from ? r.lo : from, r.hi);
	}
	return v->exists > before;
}

void view_advance(struct view *v, modseq seen, uint32_t uidnext)
{
	if (seen.v > v->seen)
		v->seen = seen.v;
	if (uidnext > v->uidnext)
		v->uidnext = uidnext;
}

/* ---- telling ---- */

void view_tell_vanished(struct view *v, struct uidset *gone)
{
	uidset_free(gone);
	*gone = v->held;
	v->held = (struct uidset){ 0 };
	for (uint32_t i = 0; i < gone->count; i++)
		roaring_bitmap_remove_range_closed(v->uids, gone->at[i].lo, gone->at[i].hi);
	v->exists -= (uint32_t)uidset_size(gone);
}

void view_tell_expunge(struct view *v, void (*tell)(void *data, seqno n), void *data,
		       struct uidset *gone)
{
	for (uint32_t i = v->held.count; i > 0; i--) {
		struct uid_range r = v->held.at[i - 1];
		uint32_t top = (uint32_t)roaring_bitmap_rank(v->uids, r.hi);

		for (uint32_t n = r.hi - r.lo + 1; n > 0; n--) /* held ones are neighbours, too */
			tell(data, (seqno){ top-- });
	}
	view_tell_vanished(v, gone);
}

size_t view_bytes(const struct view *v)
{
	size_t bytes = sizeof(*v) + v->held.capacity * sizeof(*v->held.at);

	return bytes + (v->uids != NULL ? roaring_bitmap_size_in_bytes(v->uids) : 0);
}

bool view_check(const struct view *v)
{
	struct uidset uids = { 0 };
	struct uidset held = { 0 };
	bool good;

	view_uids(v, &uids);
	uidset_copy(&held, &v->held);
	uidset_subtract(&held, &uids);
	good = held.count == 0 && uidset_size(&uids) == v->exists &&
	       (v->exists == 0 || uidset_max(&uids) < v->uidnext) && view_told(v).v <= v->seen;
	uidset_free(&uids);
	uidset_free(&held);
	return good;
}
