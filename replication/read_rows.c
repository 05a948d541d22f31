/* read_rows.c: the reader behind what a session missed and that does not fit the first frame: the
 * rest of the changed rows, a frame at a time; then the frames of the FETCH or SEARCH that the read
 * asked for, if any. */
#include "replication/read_changes.h"
#include "replication/reader_kinds.h"
#include "storage/base/err.h"

#include <glib.h>

struct rows_reader {
	struct reader r; /* first */
	const Tm__Known *known;
	uint32_t rest; /* 0: all are told */
	struct arena arena;
	struct reader *then; /* NULL: the rows are all */
};

static int next(struct reader *r, Tm__ReadFrame *frame)
{
	struct rows_reader *w = (struct rows_reader *)r;

	if (w->rest == 0)
		return reader_next(w->then, frame);
	arena_reset(&w->arena);
	frame->changes = read_more_rows(r->pin, w->known, &w->arena, &w->rest);
	r->progress += frame->changes->n_rows;
	frame->end = w->rest == 0 && w->then == NULL;
	return !frame->end;
}

static void free_reader(struct reader *r)
{
	struct rows_reader *w = (struct rows_reader *)r;

	reader_free(&w->then);
	arena_free(&w->arena);
	g_free(w);
}

struct reader *rows_reader_new(struct mailbox_pages **pin, const Tm__Known *known, uint32_t rest,
			       struct reader **then)
{
	struct rows_reader *w = g_new0(struct rows_reader, 1);

	w->r.next = next;
	w->r.free = free_reader;
	w->r.pin = *pin;
	*pin = NULL;
	w->known = known;
	w->rest = rest;
	arena_init(&w->arena);
	w->then = *then;
	*then = NULL;
	return &w->r;
}
