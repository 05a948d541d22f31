#include "server/imap/fetch_items.h"

#include "server/imap/response.h"
#include "server/imap/wire.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>

enum {
	MACRO_FAST = FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_RFC822_SIZE,
	MACRO_ALL = MACRO_FAST | FETCH_ENVELOPE,
	MACRO_FULL = MACRO_ALL | FETCH_BODY,
};

/* What a name asks for: simple items, or with `part` a part of the message. */
struct item_def {
	const char *name;
	unsigned simple;
	bool macro; /* not in a list */
	bool part;
	struct fetch_part what;
};

static const struct item_def item_defs[] = {
	{ .name = "ALL", .simple = MACRO_ALL, .macro = true },
	{ .name = "FAST", .simple = MACRO_FAST, .macro = true },
	{ .name = "FULL", .simple = MACRO_FULL, .macro = true },
	{ .name = "UID", .simple = FETCH_UID },
	{ .name = "FLAGS", .simple = FETCH_FLAGS },
	{ .name = "INTERNALDATE", .simple = FETCH_INTERNALDATE },
	{ .name = "RFC822.SIZE", .simple = FETCH_RFC822_SIZE },
	{ .name = "ENVELOPE", .simple = FETCH_ENVELOPE },
	{ .name = "BODYSTRUCTURE", .simple = FETCH_BODYSTRUCTURE },
	{ .name = "MODSEQ", .simple = FETCH_MODSEQ },
	{ .name = "EMAILID", .simple = FETCH_EMAILID },
	{ .name = "THREADID", .simple = FETCH_THREADID },
	{ .name = "SAVEDATE", .simple = FETCH_SAVEDATE },
	{ .name = "RFC822", .part = true, .what = { .form = FETCH_FORM_RFC822 } },
	{ .name = "RFC822.HEADER",
	  .part = true,
	  .what = { .form = FETCH_FORM_RFC822_HEADER,
		    .peek = true,
		    .section.kind = SECTION_HEADER } },
	{ .name = "RFC822.TEXT",
	  .part = true,
	  .what = { .form = FETCH_FORM_RFC822_TEXT, .section.kind = SECTION_TEXT } },
};

/* While parsing: `count` parts in an array that grows. */
struct parts {
	struct arena *a;
	struct fetch_items *items;
	uint32_t capacity;
};

static enum parse add_part(struct cursor *c, struct parts *p, struct fetch_part part)
{
	struct fetch_items *items = p->items;

	if (items->part_count == FETCH_ITEMS_MAX)
		return lex_bad(c, "Too many items");
	if (items->part_count == p->capacity) {
		struct fetch_part *old = items->parts;

		p->capacity = p->capacity == 0 ? 4 : 2 * p->capacity;
		items->parts = arena_alloc(p->a, p->capacity * sizeof(part));
		if (old != NULL)
			memcpy(items->parts, old, items->part_count * sizeof(part));
	}
	items->parts[items->part_count++] = part;
	return PARSE_OK;
}

/* "1.2." or "1.2"; *ret_more says that a name follows. */
static enum parse part_numbers(struct cursor *c, struct arena *a, struct section *s, bool *ret_more)
{
	size_t dots = 1;
	uint32_t *numbers = NULL;
	char ch = '\0';

	for (const char *p = c->at; p < c->end && *p != ']'; p++)
		dots += *p == '.';
	numbers = arena_alloc(a, dots * sizeof(numbers[0]));
	s->parts = numbers;
	for (;;) {
		assert(s->part_count < dots);
		TRY(lex_nz_number(c, &numbers[s->part_count++]));
		TRY(lex_if_char(c, '.', ret_more));
		if (!*ret_more)
			return PARSE_OK;
		TRY(lex_peek(c, &ch));
		if (ch < '0' || ch > '9')
			return PARSE_OK;
	}
}

static enum parse header_fields(struct cursor *c, struct arena *a, struct section *s)
{
	struct span *fields = NULL;
	size_t capacity = 0;
	bool more = false;

	TRY(lex_space(c));
	TRY(lex_list_more(c, true, &more));
	if (!more)
		return lex_bad(c, "Expected names of header fields");
	for (; more;) {
		if (s->field_count == capacity) {
			capacity = capacity == 0 ? 8 : 2 * capacity;
			struct span *larger = arena_alloc(a, capacity * sizeof(larger[0]));
			if (fields != NULL)
				memcpy(larger, fields, s->field_count * sizeof(larger[0]));
			fields = larger;
		}
		TRY(lex_astring(c, a, &fields[s->field_count++]));
		TRY(lex_list_more(c, false, &more));
	}
	s->fields = fields;
	return PARSE_OK;
}

