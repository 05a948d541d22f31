/* rfc822.h: the lexical pieces of a structured header value: white space and comments, atoms,
 * tokens, quoted strings, phrases, domains (RFC 5322, 3.2 and 4; RFC 2045, 5.1). Pure; any thread.
 *
 * Each function takes its piece and the white space and comments behind it. The text goes to
 * `out` with quotes and backslashes resolved and line breaks removed. 8-bit bytes are atom
 * characters: UTF-8 in headers (RFC 6532) and old mail that just sent its charset. */
#ifndef SERVER_MAIL_RFC822_H
#define SERVER_MAIL_RFC822_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>

struct rfc822 {
	const char *at;
	const char *end;
	struct buf *comment; /* receives the text of the last comment; NULL: nobody asks */
};

enum rfc822_found {
	RFC822_BAD = -1, /* not such a piece, or it is not closed; `out` has what there was */
	RFC822_END = 0,  /* taken; nothing follows */
	RFC822_MORE = 1, /* taken; `at` is at the next piece */
};

static inline struct rfc822 rfc822_of(struct span value, struct buf *comment)
{
	if (value.at == NULL)
		value = span_str("");
	return (struct rfc822){ value.at, value.at + value.bytes, comment };
}

static inline bool rfc822_at(const struct rfc822 *r, char c)
{
	return r->at < r->end && *r->at == c;
}

/* White space and comments; BAD if a comment is not closed. */
enum rfc822_found rfc822_skip(struct rfc822 *r);

enum rfc822_found rfc822_atom(struct rfc822 *r, struct buf *out);
/* Atoms and dots with white space between them, as RFC 822 allowed: "a . b" gives "a.b". */
enum rfc822_found rfc822_dot_atom(struct rfc822 *r, struct buf *out);
/* A MIME token, possibly empty. */
enum rfc822_found rfc822_token(struct rfc822 *r, struct buf *out);
/* At a '"'. */
enum rfc822_found rfc822_quoted(struct rfc822 *r, struct buf *out);
/* Words and dots, one space between words; possibly none. */
enum rfc822_found rfc822_phrase(struct rfc822 *r, struct buf *out);
/* At the '@': a dot-atom or "[literal]". */
enum rfc822_found rfc822_domain(struct rfc822 *r, struct buf *out);

#endif
