/* cmd_search.c: SEARCH and UID SEARCH (RFC 3501 6.4.4; ESEARCH 4731, SEARCHRES 5182, CONDSTORE 7162
 * 3.1.5). Message numbers become UIDs first; then the news are told, so that what just came is
 * found; then the owner searches the view. Numbers beyond EXISTS match nothing. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/uids.h"
#include "server/mail/decode.h"
#include "server/session/sync.h"
#include "storage/base/err.h"

struct search_state {
	struct search_program program;
	struct uidset found;
	bool with_modseq;
};

static void release(struct session *s, struct command *c)
{
	struct search_state *st = c->state;

	(void)s;
	uidset_free(&st->found);
}

/* ---- sets ---- */

static void become_uids(struct session *s, struct search_node *node, struct uidset *uids)
{
	seq_set_from_uids(uids, &s->command->arena, &node->set);
	node->key = SEARCH_UID;
}

/* Message numbers and "$", by the view as it was when the command came. */
static void resolve_numbers(void *data, struct search_node *node)
{
	struct session *s = data;
	const struct view *v = &s->selected.view;
	struct uidset *numbers = &session_scratch(s)->set;
	struct uidset *uids = &session_scratch(s)->set2;
	msg_uid uid;

	if (node->set.saved) {
		become_uids(s, node, &s->saved);
		return;
	}
	if (node->key != SEARCH_SEQ)
		return;
	seq_set_resolve(&node->set, view_exists(v), numbers);
	uidset_clear(uids);
	for (uint32_t r = 0; r < numbers->count; r++)
		for (uint64_t n = numbers->at[r].lo; n <= numbers->at[r].hi && n <= view_exists(v);
		     n++)
			if (view_uid_at(v, (seqno){ (uint32_t)n }, &uid))
				uidset_add(uids, uid.v);
	become_uids(s, node, uids);
}

/* "*" in sets of UIDs, by the view after the news. */
static void resolve_star(void *data, struct search_node *node)
{
	struct session *s = data;
	struct uidset *uids = &session_scratch(s)->set;

	if (!seq_set_has_star(&node->set))
		return;
	seq_set_resolve(&node->set, view_highest_uid(&s->selected.view), uids);
	become_uids(s, node, uids);
}

/* ---- answers ---- */

static void put_numbers(struct buf *out, const struct uidset *set)
{
	for (uint32_t r = 0; r < set->count; r++) {
		for (uint64_t n = set->at[r].lo; n <= set->at[r].hi; n++) {
			buf_putc(out, ' ');
			buf_put_u64(out, n);
		}
	}
}

static void count_modseq(struct session *s, uint64_t sent)
{
	if (sent > s->selected.modseq_sent)
		s->selected.modseq_sent = sent;
}

static void put_search(struct session *s, struct command *c, const struct uidset *shown,
		       const Tm__SearchAnswer *a)
{
	struct search_state *st = c->state;
	struct buf *out = session_out(s);

	buf_puts(out, "* SEARCH");
	put_numbers(out, shown);
	if (st->with_modseq && shown->count > 0) {
		buf_puts(out, " (MODSEQ ");
		buf_put_u64(out, a->highest_modseq);
		buf_putc(out, ')');
		count_modseq(s, a->highest_modseq);
	}
	buf_puts(out, "\r\n");
}

/* RFC 4731 3.2: of the messages that are returned. */
static uint64_t esearch_modseq(unsigned want, const Tm__SearchAnswer *a)
{
	uint64_t min = (want & SEARCH_RETURN_MIN) != 0 ? a->min_modseq : 0;
	uint64_t max = (want & SEARCH_RETURN_MAX) != 0 ? a->max_modseq : 0;

	if ((want & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT)) != 0 || (min == 0 && max == 0))
		return a->highest_modseq;
	return min > max ? min : max;
}

static void put_item(struct buf *out, const char *name, uint64_t n)
{
	buf_puts(out, name);
	buf_put_u64(out, n);
}

static void put_esearch(struct session *s, struct command *c, const struct uidset *shown,
			const Tm__SearchAnswer *a)
{
	struct search_state *st = c->state;
	unsigned want = c->imap->u.search.want;
	struct buf *out = session_out(s);
	bool any = shown->count > 0;

	if ((want & ~(unsigned)SEARCH_RETURN_SAVE) == 0)
		return;
	buf_puts(out, "* ESEARCH (TAG \"");
	buf_put_span(out, c->imap->tag);
	buf_puts(out, c->imap->uid ? "\") UID" : "\")");
	if (any && (want & SEARCH_RETURN_MIN) != 0)
		put_item(out, " MIN ", uidset_min(shown));
	if (any && (want & SEARCH_RETURN_MAX) != 0)
		put_item(out, " MAX ", uidset_max(shown));
	if (any && (want & SEARCH_RETURN_ALL) != 0) {
		buf_puts(out, " ALL ");
		response_uids(out, shown);
	}
	if ((want & SEARCH_RETURN_COUNT) != 0)
		put_item(out, " COUNT ", uidset_size(shown));
	if (any && st->with_modseq) {
		put_item(out, " MODSEQ ", esearch_modseq(want, a));
		count_modseq(s, esearch_modseq(want, a));
	}
	buf_puts(out, "\r\n");
}

