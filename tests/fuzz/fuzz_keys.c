/* Keys and rows: any bytes are refused or taken apart, and what was taken apart gives the same
 * bytes again. */
#include "storage/base/err.h"
#include "storage/keys.h"
#include "storage/rows.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void key(struct span bytes)
{
	static struct key k;
	struct key_parts parts = { 0 };
	partition_id p;
	log_seq seq;

	if (key_get(bytes, &parts))
		assert(span_eq(key_put(&k, &parts), bytes));
	if (log_key_entry_get(bytes, &p, &seq))
		assert(span_eq(log_key_entry(&k, p, seq), bytes));
}

static void rows(struct span bytes)
{
	static struct flags_row f, again;
	uint8_t out[FLAGS_ROW_MAX_BYTES];
	struct candidate_row c;
	struct message_info m;

	if (flags_row_get(bytes, &f) == OK) {
		size_t n = flags_row_put(out, &f);

		assert(flags_row_get(span_of(out, n), &again) == OK);
		assert(again.modseq == f.modseq && again.count == f.count);
	}
	candidate_row_get(bytes, &c);
	message_info_decode(bytes, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	struct arena a;

	key(bytes);
	rows(bytes);
	arena_init(&a);
	row_account(bytes, &a);
	row_counters(bytes, &a);
	row_mailbox(bytes, &a);
	row_dedup(bytes, &a);
	row_partition(bytes, &a);
	row_usage(bytes, &a);
	row_tombstone(bytes, &a);
	arena_free(&a);
	return 0;
}
