#include "server/lmtp/lmtp_parse.h"

#include "storage/base/limits.h"

/* ---- lines ---- */

enum lmtp_line lmtp_take_line(struct span in, struct span *ret, size_t *used)
{
	size_t look = in.bytes < LMTP_LINE_MAX_BYTES ? in.bytes : LMTP_LINE_MAX_BYTES;
	const char *lf = look == 0 ? NULL : memchr(in.at, '\n', look);

	if (lf == NULL && in.bytes < LMTP_LINE_MAX_BYTES)
		return LMTP_LINE_MORE;
	if (lf == NULL) {
		*used = look;
		return LMTP_LINE_TOO_LONG;
	}
	size_t n = (size_t)(lf - in.at);
	bool cr = n > 0 && in.at[n - 1] == '\r';
	*ret = span_of(in.at, cr ? n - 1 : n);
	*used = n + 1;
	return cr ? LMTP_LINE_OK : LMTP_LINE_BARE_LF;
}

/* ---- words ---- */

static struct span rest_of(struct span s, size_t n)
{
	return span_of(s.at + n, s.bytes - n);
}

/* Up to the next blank; the blanks behind it go, too. */
static struct span take_word(struct span *s)
{
	size_t n = 0;

	while (n < s->bytes && s->at[n] != ' ')
		n++;
	struct span word = span_of(s->at, n);
	while (n < s->bytes && s->at[n] == ' ')
		n++;
	*s = rest_of(*s, n);
	return word;
}

static bool take_number(struct span s, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.bytes == 0 || s.bytes > 19)
		return false;
	for (size_t i = 0; i < s.bytes; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.at[i] - '0');
	}
	*ret = v;
	return true;
}

