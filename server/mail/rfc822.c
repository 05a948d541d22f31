#include "server/mail/rfc822.h"

#include <assert.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_atext(char c)
{
	unsigned char u = (unsigned char)c;

	return u > ' ' && u != 0x7f && strchr("()<>[]:;@\\,.\"", c) == NULL;
}

static bool is_token(char c)
{
	return c == '.' || (is_atext(c) && c != '/' && c != '?' && c != '=');
}

static enum rfc822_found found(const struct rfc822 *r)
{
	return r->at < r->end ? RFC822_MORE : RFC822_END;
}

static void comment_put(struct rfc822 *r, char c)
{
	if (r->comment != NULL)
		buf_putc(r->comment, c);
}

/* At a '('. Comments nest; a level needs no memory. */
static enum rfc822_found skip_comment(struct rfc822 *r)
{
	size_t level = 0;

	if (r->comment != NULL)
		buf_reset(r->comment);
	for (; r->at < r->end; r->at++) {
		char c = *r->at;

		if (c == '(' && level++ == 0)
			continue;
		if (c == ')' && --level == 0) {
			r->at++;
			return found(r);
		}
		if (c == '\\' && ++r->at == r->end)
			return RFC822_BAD;
		comment_put(r, *r->at);
	}
	return RFC822_BAD;
}

enum rfc822_found rfc822_skip(struct rfc822 *r)
{
	while (r->at < r->end) {
		if (is_space(*r->at))
			r->at++;
		else if (*r->at != '(')
			break;
		else if (skip_comment(r) == RFC822_BAD)
			return RFC822_BAD;
	}
	return found(r);
}

static void take_while(struct rfc822 *r, bool (*is)(char), struct buf *out)
{
	const char *from = r->at;

	while (r->at < r->end && is(*r->at))
		r->at++;
	buf_put(out, from, (size_t)(r->at - from));
}

enum rfc822_found rfc822_atom(struct rfc822 *r, struct buf *out)
{
	if (r->at == r->end || !is_atext(*r->at))
		return RFC822_BAD;
	take_while(r, is_atext, out);
	return rfc822_skip(r);
}

enum rfc822_found rfc822_dot_atom(struct rfc822 *r, struct buf *out)
{
	if (r->at == r->end || !is_atext(*r->at))
		return RFC822_BAD;
	for (;;) {
		take_while(r, is_atext, out);
		enum rfc822_found f = rfc822_skip(r);
		if (f != RFC822_MORE || *r->at != '.')
			return f;
		buf_putc(out, '.');
		r->at++;
		f = rfc822_skip(r);
		if (f != RFC822_MORE)
			return f;
	}
}

enum rfc822_found rfc822_token(struct rfc822 *r, struct buf *out)
{
	take_while(r, is_token, out);
	return rfc822_skip(r);
}

enum rfc822_found rfc822_quoted(struct rfc822 *r, struct buf *out)
{
	assert(rfc822_at(r, '"'));
	for (r->at++; r->at < r->end; r->at++) {
		char c = *r->at;

		if (c == '"') {
			r->at++;
			return rfc822_skip(r);
		}
		if (c == '\n' || (c == '\r' && r->at + 1 < r->end && r->at[1] == '\n'))
			continue; /* folded */
		if (c == '\\' && ++r->at == r->end)
			break;
		buf_putc(out, *r->at);
	}
	return RFC822_BAD;
}

static bool is_word_or_dot(char c)
{
	return c == '.' || is_atext(c);
}

enum rfc822_found rfc822_phrase(struct rfc822 *r, struct buf *out)
{
	if (r->at == r->end)
		return RFC822_END;
	if (*r->at == '.')
		return RFC822_BAD;
	for (;;) {
		enum rfc822_found f;

		if (*r->at == '"') {
			f = rfc822_quoted(r, out);
		} else {
			take_while(r, is_word_or_dot, out);
			f = rfc822_skip(r);
		}
		if (f != RFC822_MORE || (*r->at != '"' && !is_word_or_dot(*r->at)))
			return f;
		buf_putc(out, ' ');
	}
}

static enum rfc822_found domain_literal(struct rfc822 *r, struct buf *out)
{
	for (; r->at < r->end; r->at++) {
		buf_putc(out, *r->at);
		if (*r->at == ']') {
			r->at++;
			return rfc822_skip(r);
		}
		if (*r->at == '\\' && r->at + 1 < r->end)
			buf_putc(out, *++r->at);
	}
	return RFC822_BAD;
}

enum rfc822_found rfc822_domain(struct rfc822 *r, struct buf *out)
{
	assert(rfc822_at(r, '@'));
	r->at++;
	if (rfc822_skip(r) != RFC822_MORE)
		return RFC822_BAD;
	return *r->at == '[' ? domain_literal(r, out) : rfc822_dot_atom(r, out);
}
