/* nstring.h: IMAP's string and nstring (RFC 3501, 4.3) for bytes out of a message. Pure; any
 * thread. */
#ifndef SERVER_MAIL_NSTRING_H
#define SERVER_MAIL_NSTRING_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

/* Append a quoted string, or a literal if the bytes hold 8-bit, CR or LF or are longer than
 * NSTRING_QUOTED_MAX_BYTES. NUL, which no string may hold, becomes 0x80. */
void string_put(struct buf *out, struct span s);

/* The same, NIL for an absent span. */
void nstring_put(struct buf *out, struct span s);

enum { NSTRING_QUOTED_MAX_BYTES = 1000 };

#endif
