/* cmd_copy.c: COPY and MOVE (RFC 3501 6.4.7, 4315, 6851). COPY is one op, all or nothing, of at
 * most COPY_MESSAGES_MAX messages (RFC 9738); MOVE goes in slices, each message by itself is
 * atomic, and the COPYUIDs of the slices are joined (IMAP.md, section 9). */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/uids.h"
#include "server/session/sync.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

struct copy_state {
	bool move;
	const char *target;
	struct uidset todo;  /* not sent yet */
	struct uidset slice; /* sent */
	struct uidset from, to;
	uint32_t uidvalidity;
};

static void send_slice(struct session *s, struct command *c);

static void release(struct session *s, struct command *c)
{
	struct copy_state *st = c->state;

	(void)s;
	uidset_free(&st->todo);
	uidset_free(&st->slice);
	uidset_free(&st->from);
	uidset_free(&st->to);
}

/* ---- the end ---- */

static const char *copyuid_code(struct session *s, struct command *c)
{
	struct copy_state *st = c->state;
	struct buf *text = &session_scratch(s)->text;

	buf_reset(text);
	buf_printf(text, "COPYUID %u ", st->uidvalidity);
	response_uids(text, &st->from);
	buf_putc(text, ' ');
	response_uids(text, &st->to);
	return answer_keep(c, text);
}

/* What was moved is said before its expunge, also if the rest was not. */
static void put_moved(struct session *s, struct command *c)
{
	struct copy_state *st = c->state;

	c->tells_highest = true;
	if (st->from.count > 0)
		response_status(session_out(s), (struct span){ 0 }, RESPONSE_OK, copyuid_code(s, c),
				"Moved");
}

static void end(struct session *s, struct command *c)
{
	struct copy_state *st = c->state;

	if (st->move) {
		put_moved(s, c);
		session_answer(s, RESPONSE_OK, NULL, "MOVE completed");
	} else if (st->from.count == 0) {
		session_answer(s, RESPONSE_OK, NULL, "COPY completed: there are no such messages");
	} else {
		session_answer(s, RESPONSE_OK, copyuid_code(s, c), "COPY completed");
	}
}

static void fail(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct copy_state *st = c->state;

	if (st->move && st->from.count > 0)
		put_moved(s, c);
	answer_failed(s, r->outcome, r->text, ABOUT_TARGET);
}

/* ---- an op's result ---- */

/* UIDs that do not exist are ignored (RFC 3501 6.4.8): the same without them. */
static bool retry_without(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct copy_state *st = c->state;
	struct uidset *gone = &session_scratch(s)->set;

	if (!c->imap->uid || r->what_case != TM__OP_RESULT__WHAT_UIDS ||
	    uidset_decode(uids_span(r->uids->uids), UINT32_MAX, gone) != OK || gone->count == 0)
		return false;
	uidset_subtract(&st->slice, gone);
	uidset_union(&st->todo, &st->slice);
	send_slice(s, c);
	return true;
}

static void on_copied(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct copy_state *st = c->state;
	struct uidset *from = &session_scratch(s)->set;
	uint64_t n;

	/* NO_MAILBOX is the target here; that the selected one is gone, the next sync tells. */
	if (session_ends_with(s, r->outcome, false))
		return;
	if (r->outcome == TM__OUTCOME__GONE && retry_without(s, c, r))
		return;
	if (r->outcome != TM__OUTCOME__DONE || r->what_case != TM__OP_RESULT__WHAT_UIDS ||
	    uidset_decode(uids_span(r->uids->uids), UINT32_MAX, from) != OK) {
		fail(s, c, r);
		return;
	}
	n = uidset_size(from);
	if (n > 0) {
		st->uidvalidity = r->uids->uidvalidity;
		uidset_union(&st->from, from);
		uidset_add_range(&st->to, r->uids->first_uid,
				 (uint32_t)(r->uids->first_uid + n - 1));
	}
	send_slice(s, c);
}

static void send_slice(struct session *s, struct command *c)
{
	struct copy_state *st = c->state;
	Tm__Copy *what;
	Tm__Op *op;

	if (st->todo.count == 0) {
		end(s, c);
		return;
	}
	uidset_clear(&st->slice);
	uidset_take_first(&st->todo, COPY_MESSAGES_MAX, &st->slice);
	what = arena_alloc(&c->arena, sizeof(*what));
	tm__copy__init(what);
	what->source = s->selected.mailbox.v;
	what->uids = uidset_encode_arena(&st->slice, &c->arena);
	what->target = arena_strdup(&c->arena, c->imap->u.copy.mailbox.utf8);
	what->move = st->move;
	op = session_op(s);
	op->what_case = TM__OP__WHAT_COPY;
	op->copy = what;
	session_send_op(s, on_copied);
}

/* ---- the beginning ---- */

static void refuse_many(struct session *s, struct command *c)
{
	struct copy_state *st = c->state;
	uint64_t size = uidset_size(&st->todo);

	session_answer(s, RESPONSE_NO,
		       command_text(c, "MESSAGELIMIT %d %u", COPY_MESSAGES_MAX,
				    uidset_nth(&st->todo, size - COPY_MESSAGES_MAX)),
		       "Too many messages to copy at once");
}

static void resolve(struct session *s, struct command *c)
{
	struct copy_state *st = c->state;

	c->synced = false;
	c->tells = TELLS_ALL;
	if (!uids_of_set(s, &c->imap->u.copy.set, &st->todo))
		return;
	if (!st->move && uidset_size(&st->todo) > COPY_MESSAGES_MAX)
		refuse_many(s, c);
	else
		send_slice(s, c);
}

static void copy_or_move(struct session *s, struct command *c, bool move)
{
	const struct args_copy *a = &c->imap->u.copy;
	struct copy_state *st = arena_zalloc(&c->arena, sizeof(*st));

	st->move = move;
	c->state = st;
	c->release = release;
	if (a->mailbox.fault != MAILBOX_NAME_GOOD) {
		answer_bad_name(s, &a->mailbox);
	} else if (uids_want_news(s, &a->set)) {
		c->tells = TELLS_NO_EXPUNGE; /* expunges come after the messages are identified */
		sync_now(s, resolve);
	} else {
		resolve(s, c);
	}
}

void copy_run(struct session *s, struct command *c)
{
	copy_or_move(s, c, false);
}

void move_run(struct session *s, struct command *c)
{
	copy_or_move(s, c, true);
}
