/* shape.c: the stored form of a shape.
 *
 * Format 1. Numbers are varints, `string` is a length and bytes, `nstring` is 0 for absent or
 * length + 1 and bytes, `list` is a count and that many.
 *
 *   shape    = 1 (byte) | bytes | list of hash | list of hash | list of hash | part
 *              (Message-ID, In-Reply-To, References; a hash is 8 bytes, big-endian)
 *   part     = flags | gap | header bytes | body bytes | header lines | body lines
 *              | what flags say, in the order of enum part_flag | list of part
 *              (gap: from the end of the part before, or from the beginning of the parent's body)
 *   params   = list of (string string)
 *   envelope = nstring nstring | 6 lists of address | nstring nstring
 *   address  = nstring nstring nstring nstring
 */
#include "server/mail/shape.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>

enum { SHAPE_FORMAT = 1 };

enum part_flag {
	PART_KIND = 3, /* enum shape_kind */
	PART_TYPE = 1 << 2,
	PART_SUBTYPE = 1 << 3,
	PART_PARAMS = 1 << 4,
	PART_ID = 1 << 5,
	PART_DESCRIPTION = 1 << 6,
	PART_ENCODING = 1 << 7,
	PART_MD5 = 1 << 8,
	PART_LOCATION = 1 << 9,
	PART_DISPOSITION = 1 << 10,
	PART_DISPOSITION_PARAMS = 1 << 11,
	PART_LANGUAGES = 1 << 12,
	PART_ENVELOPE = 1 << 13,
	PART_FLAGS_END = 1 << 14,
};

struct span shape_type(const struct shape_part *p)
{
	if (p->type.at != NULL)
		return p->type;
	return span_str(p->kind == SHAPE_MESSAGE ? "message" : "text");
}

struct span shape_subtype(const struct shape_part *p)
{
	if (p->subtype.at != NULL)
		return p->subtype;
	switch (p->kind) {
	case SHAPE_TEXT: return span_str("plain");
	case SHAPE_MESSAGE: return span_str("rfc822");
	case SHAPE_MULTIPART: return span_str("x-unknown");
	case SHAPE_LEAF: break;
	}
	return span_str("unknown");
}

struct span shape_param(const struct shape_params *params, const char *name)
{
	for (size_t i = 0; i < params->count; i++)
		if (span_is(params->at[i].name, name))
			return params->at[i].value;
	return (struct span){ NULL, 0 };
}

static void put_string(struct buf *out, struct span s)
{
	buf_put_varint(out, s.bytes);
	buf_put_span(out, s);
}

static void put_nstring(struct buf *out, struct span s)
{
	buf_put_varint(out, s.at == NULL ? 0 : (uint64_t)s.bytes + 1);
	if (s.at != NULL)
		buf_put_span(out, s);
}

static void put_params(struct buf *out, const struct shape_params *params)
{
	buf_put_varint(out, params->count);
	for (size_t i = 0; i < params->count; i++) {
		put_string(out, params->at[i].name);
		put_string(out, params->at[i].value);
	}
}

static void put_addresses(struct buf *out, const struct address_list *list)
{
	buf_put_varint(out, list->count);
	for (size_t i = 0; i < list->count; i++) {
		put_nstring(out, list->at[i].name);
		put_nstring(out, list->at[i].route);
		put_nstring(out, list->at[i].mailbox);
		put_nstring(out, list->at[i].host);
	}
}

static void put_envelope(struct buf *out, const struct shape_envelope *e)
{
	put_nstring(out, e->date);
	put_nstring(out, e->subject);
	put_addresses(out, &e->from);
	put_addresses(out, &e->sender);
	put_addresses(out, &e->reply_to);
	put_addresses(out, &e->to);
	put_addresses(out, &e->cc);
	put_addresses(out, &e->bcc);
	put_nstring(out, e->in_reply_to);
	put_nstring(out, e->message_id);
}