static enum parse section_text(struct cursor *c, struct arena *a, struct section *s)
{
	struct span name = { NULL, 0 };

	TRY(lex_word(c, &name));
	if (span_is(name, "HEADER"))
		s->kind = SECTION_HEADER;
	else if (span_is(name, "TEXT"))
		s->kind = SECTION_TEXT;
	else if (span_is(name, "MIME") && s->part_count != 0)
		s->kind = SECTION_MIME;
	else if (span_is(name, "HEADER.FIELDS"))
		s->kind = SECTION_HEADER_FIELDS;
	else if (span_is(name, "HEADER.FIELDS.NOT"))
		s->kind = SECTION_HEADER_FIELDS_NOT;
	else
		return lex_bad(c, "Unknown section");
	return section_is_filtered(s) ? header_fields(c, a, s) : PARSE_OK;
}

/* From behind "[" to behind "]". */
static enum parse section(struct cursor *c, struct arena *a, struct section *s)
{
	bool more = true;
	char ch = '\0';

	s->kind = SECTION_WHOLE;
	TRY(lex_peek(c, &ch));
	if (ch >= '0' && ch <= '9')
		TRY(part_numbers(c, a, s, &more));
	else
		more = ch != ']';
	if (more)
		TRY(section_text(c, a, s));
	return lex_char(c, ']');
}

/* "<offset.length>", if there is one. */
static enum parse partial(struct cursor *c, struct fetch_part *part)
{
	TRY(lex_if_char(c, '<', &part->partial));
	if (!part->partial)
		return PARSE_OK;
	TRY(lex_number(c, &part->offset));
	TRY(lex_char(c, '.'));
	TRY(lex_nz_number(c, &part->length));
	return lex_char(c, '>');
}

/* Behind BODY or BODY.PEEK. */
static enum parse body(struct cursor *c, struct parts *p, bool peek)
{
	struct fetch_part part = { .form = FETCH_FORM_SECTION, .peek = peek };
	bool bracket = false;

	TRY(lex_if_char(c, '[', &bracket));
	if (!bracket && peek)
		return lex_bad(c, "Expected [");
	if (!bracket) {
		p->items->simple |= FETCH_BODY;
		return PARSE_OK;
	}
	TRY(section(c, p->a, &part.section));
	TRY(partial(c, &part));
	return add_part(c, p, part);
}

static enum parse one_item(struct cursor *c, struct parts *p, bool in_list)
{
	struct span name = { NULL, 0 };

	TRY(lex_word(c, &name));
	if (span_is(name, "BODY") || span_is(name, "BODY.PEEK"))
		return body(c, p, name.bytes != strlen("BODY"));
	for (size_t i = 0; i < sizeof(item_defs) / sizeof(item_defs[0]); i++) {
		const struct item_def *def = &item_defs[i];

		if (!span_is(name, def->name) || (def->macro && in_list))
			continue;
		p->items->simple |= def->simple;
		return def->part ? add_part(c, p, def->what) : PARSE_OK;
	}
	return lex_bad(c, "Unknown FETCH item");
}

enum parse fetch_items_parse(struct cursor *c, struct arena *a, struct fetch_items *ret)
{
	struct cursor in = *c;
	struct fetch_items items = { 0 };
	struct parts p = { a, &items, 0 };
	char ch = '\0';
	bool more = false;

	TRY(lex_peek(&in, &ch));
	enum parse rc = ch == '(' ? lex_list_more(&in, true, &more) : one_item(&in, &p, false);
	if (rc == PARSE_OK && ch == '(' && !more)
		rc = lex_bad(&in, "Expected an item");
	while (rc == PARSE_OK && more) {
		rc = one_item(&in, &p, true);
		if (rc == PARSE_OK)
			rc = lex_list_more(&in, false, &more);
	}
	if (rc == PARSE_BAD)
		return lex_bad(c, in.why);
	if (rc == PARSE_MORE)
		return PARSE_MORE;
	*ret = items;
	c->at = in.at;
	return PARSE_OK;
}

bool fetch_items_set_seen(const struct fetch_items *items)
{
	for (uint32_t i = 0; i < items->part_count; i++)
		if (!items->parts[i].peek)
			return true;
	return false;
}

static const char *section_kind_name(enum section_kind kind)
{
	switch (kind) {
	case SECTION_WHOLE: return "";
	case SECTION_HEADER: return "HEADER";
	case SECTION_HEADER_FIELDS: return "HEADER.FIELDS";
	case SECTION_HEADER_FIELDS_NOT: return "HEADER.FIELDS.NOT";
	case SECTION_TEXT: return "TEXT";
	case SECTION_MIME: return "MIME";
	}
	assert(false && "a section of unknown kind");
	return "";
}

