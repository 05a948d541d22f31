/* lmtp_parse.h: the bytes of LMTP (RFC 2033, 5321, 3030): command lines, addresses, and the message
 * behind DATA. Pure: no socket, no store; fuzzed, and how the bytes are cut does not matter. */
#ifndef SERVER_LMTP_LMTP_PARSE_H
#define SERVER_LMTP_LMTP_PARSE_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- lines ---- */

enum lmtp_line {
	LMTP_LINE_OK,
	LMTP_LINE_MORE,     /* not complete: nothing was taken */
	LMTP_LINE_TOO_LONG, /* LMTP_LINE_MAX_BYTES without an end: throw them away, and all that
			     * follows up to the next line feed */
	LMTP_LINE_BARE_LF,  /* ends with LF alone: taken, but not to be obeyed */
};

/* The first line of `in`, without its end; *used is how much of `in` it takes, end included. */
enum lmtp_line lmtp_take_line(struct span in, struct span *ret, size_t *used);

/* ---- commands ---- */

enum lmtp_verb {
	LMTP_LHLO,
	LMTP_MAIL,
	LMTP_RCPT,
	LMTP_DATA,
	LMTP_BDAT,
	LMTP_RSET,
	LMTP_NOOP,
	LMTP_VRFY,
	LMTP_QUIT,
	LMTP_STARTTLS,
	LMTP_HELO, /* HELO, EHLO: this is not SMTP */
	LMTP_UNKNOWN,
};

enum lmtp_fault {
	LMTP_FINE,
	LMTP_BAD_SYNTAX,        /* 501 5.5.4 */
	LMTP_BAD_ADDRESS,       /* 501 5.1.3, of a sender 5.1.7 */
	LMTP_BAD_PARAMETER,     /* 501 5.5.4: a known parameter with a wrong value, or twice */
	LMTP_UNKNOWN_PARAMETER, /* 555 5.5.4 */
	LMTP_NEEDS_UTF8,        /* 553 5.6.7: 8-bit without SMTPUTF8 */
};

/* An address; the spans point into the line. */
struct lmtp_address {
	struct span whole;  /* without angle brackets and source route; empty: <> */
	struct span local;  /* as it came, maybe quoted */
	struct span domain; /* empty: there was none */
};

struct lmtp_command {
	enum lmtp_verb verb;
	enum lmtp_fault fault;
	struct span name;            /* LHLO: what the client calls itself */
	struct lmtp_address address; /* MAIL, RCPT */
	bool utf8;                   /* MAIL: SMTPUTF8 */
	bool has_size;
	uint64_t size; /* MAIL: SIZE=; BDAT: the bytes of the chunk */
	bool last;     /* BDAT LAST */
};

/* Understand a line. Never fails: see `fault`. */
void lmtp_parse_command(struct span line, struct lmtp_command *ret);

/* Are there octets above 127 in it? */
bool lmtp_has_8bit(struct span s);
/* The local part without quotes and backslashes. */
void lmtp_put_local(struct buf *out, const struct lmtp_address *a);

/* ---- the message behind DATA ---- */

/* Where we are in it; {0} is the beginning. */
struct lmtp_data {
	enum { LMTP_AT_LINE, LMTP_AT_DOT, LMTP_AT_DOT_CR, LMTP_IN_TEXT, LMTP_AT_CR } state;
};

/* Take bytes of `in`, append the message's to `out`: dots unstuffed (RFC 5321, 4.5.2), NUL, which
 * IMAP could not tell, as 0x80. Only CR LF . CR LF is the end (*end), and nothing behind it is
 * taken; a bare CR or LF ends no line and is kept. Returns how many bytes were taken. */
size_t lmtp_data_feed(struct lmtp_data *d, struct span in, struct buf *out, bool *end);

/* Append `in` with NUL as 0x80 (BDAT). */
void lmtp_put_text(struct buf *out, struct span in);

#endif
