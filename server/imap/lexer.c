/* lexer.c: see lexer.h. Invariant: the cursor moves in the last statement of a function or not at
 * all. */
#include "server/imap/lexer.h"

#include <assert.h>

enum parse lex_bad(struct cursor *c, const char *why)
{
	c->why = why;
	return PARSE_BAD;
}

bool is_atom_char(unsigned char ch)
{
	return ch > ' ' && ch < 0x7f && strchr("(){%*\"\\]", ch) == NULL;
}

bool is_astring_char(unsigned char ch)
{
	return is_atom_char(ch) || ch == ']';
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool is_tag_char(unsigned char ch)
{
	return is_astring_char(ch) && ch != '+';
}

static bool is_word_char(unsigned char ch)
{
	unsigned char low = ascii_lower(ch);

	return (low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') || ch == '.' || ch == '-';
}

static bool is_list_char(unsigned char ch)
{
	return is_astring_char(ch) || ch == '%' || ch == '*';
}

/* The longest run of such characters; at the end of the bytes it could still grow. */
static enum parse take_run(struct cursor *c, bool (*is)(unsigned char), const char *why,
			   struct span *ret)
{
	const char *p = c->at;

	while (p < c->end && is((unsigned char)*p))
		p++;
	if (p == c->end)
		return PARSE_MORE;
	if (p == c->at)
		return lex_bad(c, why);

	*ret = span_of(c->at, (size_t)(p - c->at));
	c->at = p;
	return PARSE_OK;
}

enum parse lex_peek(struct cursor *c, char *ret)
{
	if (c->at == c->end)
		return PARSE_MORE;
	*ret = *c->at;
	return PARSE_OK;
}

enum parse lex_char(struct cursor *c, char want)
{
	if (c->at == c->end)
		return PARSE_MORE;
	if (*c->at != want)
		return lex_bad(c, want == '('   ? "Expected ("
				  : want == ')' ? "Expected )"
						: "Unexpected character");
	c->at++;
	return PARSE_OK;
}

enum parse lex_if_char(struct cursor *c, char want, bool *ret)
{
	if (c->at == c->end)
		return PARSE_MORE;
	*ret = *c->at == want;
	c->at += *ret;
	return PARSE_OK;
}

enum parse lex_space(struct cursor *c)
{
	if (c->at == c->end)
		return PARSE_MORE;
	if (*c->at != ' ')
		return lex_bad(c, *c->at == '\r' || *c->at == '\n' ? "Missing argument"
								   : "Missing space");
	c->at++;
	return PARSE_OK;
}

enum parse lex_end(struct cursor *c)
{
	const char *p = c->at;

	if (p < c->end && *p == '\r')
		p++;
	if (p == c->end)
		return PARSE_MORE;
	if (*p != '\n')
		return lex_bad(c, "Unexpected argument at the end");
	c->at = p + 1;
	return PARSE_OK;
}

enum parse lex_tag(struct cursor *c, struct span *ret)
{
	return take_run(c, is_tag_char, "Invalid tag", ret);
}

enum parse lex_atom(struct cursor *c, struct span *ret)
{
	return take_run(c, is_atom_char, "Expected an atom", ret);
}

enum parse lex_word(struct cursor *c, struct span *ret)
{
	return take_run(c, is_word_char, "Expected a name", ret);
}

enum parse lex_list_more(struct cursor *c, bool first, bool *ret)
{
	const char *p = c->at;

	if (p < c->end && first && *p++ != '(')
		return lex_bad(c, "Expected (");
	if (p == c->end)
		return PARSE_MORE;
	if (!first && *p != ' ' && *p != ')')
		return lex_bad(c, "Expected a space or )");

	*ret = *p != ')';
	c->at = first && *ret ? p : p + 1;
	return PARSE_OK;
}

enum parse lex_flag(struct cursor *c, struct span *ret)
{
	struct cursor atom = *c;

	if (atom.at == atom.end)
		return PARSE_MORE;
	if (*atom.at != '\\')
		return lex_bad(c, "Expected a flag");
	atom.at++;
	if (take_run(&atom, is_atom_char, "", ret) != PARSE_OK)
		return atom.at == atom.end || is_atom_char((unsigned char)*atom.at)
			       ? PARSE_MORE
			       : lex_bad(c, "Invalid flag");

	*ret = span_of(c->at, (size_t)(atom.at - c->at));
	c->at = atom.at;
	return PARSE_OK;
}

/* The value between the quotes; `escapes` of its characters are "\". */
static struct span unescape(struct arena *a, struct span raw, size_t escapes)
{
	if (escapes == 0)
		return raw;

	char *out = arena_alloc(a, raw.bytes);
	size_t n = 0;
	for (size_t i = 0; i < raw.bytes; i++) {
		if (raw.at[i] == '\\')
			i++;
		out[n++] = raw.at[i];
	}
	return span_of(out, n);
}

enum parse lex_quoted(struct cursor *c, struct arena *a, struct span *ret)
{
	size_t escapes = 0;

	if (c->at == c->end)
		return PARSE_MORE;
	if (*c->at != '"')
		return lex_bad(c, "Expected a quoted string");
	for (const char *p = c->at + 1; p < c->end; p++) {
		if (*p == '"') {
			struct span raw = span_of(c->at + 1, (size_t)(p - c->at - 1));

			*ret = unescape(a, raw, escapes);
			c->at = p + 1;
			return PARSE_OK;
		}
		if (*p == '\\') {
			if (++p == c->end)
				return PARSE_MORE;
			if (*p != '"' && *p != '\\')
				return lex_bad(c, "Only \" and \\ follow a \\ in a quoted string");
			escapes++;
		}
		if (*p == '\r' || *p == '\n' || *p == '\0')
			return lex_bad(c, "Quoted string not closed");
	}
	return PARSE_MORE;
}

enum parse lex_literal_head(struct cursor *c, uint64_t *ret, bool *ret_waits)
{
	static const char bad[] = "Invalid literal";
	const char *p = c->at;
	uint64_t n = 0;
	bool waits = true;

	if (p == c->end)
		return PARSE_MORE;
	if (*p++ != '{')
		return lex_bad(c, "Expected a literal");
	const char *digits = p;
	for (; p < c->end && is_digit(*p); p++)
		n = n > UINT32_MAX ? UINT64_MAX : n * 10 + (uint64_t)(*p - '0');
	if (p < c->end && p == digits)
		return lex_bad(c, bad);
	if (p < c->end && *p == '+') {
		waits = false;
		p++;
	}
	if (p < c->end && *p++ != '}')
		return lex_bad(c, bad);
	if (p < c->end && *p == '\r')
		p++;
	if (p == c->end)
		return PARSE_MORE;
	if (*p != '\n')
		return lex_bad(c, bad);

	*ret = n;
	*ret_waits = waits;
	c->at = p + 1;
	return PARSE_OK;
}

enum parse lex_literal(struct cursor *c, struct span *ret)
{
	struct cursor in = *c;
	uint64_t n = 0;
	bool waits = false;
	enum parse rc = lex_literal_head(&in, &n, &waits);

	if (rc == PARSE_BAD)
		return lex_bad(c, in.why);
	if (rc == PARSE_MORE || (uint64_t)(in.end - in.at) < n)
		return PARSE_MORE;
	if (n != 0 && memchr(in.at, '\0', n) != NULL)
		return lex_bad(c, "NUL in a literal");

	*ret = span_of(in.at, n);
	c->at = in.at + n;
	return PARSE_OK;
}

enum parse lex_string(struct cursor *c, struct arena *a, struct span *ret)
{
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	if (ch == '"')
		return lex_quoted(c, a, ret);
	if (ch == '{')
		return lex_literal(c, ret);
	return lex_bad(c, "Expected a string");
}

enum parse lex_astring(struct cursor *c, struct arena *a, struct span *ret)
{
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	if (ch == '"' || ch == '{')
		return lex_string(c, a, ret);
	return take_run(c, is_astring_char, "Expected an atom or a string", ret);
}

enum parse lex_list_mailbox(struct cursor *c, struct arena *a, struct span *ret)
{
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	if (ch == '"' || ch == '{')
		return lex_string(c, a, ret);
	return take_run(c, is_list_char, "Expected a pattern", ret);
}

enum parse lex_nstring(struct cursor *c, struct arena *a, struct span *ret)
{
	struct span s = { NULL, 0 };
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	TRY(lex_astring(c, a, &s));
	*ret = ch != '"' && ch != '{' && span_is(s, "NIL") ? (struct span){ NULL, 0 } : s;
	return PARSE_OK;
}

static enum parse take_number(struct cursor *c, uint64_t max, uint64_t *ret)
{
	const char *p = c->at;
	uint64_t n = 0;
	bool too_large = false;

	for (; p < c->end && is_digit(*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		too_large = too_large || n > (max - digit) / 10;
		n = n * 10 + digit;
	}
	if (too_large)
		return lex_bad(c, "Number too large");
	if (p == c->end)
		return PARSE_MORE;
	if (p == c->at)
		return lex_bad(c, "Expected a number");

	*ret = n;
	c->at = p;
	return PARSE_OK;
}

enum parse lex_number(struct cursor *c, uint32_t *ret)
{
	uint64_t n = 0;

	TRY(take_number(c, UINT32_MAX, &n));
	*ret = (uint32_t)n;
	return PARSE_OK;
}

enum parse lex_nz_number(struct cursor *c, uint32_t *ret)
{
	if (c->at < c->end && *c->at == '0')
		return lex_bad(c, "Expected a number from 1");
	return lex_number(c, ret);
}

enum parse lex_number64(struct cursor *c, uint64_t *ret)
{
	return take_number(c, INT64_MAX, ret);
}

enum parse lex_modseq(struct cursor *c, modseq *ret)
{
	return take_number(c, INT64_MAX, &ret->v);
}
