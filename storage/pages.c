/* pages.c: see pages.h. A persistent tree of fixed depth: header -> directories -> pages, each
 * reference-counted by those above it.
 *
 * A node may be written if and only if it and everything above it has one reference (G3). Since
 * only the owner adds references, one that the owner sees alone stays alone. Pages and directories
 * start small and double, so that a mailbox of three messages costs some hundred bytes. */
#include "storage/pages.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/mem.h"

#include <assert.h>
#include <string.h>

enum {
	PAGE_FIRST_ENTRIES = 8,
	DIR_FIRST_ENTRIES = 4,
	PAGE_MERGE_ENTRIES =
		PAGE_ENTRIES * 3 / 4, /* neighbours that together hold no more are one */
	DIR_MERGE_ENTRIES = DIR_ENTRIES * 3 / 4,
	TIDY_SETS_MIN = 1024,
};

struct page {
	_Atomic uint32_t refs;
	uint32_t capacity;
	struct page_entry at[]; /* as many as its summary's count */
};

struct page_dir {
	_Atomic uint32_t refs;
	uint16_t count; /* pages */
	uint16_t capacity;
	struct page_summary at[];
};
static_assert(sizeof(struct page_entry) == 20, "20 bytes a message");
static_assert(PAGE_ENTRIES * DIR_ENTRIES <= UINT16_MAX, "a directory's count fits its summary");

/* ---- counters ---- */

struct mailbox_counters counters_of_row(const Tm__CountersRow *row)
{
	return (struct mailbox_counters){
		.uidnext = row->uidnext,
		.highestmodseq = row->highestmodseq,
		.exists = row->exists,
		.unseen = row->unseen,
		.deleted = row->deleted,
		.bytes = row->bytes,
		.deleted_bytes = row->deleted_bytes,
		.horizon = row->horizon,
		.vanished_rows = row->vanished_rows,
		.recent_from = row->recent_from,
		.keywords_version = row->keywords_version,
	};
}

void counters_to_row(const struct mailbox_counters *c, Tm__CountersRow *row)
{
	tm__counters_row__init(row);
	row->uidnext = c->uidnext;
	row->highestmodseq = c->highestmodseq;
	row->exists = c->exists;
	row->unseen = c->unseen;
	row->deleted = c->deleted;
	row->bytes = c->bytes;
	row->deleted_bytes = c->deleted_bytes;
	row->horizon = c->horizon;
	row->vanished_rows = c->vanished_rows;
	row->recent_from = c->recent_from;
	row->keywords_version = c->keywords_version;
}

/* ---- references ---- */

static bool alone(const _Atomic uint32_t *refs)
{
	return atomic_load_explicit(refs, memory_order_acquire) == 1;
}

