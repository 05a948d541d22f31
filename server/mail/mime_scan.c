/* mime_scan.c: lines in, a tree of parts out.
 *
 * In the flow: APPEND or LMTP -> [scan] -> shape, stored with the message. The scanner sees each
 * line once. A header's lines are collected field by field and handed to mime_fields.c; a body's
 * lines are only counted, unless they begin with "--" and could be a boundary.
 *
 * Like Dovecot, and for the sake of mail as it is:
 *   - a boundary is looked for from the innermost multipart outwards, but the longest one that the
 *     line begins with wins, so that "b" and "b-1" can live in one message;
 *   - any enclosing boundary closes what is open inside of it, also in the middle of a header;
 *   - the line break before a boundary belongs to the boundary (RFC 2046, 5.1.1);
 *   - a multipart without a boundary parameter has no parts, a missing final boundary is the end.
 *
 * Invariants:
 *   M1  `part` is the innermost open part; all its ancestors are open, all others closed.
 *   M2  boundaries[] belong to ancestors of `part` or to itself, outermost first.
 *   M3  while a header or body is open, its header_lines or body_lines holds the count of line
 *       feeds before it. */
#include "server/mail/mime_scan.h"

#include "server/mail/mime_fields.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <stdlib.h>

enum {
	PART_OVERHEAD_BYTES = 64,    /* of a part in the encoded shape, without its strings */
	SHAPE_OVERHEAD_BYTES = 2048, /* what comes before the first part, with THREAD_IDS_MAX */
	BOUNDARY_LINE_MAX_BYTES = 2 + MIME_BOUNDARY_MAX_BYTES + 2 + 2, /* "--" b "--" CRLF */
};
static_assert(3 * 2 + (2 * THREAD_IDS_MAX + 1) * 8 + 6 < SHAPE_OVERHEAD_BYTES, "hashes fit");

struct boundary {
	struct shape_part *part; /* the multipart that declared it */
	size_t bytes;
	char text[MIME_BOUNDARY_MAX_BYTES];
};

struct mime_scan {
	struct mime_fields fields; /* of the header at hand */
	struct shape *shape;
	struct shape_part *part; /* M1 */
	unsigned parts;
	size_t room; /* bytes that further parts may add to the encoded shape */

	struct boundary boundaries[MIME_NESTING_MAX_LEVELS]; /* M2 */
	size_t boundary_count;

	uint64_t at;      /* offset of the next byte */
	uint64_t line_at; /* offset of the line at hand */
	uint64_t lines;   /* line feeds before `at` */
	unsigned newline; /* bytes that ended the line before; 0 if that was not in this region */
	char last;        /* the byte before `at` */
	bool in_header;   /* of `part`; else in its body */
	bool continues;   /* header: the line at hand continues a field */
	bool suspect;     /* body: the line at hand may be a boundary */
	struct buf line;  /* header: the field at hand; body: the line, if it is suspect */
};

/* Two, because closing an empty message/rfc822 takes one as well. */
static bool may_add_part(const struct mime_scan *s)
{
	return s->parts + 2 <= MIME_PARTS_MAX &&
	       s->room + s->fields.room >= 4 * (size_t)PART_OVERHEAD_BYTES;
}

static void field_end(struct mime_scan *s)
{
	if (s->line_at - s->part->header_at < HEADER_MAX_BYTES)
		mime_field(&s->fields, buf_span(&s->line));
	buf_reset(&s->line);
}

static size_t level(const struct shape_part *p)
{
	size_t n = 0;

	while ((p = p->parent) != NULL)
		n++;
	return n;
}

/* Open a part whose header begins at `at`, after `lines` line feeds. */
static void part_open(struct mime_scan *s, struct shape_part *parent, struct shape_part *before,
		      uint64_t at, uint64_t lines)
{
	struct shape_part *p = arena_zalloc(s->fields.arena, sizeof(*p));

	p->parent = parent;
	p->header_at = at;
	p->header_lines = lines; /* M3 */
	if (before != NULL)
		before->next = p;
	else if (parent != NULL)
		parent->child = p;
	if (parent == NULL || parent->kind == SHAPE_MESSAGE)
		p->envelope = arena_zalloc(s->fields.arena, sizeof(*p->envelope));

	assert(s->room >= PART_OVERHEAD_BYTES);
	s->room -= PART_OVERHEAD_BYTES;
	size_t half = s->room / 2; /* one header takes half of what is left at most */
	s->room -= half;
	mime_header_begin(&s->fields, p, half);

	s->parts++;
	s->part = p;
	s->in_header = true;
	s->newline = 0;
	buf_reset(&s->line);
}

