/* fuzz_mail_text.c: any bytes are a header, a date and an encoded text. What comes out is UTF-8
 * whatever the cuts, a date that is read is written and read back, and a word that is in the text
 * is found, also across cuts. */
#include "server/mail/date.h"
#include "server/mail/decode.h"
#include "server/mail/mime_scan.h"
#include "server/mail/text_match.h"
#include "storage/base/err.h"

#include <glib.h>
#include <stdlib.h>

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_dates(struct span s)
{
	struct mail_date d;
	struct mail_date back;
	struct buf out = { 0 };

	(void)imap_date_time_parse(s, &d);
	if (mail_date_parse(s, &d) != OK)
		return;
	imap_date_time_put(&out, d);
	check(imap_date_time_parse(span_of(out.at + 1, out.bytes - 2), &back) == OK);
	check(back.unix_seconds == d.unix_seconds && back.zone_minutes == d.zone_minutes);
	buf_free(&out);
}

static bool is_utf8(struct span s)
{
	for (size_t i = 0; i < s.bytes; i++) { /* GLib takes NUL for an end */
		size_t from = i;
		while (i < s.bytes && s.at[i] != '\0')
			i++;
		if (!g_utf8_validate(s.at + from, (gssize)(i - from), NULL))
			return false;
	}
	return true;
}

/* Decode the body in slices of `cut` bytes; tell whether the needle is in it. */
static bool decode(const struct shape_part *p, struct span body, size_t cut,
		   const struct text_needle *needle, struct buf *out)
{
	struct text_decoder *d = text_decoder_new(p);
	struct text_match *m = text_match_new(needle);

	buf_reserve(out, 1); /* never NULL */

	while (body.bytes != 0) {
		size_t n = cut < body.bytes ? cut : body.bytes;
		size_t from = out->bytes;
		text_decoder_feed(d, span_of(body.at, n), out);
		text_match_feed(m, span_of(out->at + from, out->bytes - from));
		body = span_of(body.at + n, body.bytes - n);
	}
	size_t from = out->bytes;
	text_decoder_finish(d, out);
	text_match_feed(m, span_of(out->at + from, out->bytes - from));
	bool found = text_match_finish(m);
	text_match_free(&m);
	text_decoder_free(&d);
	return found;
}

static bool is_uuencode(struct span encoding)
{
	return span_is(encoding, "x-uuencode") || span_is(encoding, "uuencode") ||
	       span_is(encoding, "x-uue") || span_is(encoding, "uue");
}

static void check_text(const struct shape *s, struct span message, size_t cut)
{
	const struct shape_part *p = s->root;
	struct span body = span_of(message.at + shape_body_at(p), p->body_bytes);
	struct text_needle *needle = NULL;
	struct buf whole = { 0 };
	struct buf sliced = { 0 };

	check(text_needle_new(span_str("ab"), &needle) == OK);
	bool found = decode(p, body, message.bytes + 1, needle, &whole);
	bool found_sliced = decode(p, body, cut, needle, &sliced);
	/* What GMime makes of broken base64 and uuencode depends on the cuts. */
	if (!span_is(p->encoding, "base64") && !is_uuencode(p->encoding)) {
		check(found_sliced == found);
		check(span_eq(buf_span(&whole), buf_span(&sliced)));
	}
	check(is_utf8(buf_span(&sliced)));
	check(is_utf8(buf_span(&whole)));
	check(text_needle_in(needle, buf_span(&whole)) == found);
	text_needle_free(&needle);
	buf_free(&whole);
	buf_free(&sliced);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	mail_init();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = { 0 };
	struct arena a;

	if (size == 0)
		return 0;
	struct span message = span_of(data + 1, size - 1);
	check_dates(message);
	decode_header(message, &out);
	check(is_utf8(buf_span(&out)));
	arena_init(&a);
	const struct shape *s = mime_scan_whole(&a, message);
	buf_reset(&out);
	decode_param(&s->root->params, "name", &out);
	check(is_utf8(buf_span(&out)));
	check_text(s, message, 1 + data[0] % 16);
	arena_free(&a);
	buf_free(&out);
	return 0;
}
