#include "replication/read_changes.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>

static void tell_keywords(const struct mailbox_pages *p, Tm__Changes *c, struct arena *a)
{
	uint32_t top = keywords_top(p->keywords);

	c->keywords = arena_alloc(a, (top + 1) * sizeof(*c->keywords));
	for (uint32_t i = 0; i < top; i++) {
		struct span name = keywords_name(p->keywords, i);

		if (name.at != NULL)
			c->keywords[c->n_keywords++] = arena_strdup(a, name);
	}
}

static void tell_counters(const struct mailbox_pages *p, const Tm__Known *known, Tm__Changes *c,
			  struct arena *a)
{
	const struct mailbox_counters *n = &p->counters;

	c->highestmodseq = n->highestmodseq;
	c->uidnext = n->uidnext;
	c->exists = n->exists;
	c->recent_from = n->recent_from;
	c->uidvalidity = p->uidvalidity;
	c->keywords_version = n->keywords_version;
	if (n->keywords_version != known->keywords_version || known->seen == 0) {
		tell_keywords(p, c, a);
		c->keywords_full = pages_free_slots(p, 1) == 0;
	}
	if (known->seen != 0)
		return;
	c->unseen = n->unseen;
	c->first_unseen_uid = n->unseen == 0 ? 0 : pages_first_unseen(p);
	c->bytes = n->bytes;
	c->deleted = n->deleted;
}

static void tell_new(const struct mailbox_pages *p, const Tm__Known *known, Tm__Changes *c,
		     struct arena *a)
{
	struct uidset uids = { 0 };

	if (p->counters.uidnext <= known->uidnext)
		return;
	pages_uids(p, known->uidnext, &uids);
	c->new_uids = uidset_encode_arena(&uids, a);
	uidset_free(&uids);
}

static void tell_vanished(const struct changes_source *s, const Tm__Known *known, Tm__Changes *c,
			  struct arena *a)
{
	struct uidset uids = { 0 };

	if (vanished_reaches(s->vanished, known->seen)) {
		vanished_after(s->vanished, known->seen, s->pages->counters.highestmodseq, &uids);
		c->vanished = uidset_encode_arena(&uids, a);
	} else {
		pages_uids(s->pages, 1, &uids);
		c->full = true;
		c->all_uids = uidset_encode_arena(&uids, a);
	}
	uidset_free(&uids);
}

static Tm__ChangedRow *row(struct arena *a, uint32_t uid, uint64_t at_modseq, struct span text)
{
	Tm__ChangedRow *r = arena_alloc(a, sizeof(*r));

	tm__changed_row__init(r);
	r->uid = uid;
	r->modseq = at_modseq;
	r->text = (ProtobufCBinaryData){ text.bytes, NULL };
	memcpy(&r->text.data, &text.at, sizeof(text.at)); /* read only */
	return r;
}

/* ring_text_put() into memory of its size. */
static struct span format(const struct mailbox_pages *p, const struct page_entry *e,
			  struct arena *a)
{
	size_t most = sizeof("UID 4294967295 ") + flag_sets_text(p->sets, e->set).bytes;
	struct buf b = { .at = arena_alloc(a, most), .capacity = most };
	const char *at = b.at;

	ring_text_put(p, e, &b);
	assert(b.at == at);
	return buf_span(&b);
}

/* False: they are more than a frame holds, and none was told. */
static bool rows_from_ring(const struct changes_source *s, const Tm__Known *known, Tm__Changes *c,
			   struct arena *a)
{
	size_t count, bytes = 0;
	const struct ring_change *const *changes =
		ring_after(s->ring, known->seen, known->uidnext, &count);

	c->rows = arena_alloc(a, (count + 1) * sizeof(*c->rows));
	for (size_t i = 0; i < count && bytes < READ_FRAME_MAX_BYTES; i++) {
		const struct ring_change *r = changes[i];
		struct span text = span_of(r->text, r->text_bytes);

		if (r->text_bytes == 0) {
			const struct page_entry *e = pages_find(s->pages, r->uid);

			if (e == NULL)
				continue;
			text = format(s->pages, e, a);
		}
		bytes += text.bytes;
		c->rows[c->n_rows++] = row(a, r->uid, r->modseq, text);
	}
	if (bytes < READ_FRAME_MAX_BYTES)
		return true;
	c->n_rows = 0;
	return false;
}

