#include "server/command/fetch_answer.h"

#include "server/command/uids.h"
#include "storage/base/err.h"

static void put_vanished(struct session *s, const Tm__ReadFrame *f)
{
	struct uidset *set = &session_scratch(s)->set2;

	if (uidset_decode(uids_span(f->vanished), UINT32_MAX, set) == OK)
		response_vanished(session_out(s), set, true);
}

/* A literal may be cut anywhere between two pieces of a message, so nothing of ours stands there.
 */
static bool put_piece(struct session *s, const Tm__FetchPiece *p)
{
	struct buf *out = session_out(s);
	seqno n;

	if (p->first) {
		if (!view_seqno_of(&s->selected.view, (msg_uid){ p->uid }, &n))
			return false;
		buf_puts(out, "* ");
		buf_put_u64(out, n.v);
		buf_puts(out, " FETCH (");
		s->mid_fetch = true;
	}
	if (!s->mid_fetch)
		return false;
	buf_put(out, p->text.data, p->text.len);
	if (!p->last)
		return false;
	buf_puts(out, ")\r\n");
	s->mid_fetch = false;
	return true;
}

uint32_t fetch_answer_put(struct session *s, const Tm__ReadFrame *f, const struct uidset *uids)
{
	uint32_t done = 0;

	if (f->has_vanished)
		put_vanished(s, f);
	for (size_t i = 0; i < f->n_pieces; i++)
		if ((uids == NULL || uidset_has(uids, f->pieces[i]->uid)) &&
		    put_piece(s, f->pieces[i]))
			done++;
	return done;
}
