#include "replication/reader.h"

#include "replication/reader_kinds.h"
#include "storage/base/err.h"

#include <assert.h>
#include <glib.h>

int reader_new(struct mailbox_pages **pin, const Tm__Read *read, struct store *store,
	       partition_id p, struct reader **ret)
{
	struct reader *r = NULL;
	int rc = ERR_BAD_INPUT;

	if (read->what_case == TM__READ__WHAT_FETCH)
		rc = fetch_reader_new(read->fetch, &r);
	else if (read->what_case == TM__READ__WHAT_SEARCH)
		rc = search_reader_new(read->search, &r);
	if (rc != OK) {
		pages_drop(pin);
		return rc;
	}
	r->pin = *pin;
	*pin = NULL;
	r->store = store;
	r->partition = p;
	*ret = r;
	return OK;
}

int reader_next(struct reader *r, Tm__ReadFrame *frame)
{
	tm__read_frame__init(frame);
	return r->next(r, frame);
}

uint64_t reader_progress(const struct reader *r)
{
	return r->progress;
}

void reader_free(struct reader **rr)
{
	struct reader *r = *rr;

	if (r == NULL)
		return;
	pages_drop(&r->pin);
	r->free(r);
	*rr = NULL;
}

int reader_needs_store(const Tm__Read *read, bool *ret)
{
	if (read->what_case == TM__READ__WHAT_FETCH)
		return fetch_needs_store(read->fetch, ret);
	if (read->what_case == TM__READ__WHAT_SEARCH)
		return search_needs_store(read->search, ret);
	return ERR_BAD_INPUT;
}
