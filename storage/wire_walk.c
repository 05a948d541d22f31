#include "storage/wire_walk.h"

struct wire_walk wire_walk_start(struct span message, uint64_t number)
{
	const uint8_t *at = (const uint8_t *)message.at;

	return (struct wire_walk){ at, at + message.bytes, number, false };
}

/* A field's content, and what it is worth of bytes; false if it is cut or of a type that proto3
 * does not have. */
static bool field_take(struct wire_walk *w, unsigned type, struct span *ret)
{
	uint64_t n = 0;

	switch (type) {
	case 0: return varint_get(&w->at, w->end, &n);
	case 1: n = 8; break;
	case 5: n = 4; break;
	case 2:
		if (!varint_get(&w->at, w->end, &n))
			return false;
		break;
	default: return false;
	}
	if (n > (uint64_t)(w->end - w->at))
		return false;
	*ret = span_of(w->at, (size_t)n);
	w->at += n;
	return true;
}

bool wire_walk_next(struct wire_walk *w, struct span *ret)
{
	while (!w->bad && w->at < w->end) {
		struct span content = { NULL, 0 };
		uint64_t tag;

		w->bad = !varint_get(&w->at, w->end, &tag) ||
			 !field_take(w, (unsigned)(tag & 7), &content);
		if (!w->bad && tag == (w->number << 3 | 2)) {
			*ret = content;
			return true;
		}
	}
	return false;
}

bool wire_last_bytes(struct span message, uint64_t number, struct span *ret)
{
	struct wire_walk w = wire_walk_start(message, number);

	while (wire_walk_next(&w, ret))
		;
	return !w.bad;
}
