/* address.c: address lists, recursive descent over server/mail/rfc822.h.
 *
 * An address that does not parse is not lost: what could be read of it is kept, what is missing is
 * named (MISSING_MAILBOX, MISSING_DOMAIN, SYNTAX_ERROR), as Dovecot does, since a host of NIL
 * would tell the client that a group begins. */
#include "server/mail/address.h"

#include "server/mail/rfc822.h"

struct parser {
	struct rfc822 in;
	struct arena *arena;
	struct buf text;    /* the piece at hand */
	struct buf comment; /* the last comment: the name in "a@b (name)" */
	struct buf list;    /* of struct mail_address */
	size_t room;        /* bytes that may still be used */
	bool full;          /* something did not fit: everything after it is left out */
	bool in_group;      /* a beginning was added, its end was not */
};

static void add(struct parser *p, const struct mail_address *a)
{
	size_t bytes = ADDRESS_OVERHEAD_BYTES + a->name.bytes + a->route.bytes + a->mailbox.bytes +
		       a->host.bytes;
	size_t group_end = p->in_group ? ADDRESS_OVERHEAD_BYTES : 0; /* kept free for it */

	if (p->full || bytes + group_end > p->room) {
		p->full = true;
		return;
	}
	p->room -= bytes;
	buf_put(&p->list, a, sizeof(*a));
}

static void group_begin(struct parser *p, struct span name)
{
	p->in_group = true;
	add(p, &(struct mail_address){ .mailbox = name });
	if (p->full)
		p->in_group = false; /* neither beginning nor end */
}

static void group_end(struct parser *p)
{
	if (!p->in_group)
		return;
	bool full = p->full;

	p->full = false; /* its room was kept free */
	p->in_group = false;
	add(p, &(struct mail_address){ { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } });
	p->full = full;
}

/* What will not fit anyway is not copied: the arena is bounded as the list is. */
static struct span taken(struct parser *p)
{
	if (p->text.bytes > p->room) {
		p->full = true;
		return span_str("");
	}
	return arena_copy(p->arena, buf_span(&p->text));
}

static enum rfc822_found local_part(struct parser *p, struct mail_address *a)
{
	buf_reset(&p->text);
	while (rfc822_at(&p->in, '.')) { /* ".joe@example.org" exists */
		p->in.at++;
		buf_putc(&p->text, '.');
	}
	enum rfc822_found f = rfc822_at(&p->in, '"') ? rfc822_quoted(&p->in, &p->text)
						     : rfc822_dot_atom(&p->in, &p->text);
	if (f != RFC822_BAD)
		a->mailbox = taken(p);
	return f;
}

static enum rfc822_found domain(struct parser *p, struct mail_address *a)
{
	buf_reset(&p->text);
	enum rfc822_found f = rfc822_domain(&p->in, &p->text);
	if (f != RFC822_BAD)
		a->host = taken(p);
	return f;
}

/* obs-domain-list = "@" domain *(*(CFWS / "," ) [CFWS] "@" domain), then ":" */
static enum rfc822_found route(struct parser *p, struct mail_address *a)
{
	buf_reset(&p->text);
	while (rfc822_at(&p->in, '@')) {
		if (p->text.bytes != 0)
			buf_putc(&p->text, ',');
		buf_putc(&p->text, '@');
		if (rfc822_domain(&p->in, &p->text) != RFC822_MORE)
			return RFC822_BAD;
		while (rfc822_at(&p->in, ',')) {
			p->in.at++;
			if (rfc822_skip(&p->in) != RFC822_MORE)
				return RFC822_BAD;
		}
	}
	if (!rfc822_at(&p->in, ':'))
		return RFC822_BAD;
	p->in.at++;
	a->route = taken(p);
	return rfc822_skip(&p->in);
}

/* "<" [route] local-part "@" domain ">" */
static enum rfc822_found angle_address(struct parser *p, struct mail_address *a)
{
	p->in.at++; /* the '<' */
	enum rfc822_found f = rfc822_skip(&p->in);
	if (f == RFC822_MORE && *p->in.at == '@') {
		f = route(p, a);
		if (f == RFC822_BAD) {
			a->route = span_str("INVALID_ROUTE");
			f = rfc822_skip(&p->in); /* an address may still follow */
		}
	}
	if (f == RFC822_MORE && *p->in.at == '>') { /* "<>" */
		p->in.at++;
		a->mailbox = span_str("MISSING_MAILBOX");
		a->host = span_str("MISSING_DOMAIN");
		return rfc822_skip(&p->in);
	}
	if (f == RFC822_MORE)
		f = local_part(p, a);
	if (f == RFC822_MORE && *p->in.at == '@')
		f = domain(p, a);
	if (f != RFC822_MORE || *p->in.at != '>')
		return RFC822_BAD; /* not closed */
	p->in.at++;
	return rfc822_skip(&p->in);
}

