/* upload_table.h: the open uploads of a partition as its leader knows them: which chunks of which
 * guid are durable (IMAP.md, section 9). What is not here is MISSING: the front end sends it again,
 * which is idempotent; so the table may forget and need not be rebuilt exactly.
 * Thread: the partition's loop. */
#ifndef REPLICATION_UPLOAD_TABLE_H
#define REPLICATION_UPLOAD_TABLE_H

#include "proto/op.pb-c.h"
#include "proto/record.pb-c.h"
#include "storage/base/ids.h"

#include <stdbool.h>

struct upload_table; /* opaque */

struct upload_table *upload_table_new(void);
void upload_table_free(struct upload_table **t);
/* A chunk is committed. */
void upload_table_stored(struct upload_table *t, const Tm__ChunkStored *c);
/* Are all chunks of the message's body and shape there? True also if it needs none. */
bool upload_table_complete(const struct upload_table *t, const Tm__AppendMessage *m);
/* Does somebody count on chunks of it? */
bool upload_table_has(const struct upload_table *t, guid g);
/* Its chunks are gone. Accepts bytes that are no guid. */
void upload_table_forget(struct upload_table *t, ProtobufCBinaryData g);
/* The message exists now: the bodyref keeps its chunks. */
void upload_table_done(struct upload_table *t, const Tm__MessagesAdded *r);
/* Forget uploads that were not touched since `when` (unix seconds); the collector takes them. */
void upload_table_age(struct upload_table *t, int64_t when);

#endif
