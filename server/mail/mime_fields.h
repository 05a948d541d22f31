/* mime_fields.h: from one header field to what a shape keeps of it. The scanner's half that looks
 * into fields; private to server/mail. */
#ifndef SERVER_MAIL_MIME_FIELDS_H
#define SERVER_MAIL_MIME_FIELDS_H

#include "server/mail/shape.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"

/* Fields of which the last one counts. */
enum mime_latest { MIME_DATE, MIME_SUBJECT, MIME_IN_REPLY_TO, MIME_MESSAGE_ID, MIME_LATEST_COUNT };

struct mime_fields {
	struct arena *arena;
	struct shape *shape;
	struct shape_part *part; /* whose header is at hand */
	size_t room;             /* bytes that this header may still add to the encoded shape */
	struct buf scratch;      /* unfolded values, pieces of them */
	struct buf latest[MIME_LATEST_COUNT];
	unsigned has_latest; /* bits by enum mime_latest */
};

void mime_header_begin(struct mime_fields *f, struct shape_part *part, size_t room);

/* Take over one field: "Name: value" with its folds and final line break. Of Content- fields the
 * first one counts, address fields add up. Fields that IMAP does not ask for are ignored. */
void mime_field(struct mime_fields *f, struct span raw);

/* What is left of `room` afterwards is the caller's again. */
void mime_header_end(struct mime_fields *f);

void mime_fields_free(struct mime_fields *f);

/* The boundary that a multipart declares, in `text` (MIME_BOUNDARY_MAX_BYTES); 0 if there is
 * none. A longer one is cut. */
size_t mime_boundary(const struct shape_params *params, char *text);

/* What the header says the part is; the scanner may still make it less. */
enum shape_kind mime_kind(const struct shape_part *p);

#endif
