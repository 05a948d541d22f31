/* read_search.c: the reader behind SEARCH: walks the messages of the session's view and asks the
 * matcher (search_match.h) of each. What the pin alone decides costs nothing more; of the others
 * the rows are read for many at once. The UIDs that were found stand in the last frame; a long
 * search hands out empty frames before it, so that it can be cancelled and others get the thread.
 *
 * If only the highest is asked for (RFC 4731, 3.1) and the store is needed, it goes backwards. */
#include "replication/reader_kinds.h"
#include "replication/search_match.h"
#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/mem.h"

#include <glib.h>

enum {
	LOOKUP_MESSAGES = 64, /* message rows read at once */
	SLICE_MILLISECONDS = 100,
};

/* A message that the pin does not exclude. */
struct candidate {
	const struct page_entry *entry; /* the pin's */
	enum match match;               /* MATCH_UNKNOWN and not found: gone */
	bool found;
	struct message_info info;
};

struct search_reader {
	struct reader r; /* first */
	const Tm__SearchMessages *request;
	struct search_matcher *matcher;
	struct uidset uids, recent, found;
	struct arena arena; /* of the answer */
	uint64_t highest, min, max;

	struct pages_walk walk;
	bool started;
	bool decided; /* the one that is asked for was found */
	struct candidate batch[LOOKUP_MESSAGES];
	unsigned batch_count, lookup_at;
	/* Backwards only: all candidates, taken from the end. */
	GArray *all; /* const struct page_entry *; NULL: forwards */
};

static struct search_context context(struct search_reader *s)
{
	return (struct search_context){ .pin = s->r.pin,
					.store = s->r.store,
					.partition = s->r.partition,
					.recent = &s->recent,
					.now = clock_real_seconds() };
}

/* ---- which messages ---- */

/* The next message that the pin does not exclude, forwards. NULL at the end. */
static const struct page_entry *walk_on(struct search_reader *s, const struct search_context *c,
					enum match *match)
{
	const struct page_entry *e;

	while ((e = pages_walk_next(&s->walk)) != NULL) {
		s->r.progress++;
		*match = search_matcher_glance(s->matcher, c, e);
		if (*match != MATCH_NO)
			return e;
	}
	return NULL;
}

static const struct page_entry *next_candidate(struct search_reader *s,
					       const struct search_context *c, enum match *match)
{
	const struct page_entry *e;

	if (s->all == NULL)
		return walk_on(s, c, match);
	if (s->all->len == 0)
		return NULL;
	e = g_array_index(s->all, const struct page_entry *, s->all->len - 1);
	g_array_set_size(s->all, s->all->len - 1);
	*match = search_matcher_glance(s->matcher, c, e);
	return e;
}

static void start(struct search_reader *s, const struct search_context *c)
{
	uint64_t least = search_matcher_least_modseq(s->matcher);
	const struct page_entry *e;
	enum match match;

	s->started = true;
	if (least > 0)
		pages_walk_changed(s->r.pin, &s->uids, least - 1, &s->walk);
	else
		pages_walk_start(s->r.pin, &s->uids, &s->walk);
	if (!s->request->only_max || s->request->only_min ||
	    !search_matcher_needs_store(s->matcher))
		return;
	s->all = g_array_new(FALSE, FALSE, sizeof(e));
	while ((e = walk_on(s, c, &match)) != NULL)
		g_array_append_val(s->all, e);
}

/* ---- batches ---- */

static int by_uid(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->entry->uid > y->entry->uid) - (x->entry->uid < y->entry->uid);
}

/* Gather some, ascending. */
static void gather(struct search_reader *s, const struct search_context *c)
{
	const struct page_entry *e;
	enum match match;

	s->batch_count = 0;
	while (s->batch_count < LOOKUP_MESSAGES && (e = next_candidate(s, c, &match)) != NULL)
		s->batch[s->batch_count++] = (struct candidate){ .entry = e, .match = match };
	if (s->all != NULL)
		qsort(s->batch, s->batch_count, sizeof(s->batch[0]), by_uid);
}

/* Rows come ascending, as they were asked for; some may be gone. */
static int row_is_there(void *data, msg_uid uid, const struct message_info *info)
{
	struct search_reader *s = data;

	for (; s->lookup_at < s->batch_count; s->lookup_at++) {
		struct candidate *k = &s->batch[s->lookup_at];

		if (k->entry->uid != uid.v)
			continue;
		k->info = *info;
		k->found = true;
		return OK;
	}
	return ERR_CORRUPT;
}

