/* bodystructure.h: the values of BODY and BODYSTRUCTURE (RFC 3501, 7.4.2). Pure; any thread. */
#ifndef SERVER_MAIL_BODYSTRUCTURE_H
#define SERVER_MAIL_BODYSTRUCTURE_H

#include "server/mail/shape.h"
#include "storage/base/buf.h"

#include <stdbool.h>

/* Append the parenthesised structure of `part` (shape->root for the message); with `extended`
 * BODYSTRUCTURE's, else BODY's. */
void bodystructure_put(struct buf *out, const struct shape_part *part, bool extended);

#endif