static void ref(_Atomic uint32_t *refs)
{
	atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* True: that was the last one, free it. */
static bool unref(_Atomic uint32_t *refs)
{
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

static struct page *page_new(uint32_t capacity)
{
	struct page *g = mem_alloc(sizeof(*g) + capacity * sizeof(g->at[0]));

	atomic_init(&g->refs, 1);
	g->capacity = capacity;
	return g;
}

static void page_drop(struct page *g)
{
	if (unref(&g->refs))
		free(g);
}

static struct page_dir *dir_new(uint16_t capacity)
{
	struct page_dir *d = mem_alloc(sizeof(*d) + capacity * sizeof(d->at[0]));

	atomic_init(&d->refs, 1);
	d->count = 0;
	d->capacity = capacity;
	return d;
}

static void dir_drop(struct page_dir *d)
{
	if (!unref(&d->refs))
		return;
	for (uint32_t i = 0; i < d->count; i++)
		page_drop(d->at[i].at.page);
	free(d);
}

/* The page of `s` with room for `entries`, and ours to write; the directory above already is. */
static struct page *page_own(struct page_summary *s, uint32_t entries)
{
	struct page *g = s->at.page;
	uint32_t capacity = g->capacity;
	struct page *copy;

	if (entries <= capacity && alone(&g->refs))
		return g;
	while (capacity < entries)
		capacity *= 2;
	copy = page_new(capacity);
	memcpy(copy->at, g->at, s->count * sizeof(g->at[0]));
	page_drop(g);
	s->at.page = copy;
	return copy;
}

/* The directory of `s` with room for `pages`, and ours to write; the header already is. */
static struct page_dir *dir_own(struct page_summary *s, uint32_t pages)
{
	struct page_dir *d = s->at.dir;
	uint32_t capacity = d->capacity;
	struct page_dir *copy;

	if (pages <= capacity && alone(&d->refs))
		return d;
	while (capacity < pages)
		capacity *= 2;
	copy = dir_new((uint16_t)capacity);
	copy->count = d->count;
	memcpy(copy->at, d->at, d->count * sizeof(d->at[0]));
	for (uint32_t i = 0; i < copy->count; i++)
		ref(&copy->at[i].at.page->refs);
	dir_drop(d);
	s->at.dir = copy;
	return copy;
}

/* ---- life ---- */

struct mailbox_pages *pages_new(mailbox_id id, uint32_t uidvalidity)
{
	struct mailbox_pages *p = mem_zalloc(1, sizeof(*p));

	atomic_init(&p->refs, 1);
	p->id = id;
	p->uidvalidity = uidvalidity;
	p->counters.uidnext = 1;
	p->counters.highestmodseq = 1;
	p->counters.recent_from = 1;
	p->keywords = keywords_new();
	p->sets = flag_sets_new();
	return p;
}

struct mailbox_pages *pages_pin(struct mailbox_pages *p)
{
	ref(&p->refs);
	return p;
}

void pages_drop(struct mailbox_pages **pp)
{
	struct mailbox_pages *p = *pp;

	*pp = NULL;
	if (p == NULL || !unref(&p->refs))
		return;
	for (uint32_t i = 0; i < p->dir_count; i++)
		dir_drop(p->dirs[i].at.dir);
	free(p->dirs);
	keywords_unref(&p->keywords);
	flag_sets_unref(&p->sets);
	free(p);
}

struct mailbox_pages *pages_writable(struct mailbox_pages **pp)
{
	struct mailbox_pages *p = *pp;
	struct mailbox_pages *copy;

	if (alone(&p->refs))
		return p;
	copy = mem_alloc(sizeof(*copy));
	atomic_init(&copy->refs, 1);
	copy->id = p->id;
	copy->uidvalidity = p->uidvalidity;
	copy->counters = p->counters;
	copy->keywords = keywords_ref(p->keywords);
	copy->sets = flag_sets_ref(p->sets);
	copy->dir_count = copy->dir_capacity = p->dir_count;
	copy->page_count = p->page_count;
	copy->dirs = mem_alloc(p->dir_count * sizeof(*p->dirs));
	for (uint32_t i = 0; i < p->dir_count; i++) {
		copy->dirs[i] = p->dirs[i];
		ref(&p->dirs[i].at.dir->refs);
	}
	pages_drop(pp);
	*pp = copy;
	return copy;
}

/* What the pages take while they are few, which may be small. */
static size_t small_bytes(const struct mailbox_pages *p)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < p->dir_count; i++) {
		const struct page_dir *d = p->dirs[i].at.dir;

		bytes += sizeof(*d) + d->capacity * sizeof(d->at[0]);
		for (uint32_t k = 0; k < d->count; k++)
			bytes += sizeof(struct page) +
				 d->at[k].at.page->capacity * sizeof(struct page_entry);
	}
	return bytes;
}

size_t pages_bytes(const struct mailbox_pages *p)
{
	size_t page = sizeof(struct page) + PAGE_ENTRIES * sizeof(struct page_entry);
	size_t dir = sizeof(struct page_dir) + DIR_ENTRIES * sizeof(struct page_summary);
	size_t bytes = p->page_count <= DIR_ENTRIES ? small_bytes(p)
						    : p->page_count * page + p->dir_count * dir;

	return sizeof(*p) + p->dir_capacity * sizeof(*p->dirs) + bytes +
	       keywords_bytes(p->keywords) + flag_sets_bytes(p->sets);
}

/* ---- summaries ---- */

static void summary_flags(struct page_summary *s, uint32_t system, bool more)
{
	uint16_t unseen = (system & FLAG_SEEN) == 0;
	uint16_t deleted = (system & FLAG_DELETED) != 0;

	s->unseen = (uint16_t)(more ? s->unseen + unseen : s->unseen - unseen);
	s->deleted = (uint16_t)(more ? s->deleted + deleted : s->deleted - deleted);
}

