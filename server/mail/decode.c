/* decode.c: headers and texts as UTF-8, by GMime and GLib.
 *
 * What a text decoder does: transfer encoding (GMimeEncoding) -> bytes of the charset -> UTF-8.
 * For US-ASCII, UTF-8 and unknown charsets the second step is our own: UTF-8 where it is valid,
 * ISO-8859-1 where it is not, since mail often lies or says nothing. For all others it is iconv.
 * Its output never ends inside a character. */
#include "server/mail/decode.h"

#include "storage/base/err.h"

#include <assert.h>
#include <errno.h>
#include <gmime/gmime.h>
#include <stdlib.h>

enum {
	CHARSET_MAX_BYTES = 64,
	UTF8_MAX_BYTES = 4,
	PENDING_MAX_BYTES = 32, /* an incomplete character with its escape sequence */
	DECODE_STEP_BYTES = 16 * 1024,
};

void mail_init(void)
{
	g_mime_init();
}

/* A C string; a NUL would end it, so it becomes a blank. Line breaks of folds go. */
static char *unfolded(struct span raw)
{
	char *text = g_malloc(raw.bytes + 1);
	size_t n = 0;

	for (size_t i = 0; i < raw.bytes; i++) {
		char c = raw.at[i];

		if (c == '\n' || (c == '\r' && i + 1 < raw.bytes && raw.at[i + 1] == '\n'))
			continue;
		text[n++] = (char)(c == '\0' || c == '\r' ? ' ' : c);
	}
	text[n] = '\0';
	return text;
}

static void put_utf8(struct buf *out, const char *text)
{
	if (g_utf8_validate(text, -1, NULL)) {
		buf_puts(out, text);
		return;
	}
	char *valid = g_utf8_make_valid(text, -1);
	buf_puts(out, valid);
	g_free(valid);
}

void decode_header(struct span raw, struct buf *out)
{
	const char *charsets[] = { "utf-8", "iso-8859-1", NULL };
	char *text = unfolded(raw);

	if (strstr(text, "=?") == NULL && g_str_is_ascii(text)) { /* most fields */
		buf_puts(out, text);
		g_free(text);
		return;
	}
	GMimeParserOptions *options = g_mime_parser_options_new();
	g_mime_parser_options_set_fallback_charsets(options, charsets);
	char *decoded = g_mime_utils_header_decode_text(options, text);
	put_utf8(out, decoded);
	g_free(decoded);
	g_mime_parser_options_free(options);
	g_free(text);
}

static int hex_digit(char c)
{
	return g_ascii_xdigit_value(c);
}

static void unescape(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.bytes; i++) {
		if (s.at[i] == '%' && i + 2 < s.bytes && hex_digit(s.at[i + 1]) >= 0 &&
		    hex_digit(s.at[i + 2]) >= 0) {
			buf_putc(out, (char)(hex_digit(s.at[i + 1]) * 16 + hex_digit(s.at[i + 2])));
			i += 2;
		} else {
			buf_putc(out, s.at[i]);
		}
	}
}

/* UTF-8 where it is valid, else ISO-8859-1. Returns the bytes taken: all but a character that the
 * end may have cut (`more` may still come). */
static size_t put_lenient(struct span s, bool more, struct buf *out)
{
	size_t i = 0;

	while (i < s.bytes) {
		size_t from = i;
		while (i < s.bytes && (unsigned char)s.at[i] < 0x80)
			i++;
		buf_put(out, s.at + from, i - from);
		if (i == s.bytes)
			break;

		gunichar c = g_utf8_get_char_validated(s.at + i, (gssize)(s.bytes - i));
		if (c == (gunichar)-2 && more && s.bytes - i < UTF8_MAX_BYTES)
			break; /* GLib says so of a NUL, too */
		bool valid = c != (gunichar)-1 && c != (gunichar)-2;
		char utf8[6];
		gint n = g_unichar_to_utf8(valid ? c : (unsigned char)s.at[i], utf8);
		buf_put(out, utf8, (size_t)n);
		i += valid ? (size_t)n : 1;
	}
	return i;
}

/* charset'language'%xx (RFC 2231, 4). */
static void put_extended(struct span value, struct buf *out)
{
	const char *end = value.at + value.bytes;
	const char *first = memchr(value.at, '\'', value.bytes);
	const char *second =
		first == NULL ? NULL : memchr(first + 1, '\'', (size_t)(end - first - 1));
	struct span charset = { "", 0 };
	struct buf bytes = { 0 };

	if (second != NULL) {
		charset = span_of(value.at, (size_t)(first - value.at));
		value = span_of(second + 1, (size_t)(end - second - 1));
	}
	unescape(value, &bytes);
	if (decode_charset(charset, buf_span(&bytes), out) != OK)
		put_lenient(buf_span(&bytes), false, out);
	buf_free(&bytes);
}

