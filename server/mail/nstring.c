#include "server/mail/nstring.h"

static bool needs_literal(struct span s)
{
	if (s.bytes > NSTRING_QUOTED_MAX_BYTES)
		return true;
	for (size_t i = 0; i < s.bytes; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c == '\0' || c == '\r' || c == '\n' || c >= 0x80)
			return true;
	}
	return false;
}

static void literal_put(struct buf *out, struct span s)
{
	buf_putc(out, '{');
	buf_put_u64(out, s.bytes);
	buf_puts(out, "}\r\n");
	size_t from = out->bytes;
	buf_put_span(out, s);
	for (char *p = out->at + from; p < out->at + out->bytes; p++)
		if (*p == '\0')
			*p = (char)0x80;
}

void string_put(struct buf *out, struct span s)
{
	if (needs_literal(s)) {
		literal_put(out, s);
		return;
	}
	buf_reserve(out, 2 * s.bytes + 2);
	char *to = out->at + out->bytes;
	*to++ = '"';
	for (size_t i = 0; i < s.bytes; i++) {
		if (s.at[i] == '"' || s.at[i] == '\\')
			*to++ = '\\';
		*to++ = s.at[i];
	}
	*to++ = '"';
	out->bytes = (size_t)(to - out->at);
}

void nstring_put(struct buf *out, struct span s)
{
	if (s.at == NULL)
		buf_puts(out, "NIL");
	else
		string_put(out, s);
}