static void summary_append(struct page_summary *s, const struct page_entry *e, uint32_t system)
{
	if (s->count == 0)
		s->first = e->uid;
	s->last = e->uid;
	s->count++;
	summary_flags(s, system, true);
	if (e->modseq > s->modseq)
		s->modseq = e->modseq;
}

/* `more`, which follows it, becomes a part of it; `at` stays. */
static void summary_join(struct page_summary *s, const struct page_summary *more)
{
	if (s->count == 0)
		s->first = more->first;
	s->last = more->last;
	s->count = (uint16_t)(s->count + more->count);
	s->unseen = (uint16_t)(s->unseen + more->unseen);
	s->deleted = (uint16_t)(s->deleted + more->deleted);
	if (more->modseq > s->modseq)
		s->modseq = more->modseq;
}

static struct page_summary page_summarise(const struct flag_sets *sets, struct page *g,
					  uint32_t count)
{
	struct page_summary s = { .at.page = g };

	for (uint32_t i = 0; i < count; i++)
		summary_append(&s, &g->at[i], flag_sets_system(sets, g->at[i].set));
	return s;
}

static struct page_summary dir_summarise(struct page_dir *d)
{
	struct page_summary s = { .at.dir = d };

	for (uint32_t i = 0; i < d->count; i++)
		summary_join(&s, &d->at[i]);
	return s;
}

/* ---- appending ---- */

static struct page_summary *dir_add(struct mailbox_pages *p)
{
	if (p->dir_count == p->dir_capacity) {
		p->dir_capacity = p->dir_capacity == 0 ? 1 : p->dir_capacity * 2;
		p->dirs = mem_resize(p->dirs, p->dir_capacity, sizeof(*p->dirs));
	}
	p->dirs[p->dir_count] = (struct page_summary){ .at.dir = dir_new(DIR_FIRST_ENTRIES) };
	return &p->dirs[p->dir_count++];
}

/* The last page, with room for one more message, and its directory's summary. */
static struct page_summary *page_to_append(struct mailbox_pages *p, struct page_summary **dir)
{
	struct page_summary *s = p->dir_count > 0 ? &p->dirs[p->dir_count - 1] : dir_add(p);
	struct page_dir *d = s->at.dir;

	if (d->count == 0 || d->at[d->count - 1].count == PAGE_ENTRIES) {
		if (d->count == DIR_ENTRIES)
			s = dir_add(p);
		d = dir_own(s, s->at.dir->count + 1u);
		d->at[d->count++] =
			(struct page_summary){ .at.page = page_new(PAGE_FIRST_ENTRIES) };
		p->page_count++;
	} else {
		d = dir_own(s, d->count);
	}
	*dir = s;
	return &d->at[d->count - 1];
}

int pages_append(struct mailbox_pages *p, uint32_t uid, uint32_t set, uint64_t seq, uint32_t size)
{
	struct page_entry e = { uid, set, size, seq };
	uint32_t system = flag_sets_system(p->sets, set);
	struct page_summary *dir;
	struct page_summary *page;

	assert(alone(&p->refs));
	if (uid <= pages_highest_uid(p))
		return ERR_CORRUPT;
	page = page_to_append(p, &dir);
	page_own(page, page->count + 1u)->at[page->count] = e;
	summary_append(page, &e, system);
	summary_append(dir, &e, system);
	return OK;
}

/* ---- changing ---- */

/* The message at which the cursor stands (not past an end), in a page that may be written. */
static struct page_entry *entry_own(struct mailbox_pages *p, const struct pages_cursor *c,
				    uint64_t seq, struct page_summary **dir,
				    struct page_summary **page)
{
	struct page_dir *d;

	*dir = &p->dirs[c->dir];
	d = dir_own(*dir, (*dir)->at.dir->count);
	*page = &d->at[c->page];
	if (seq > (*dir)->modseq)
		(*dir)->modseq = seq;
	if (seq > (*page)->modseq)
		(*page)->modseq = seq;
	return &page_own(*page, (*page)->count)->at[c->at];
}