bool decode_param(const struct shape_params *params, const char *name, struct buf *out)
{
	char extended[64];
	struct span value;

	assert(strlen(name) + 2 <= sizeof(extended));
	(void)snprintf(extended, sizeof(extended), "%s*", name);
	value = shape_param(params, extended);
	if (value.at != NULL) {
		put_extended(value, out);
		return true;
	}
	value = shape_param(params, name);
	if (value.at == NULL)
		return false;
	decode_header(value, out);
	return true;
}

/* The name as iconv takes it; false if it cannot be one ("//" would be an option of iconv's). */
static bool charset_name(struct span charset, char *ret)
{
	while (charset.bytes != 0 && strchr(" \t\"'", *charset.at) != NULL)
		charset = span_of(charset.at + 1, charset.bytes - 1);
	while (charset.bytes != 0 && strchr(" \t\"'", charset.at[charset.bytes - 1]) != NULL)
		charset.bytes--;
	if (charset.bytes == 0 || charset.bytes >= CHARSET_MAX_BYTES)
		return false;
	for (size_t i = 0; i < charset.bytes; i++)
		if (!g_ascii_isgraph(charset.at[i]) || strchr("/,\"'", charset.at[i]) != NULL)
			return false;
	memcpy(ret, charset.at, charset.bytes);
	ret[charset.bytes] = '\0';
	return true;
}

/* (GIConv)-1 if the charset is unknown. GMime knows more names of them than iconv. */
static GIConv open_charset(struct span charset)
{
	char name[CHARSET_MAX_BYTES];

	if (!charset_name(charset, name))
		return (GIConv)-1;
	return g_iconv_open("UTF-8", g_mime_charset_iconv_name(name));
}

bool decode_charset_known(struct span charset)
{
	GIConv cd = open_charset(charset);

	if (cd == (GIConv)-1)
		return false;
	g_iconv_close(cd);
	return true;
}

int decode_charset(struct span charset, struct span bytes, struct buf *out)
{
	GIConv cd = open_charset(charset);
	if (cd == (GIConv)-1)
		return ERR_UNSUPPORTED;

	gsize n = 0;
	char *utf8 = g_convert_with_iconv(bytes.at == NULL ? "" : bytes.at, (gssize)bytes.bytes, cd,
					  NULL, &n, NULL);
	g_iconv_close(cd);
	if (utf8 == NULL)
		return ERR_BAD_INPUT;
	buf_put(out, utf8, n);
	g_free(utf8);
	return OK;
}

struct text_decoder {
	GMimeEncoding encoding;
	bool encoded;      /* by base64, quoted-printable or uuencode */
	bool before_begin; /* uuencode: the line "begin 644 name" has not come yet */
	bool in_line;      /* ... and the bytes at hand are in the middle of a line */
	GIConv cd;         /* (GIConv)-1: lenient */
	struct buf bytes;  /* transfer decoded */
	char pending[PENDING_MAX_BYTES];
	size_t pending_bytes; /* the start of a character */
};

static GMimeContentEncoding encoding_of(struct span name)
{
	static const struct {
		const char *name;
		GMimeContentEncoding encoding;
	} names[] = {
		{ "base64", GMIME_CONTENT_ENCODING_BASE64 },
		{ "quoted-printable", GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE },
		{ "x-uuencode", GMIME_CONTENT_ENCODING_UUENCODE },
		{ "uuencode", GMIME_CONTENT_ENCODING_UUENCODE },
		{ "x-uue", GMIME_CONTENT_ENCODING_UUENCODE },
		{ "uue", GMIME_CONTENT_ENCODING_UUENCODE },
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(name, names[i].name))
			return names[i].encoding;
	return GMIME_CONTENT_ENCODING_DEFAULT;
}

static bool is_lenient(struct span charset)
{
	return charset.at == NULL || span_is(charset, "us-ascii") || span_is(charset, "utf-8") ||
	       span_is(charset, "ascii") || span_is(charset, "utf8") ||
	       span_is(charset, "unknown-8bit");
}

struct text_decoder *text_decoder_new(const struct shape_part *part)
{
	struct text_decoder *d = calloc(1, sizeof(*d));
	if (d == NULL)
		abort();

	GMimeContentEncoding encoding = encoding_of(part->encoding);
	d->encoded = encoding != GMIME_CONTENT_ENCODING_DEFAULT;
	d->before_begin = encoding == GMIME_CONTENT_ENCODING_UUENCODE;
	g_mime_encoding_init_decode(&d->encoding, encoding);
	struct span charset = shape_param(&part->params, "charset");
	d->cd = is_lenient(charset) ? (GIConv)-1 : open_charset(charset);
	return d;
}

/* What iconv cannot read becomes U+FFFD. Returns the bytes taken: all but a character that the end
 * may have cut. */
