/* uidset.h: sets of UIDs as sorted, disjoint, non-adjacent ranges; in memory, in ops, records,
 * rows and on the inner wire. Pure; any thread.
 *
 * Encoded form (format 1): varint count of ranges, then for each range
 * varint(lo - previous hi - 2, the first: lo - 1), varint(hi - lo). An encoded set is canonical:
 * two equal sets have equal bytes. Decoding accepts nothing else. Zero bytes is the empty set. */
#ifndef STORAGE_BASE_UIDSET_H
#define STORAGE_BASE_UIDSET_H

#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/ids.h"

#include <protobuf-c/protobuf-c.h>

struct uid_range {
	uint32_t lo, hi; /* inclusive, 1 <= lo <= hi */
};

struct uidset {
	struct uid_range *at;
	uint32_t count;
	uint32_t capacity;
};

/* {0} is a valid empty set. */
void uidset_free(struct uidset *s);
void uidset_clear(struct uidset *s);                               /* keeps the memory */
void uidset_add(struct uidset *s, uint32_t uid);                   /* cheap at the end */
void uidset_add_range(struct uidset *s, uint32_t lo, uint32_t hi); /* any order, merges */
void uidset_remove_range(struct uidset *s, uint32_t lo, uint32_t hi);
void uidset_copy(struct uidset *to, const struct uidset *from);
void uidset_union(struct uidset *s, const struct uidset *other);
void uidset_intersect(struct uidset *s, const struct uidset *other);
void uidset_subtract(struct uidset *s, const struct uidset *other);
/* Put a range at the end without looking; then uidset_normalise() before anything else. For many
 * ranges in no order. */
void uidset_append_raw(struct uidset *s, uint32_t lo, uint32_t hi);
void uidset_normalise(struct uidset *s);               /* sorts and merges */
bool uidset_has(const struct uidset *s, uint32_t uid); /* logarithmic */
bool uidset_eq(const struct uidset *a, const struct uidset *b);
uint64_t uidset_size(const struct uidset *s); /* how many UIDs */
uint32_t uidset_min(const struct uidset *s);  /* 0 if empty */
uint32_t uidset_max(const struct uidset *s);  /* 0 if empty */
/* The n-th UID from 0; n < uidset_size(). Linear in ranges. */
uint32_t uidset_nth(const struct uidset *s, uint64_t n);
/* Move the first n UIDs from `s` into `ret` (empty before). For slicing (OP_MESSAGES_MAX). */
void uidset_take_first(struct uidset *s, uint64_t n, struct uidset *ret);

void uidset_encode(const struct uidset *s, struct buf *out);
/* The encoded bytes in arena memory, as protobuf-c wants them. */
ProtobufCBinaryData uidset_encode_arena(const struct uidset *s, struct arena *a);
/* ERR_CORRUPT if the bytes are not canonical or have more than max_ranges; *ret is replaced. */
int uidset_decode(struct span bytes, uint32_t max_ranges, struct uidset *ret);

/* Walk an encoded set without memory. After uidset_iter_next() returned false, `corrupt` says
 * whether the bytes were bad. */
struct uidset_iter {
	const uint8_t *at, *end;
	uint64_t left;
	uint64_t last;
	bool corrupt;
};
void uidset_iter_init(struct uidset_iter *it, struct span bytes);
bool uidset_iter_next(struct uidset_iter *it, struct uid_range *ret);

/* "1:3,5"; nothing for the empty set (RFC 3501 sequence-set, UIDs only, ascending). */
void uidset_text(const struct uidset *s, struct buf *out);

#endif