static void put_hashes(struct buf *out, const struct shape_hashes *h)
{
	buf_put_varint(out, h->count);
	for (size_t i = 0; i < h->count; i++) {
		uint8_t bytes[8];

		be64_put(bytes, h->at[i]);
		buf_put(out, bytes, sizeof(bytes));
	}
}

static unsigned flag_of(bool present, enum part_flag flag)
{
	return present ? (unsigned)flag : 0;
}

static unsigned part_flags(const struct shape_part *p)
{
	return (unsigned)p->kind | flag_of(p->type.at != NULL, PART_TYPE) |
	       flag_of(p->subtype.at != NULL, PART_SUBTYPE) |
	       flag_of(p->params.count != 0, PART_PARAMS) | flag_of(p->id.at != NULL, PART_ID) |
	       flag_of(p->description.at != NULL, PART_DESCRIPTION) |
	       flag_of(p->encoding.at != NULL, PART_ENCODING) |
	       flag_of(p->md5.at != NULL, PART_MD5) |
	       flag_of(p->location.at != NULL, PART_LOCATION) |
	       flag_of(p->disposition.at != NULL, PART_DISPOSITION) |
	       flag_of(p->disposition_params.count != 0, PART_DISPOSITION_PARAMS) |
	       flag_of(p->language_count != 0, PART_LANGUAGES) |
	       flag_of(p->envelope != NULL, PART_ENVELOPE);
}

static void put_fields(struct buf *out, const struct shape_part *p)
{
	const struct span strings[] = { p->id,  p->description, p->encoding,
					p->md5, p->location,    p->disposition };

	if (p->type.at != NULL)
		put_string(out, p->type);
	if (p->subtype.at != NULL)
		put_string(out, p->subtype);
	if (p->params.count != 0)
		put_params(out, &p->params);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (strings[i].at != NULL)
			put_string(out, strings[i]);
	if (p->disposition_params.count != 0)
		put_params(out, &p->disposition_params);
	if (p->language_count != 0)
		buf_put_varint(out, p->language_count);
	for (size_t i = 0; i < p->language_count; i++)
		put_string(out, p->languages[i]);
	if (p->envelope != NULL)
		put_envelope(out, p->envelope);
}

/* `from` is where the part may begin at the earliest. */
static void put_part(struct buf *out, const struct shape_part *p, uint64_t from)
{
	assert(p->header_at >= from);
	buf_put_varint(out, part_flags(p));
	buf_put_varint(out, p->header_at - from);
	buf_put_varint(out, p->header_bytes);
	buf_put_varint(out, p->body_bytes);
	buf_put_varint(out, p->header_lines);
	buf_put_varint(out, p->body_lines);
	put_fields(out, p);

	uint64_t count = 0;
	for (const struct shape_part *c = p->child; c != NULL; c = c->next)
		count++;
	buf_put_varint(out, count);
	from = shape_body_at(p);
	for (const struct shape_part *c = p->child; c != NULL; c = c->next) {
		put_part(out, c, from);
		from = shape_body_at(c) + c->body_bytes;
	}
}

void shape_encode(const struct shape *s, struct buf *out)
{
	buf_putc(out, SHAPE_FORMAT);
	buf_put_varint(out, s->bytes);
	put_hashes(out, &s->message_id);
	put_hashes(out, &s->in_reply_to);
	put_hashes(out, &s->references);
	put_part(out, s->root, 0);
}

/* Decoding. Every get_ function is false on bytes that cannot be. */
struct reader {
	const uint8_t *at;
	const uint8_t *end;
	struct arena *arena;
	unsigned parts;
	unsigned level;
};

/* A count of things of which each takes at least `each` bytes: no allocation for more than the
 * bytes can hold. */
static bool get_count(struct reader *r, size_t each, size_t *ret)
{
	uint64_t n = 0;

	if (!varint_get(&r->at, r->end, &n) || n > (size_t)(r->end - r->at) / each)
		return false;
	*ret = (size_t)n;
	return true;
}