static void entry_set(struct mailbox_pages *p, const struct pages_cursor *c, uint32_t set,
		      uint64_t seq)
{
	struct page_summary *dir;
	struct page_summary *page;
	struct page_entry *e = entry_own(p, c, seq, &dir, &page);
	uint32_t before = flag_sets_system(p->sets, e->set);
	uint32_t after = flag_sets_system(p->sets, set);

	summary_flags(dir, before, false);
	summary_flags(page, before, false);
	summary_flags(dir, after, true);
	summary_flags(page, after, true);
	e->set = set;
	e->modseq = seq;
}

/* The cursor at the message with this uid; false if there is none. */
static bool cursor_find(const struct mailbox_pages *p, uint32_t uid, struct pages_cursor *ret)
{
	const struct page_entry *e;

	pages_start(p, ret);
	pages_seek(ret, uid);
	e = pages_next(ret, uid);
	if (e == NULL || e->uid != uid)
		return false;
	ret->at--; /* next() stands behind it, in the same page */
	return true;
}

int pages_set_flags(struct mailbox_pages *p, uint32_t uid, uint32_t set, uint64_t seq)
{
	struct pages_cursor c;

	assert(alone(&p->refs));
	if (!cursor_find(p, uid, &c))
		return ERR_NOT_FOUND;
	entry_set(p, &c, set, seq);
	return OK;
}

uint64_t pages_set_flags_all(struct mailbox_pages *p, const struct uidset *uids, uint32_t set,
			     uint64_t seq)
{
	struct pages_walk w;
	uint64_t missing = uidset_size(uids);

	assert(alone(&p->refs));
	pages_walk_start(p, uids, &w); /* works with positions, which do not change here */
	while (pages_walk_next(&w) != NULL) {
		struct pages_cursor c = w.c;

		c.at--;
		entry_set(p, &c, set, seq);
		missing--;
	}
	return missing;
}

int pages_touch(struct mailbox_pages *p, uint32_t uid, uint64_t seq)
{
	struct page_summary *dir;
	struct page_summary *page;
	struct pages_cursor c;

	assert(alone(&p->refs));
	if (!cursor_find(p, uid, &c))
		return ERR_NOT_FOUND;
	entry_own(p, &c, seq, &dir, &page)->modseq = seq;
	return OK;
}

/* ---- removing ---- */

/* Ranges of a set, passed in ascending order. */
struct sieve {
	const struct uidset *uids;
	uint32_t range;
};

/* Is some uid of the set within first .. last? Never asked with a lower `first` than before. */
static bool sieve_touches(struct sieve *v, uint32_t first, uint32_t last)
{
	while (v->range < v->uids->count && v->uids->at[v->range].hi < first)
		v->range++;
	return v->range < v->uids->count && v->uids->at[v->range].lo <= last;
}

/* Take the messages of the set out of a page; returns how many. */
static uint32_t page_filter(struct mailbox_pages *p, struct page_summary *s, struct sieve *v)
{
	struct page *g = page_own(s, s->count);
	uint32_t kept = 0;
	uint32_t gone;

	for (uint32_t i = 0; i < s->count; i++) {
		if (!sieve_touches(v, g->at[i].uid, g->at[i].uid))
			g->at[kept++] = g->at[i];
	}
	gone = s->count - kept;
	*s = page_summarise(p->sets, g, kept);
	return gone;
}

/* May `s` be joined to the page before it? */
static bool page_joins(const struct page_summary *before, const struct page_summary *s)
{
	return before->count + s->count <= PAGE_MERGE_ENTRIES;
}

/* Empty pages go; small neighbours become one. The directory is ours. */
static void dir_compact(struct mailbox_pages *p, struct page_dir *d)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < d->count; i++) {
		struct page_summary s = d->at[i];
		struct page_summary *before = kept > 0 ? &d->at[kept - 1] : NULL;

		if (s.count == 0) {
			page_drop(s.at.page);
		} else if (before != NULL && page_joins(before, &s)) {
			struct page *g = page_own(before, (uint32_t)before->count + s.count);

			memcpy(&g->at[before->count], s.at.page->at,
			       s.count * sizeof(struct page_entry));
			summary_join(before, &s);
			page_drop(s.at.page);
		} else {
			d->at[kept++] = s;
		}
	}
	p->page_count -= d->count - kept;
	d->count = (uint16_t)kept;
}