static size_t put_converted(GIConv cd, struct span s, struct buf *out)
{
	char *in = (char *)(uintptr_t)s.at; /* iconv does not write to it */
	gsize left = s.bytes;

	while (left != 0) {
		buf_reserve(out, left + 64);
		char *to = out->at + out->bytes;
		gsize room = out->capacity - out->bytes;
		gsize rc = g_iconv(cd, &in, &left, &to, &room);

		out->bytes = (size_t)(to - out->at);
		if (rc != (gsize)-1 || errno == EINVAL)
			break;
		if (errno == EILSEQ) {
			buf_puts(out, "\xef\xbf\xbd");
			in++;
			left--;
		} else if (errno != E2BIG) {
			break;
		}
	}
	return s.bytes - left;
}

static size_t put_chars(struct text_decoder *d, struct span s, bool more, struct buf *out)
{
	if (s.bytes == 0)
		return 0;
	return d->cd == (GIConv)-1 ? put_lenient(s, more, out) : put_converted(d->cd, s, out);
}

/* Bytes of the charset, in slices: a character that is cut waits for its rest. */
static void charset_feed(struct text_decoder *d, struct span s, struct buf *out)
{
	while (d->pending_bytes != 0 && s.bytes != 0) {
		d->pending[d->pending_bytes++] = *s.at;
		s = span_of(s.at + 1, s.bytes - 1);
		size_t n = put_chars(d, span_of(d->pending, d->pending_bytes), true, out);
		if (n == 0 && d->pending_bytes == sizeof(d->pending))
			n = 1; /* nothing that a character could be */
		d->pending_bytes -= n;
		memmove(d->pending, d->pending + n, d->pending_bytes);
	}
	size_t n = put_chars(d, s, true, out);
	size_t rest = s.bytes - n;
	if (rest > sizeof(d->pending) - 1)
		rest = sizeof(d->pending) - 1;
	if (rest != 0)
		memcpy(d->pending, s.at + s.bytes - rest, rest);
	if (s.bytes != 0)
		d->pending_bytes = rest;
}

/* Skip lines up to and including "begin ..."; what is behind it is encoded. */
static struct span skip_to_begin(struct text_decoder *d, struct span s)
{
	while (d->before_begin && s.bytes != 0) {
		const char *lf = memchr(s.at, '\n', s.bytes);
		size_t n = lf == NULL ? s.bytes : (size_t)(lf - s.at) + 1;

		if (!d->in_line)
			buf_reset(&d->bytes);
		if (d->bytes.bytes < 6)
			buf_put(&d->bytes, s.at, n < 6 ? n : 6);
		d->in_line = lf == NULL;
		if (lf != NULL && d->bytes.bytes >= 6 && memcmp(d->bytes.at, "begin ", 6) == 0) {
			d->before_begin = false;
			d->encoding.state |= GMIME_UUDECODE_STATE_BEGIN;
		}
		s = span_of(s.at + n, s.bytes - n);
	}
	return s;
}

void text_decoder_feed(struct text_decoder *d, struct span bytes, struct buf *out)
{
	if (!d->encoded) {
		charset_feed(d, bytes, out);
		return;
	}
	bytes = skip_to_begin(d, bytes);
	while (bytes.bytes != 0) {
		size_t n = bytes.bytes < DECODE_STEP_BYTES ? bytes.bytes : DECODE_STEP_BYTES;

		buf_reset(&d->bytes);
		buf_reserve(&d->bytes, g_mime_encoding_outlen(&d->encoding, n));
		d->bytes.bytes = g_mime_encoding_step(&d->encoding, bytes.at, n, d->bytes.at);
		charset_feed(d, buf_span(&d->bytes), out);
		bytes = span_of(bytes.at + n, bytes.bytes - n);
	}
}

/* Some converters hold a character back until they know that no accent follows. */
static void flush_converter(GIConv cd, struct buf *out)
{
	buf_reserve(out, 64);
	char *to = out->at + out->bytes;
	gsize room = out->capacity - out->bytes;

	(void)g_iconv(cd, NULL, NULL, &to, &room);
	out->bytes = (size_t)(to - out->at);
}

void text_decoder_finish(struct text_decoder *d, struct buf *out)
{
	if (d->encoding.encoding == GMIME_CONTENT_ENCODING_BASE64)
		text_decoder_feed(d, span_str("=="), out); /* padding is often forgotten */
	if (d->encoded && !d->before_begin) {
		buf_reset(&d->bytes);
		buf_reserve(&d->bytes, g_mime_encoding_outlen(&d->encoding, 0) + 16);
		d->bytes.bytes = g_mime_encoding_flush(&d->encoding, "", 0, d->bytes.at);
		charset_feed(d, buf_span(&d->bytes), out);
	}
	if (d->cd == (GIConv)-1) {
		put_lenient(span_of(d->pending, d->pending_bytes), false, out);
	} else {
		if (d->pending_bytes != 0)
			buf_puts(out, "\xef\xbf\xbd");
		flush_converter(d->cd, out);
	}
	d->pending_bytes = 0;
}

void text_decoder_free(struct text_decoder **d)
{
	if (*d == NULL)
		return;
	if ((*d)->cd != (GIConv)-1)
		g_iconv_close((*d)->cd);
	buf_free(&(*d)->bytes);
	free(*d);
	*d = NULL;
}
