/* entry.h: one entry of a partition's log, immutable and shared by reference between the loop, the
 * log writer, the flusher and the table of what is young. The bytes are an encoded Tm__LogEntry
 * (proto/record.proto). */
#ifndef STORAGE_ENTRY_H
#define STORAGE_ENTRY_H

#include "proto/record.pb-c.h"
#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/ids.h"

#include <stdatomic.h>

struct log_entry {
	_Atomic uint32_t refs;

	/* Fixed when made; any thread may read. */
	partition_id partition;
	log_seq seq;
	uint64_t version; /* of the configuration in which it was first proposed */
	size_t bytes;
	uint8_t at[];
};

/* One reference; `bytes` of `at` are the caller's to fill before anybody else sees it. */
struct log_entry *log_entry_alloc(partition_id p, log_seq seq, uint64_t version, size_t bytes);
/* The same with a copy of the bytes. */
struct log_entry *log_entry_new(partition_id p, log_seq seq, uint64_t version, struct span bytes);
/* The same, packed from the message. */
struct log_entry *log_entry_pack(partition_id p, log_seq seq, uint64_t version,
				 const Tm__LogEntry *e);
struct log_entry *log_entry_ref(struct log_entry *e); /* returns e */
void log_entry_unref(struct log_entry **e);           /* accepts NULL, leaves NULL */

static inline struct span log_entry_span(const struct log_entry *e)
{
	return span_of(e->at, e->bytes);
}

/* Decoded into the arena. ERR_CORRUPT: bytes that are no log entry. */
int log_entry_decode(const struct log_entry *e, struct arena *a, Tm__LogEntry **ret);

#endif