static uint32_t dir_filter(struct mailbox_pages *p, struct page_summary *s, struct sieve *v)
{
	struct page_dir *d = dir_own(s, s->at.dir->count);
	uint32_t gone = 0;

	for (uint32_t i = 0; i < d->count; i++)
		if (sieve_touches(v, d->at[i].first, d->at[i].last))
			gone += page_filter(p, &d->at[i], v);
	dir_compact(p, d);
	*s = dir_summarise(d);
	return gone;
}

/* `more` becomes a part of `s`, before it in the header. */
static void dir_join(struct page_summary *s, struct page_summary *more)
{
	struct page_dir *from = dir_own(more, more->at.dir->count);
	struct page_dir *to = dir_own(s, s->at.dir->count + (uint32_t)from->count);

	memcpy(&to->at[to->count], from->at, from->count * sizeof(from->at[0]));
	to->count = (uint16_t)(to->count + from->count);
	from->count = 0; /* its pages have moved */
	dir_drop(from);
	summary_join(s, more);
}

/* Empty directories go; small neighbours become one. */
static void header_compact(struct mailbox_pages *p)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < p->dir_count; i++) {
		struct page_summary s = p->dirs[i];
		struct page_summary *before = kept > 0 ? &p->dirs[kept - 1] : NULL;

		if (s.count == 0)
			dir_drop(s.at.dir);
		else if (before != NULL &&
			 before->at.dir->count + s.at.dir->count <= DIR_MERGE_ENTRIES)
			dir_join(before, &s);
		else
			p->dirs[kept++] = s;
	}
	p->dir_count = kept;
}

uint64_t pages_remove(struct mailbox_pages *p, const struct uidset *uids)
{
	struct sieve v = { uids, 0 };
	uint64_t gone = 0;

	assert(alone(&p->refs));
	for (uint32_t i = 0; i < p->dir_count; i++)
		if (sieve_touches(&v, p->dirs[i].first, p->dirs[i].last))
			gone += dir_filter(p, &p->dirs[i], &v);
	if (gone > 0)
		header_compact(p);
	return uidset_size(uids) - gone;
}

/* ---- keywords and sets of flags ---- */

/* Which of the slots some message carries. Walks everything. */
static void slots_carried(const struct mailbox_pages *p, bool carried[static MAILBOX_KEYWORDS_MAX])
{
	bool *seen = mem_zalloc(flag_sets_numbers(p->sets), sizeof(*seen));
	struct pages_cursor c;
	const struct page_entry *e;

	memset(carried, 0, MAILBOX_KEYWORDS_MAX * sizeof(*carried));
	pages_start(p, &c);
	while ((e = pages_next(&c, UINT32_MAX)) != NULL) {
		struct flag_set set;

		if (seen[e->set])
			continue;
		seen[e->set] = true;
		set = pages_flags(p, e);
		for (uint32_t i = 0; i < set.count; i++)
			carried[set.keywords[i]] = true;
	}
	free(seen);
}

int pages_set_keyword(struct mailbox_pages *p, uint32_t slot, struct span name)
{
	struct span old = keywords_name(p->keywords, slot);
	bool carried[MAILBOX_KEYWORDS_MAX];

	assert(alone(&p->refs));
	if (old.at != NULL && !span_eq_nocase(old, name)) {
		slots_carried(p, carried);
		if (carried[slot])
			return ERR_CORRUPT;
	}
	return keywords_set(&p->keywords, slot, name);
}

int pages_intern(struct mailbox_pages *p, struct flag_set set, uint32_t *ret)
{
	if (!flag_set_valid(p->keywords, set))
		return ERR_CORRUPT;
	*ret = flag_sets_intern(p->sets, p->keywords, set);
	return OK;
}

uint32_t pages_free_slots(const struct mailbox_pages *p, uint32_t enough)
{
	uint32_t n = MAILBOX_KEYWORDS_MAX - keywords_count(p->keywords);
	bool carried[MAILBOX_KEYWORDS_MAX];

	if (n >= enough)
		return enough;
	slots_carried(p, carried);
	for (uint32_t i = 0; i < MAILBOX_KEYWORDS_MAX && n < enough; i++)
		n += keywords_name(p->keywords, i).at != NULL && !carried[i];
	return n;
}