/* The header ends at `end`, after `lines` line feeds of the message. Decides what the part is. */
static void header_end(struct mime_scan *s, uint64_t end, uint64_t lines)
{
	struct shape_part *p = s->part;

	mime_header_end(&s->fields);
	s->room += s->fields.room;
	s->fields.room = 0;
	p->header_bytes = end - p->header_at;
	p->header_lines = lines - p->header_lines;
	p->body_lines = lines; /* M3 */
	p->kind = mime_kind(p);
	if (p->kind != SHAPE_MULTIPART && p->kind != SHAPE_MESSAGE)
		return;
	if (level(p) >= MIME_NESTING_MAX_LEVELS || !may_add_part(s)) {
		p->kind = SHAPE_LEAF;
		p->type = span_str("application"); /* clients expect more behind a message type */
		p->subtype = span_str("octet-stream");
	}
}

/* A blank line ended the header. */
static void body_begin(struct mime_scan *s)
{
	struct shape_part *p = s->part;

	header_end(s, s->at, s->lines);
	s->in_header = false;
	s->newline = 0;
	if (p->kind == SHAPE_MULTIPART) {
		struct boundary *b = &s->boundaries[s->boundary_count];

		b->part = p;
		b->bytes = mime_boundary(&p->params, b->text);
		s->boundary_count += b->bytes != 0; /* without one it has no parts */
	} else if (p->kind == SHAPE_MESSAGE) {
		part_open(s, p, NULL, s->at, s->lines);
	}
}

/* A header that is cut by a boundary or by the end of the message. */
static void header_cut(struct mime_scan *s, uint64_t end, uint64_t lines)
{
	header_end(s, end, lines);
	if (s->part->kind == SHAPE_MESSAGE) {
		part_open(s, s->part, NULL, end,
			  lines); /* an empty one: every message part has one */
		header_end(s, end, lines);
	}
	s->in_header = false;
}

/* Close what is open inside of `owner` (NULL: everything) at `end`, after `lines` line feeds.
 * Returns the child of `owner` that was closed, if any. */
static struct shape_part *close_up_to(struct mime_scan *s, const struct shape_part *owner,
				      uint64_t end, uint64_t lines)
{
	struct shape_part *closed = NULL;

	if (s->in_header)
		header_cut(s, end, lines);
	while (s->part != owner) {
		closed = s->part;
		assert(end >= shape_body_at(closed));
		closed->body_bytes = end - shape_body_at(closed);
		closed->body_lines = lines - closed->body_lines;
		s->part = closed->parent;
	}
	return closed;
}

static bool is_blank(const char *at, const char *end)
{
	while (at < end && strchr("\r\n \t", *at) != NULL)
		at++;
	return at == end;
}

/* Nothing but "--" and blanks stand behind the boundary. */
static bool is_exact(const char *rest, const char *end)
{
	return is_blank(rest, end) ||
	       (end - rest >= 2 && memcmp(rest, "--", 2) == 0 && is_blank(rest + 2, end));
}

/* The boundary with which the line begins, NULL if it is none. */
static struct boundary *boundary_find(struct mime_scan *s, struct span line)
{
	struct boundary *best = NULL;

	if (line.bytes < 2 || line.at[0] != '-' || line.at[1] != '-' || !may_add_part(s))
		return NULL;
	line = span_of(line.at + 2, line.bytes - 2);
	for (size_t i = s->boundary_count; i-- > 0;) {
		struct boundary *b = &s->boundaries[i];

		if (b->bytes > line.bytes || memcmp(b->text, line.at, b->bytes) != 0 ||
		    (best != NULL && best->bytes >= b->bytes))
			continue;
		best = b;
		if (is_exact(line.at + b->bytes, line.at + line.bytes))
			break; /* "b--" ends "b" rather than being a boundary "b--" of another */
	}
	return best;
}

