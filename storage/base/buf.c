#include "storage/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void buf_free(struct buf *b)
{
	free(b->at);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->bytes = 0;
}

void buf_reserve(struct buf *b, size_t more)
{
	size_t want = b->bytes + more;
	size_t capacity = b->capacity == 0 ? 256 : b->capacity;

	if (want <= b->capacity)
		return;
	while (capacity < want)
		capacity *= 2;

	char *at = realloc(b->at, capacity);
	if (at == NULL)
		abort();
	b->at = at;
	b->capacity = capacity;
}

void buf_put(struct buf *b, const void *at, size_t bytes)
{
	if (bytes == 0)
		return;
	buf_reserve(b, bytes);
	memcpy(b->at + b->bytes, at, bytes);
	b->bytes += bytes;
}

void buf_puts(struct buf *b, const char *z)
{
	buf_put(b, z, strlen(z));
}

void buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void buf_put_span(struct buf *b, struct span s)
{
	buf_put(b, s.at, s.bytes);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	buf_put(b, digits + at, sizeof(digits) - at);
}

void buf_put_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];

	buf_put(b, bytes, varint_put(bytes, v));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);

	buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	int written = vsnprintf(b->at + b->bytes, (size_t)n + 1, fmt, ap);
	va_end(ap);
	assert(written == n);
	b->bytes += (size_t)n;
}

void buf_drop_front(struct buf *b, size_t n)
{
	assert(n <= b->bytes);
	if (n == 0)
		return;
	memmove(b->at, b->at + n, b->bytes - n);
	b->bytes -= n;
}
