/* mutf7.c: decoding is lenient and then checked: a name is canonical if encoding what it means
 * gives the same bytes again. That one comparison finds every other way of writing it. */
#include "server/imap/mutf7.h"

#include "storage/base/err.h"

#include <glib.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_direct(gunichar ch)
{
	return ch >= 0x20 && ch <= 0x7e;
}

static void put_utf8(struct buf *out, gunichar ch)
{
	char bytes[6];

	buf_put(out, bytes, (size_t)g_unichar_to_utf8(ch, bytes));
}

/* Sixteen-bit units become characters; a high surrogate waits for its low one. */
struct units {
	struct buf *out;
	gunichar high; /* 0: none waits */
};

static int put_unit(struct units *u, gunichar unit)
{
	bool is_high = unit >= 0xd800 && unit < 0xdc00;
	bool is_low = unit >= 0xdc00 && unit < 0xe000;

	if (is_low != (u->high != 0))
		return ERR_BAD_INPUT;
	if (is_low)
		put_utf8(u->out, 0x10000 + ((u->high - 0xd800) << 10) + (unit - 0xdc00));
	else if (!is_high)
		put_utf8(u->out, unit);
	u->high = is_high ? unit : 0;
	return OK;
}

/* *at stands behind "&", and behind "-" afterwards. */
static int get_shift(const char **at, const char *end, struct buf *out)
{
	struct units u = { out, 0 };
	uint32_t bits = 0;
	unsigned held = 0;

	for (; *at < end && **at != '-'; (*at)++) {
		const char *digit = **at == '\0' ? NULL : strchr(digits, **at);

		if (digit == NULL)
			return ERR_BAD_INPUT;
		bits = (bits << 6) | (uint32_t)(digit - digits);
		held += 6;
		if (held < 16)
			continue;
		held -= 16;
		if (put_unit(&u, (bits >> held) & 0xffff) < 0)
			return ERR_BAD_INPUT;
	}
	if (*at == end || u.high != 0)
		return ERR_BAD_INPUT;
	(*at)++;
	return OK;
}

static int decode(struct span mutf7, struct buf *out)
{
	if (mutf7.bytes == 0)
		return OK;
	const char *end = mutf7.at + mutf7.bytes;

	for (const char *p = mutf7.at; p < end;) {
		unsigned char ch = (unsigned char)*p++;

		if (!is_direct(ch))
			return ERR_BAD_INPUT;
		if (ch != '&') {
			buf_putc(out, (char)ch);
		} else if (p < end && *p == '-') {
			buf_putc(out, '&');
			p++;
		} else if (get_shift(&p, end, out) < 0) {
			return ERR_BAD_INPUT;
		}
	}
	return OK;
}

int mutf7_to_utf8(struct span mutf7, struct buf *out)
{
	struct buf again = { 0 };
	size_t before = out->bytes;

	buf_reserve(out, mutf7.bytes + 1); /* out->at is not NULL */
	int rc = decode(mutf7, out);
	if (rc == OK)
		rc = mutf7_from_utf8(span_of(out->at + before, out->bytes - before), &again);
	if (rc == OK && !span_eq(buf_span(&again), mutf7))
		rc = ERR_BAD_INPUT;
	if (rc < 0)
		out->bytes = before;
	buf_free(&again);
	return rc;
}

/* One unit after another into base64. */
struct shift {
	struct buf *out;
	uint32_t bits;
	unsigned held;
	bool open;
};

static void shift_unit(struct shift *s, gunichar unit)
{
	if (!s->open)
		buf_putc(s->out, '&');
	s->open = true;
	s->bits = (s->bits << 16) | unit;
	for (s->held += 16; s->held >= 6; s->held -= 6)
		buf_putc(s->out, digits[(s->bits >> (s->held - 6)) & 63]);
}

static void shift_close(struct shift *s)
{
	if (!s->open)
		return;
	if (s->held != 0)
		buf_putc(s->out, digits[(s->bits << (6 - s->held)) & 63]);
	buf_putc(s->out, '-');
	*s = (struct shift){ .out = s->out };
}

int mutf7_from_utf8(struct span utf8, struct buf *out)
{
	struct shift s = { .out = out };

	if (utf8.bytes == 0)
		return OK;
	if (!g_utf8_validate(utf8.at, (gssize)utf8.bytes, NULL))
		return ERR_BAD_INPUT;
	for (const char *p = utf8.at; p < utf8.at + utf8.bytes;
	     p += g_utf8_skip[(unsigned char)*p]) {
		gunichar ch = g_utf8_get_char(p);

		if (is_direct(ch)) {
			shift_close(&s);
			buf_putc(out, (char)ch);
			if (ch == '&')
				buf_putc(out, '-');
		} else if (ch < 0x10000) {
			shift_unit(&s, ch);
		} else {
			shift_unit(&s, 0xd800 + ((ch - 0x10000) >> 10));
			shift_unit(&s, 0xdc00 + ((ch - 0x10000) & 0x3ff));
		}
	}
	shift_close(&s);
	return OK;
}
