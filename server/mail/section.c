#include "server/mail/section.h"

#include "storage/base/err.h"

/* Part n of what a message holds: of its multipart, or its one body, which is part 1. */
static const struct shape_part *part_of_message(const struct shape_part *content, uint32_t n)
{
	if (content->kind != SHAPE_MULTIPART)
		return n == 1 ? content : NULL;

	const struct shape_part *c = content->child;
	while (c != NULL && n > 1) {
		c = c->next;
		n--;
	}
	return n == 0 ? NULL : c;
}

/* Part n below part `p`: only multiparts and messages have any. */
static const struct shape_part *part_below(const struct shape_part *p, uint32_t n)
{
	if (p->kind == SHAPE_MULTIPART)
		return part_of_message(p, n);
	if (p->kind == SHAPE_MESSAGE)
		return part_of_message(p->child, n);
	return NULL;
}

const struct shape_part *section_part(const struct shape *s, const uint32_t *parts, size_t count)
{
	if (count == 0)
		return s->root;

	const struct shape_part *p = part_of_message(s->root, parts[0]);
	for (size_t i = 1; i < count && p != NULL; i++)
		p = part_below(p, parts[i]);
	return p;
}

static struct section_range header_of(const struct shape_part *p)
{
	return (struct section_range){ p->header_at, p->header_bytes };
}

static struct section_range body_of(const struct shape_part *p)
{
	return (struct section_range){ shape_body_at(p), p->body_bytes };
}

int section_find(const struct shape *s, const struct section *what, struct section_range *ret)
{
	const struct shape_part *p = section_part(s, what->parts, what->part_count);
	bool whole = what->part_count == 0;

	if (p == NULL)
		return ERR_NOT_FOUND;
	if (what->kind == SECTION_WHOLE) {
		*ret = whole ? (struct section_range){ 0, s->bytes } : body_of(p);
		return OK;
	}
	if (what->kind == SECTION_MIME) {
		if (whole)
			return ERR_NOT_FOUND;
		*ret = header_of(p);
		return OK;
	}
	if (!whole) { /* HEADER and TEXT are those of a message, here of the one in the part */
		if (p->kind != SHAPE_MESSAGE)
			return ERR_NOT_FOUND;
		p = p->child;
	}
	*ret = what->kind == SECTION_TEXT ? body_of(p) : header_of(p);
	return OK;
}

enum filter_state {
	AT_LINE,  /* the next byte begins a line */
	IN_NAME,  /* in front of the colon, in `name` */
	IN_VALUE, /* the rest of the line goes where `keep` says */
	AT_END,   /* the blank line was seen, in `name` */
};

/* A name that is longer than this without a colon is no field. */
enum { FIELD_NAME_MAX_BYTES = 1024 };

void header_filter_init(struct header_filter *f, const struct section *what, struct buf *out)
{
	*f = (struct header_filter){ .what = what, .out = out, .state = AT_LINE };
	f->keep = what->kind == SECTION_HEADER_FIELDS_NOT; /* should the first line continue one */
}

static bool wanted(const struct section *what, struct span name)
{
	while (name.bytes != 0 && strchr(" \t", name.at[name.bytes - 1]) != NULL)
		name.bytes--;
	for (size_t i = 0; i < what->field_count; i++)
		if (span_eq_nocase(what->fields[i], name))
			return what->kind == SECTION_HEADER_FIELDS;
	return what->kind == SECTION_HEADER_FIELDS_NOT;
}

static bool is_blank_line(const struct buf *b)
{
	return span_eq(buf_span(b), span_str("\n")) || span_eq(buf_span(b), span_str("\r\n"));
}

/* The name is complete, or it is not one. */
static void name_end(struct header_filter *f, bool is_field)
{
	struct span name = buf_span(&f->name);

	if (is_field)
		name.bytes--; /* the colon */
	f->keep = wanted(f->what, is_field ? name : span_str(""));
	if (f->keep)
		buf_put_span(f->out, buf_span(&f->name));
	buf_reset(&f->name);
	f->state = IN_VALUE;
}

static void name_byte(struct header_filter *f, char c)
{
	buf_putc(&f->name, c);
	if (c == ':') {
		name_end(f, true);
	} else if (c == '\n' && is_blank_line(&f->name)) {
		f->state = AT_END;
	} else if (c == '\n' || f->name.bytes > FIELD_NAME_MAX_BYTES) {
		name_end(f, false);
		if (c == '\n')
			f->state = AT_LINE;
	}
}

/* Returns how much of `bytes` the value takes. */
static size_t value_bytes(struct header_filter *f, struct span bytes)
{
	const char *lf = memchr(bytes.at, '\n', bytes.bytes);
	size_t n = lf == NULL ? bytes.bytes : (size_t)(lf - bytes.at) + 1;

	if (f->keep)
		buf_put(f->out, bytes.at, n);
	if (lf != NULL)
		f->state = AT_LINE;
	return n;
}

void header_filter_feed(struct header_filter *f, struct span bytes)
{
	while (bytes.bytes != 0 && f->state != AT_END) {
		size_t n = 1;

		if (f->state == AT_LINE)
			f->state = strchr(" \t", *bytes.at) != NULL && *bytes.at != '\0' ? IN_VALUE
											 : IN_NAME;
		if (f->state == IN_NAME)
			name_byte(f, *bytes.at);
		else
			n = value_bytes(f, bytes);
		bytes = span_of(bytes.at + n, bytes.bytes - n);
	}
}

/* A header without a blank line stays without one, as RFC 3501 says. */
void header_filter_finish(struct header_filter *f)
{
	if (f->state == AT_END)
		buf_put_span(f->out, buf_span(&f->name));
	else if (f->state == IN_NAME)
		name_end(f, false);
	buf_free(&f->name);
}

void header_filter(const struct section *what, struct span header, struct buf *out)
{
	struct header_filter f;

	header_filter_init(&f, what, out);
	header_filter_feed(&f, header);
	header_filter_finish(&f);
}