static int look_up(struct search_reader *s)
{
	msg_uid uids[LOOKUP_MESSAGES];
	size_t n = 0;

	for (unsigned i = 0; i < s->batch_count; i++)
		if (s->batch[i].match == MATCH_UNKNOWN)
			uids[n++].v = s->batch[i].entry->uid;
	s->lookup_at = 0;
	if (n == 0)
		return OK;
	return store_messages(s->r.store, s->r.partition, s->r.pin->id, uids, n, row_is_there, s);
}

static void take(struct search_reader *s, const struct page_entry *e)
{
	if (s->found.count == 0)
		s->min = e->modseq;
	s->max = e->modseq;
	if (e->modseq > s->highest)
		s->highest = e->modseq;
	uidset_add(&s->found, e->uid);
	s->decided = s->all != NULL || (s->request->only_min && !s->request->only_max);
}

static int test(struct search_reader *s, const struct search_context *c, struct candidate *k)
{
	bool matches = k->match == MATCH_YES;
	int rc = OK;

	if (k->match == MATCH_UNKNOWN && k->found)
		rc = search_matcher_test(s->matcher, c, k->entry, &k->info, &matches);
	if (rc == OK && matches)
		take(s, k->entry);
	return rc;
}

static int test_batch(struct search_reader *s, const struct search_context *c)
{
	int rc = look_up(s);

	for (unsigned i = 0; rc == OK && i < s->batch_count && !s->decided; i++)
		rc = test(s, c, &s->batch[s->all == NULL ? i : s->batch_count - 1 - i]);
	return rc;
}

/* ---- the reader ---- */

static void answer(struct search_reader *s, Tm__ReadFrame *frame)
{
	Tm__SearchAnswer *a = arena_alloc(&s->arena, sizeof(*a));

	tm__search_answer__init(a);
	a->uids = uidset_encode_arena(&s->found, &s->arena);
	a->highest_modseq = s->highest;
	a->min_modseq = s->min;
	a->max_modseq = s->max;
	frame->search = a;
	frame->end = true;
}

/* The pin alone decides: a million messages take some ten milliseconds. */
static void take_all(struct search_reader *s, const struct search_context *c)
{
	const struct page_entry *e;
	enum match match;

	while (!s->decided && (e = walk_on(s, c, &match)) != NULL)
		take(s, e);
}

static int next(struct reader *r, Tm__ReadFrame *frame)
{
	struct search_reader *s = (struct search_reader *)r;
	struct search_context c = context(s);
	uint64_t until = clock_boot_ms() + SLICE_MILLISECONDS;

	if (!s->started)
		start(s, &c);
	if (!search_matcher_needs_store(s->matcher)) {
		take_all(s, &c);
		answer(s, frame);
		return 0;
	}
	do {
		gather(s, &c);
		int rc = test_batch(s, &c);

		if (rc != OK)
			return rc;
		if (s->batch_count == 0 || s->decided) {
			answer(s, frame);
			return 0;
		}
	} while (clock_boot_ms() < until);
	return 1;
}

static void free_reader(struct reader *r)
{
	struct search_reader *s = (struct search_reader *)r;

	search_matcher_free(&s->matcher);
	uidset_free(&s->uids);
	uidset_free(&s->recent);
	uidset_free(&s->found);
	arena_free(&s->arena);
	if (s->all != NULL)
		g_array_free(s->all, TRUE);
	g_free(s);
}

int search_reader_new(const Tm__SearchMessages *request, struct reader **ret)
{
	struct search_reader *s = g_new0(struct search_reader, 1);

	s->r.next = next;
	s->r.free = free_reader;
	s->request = request;
	arena_init(&s->arena);
	int rc = search_matcher_new(span_of(request->program.data, request->program.len),
				    &s->matcher);
	if (rc == OK)
		rc = uidset_decode(span_of(request->uids.data, request->uids.len), UINT32_MAX,
				   &s->uids);
	if (rc == OK)
		rc = uidset_decode(span_of(request->recent.data, request->recent.len), UINT32_MAX,
				   &s->recent);
	if (rc != OK) {
		free_reader(&s->r);
		return ERR_BAD_INPUT;
	}
	*ret = &s->r;
	return OK;
}

int search_needs_store(const Tm__SearchMessages *request, bool *ret)
{
	struct search_matcher *m = NULL;
	int rc = search_matcher_new(span_of(request->program.data, request->program.len), &m);

	if (rc == OK)
		*ret = search_matcher_needs_store(m);
	search_matcher_free(&m);
	return rc;
}
