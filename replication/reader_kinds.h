/* reader_kinds.h: the kinds of readers behind reader.h: FETCH (read_fetch.c), SEARCH
 * (read_search.c). For these and reader.c alone. */
#ifndef REPLICATION_READER_KINDS_H
#define REPLICATION_READER_KINDS_H

#include "replication/reader.h"

/* What every reader begins with. */
struct reader {
	int (*next)(struct reader *r, Tm__ReadFrame *frame);
	void (*free)(struct reader *r);
	uint64_t progress;
	struct mailbox_pages *pin;
	struct store *store;
	partition_id partition;
};

/* As reader_new(), but for the pin, which reader.c puts in. The reader is g_malloc'ed. */
int fetch_reader_new(const Tm__FetchMessages *request, struct reader **ret);
int fetch_needs_store(const Tm__FetchMessages *request, bool *ret);
int search_reader_new(const Tm__SearchMessages *request, struct reader **ret);
int search_needs_store(const Tm__SearchMessages *request, bool *ret);

#endif
