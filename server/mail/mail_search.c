/* mail_search.c: where in a message SEARCH looks, and how it reads it: in slices of the stored
 * bytes, headers field by field, text parts through a text_decoder. At most one slice, one field
 * and the decoders are in memory. */
#include "server/mail/decode.h"
#include "server/mail/text_match.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

enum { SLICE_BYTES = 64 * 1024 };

/* One search of one message. */
struct search {
	const struct mail_source *mail;
	const struct text_needle *needle;
	struct span name; /* only fields of this name; absent: all, with their names */
	struct buf slice; /* as read */
	struct buf field; /* the field at hand, raw */
	struct buf text;  /* decoded */
	bool line_ended;  /* the last header byte was a line feed */
	bool found;
};

static void search_free(struct search *s)
{
	buf_free(&s->slice);
	buf_free(&s->field);
	buf_free(&s->text);
}

/* Read up to a slice of [*at, end) into s->slice, and move *at. */
static int read_slice(struct search *s, uint64_t *at, uint64_t end)
{
	uint64_t left = end - *at;
	size_t n = left < SLICE_BYTES ? (size_t)left : SLICE_BYTES;

	buf_reset(&s->slice);
	int rc = s->mail->read(s->mail->data, *at, n, &s->slice);
	if (rc < 0)
		return rc;
	if (s->slice.bytes != n)
		return ERR_CORRUPT; /* the body is shorter than its shape says */
	*at += n;
	return OK;
}

static bool is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* s->field is complete: does it match? */
static void match_field(struct search *s)
{
	struct span raw = buf_span(&s->field);
	const char *colon = raw.bytes == 0 ? NULL : memchr(raw.at, ':', raw.bytes);

	buf_reset(&s->text);
	if (s->name.at != NULL) {
		if (colon == NULL)
			return;
		struct span name = span_of(raw.at, (size_t)(colon - raw.at));
		while (name.bytes != 0 && is_wsp(name.at[name.bytes - 1]))
			name.bytes--;
		if (!span_eq_nocase(name, s->name))
			return;
		raw = span_of(colon + 1, raw.bytes - (size_t)(colon + 1 - raw.at));
	}
	decode_header(raw, &s->text);
	s->found = text_needle_in(s->needle, buf_span(&s->text));
}

/* Header bytes; a field ends where a line begins that does not continue it. The rest of a field
 * beyond MIME_FIELD_MAX_BYTES is not looked at. */
static void header_bytes(struct search *s, struct span bytes)
{
	const char *end = bytes.at + bytes.bytes;

	for (const char *at = bytes.at; at < end && !s->found;) {
		if (s->line_ended && !is_wsp(*at)) {
			match_field(s);
			buf_reset(&s->field);
		}
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((lf == NULL ? end : lf + 1) - at);
		if (s->field.bytes < MIME_FIELD_MAX_BYTES)
			buf_put(&s->field, at, n);
		s->line_ended = lf != NULL;
		at += n;
	}
}

static int search_header(struct search *s, const struct shape_part *p)
{
	uint64_t at = p->header_at;
	uint64_t end = at + p->header_bytes;

	buf_reset(&s->field);
	s->line_ended = false;
	while (at < end && !s->found) {
		int rc = read_slice(s, &at, end);
		if (rc < 0)
			return rc;
		header_bytes(s, buf_span(&s->slice));
	}
	if (!s->found)
		match_field(s);
	return OK;
}

static int search_text(struct search *s, const struct shape_part *p)
{
	struct text_decoder *decoder = text_decoder_new(p);
	struct text_match *match = text_match_new(s->needle);
	uint64_t at = shape_body_at(p);
	uint64_t end = at + p->body_bytes;
	int rc = OK;

	while (at < end && !s->found && rc == OK) {
		rc = read_slice(s, &at, end);
		if (rc < 0)
			break;
		buf_reset(&s->text);
		text_decoder_feed(decoder, buf_span(&s->slice), &s->text);
		s->found = text_match_feed(match, buf_span(&s->text));
	}
	if (rc == OK && !s->found) {
		buf_reset(&s->text);
		text_decoder_finish(decoder, &s->text);
		s->found = text_match_feed(match, buf_span(&s->text)) || text_match_finish(match);
	}
	text_decoder_free(&decoder);
	text_match_free(&match);
	return rc;
}

/* What the part holds: its text, or its parts with their headers. Recursion is as deep as the shape
 * (MIME_NESTING_MAX_LEVELS). */
static int search_part(struct search *s, const struct shape_part *p)
{
	int rc = OK;

	if (p->kind == SHAPE_TEXT || (p->kind == SHAPE_MULTIPART && p->child == NULL))
		return search_text(s, p);
	for (const struct shape_part *c = p->child; c != NULL && rc == OK && !s->found;
	     c = c->next) {
		rc = search_header(s, c);
		if (rc == OK && !s->found)
			rc = search_part(s, c);
	}
	return rc;
}

int mail_search_header(const struct mail_source *m, struct span name, const struct text_needle *n,
		       bool *ret)
{
	struct search s = { .mail = m, .needle = n, .name = name };

	if (s.name.at == NULL)
		s.name = span_str("");
	int rc = search_header(&s, m->shape->root);
	if (rc == OK)
		*ret = s.found;
	search_free(&s);
	return rc;
}

int mail_search_body(const struct mail_source *m, const struct text_needle *n, bool *ret)
{
	struct search s = { .mail = m, .needle = n, .found = text_needle_is_empty(n) };

	int rc = s.found ? OK : search_part(&s, m->shape->root);
	if (rc == OK)
		*ret = s.found;
	search_free(&s);
	return rc;
}

int mail_search_text(const struct mail_source *m, const struct text_needle *n, bool *ret)
{
	struct search s = { .mail = m, .needle = n, .found = text_needle_is_empty(n) };

	int rc = s.found ? OK : search_header(&s, m->shape->root);
	if (rc == OK && !s.found)
		rc = search_part(&s, m->shape->root);
	if (rc == OK)
		*ret = s.found;
	search_free(&s);
	return rc;
}
