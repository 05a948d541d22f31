/* entry.c: log entries, counted by reference. */
#include "storage/entry.h"

#include "storage/base/err.h"

#include <assert.h>
#include <stdlib.h>

struct log_entry *log_entry_alloc(partition_id p, log_seq seq, uint64_t version, size_t bytes)
{
	struct log_entry *e = malloc(sizeof(*e) + bytes);

	if (e == NULL)
		abort();
	atomic_init(&e->refs, 1);
	e->partition = p;
	e->seq = seq;
	e->version = version;
	e->bytes = bytes;
	return e;
}

struct log_entry *log_entry_new(partition_id p, log_seq seq, uint64_t version, struct span bytes)
{
	struct log_entry *e = log_entry_alloc(p, seq, version, bytes.bytes);

	if (bytes.bytes > 0)
		memcpy(e->at, bytes.at, bytes.bytes);
	return e;
}

struct log_entry *log_entry_pack(partition_id p, log_seq seq, uint64_t version,
				 const Tm__LogEntry *m)
{
	struct log_entry *e = log_entry_alloc(p, seq, version, tm__log_entry__get_packed_size(m));
	size_t packed = tm__log_entry__pack(m, e->at);

	assert(packed == e->bytes);
	return e;
}

struct log_entry *log_entry_ref(struct log_entry *e)
{
	uint32_t before = atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);

	assert(before > 0);
	return e;
}

void log_entry_unref(struct log_entry **e)
{
	if (*e == NULL)
		return;
	uint32_t before = atomic_fetch_sub_explicit(&(*e)->refs, 1, memory_order_acq_rel);

	assert(before > 0);
	if (before == 1)
		free(*e);
	*e = NULL;
}

int log_entry_decode(const struct log_entry *e, struct arena *a, Tm__LogEntry **ret)
{
	Tm__LogEntry *m = tm__log_entry__unpack(&a->pb, e->bytes, e->at);

	if (m == NULL)
		return ERR_CORRUPT;
	*ret = m;
	return OK;
}