bool lmtp_has_8bit(struct span s)
{
	for (size_t i = 0; i < s.bytes; i++)
		if ((unsigned char)s.at[i] >= 0x80)
			return true;
	return false;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* ---- addresses ---- */

static bool is_atom_char(char c, const char *specials)
{
	unsigned char u = (unsigned char)c;

	return u > ' ' && u != 0x7f && strchr(specials, c) == NULL;
}

/* A quoted string at the beginning of `s`, both quotes included; 0: it has no end. */
static size_t quoted_length(struct span s)
{
	size_t i = 1;

	while (i < s.bytes && s.at[i] != '"') {
		if (s.at[i] == '\\')
			i++;
		if (i >= s.bytes || is_control(s.at[i]))
			return 0;
		i++;
	}
	return i < s.bytes ? i + 1 : 0;
}

/* How long the local part at the beginning of `s` is; 0: there is none. */
static size_t local_length(struct span s)
{
	size_t i = 0;

	if (s.bytes > 0 && s.at[0] == '"')
		return quoted_length(s);
	while (i < s.bytes && is_atom_char(s.at[i], "()<>[]:;@\\,\""))
		i++;
	return i;
}

static size_t domain_length(struct span s)
{
	size_t i = 0;

	while (i < s.bytes && is_atom_char(s.at[i], "()<>;@\\,\""))
		i++;
	return i;
}

/* "@a,@b:" in front of an address: obsolete, taken and ignored (RFC 5321, appendix C). */
static bool skip_route(struct span *s)
{
	while (s->bytes > 0 && s->at[0] == '@') {
		size_t n = 1;
		while (n < s->bytes && s->at[n] != ',' && s->at[n] != ':' && s->at[n] != '>' &&
		       !is_control(s->at[n]))
			n++;
		if (n >= s->bytes || s->at[n] == '>' || is_control(s->at[n]))
			return false;
		bool end = s->at[n] == ':';
		*s = rest_of(*s, n + 1);
		if (end)
			return true;
	}
	return true;
}

/* "<" address ">"; what follows is left in *s. */
static bool take_path(struct span *s, struct lmtp_address *ret)
{
	struct span in;

	if (s->bytes == 0 || s->at[0] != '<')
		return false;
	in = rest_of(*s, 1);
	if (!skip_route(&in))
		return false;
	const char *begin = in.at;
	size_t n = local_length(in);
	ret->local = span_of(begin, n);
	ret->domain = span_of(begin, 0);
	in = rest_of(in, n);
	if (n != 0 && in.bytes > 0 && in.at[0] == '@') {
		size_t d = domain_length(rest_of(in, 1));
		if (d == 0)
			return false;
		ret->domain = span_of(in.at + 1, d);
		in = rest_of(in, d + 1);
	}
	if (in.bytes == 0 || in.at[0] != '>')
		return false;
	ret->whole = span_of(begin, (size_t)(in.at - begin));
	*s = rest_of(in, 1);
	return ret->whole.bytes <= LMTP_ADDRESS_MAX_BYTES;
}

void lmtp_put_local(struct buf *out, const struct lmtp_address *a)
{
	struct span s = a->local;
	bool quoted = s.bytes >= 2 && s.at[0] == '"';

	for (size_t i = quoted ? 1 : 0; i < s.bytes - (quoted ? 1 : 0); i++) {
		if (quoted && s.at[i] == '\\' && i + 2 < s.bytes)
			i++;
		buf_putc(out, s.at[i]);
	}
}

/* ---- commands ---- */

static void parse_name(struct span args, struct lmtp_command *c)
{
	c->name = take_word(&args);
	if (c->name.bytes == 0 || c->name.bytes > 255 || args.bytes != 0)
		c->fault = LMTP_BAD_SYNTAX;
	for (size_t i = 0; i < c->name.bytes; i++)
		if (is_control(c->name.at[i]) || strchr("()<>\"\\,;@", c->name.at[i]) != NULL)
			c->fault = LMTP_BAD_SYNTAX;
}

/* One KEY or KEY=VALUE of MAIL; `seen` has a bit for each that came. */
static enum lmtp_fault take_parameter(struct span word, unsigned *seen, struct lmtp_command *c)
{
	const char *eq = memchr(word.at, '=', word.bytes);
	struct span key = span_of(word.at, eq == NULL ? word.bytes : (size_t)(eq - word.at));
	struct span value = eq == NULL ? span_of("", 0) : rest_of(word, key.bytes + 1);
	unsigned bit = span_is(key, "SIZE")       ? 1
		       : span_is(key, "BODY")     ? 2
		       : span_is(key, "SMTPUTF8") ? 4
						  : 0;

	if (bit == 0)
		return LMTP_UNKNOWN_PARAMETER;
	if ((*seen & bit) != 0)
		return LMTP_BAD_PARAMETER;
	*seen |= bit;
	if (bit == 1) {
		c->has_size = take_number(value, &c->size);
		return c->has_size ? LMTP_FINE : LMTP_BAD_PARAMETER;
	}
	if (bit == 2) /* BINARYMIME is not offered */
		return span_is(value, "7BIT") || span_is(value, "8BITMIME") ? LMTP_FINE
									    : LMTP_BAD_PARAMETER;
	c->utf8 = true;
	return eq == NULL ? LMTP_FINE : LMTP_BAD_PARAMETER;
}

/* FROM:<address> SP parameters, TO:<address>. A blank after the colon is common and harmless. */
static void parse_path(struct span args, const char *word, struct lmtp_command *c)
{
	size_t n = strlen(word);
	unsigned seen = 0;

	if (args.bytes < n || !span_is(span_of(args.at, n), word)) {
		c->fault = LMTP_BAD_SYNTAX;
		return;
	}
	args = rest_of(args, n);
	while (args.bytes > 0 && args.at[0] == ' ')
		args = rest_of(args, 1);
	if (!take_path(&args, &c->address) || (args.bytes > 0 && args.at[0] != ' ')) {
		c->address = (struct lmtp_address){ 0 };
		c->fault = LMTP_BAD_ADDRESS;
		return;
	}
	while (args.bytes > 0 && args.at[0] == ' ')
		args = rest_of(args, 1);
	while (args.bytes > 0 && c->fault == LMTP_FINE) {
		struct span parameter = take_word(&args);
		c->fault = c->verb == LMTP_MAIL ? take_parameter(parameter, &seen, c)
						: LMTP_UNKNOWN_PARAMETER;
	}
	if (c->fault == LMTP_FINE && c->verb == LMTP_RCPT && c->address.whole.bytes == 0)
		c->fault = LMTP_BAD_ADDRESS;
	if (c->fault == LMTP_FINE && c->verb == LMTP_MAIL && !c->utf8 &&
	    lmtp_has_8bit(c->address.whole))
		c->fault = LMTP_NEEDS_UTF8;
}

static void parse_bdat(struct span args, struct lmtp_command *c)
{
	struct span count = take_word(&args);
	struct span last = take_word(&args);

	c->last = span_is(last, "LAST");
	if (!take_number(count, &c->size) || (last.bytes != 0 && !c->last) || args.bytes != 0)
		c->fault = LMTP_BAD_SYNTAX;
}

static const struct {
	const char *word;
	enum lmtp_verb verb;
	bool arguments; /* may have them */
} verbs[] = {
	{ "LHLO", LMTP_LHLO, true },  { "MAIL", LMTP_MAIL, true },
	{ "RCPT", LMTP_RCPT, true },  { "DATA", LMTP_DATA, false },
	{ "BDAT", LMTP_BDAT, true },  { "RSET", LMTP_RSET, false },
	{ "NOOP", LMTP_NOOP, true },  { "VRFY", LMTP_VRFY, true },
	{ "QUIT", LMTP_QUIT, false }, { "STARTTLS", LMTP_STARTTLS, false },
	{ "HELO", LMTP_HELO, true },  { "EHLO", LMTP_HELO, true },
};

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.bytes; i++)
		if (is_control(s.at[i]) && s.at[i] != '\t')
			return true;
	return false;
}

