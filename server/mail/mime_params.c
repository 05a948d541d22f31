#include "server/mail/mime_params.h"

#include "storage/base/limits.h"

enum { NO_INDEX = -1, INDEX_MAX = 9999 };

/* One parameter as it came. Positions, because the text moves while it grows. */
struct piece {
	size_t name_at, name_bytes; /* without the "*" and what follows it */
	size_t full_bytes;          /* of the name with them */
	size_t value_at, value_bytes;
	int index;     /* of a continuation, from 0; NO_INDEX for a plain parameter */
	bool extended; /* the value is in RFC 2231's charset'language'%xx form */
	bool done;
};

struct pieces {
	struct buf text;
	struct piece at[MIME_PARAMS_MAX];
	size_t count;
};

/* The name of a parameter; then the cursor is behind its "=". False if there is none. */
static bool take_name(struct rfc822 *r, struct buf *out)
{
	size_t before = out->bytes;

	if (!rfc822_at(r, ';'))
		return false;
	r->at++;
	if (rfc822_skip(r) != RFC822_MORE || rfc822_token(r, out) != RFC822_MORE ||
	    out->bytes == before || *r->at != '=')
		return false;
	r->at++;
	return true;
}

/* False if the value is a string that is not closed. */
static bool take_value(struct rfc822 *r, struct buf *out)
{
	if (rfc822_skip(r) != RFC822_MORE)
		return true; /* an empty value */
	if (*r->at == '"')
		return rfc822_quoted(r, out) != RFC822_BAD;

	/* More than a token: unquoted boundaries with "=" and RFC 2047 words are common. */
	while (r->at < r->end && (*r->at == '\0' || strchr("; \t\r\n(", *r->at) == NULL))
		buf_putc(out, *r->at++);
	return rfc822_skip(r) != RFC822_BAD;
}

/* name "*" [digits ["*"]] */
static void find_index(struct piece *p, const char *name)
{
	const char *end = name + p->full_bytes;
	const char *star = memchr(name, '*', p->full_bytes);
	int index = 0;

	if (star == NULL || star == name)
		return;
	const char *c = star + 1;
	while (c < end && *c >= '0' && *c <= '9' && index <= INDEX_MAX)
		index = index * 10 + (*c++ - '0');
	bool extended = c == star + 1 || (c + 1 == end && *c == '*');
	if (c < end && !(extended && c + 1 == end))
		return; /* something else */
	p->name_bytes = (size_t)(star - name);
	p->index = index;
	p->extended = extended;
}

static void read_pieces(struct rfc822 *r, struct pieces *ps)
{
	while (r->at < r->end && ps->count < MIME_PARAMS_MAX) {
		struct piece p = { .name_at = ps->text.bytes, .index = NO_INDEX };

		bool ok = take_name(r, &ps->text);
		p.full_bytes = p.name_bytes = ps->text.bytes - p.name_at;
		p.value_at = ps->text.bytes;
		if (!ok || !take_value(r, &ps->text)) {
			while (r->at < r->end && *r->at != ';') /* on to the next */
				r->at++;
			continue;
		}
		p.value_bytes = ps->text.bytes - p.value_at;
		find_index(&p, ps->text.at + p.name_at);
		ps->at[ps->count++] = p;
	}
}

static struct span name_of(const struct pieces *ps, const struct piece *p)
{
	return span_of(ps->text.at + p->name_at, p->name_bytes);
}

/* The piece of that name and index, NULL if there is none. */
static struct piece *find_piece(struct pieces *ps, struct span name, int index)
{
	for (size_t i = 0; i < ps->count; i++)
		if (!ps->at[i].done && ps->at[i].index == index &&
		    span_eq_nocase(name_of(ps, &ps->at[i]), name))
			return &ps->at[i];
	return NULL;
}

static size_t count_pieces(const struct pieces *ps, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < ps->count; i++)
		n += ps->at[i].index != NO_INDEX && span_eq_nocase(name_of(ps, &ps->at[i]), name);
	return n;
}

static void put_piece(struct pieces *ps, struct piece *p, bool escape, struct buf *out)
{
	const char *at = ps->text.at + p->value_at;

	for (size_t i = 0; i < p->value_bytes; i++) {
		if (escape && !p->extended && at[i] == '%')
			buf_puts(out, "%25");
		else
			buf_putc(out, at[i]);
	}
	p->done = true;
}

/* Join the pieces of which `p` is one; false if some are missing or doubled, then they are plain
 * parameters with odd names. */
static bool join(struct pieces *ps, const struct piece *p, struct buf *name, struct buf *value)
{
	struct span base = name_of(ps, p);
	size_t count = count_pieces(ps, base);
	bool extended = false;

	for (size_t i = 0; i < count; i++) {
		const struct piece *q = find_piece(ps, base, (int)i);
		if (q == NULL)
			return false;
		extended = extended || q->extended;
	}
	buf_put_span(name, base);
	if (extended)
		buf_putc(name, '*');
	if (extended && !find_piece(ps, base, 0)->extended)
		buf_puts(value, "''");
	for (size_t i = 0; i < count; i++)
		put_piece(ps, find_piece(ps, base, (int)i), extended, value);
	return true;
}

static void write_one(struct pieces *ps, struct piece *p, struct buf *name, struct buf *value)
{
	if (p->index != NO_INDEX && join(ps, p, name, value))
		return;
	buf_put(name, ps->text.at + p->name_at, p->full_bytes);
	put_piece(ps, p, false, value);
}

size_t mime_params_parse(struct arena *a, struct rfc822 *r, size_t room, struct shape_params *ret)
{
	struct pieces ps = { .count = 0 };
	struct buf name = { 0 };
	struct buf value = { 0 };
	size_t used = 0;

	read_pieces(r, &ps);
	ret->at = arena_alloc(a, ps.count * sizeof(*ret->at));
	ret->count = 0;
	for (size_t i = 0; i < ps.count; i++) {
		if (ps.at[i].done)
			continue;
		buf_reset(&name);
		buf_reset(&value);
		write_one(&ps, &ps.at[i], &name, &value);
		size_t bytes = name.bytes + value.bytes + 2 * (size_t)SHAPE_STRING_OVERHEAD_BYTES;
		if (bytes > room - used)
			continue;
		used += bytes;
		ret->at[ret->count++] = (struct shape_param){ arena_copy(a, buf_span(&name)),
							      arena_copy(a, buf_span(&value)) };
	}
	buf_free(&ps.text);
	buf_free(&name);
	buf_free(&value);
	return used;
}
