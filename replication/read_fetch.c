/* read_fetch.c: the reader behind FETCH. Writes what stands between the parentheses of
 * "* n FETCH (...)", message by message, into frames; a literal is cut wherever a frame is full.
 *
 * A message that is not in the store any more is left out before a byte of it is written; one
 * whose body cannot be read in the middle of a literal ends the reader with an error, and the
 * session has to close (IMAP.md, section 8). */
#include "replication/reader_kinds.h"
#include "server/imap/fetch_items.h"
#include "server/mail/bodystructure.h"
#include "server/mail/date.h"
#include "server/mail/envelope.h"
#include "server/mail/section.h"
#include "server/mail/shape.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <glib.h>

enum {
	LOOKUP_MESSAGES = 64, /* message rows read at once */
	SLICE_BYTES = 32 * 1024,
};

static const unsigned needs_info_items = FETCH_INTERNALDATE | FETCH_ENVELOPE | FETCH_BODY |
					 FETCH_BODYSTRUCTURE | FETCH_EMAILID | FETCH_THREADID |
					 FETCH_SAVEDATE;
static const unsigned needs_shape_items = FETCH_ENVELOPE | FETCH_BODY | FETCH_BODYSTRUCTURE;

struct looked_up {
	const struct page_entry *entry; /* the pin's */
	struct message_info info;
	bool found;
};

struct piece {
	uint32_t uid;
	bool first, last;
	size_t at, end; /* in out */
};

struct fetch_reader {
	struct reader r; /* first */
	const Tm__FetchMessages *request;
	struct arena arena; /* items */
	struct fetch_items items;
	struct uidset uids, recent;
	struct pages_walk walk;
	bool started;
	bool needs_info, needs_shape;

	/* Looked ahead. */
	struct looked_up ahead[LOOKUP_MESSAGES];
	unsigned ahead_count, ahead_at;

	/* The message at hand; open: some of it is written. */
	bool open;
	uint32_t part; /* the next to write */
	struct buf shape_bytes;
	struct arena shape_arena;
	const struct shape *shape;
	/* The rest of a literal that was begun: bytes of the store, or of `filtered`. */
	bool in_literal;
	bool from_filtered;
	struct section_range rest;
	struct buf filtered;

	/* The frame. */
	struct buf out;
	GArray *pieces; /* struct piece */
	GArray *handed; /* Tm__FetchPiece, and where they are; memory is kept from frame to frame */
	GPtrArray *handed_at;
};

/* ---- looking ahead ---- */

static int found(void *data, msg_uid uid, const struct message_info *info)
{
	struct fetch_reader *f = data;

	for (unsigned i = f->ahead_at; i < f->ahead_count; i++) {
		if (f->ahead[i].entry->uid != uid.v)
			continue;
		f->ahead[i].info = *info;
		f->ahead[i].found = true;
		f->ahead_at = i; /* they come ascending */
		return OK;
	}
	return ERR_CORRUPT;
}

static int look_ahead(struct fetch_reader *f)
{
	msg_uid uids[LOOKUP_MESSAGES];
	const struct page_entry *e;
	int rc = OK;

	f->ahead_count = 0;
	while (f->ahead_count < LOOKUP_MESSAGES && (e = pages_walk_next(&f->walk)) != NULL) {
		uids[f->ahead_count].v = e->uid;
		f->ahead[f->ahead_count++] =
			(struct looked_up){ .entry = e, .found = !f->needs_info };
	}
	f->ahead_at = 0;
	if (f->needs_info && f->ahead_count > 0)
		rc = store_messages(f->r.store, f->r.partition, f->r.pin->id, uids, f->ahead_count,
				    found, f);
	f->ahead_at = 0;
	return rc;
}

/* The message at hand, or NULL if there are no more. */
static int current(struct fetch_reader *f, struct looked_up **ret)
{
	for (;;) {
		if (f->ahead_at == f->ahead_count) {
			int rc = look_ahead(f);

			if (rc != OK)
				return rc;
		}
		if (f->ahead_count == 0) {
			*ret = NULL;
			return OK;
		}
		if (f->ahead[f->ahead_at].found) {
			*ret = &f->ahead[f->ahead_at];
			return OK;
		}
		f->ahead_at++; /* expunged meanwhile */
	}
}

static int load_shape(struct fetch_reader *f, const struct looked_up *m)
{
	buf_reset(&f->shape_bytes);
	arena_reset(&f->shape_arena);
	f->shape = NULL;
	if (!f->needs_shape)
		return OK;
	int rc = store_shape(f->r.store, f->r.partition, &m->info, &f->shape_bytes);
	return rc == OK ? shape_decode(buf_span(&f->shape_bytes), &f->shape_arena, &f->shape) : rc;
}