static bool get_string(struct reader *r, struct span *ret)
{
	size_t n = 0;

	if (!get_count(r, 1, &n))
		return false;
	*ret = span_of(r->at, n);
	r->at += n;
	return true;
}

static bool get_nstring(struct reader *r, struct span *ret)
{
	uint64_t n = 0;

	if (!varint_get(&r->at, r->end, &n))
		return false;
	if (n == 0) {
		*ret = (struct span){ NULL, 0 };
		return true;
	}
	if (n - 1 > (size_t)(r->end - r->at))
		return false;
	*ret = span_of(r->at, (size_t)n - 1);
	r->at += n - 1;
	return true;
}

static bool get_params(struct reader *r, struct shape_params *ret)
{
	if (!get_count(r, 2, &ret->count))
		return false;
	ret->at = arena_alloc(r->arena, ret->count * sizeof(*ret->at));
	for (size_t i = 0; i < ret->count; i++)
		if (!get_string(r, &ret->at[i].name) || !get_string(r, &ret->at[i].value))
			return false;
	return true;
}

static bool get_addresses(struct reader *r, struct address_list *ret)
{
	if (!get_count(r, 4, &ret->count))
		return false;
	ret->at = arena_alloc(r->arena, ret->count * sizeof(*ret->at));
	for (size_t i = 0; i < ret->count; i++) {
		struct mail_address *a = &ret->at[i];

		if (!get_nstring(r, &a->name) || !get_nstring(r, &a->route) ||
		    !get_nstring(r, &a->mailbox) || !get_nstring(r, &a->host))
			return false;
	}
	return true;
}

static bool get_envelope(struct reader *r, struct shape_part *p)
{
	struct shape_envelope *e = arena_zalloc(r->arena, sizeof(*e));

	p->envelope = e;
	return get_nstring(r, &e->date) && get_nstring(r, &e->subject) &&
	       get_addresses(r, &e->from) && get_addresses(r, &e->sender) &&
	       get_addresses(r, &e->reply_to) && get_addresses(r, &e->to) &&
	       get_addresses(r, &e->cc) && get_addresses(r, &e->bcc) &&
	       get_nstring(r, &e->in_reply_to) && get_nstring(r, &e->message_id);
}

static bool get_languages(struct reader *r, struct shape_part *p)
{
	if (!get_count(r, 1, &p->language_count))
		return false;
	p->languages = arena_alloc(r->arena, p->language_count * sizeof(*p->languages));
	for (size_t i = 0; i < p->language_count; i++)
		if (!get_string(r, &p->languages[i]))
			return false;
	return true;
}

static bool get_hashes(struct reader *r, size_t max, struct shape_hashes *ret)
{
	if (!get_count(r, 8, &ret->count) || ret->count > max)
		return false;
	ret->at = arena_alloc(r->arena, ret->count * sizeof(*ret->at));
	for (size_t i = 0; i < ret->count; i++, r->at += 8)
		ret->at[i] = be64_get(r->at);
	return true;
}

static bool get_fields(struct reader *r, uint64_t flags, struct shape_part *p)
{
	struct span *const strings[] = { &p->id,  &p->description, &p->encoding,
					 &p->md5, &p->location,    &p->disposition };

	if ((flags & PART_TYPE) != 0 && !get_string(r, &p->type))
		return false;
	if ((flags & PART_SUBTYPE) != 0 && !get_string(r, &p->subtype))
		return false;
	if ((flags & PART_PARAMS) != 0 && !get_params(r, &p->params))
		return false;
	for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if ((flags & ((unsigned)PART_ID << i)) != 0 && !get_string(r, strings[i]))
			return false;
	if ((flags & PART_DISPOSITION_PARAMS) != 0 && !get_params(r, &p->disposition_params))
		return false;
	if ((flags & PART_LANGUAGES) != 0 && !get_languages(r, p))
		return false;
	return (flags & PART_ENVELOPE) == 0 || get_envelope(r, p);
}

