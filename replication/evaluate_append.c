/* evaluate_append.c: Append and PutChunk (IMAP.md, section 8): mail comes in. */
#include "replication/evaluate.h"
#include "replication/upload_table.h"

#include <assert.h>

/* What a record and one row of it take beside body, shape and keywords, generously. */
enum { APPEND_FIXED_BYTES = 2048, MESSAGE_FIXED_BYTES = 88 };

/* Octets that the op brings into the log. */
static size_t append_bytes(const Tm__Append *op)
{
	size_t bytes = APPEND_FIXED_BYTES;

	for (size_t i = 0; i < op->n_messages; i++) {
		const Tm__AppendMessage *m = op->messages[i];

		bytes += MESSAGE_FIXED_BYTES + m->body.len + m->shape.len;
		for (size_t k = 0; k < m->n_keywords; k++)
			bytes += strlen(m->keywords[k]) + 16;
	}
	return bytes;
}

static enum evaluated find_target(struct evaluation *e, struct account *a, const Tm__Append *op,
				  struct mailbox **ret)
{
	struct mailbox *m = op->mailbox != 0 ? account_mailbox(a, (mailbox_id){ op->mailbox })
					     : account_mailbox_named(a, op->name);

	*ret = NULL;
	if (m == NULL && op->fall_back_inbox)
		m = account_mailbox_named(a, "INBOX");
	if (m == NULL)
		return evaluated(e, TM__OUTCOME__NO_MAILBOX, "No such mailbox");
	enum evaluated rc = eval_pages(e, m);
	if (rc == EVALUATED)
		*ret = m;
	return rc;
}

static bool message_is_sound(const Tm__AppendMessage *m)
{
	if (m->guid.len != sizeof(guid) || m->size > MESSAGE_MAX_BYTES)
		return false;
	if (m->chunks == 0)
		return m->body.len == m->size && m->body.len <= MESSAGE_INLINE_MAX_BYTES;
	return m->body.len == 0 &&
	       m->chunks == (m->size + MESSAGE_CHUNK_BYTES - 1) / MESSAGE_CHUNK_BYTES;
}

static Tm__MessageRow *message_row(struct evaluation *e, const Tm__AppendMessage *m)
{
	Tm__MessageRow *row = arena_alloc(e->arena, sizeof(*row));

	tm__message_row__init(row);
	row->guid = eval_copy_bytes(e, span_of(m->guid.data, m->guid.len));
	row->size = m->size;
	row->internaldate = m->has_date ? m->internaldate : e->now;
	row->zone = m->has_date ? m->zone : 0;
	row->savedate = e->now;
	row->chunks = m->chunks;
	row->shape_chunks = m->shape_chunks;
	/* The thread is named after the oldest message that this one refers to, or itself, so
	 * that it needs no look at others and never changes (RFC 8474, 5.2). */
	row->thread = m->n_thread_hashes > 0 ? m->thread_hashes[0] : be64_get(m->guid.data);
	return row;
}

static void count_message(struct mailbox_counters *c, uint32_t system, uint64_t size)
{
	c->exists++;
	c->bytes += size;
	if ((system & FLAG_SEEN) == 0)
		c->unseen++;
	if ((system & FLAG_DELETED) != 0) {
		c->deleted++;
		c->deleted_bytes += size;
	}
}

struct append {
	struct evaluation *e;
	const Tm__Append *op;
	struct account *account;
	struct mailbox *mailbox;
	struct slots *slots; /* one per message */
	Tm__KeywordName **names;
	size_t name_count;
};

/* All keyword names of all messages first: either they all fit or nothing is done. */
static bool take_keywords(struct append *a)
{
	size_t names = 0;
	struct evaluation *e = a->e;

	for (size_t i = 0; i < a->op->n_messages; i++)
		names += a->op->messages[i]->n_keywords;
	char **all = arena_alloc(e->arena, (names + 1) * sizeof(*all));
	names = 0;
	for (size_t i = 0; i < a->op->n_messages; i++)
		for (size_t k = 0; k < a->op->messages[i]->n_keywords; k++)
			all[names++] = a->op->messages[i]->keywords[k];

	struct slots together;
	if (!eval_keywords(e, a->mailbox, all, names, true, &together))
		return false;
	a->names = together.new_names;
	a->name_count = together.new_count;
	a->slots = arena_alloc(e->arena, (a->op->n_messages + 1) * sizeof(*a->slots));
	for (size_t i = 0; i < a->op->n_messages; i++)
		if (!eval_keywords(e, a->mailbox, a->op->messages[i]->keywords,
				   a->op->messages[i]->n_keywords, false, &a->slots[i]))
			return false;
	return true;
}

