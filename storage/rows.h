/* rows.h: the values behind the keys of keys.h, from bytes and to bytes. Most are the messages of
 * proto/row.proto as they are; what there is a million of has an encoding of its own. Pure; any
 * thread. */
#ifndef STORAGE_ROWS_H
#define STORAGE_ROWS_H

#include "proto/row.pb-c.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/ids.h"
#include "storage/base/limits.h"

/* NULL: no such row (ERR_CORRUPT to the caller). The result lives in the arena. */
Tm__PartitionRow *row_partition(struct span bytes, struct arena *a);
Tm__AccountRow *row_account(struct span bytes, struct arena *a);
Tm__UsageRow *row_usage(struct span bytes, struct arena *a);
Tm__MailboxRow *row_mailbox(struct span bytes, struct arena *a);
Tm__CountersRow *row_counters(struct span bytes, struct arena *a);
Tm__DedupRow *row_dedup(struct span bytes, struct arena *a);
Tm__TombstoneRow *row_tombstone(struct span bytes, struct arena *a);

/* Append the encoded message. */
void row_put(struct buf *out, const ProtobufCMessage *m);
/* Encoded into arena memory. */
struct span row_pack(struct arena *a, const ProtobufCMessage *m);

/* A MessageRow as plain values: what never changes about a message. */
struct message_info {
	guid guid;
	uint64_t size;        /* octets */
	int64_t internaldate; /* unix seconds */
	int32_t zone;         /* minutes east */
	int64_t savedate;
	uint64_t thread;
	uint32_t chunks;       /* of the body; 0: it stands in chunk 0 whole */
	uint32_t shape_chunks; /* the same of the shape */
};

/* ERR_CORRUPT: a guid of another length. */
int message_info_of_row(const Tm__MessageRow *row, struct message_info *ret);
/* *row borrows from *m. */
void message_info_to_row(const struct message_info *m, Tm__MessageRow *row);
/* From and to the bytes of a row. */
int message_info_decode(struct span bytes, struct message_info *ret);
void message_info_put(struct buf *out, const struct message_info *m);

/* A flags row: varint modseq, varint size, a byte of system flags, varint count, then the keyword
 * slots, ascending, the first as it is and each other as difference to the one before. */
struct flags_row {
	uint32_t uid; /* of the key; not in the row */
	uint64_t modseq;
	uint32_t size;   /* octets, as in the message row */
	uint32_t system; /* enum system_flag */
	uint32_t count;
	uint16_t slots[MAILBOX_KEYWORDS_MAX];
};
enum { FLAGS_ROW_MAX_BYTES = 10 + 5 + 1 + 2 + 2 * MAILBOX_KEYWORDS_MAX };

/* Returns the bytes written to `out`. */
size_t flags_row_put(uint8_t out[static FLAGS_ROW_MAX_BYTES], const struct flags_row *r);
/* OK or ERR_CORRUPT. Sets all but the uid; of the slots only `count`. */
int flags_row_get(struct span bytes, struct flags_row *ret);

/* A body that no message refers to, from its first chunk or last message on. */
struct candidate_row {
	int64_t when;    /* unix seconds, of the record: collected BODY_COLLECT_SECONDS later */
	uint32_t chunks; /* rows in table body */
	uint32_t shape_chunks; /* rows in table shape */
};
enum { CANDIDATE_ROW_MAX_BYTES = 10 + 5 + 5 };
size_t candidate_row_put(uint8_t out[static CANDIDATE_ROW_MAX_BYTES],
			 const struct candidate_row *r);
int candidate_row_get(struct span bytes, struct candidate_row *ret);

#endif
