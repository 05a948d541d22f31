/* lexer.h: the words of IMAP (RFC 3501, section 9). Pure; any thread.
 *
 * Every function takes from a cursor and has three answers (STYLE.md, B7). On PARSE_MORE and
 * PARSE_BAD the cursor has not moved: MORE says that what is there is a beginning and that the same
 * call has to be made again with more bytes behind it; BAD says that no bytes can help, and the
 * cursor's `why` tells people what was wrong. So a word at the very end of the bytes is MORE: it
 * may go on. Spans that are returned point into the cursor's bytes or, where a copy was needed,
 * into the arena. */
#ifndef SERVER_IMAP_LEXER_H
#define SERVER_IMAP_LEXER_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/ids.h"

#include <stdbool.h>
#include <stdint.h>

enum parse { PARSE_OK, PARSE_MORE, PARSE_BAD };

struct cursor {
	const char *at, *end;
	const char *why; /* after PARSE_BAD: a constant text */
};

/* Hand on anything but OK. */
#define TRY(call) \
	do { \
		enum parse try_answer_ = (call); \
		if (try_answer_ != PARSE_OK) \
			return try_answer_; \
	} while (0)

static inline struct cursor cursor_of(struct span s)
{
	return (struct cursor){ s.at, s.at + s.bytes, NULL };
}

/* BAD with a reason. */
enum parse lex_bad(struct cursor *c, const char *why);

bool is_atom_char(unsigned char ch);    /* ATOM-CHAR */
bool is_astring_char(unsigned char ch); /* ATOM-CHAR and "]" */

/* The next byte, without taking it. */
enum parse lex_peek(struct cursor *c, char *ret);
/* Exactly this byte. */
enum parse lex_char(struct cursor *c, char want);
/* One SP and not more (RFC 3501, 9 (2)). */
enum parse lex_space(struct cursor *c);
/* If the next byte is `want`, take it and say so. */
enum parse lex_if_char(struct cursor *c, char want, bool *ret);
/* CRLF, or LF alone. */
enum parse lex_end(struct cursor *c);

/* Any ASTRING-CHARs but "+". */
enum parse lex_tag(struct cursor *c, struct span *ret);
enum parse lex_atom(struct cursor *c, struct span *ret);
/* Letters, digits, "." and "-": the name of a command, an item, an option. */
enum parse lex_word(struct cursor *c, struct span *ret);
/* Whether a list in parentheses goes on: at "(" when `first`, else behind an item. Takes "(" or the
 * blank between items, or ")" and then *ret is false. */
enum parse lex_list_more(struct cursor *c, bool first, bool *ret);
/* "\" and an atom; the span includes the "\". */
enum parse lex_flag(struct cursor *c, struct span *ret);

/* A quoted string's value, without "\"s. 8-bit is taken, as all servers do; NUL, CR, LF are not. */
enum parse lex_quoted(struct cursor *c, struct arena *a, struct span *ret);
/* {n} or {n+}, CRLF, and n bytes without NUL. */
enum parse lex_literal(struct cursor *c, struct span *ret);
/* Only {n} or {n+} and CRLF: the bytes are somewhere else. */
enum parse lex_literal_head(struct cursor *c, uint64_t *ret, bool *ret_waits);
/* Quoted or literal. */
enum parse lex_string(struct cursor *c, struct arena *a, struct span *ret);
enum parse lex_astring(struct cursor *c, struct arena *a, struct span *ret);
/* Like an astring, but "%" and "*" may stand in the unquoted form (list-mailbox). */
enum parse lex_list_mailbox(struct cursor *c, struct arena *a, struct span *ret);
/* NIL gives {NULL, 0}; a bare atom is forgiven. */
enum parse lex_nstring(struct cursor *c, struct arena *a, struct span *ret);

enum parse lex_number(struct cursor *c, uint32_t *ret);    /* 0 .. 2^32-1 */
enum parse lex_nz_number(struct cursor *c, uint32_t *ret); /* 1 .. 2^32-1 */
enum parse lex_number64(struct cursor *c,
			uint64_t *ret); /* 0 .. 2^63-1 (RFC 7162: mod-sequence-valzer) */
enum parse lex_modseq(struct cursor *c, modseq *ret); /* 0 .. 2^63-1 */

#endif
