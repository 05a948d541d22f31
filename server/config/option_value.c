/* option_value.c: between the text of one value and its place in struct config. */
#include "server/config/option.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <arpa/inet.h>
#include <assert.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first, for printing. */
static const struct unit size_units[] = { { "T", (uint64_t)1 << 40 },
					  { "G", (uint64_t)1 << 30 },
					  { "M", (uint64_t)1 << 20 },
					  { "K", (uint64_t)1 << 10 },
					  { "", 1 },
					  { NULL, 0 } };
static const struct unit duration_units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
					      { "s", 1000 },     { "ms", 1 },      { NULL, 0 } };

static int bad(struct buf *why, struct span text, const char *what)
{
	buf_putc(why, '"');
	buf_put_span(why, text);
	buf_puts(why, "\" ");
	buf_puts(why, what);
	return ERR_BAD_INPUT;
}

/* Leading digits; the rest is left in *text. False: none, or too many. */
static bool take_digits(struct span *text, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;

	while (n < text->bytes && text->at[n] >= '0' && text->at[n] <= '9') {
		unsigned digit = (unsigned)(text->at[n] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
		n++;
	}
	*text = span_of(text->at + n, text->bytes - n);
	*ret = v;
	return n != 0;
}

static const struct unit *units_of(const struct option *o)
{
	static const struct unit none[] = { { "", 1 }, { NULL, 0 } };

	if (o->type == OPTION_SIZE)
		return size_units;
	return o->type == OPTION_DURATION ? duration_units : none;
}

static int take_quantity(const struct option *o, struct span text, uint64_t *to, struct buf *why)
{
	struct span rest = text;
	uint64_t v;

	if (!take_digits(&rest, &v))
		return bad(why, text,
			   o->type == OPTION_NUMBER ? "is not a number"
			   : o->type == OPTION_SIZE ? "is not a size"
						    : "is not a duration");
	const struct unit *u = units_of(o);
	while (u->name != NULL && !span_is(rest, u->name))
		u++;
	if (u->name == NULL && !(v == 0 && rest.bytes == 0))
		return bad(why, text,
			   o->type == OPTION_NUMBER ? "is not a number"
						    : "has no unit that is known");
	uint64_t factor = u->name == NULL ? 1 : u->factor;
	if (v > o->max / factor || v * factor > o->max || v * factor < o->min)
		return bad(why, text, "is out of range");
	*to = v * factor;
	return OK;
}

static int take_bool(struct span text, bool plain, bool *to, struct buf *why)
{
	if (plain && (span_is(text, "true") || span_is(text, "yes") || span_is(text, "on")))
		*to = true;
	else if (plain && (span_is(text, "false") || span_is(text, "no") || span_is(text, "off")))
		*to = false;
	else
		return bad(why, text, "is neither true nor false");
	return OK;
}

static int take_choice(const struct option *o, struct span text, uint64_t *to, struct buf *why)
{
	for (uint64_t i = 0; o->choices[i] != NULL; i++) {
		if (!span_is(text, o->choices[i]))
			continue;
		if (o->type == OPTION_CHOICE)
			*to = i;
		else
			*to |= (uint64_t)1 << i;
		return OK;
	}
	return bad(why, text, "is not one of the choices");
}

/* HOST:PORT, [HOST]:PORT, *:PORT */
static int parse_listen(struct span text, struct arena *a, struct config_listen *ret)
{
	const char *colon = text.bytes == 0 ? NULL : memrchr(text.at, ':', text.bytes);
	if (colon == NULL)
		return ERR_BAD_INPUT;

	struct span host = span_of(text.at, (size_t)(colon - text.at));
	struct span port = span_of(colon + 1, text.bytes - host.bytes - 1);
	uint64_t number;
	if (!take_digits(&port, &number) || port.bytes != 0 || number > UINT16_MAX)
		return ERR_BAD_INPUT;

	bool bracket = host.bytes > 2 && host.at[0] == '[' && host.at[host.bytes - 1] == ']';
	if (bracket)
		host = span_of(host.at + 1, host.bytes - 2);
	const char *address = span_is(host, "*") && !bracket ? "::" : arena_strdup(a, host);
	struct in6_addr parsed;
	int family = bracket || span_is(host, "*") ? AF_INET6 : AF_INET;
	if (inet_pton(family, address, &parsed) != 1)
		return ERR_BAD_INPUT;
	*ret = (struct config_listen){ address, (uint16_t)number };
	return OK;
}

static int take_listen(const struct option *o, struct span text, struct config *c, struct buf *why)
{
	struct config_listens *list = option_at(o, c);
	struct config_listen one;

	if (list->count >= o->max)
		return bad(why, text, "is one too many");
	if (parse_listen(text, &c->arena, &one) < 0)
		return bad(why, text, "is not ADDRESS:PORT");
	if (list->at == NULL)
		list->at = arena_alloc(&c->arena, o->max * sizeof(*list->at));
	list->at[list->count++] = one;
	return OK;
}

static int take_string(struct span text, bool plain, const char **to, struct config *c,
		       struct buf *why)
{
	if (text.bytes == 0 || (plain && (span_is(text, "~") || span_is(text, "null"))))
		return bad(why, text, "says nothing");
	if (memchr(text.at, '\0', text.bytes) != NULL)
		return bad(why, span_str(""), "has a NUL in it");
	*to = arena_strdup(&c->arena, text);
	return OK;
}

int option_take(const struct option *o, struct span text, bool plain, struct config *c,
		struct buf *why)
{
	void *to = option_at(o, c);

	switch (o->type) {
	case OPTION_STRING: return take_string(text, plain, to, c, why);
	case OPTION_BOOL: return take_bool(text, plain, to, why);
	case OPTION_NUMBER:
		if (!plain)
			return bad(why, text, "is a string");
		return take_quantity(o, text, to, why);
	case OPTION_SIZE:
	case OPTION_DURATION: return take_quantity(o, text, to, why);
	case OPTION_CHOICE:
	case OPTION_SET: return take_choice(o, text, to, why);
	case OPTION_LISTENS: return take_listen(o, text, c, why);
	case OPTION_CERTIFICATES: return bad(why, text, "is not a list of certificates");
	}
	return ERR_BAD_INPUT;
}

static void put_quantity(const struct option *o, uint64_t v, struct buf *out)
{
	const struct unit *u = units_of(o);

	if (v == 0) {
		buf_putc(out, '0');
		return;
	}
	while (v % u->factor != 0)
		u++;
	buf_put_u64(out, v / u->factor);
	buf_puts(out, u->name);
}

static void put_choices(const struct option *o, struct buf *out)
{
	for (size_t i = 0; o->choices[i] != NULL; i++) {
		if (i != 0)
			buf_puts(out, ", ");
		buf_puts(out, o->choices[i]);
	}
}

static void put_range(const struct option *o, const char *what, const char *units, struct buf *out)
{
	buf_printf(out, "a %s from ", what);
	put_quantity(o, o->min, out);
	buf_puts(out, " to ");
	put_quantity(o, o->max, out);
	buf_puts(out, units);
}

void option_put_allowed(const struct option *o, struct buf *out)
{
	switch (o->type) {
	case OPTION_STRING: buf_puts(out, "a string"); return;
	case OPTION_BOOL: buf_puts(out, "true, false"); return;
	case OPTION_NUMBER: put_range(o, "number", "", out); return;
	case OPTION_SIZE: put_range(o, "size", " (units K, M, G, T)", out); return;
	case OPTION_DURATION: put_range(o, "duration", " (units ms, s, m, h, d)", out); return;
	case OPTION_CHOICE: put_choices(o, out); return;
	case OPTION_SET:
		buf_puts(out, "a list of ");
		put_choices(o, out);
		return;
	case OPTION_LISTENS:
		buf_puts(out, "ADDRESS:PORT, [IPV6]:PORT or *:PORT");
		buf_printf(out,
			   o->max == 1 ? ", or [] for none"
				       : ", or a list of at most %u; [] for none",
			   (unsigned)o->max);
		return;
	case OPTION_CERTIFICATES: buf_puts(out, "a list of {certificate: FILE, key: FILE}"); return;
	}
}

static void put_set(const struct option *o, uint64_t bits, struct buf *out)
{
	const char *separator = "";

	buf_putc(out, '[');
	for (size_t i = 0; o->choices[i] != NULL; i++) {
		if ((bits >> i & 1) == 0)
			continue;
		buf_printf(out, "%s%s", separator, o->choices[i]);
		separator = ", ";
	}
	buf_putc(out, ']');
}

static void put_listens(const struct config_listens *list, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		bool v6 = strchr(list->at[i].address, ':') != NULL;
		buf_printf(out, v6 ? "%s\"[%s]:%u\"" : "%s\"%s:%u\"", i == 0 ? "" : ", ",
			   list->at[i].address, (unsigned)list->at[i].port);
	}
	buf_putc(out, ']');
}

static void put_certificates(const struct config *c, struct buf *out)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < c->tls.certificate_count; i++)
		buf_printf(out, "%s{certificate: \"%s\", key: \"%s\"}", i == 0 ? "" : ", ",
			   c->tls.certificates[i].certificate, c->tls.certificates[i].key);
	buf_putc(out, ']');
}

void option_put_value(const struct option *o, const struct config *c, struct buf *out)
{
	const void *at = option_at_const(o, c);

	switch (o->type) {
	case OPTION_STRING: {
		const char *text = *(const char *const *)at;
		buf_puts(out, text == NULL ? "" : text);
		return;
	}
	case OPTION_BOOL: buf_puts(out, *(const bool *)at ? "true" : "false"); return;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION: put_quantity(o, *(const uint64_t *)at, out); return;
	case OPTION_CHOICE: buf_puts(out, o->choices[*(const uint64_t *)at]); return;
	case OPTION_SET: put_set(o, *(const uint64_t *)at, out); return;
	case OPTION_LISTENS: put_listens(at, out); return;
	case OPTION_CERTIFICATES: put_certificates(c, out); return;
	}
}
