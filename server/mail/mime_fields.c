#include "server/mail/mime_fields.h"

#include "server/mail/mime_params.h"
#include "server/mail/rfc822.h"
#include "storage/base/limits.h"

#include <xxhash.h>

static bool is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* Keep text in the shape; what does not fit is cut off. */
static struct span keep(struct mime_fields *f, struct span s)
{
	if (f->room < SHAPE_STRING_OVERHEAD_BYTES)
		return (struct span){ NULL, 0 };
	f->room -= SHAPE_STRING_OVERHEAD_BYTES;
	if (s.bytes > f->room)
		s.bytes = f->room;
	f->room -= s.bytes;
	return arena_copy(f->arena, s);
}

/* Unfold into f->scratch: a line break and the white space around it become one space; white space
 * at the ends goes; NUL, which IMAP cannot say, becomes 0x80. */
static struct span unfold(struct mime_fields *f, struct span raw)
{
	struct buf *b = &f->scratch;

	buf_reset(b);
	for (size_t i = 0; i < raw.bytes; i++) {
		char c = raw.at[i];

		if (c == '\n') {
			while (i + 1 < raw.bytes && is_wsp(raw.at[i + 1]))
				i++;
			while (b->bytes != 0 && is_wsp(b->at[b->bytes - 1]))
				b->bytes--;
			buf_putc(b, ' ');
		} else if (c != '\r' || i + 1 == raw.bytes || raw.at[i + 1] != '\n') {
			buf_putc(b, (char)(c == '\0' ? 0x80 : c));
		}
	}
	struct span s = buf_span(b);
	while (s.bytes != 0 && is_wsp(s.at[s.bytes - 1]))
		s.bytes--;
	while (s.bytes != 0 && is_wsp(*s.at))
		s = span_of(s.at + 1, s.bytes - 1);
	return s;
}

static void text_field(struct mime_fields *f, struct span raw, struct span *ret)
{
	if (ret->at == NULL)
		*ret = keep(f, unfold(f, raw));
}

static void address_field(struct mime_fields *f, struct span raw, struct address_list *list)
{
	f->room -= address_parse(f->arena, unfold(f, raw), f->room, list);
}

static void params_field(struct mime_fields *f, struct rfc822 *r, struct shape_params *ret)
{
	f->room -= mime_params_parse(f->arena, r, f->room, ret);
}

/* type "/" subtype *(";" parameter) */
static void type_field(struct mime_fields *f, struct span raw)
{
	struct shape_part *p = f->part;
	struct buf token = { 0 };

	if (p->type.at != NULL)
		return;
	struct rfc822 r = rfc822_of(unfold(f, raw), NULL);
	enum rfc822_found found = rfc822_skip(&r);
	if (found == RFC822_MORE)
		found = rfc822_token(&r, &token);
	if (token.bytes != 0)
		p->type = keep(f, buf_span(&token));
	if (token.bytes != 0 && found == RFC822_MORE && *r.at == '/') {
		r.at++;
		buf_reset(&token);
		found = rfc822_skip(&r);
		if (found == RFC822_MORE)
			found = rfc822_token(&r, &token);
		if (token.bytes != 0)
			p->subtype = keep(f, buf_span(&token));
		if (found == RFC822_MORE)
			params_field(f, &r, &p->params);
	}
	buf_free(&token);
}

static void encoding_field(struct mime_fields *f, struct span raw)
{
	struct buf token = { 0 };

	if (f->part->encoding.at != NULL)
		return;
	struct rfc822 r = rfc822_of(unfold(f, raw), NULL);
	if (rfc822_skip(&r) == RFC822_MORE && rfc822_token(&r, &token) == RFC822_END &&
	    token.bytes != 0)
		f->part->encoding = keep(f, buf_span(&token));
	buf_free(&token);
}

static void disposition_field(struct mime_fields *f, struct span raw)
{
	struct shape_part *p = f->part;
	struct buf token = { 0 };

	if (p->disposition.at != NULL)
		return;
	struct rfc822 r = rfc822_of(unfold(f, raw), NULL);
	enum rfc822_found found = rfc822_skip(&r);
	if (found == RFC822_MORE)
		found = rfc822_token(&r, &token);
	if (token.bytes != 0) {
		p->disposition = keep(f, buf_span(&token));
		if (found == RFC822_MORE)
			params_field(f, &r, &p->disposition_params);
	}
	buf_free(&token);
}

