/* base64.h: RFC 4648 section 4, strictly: padded, no other characters, no spare bits. Pure. */
#ifndef SERVER_AUTH_BASE64_H
#define SERVER_AUTH_BASE64_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

void base64_put(struct buf *out, struct span bytes);
/* Append the decoded bytes. ERR_BAD_INPUT, `out` unchanged: it is not base64. */
int base64_take(struct span text, struct buf *out);

#endif