/* [phrase] angle-addr; false if it is not one, then nothing was taken. */
static bool name_address(struct parser *p, struct mail_address *a, enum rfc822_found *f)
{
	const char *start = p->in.at;

	buf_reset(&p->text);
	if (rfc822_phrase(&p->in, &p->text) != RFC822_MORE || *p->in.at != '<') {
		p->in.at = start;
		return false;
	}
	if (p->text.bytes != 0)
		a->name = taken(p);
	*f = angle_address(p, a);
	if (*f == RFC822_BAD)
		a->host = span_str("SYNTAX_ERROR");
	return true;
}

/* Words without an address, "Joe Doe": a name. A single word may be a local name, "joe". False if
 * there is more to it, then nothing was taken. */
static bool only_name(struct parser *p, struct mail_address *a, enum rfc822_found *f)
{
	const char *start = p->in.at;
	bool quoted = *start == '"';

	buf_reset(&p->text);
	*f = rfc822_phrase(&p->in, &p->text);
	bool words =
		quoted || (p->text.bytes != 0 && memchr(p->text.at, ' ', p->text.bytes) != NULL);
	if (*f == RFC822_BAD || !words || (quoted && rfc822_at(&p->in, '@'))) {
		p->in.at = start;
		return false;
	}
	a->name = taken(p);
	return true;
}

/* [local-part] ["@" domain], and the comment behind it as the name */
static enum rfc822_found plain_address(struct parser *p, struct mail_address *a)
{
	enum rfc822_found f = RFC822_MORE;

	buf_reset(&p->comment);
	if (*p->in.at != '@')
		f = local_part(p, a);
	if (f == RFC822_MORE && *p->in.at == '@')
		f = domain(p, a);
	if (p->comment.bytes != 0 && p->comment.bytes <= p->room)
		a->name = arena_copy(p->arena, buf_span(&p->comment));
	return f;
}

static enum rfc822_found mailbox(struct parser *p)
{
	struct mail_address a = { .name = { NULL, 0 } };
	enum rfc822_found f = RFC822_BAD;

	if (!name_address(p, &a, &f) && !only_name(p, &a, &f))
		f = plain_address(p, &a);
	if (a.mailbox.at == NULL)
		a.mailbox = span_str("MISSING_MAILBOX");
	if (a.host.at == NULL)
		a.host = span_str("MISSING_DOMAIN");
	add(p, &a);
	return f;
}

/* The members of a group, up to its ';' or the end. */
static enum rfc822_found group_members(struct parser *p)
{
	while (!rfc822_at(&p->in, ';')) {
		enum rfc822_found f = RFC822_MORE;

		if (*p->in.at != ',') /* obs-mbox-list: empty members */
			f = mailbox(p);
		if (f == RFC822_MORE && *p->in.at == ',') {
			p->in.at++;
			f = rfc822_skip(&p->in);
		} else if (f == RFC822_MORE && *p->in.at != ';') {
			f = RFC822_BAD;
		}
		if (f != RFC822_MORE)
			return f;
	}
	p->in.at++;
	return rfc822_skip(&p->in);
}

/* phrase ":" [mailbox-list] ";"; false if it is not one, then nothing was taken. */
static bool group(struct parser *p, enum rfc822_found *f)
{
	const char *start = p->in.at;

	buf_reset(&p->text);
	if (rfc822_phrase(&p->in, &p->text) != RFC822_MORE || *p->in.at != ':') {
		p->in.at = start;
		return false;
	}
	p->in.at++;
	group_begin(p, taken(p));
	*f = rfc822_skip(&p->in);
	if (*f == RFC822_MORE)
		*f = group_members(p);
	group_end(p);
	return true;
}

/* After something unintelligible: on to the next comma, so that one broken address does not hide
 * the others. */
static enum rfc822_found resume(struct parser *p)
{
	while (p->in.at < p->in.end && *p->in.at != ',')
		p->in.at++;
	return p->in.at < p->in.end ? RFC822_MORE : RFC822_END;
}

static void address_list(struct parser *p)
{
	enum rfc822_found f = rfc822_skip(&p->in);

	while (f == RFC822_MORE && !p->full) {
		if (*p->in.at != ',' && !group(p, &f))
			f = mailbox(p);
		if (f == RFC822_BAD || (f == RFC822_MORE && *p->in.at != ','))
			f = resume(p);
		if (f == RFC822_MORE) { /* at a comma */
			p->in.at++;
			f = rfc822_skip(&p->in);
		}
	}
}

/* Put the new ones behind what the list has: several To: fields count as one. */
static void append(struct parser *p, struct address_list *list)
{
	size_t more = p->list.bytes / sizeof(struct mail_address);
	if (more == 0)
		return;

	struct mail_address *at = arena_alloc(p->arena, (list->count + more) * sizeof(*at));
	if (list->count != 0)
		memcpy(at, list->at, list->count * sizeof(*at));
	memcpy(at + list->count, p->list.at, p->list.bytes);
	*list = (struct address_list){ at, list->count + more };
}

size_t address_parse(struct arena *a, struct span value, size_t max_bytes,
		     struct address_list *list)
{
	struct parser p = { .arena = a, .room = max_bytes };

	p.in = rfc822_of(value, &p.comment);
	address_list(&p);
	append(&p, list);
	buf_free(&p.text);
	buf_free(&p.comment);
	buf_free(&p.list);
	return max_bytes - p.room;
}
