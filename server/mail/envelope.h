/* envelope.h: ENVELOPE's value (RFC 3501, 7.4.2). Pure; any thread. */
#ifndef SERVER_MAIL_ENVELOPE_H
#define SERVER_MAIL_ENVELOPE_H

#include "server/mail/shape.h"
#include "storage/base/buf.h"

/* Append "(date subject from ... message-id)". Sender and Reply-To default to From. */
void envelope_put(struct buf *out, const struct shape_envelope *env);

#endif
