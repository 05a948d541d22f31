#include "server/imap/response.h"

#include "server/imap/lexer.h"

#include <assert.h>

void response_astring(struct buf *out, struct span s)
{
	bool atom = s.bytes != 0 && s.bytes <= NSTRING_QUOTED_MAX_BYTES && !span_is(s, "NIL");

	for (size_t i = 0; atom && i < s.bytes; i++)
		atom = is_astring_char((unsigned char)s.at[i]);
	if (atom)
		buf_put_span(out, s);
	else
		string_put(out, s);
}

struct bit_name {
	unsigned bit;
	const char *name;
};

/* Names of the set bits with blanks between; `started` if something stands before. */
static bool put_bits(struct buf *out, const struct bit_name *names, unsigned bits, bool started)
{
	for (; names->name != NULL; names++) {
		if ((bits & names->bit) == 0)
			continue;
		if (started)
			buf_putc(out, ' ');
		buf_puts(out, names->name);
		started = true;
	}
	return started;
}

void response_flag_names(struct buf *out, unsigned system, const struct span *keywords,
			 size_t count, bool recent)
{
	static const struct bit_name names[] = {
		{ FLAG_ANSWERED, "\\Answered" },
		{ FLAG_FLAGGED, "\\Flagged" },
		{ FLAG_DELETED, "\\Deleted" },
		{ FLAG_SEEN, "\\Seen" },
		{ FLAG_DRAFT, "\\Draft" },
		{ FLAG_SYSTEM_ALL + 1, "\\Recent" },
		{ 0, NULL },
	};
	assert((system & ~(unsigned)FLAG_SYSTEM_ALL) == 0);
	bool started = put_bits(out, names, system | (recent ? FLAG_SYSTEM_ALL + 1u : 0), false);

	for (size_t i = 0; i < count; i++) {
		if (started)
			buf_putc(out, ' ');
		buf_put_span(out, keywords[i]);
		started = true;
	}
}

void response_flags(struct buf *out, unsigned system, const struct span *keywords, size_t count,
		    bool recent)
{
	buf_putc(out, '(');
	response_flag_names(out, system, keywords, count, recent);
	buf_putc(out, ')');
}

void response_special_use(struct buf *out, unsigned special_use)
{
	static const struct bit_name names[] = {
		{ USE_ALL, "\\All" },       { USE_ARCHIVE, "\\Archive" },
		{ USE_DRAFTS, "\\Drafts" }, { USE_FLAGGED, "\\Flagged" },
		{ USE_JUNK, "\\Junk" },     { USE_SENT, "\\Sent" },
		{ USE_TRASH, "\\Trash" },   { 0, NULL },
	};
	put_bits(out, names, special_use, false);
}

void response_uids(struct buf *out, const struct uidset *s)
{
	uidset_text(s, out);
}

static const char *status_name(enum response_status status)
{
	switch (status) {
	case RESPONSE_OK: return "OK";
	case RESPONSE_NO: return "NO";
	case RESPONSE_BAD: return "BAD";
	case RESPONSE_BYE: return "BYE";
	case RESPONSE_PREAUTH: return "PREAUTH";
	}
	assert(false && "a status of unknown kind");
	return "";
}

/* A text that is not ours may hold anything; a line must stay one line. */
static void put_text(struct buf *out, struct span text)
{
	if (text.bytes == 0)
		text = span_str("Done.");
	for (size_t i = 0; i < text.bytes; i++) {
		char ch = text.at[i];

		if (ch == '\r' || ch == '\n' || ch == '\0')
			ch = ' ';
		buf_putc(out, ch);
	}
}

void response_status_code(struct buf *out, struct span tag, enum response_status status,
			  struct span code, const char *text)
{
	buf_put_span(out, tag.bytes == 0 ? span_str("*") : tag);
	buf_putc(out, ' ');
	buf_puts(out, status_name(status));
	buf_putc(out, ' ');
	if (code.bytes != 0) {
		buf_putc(out, '[');
		buf_put_span(out, code);
		buf_puts(out, "] ");
	}
	put_text(out, text == NULL ? span_of(NULL, 0) : span_str(text));
	buf_puts(out, "\r\n");
}

void response_status(struct buf *out, struct span tag, enum response_status status,
		     const char *code, const char *text)
{
	response_status_code(out, tag, status, code == NULL ? span_of(NULL, 0) : span_str(code),
			     text);
}

void response_ok_number(struct buf *out, const char *code, uint64_t number, const char *text)
{
	buf_puts(out, "* OK [");
	buf_puts(out, code);
	buf_putc(out, ' ');
	buf_put_u64(out, number);
	buf_puts(out, "] ");
	put_text(out, span_str(text));
	buf_puts(out, "\r\n");
}

void response_continue(struct buf *out, struct span text)
{
	buf_puts(out, "+ ");
	buf_put_span(out, text);
	buf_puts(out, "\r\n");
}

void response_email_id(struct buf *out, guid id)
{
	static const char hex[] = "0123456789abcdef";

	buf_putc(out, 'M');
	for (size_t i = 0; i < sizeof(id.b); i++) {
		buf_putc(out, hex[id.b[i] >> 4]);
		buf_putc(out, hex[id.b[i] & 15]);
	}
}

void response_vanished(struct buf *out, const struct uidset *uids, bool earlier)
{
	if (uids->count == 0)
		return;
	buf_puts(out, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
	uidset_text(uids, out);
	buf_puts(out, "\r\n");
}
