/* cmd_append.c: APPEND and MULTIAPPEND (RFC 3501 6.3.11, 3502, 4315; IMAP.md section 8). Each
 * message goes up while it arrives (replication/upload.h); when all are durable, one op makes them
 * exist, all or none.
 *
 * What can be refused at the literal is refused there, instead of "+": a bad name, a size above the
 * limit, a target that does not exist. The target is looked at only if a message is large or the
 * client waits; evaluation decides again. */
#include "replication/upload.h"
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/uids.h"
#include "server/config/config.h"
#include "storage/base/limits.h"

struct append_state {
	struct session *session;
	struct upload **uploads; /* arena; COPY_MESSAGES_MAX places at most */
	uint32_t count, capacity;
	uint32_t stored;   /* whose chunks are durable */
	bool paused;       /* input waits for a window */
	bool complete;     /* the command is: only what is not stored yet is waited for */
	bool nul;          /* some message holds a NUL, which no literal may */
	Tm__Outcome worst; /* of the uploads */
	Tm__Append what;
	Tm__ListMailboxes list;
};

static void release(struct session *s, struct command *c)
{
	struct append_state *st = c->state;

	(void)s;
	for (uint32_t i = 0; i < st->count; i++)
		upload_drop(&st->uploads[i]);
}

/* ---- the op ---- */

static const char *appenduid_code(struct session *s, struct command *c, const Tm__UidResult *r)
{
	struct append_state *st = c->state;
	struct buf *text = &session_scratch(s)->text;

	buf_reset(text);
	buf_printf(text, "APPENDUID %u %u", r->uidvalidity, r->first_uid);
	if (st->count > 1)
		buf_printf(text, ":%u", r->first_uid + st->count - 1);
	return answer_keep(c, text);
}

static void on_appended(struct session *s, struct command *c, const Tm__OpResult *r)
{
	if (session_ends_with(s, r->outcome, false))
		return;
	if (r->outcome != TM__OUTCOME__DONE || r->what_case != TM__OP_RESULT__WHAT_UIDS)
		answer_failed(s, r->outcome, r->text, ABOUT_TARGET);
	else
		session_answer(s, RESPONSE_OK, appenduid_code(s, c, r->uids), "APPEND completed");
}

static Tm__AppendMessage *message_of(struct command *c, uint32_t i)
{
	struct append_state *st = c->state;
	const struct append_message *from = &c->imap->u.append.messages[i];
	Tm__AppendMessage *m = arena_alloc(&c->arena, sizeof(*m));

	tm__append_message__init(m);
	upload_fill(st->uploads[i], &c->arena, m);
	m->has_date = from->has_date;
	m->internaldate = from->date.unix_seconds;
	m->zone = from->date.zone_minutes;
	m->system = from->flags.system;
	m->n_keywords = from->flags.keyword_count;
	m->keywords = uids_keywords(c, &from->flags);
	return m;
}

static void send_op(struct session *s, struct command *c)
{
	struct append_state *st = c->state;
	Tm__Op *op = session_op(s);

	tm__append__init(&st->what);
	st->what.name = arena_strdup(&c->arena, c->imap->u.append.mailbox.utf8);
	st->what.n_messages = st->count;
	st->what.messages = arena_alloc(&c->arena, st->count * sizeof(st->what.messages[0]));
	for (uint32_t i = 0; i < st->count; i++)
		st->what.messages[i] = message_of(c, i);
	op->what_case = TM__OP__WHAT_APPEND;
	op->append = &st->what;
	session_send_op(s, on_appended);
}

/* Once the command is complete and every upload has ended. */
static void go_on(struct session *s, struct command *c)
{
	struct append_state *st = c->state;

	if (!st->complete || st->stored < st->count)
		return;
	if (st->worst != TM__OUTCOME__DONE)
		answer_failed(s, st->worst, NULL, ABOUT_TARGET);
	else
		send_op(s, c);
}

void append_run(struct session *s, struct command *c)
{
	struct append_state *st = c->state;

	st->complete = true;
	if (st->nul)
		session_answer(s, RESPONSE_NO, "CANNOT", "The message holds a NUL");
	else
		go_on(s, c);
}

/* ---- the messages ---- */