/* Rows from uid `from` on, as many as a frame holds; the UID of the next, or 0. */
static uint32_t rows_from_pages(const struct mailbox_pages *p, const Tm__Known *known,
				uint32_t from, Tm__Changes *c, struct arena *a)
{
	struct pages_cursor cursor;
	const struct page_entry *e;
	size_t capacity = 0, bytes = 0;

	if (known->uidnext <= 1)
		return 0;
	pages_start(p, &cursor);
	pages_seek(&cursor, from);
	while ((e = pages_next_changed(&cursor, known->uidnext - 1, known->seen)) != NULL) {
		if (bytes >= READ_FRAME_MAX_BYTES)
			return e->uid;
		if (c->n_rows == capacity) {
			Tm__ChangedRow **more;

			capacity = capacity == 0 ? 64 : 2 * capacity;
			more = arena_alloc(a, capacity * sizeof(*more));
			if (c->n_rows > 0)
				memcpy(more, c->rows, c->n_rows * sizeof(*more));
			c->rows = more;
		}
		struct span text = format(p, e, a);

		bytes += text.bytes;
		c->rows[c->n_rows++] = row(a, e->uid, e->modseq, text);
	}
	return 0;
}

Tm__Changes *read_changes(const struct changes_source *s, const Tm__Known *known, struct arena *a,
			  uint32_t *rest)
{
	Tm__Changes *c = arena_alloc(a, sizeof(*c));
	bool changed = known->seen != 0 && known->seen < s->pages->counters.highestmodseq;

	*rest = 0;
	tm__changes__init(c);
	tell_counters(s->pages, known, c, a);
	tell_new(s->pages, known, c, a);
	if (!changed)
		return c;
	tell_vanished(s, known, c, a);
	if (known->want_rows &&
	    !(ring_reaches(s->ring, known->seen) && rows_from_ring(s, known, c, a)))
		*rest = rows_from_pages(s->pages, known, 1, c, a);
	if (*rest != 0)
		c->highestmodseq = known->seen;
	return c;
}

Tm__Changes *read_more_rows(const struct mailbox_pages *p, const Tm__Known *known, struct arena *a,
			    uint32_t *rest)
{
	Tm__Changes *c = arena_alloc(a, sizeof(*c));
	Tm__Known names_told = *known;

	assert(*rest != 0 && known->seen != 0);
	names_told.keywords_version = p->counters.keywords_version;
	tm__changes__init(c);
	tell_counters(p, &names_told, c, a);
	*rest = rows_from_pages(p, known, *rest, c, a);
	if (*rest != 0)
		c->highestmodseq = known->seen;
	return c;
}

/* ---- VANISHED (EARLIER) ---- */

/* The members of a set, one by one. */
struct members {
	const struct uidset *set;
	uint32_t range;
	uint64_t next; /* 0: the first of the range */
};

/* 0 at the end. */
static uint32_t member_next(struct members *m)
{
	struct uid_range r;

	if (m->range == m->set->count)
		return 0;
	r = m->set->at[m->range];
	if (m->next == 0)
		m->next = r.lo;
	uint32_t n = (uint32_t)m->next++;
	if (n == r.hi) {
		m->range++;
		m->next = 0;
	}
	return n;
}

/* The UID up to which the client has missed nothing: of the highest pair of its sequence match data
 * before one that is not true any more. A pair that is true shows that no message below it went. */
static uint32_t matched_up_to(const struct mailbox_pages *p, const Tm__Vanished *v)
{
	struct uidset seqnos = { 0 }, uids = { 0 };
	uint32_t matched = 0;

	if (uidset_decode(span_of(v->match_seqnos.data, v->match_seqnos.len), UID_SET_MAX_RANGES,
			  &seqnos) == OK &&
	    uidset_decode(span_of(v->match_uids.data, v->match_uids.len), UID_SET_MAX_RANGES,
			  &uids) == OK) {
		struct members n = { .set = &seqnos }, uid = { .set = &uids };
		uint32_t pairs = 0, number, its_uid;

		while (pairs++ < QRESYNC_MATCH_MAX_PAIRS && (number = member_next(&n)) != 0 &&
		       (its_uid = member_next(&uid)) != 0 && pages_uid_at(p, number) == its_uid)
			matched = its_uid;
	}
	uidset_free(&seqnos);
	uidset_free(&uids);
	return matched;
}

ProtobufCBinaryData read_vanished(const struct changes_source *s, const Tm__Vanished *v,
				  struct arena *a)
{
	struct uidset gone = { 0 }, asked = { 0 };
	uint32_t uidnext = s->pages->counters.uidnext;

	/* Bytes that are no set cannot come from a session; too much said is never wrong. */
	if (v->uids.len == 0 ||
	    uidset_decode(span_of(v->uids.data, v->uids.len), UINT32_MAX, &asked) != OK)
		uidset_add_range(&asked, 1, UINT32_MAX);
	uidset_remove_range(&asked, uidnext, UINT32_MAX);
	if (vanished_reaches(s->vanished, v->since)) {
		vanished_after(s->vanished, v->since, s->pages->counters.highestmodseq, &gone);
		uidset_intersect(&gone, &asked);
	} else {
		uint32_t matched = matched_up_to(s->pages, v);

		pages_missing(s->pages, &asked, &gone);
		if (matched > 0)
			uidset_remove_range(&gone, 1, matched);
	}
	ProtobufCBinaryData out = uidset_encode_arena(&gone, a);
	uidset_free(&gone);
	uidset_free(&asked);
	return out;
}