/* The part's own range, which must lie in [from, to). */
static bool get_range(struct reader *r, uint64_t from, uint64_t to, struct shape_part *p)
{
	uint64_t gap = 0;

	if (!varint_get(&r->at, r->end, &gap) || gap > to - from ||
	    !varint_get(&r->at, r->end, &p->header_bytes) || p->header_bytes > to - from - gap ||
	    !varint_get(&r->at, r->end, &p->body_bytes) ||
	    p->body_bytes > to - from - gap - p->header_bytes ||
	    !varint_get(&r->at, r->end, &p->header_lines) || p->header_lines > p->header_bytes ||
	    !varint_get(&r->at, r->end, &p->body_lines) || p->body_lines > p->body_bytes)
		return false;
	p->header_at = from + gap;
	return true;
}

static bool children_fit(enum shape_kind kind, size_t count)
{
	switch (kind) {
	case SHAPE_MULTIPART: return true;
	case SHAPE_MESSAGE: return count == 1;
	case SHAPE_LEAF:
	case SHAPE_TEXT: return count == 0;
	}
	return false;
}

static bool get_part(struct reader *r, struct shape_part *parent, uint64_t from, uint64_t to,
		     struct shape_part **ret);

static bool get_children(struct reader *r, struct shape_part *p)
{
	struct shape_part **at = &p->child;
	uint64_t from = shape_body_at(p);
	uint64_t to = from + p->body_bytes;
	size_t count = 0;

	if (!get_count(r, 7, &count) || !children_fit(p->kind, count))
		return false;
	if (count != 0 && r->level++ > MIME_NESTING_MAX_LEVELS)
		return false;
	for (size_t i = 0; i < count; i++, at = &(*at)->next) {
		if (!get_part(r, p, from, to, at))
			return false;
		from = shape_body_at(*at) + (*at)->body_bytes;
	}
	if (count != 0)
		r->level--;
	return true;
}

static bool get_part(struct reader *r, struct shape_part *parent, uint64_t from, uint64_t to,
		     struct shape_part **ret)
{
	struct shape_part *p = arena_zalloc(r->arena, sizeof(*p));
	bool message = parent == NULL || parent->kind == SHAPE_MESSAGE;
	uint64_t flags = 0;

	if (r->parts++ == MIME_PARTS_MAX || !varint_get(&r->at, r->end, &flags) ||
	    flags >= PART_FLAGS_END || ((flags & PART_ENVELOPE) != 0) != message)
		return false;
	p->parent = parent;
	p->kind = (enum shape_kind)(flags & PART_KIND);
	if (!get_range(r, from, to, p) || !get_fields(r, flags, p))
		return false;
	*ret = p;
	return get_children(r, p);
}

int shape_decode(struct span bytes, struct arena *a, const struct shape **ret)
{
	struct reader r = { .at = (const uint8_t *)bytes.at, .arena = a };
	struct shape *s = arena_zalloc(a, sizeof(*s));

	r.end = r.at + bytes.bytes;
	if (r.at == r.end || *r.at == 0)
		return ERR_CORRUPT;
	if (*r.at++ != SHAPE_FORMAT)
		return ERR_UNSUPPORTED;
	if (!varint_get(&r.at, r.end, &s->bytes) || !get_hashes(&r, 1, &s->message_id) ||
	    !get_hashes(&r, THREAD_IDS_MAX, &s->in_reply_to) ||
	    !get_hashes(&r, THREAD_IDS_MAX, &s->references) ||
	    !get_part(&r, NULL, 0, s->bytes, &s->root))
		return ERR_CORRUPT;
	if (r.at != r.end || s->root->header_at != 0 ||
	    s->root->header_bytes + s->root->body_bytes != s->bytes)
		return ERR_CORRUPT;
	*ret = s;
	return OK;
}
