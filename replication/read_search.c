/* read_search.c: the reader behind SEARCH: walks the messages of the session's view and asks the
 * matcher (search_match.h) of each. One frame, the last: the UIDs that were found. */
#include <glib.h>

#include "replication/reader_kinds.h"
#include "replication/search_match.h"
#include "storage/base/clock.h"
#include "storage/base/err.h"

struct search_reader {
	struct reader r; /* first */
	const Tm__SearchMessages *request;
	struct search_matcher *matcher;
	struct uidset uids, recent, found;
	struct arena arena; /* of the answer */
	uint64_t highest, min, max;
};

static void take(struct search_reader *s, const struct page_entry *e)
{
	if (s->found.count == 0)
		s->min = e->modseq;
	s->max = e->modseq;
	if (e->modseq > s->highest)
		s->highest = e->modseq;
	uidset_add(&s->found, e->uid);
}

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

static int next(struct reader *r, Tm__ReadFrame *frame)
{
	struct search_reader *s = (struct search_reader *)r;
	struct search_context c = { .pin = r->pin,
				    .store = r->store,
				    .partition = r->partition,
				    .recent = &s->recent,
				    .now = clock_real_seconds() };
	uint64_t least = search_matcher_least_modseq(s->matcher);
	struct pages_walk w;
	const struct page_entry *e;

	if (least > 0)
		pages_walk_changed(r->pin, &s->uids, least - 1, &w);
	else
		pages_walk_start(r->pin, &s->uids, &w);
	while ((e = pages_walk_next(&w)) != NULL) {
		bool matches = false;
		int rc = search_matcher_test(s->matcher, &c, e, &matches);

		if (rc != OK)
			return rc;
		r->progress++;
		if (!matches)
			continue;
		take(s, e);
		if (s->request->only_min && !s->request->only_max)
			break; /* the first is the lowest */
	}
	answer(s, frame);
	return 0;
}

static void free_reader(struct reader *r)
{
	struct search_reader *s = (struct search_reader *)r;

	search_matcher_free(&s->matcher);
	uidset_free(&s->uids);
	uidset_free(&s->recent);
	uidset_free(&s->found);
	arena_free(&s->arena);
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
