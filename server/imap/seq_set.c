#include "server/imap/seq_set.h"

#include "storage/base/limits.h"

#include <assert.h>
#include <stdlib.h>

static bool is_set_char(char ch)
{
	return (ch >= '0' && ch <= '9') || ch == ':' || ch == '*' || ch == ',';
}

static enum parse number_or_star(struct cursor *c, uint32_t *ret)
{
	bool star = false;

	TRY(lex_if_char(c, '*', &star));
	if (star) {
		*ret = SEQ_STAR;
		return PARSE_OK;
	}
	return lex_nz_number(c, ret);
}

static enum parse one_range(struct cursor *c, struct seq_range *ret)
{
	uint32_t from = 0, to = 0;
	bool range = false;

	TRY(number_or_star(c, &from));
	TRY(lex_if_char(c, ':', &range));
	to = from;
	if (range)
		TRY(number_or_star(c, &to));

	bool swap = from == SEQ_STAR || (to != SEQ_STAR && to < from);
	*ret = swap ? (struct seq_range){ to, from } : (struct seq_range){ from, to };
	return PARSE_OK;
}

static int by_lo(const void *a, const void *b)
{
	const struct seq_range *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Merge the ascending ranges; returns how many are left. */
static uint32_t merge(struct seq_range *at, uint32_t count)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct seq_range *last = n == 0 ? NULL : &at[n - 1];

		if (last == NULL || (uint64_t)last->hi + 1 < at[i].lo)
			at[n++] = at[i];
		else if (at[i].hi > last->hi)
			last->hi = at[i].hi;
	}
	return n;
}

/* The form that seq_set.h promises. */
static void normalise(struct seq_set *s)
{
	struct seq_range star = { SEQ_STAR, SEQ_STAR };
	bool has_star = false, sorted = true;
	uint32_t plain = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		struct seq_range r = s->at[i];

		if (r.hi == SEQ_STAR) {
			has_star = true;
			if (r.lo != SEQ_STAR && (star.lo == SEQ_STAR || r.lo < star.lo))
				star.lo = r.lo;
			continue;
		}
		sorted = sorted && (plain == 0 || s->at[plain - 1].lo <= r.lo);
		s->at[plain++] = r;
	}
	if (!sorted)
		qsort(s->at, plain, sizeof(s->at[0]), by_lo);
	s->count = merge(s->at, plain);
	if (has_star)
		s->at[s->count++] = star;
}

/* How many ranges begin here at most; MORE if the set may go on. */
static enum parse count_ranges(struct cursor *c, uint32_t *ret)
{
	uint32_t n = 1;
	const char *p = c->at;

	for (; p < c->end && is_set_char(*p); p++) {
		n += *p == ',';
		if (n > UID_SET_MAX_RANGES)
			return lex_bad(c, "Too many ranges in a set");
	}
	if (p == c->end)
		return PARSE_MORE;
	*ret = n;
	return PARSE_OK;
}

/* The ranges of a set, as written. */
static enum parse take_ranges(struct cursor *c, struct arena *a, struct seq_set *s)
{
	uint32_t count = 0;
	bool more = true;

	TRY(count_ranges(c, &count));
	s->at = arena_alloc(a, count * sizeof(s->at[0]));
	while (more) {
		assert(s->count < count);
		if (one_range(c, &s->at[s->count++]) == PARSE_BAD)
			return lex_bad(c, "Invalid message set");
		TRY(lex_if_char(c, ',', &more));
	}
	normalise(s);
	return PARSE_OK;
}

enum parse seq_set_parse(struct cursor *c, struct arena *a, struct seq_set *ret)
{
	struct cursor in = *c;
	struct seq_set s = { 0 };
	enum parse rc = lex_if_char(&in, '$', &s.saved);

	if (rc == PARSE_OK && !s.saved)
		rc = take_ranges(&in, a, &s);
	if (rc == PARSE_BAD)
		return lex_bad(c, in.why);
	if (rc == PARSE_MORE)
		return PARSE_MORE;
	*ret = s;
	c->at = in.at;
	return PARSE_OK;
}

enum parse seq_set_parse_known(struct cursor *c, struct arena *a, struct seq_set *ret)
{
	struct cursor in = *c;
	enum parse rc = seq_set_parse(&in, a, ret);

	if (rc == PARSE_BAD)
		return lex_bad(c, in.why);
	if (rc == PARSE_MORE)
		return PARSE_MORE;
	if (ret->saved || seq_set_has_star(ret))
		return lex_bad(c, "* and $ are not allowed in this set");
	c->at = in.at;
	return PARSE_OK;
}

bool seq_set_has_star(const struct seq_set *s)
{
	return s->count != 0 && s->at[s->count - 1].hi == SEQ_STAR;
}

uint64_t seq_set_size(const struct seq_set *s)
{
	uint64_t n = 0;

	assert(!s->saved && !seq_set_has_star(s));
	for (uint32_t i = 0; i < s->count; i++)
		n += (uint64_t)s->at[i].hi - s->at[i].lo + 1;
	return n;
}

void seq_set_resolve(const struct seq_set *s, uint32_t star, struct uidset *ret)
{
	assert(!s->saved);
	uidset_clear(ret);
	for (uint32_t i = 0; i < s->count; i++) {
		struct seq_range r = s->at[i];

		if (r.hi != SEQ_STAR)
			uidset_add_range(ret, r.lo, r.hi);
		else if (star != 0)
			uidset_add_range(ret, r.lo == SEQ_STAR || r.lo > star ? star : r.lo, star);
	}
}

void seq_set_from_uids(const struct uidset *from, struct arena *a, struct seq_set *ret)
{
	*ret = (struct seq_set){ .count = from->count };
	ret->at = arena_alloc(a, from->count * sizeof(ret->at[0]));
	for (uint32_t i = 0; i < from->count; i++)
		ret->at[i] = (struct seq_range){ from->at[i].lo, from->at[i].hi };
}

static void put_number(struct buf *out, uint32_t n)
{
	if (n == SEQ_STAR)
		buf_putc(out, '*');
	else
		buf_put_u64(out, n);
}

void seq_set_text(const struct seq_set *s, struct buf *out)
{
	if (s->saved)
		buf_putc(out, '$');
	for (uint32_t i = 0; i < s->count; i++) {
		if (i != 0)
			buf_putc(out, ',');
		put_number(out, s->at[i].lo);
		if (s->at[i].lo == s->at[i].hi)
			continue;
		buf_putc(out, ':');
		put_number(out, s->at[i].hi);
	}
}