/* ---- simple items ---- */

static void put_flags(struct fetch_reader *f, const struct page_entry *e)
{
	struct span text = flag_sets_text(f->r.pin->sets, e->set);
	static const char recent[] = "FLAGS (\\Recent";
	size_t head = strlen("FLAGS (");

	if (!uidset_has(&f->recent, e->uid)) {
		buf_put_span(&f->out, text);
		return;
	}
	buf_puts(&f->out, recent);
	if (text.at[head] != ')')
		buf_putc(&f->out, ' ');
	buf_put(&f->out, text.at + head, text.bytes - head);
}

static void put_date(struct buf *out, const char *name, int64_t seconds, int32_t zone)
{
	buf_puts(out, name);
	imap_date_time_put(
		out, (struct mail_date){ .unix_seconds = seconds, .zone_minutes = (int16_t)zone });
}

static void put_ids(struct fetch_reader *f, const struct message_info *m)
{
	if ((f->items.simple & FETCH_EMAILID) != 0) {
		buf_puts(&f->out, " EMAILID (M");
		for (size_t i = 0; i < sizeof(m->guid.b); i++)
			buf_printf(&f->out, "%02x", m->guid.b[i]);
		buf_putc(&f->out, ')');
	}
	if ((f->items.simple & FETCH_THREADID) != 0)
		buf_printf(&f->out, " THREADID (T%016llx)", (unsigned long long)m->thread);
}

static void put_structure(struct fetch_reader *f)
{
	if ((f->items.simple & FETCH_ENVELOPE) != 0) {
		buf_puts(&f->out, " ENVELOPE ");
		envelope_put(&f->out, f->shape->root->envelope);
	}
	if ((f->items.simple & FETCH_BODY) != 0) {
		buf_puts(&f->out, " BODY ");
		bodystructure_put(&f->out, f->shape->root, false);
	}
	if ((f->items.simple & FETCH_BODYSTRUCTURE) != 0) {
		buf_puts(&f->out, " BODYSTRUCTURE ");
		bodystructure_put(&f->out, f->shape->root, true);
	}
}

static void put_simple(struct fetch_reader *f, const struct looked_up *m)
{
	unsigned want = f->items.simple;

	if ((want & FETCH_UID) != 0) {
		buf_puts(&f->out, " UID ");
		buf_put_u64(&f->out, m->entry->uid);
	}
	if ((want & FETCH_FLAGS) != 0) {
		buf_putc(&f->out, ' ');
		put_flags(f, m->entry);
	}
	if ((want & FETCH_MODSEQ) != 0 || f->request->with_modseq) {
		buf_puts(&f->out, " MODSEQ (");
		buf_put_u64(&f->out, m->entry->modseq);
		buf_putc(&f->out, ')');
	}
	if ((want & FETCH_INTERNALDATE) != 0)
		put_date(&f->out, " INTERNALDATE ", m->info.internaldate, m->info.zone);
	if ((want & FETCH_RFC822_SIZE) != 0) {
		buf_puts(&f->out, " RFC822.SIZE ");
		buf_put_u64(&f->out, m->entry->size);
	}
	if ((want & FETCH_SAVEDATE) != 0)
		put_date(&f->out, " SAVEDATE ", m->info.savedate, 0);
	put_ids(f, &m->info);
	put_structure(f);
}

/* ---- parts ---- */

static bool whole_message(const struct fetch_part *p)
{
	return p->section.kind == SECTION_WHOLE && p->section.part_count == 0;
}

static int find_range(const struct fetch_reader *f, const struct looked_up *m,
		      const struct fetch_part *p, struct section_range *ret)
{
	if (whole_message(p)) {
		*ret = (struct section_range){ 0, m->info.size };
		return OK;
	}
	return section_find(f->shape, &p->section, ret);
}

/* HEADER.FIELDS: the header runs through the filter first, of a monstrous one as much as the
 * scanner looks at, too. */
