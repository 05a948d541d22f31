/* rows.c: values to and from bytes. What comes from a disk may be anything: nothing here asserts on
 * bytes. */
#include "storage/rows.h"

#include "storage/base/err.h"

#include <assert.h>

static void *row_unpack(const ProtobufCMessageDescriptor *d, struct span bytes, struct arena *a)
{
	return protobuf_c_message_unpack(d, &a->pb, bytes.bytes, (const uint8_t *)bytes.at);
}

Tm__PartitionRow *row_partition(struct span bytes, struct arena *a)
{
	return row_unpack(&tm__partition_row__descriptor, bytes, a);
}

Tm__AccountRow *row_account(struct span bytes, struct arena *a)
{
	return row_unpack(&tm__account_row__descriptor, bytes, a);
}

Tm__UsageRow *row_usage(struct span bytes, struct arena *a)
{
	return row_unpack(&tm__usage_row__descriptor, bytes, a);
}

Tm__MailboxRow *row_mailbox(struct span bytes, struct arena *a)
{
	return row_unpack(&tm__mailbox_row__descriptor, bytes, a);
}

Tm__CountersRow *row_counters(struct span bytes, struct arena *a)
{
	return row_unpack(&tm__counters_row__descriptor, bytes, a);
}

Tm__DedupRow *row_dedup(struct span bytes, struct arena *a)
{
	return row_unpack(&tm__dedup_row__descriptor, bytes, a);
}

Tm__TombstoneRow *row_tombstone(struct span bytes, struct arena *a)
{
	return row_unpack(&tm__tombstone_row__descriptor, bytes, a);
}

void row_put(struct buf *out, const ProtobufCMessage *m)
{
	size_t bytes = protobuf_c_message_get_packed_size(m);

	buf_reserve(out, bytes);
	protobuf_c_message_pack(m, (uint8_t *)out->at + out->bytes);
	out->bytes += bytes;
}

struct span row_pack(struct arena *a, const ProtobufCMessage *m)
{
	size_t bytes = protobuf_c_message_get_packed_size(m);
	uint8_t *at = arena_alloc(a, bytes + 1);

	protobuf_c_message_pack(m, at);
	return span_of(at, bytes);
}

int message_info_of_row(const Tm__MessageRow *row, struct message_info *ret)
{
	if (row->guid.len != sizeof(ret->guid.b))
		return ERR_CORRUPT;
	*ret = (struct message_info){ .size = row->size,
				      .internaldate = row->internaldate,
				      .zone = row->zone,
				      .savedate = row->savedate,
				      .thread = row->thread,
				      .chunks = row->chunks,
				      .shape_chunks = row->shape_chunks };
	memcpy(ret->guid.b, row->guid.data, sizeof(ret->guid.b));
	return OK;
}

void message_info_to_row(const struct message_info *m, Tm__MessageRow *row)
{
	tm__message_row__init(row);
	row->guid.len = sizeof(m->guid.b);
	memcpy(&row->guid.data, &(const uint8_t *){ m->guid.b }, sizeof(row->guid.data));
	row->size = m->size;
	row->internaldate = m->internaldate;
	row->zone = m->zone;
	row->savedate = m->savedate;
	row->thread = m->thread;
	row->chunks = m->chunks;
	row->shape_chunks = m->shape_chunks;
}

/* A row is some 60 bytes; unpacking it never leaves these. */
struct small_memory {
	ProtobufCAllocator pb;
	size_t used;
	_Alignas(16) uint8_t at[1024];
};

static void *small_alloc(void *data, size_t bytes)
{
	struct small_memory *m = data;
	size_t rounded = (bytes + 15) & ~(size_t)15;

	if (rounded < bytes || rounded > sizeof(m->at) - m->used)
		return NULL; /* unpacking fails: not a row of ours */
	void *at = m->at + m->used;
	m->used += rounded;
	return at;
}

static void small_free(void *data, void *at)
{
	(void)data;
	(void)at;
}

int message_info_decode(struct span bytes, struct message_info *ret)
{
	struct small_memory m = { .pb = { small_alloc, small_free, &m } };
	const Tm__MessageRow *row =
		tm__message_row__unpack(&m.pb, bytes.bytes, (const uint8_t *)bytes.at);

	return row == NULL ? ERR_CORRUPT : message_info_of_row(row, ret);
}

void message_info_put(struct buf *out, const struct message_info *m)
{
	Tm__MessageRow row;

	message_info_to_row(m, &row);
	row_put(out, &row.base);
}

size_t flags_row_put(uint8_t out[static FLAGS_ROW_MAX_BYTES], const struct flags_row *r)
{
	uint8_t *at = out;
	uint32_t before = 0;

	assert(r->count <= MAILBOX_KEYWORDS_MAX && r->system <= UINT8_MAX);
	at += varint_put(at, r->modseq);
	at += varint_put(at, r->size);
	*at++ = (uint8_t)r->system;
	at += varint_put(at, r->count);
	for (uint32_t i = 0; i < r->count; i++) {
		assert(r->slots[i] < MAILBOX_KEYWORDS_MAX && (i == 0 || r->slots[i] > before));
		at += varint_put(at, r->slots[i] - before);
		before = r->slots[i];
	}
	return (size_t)(at - out);
}

/* The slots; `at` stands behind their count. */
static int slots_get(const uint8_t *at, const uint8_t *end, struct flags_row *ret)
{
	uint64_t slot = 0;

	for (uint32_t i = 0; i < ret->count; i++) {
		uint64_t more;

		if (!varint_get(&at, end, &more) || (i > 0 && more == 0) ||
		    more >= MAILBOX_KEYWORDS_MAX || (slot += more) >= MAILBOX_KEYWORDS_MAX)
			return ERR_CORRUPT;
		ret->slots[i] = (uint16_t)slot;
	}
	return at == end ? OK : ERR_CORRUPT;
}

int flags_row_get(struct span bytes, struct flags_row *ret)
{
	const uint8_t *at = (const uint8_t *)bytes.at;
	const uint8_t *end = at + bytes.bytes;
	uint64_t size;
	uint64_t count;

	if (!varint_get(&at, end, &ret->modseq) || !varint_get(&at, end, &size) || at == end ||
	    size > UINT32_MAX)
		return ERR_CORRUPT;
	ret->size = (uint32_t)size;
	ret->system = *at++;
	if (!varint_get(&at, end, &count) || count > MAILBOX_KEYWORDS_MAX)
		return ERR_CORRUPT;
	ret->count = (uint32_t)count;
	return slots_get(at, end, ret);
}

size_t candidate_row_put(uint8_t out[static CANDIDATE_ROW_MAX_BYTES], const struct candidate_row *r)
{
	size_t n = varint_put(out, (uint64_t)r->when);

	n += varint_put(out + n, r->chunks);
	return n + varint_put(out + n, r->shape_chunks);
}

int candidate_row_get(struct span bytes, struct candidate_row *ret)
{
	const uint8_t *at = (const uint8_t *)bytes.at;
	const uint8_t *end = at + bytes.bytes;
	uint64_t when;
	uint64_t chunks;
	uint64_t shape_chunks;

	if (!varint_get(&at, end, &when) || !varint_get(&at, end, &chunks) ||
	    !varint_get(&at, end, &shape_chunks) || at != end || chunks > UINT32_MAX ||
	    shape_chunks > UINT32_MAX)
		return ERR_CORRUPT;
	*ret = (struct candidate_row){ (int64_t)when, (uint32_t)chunks, (uint32_t)shape_chunks };
	return OK;
}