static void put_section(const struct section *s, struct buf *out)
{
	for (size_t i = 0; i < s->part_count; i++) {
		if (i != 0)
			buf_putc(out, '.');
		buf_put_u64(out, s->parts[i]);
	}
	if (s->part_count != 0 && s->kind != SECTION_WHOLE)
		buf_putc(out, '.');
	buf_puts(out, section_kind_name(s->kind));
	for (size_t i = 0; i < s->field_count; i++) {
		buf_puts(out, i == 0 ? " (" : " ");
		response_astring(out, s->fields[i]);
	}
	if (s->field_count != 0)
		buf_putc(out, ')');
}

void fetch_part_name(const struct fetch_part *part, struct buf *out)
{
	switch (part->form) {
	case FETCH_FORM_RFC822: buf_puts(out, "RFC822"); return;
	case FETCH_FORM_RFC822_HEADER: buf_puts(out, "RFC822.HEADER"); return;
	case FETCH_FORM_RFC822_TEXT: buf_puts(out, "RFC822.TEXT"); return;
	case FETCH_FORM_SECTION: break;
	}
	buf_puts(out, "BODY[");
	put_section(&part->section, out);
	buf_putc(out, ']');
	if (!part->partial)
		return;
	buf_putc(out, '<');
	buf_put_u64(out, part->offset);
	buf_putc(out, '>');
}

/* Format 1: varint simple | varint parts | for each: form, peek + 2 * partial, section kind |
 * varint numbers, each | varint fields, each with its length | with partial: offset, length. */
void fetch_items_encode(const struct fetch_items *items, struct buf *out)
{
	buf_put_varint(out, items->simple);
	buf_put_varint(out, items->part_count);
	for (uint32_t i = 0; i < items->part_count; i++) {
		const struct fetch_part *part = &items->parts[i];
		const struct section *s = &part->section;

		buf_put_varint(out, part->form);
		buf_put_varint(out, (part->peek ? 1u : 0) + (part->partial ? 2u : 0));
		buf_put_varint(out, s->kind);
		buf_put_varint(out, s->part_count);
		for (size_t n = 0; n < s->part_count; n++)
			buf_put_varint(out, s->parts[n]);
		buf_put_varint(out, s->field_count);
		for (size_t n = 0; n < s->field_count; n++)
			wire_put_bytes(out, s->fields[n]);
		if (!part->partial)
			continue;
		buf_put_varint(out, part->offset);
		buf_put_varint(out, part->length);
	}
}

static void decode_section(struct wire *w, struct arena *a, struct section *s)
{
	s->kind = (enum section_kind)wire_number(w, SECTION_MIME);
	s->part_count = wire_count(w, UINT32_MAX);
	uint32_t *numbers = arena_alloc(a, s->part_count * sizeof(numbers[0]));
	for (size_t n = 0; n < s->part_count; n++) {
		numbers[n] = (uint32_t)wire_number(w, UINT32_MAX);
		w->bad = w->bad || numbers[n] == 0;
	}
	s->parts = numbers;
	s->field_count = wire_count(w, UINT32_MAX);
	struct span *fields = arena_alloc(a, s->field_count * sizeof(fields[0]));
	for (size_t n = 0; n < s->field_count; n++)
		fields[n] = wire_bytes(w);
	s->fields = fields;
	w->bad = w->bad || section_is_filtered(s) != (s->field_count != 0);
	w->bad = w->bad || (s->kind == SECTION_MIME && s->part_count == 0);
}

static void decode_part(struct wire *w, struct arena *a, struct fetch_part *part)
{
	part->form = (enum fetch_form)wire_number(w, FETCH_FORM_RFC822_TEXT);
	uint64_t bits = wire_number(w, 3);
	part->peek = bits & 1;
	part->partial = bits & 2;
	decode_section(w, a, &part->section);
	if (!part->partial)
		return;
	part->offset = (uint32_t)wire_number(w, UINT32_MAX);
	part->length = (uint32_t)wire_number(w, UINT32_MAX);
	w->bad = w->bad || part->length == 0;
}

int fetch_items_decode(struct span bytes, struct arena *a, struct fetch_items *ret)
{
	struct wire w = wire_of(bytes);
	struct fetch_items items = { .simple = (unsigned)wire_number(&w, FETCH_SIMPLE_ALL) };

	items.part_count = wire_count(&w, FETCH_ITEMS_MAX);
	items.parts = arena_zalloc(a, items.part_count * sizeof(items.parts[0]));
	for (uint32_t i = 0; i < items.part_count && !w.bad; i++)
		decode_part(&w, a, &items.parts[i]);
	if (w.bad || w.at != w.end)
		return ERR_CORRUPT;
	*ret = items;
	return OK;
}