int pages_free_slot(const struct mailbox_pages *p, uint32_t from)
{
	bool carried[MAILBOX_KEYWORDS_MAX];

	for (uint32_t i = 0; i < MAILBOX_KEYWORDS_MAX; i++)
		if (keywords_name(p->keywords, i).at == NULL)
			return (int)i;
	slots_carried(p, carried);
	for (uint32_t i = 0; i < MAILBOX_KEYWORDS_MAX; i++) {
		uint32_t slot = (from + i) % MAILBOX_KEYWORDS_MAX;

		if (!carried[slot])
			return (int)slot;
	}
	return -1;
}

/* Replace the numbers of one page; `numbers`: old -> new + 1, 0: not yet known. */
static void page_renumber(struct mailbox_pages *p, struct flag_sets *to, struct page_summary *s,
			  uint32_t *numbers)
{
	struct page *g = page_own(s, s->count);

	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t *n = &numbers[g->at[i].set];

		if (*n == 0)
			*n = 1 + flag_sets_intern(to, p->keywords, pages_flags(p, &g->at[i]));
		g->at[i].set = *n - 1;
	}
}

void pages_tidy(struct mailbox_pages **pp)
{
	uint32_t count = flag_sets_numbers((*pp)->sets);
	struct mailbox_pages *p;
	struct flag_sets *to;
	uint32_t *numbers;

	if (count < TIDY_SETS_MIN || count / 4 < pages_exists(*pp))
		return;
	p = pages_writable(pp);
	to = flag_sets_new();
	numbers = mem_zalloc(count, sizeof(*numbers));
	for (uint32_t i = 0; i < p->dir_count; i++) {
		struct page_dir *d = dir_own(&p->dirs[i], p->dirs[i].at.dir->count);

		for (uint32_t k = 0; k < d->count; k++)
			page_renumber(p, to, &d->at[k], numbers);
	}
	free(numbers);
	flag_sets_unref(&p->sets);
	p->sets = to;
}

/* ---- looking ---- */

const struct page_entry *pages_find(const struct mailbox_pages *p, uint32_t uid)
{
	struct pages_cursor c;

	if (!cursor_find(p, uid, &c))
		return NULL;
	return &p->dirs[c.dir].at.dir->at[c.page].at.page->at[c.at];
}

uint32_t pages_exists(const struct mailbox_pages *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->dir_count; i++)
		n += p->dirs[i].count;
	return n;
}

uint32_t pages_highest_uid(const struct mailbox_pages *p)
{
	return p->dir_count == 0 ? 0 : p->dirs[p->dir_count - 1].last;
}

/* The summary, from `at` on, that holds the n-th message, which there is; *n becomes its place
 * below it. */
static const struct page_summary *summary_of_nth(const struct page_summary *at, uint32_t *n)
{
	while (*n > at->count)
		*n -= (at++)->count;
	return at;
}

uint32_t pages_uid_at(const struct mailbox_pages *p, uint32_t n)
{
	const struct page_summary *s;

	if (n == 0 || n > pages_exists(p))
		return 0;
	s = summary_of_nth(p->dirs, &n);
	s = summary_of_nth(s->at.dir->at, &n);
	return s->at.page->at[n - 1].uid;
}

static bool is_dense(const struct page_summary *s)
{
	return s->last - s->first + 1u == s->count;
}

static void page_uids(const struct page_summary *s, uint32_t from, struct uidset *ret)
{
	const struct page *g = s->at.page;

	if (from <= s->first && is_dense(s)) {
		uidset_add_range(ret, s->first, s->last);
		return;
	}
	for (uint32_t i = 0; i < s->count; i++)
		if (g->at[i].uid >= from)
			uidset_add(ret, g->at[i].uid);
}

void pages_uids(const struct mailbox_pages *p, uint32_t from, struct uidset *ret)
{
	struct pages_cursor c;

	uidset_clear(ret);
	pages_start(p, &c);
	pages_seek(&c, from);
	for (uint32_t i = c.dir; i < p->dir_count; i++, c.page = 0) {
		const struct page_summary *s = &p->dirs[i];

		if (from <= s->first && is_dense(s)) {
			uidset_add_range(ret, s->first, s->last);
			continue;
		}
		for (uint32_t k = c.page; k < s->at.dir->count; k++)
			page_uids(&s->at.dir->at[k], from, ret);
	}
}

