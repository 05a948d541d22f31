#include "server/session/tell.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <glib.h>

static int decode(ProtobufCBinaryData d, struct uidset *ret)
{
	return uidset_decode(span_of(d.data, d.len), UINT32_MAX, ret);
}

/* ---- names ---- */

static void put_names(struct buf *out, const Tm__Changes *ch)
{
	response_flag_names(out, FLAG_SYSTEM_ALL, NULL, 0, false);
	for (size_t i = 0; i < ch->n_keywords; i++) {
		if (*ch->keywords[i] == '\0')
			continue;
		buf_putc(out, ' ');
		buf_puts(out, ch->keywords[i]);
	}
}

void tell_names(struct session *s, const Tm__Changes *ch)
{
	struct buf *out = session_out(s);

	buf_puts(out, "* FLAGS (");
	put_names(out, ch);
	buf_puts(out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!s->selected.read_only) {
		put_names(out, ch);
		if (!ch->keywords_full)
			buf_puts(out, " \\*");
	}
	buf_puts(out, s->selected.read_only ? ")] No flag can be changed\r\n" : ")] Limited\r\n");
	s->selected.keywords_version = ch->keywords_version;
}

/* ---- gone ---- */

static void put_expunge(void *data, seqno n)
{
	struct buf *out = data;

	buf_puts(out, "* ");
	buf_put_u64(out, n.v);
	buf_puts(out, " EXPUNGE\r\n");
}

void tell_held(struct session *s)
{
	struct view *v = &s->selected.view;
	struct uidset *gone = &session_scratch(s)->sync_set;

	if (!view_holds(v))
		return;
	if (s->qresync) {
		view_tell_vanished(v, gone);
		response_vanished(session_out(s), gone, false);
	} else {
		view_tell_expunge(v, put_expunge, session_out(s), gone);
	}
	uidset_subtract(&s->selected.recent, gone);
	uidset_subtract(&s->saved, gone);
}

static int take_gone(struct session *s, const Tm__Changes *ch)
{
	struct uidset *set = &session_scratch(s)->sync_set;

	if (decode(ch->full ? ch->all_uids : ch->vanished, set) != OK)
		return ERR_CORRUPT;
	if (ch->full)
		view_hold_missing(&s->selected.view, set);
	else
		view_hold(&s->selected.view, set);
	return OK;
}

/* ---- new ---- */

void tell_exists(struct session *s)
{
	struct buf *out = session_out(s);

	buf_puts(out, "* ");
	buf_put_u64(out, view_exists(&s->selected.view));
	buf_puts(out, " EXISTS\r\n");
}

uint32_t tell_recent_count(const struct session *s)
{
	return (uint32_t)uidset_size(&s->selected.recent);
}

void tell_recent(struct session *s)
{
	struct buf *out = session_out(s);

	buf_puts(out, "* ");
	buf_put_u64(out, tell_recent_count(s));
	buf_puts(out, " RECENT\r\n");
}

/* Those at or above uidnext are new; of them, which are \Recent here? */
static int take_new(struct session *s, const Tm__Changes *ch, bool *ret)
{
	struct selected *sel = &s->selected;
	struct uidset *set = &session_scratch(s)->sync_set;

	if (decode(ch->full ? ch->all_uids : ch->new_uids, set) != OK)
		return ERR_CORRUPT;
	if (view_uidnext(&sel->view) > 1)
		uidset_remove_range(set, 1, view_uidnext(&sel->view) - 1);
	*ret = view_add(&sel->view, set);
	if (*ret && sel->read_only && ch->uidnext > ch->recent_from) {
		struct uidset recent = { 0 };

		uidset_copy(&recent, set);
		if (ch->recent_from > 1)
			uidset_remove_range(&recent, 1, ch->recent_from - 1);
		uidset_union(&sel->recent, &recent);
		uidset_free(&recent);
	} else if (*ret) {
		uidset_intersect(&s->sync.recent, set);
		uidset_union(&sel->recent, &s->sync.recent);
		uidset_clear(&s->sync.recent);
	}
	return OK;
}

/* ---- rows ---- */