static void language_field(struct mime_fields *f, struct span raw)
{
	struct span list[MIME_PARAMS_MAX];
	struct buf tag = { 0 };
	size_t count = 0;

	if (f->part->language_count != 0)
		return;
	struct rfc822 r = rfc822_of(unfold(f, raw), NULL);
	enum rfc822_found found = rfc822_skip(&r);
	while (found == RFC822_MORE && count < MIME_PARAMS_MAX) {
		buf_reset(&tag);
		found = rfc822_atom(&r, &tag);
		if (found == RFC822_BAD || tag.bytes + SHAPE_STRING_OVERHEAD_BYTES > f->room)
			break;
		list[count++] = keep(f, buf_span(&tag));
		if (found != RFC822_MORE || *r.at != ',')
			break;
		r.at++;
		found = rfc822_skip(&r);
	}
	buf_free(&tag);
	if (count == 0)
		return;
	f->part->languages = arena_alloc(f->arena, count * sizeof(*list));
	memcpy(f->part->languages, list, count * sizeof(*list));
	f->part->language_count = count;
}

/* The hash of an id without the white space that folding puts into it. */
static uint64_t id_hash(struct buf *scratch, const char *at, const char *end)
{
	buf_reset(scratch);
	for (; at < end; at++)
		if (strchr(" \t\r\n", *at) == NULL)
			buf_putc(scratch, *at);
	return XXH64(scratch->at, scratch->bytes, 0);
}

/* All "<...>" of a field. A Message-ID without brackets, as some programs write it, is one id. */
static void ids_field(struct mime_fields *f, struct span s, size_t max, struct shape_hashes *ret)
{
	uint64_t list[THREAD_IDS_MAX];
	struct buf id = { 0 };
	size_t count = 0;

	if (s.bytes == 0 || ret->count != 0)
		return;
	const char *end = s.at + s.bytes;

	for (const char *at = s.at; at < end && count < max;) {
		const char *open = memchr(at, '<', (size_t)(end - at));
		const char *close = open == NULL ? NULL : memchr(open, '>', (size_t)(end - open));
		if (close == NULL)
			break;
		list[count++] = id_hash(&id, open + 1, close);
		at = close + 1;
	}
	if (count == 0 && max == 1)
		list[count++] = id_hash(&id, s.at, end);
	buf_free(&id);
	if (count == 0)
		return;
	ret->at = arena_alloc(f->arena, count * sizeof(*list));
	memcpy(ret->at, list, count * sizeof(*list));
	ret->count = count;
}

static void content_field(struct mime_fields *f, struct span name, struct span raw)
{
	struct shape_part *p = f->part;

	if (span_is(name, "type"))
		type_field(f, raw);
	else if (span_is(name, "transfer-encoding"))
		encoding_field(f, raw);
	else if (span_is(name, "id"))
		text_field(f, raw, &p->id);
	else if (span_is(name, "description"))
		text_field(f, raw, &p->description);
	else if (span_is(name, "disposition"))
		disposition_field(f, raw);
	else if (span_is(name, "md5"))
		text_field(f, raw, &p->md5);
	else if (span_is(name, "language"))
		language_field(f, raw);
	else if (span_is(name, "location"))
		text_field(f, raw, &p->location);
}

/* Of these fields the last one counts, as in Dovecot; so they are held until the header ends. */
static void latest_field(struct mime_fields *f, enum mime_latest which, struct span raw)
{
	struct span s = unfold(f, raw);

	buf_reset(&f->latest[which]);
	buf_put_span(&f->latest[which], s);
	f->has_latest |= 1U << which;
}

