/* mutf7.h: modified UTF-7 (RFC 3501, 5.1.3). Pure; any thread. */
#ifndef SERVER_IMAP_MUTF7_H
#define SERVER_IMAP_MUTF7_H

#include "storage/base/buf.h"

/* Append the UTF-8. ERR_BAD_INPUT, and nothing appended, if it is not exactly what
 * mutf7_from_utf8() would write: 8-bit, an unterminated or empty shift, printable ASCII in base64,
 * two shifts in a row, bits left over, a lone surrogate, a control character outside of base64. */
int mutf7_to_utf8(struct span mutf7, struct buf *out);

/* Append the modified UTF-7. ERR_BAD_INPUT, and nothing appended, if it is not UTF-8. */
int mutf7_from_utf8(struct span utf8, struct buf *out);

#endif
