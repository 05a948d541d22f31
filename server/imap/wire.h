/* wire.h: reads back what fetch_items and search_program encode: varints, and bytes with their
 * length before them. After the first bad value `bad` is set and everything reads as 0 or empty,
 * so that callers look once, at the end. Pure; any thread. */
#ifndef SERVER_IMAP_WIRE_H
#define SERVER_IMAP_WIRE_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

struct wire {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct wire wire_of(struct span s)
{
	const uint8_t *at = (const uint8_t *)(s.bytes == 0 ? "" : s.at);

	return (struct wire){ at, at + s.bytes, false };
}

/* A number from 0 to max. */
static inline uint64_t wire_number(struct wire *w, uint64_t max)
{
	uint64_t v = 0;

	if (!w->bad && varint_get(&w->at, w->end, &v) && v <= max)
		return v;
	w->bad = true;
	return 0;
}

/* How many things follow, each of at least one byte: never more than there are bytes. */
static inline uint32_t wire_count(struct wire *w, uint32_t max)
{
	uint64_t left = (uint64_t)(w->end - w->at);

	return (uint32_t)wire_number(w, left < max ? left : max);
}

/* Points into the bytes that are read. */
static inline struct span wire_bytes(struct wire *w)
{
	uint64_t n = wire_number(w, UINT32_MAX);

	if (n > (uint64_t)(w->end - w->at))
		w->bad = true;
	if (w->bad)
		return span_of("", 0);
	struct span s = span_of(w->at, n);
	w->at += n;
	return s;
}

static inline void wire_put_bytes(struct buf *out, struct span s)
{
	buf_put_varint(out, s.bytes);
	buf_put_span(out, s);
}

#endif