static void envelope_field(struct mime_fields *f, struct span name, struct span raw)
{
	struct shape_envelope *e = f->part->envelope;

	if (span_is(name, "date"))
		latest_field(f, MIME_DATE, raw);
	else if (span_is(name, "subject"))
		latest_field(f, MIME_SUBJECT, raw);
	else if (span_is(name, "from"))
		address_field(f, raw, &e->from);
	else if (span_is(name, "sender"))
		address_field(f, raw, &e->sender);
	else if (span_is(name, "reply-to"))
		address_field(f, raw, &e->reply_to);
	else if (span_is(name, "to"))
		address_field(f, raw, &e->to);
	else if (span_is(name, "cc"))
		address_field(f, raw, &e->cc);
	else if (span_is(name, "bcc"))
		address_field(f, raw, &e->bcc);
	else if (span_is(name, "in-reply-to"))
		latest_field(f, MIME_IN_REPLY_TO, raw);
	else if (span_is(name, "message-id"))
		latest_field(f, MIME_MESSAGE_ID, raw);
	else if (span_is(name, "references") && f->part->parent == NULL)
		ids_field(f, unfold(f, raw), THREAD_IDS_MAX, &f->shape->references);
}

void mime_header_begin(struct mime_fields *f, struct shape_part *part, size_t room)
{
	f->part = part;
	f->room = room;
	f->has_latest = 0;
}

void mime_header_end(struct mime_fields *f)
{
	struct shape_envelope *e = f->part->envelope;
	struct shape *s = f->shape;

	if (e == NULL)
		return;
	struct span *const to[] = { [MIME_DATE] = &e->date,
				    [MIME_SUBJECT] = &e->subject,
				    [MIME_IN_REPLY_TO] = &e->in_reply_to,
				    [MIME_MESSAGE_ID] = &e->message_id };
	for (unsigned i = 0; i < MIME_LATEST_COUNT; i++)
		if ((f->has_latest & 1U << i) != 0)
			*to[i] = keep(f, buf_span(&f->latest[i]));
	if (f->part->parent != NULL)
		return;
	ids_field(f, e->message_id, 1, &s->message_id);
	ids_field(f, e->in_reply_to, THREAD_IDS_MAX, &s->in_reply_to);
}

void mime_fields_free(struct mime_fields *f)
{
	buf_free(&f->scratch);
	for (unsigned i = 0; i < MIME_LATEST_COUNT; i++)
		buf_free(&f->latest[i]);
}

void mime_field(struct mime_fields *f, struct span raw)
{
	const char *colon = raw.bytes == 0 ? NULL : memchr(raw.at, ':', raw.bytes);
	if (colon == NULL)
		return;

	struct span name = span_of(raw.at, (size_t)(colon - raw.at));
	struct span value = span_of(colon + 1, raw.bytes - name.bytes - 1);
	while (name.bytes != 0 && is_wsp(name.at[name.bytes - 1]))
		name.bytes--;
	if (name.bytes > 8 && span_is(span_of(name.at, 8), "content-"))
		content_field(f, span_of(name.at + 8, name.bytes - 8), value);
	else if (f->part->envelope != NULL)
		envelope_field(f, name, value);
}

size_t mime_boundary(const struct shape_params *params, char *text)
{
	struct span b = shape_param(params, "boundary");

	if (b.bytes > MIME_BOUNDARY_MAX_BYTES)
		b.bytes = MIME_BOUNDARY_MAX_BYTES;
	if (b.bytes != 0)
		memcpy(text, b.at, b.bytes);
	return b.bytes;
}

enum shape_kind mime_kind(const struct shape_part *p)
{
	if (p->type.at == NULL) {
		bool digest = p->parent != NULL && p->parent->kind == SHAPE_MULTIPART &&
			      span_is(shape_subtype(p->parent), "digest");
		return digest ? SHAPE_MESSAGE : SHAPE_TEXT;
	}
	if (span_is(p->type, "text"))
		return SHAPE_TEXT;
	if (span_is(p->type, "message") &&
	    (span_is(shape_subtype(p), "rfc822") || span_is(shape_subtype(p), "global")))
		return SHAPE_MESSAGE;
	return span_is(p->type, "multipart") && p->subtype.at != NULL ? SHAPE_MULTIPART
								      : SHAPE_LEAF;
}
