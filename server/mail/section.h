/* section.h: from a section of BODY[...] to the bytes of the message (RFC 3501, 6.4.5). Pure; any
 * thread. A section is a range of the stored message; the caller reads that range, cuts a partial
 * out of it, and for HEADER.FIELDS(.NOT) lets the range run through a header_filter first. */
#ifndef SERVER_MAIL_SECTION_H
#define SERVER_MAIL_SECTION_H

#include "server/mail/shape.h"
#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum section_kind {
	SECTION_WHOLE,             /* BODY[], or with part numbers the part's body: BODY[1.2] */
	SECTION_HEADER,            /* BODY[HEADER], BODY[3.HEADER] (message parts only) */
	SECTION_HEADER_FIELDS,     /* ... and only these fields */
	SECTION_HEADER_FIELDS_NOT, /* ... and all but these fields */
	SECTION_TEXT,              /* BODY[TEXT], BODY[3.TEXT] (message parts only) */
	SECTION_MIME,              /* BODY[1.MIME]; needs part numbers */
};

struct section {
	enum section_kind kind;
	const uint32_t *parts; /* part numbers from 1, outermost first */
	size_t part_count;
	const struct span *fields; /* names for HEADER.FIELDS(.NOT) */
	size_t field_count;
};

struct section_range {
	uint64_t offset; /* in the stored message */
	uint64_t bytes;
};

/* The part that the numbers name (none: the message), NULL if there is no such part. */
const struct shape_part *section_part(const struct shape *s, const uint32_t *parts, size_t count);

/* OK, or ERR_NOT_FOUND if the message has no such section: the answer is then NIL. */
int section_find(const struct shape *s, const struct section *what, struct section_range *ret);

static inline bool section_is_filtered(const struct section *what)
{
	return what->kind == SECTION_HEADER_FIELDS || what->kind == SECTION_HEADER_FIELDS_NOT;
}

/* Copies the fields of a header that a section asks for, byte for byte and folded as they are, in
 * the header's order, and the blank line behind them. Fed in arbitrary slices of the range. Lines
 * without a colon belong to no field and are only in HEADER.FIELDS.NOT. Holds no more than a
 * field name's length of bytes back. */
struct header_filter {
	const struct section *what;
	struct buf *out;
	struct buf name; /* the start of a line, until its field name is known */
	int state;       /* private */
	bool keep;       /* the field at hand is wanted */
};

/* `what` and `out` must outlive the filter. */
void header_filter_init(struct header_filter *f, const struct section *what, struct buf *out);
void header_filter_feed(struct header_filter *f, struct span bytes);
/* Writes what is held back, the blank line above all, and frees what the filter holds. */
void header_filter_finish(struct header_filter *f);

/* All three at once. */
void header_filter(const struct section *what, struct span header, struct buf *out);

#endif
