/* calls.c: what a session asked the front for, and whom an answer is for: the command that waits,
 * or nobody, when the connection has died meanwhile. */
#include "server/session/session.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <stddef.h>

static struct session *session_of(struct front_client *k)
{
	struct session *s = (struct session *)((char *)k - offsetof(struct session, client));

	assert(s->magic == SESSION_MAGIC);
	return s;
}

/* ---- ops ---- */

Tm__Op *session_op(struct session *s)
{
	assert(s->op_then == NULL);
	tm__op__init(&s->op.op);
	s->op.op.account = s->account;
	return &s->op.op;
}

void session_send_op(struct session *s, op_then *then)
{
	assert(s->op_then == NULL && s->op.op.what_case != TM__OP__WHAT__NOT_SET);
	s->op_then = then;
	front_op(&s->client, &s->op);
}

static void on_op_done(struct front_client *k, struct op_call *c, const Tm__OpResult *r)
{
	struct session *s = session_of(k);
	op_then *then = s->op_then;

	assert(c == &s->op && then != NULL);
	s->op_then = NULL;
	if (session_is_dead(s)) {
		session_free_if_done(s);
		return;
	}
	then(s, s->command, r);
}

/* A tagged answer would be a lie whatever it said (IMAP.md, section 9). */
static void on_op_late(struct front_client *k, struct op_call *c)
{
	struct session *s = session_of(k);

	(void)c;
	session_bye(s, "UNAVAILABLE", "What became of the command is not known: please look");
}

/* ---- reads ---- */

Tm__Read *session_read(struct session *s)
{
	assert(s->read_then == NULL);
	tm__read__init(&s->read.read);
	s->read.read.account = s->account;
	return &s->read.read;
}

void session_send_read(struct session *s, read_then *then)
{
	assert(s->read_then == NULL);
	s->read_then = then;
	s->owed_credits = 0;
	front_read(&s->client, &s->read);
}

bool session_is_reading(const struct session *s)
{
	return s->read_then != NULL;
}

void session_cancel_read(struct session *s)
{
	assert(s->read_then != NULL);
	front_read_cancel(&s->client, &s->read);
}

void session_give_owed_credits(struct session *s)
{
	if (s->read_then != NULL && s->owed_credits > 0)
		front_read_credit(&s->client, &s->read, s->owed_credits);
	s->owed_credits = 0;
}

static void on_read_frame(struct front_client *k, struct read_call *c, const Tm__ReadFrame *f)
{
	struct session *s = session_of(k);
	read_then *then = s->read_then;

	assert(c == &s->read && then != NULL);
	if (f->end)
		s->read_then = NULL;
	if (session_is_dead(s)) {
		if (f->end)
			session_free_if_done(s);
		return;
	}
	then(s, s->command, f);
	if (f->end || session_is_dead(s))
		return; /* `s` may be waiting for something else by now */
	if (conn_is_full(s->conn))
		s->owed_credits++;
	else
		front_read_credit(&s->client, &s->read, 1);
}

static void on_mailbox_changed(struct front_client *k, modseq newest)
{
	struct session *s = session_of(k);

	(void)newest; /* a hint: the read that follows says what is true */
	if (s->changed_then != NULL && !session_is_dead(s))
		s->changed_then(s, s->command);
}

const struct front_client_ops session_client_ops = {
	.op_done = on_op_done,
	.op_late = on_op_late,
	.read_frame = on_read_frame,
	.mailbox_changed = on_mailbox_changed,
	.stop = session_on_stop,
};