static void put_modseq(struct session *s, struct buf *out, uint64_t number)
{
	buf_puts(out, " MODSEQ (");
	buf_put_u64(out, number);
	buf_putc(out, ')');
	if (number > s->selected.modseq_sent)
		s->selected.modseq_sent = number;
}

/* "UID n FLAGS (...)" with \Recent added before the last parenthesis. */
static void put_row_text(struct session *s, struct buf *out, uint32_t uid, struct span text)
{
	if (!uidset_has(&s->selected.recent, uid) || text.bytes == 0) {
		buf_put_span(out, text);
		return;
	}
	buf_put(out, text.at, text.bytes - 1);
	buf_puts(out,
		 text.bytes > 1 && text.at[text.bytes - 2] == '(' ? "\\Recent)" : " \\Recent)");
}

static void put_fetch(struct buf *out, seqno n)
{
	buf_puts(out, "* ");
	buf_put_u64(out, n.v);
	buf_puts(out, " FETCH (");
}

static bool is_skipped(const struct session *s, const Tm__ChangedRow *row)
{
	const struct sync *y = &s->sync;

	return y->skip != NULL && row->modseq > y->skip_above && row->modseq <= y->skip_up_to &&
	       uidset_has(y->skip, row->uid);
}

static void tell_row(struct session *s, const Tm__ChangedRow *row)
{
	struct buf *out = session_out(s);
	seqno n;

	if (is_skipped(s, row) || !view_seqno_of(&s->selected.view, (msg_uid){ row->uid }, &n))
		return;
	put_fetch(out, n);
	put_row_text(s, out, row->uid, span_of(row->text.data, row->text.len));
	if (s->aware)
		put_modseq(s, out, row->modseq);
	buf_puts(out, ")\r\n");
}

void tell_group(struct session *s, const Tm__ResultFlags *g, const struct uidset *uids,
		unsigned items)
{
	struct buf *out = session_out(s);
	struct buf *flags = &session_scratch(s)->text;
	seqno n;

	buf_reset(flags);
	buf_puts(flags, " FLAGS (");
	response_flag_names(flags, g->system, NULL, 0, false);
	for (size_t i = 0; i < g->n_keywords; i++) {
		if (flags->at[flags->bytes - 1] != '(')
			buf_putc(flags, ' ');
		buf_puts(flags, g->keywords[i]);
	}
	buf_putc(flags, ')');
	for (uint32_t r = 0; r < uids->count; r++) {
		for (uint64_t uid = uids->at[r].lo; uid <= uids->at[r].hi; uid++) {
			if (!view_seqno_of(&s->selected.view, (msg_uid){ (uint32_t)uid }, &n))
				continue;
			put_fetch(out, n);
			buf_puts(out, "UID ");
			buf_put_u64(out, uid);
			if ((items & TELL_FLAGS) != 0)
				put_row_text(s, out, (uint32_t)uid, buf_span(flags));
			if ((items & TELL_MODSEQ) != 0)
				put_modseq(s, out, g->modseq);
			buf_puts(out, ")\r\n");
		}
	}
}

/* ---- all ---- */

int tell_changes(struct session *s, const Tm__Changes *ch)
{
	struct selected *sel = &s->selected;
	struct command *c = s->command;
	plain_then *before_rows = s->sync.before_rows;
	bool grew = false;
	int rc;

	if (ch->keywords_version != sel->keywords_version)
		tell_names(s, ch);
	rc = take_gone(s, ch);
	if (rc == OK && c->tells == TELLS_ALL)
		tell_held(s);
	if (rc == OK)
		rc = take_new(s, ch, &grew);
	if (rc < 0)
		return rc;
	if (grew) {
		tell_exists(s);
		tell_recent(s);
	}
	view_advance(&sel->view, (modseq){ ch->highestmodseq }, ch->uidnext);
	if (ch->renumbered) {
		response_ok_number(session_out(s), "UIDVALIDITY", ch->uidvalidity, "Renamed");
		sel->uidvalidity = ch->uidvalidity;
		uidset_clear(&s->saved); /* RFC 5182 2.1 */
	}
	if (before_rows != NULL) {
		s->sync.before_rows = NULL;
		before_rows(s, c);
	}
	for (size_t i = 0; i < ch->n_rows; i++)
		tell_row(s, ch->rows[i]);
	return OK;
}