static void on_ready(void *data)
{
	struct append_state *st = data;

	if (!st->paused)
		return;
	st->paused = false;
	session_resume_input(st->session);
}

static void on_stored(void *data, Tm__Outcome outcome)
{
	struct append_state *st = data;

	st->stored++;
	if (outcome != TM__OUTCOME__DONE)
		st->worst = outcome;
	if (!session_is_dead(st->session))
		go_on(st->session, st->session->command);
}

void append_message_bytes(struct session *s, struct command *c, struct span bytes, bool end)
{
	struct append_state *st = c->state;
	struct upload *u = st->uploads[st->count - 1];
	bool room = true;

	st->nul = st->nul || memchr(bytes.at, '\0', bytes.bytes) != NULL;
	if (bytes.bytes > 0)
		room = upload_put(u, bytes);
	if (end) {
		upload_finish(u);
	} else if (!room) {
		st->paused = true;
		session_pause_input(s);
	}
}

static void begin_message(struct session *s, struct command *c)
{
	const struct args_append *a = &c->imap->u.append;
	struct append_state *st = c->state;
	struct upload_owner owner = { st, on_ready, on_stored };

	if (st->count == st->capacity) {
		uint32_t capacity = st->capacity > 0 ? 4 * st->capacity : 4;
		struct upload **grown = arena_alloc(&c->arena, capacity * sizeof(struct upload *));

		if (st->count > 0)
			memcpy(grown, st->uploads, st->count * sizeof(struct upload *));
		st->uploads = grown;
		st->capacity = capacity;
	}
	st->uploads[st->count++] =
		upload_begin(front_router(s->client.front), s->account,
			     a->messages[a->count - 1].bytes, a->count > 1, &owner);
	session_take_literal(s);
}

static void on_target(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct append_state *st = c->state;

	if (f->list != NULL && f->list->n_mailboxes > 0)
		st->capacity = 0; /* it is there; nothing else is of interest */
	else if (f->list != NULL)
		st->worst = TM__OUTCOME__NO_MAILBOX;
	if (!f->end)
		return;
	if (f->outcome != TM__OUTCOME__DONE)
		st->worst = f->outcome;
	if (st->worst != TM__OUTCOME__DONE)
		session_refuse_literal(s, RESPONSE_NO, answer_code(st->worst, ABOUT_TARGET),
				       answer_text(st->worst));
	else
		begin_message(s, c);
}

static void look_at_target(struct session *s, struct command *c)
{
	struct append_state *st = c->state;
	Tm__Read *r = session_read(s);

	tm__list_mailboxes__init(&st->list);
	st->list.only = arena_strdup(&c->arena, c->imap->u.append.mailbox.utf8);
	r->what_case = TM__READ__WHAT_LIST;
	r->list = &st->list;
	session_send_read(s, on_target);
}

static uint64_t limit_bytes(const struct session *s)
{
	const struct config *config = front_config(s->client.front);

	return config != NULL ? config->limits.message_bytes : MESSAGE_MAX_BYTES;
}

void append_message_comes(struct session *s, struct command *c, uint64_t bytes)
{
	const struct args_append *a = &c->imap->u.append;
	struct append_state *st = c->state;

	if (st == NULL) {
		st = arena_zalloc(&c->arena, sizeof(*st));
		st->session = s;
		c->state = st;
		c->release = release;
	}
	if (a->mailbox.fault != MAILBOX_NAME_GOOD)
		session_refuse_literal(s, RESPONSE_NO, answer_name_code(&a->mailbox),
				       mailbox_name_fault_text(a->mailbox.fault));
	else if (bytes == 0) /* a way to cancel (RFC 3502) */
		session_refuse_literal(s, RESPONSE_NO, NULL, "A message of no bytes is not taken");
	else if (bytes > limit_bytes(s))
		session_refuse_literal(s, RESPONSE_NO, "TOOBIG", "The message is too big");
	else if (a->count > COPY_MESSAGES_MAX)
		session_refuse_literal(s, RESPONSE_NO,
				       command_text(c, "MESSAGELIMIT %d", COPY_MESSAGES_MAX),
				       "Too many messages at once");
	else if (a->count == 1 && (c->literal_waits || bytes > MESSAGE_INLINE_MAX_BYTES))
		look_at_target(s, c);
	else
		begin_message(s, c);
}
