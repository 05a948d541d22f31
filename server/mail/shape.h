/* shape.h: the parsed structure of one message. It is made once, by mime_scan while the message
 * arrives, stored beside the message, and answers ENVELOPE, BODY, BODYSTRUCTURE and every
 * BODY[section] without parsing again: what a client was told stays true across upgrades.
 *
 * A shape and all it points to is immutable and lives in one arena (or in the encoded bytes, which
 * must live as long). Pure; any thread. Spans whose `at` is NULL are absent (NIL). */
#ifndef SERVER_MAIL_SHAPE_H
#define SERVER_MAIL_SHAPE_H

#include "server/mail/address.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shape_kind {
	SHAPE_LEAF,      /* neither of the others: image/png, application/... */
	SHAPE_TEXT,      /* text/...: has a line count in BODYSTRUCTURE */
	SHAPE_MULTIPART, /* has one child or more, or none if no boundary was ever found */
	SHAPE_MESSAGE,   /* message/rfc822 or message/global with exactly one child */
};

struct shape_param {
	struct span name;
	struct span value; /* quotes resolved; RFC 2231 and 2047 left as on the wire */
};

struct shape_params {
	struct shape_param *at;
	size_t count;
};

/* Header fields are unfolded (line break and white space become one space); otherwise as they came,
 * 8-bit included; NUL became 0x80. */
struct shape_envelope {
	struct span date;
	struct span subject;
	struct address_list from, sender, reply_to, to, cc, bcc;
	struct span in_reply_to;
	struct span message_id;
};

struct shape_part {
	struct shape_part *parent; /* NULL for the message itself */
	struct shape_part *child;  /* first child */
	struct shape_part *next;   /* next sibling */
	enum shape_kind kind;

	/* Byte positions in the stored message. The header includes its blank line, if there is
	 * one; the body follows at once. */
	uint64_t header_at;
	uint64_t header_bytes;
	uint64_t body_bytes;
	uint64_t header_lines; /* line feeds in the header, in the body */
	uint64_t body_lines;

	/* Content-Type as it came; type and subtype are absent if there was none (text/plain, or
	 * message/rfc822 in a multipart/digest; shape_type() says so). */
	struct span type, subtype;
	struct shape_params params;
	struct span id, description, encoding, md5, location;
	struct span disposition;
	struct shape_params disposition_params;
	struct span *languages;
	size_t language_count;

	struct shape_envelope
		*envelope; /* of a message: the root, and the child of SHAPE_MESSAGE */
};

/* XXH64 (seed 0) of the msg-id texts without angle brackets. */
struct shape_hashes {
	uint64_t *at;
	size_t count;
};

struct shape {
	uint64_t bytes; /* the whole message */
	struct shape_part *root;
	struct shape_hashes message_id;  /* 0 or 1 */
	struct shape_hashes in_reply_to; /* in the order of the header */
	struct shape_hashes references;  /* oldest first */
};

static inline uint64_t shape_body_at(const struct shape_part *p)
{
	return p->header_at + p->header_bytes;
}

/* The type a part has by itself or by default (RFC 2046, 5.1.5). Never absent. */
struct span shape_type(const struct shape_part *p);
struct span shape_subtype(const struct shape_part *p);

/* The value of a Content-Type parameter, without case; absent if there is none. */
struct span shape_param(const struct shape_params *params, const char *name);

/* Append the stored form (format 1, at most SHAPE_MAX_BYTES for what mime_scan made). */
void shape_encode(const struct shape *s, struct buf *out);

/* Decode stored bytes. The shape is made in `a`, its spans point into `bytes`. Everything is
 * checked, also that ranges nest; hostile bytes are ERR_CORRUPT. A newer format is
 * ERR_UNSUPPORTED. */
int shape_decode(struct span bytes, struct arena *a, const struct shape **ret);

#endif
