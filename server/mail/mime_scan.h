/* mime_scan.h: the MIME scanner. It is fed a message in arbitrary slices while it arrives and
 * gives its shape; how the bytes are cut does not change the answer. It never fails: what cannot
 * be understood is a leaf.
 *
 * Memory is bounded, whatever comes: a shape never encodes to more than SHAPE_MAX_BYTES, at most
 * MIME_NESTING_MAX_LEVELS boundaries are remembered, and one header field of at most
 * MIME_FIELD_MAX_BYTES is held. Beyond MIME_PARTS_MAX parts, or when the shape is full, no more
 * boundaries are looked for: the last part takes the rest. Beyond MIME_NESTING_MAX_LEVELS a
 * multipart or message is a leaf. Header fields beyond HEADER_MAX_BYTES of one header are not
 * looked at.
 *
 * A scanner belongs to one thread at a time. */
#ifndef SERVER_MAIL_MIME_SCAN_H
#define SERVER_MAIL_MIME_SCAN_H

#include "server/mail/shape.h"
#include "storage/base/arena.h"
#include "storage/base/bytes.h"

struct mime_scan; /* opaque */

/* Start a message. The shape is made in `a`, which must live until the shape is done with. The
 * caller owns the scanner and must mime_scan_free() it. Never NULL. */
struct mime_scan *mime_scan_new(struct arena *a);

/* The next bytes. They are not kept. */
void mime_scan_feed(struct mime_scan *s, struct span bytes);

/* The end of the message. Call once; the shape lives in the arena. */
const struct shape *mime_scan_finish(struct mime_scan *s);

/* Accepts NULL, leaves *s == NULL. */
void mime_scan_free(struct mime_scan **s);

/* new, feed, finish, free. */
const struct shape *mime_scan_whole(struct arena *a, struct span message);

#endif
