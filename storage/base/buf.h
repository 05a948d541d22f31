/* buf.h: a growing byte buffer. One owner, no locks. Allocation failure ends the process: the
 * bounds of limits.h are what keeps memory finite, not malloc. */
#ifndef STORAGE_BASE_BUF_H
#define STORAGE_BASE_BUF_H

#include "storage/base/bytes.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *at;
	size_t bytes; /* in use */
	size_t capacity;
};

/* {0} is a valid empty buffer. */
void buf_free(struct buf *b);                 /* leaves an empty buffer */
void buf_reset(struct buf *b);                /* empties, keeps the memory */
void buf_reserve(struct buf *b, size_t more); /* room for `more` bytes behind `bytes` */
void buf_put(struct buf *b, const void *at, size_t bytes);
void buf_puts(struct buf *b, const char *z);
void buf_putc(struct buf *b, char c);
void buf_put_span(struct buf *b, struct span s);
void buf_put_u64(struct buf *b, uint64_t v); /* decimal */
void buf_put_varint(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drop the first n bytes (moves the rest). */
void buf_drop_front(struct buf *b, size_t n);

static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->at, b->bytes);
}

#endif
