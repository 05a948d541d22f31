/* text_match.h: SEARCH's substrings (RFC 3501, 6.4.4): does a header field or the text of a
 * message contain these characters, without regard to case, encoding, charset or the way an accent
 * is composed? Any thread after mail_init(); a needle may be used by several at once. */
#ifndef SERVER_MAIL_TEXT_MATCH_H
#define SERVER_MAIL_TEXT_MATCH_H

#include "server/mail/shape.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_needle; /* opaque, immutable */

/* Prepare a search string in UTF-8 (see decode_charset). ERR_BAD_INPUT if it is not UTF-8. On 0
 * *ret owns it and the caller must text_needle_free() it. */
int text_needle_new(struct span utf8, struct text_needle **ret);
/* Accepts NULL, leaves *n == NULL. */
void text_needle_free(struct text_needle **n);

bool text_needle_is_empty(const struct text_needle *n);

/* Does this UTF-8 text contain the needle? The empty needle is in every text. */
bool text_needle_in(const struct text_needle *n, struct span utf8);

/* The same for a text that comes in slices; a needle that lies across a cut is found. Slices are
 * cut anywhere in the text but not inside a character. */
struct text_match; /* opaque */

struct text_match *text_match_new(const struct text_needle *n);
/* True once the needle has been found, and from then on. */
bool text_match_feed(struct text_match *m, struct span utf8);
bool text_match_finish(struct text_match *m);
void text_match_free(struct text_match **m);

/* Append `bytes` bytes of the stored message from `offset` to `out`. 0 or a negative enum err,
 * which mail_search_* hands on. */
typedef int mail_read_fn(void *data, uint64_t offset, size_t bytes, struct buf *out);

struct mail_source {
	const struct shape *shape;
	mail_read_fn *read;
	void *data;
};

/* SUBJECT, FROM, TO, CC, BCC, HEADER <name> of the message's own header: true in *ret if one of
 * its fields of that name contains the needle; the empty needle matches if there is such a
 * field. */
int mail_search_header(const struct mail_source *m, struct span name, const struct text_needle *n,
		       bool *ret);

/* BODY: the decoded text parts, and the headers of parts and embedded messages. The empty needle is
 * in every body. */
int mail_search_body(const struct mail_source *m, const struct text_needle *n, bool *ret);

/* TEXT: the message's header (decoded, field names included) or BODY. */
int mail_search_text(const struct mail_source *m, const struct text_needle *n, bool *ret);

#endif
