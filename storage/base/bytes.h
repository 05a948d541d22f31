/* bytes.h: spans, big-endian numbers, varints. Pure; any thread. */
#ifndef STORAGE_BASE_BYTES_H
#define STORAGE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns; may hold NUL and 8-bit. */
struct span {
	const char *at;
	size_t bytes;
};

static inline struct span span_of(const void *at, size_t bytes)
{
	return (struct span){ at, bytes };
}

static inline struct span span_str(const char *z)
{
	return (struct span){ z, strlen(z) };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

static inline unsigned char ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* Equal without ASCII case (never by locale). */
static inline bool span_eq_nocase(struct span a, struct span b)
{
	if (a.bytes != b.bytes)
		return false;
	for (size_t i = 0; i < a.bytes; i++)
		if (ascii_lower((unsigned char)a.at[i]) != ascii_lower((unsigned char)b.at[i]))
			return false;
	return true;
}

static inline bool span_is(struct span a, const char *z)
{
	return span_eq_nocase(a, span_str(z));
}

static inline void be16_put(uint8_t *out, uint16_t v)
{
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
}

static inline void be32_put(uint8_t *out, uint32_t v)
{
	be16_put(out, (uint16_t)(v >> 16));
	be16_put(out + 2, (uint16_t)v);
}

static inline void be64_put(uint8_t *out, uint64_t v)
{
	be32_put(out, (uint32_t)(v >> 32));
	be32_put(out + 4, (uint32_t)v);
}

static inline uint16_t be16_get(const uint8_t *in)
{
	return (uint16_t)((in[0] << 8) | in[1]);
}

static inline uint32_t be32_get(const uint8_t *in)
{
	return ((uint32_t)be16_get(in) << 16) | be16_get(in + 2);
}

static inline uint64_t be64_get(const uint8_t *in)
{
	return ((uint64_t)be32_get(in) << 32) | be32_get(in + 4);
}

/* LEB128. Returns the bytes written, at most 10. */
static inline size_t varint_put(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

/* Takes one varint from [*at, end); false if it is cut or over-long, and *at has not moved. */
static inline bool varint_get(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;
	const uint8_t *p = *at;

	for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
		uint8_t c = *p++;

		if (shift == 63 && c > 1)
			return false;
		v |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) == 0) {
			*at = p;
			*ret = v;
			return true;
		}
	}
	return false;
}

#endif
