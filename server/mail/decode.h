/* decode.h: what a person reads out of a message: header fields and text parts as UTF-8. Uses
 * GMime and GLib. Any thread after mail_init(); a decoder belongs to one thread at a time. */
#ifndef SERVER_MAIL_DECODE_H
#define SERVER_MAIL_DECODE_H

#include "server/mail/shape.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>

/* Once, by main (or a test), before any thread is started. */
void mail_init(void);

/* Append the UTF-8 of a header value: unfolded, RFC 2047 words decoded; bytes that are not UTF-8
 * are read as ISO-8859-1. Never fails. */
void decode_header(struct span raw, struct buf *out);

/* Append the UTF-8 of a parameter of Content-Type or Content-Disposition, RFC 2231 continuations
 * joined and decoded, RFC 2047 words too (common, though forbidden). False if it is not there. */
bool decode_param(const struct shape_params *params, const char *name, struct buf *out);

/* Convert `bytes` from a charset by name to UTF-8. ERR_UNSUPPORTED if the charset is unknown,
 * ERR_BAD_INPUT if the bytes are not of it; `out` is unchanged then. This is what SEARCH CHARSET
 * needs. */
int decode_charset(struct span charset, struct span bytes, struct buf *out);

/* True if decode_charset() knows the charset: else NO [BADCHARSET]. */
bool decode_charset_known(struct span charset);

/* A text part's body: transfer encoding and charset resolved, in slices. Unknown transfer
 * encodings are taken as they are, unknown charsets as ISO-8859-1, invalid bytes become
 * U+FFFD or are left out. */
struct text_decoder; /* opaque */

struct text_decoder *text_decoder_new(const struct shape_part *part);
/* Append the UTF-8 of the next bytes of the body to `out`; what cannot be decided yet is kept. */
void text_decoder_feed(struct text_decoder *d, struct span bytes, struct buf *out);
void text_decoder_finish(struct text_decoder *d, struct buf *out);
/* Accepts NULL, leaves *d == NULL. */
void text_decoder_free(struct text_decoder **d);

#endif