void pages_existing(const struct mailbox_pages *p, const struct uidset *in, struct uidset *ret)
{
	struct pages_walk w;
	const struct page_entry *e;

	uidset_clear(ret);
	pages_walk_start(p, in, &w);
	while ((e = pages_walk_next(&w)) != NULL)
		uidset_add(ret, e->uid);
}

void pages_missing(const struct mailbox_pages *p, const struct uidset *in, struct uidset *ret)
{
	struct uidset there = { 0 };

	pages_existing(p, in, &there);
	uidset_copy(ret, in);
	uidset_subtract(ret, &there);
	uidset_free(&there);
}

uint32_t pages_first_unseen(const struct mailbox_pages *p)
{
	for (uint32_t i = 0; i < p->dir_count; i++) {
		const struct page_dir *d = p->dirs[i].at.dir;

		for (uint32_t k = 0; k < d->count && p->dirs[i].unseen > 0; k++) {
			const struct page *g = d->at[k].at.page;

			for (uint32_t m = 0; m < d->at[k].count && d->at[k].unseen > 0; m++)
				if (!(flag_sets_system(p->sets, g->at[m].set) & FLAG_SEEN))
					return g->at[m].uid;
		}
	}
	return 0;
}

/* ---- walking ---- */

void pages_start(const struct mailbox_pages *p, struct pages_cursor *ret)
{
	*ret = (struct pages_cursor){ .p = p };
}

/* The first of count summaries, from `from` on, whose last uid is not below `uid`. */
static uint32_t summary_seek(const struct page_summary *at, uint32_t from, uint32_t count,
			     uint32_t uid)
{
	if (from < count && at[from].last >= uid)
		return from; /* the near case */
	while (from < count) {
		uint32_t mid = from + (count - from) / 2;

		if (at[mid].last < uid)
			from = mid + 1;
		else
			count = mid;
	}
	return from;
}

static uint32_t entry_seek(const struct page *g, uint32_t from, uint32_t count, uint32_t uid)
{
	if (from < count && g->at[from].uid >= uid)
		return from;
	while (from < count) {
		uint32_t mid = from + (count - from) / 2;

		if (g->at[mid].uid < uid)
			from = mid + 1;
		else
			count = mid;
	}
	return from;
}

void pages_seek(struct pages_cursor *c, uint32_t uid)
{
	const struct mailbox_pages *p = c->p;
	uint32_t dir = summary_seek(p->dirs, c->dir, p->dir_count, uid);
	const struct page_dir *d;
	uint32_t page;

	if (dir != c->dir)
		*c = (struct pages_cursor){ p, dir, 0, 0 };
	if (dir == p->dir_count)
		return;
	d = p->dirs[dir].at.dir;
	page = summary_seek(d->at, c->page, d->count, uid);
	if (page != c->page)
		*c = (struct pages_cursor){ p, dir, page, 0 };
	if (page < d->count)
		c->at = entry_seek(d->at[page].at.page, c->at, d->at[page].count, uid);
}

const struct page_entry *pages_next(struct pages_cursor *c, uint32_t last)
{
	for (; c->dir < c->p->dir_count; c->dir++, c->page = 0) {
		const struct page_dir *d = c->p->dirs[c->dir].at.dir;

		for (; c->page < d->count; c->page++, c->at = 0) {
			const struct page_entry *e = &d->at[c->page].at.page->at[c->at];

			if (c->at == d->at[c->page].count)
				continue;
			if (e->uid > last)
				return NULL;
			c->at++;
			return e;
		}
	}
	return NULL;
}

/* What next_changed and next_deleted look for. */
struct wanted {
	uint64_t since;
	bool deleted;
};

static bool summary_wanted(const struct page_summary *s, const struct wanted *w)
{
	return w->deleted ? s->deleted > 0 : s->modseq > w->since;
}

static bool entry_wanted(const struct mailbox_pages *p, const struct page_entry *e,
			 const struct wanted *w)
{
	if (w->deleted)
		return (flag_sets_system(p->sets, e->set) & FLAG_DELETED) != 0;
	return e->modseq > w->since;
}

