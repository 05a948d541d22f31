/* account_name.h: what an account may be called, and its one spelling. Pure; any thread. */
#ifndef SERVER_AUTH_ACCOUNT_NAME_H
#define SERVER_AUTH_ACCOUNT_NAME_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

/* Append the lower case, NFC form of `raw`: what names the account in ops, reads and partitions
 * (DESIGN.md, section 1). ERR_BAD_INPUT, `out` unchanged: empty, not UTF-8, beyond
 * ACCOUNT_NAME_MAX_BYTES, or with a control character, a blank of any kind or a slash. */
int account_name_normalise(struct span raw, struct buf *out);

#endif