static Tm__AddedMessage *added_message(struct append *a, size_t i)
{
	struct evaluation *e = a->e;
	const Tm__AppendMessage *m = a->op->messages[i];
	Tm__AddedMessage *out = arena_alloc(e->arena, sizeof(*out));

	tm__added_message__init(out);
	out->row = message_row(e, m);
	out->flags = eval_flag_set(e, (struct flag_set){ .system = m->system & FLAG_SYSTEM_ALL,
							 .count = a->slots[i].count,
							 .keywords = a->slots[i].at });
	/* Body and shape stay where the op has them: the entry is encoded before it is answered. */
	out->body = m->body;
	out->shape = m->shape;
	return out;
}

static void make_record(struct append *a)
{
	struct evaluation *e = a->e;
	struct mailbox_counters c = mailbox_now(a->mailbox)->counters;
	struct usage usage = account_usage_now(a->account);
	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_MESSAGES_ADDED);
	Tm__MessagesAdded *added = r->messages_added;

	added->account = a->account->id.v;
	added->mailbox = a->mailbox->id.v;
	added->modseq = ++c.highestmodseq;
	added->first_uid = c.uidnext;
	added->n_messages = a->op->n_messages;
	added->messages = arena_alloc(e->arena, added->n_messages * sizeof(*added->messages));
	for (size_t i = 0; i < added->n_messages; i++) {
		added->messages[i] = added_message(a, i);
		count_message(&c, added->messages[i]->flags->system, a->op->messages[i]->size);
		usage.bytes += a->op->messages[i]->size;
	}
	c.uidnext += (uint32_t)added->n_messages;
	usage.messages += added->n_messages;
	added->n_new_names = a->name_count;
	added->new_names = a->names;
	if (a->name_count > 0)
		c.keywords_version++;
	added->counters = eval_counters(e, &c);
	added->usage = eval_usage(e, &usage);
	eval_add(e, r);

	Tm__UidResult *res = arena_alloc(e->arena, sizeof(*res));
	tm__uid_result__init(res);
	res->uidvalidity = a->mailbox->uidvalidity;
	res->mailbox = a->mailbox->id.v;
	res->first_uid = added->first_uid;
	res->modseq = added->modseq;
	e->result->what_case = TM__OP_RESULT__WHAT_UIDS;
	e->result->uids = res;
}

static enum evaluated check_messages(struct evaluation *e, const Tm__Append *op)
{
	if (op->n_messages == 0)
		return evaluated(e, TM__OUTCOME__CANNOT, "Nothing to append");
	if (op->n_messages > COPY_MESSAGES_MAX)
		return evaluated(e, TM__OUTCOME__TOO_MANY, "Too many messages at once");
	for (size_t i = 0; i < op->n_messages; i++) {
		const Tm__AppendMessage *m = op->messages[i];

		if (!message_is_sound(m))
			return evaluated(e, TM__OUTCOME__TOO_BIG, "Invalid message");
		if (!upload_table_complete(e->partition->uploads, m))
			return evaluated(e, TM__OUTCOME__CHUNKS_MISSING, NULL);
	}
	return EVALUATED;
}

enum evaluated evaluate_append(struct evaluation *e, const Tm__Append *op)
{
	struct append a = { .e = e, .op = op };
	enum evaluated rc = eval_account(e, &a.account);

	if (a.account == NULL)
		return rc;
	rc = find_target(e, a.account, op, &a.mailbox);
	if (a.mailbox == NULL)
		return rc;
	if (append_bytes(op) > batch_room(e->batch)) {
		if (e->batch->op_count > 0)
			return NEXT_BATCH;
		return evaluated(e, TM__OUTCOME__TOO_BIG, "Too much in one append");
	}
	rc = check_messages(e, op);
	if (e->result->outcome != TM__OUTCOME__DONE)
		return rc;
	if (mailbox_now(a.mailbox)->counters.uidnext > UINT32_MAX - COPY_MESSAGES_MAX)
		return evaluated(e, TM__OUTCOME__LIMIT, "The mailbox has no UIDs left");
	if (!take_keywords(&a))
		return evaluated(e, TM__OUTCOME__LIMIT,
				 "Too many different keywords in this mailbox");
	eval_touch_account(e, a.account, false);
	make_record(&a);
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}

enum evaluated evaluate_put_chunk(struct evaluation *e, const Tm__PutChunk *op)
{
	if (op->guid.len != sizeof(guid) || op->bytes.len > MESSAGE_CHUNK_BYTES)
		return evaluated(e, TM__OUTCOME__TOO_BIG, "Invalid chunk");
	if (op->bytes.len + APPEND_FIXED_BYTES > batch_room(e->batch))
		return NEXT_BATCH;

	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_CHUNK_STORED);
	Tm__ChunkStored *c = r->chunk_stored;
	c->guid = op->guid;
	c->shape = op->shape;
	c->n = op->n;
	c->bytes = op->bytes;
	c->when = e->now;
	eval_add(e, r);
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}
