/* wire_walk.h: find fields in an encoded protobuf message without decoding it, so that large bytes
 * can be read where they stand. Pure; takes any bytes. */
#ifndef STORAGE_WIRE_WALK_H
#define STORAGE_WIRE_WALK_H

#include "storage/base/bytes.h"

/* Walks the length-delimited fields with one number (bytes, strings, messages). */
struct wire_walk {
	const uint8_t *at, *end;
	uint64_t number;
	bool bad; /* the bytes are no message */
};
struct wire_walk wire_walk_start(struct span message, uint64_t number);
/* False at the end, or at bad bytes. */
bool wire_walk_next(struct wire_walk *w, struct span *ret);

/* The last such field, which is the one that counts; *ret is left alone if there is none. False:
 * bad bytes. */
bool wire_last_bytes(struct span message, uint64_t number, struct span *ret);

#endif