static int filter_header(struct fetch_reader *f, const struct looked_up *m,
			 const struct fetch_part *p, struct section_range *range)
{
	struct header_filter filter;
	struct buf slice = { 0 };
	int rc = OK;

	if (range->bytes > HEADER_MAX_BYTES)
		range->bytes = HEADER_MAX_BYTES;
	buf_reset(&f->filtered);
	header_filter_init(&filter, &p->section, &f->filtered);
	while (rc == OK && range->bytes > 0) {
		size_t n = range->bytes < SLICE_BYTES ? (size_t)range->bytes : SLICE_BYTES;

		buf_reset(&slice);
		rc = store_body(f->r.store, f->r.partition, m->info.guid, range->offset, n, &slice);
		if (rc == OK)
			header_filter_feed(&filter, buf_span(&slice));
		range->offset += n;
		range->bytes -= n;
	}
	header_filter_finish(&filter);
	buf_free(&slice);
	*range = (struct section_range){ 0, f->filtered.bytes };
	return rc;
}

static void cut_partial(const struct fetch_part *p, struct section_range *r)
{
	if (!p->partial)
		return;
	uint64_t skip = p->offset < r->bytes ? p->offset : r->bytes;

	r->offset += skip;
	r->bytes -= skip;
	if (r->bytes > p->length)
		r->bytes = p->length;
}

static int begin_part(struct fetch_reader *f, const struct looked_up *m, const struct fetch_part *p)
{
	struct section_range range;

	buf_putc(&f->out, ' ');
	fetch_part_name(p, &f->out);
	if (find_range(f, m, p, &range) != OK) {
		buf_puts(&f->out, " NIL");
		return OK;
	}
	f->from_filtered = section_is_filtered(&p->section);
	if (f->from_filtered) {
		int rc = filter_header(f, m, p, &range);

		if (rc != OK)
			return rc;
	}
	cut_partial(p, &range);
	buf_printf(&f->out, " {%llu}\r\n", (unsigned long long)range.bytes);
	f->rest = range;
	f->in_literal = true;
	return OK;
}

/* No string of IMAP holds NUL (RFC 3501, 4.3): it becomes 0x80, as others do. */
static void hide_nuls(char *at, size_t bytes)
{
	char *nul;

	while ((nul = memchr(at, '\0', bytes)) != NULL) {
		*nul = (char)0x80;
		bytes -= (size_t)(nul + 1 - at);
		at = nul + 1;
	}
}

static int go_on_with_literal(struct fetch_reader *f, const struct looked_up *m)
{
	size_t room = f->out.bytes < READ_FRAME_MAX_BYTES ? READ_FRAME_MAX_BYTES - f->out.bytes : 0;
	size_t n = f->rest.bytes < room ? (size_t)f->rest.bytes : room;
	size_t before = f->out.bytes;
	int rc = OK;

	if (f->from_filtered)
		buf_put(&f->out, f->filtered.at + f->rest.offset, n);
	else if (n > 0)
		rc = store_body(f->r.store, f->r.partition, m->info.guid, f->rest.offset, n,
				&f->out);
	if (rc != OK)
		return rc;
	hide_nuls(f->out.at + before, f->out.bytes - before);
	f->rest.offset += n;
	f->rest.bytes -= n;
	f->in_literal = f->rest.bytes > 0;
	return OK;
}

/* ---- frames ---- */

static void begin_piece(struct fetch_reader *f, uint32_t uid, bool first)
{
	struct piece p = { .uid = uid, .first = first, .at = f->out.bytes };

	g_array_append_val(f->pieces, p);
}

/* Every item is written with a blank before it; the message's first one stands without. */
static void end_piece(struct fetch_reader *f, bool last)
{
	struct piece *p = &g_array_index(f->pieces, struct piece, f->pieces->len - 1);

	if (p->first && p->at < f->out.bytes && f->out.at[p->at] == ' ')
		p->at++;
	p->last = last;
	p->end = f->out.bytes;
}

static bool frame_is_full(const struct fetch_reader *f)
{
	return f->out.bytes >= READ_FRAME_MAX_BYTES;
}

/* Write of the message at hand what fits. On OK, f->open says whether more of it is to come. */
static int write_message(struct fetch_reader *f, const struct looked_up *m)
{
	int rc = OK;

	begin_piece(f, m->entry->uid, !f->open);
	if (!f->open) {
		put_simple(f, m);
		f->part = 0;
		f->in_literal = false;
		f->open = true;
	}
	while (rc == OK && (f->in_literal || f->part < f->items.part_count) && !frame_is_full(f)) {
		if (f->in_literal)
			rc = go_on_with_literal(f, m);
		else
			rc = begin_part(f, m, &f->items.parts[f->part++]);
	}
	f->open = f->in_literal || f->part < f->items.part_count;
	end_piece(f, !f->open);
	return rc;
}

