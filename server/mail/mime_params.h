/* mime_params.h: the parameters of Content-Type and Content-Disposition. Private to server/mail. */
#ifndef SERVER_MAIL_MIME_PARAMS_H
#define SERVER_MAIL_MIME_PARAMS_H

#include "server/mail/rfc822.h"
#include "server/mail/shape.h"
#include "storage/base/arena.h"

/* Read *(";" name "=" value) to the end of `r`; what is broken is left out. The pieces of a value
 * that RFC 2231 split (name*0, name*1, ...) are joined, as its section 6 asks of IMAP servers; the
 * charset and the %xx stay as they are and the name keeps its "*". What would not fit into `room`
 * bytes of an encoded shape, or is beyond MIME_PARAMS_MAX, is left out. Returns the bytes used. */
size_t mime_params_parse(struct arena *a, struct rfc822 *r, size_t room, struct shape_params *ret);

enum { SHAPE_STRING_OVERHEAD_BYTES = 5 }; /* the length of a string in the encoded shape, at most */

#endif