void lmtp_parse_command(struct span line, struct lmtp_command *ret)
{
	struct lmtp_command c = { .verb = LMTP_UNKNOWN };
	struct span args = line;
	struct span word = take_word(&args);

	while (args.bytes > 0 && args.at[args.bytes - 1] == ' ')
		args.bytes--;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!span_is(word, verbs[i].word))
			continue;
		c.verb = verbs[i].verb;
		if (args.bytes != 0 && !verbs[i].arguments)
			c.fault = LMTP_BAD_SYNTAX;
	}
	if (has_control(line))
		c.fault = LMTP_BAD_SYNTAX;
	else if (c.verb == LMTP_LHLO)
		parse_name(args, &c);
	else if (c.verb == LMTP_MAIL)
		parse_path(args, "FROM:", &c);
	else if (c.verb == LMTP_RCPT)
		parse_path(args, "TO:", &c);
	else if (c.verb == LMTP_BDAT)
		parse_bdat(args, &c);
	*ret = c;
}

/* ---- the message behind DATA ---- */

void lmtp_put_text(struct buf *out, struct span in)
{
	size_t before = out->bytes;

	buf_put_span(out, in);
	char *at = out->at == NULL ? NULL : out->at + before;
	char *end = at == NULL ? NULL : out->at + out->bytes;
	while (at != NULL && (at = memchr(at, '\0', (size_t)(end - at))) != NULL)
		*at++ = (char)0x80;
}

/* Everything up to the next CR is text. Returns how much that is. */
static size_t feed_text(struct span in, struct buf *out)
{
	const char *cr = memchr(in.at, '\r', in.bytes);
	size_t n = cr == NULL ? in.bytes : (size_t)(cr - in.at);

	lmtp_put_text(out, span_of(in.at, n));
	return n;
}

size_t lmtp_data_feed(struct lmtp_data *d, struct span in, struct buf *out, bool *end)
{
	size_t i = 0;

	*end = false;
	while (i < in.bytes) {
		char c = in.at[i];
		switch (d->state) {
		case LMTP_AT_LINE:
			d->state = c == '.' ? LMTP_AT_DOT : LMTP_IN_TEXT;
			i += c == '.' ? 1 : 0;
			break;
		case LMTP_AT_DOT: /* the dot is dropped, or the end */
			d->state = c == '\r' ? LMTP_AT_DOT_CR : LMTP_IN_TEXT;
			i += c == '\r' ? 1 : 0;
			break;
		case LMTP_AT_DOT_CR:
			if (c == '\n') {
				*end = true;
				return i + 1;
			}
			buf_putc(out, '\r');
			d->state = c == '\r' ? LMTP_AT_CR : LMTP_IN_TEXT;
			i += c == '\r' ? 1 : 0;
			break;
		case LMTP_IN_TEXT:
			i += feed_text(rest_of(in, i), out);
			if (i < in.bytes) {
				d->state = LMTP_AT_CR;
				i++;
			}
			break;
		case LMTP_AT_CR:
			buf_putc(out, '\r');
			if (c == '\n') {
				buf_putc(out, '\n');
				d->state = LMTP_AT_LINE;
			} else {
				d->state = c == '\r' ? LMTP_AT_CR : LMTP_IN_TEXT;
			}
			i += c == '\n' || c == '\r' ? 1 : 0;
			break;
		}
	}
	return i;
}