/* The line at hand is boundary `b`; `complete` if its line feed came. */
static void boundary_line(struct mime_scan *s, const struct boundary *b, bool complete)
{
	struct span line = buf_span(&s->line);
	bool final = line.bytes >= b->bytes + 4 && memcmp(line.at + 2 + b->bytes, "--", 2) == 0;
	uint64_t lines = s->lines - (complete ? 1 : 0); /* before this line */
	struct shape_part *last =
		close_up_to(s, b->part, s->line_at - s->newline, lines - (s->newline != 0 ? 1 : 0));

	s->boundary_count = (size_t)(b - s->boundaries) + (final ? 0 : 1);
	if (!final && complete)
		part_open(s, b->part, last, s->at, s->lines);
}

static void line_begin(struct mime_scan *s, char first)
{
	if (s->in_header) {
		s->continues = (first == ' ' || first == '\t') && s->at != s->part->header_at;
		if (!s->continues)
			field_end(s);
	} else {
		s->suspect = first == '-' && s->boundary_count != 0;
		buf_reset(&s->line);
	}
}

/* The boundary that the line at hand is, complete or not; NULL if it is none. */
static struct boundary *line_boundary(struct mime_scan *s)
{
	bool candidate = s->in_header ? !s->continues : s->suspect;

	return candidate ? boundary_find(s, buf_span(&s->line)) : NULL;
}

/* The line at hand ended with `newline` bytes of CR and LF. */
static void line_end(struct mime_scan *s, unsigned newline)
{
	struct boundary *b = line_boundary(s);

	s->lines++;
	if (s->in_header && !s->continues && s->at - s->line_at == newline) {
		body_begin(s); /* a blank line */
	} else if (b != NULL) {
		boundary_line(s, b, true);
		if (!s->in_header)
			s->newline = newline;
	} else {
		s->newline = newline;
	}
	s->line_at = s->at;
}

/* A piece of one line; `complete` if it ends with the line feed. */
static void take(struct mime_scan *s, struct span piece, bool complete)
{
	if (s->at == s->line_at)
		line_begin(s, *piece.at);

	size_t max = s->in_header ? MIME_FIELD_MAX_BYTES : s->suspect ? BOUNDARY_LINE_MAX_BYTES : 0;
	if (s->line.bytes < max) {
		size_t room = max - s->line.bytes;
		buf_put(&s->line, piece.at, piece.bytes < room ? piece.bytes : room);
	}

	char before = s->last;
	if (piece.bytes > 1)
		before = piece.at[piece.bytes - 2];
	s->last = piece.at[piece.bytes - 1];
	s->at += piece.bytes;
	if (complete)
		line_end(s, before == '\r' ? 2 : 1);
}

void mime_scan_feed(struct mime_scan *s, struct span bytes)
{
	while (bytes.bytes != 0) {
		const char *lf = memchr(bytes.at, '\n', bytes.bytes);
		size_t n = lf == NULL ? bytes.bytes : (size_t)(lf - bytes.at) + 1;

		take(s, span_of(bytes.at, n), lf != NULL);
		bytes = span_of(bytes.at + n, bytes.bytes - n);
	}
}

const struct shape *mime_scan_finish(struct mime_scan *s)
{
	struct boundary *b = s->at == s->line_at ? NULL : line_boundary(s);

	if (b != NULL)
		boundary_line(s, b, false);
	else if (s->in_header)
		field_end(s);
	close_up_to(s, NULL, s->at, s->lines);
	s->shape->bytes = s->at;
	return s->shape;
}

struct mime_scan *mime_scan_new(struct arena *a)
{
	struct mime_scan *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();

	s->shape = arena_zalloc(a, sizeof(*s->shape));
	s->fields.arena = a;
	s->fields.shape = s->shape;
	s->room = SHAPE_MAX_BYTES - SHAPE_OVERHEAD_BYTES;
	part_open(s, NULL, NULL, 0, 0);
	s->shape->root = s->part;
	return s;
}

void mime_scan_free(struct mime_scan **s)
{
	if (*s == NULL)
		return;
	buf_free(&(*s)->line);
	mime_fields_free(&(*s)->fields);
	free(*s);
	*s = NULL;
}

const struct shape *mime_scan_whole(struct arena *a, struct span message)
{
	struct mime_scan *s = mime_scan_new(a);

	mime_scan_feed(s, message);
	const struct shape *shape = mime_scan_finish(s);
	mime_scan_free(&s);
	return shape;
}
