/* fuzz_mime.c: any bytes are a message. How they are cut does not change its shape; the shape fits
 * its bound, is read back as it was written, nests, and what is shown of it is well-formed IMAP.
 * The same bytes are also read as a stored shape: refused, or as harmless. */
#include "server/mail/bodystructure.h"
#include "server/mail/envelope.h"
#include "server/mail/mime_scan.h"
#include "server/mail/section.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <stdlib.h>

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Behind a string that begins at `at`. */
static const char *skip_string(const char *at, const char *end)
{
	if (*at == '{') {
		size_t n = 0;
		for (at++; *at != '}'; at++) {
			check(*at >= '0' && *at <= '9');
			n = n * 10 + (size_t)(*at - '0');
		}
		check(end - at >= 3 && at[1] == '\r' && at[2] == '\n');
		check((size_t)(end - at) >= 3 + n && memchr(at, '\0', 3 + n) == NULL);
		return at + 3 + n;
	}
	for (at++; check(at < end), *at != '"'; at++) {
		check(*at != '\r' && *at != '\n' && *at != '\0' && (unsigned char)*at < 0x80);
		if (*at == '\\') {
			at++;
			check(*at == '"' || *at == '\\');
		}
	}
	return at + 1;
}

/* One parenthesised list: balanced, with single blanks, strings, numbers and NILs in it. */
static void check_list(const struct buf *out)
{
	const char *at = out->at;
	const char *end = at + out->bytes;
	size_t level = 0;
	char before = '\0'; /* outside of strings */

	check(out->bytes != 0 && *at == '(');
	while (at < end) {
		if (*at == '"' || *at == '{') {
			at = skip_string(at, end);
			check(at < end);
			before = '"';
			continue;
		}
		check(strchr("() NIL0123456789", *at) != NULL && *at != '\0');
		if (*at == '(')
			level++;
		if (*at == ' ')
			check(at[1] != ' ' && at[1] != ')' && before != '(');
		if (*at == ')' && --level == 0)
			check(at + 1 == end);
		before = *at++;
	}
	check(level == 0);
}

static void check_ranges(const struct shape_part *p)
{
	uint64_t from = shape_body_at(p);
	uint64_t to = from + p->body_bytes;

	for (const struct shape_part *c = p->child; c != NULL; c = c->next) {
		check(c->parent == p && c->header_at >= from);
		from = shape_body_at(c) + c->body_bytes;
		check(from <= to);
		check_ranges(c);
	}
}

static void check_shape(const struct shape *s)
{
	struct buf out = { 0 };

	check(s->root->header_bytes + s->root->body_bytes == s->bytes);
	check_ranges(s->root);
	for (int extended = 0; extended < 2; extended++) {
		buf_reset(&out);
		bodystructure_put(&out, s->root, extended != 0);
		check_list(&out);
	}
	buf_reset(&out);
	envelope_put(&out, s->root->envelope);
	check_list(&out);
	buf_free(&out);
}

static void encode_cut(struct span message, uint8_t cut, struct buf *out)
{
	struct arena a;

	arena_init(&a);
	struct mime_scan *s = mime_scan_new(&a);
	for (size_t i = 0; message.bytes != 0; i++) {
		size_t n = 1 + (cut * (i + 1)) % 13;
		if (n > message.bytes)
			n = message.bytes;
		mime_scan_feed(s, span_of(message.at, n));
		message = span_of(message.at + n, message.bytes - n);
	}
	shape_encode(mime_scan_finish(s), out);
	mime_scan_free(&s);
	arena_free(&a);
}

static void check_message(struct span message, uint8_t cut)
{
	struct buf whole = { 0 };
	struct buf other = { 0 };
	const struct shape *s = NULL;
	struct arena a;

	arena_init(&a);
	s = mime_scan_whole(&a, message);
	check_shape(s);
	check(s->bytes == message.bytes);
	shape_encode(s, &whole);
	check(whole.bytes <= SHAPE_MAX_BYTES);
	encode_cut(message, cut, &other);
	check(span_eq(buf_span(&whole), buf_span(&other)));

	buf_reset(&other);
	check(shape_decode(buf_span(&whole), &a, &s) == OK);
	check_shape(s);
	shape_encode(s, &other);
	check(span_eq(buf_span(&whole), buf_span(&other)));
	buf_free(&whole);
	buf_free(&other);
	arena_free(&a);
}

static void check_filter(struct span header, uint8_t pick)
{
	struct span names[] = { { "Subject", 7 }, { "Content-Type", 12 } };
	struct section what = { .kind = pick % 2 == 0 ? SECTION_HEADER_FIELDS
						      : SECTION_HEADER_FIELDS_NOT,
				.fields = names,
				.field_count = pick / 2 % 3 };
	struct buf out = { 0 };

	header_filter(&what, header, &out);
	check(out.bytes <= header.bytes);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct shape *s = NULL;
	struct arena a;

	if (size == 0)
		return 0;
	check_message(span_of(data + 1, size - 1), data[0]);
	check_filter(span_of(data + 1, size - 1), data[0]);
	arena_init(&a);
	if (shape_decode(span_of(data, size), &a, &s) == OK)
		check_shape(s);
	arena_free(&a);
	return 0;
}