static const struct page_entry *page_next_wanted(struct pages_cursor *c,
						 const struct page_summary *s, uint32_t last,
						 const struct wanted *w)
{
	const struct page *g = s->at.page;

	while (c->at < s->count && g->at[c->at].uid <= last) {
		const struct page_entry *e = &g->at[c->at++];

		if (entry_wanted(c->p, e, w))
			return e;
	}
	return NULL;
}

static const struct page_entry *next_wanted(struct pages_cursor *c, uint32_t last,
					    const struct wanted *w)
{
	for (; c->dir < c->p->dir_count; c->dir++, c->page = 0, c->at = 0) {
		const struct page_summary *s = &c->p->dirs[c->dir];
		const struct page_dir *d = s->at.dir;

		if (s->first > last)
			return NULL;
		if (!summary_wanted(s, w))
			continue;
		for (; c->page < d->count; c->page++, c->at = 0) {
			const struct page_entry *e;

			if (d->at[c->page].first > last)
				return NULL;
			if (!summary_wanted(&d->at[c->page], w))
				continue;
			e = page_next_wanted(c, &d->at[c->page], last, w);
			if (e != NULL)
				return e;
			if (c->at < d->at[c->page].count)
				return NULL; /* beyond `last` */
		}
	}
	return NULL;
}

const struct page_entry *pages_next_changed(struct pages_cursor *c, uint32_t last, uint64_t since)
{
	return next_wanted(c, last, &(struct wanted){ .since = since });
}

const struct page_entry *pages_next_deleted(struct pages_cursor *c, uint32_t last)
{
	return next_wanted(c, last, &(struct wanted){ .deleted = true });
}

void pages_walk_start(const struct mailbox_pages *p, const struct uidset *uids,
		      struct pages_walk *ret)
{
	*ret = (struct pages_walk){ .uids = uids };
	pages_start(p, &ret->c);
}

void pages_walk_changed(const struct mailbox_pages *p, const struct uidset *uids, uint64_t since,
			struct pages_walk *ret)
{
	pages_walk_start(p, uids, ret);
	ret->since = since;
	ret->only_changed = true;
}

const struct page_entry *pages_walk_next(struct pages_walk *w)
{
	for (; w->range < w->uids->count; w->range++, w->inside = false) {
		struct uid_range r = w->uids->at[w->range];
		const struct page_entry *e;

		if (!w->inside) {
			pages_seek(&w->c, r.lo);
			w->inside = true;
		}
		e = w->only_changed ? pages_next_changed(&w->c, r.hi, w->since)
				    : pages_next(&w->c, r.hi);
		if (e != NULL)
			return e;
		if (w->c.dir == w->c.p->dir_count)
			break; /* nothing behind it, however many ranges are left */
	}
	w->range = w->uids->count;
	return NULL;
}

/* ---- checking ---- */

static bool summary_is(const struct page_summary *said, const struct page_summary *is)
{
	return is->count > 0 && said->count == is->count && said->unseen == is->unseen &&
	       said->deleted == is->deleted && said->first == is->first && said->last == is->last &&
	       said->modseq >= is->modseq;
}

int pages_check(const struct mailbox_pages *p)
{
	uint32_t exists = 0, unseen = 0, deleted = 0, pages = 0;
	uint32_t last = 0;

	for (uint32_t i = 0; i < p->dir_count; i++) {
		struct page_dir *d = p->dirs[i].at.dir;
		struct page_summary s = dir_summarise(d);

		for (uint32_t k = 0; k < d->count; k++) {
			struct page *g = d->at[k].at.page;
			struct page_summary is = page_summarise(p->sets, g, d->at[k].count);

			if (!summary_is(&d->at[k], &is))
				return ERR_CORRUPT;
			for (uint32_t m = 0; m < is.count; last = g->at[m++].uid)
				if (g->at[m].uid <= last)
					return ERR_CORRUPT;
		}
		if (!summary_is(&p->dirs[i], &s))
			return ERR_CORRUPT;
		exists += s.count;
		unseen += s.unseen;
		deleted += s.deleted;
		pages += d->count;
	}
	return exists == p->counters.exists && unseen == p->counters.unseen &&
			       deleted == p->counters.deleted && pages == p->page_count &&
			       last < p->counters.uidnext
		       ? OK
		       : ERR_CORRUPT;
}