static void hand_out(struct fetch_reader *f, Tm__ReadFrame *frame)
{
	guint count = f->pieces->len;

	g_array_set_size(f->handed, count);
	g_ptr_array_set_size(f->handed_at, (gint)count);
	for (guint i = 0; i < count; i++) {
		const struct piece *p = &g_array_index(f->pieces, struct piece, i);
		Tm__FetchPiece *out = &g_array_index(f->handed, Tm__FetchPiece, i);

		tm__fetch_piece__init(out);
		out->uid = p->uid;
		out->first = p->first;
		out->last = p->last;
		out->text = (ProtobufCBinaryData){ p->end - p->at, (uint8_t *)f->out.at + p->at };
		f->handed_at->pdata[i] = out;
	}
	frame->n_pieces = count;
	frame->pieces = (Tm__FetchPiece **)f->handed_at->pdata;
}

static void start(struct fetch_reader *f)
{
	if (f->request->has_changedsince)
		pages_walk_changed(f->r.pin, &f->uids, f->request->changedsince, &f->walk);
	else
		pages_walk_start(f->r.pin, &f->uids, &f->walk);
	f->started = true;
}

static int next(struct reader *r, Tm__ReadFrame *frame)
{
	struct fetch_reader *f = (struct fetch_reader *)r;
	struct looked_up *m = NULL;
	int rc = OK;

	if (!f->started)
		start(f);
	buf_reset(&f->out);
	g_array_set_size(f->pieces, 0);
	while (!frame_is_full(f)) {
		rc = current(f, &m);
		if (rc != OK || m == NULL)
			break;
		if (!f->open)
			rc = load_shape(f, m);
		if (rc == ERR_NOT_FOUND) {
			f->ahead_at++; /* collected meanwhile: it was expunged long ago */
			continue;
		}
		if (rc == OK)
			rc = write_message(f, m);
		if (rc != OK)
			return rc;
		if (!f->open) {
			f->ahead_at++;
			f->r.progress++;
		}
	}
	if (rc != OK)
		return rc;
	hand_out(f, frame);
	frame->end = m == NULL;
	return m != NULL;
}

/* ---- life ---- */

static void free_reader(struct reader *r)
{
	struct fetch_reader *f = (struct fetch_reader *)r;

	arena_free(&f->arena);
	arena_free(&f->shape_arena);
	buf_free(&f->shape_bytes);
	buf_free(&f->filtered);
	buf_free(&f->out);
	uidset_free(&f->uids);
	uidset_free(&f->recent);
	g_array_free(f->pieces, TRUE);
	g_array_free(f->handed, TRUE);
	g_ptr_array_free(f->handed_at, TRUE);
	g_free(f);
}

static bool parts_need_shape(const struct fetch_items *items)
{
	for (uint32_t i = 0; i < items->part_count; i++)
		if (!whole_message(&items->parts[i]))
			return true;
	return false;
}

int fetch_reader_new(const Tm__FetchMessages *request, struct reader **ret)
{
	struct fetch_reader *f = g_new0(struct fetch_reader, 1);

	f->r.next = next;
	f->r.free = free_reader;
	f->request = request;
	f->pieces = g_array_new(FALSE, FALSE, sizeof(struct piece));
	arena_init(&f->arena);
	arena_init(&f->shape_arena);
	f->handed = g_array_new(FALSE, FALSE, sizeof(Tm__FetchPiece));
	f->handed_at = g_ptr_array_new();
	int rc = fetch_items_decode(span_of(request->items.data, request->items.len), &f->arena,
				    &f->items);
	if (rc == OK)
		rc = uidset_decode(span_of(request->uids.data, request->uids.len), UINT32_MAX,
				   &f->uids);
	if (rc == OK)
		rc = uidset_decode(span_of(request->recent.data, request->recent.len), UINT32_MAX,
				   &f->recent);
	if (rc != OK) {
		free_reader(&f->r);
		return ERR_BAD_INPUT;
	}
	f->needs_info = (f->items.simple & needs_info_items) != 0 || f->items.part_count > 0;
	f->needs_shape = (f->items.simple & needs_shape_items) != 0 || parts_need_shape(&f->items);
	*ret = &f->r;
	return OK;
}

int fetch_needs_store(const Tm__FetchMessages *request, bool *ret)
{
	struct arena a;
	struct fetch_items items;

	arena_init(&a);
	int rc = fetch_items_decode(span_of(request->items.data, request->items.len), &a, &items);
	if (rc == OK)
		*ret = (items.simple & needs_info_items) != 0 || items.part_count > 0;
	arena_free(&a);
	return rc == OK ? OK : ERR_BAD_INPUT;
}