/* RFC 5182 2.4. */
static void save(struct session *s, const struct uidset *found, unsigned want)
{
	bool all = (want & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT)) != 0 ||
		   (want & (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX)) == 0;

	if (all) {
		uidset_copy(&s->saved, found);
		return;
	}
	uidset_clear(&s->saved);
	if (found->count == 0)
		return;
	if ((want & SEARCH_RETURN_MIN) != 0)
		uidset_add(&s->saved, uidset_min(found));
	if ((want & SEARCH_RETURN_MAX) != 0)
		uidset_add(&s->saved, uidset_max(found));
}

static void answer_found(struct session *s, struct command *c, const Tm__SearchAnswer *a)
{
	const struct args_search *args = &c->imap->u.search;
	struct search_state *st = c->state;
	struct uidset *shown = &session_scratch(s)->set2;

	view_intersect(&s->selected.view, &st->found);
	if (args->extended && (args->want & SEARCH_RETURN_SAVE) != 0)
		save(s, &st->found, args->want);
	if (c->imap->uid)
		uidset_copy(shown, &st->found);
	else
		uids_to_seqnos(s, &st->found, shown);
	if (args->extended)
		put_esearch(s, c, shown, a);
	else
		put_search(s, c, shown, a);
}

static void fail(struct session *s, struct command *c, const char *code, const char *text)
{
	const struct args_search *a = &c->imap->u.search;

	if (a->extended && (a->want & SEARCH_RETURN_SAVE) != 0)
		uidset_clear(&s->saved); /* RFC 5182 2.1 */
	session_answer(s, RESPONSE_NO, code, text);
}

static void on_frame(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct search_state *st = c->state;
	struct uidset *more = &session_scratch(s)->set;
	bool gone;

	if (f->search != NULL && uidset_decode(uids_span(f->search->uids), UINT32_MAX, more) == OK)
		uidset_union(&st->found, more);
	if (!f->end)
		return;
	c->synced = true;
	if (f->outcome != TM__OUTCOME__DONE || f->search == NULL) {
		fail(s, c, answer_code(f->outcome, ABOUT_MAILBOX), answer_text(f->outcome));
		return;
	}
	answer_found(s, c, f->search);
	gone = !c->imap->uid && view_holds(&s->selected.view);
	session_answer(s, RESPONSE_OK, gone ? "EXPUNGEISSUED" : NULL, "SEARCH completed");
}

/* ---- asking ---- */

static void ask(struct session *s, struct command *c)
{
	const struct args_search *a = &c->imap->u.search;
	struct search_state *st = c->state;
	struct uidset *uids = &session_scratch(s)->set;
	struct buf *text = &session_scratch(s)->text;
	Tm__SearchMessages *m = arena_alloc(&c->arena, sizeof(*m));
	Tm__Read *r = session_read(s);
	struct span copy;

	c->synced = false;
	search_program_each_set(&st->program, resolve_star, s);
	tm__search_messages__init(m);
	buf_reset(text);
	search_program_encode(&st->program, text);
	copy = arena_copy(&c->arena, buf_span(text));
	m->program = (ProtobufCBinaryData){ copy.bytes, (uint8_t *)(uintptr_t)copy.at };
	view_uids(&s->selected.view, uids);
	m->uids = uidset_encode_arena(uids, &c->arena);
	m->want_modseq = st->with_modseq;
	if (a->extended && (a->want & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT)) == 0) {
		bool min = (a->want & SEARCH_RETURN_MIN) != 0;
		bool max = (a->want & SEARCH_RETURN_MAX) != 0;

		m->only_min = min && !max;
		m->only_max = max && !min;
	}
	r->what_case = TM__READ__WHAT_SEARCH;
	r->search = m;
	sync_send_read(s, on_frame);
}

void search_run(struct session *s, struct command *c)
{
	const struct args_search *a = &c->imap->u.search;
	struct search_state *st = arena_zalloc(&c->arena, sizeof(*st));

	c->state = st;
	c->release = release;
	st->program = a->program;
	if (a->program.charset.bytes > 0 && !decode_charset_known(a->program.charset)) {
		fail(s, c, "BADCHARSET (US-ASCII UTF-8)", "This charset is not known");
		return;
	}
	if (search_program_has_seqnos(&st->program))
		c->tells = TELLS_NO_EXPUNGE; /* RFC 7162 3.2.10.2 */
	st->with_modseq = search_program_has(&st->program, SEARCH_MODSEQ);
	if (st->with_modseq)
		session_become_aware(s);
	search_program_each_set(&st->program, resolve_numbers, s);
	sync_now(s, ask);
}
