#include "tests/unit/fake_router.h"

#include "server/auth/auth.h"
#include "server/imap/fetch_items.h"
#include "server/imap/response.h"
#include "server/imap/search_program.h"
#include "server/mail/decode.h"
#include "storage/base/limits.h"
#include "storage/base/uidset.h"

#include <assert.h>
#include <glib.h>
#include <stdio.h>

enum { MESSAGES_MAX = 20000, MAILBOXES_MAX = 64, NAMES_MAX = 32 };

struct message_model {
	uint32_t uid, system;
	uint64_t keywords; /* bits: names of the mailbox */
	uint64_t modseq_of;
	char *body;
};

struct gone_model {
	uint64_t modseq_of;
	uint32_t uid;
};

struct box {
	bool used;
	uint64_t id;
	char name[200];
	uint32_t uidvalidity, uidnext, recent_from, special_use;
	uint64_t highest, horizon;
	char *names[NAMES_MAX];
	uint32_t name_count;
	struct message_model *at;
	uint32_t count;
	struct gone_model *gone;
	uint32_t gone_count;
};

struct router {
	struct front *front;
};

struct waiting {
	struct waiting *next;
	struct router *r;
	struct op_call *op;
	struct read_call *read;
	void (*auth)(void *data);
	void *data;
	bool cancelled;
	unsigned credits;
	uint32_t done_uid; /* FETCH: up to it */
	bool changes_told;
};

static struct {
	struct box boxes[MAILBOXES_MAX];
	uint64_t next_id;
	uint32_t next_uidvalidity;
	char *subscribed[64];
	unsigned subscribed_count;
	struct waiting *first;
	struct arena arena;
	bool hold;
	int fail_nth;
	Tm__Outcome fail_with, fail_read;
	void (*after_op)(void);
	unsigned frame_messages, frames_sent, ops_done, store_limit;
	int owner_loop;
	struct {
		struct router *r;
		uint64_t id;
		uint64_t known;
		unsigned count;
	} watches[64];
} w;

/* ---- the model ---- */

static struct box *box_named(const char *name)
{
	for (unsigned i = 0; i < MAILBOXES_MAX; i++)
		if (w.boxes[i].used && strcmp(w.boxes[i].name, name) == 0)
			return &w.boxes[i];
	return NULL;
}

static struct box *box_of(uint64_t id)
{
	for (unsigned i = 0; i < MAILBOXES_MAX; i++)
		if (w.boxes[i].used && w.boxes[i].id == id)
			return &w.boxes[i];
	return NULL;
}

static struct box *box_new(const char *name)
{
	for (unsigned i = 0; i < MAILBOXES_MAX; i++) {
		struct box *b = &w.boxes[i];

		if (b->used)
			continue;
		*b = (struct box){ .used = true,
				   .id = ++w.next_id,
				   .uidnext = 1,
				   .recent_from = 1,
				   .highest = 1,
				   .uidvalidity = w.next_uidvalidity++ };
		snprintf(b->name, sizeof(b->name), "%s", name);
		b->at = g_new0(struct message_model, MESSAGES_MAX);
		b->gone = g_new0(struct gone_model, MESSAGES_MAX);
		return b;
	}
	abort();
}

static void box_drop(struct box *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		g_free(b->at[i].body);
	for (uint32_t i = 0; i < b->name_count; i++)
		g_free(b->names[i]);
	g_free(b->at);
	g_free(b->gone);
	*b = (struct box){ 0 };
}

static struct message_model *find(struct box *b, uint32_t uid)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (b->at[i].uid == uid)
			return &b->at[i];
	return NULL;
}

static uint64_t keyword_bit(struct box *b, const char *name)
{
	for (uint32_t i = 0; i < b->name_count; i++)
		if (g_ascii_strcasecmp(b->names[i], name) == 0)
			return UINT64_C(1) << i;
	if (b->name_count == NAMES_MAX)
		return 0;
	b->names[b->name_count] = g_strdup(name);
	return UINT64_C(1) << b->name_count++;
}

static void parse_flags(struct box *b, const char *text, uint32_t *system, uint64_t *keywords)
{
	static const char *const names[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
					     "\\Draft" };
	char **words = g_strsplit(text, " ", 0);

	*system = 0;
	*keywords = 0;
	for (char **word = words; *word != NULL; word++) {
		if (**word == '\0')
			continue;
		if (**word != '\\') {
			*keywords |= keyword_bit(b, *word);
			continue;
		}
		for (unsigned i = 0; i < 5; i++)
			if (strcmp(*word, names[i]) == 0)
				*system |= 1u << i;
	}
	g_strfreev(words);
}

static struct message_model *add(struct box *b, uint32_t system, uint64_t keywords,
				 const char *body)
{
	struct message_model *m = &b->at[b->count++];

	assert(b->count < MESSAGES_MAX);
	*m = (struct message_model){ b->uidnext++, system, keywords, b->highest, g_strdup(body) };
	return m;
}

static void remove_uid(struct box *b, uint32_t uid)
{
	struct message_model *m = find(b, uid);

	assert(m != NULL);
	b->gone[b->gone_count++] = (struct gone_model){ b->highest, uid };
	g_free(m->body);
	memmove(m, m + 1, (size_t)(&b->at[b->count] - (m + 1)) * sizeof(*m));
	b->count--;
}

/* ---- somebody else ---- */

static void hint(struct box *b)
{
	for (unsigned i = 0; i < 64; i++)
		if (w.watches[i].count > 0 && w.watches[i].id == b->id)
			front_sink()->mailbox_changed(w.watches[i].r->front, (partition_id){ 5 },
						      (mailbox_id){ b->id },
						      (modseq){ b->highest });
}

uint32_t world_append(const char *name, const char *flags, const char *body)
{
	struct box *b = box_named(name);
	uint32_t system;
	uint64_t keywords;

	parse_flags(b, flags, &system, &keywords);
	b->highest++;
	uint32_t uid = add(b, system, keywords, body)->uid;

	hint(b);
	return uid;
}

void world_flag(const char *name, uint32_t uid, const char *flags)
{
	struct box *b = box_named(name);
	struct message_model *m = find(b, uid);

	parse_flags(b, flags, &m->system, &m->keywords);
	m->modseq_of = ++b->highest;
	hint(b);
}

void world_expunge(const char *name, uint32_t uid)
{
	struct box *b = box_named(name);

	b->highest++;
	remove_uid(b, uid);
	hint(b);
}

void world_create(const char *name)
{
	box_new(name);
}

void world_delete(const char *name)
{
	struct box *b = box_named(name);

	hint(b);
	box_drop(b);
}

uint64_t world_modseq(const char *name)
{
	return box_named(name)->highest;
}

void fake_set_horizon(const char *name, uint64_t modseq_of)
{
	struct box *b = box_named(name);
	uint32_t keep = 0;

	b->horizon = modseq_of;
	for (uint32_t i = 0; i < b->gone_count; i++)
		if (b->gone[i].modseq_of > modseq_of)
			b->gone[keep++] = b->gone[i];
	b->gone_count = keep;
}

void fake_world_begin(void)
{
	memset(&w, 0, sizeof(w));
	w.next_uidvalidity = 100;
	w.fail_nth = -1;
	w.owner_loop = -1;
	w.store_limit = OP_MESSAGES_MAX;
	arena_init(&w.arena);
	box_new("INBOX");
}

void fake_world_end(void)
{
	assert(w.first == NULL);
	for (unsigned i = 0; i < MAILBOXES_MAX; i++)
		if (w.boxes[i].used)
			box_drop(&w.boxes[i]);
	for (unsigned i = 0; i < w.subscribed_count; i++)
		g_free(w.subscribed[i]);
	arena_free(&w.arena);
}

struct router *fake_router_new(struct front *f)
{
	struct router *r = g_new0(struct router, 1);

	r->front = f;
	return r;
}

void fake_router_free(struct router *r)
{
	g_free(r);
}

void fake_fail_op(unsigned nth, Tm__Outcome outcome)
{
	w.fail_nth = (int)nth;
	w.fail_with = outcome;
}

void fake_fail_read(Tm__Outcome outcome)
{
	w.fail_read = outcome;
}

void fake_after_op(void (*fn)(void))
{
	w.after_op = fn;
}

void fake_hold(bool on)
{
	w.hold = on;
}

void fake_frame_messages(unsigned n)
{
	w.frame_messages = n;
}

unsigned fake_frames_sent(void)
{
	return w.frames_sent;
}

unsigned fake_ops_done(void)
{
	return w.ops_done;
}

void fake_owner_loop(int index)
{
	w.owner_loop = index;
}

void fake_store_limit(unsigned messages)
{
	w.store_limit = messages;
}

/* ---- ops ---- */

static struct span bin(ProtobufCBinaryData d)
{
	return span_of(d.data, d.len);
}

static void decode(ProtobufCBinaryData d, struct uidset *ret)
{
	int rc = uidset_decode(bin(d), UINT32_MAX, ret);

	assert(rc == 0);
}

static Tm__ResultFlags *group_of(struct box *b, const struct message_model *m)
{
	Tm__ResultFlags *g = arena_alloc(&w.arena, sizeof(*g));
	struct uidset one = { 0 };

	tm__result_flags__init(g);
	g->system = m->system;
	g->modseq = m->modseq_of;
	g->keywords = arena_alloc(&w.arena, NAMES_MAX * sizeof(char *));
	for (uint32_t i = 0; i < b->name_count; i++)
		if ((m->keywords >> i & 1) != 0)
			g->keywords[g->n_keywords++] = b->names[i];
	uidset_add(&one, m->uid);
	g->uids = uidset_encode_arena(&one, &w.arena);
	uidset_free(&one);
	return g;
}

static void store_one(struct box *b, const Tm__StoreFlags *op, Tm__StoreResult *r,
		      struct message_model *m, struct uidset *stale)
{
	uint32_t system = m->system;
	uint64_t keywords = m->keywords, given = 0;

	if (op->conditional && m->modseq_of > op->unchangedsince) {
		r->failed[r->n_failed++] = group_of(b, m);
		return;
	}
	if (m->modseq_of > op->seen)
		uidset_add(stale, m->uid);
	for (size_t i = 0; i < op->n_keywords; i++)
		given |= keyword_bit(b, op->keywords[i]);
	if (op->mode == TM__STORE_MODE__ADD) {
		system |= op->system;
		keywords |= given;
	} else if (op->mode == TM__STORE_MODE__REMOVE) {
		system &= ~op->system;
		keywords &= ~given;
	} else {
		system = op->system;
		keywords = given;
	}
	if (system == m->system && keywords == m->keywords) {
		r->same[r->n_same++] = group_of(b, m);
		return;
	}
	if (r->modseq == 0)
		r->modseq = ++b->highest;
	m->system = system;
	m->keywords = keywords;
	m->modseq_of = r->modseq;
	r->changed[r->n_changed++] = group_of(b, m);
}

static void do_store(const Tm__StoreFlags *op, Tm__OpResult *result)
{
	struct box *b = box_of(op->mailbox);
	struct uidset uids = { 0 }, missing = { 0 }, stale = { 0 }, rest = { 0 };
	Tm__StoreResult *r = arena_alloc(&w.arena, sizeof(*r));
	unsigned looked = 0;

	if (b == NULL) {
		result->outcome = TM__OUTCOME__NO_MAILBOX;
		return;
	}
	tm__store_result__init(r);
	decode(op->uids, &uids);
	assert(uidset_size(&uids) <= OP_MESSAGES_MAX);
	r->before = b->highest;
	r->changed = arena_alloc(&w.arena, uidset_size(&uids) * sizeof(void *));
	r->same = arena_alloc(&w.arena, uidset_size(&uids) * sizeof(void *));
	r->failed = arena_alloc(&w.arena, uidset_size(&uids) * sizeof(void *));
	for (uint32_t i = 0; i < uids.count; i++)
		for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++) {
			struct message_model *m = find(b, uid);

			if (looked++ >= w.store_limit)
				uidset_add(&rest, uid);
			else if (m == NULL)
				uidset_add(&missing, uid);
			else
				store_one(b, op, r, m, &stale);
		}
	r->missing = uidset_encode_arena(&missing, &w.arena);
	r->stale = uidset_encode_arena(&stale, &w.arena);
	if (rest.count > 0)
		r->remaining = uidset_encode_arena(&rest, &w.arena);
	r->keywords_version = b->name_count;
	result->what_case = TM__OP_RESULT__WHAT_STORE;
	result->store = r;
	uidset_free(&uids);
	uidset_free(&missing);
	uidset_free(&stale);
	uidset_free(&rest);
}

static Tm__UidResult *uid_result(Tm__OpResult *result, struct box *target)
{
	Tm__UidResult *r = arena_alloc(&w.arena, sizeof(*r));

	tm__uid_result__init(r);
	if (target != NULL) {
		r->mailbox = target->id;
		r->uidvalidity = target->uidvalidity;
		r->first_uid = target->uidnext;
		r->modseq = target->highest;
	}
	result->what_case = TM__OP_RESULT__WHAT_UIDS;
	result->uids = r;
	return r;
}

static void do_append(const Tm__Append *op, Tm__OpResult *result)
{
	struct box *b = box_named(op->name);

	if (b == NULL) {
		result->outcome = TM__OUTCOME__NO_MAILBOX;
		return;
	}
	b->highest++;
	uid_result(result, b);
	for (size_t i = 0; i < op->n_messages; i++) {
		const Tm__AppendMessage *m = op->messages[i];
		char *body = m->body.data != NULL
				     ? g_strndup((const char *)m->body.data, m->body.len)
				     : g_strdup("in chunks");
		uint64_t keywords = 0;

		for (size_t k = 0; k < m->n_keywords; k++)
			keywords |= keyword_bit(b, m->keywords[k]);
		add(b, m->system, keywords, body);
		g_free(body);
	}
}

static void do_copy(const Tm__Copy *op, Tm__OpResult *result)
{
	struct box *from = box_of(op->source), *to = box_named(op->target);
	struct uidset uids = { 0 }, gone = { 0 };

	if (from == NULL || to == NULL) {
		result->outcome = TM__OUTCOME__NO_MAILBOX;
		return;
	}
	Tm__UidResult *r = uid_result(result, to);

	decode(op->uids, &uids);
	for (uint32_t i = 0; i < uids.count; i++)
		for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++)
			if (find(from, uid) == NULL)
				uidset_add(&gone, uid);
	if (gone.count > 0) {
		result->outcome = TM__OUTCOME__GONE;
		r->uids = uidset_encode_arena(&gone, &w.arena);
	} else {
		r->uids = op->uids;
		to->highest++;
		if (op->move)
			from->highest++;
		for (uint32_t i = 0; i < uids.count; i++)
			for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++) {
				struct message_model *m = find(from, uid);

				add(to, m->system, 0, m->body);
				if (op->move)
					remove_uid(from, uid);
			}
	}
	uidset_free(&uids);
	uidset_free(&gone);
}

static void do_expunge(const Tm__Expunge *op, Tm__OpResult *result)
{
	struct box *b = box_of(op->mailbox);
	struct uidset uids = { 0 }, gone = { 0 };

	if (b == NULL) {
		result->outcome = TM__OUTCOME__NO_MAILBOX;
		return;
	}
	Tm__UidResult *r = uid_result(result, b);

	decode(op->uids, &uids);
	for (uint32_t i = 0; i < uids.count; i++)
		for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++) {
			struct message_model *m = find(b, uid);

			if (m != NULL && (m->system & FLAG_DELETED) != 0)
				uidset_add(&gone, uid);
		}
	if (gone.count > 0)
		b->highest++;
	for (uint32_t i = 0; i < gone.count; i++)
		for (uint32_t uid = gone.at[i].lo; uid <= gone.at[i].hi; uid++)
			remove_uid(b, uid);
	if (gone.count > 0)
		r->uids = uidset_encode_arena(&gone, &w.arena);
	r->source_modseq = b->highest;
	uidset_free(&uids);
	uidset_free(&gone);
}

static void do_claim(const Tm__ClaimRecent *op, Tm__OpResult *result)
{
	struct box *b = box_of(op->mailbox);

	uid_result(result, b)->recent_from = b->recent_from;
	if (op->up_to > b->recent_from)
		b->recent_from = op->up_to;
}

static void mailbox_result(Tm__OpResult *result, const struct box *b)
{
	Tm__MailboxResult *r = arena_alloc(&w.arena, sizeof(*r));

	tm__mailbox_result__init(r);
	r->mailbox = b->id;
	r->uidvalidity = b->uidvalidity;
	result->what_case = TM__OP_RESULT__WHAT_MAILBOX;
	result->mailbox = r;
}

static void do_names(const Tm__Op *op, Tm__OpResult *result)
{
	struct box *b;

	if (op->what_case == TM__OP__WHAT_CREATE_MAILBOX) {
		if (box_named(op->create_mailbox->name) != NULL) {
			result->outcome = TM__OUTCOME__NAME_EXISTS;
			return;
		}
		b = box_new(op->create_mailbox->name);
		b->special_use = op->create_mailbox->special_use;
		mailbox_result(result, b);
	} else if (op->what_case == TM__OP__WHAT_DELETE_MAILBOX) {
		b = box_named(op->delete_mailbox->name);
		result->outcome = b == NULL ? TM__OUTCOME__NO_MAILBOX : TM__OUTCOME__DONE;
		if (b != NULL) {
			mailbox_result(result, b);
			hint(b);
			box_drop(b);
		}
	} else if (op->what_case == TM__OP__WHAT_RENAME_MAILBOX) {
		b = box_named(op->rename_mailbox->from);
		if (b == NULL)
			result->outcome = TM__OUTCOME__NO_MAILBOX;
		else if (strcmp(b->name, "INBOX") == 0)
			mailbox_result(result, box_new(op->rename_mailbox->to));
		else
			snprintf(b->name, sizeof(b->name), "%s", op->rename_mailbox->to);
	} else if (op->subscribe->on) {
		w.subscribed[w.subscribed_count++] = g_strdup(op->subscribe->name);
	}
}

static void do_op(const Tm__Op *op, Tm__OpResult *result)
{
	switch ((int)op->what_case) {
	case TM__OP__WHAT_STORE_FLAGS: do_store(op->store_flags, result); return;
	case TM__OP__WHAT_APPEND: do_append(op->append, result); return;
	case TM__OP__WHAT_COPY: do_copy(op->copy, result); return;
	case TM__OP__WHAT_EXPUNGE: do_expunge(op->expunge, result); return;
	case TM__OP__WHAT_CLAIM_RECENT: do_claim(op->claim_recent, result); return;
	case TM__OP__WHAT_PUT_CHUNK: return;
	default: do_names(op, result); return;
	}
}

static void answer_op(struct waiting *x)
{
	Tm__OpResult result = TM__OP_RESULT__INIT;
	void (*after)(void) = w.after_op;
	bool claim = x->op->op.what_case == TM__OP__WHAT_CLAIM_RECENT;

	if (!claim && w.fail_nth >= 0 && w.fail_nth-- == 0)
		result.outcome = w.fail_with;
	else
		do_op(&x->op->op, &result);
	w.ops_done++;
	if (after != NULL && !claim) {
		w.after_op = NULL;
		after();
	}
	x->op->outstanding = false;
	front_sink()->op_done(x->r->front, x->op, &result);
}

/* ---- reads ---- */

static void put_flags(struct box *b, const struct message_model *m, bool recent, struct buf *out)
{
	buf_puts(out, "FLAGS (");
	response_flag_names(out, m->system, NULL, 0, recent);
	for (uint32_t i = 0; i < b->name_count; i++) {
		if ((m->keywords >> i & 1) == 0)
			continue;
		if (out->at[out->bytes - 1] != '(')
			buf_putc(out, ' ');
		buf_puts(out, b->names[i]);
	}
	buf_putc(out, ')');
}

static ProtobufCBinaryData kept(struct buf *b)
{
	struct span s = arena_copy(&w.arena, buf_span(b));

	buf_free(b);
	return (ProtobufCBinaryData){ s.bytes, (uint8_t *)(uintptr_t)s.at };
}

static void add_rows(struct box *b, const Tm__Known *known, Tm__Changes *c)
{
	c->rows = arena_alloc(&w.arena, (b->count + 1) * sizeof(void *));
	for (uint32_t i = 0; i < b->count; i++) {
		const struct message_model *m = &b->at[i];
		struct buf text = { 0 };
		Tm__ChangedRow *row;

		if (m->uid >= known->uidnext || m->modseq_of <= known->seen || !known->want_rows)
			continue;
		row = arena_alloc(&w.arena, sizeof(*row));
		tm__changed_row__init(row);
		row->uid = m->uid;
		row->modseq = m->modseq_of;
		buf_printf(&text, "UID %u ", m->uid);
		put_flags(b, m, false, &text);
		row->text = kept(&text);
		c->rows[c->n_rows++] = row;
	}
}

static Tm__Changes *changes_of(struct box *b, const Tm__Known *known)
{
	Tm__Changes *c = arena_alloc(&w.arena, sizeof(*c));
	struct uidset all = { 0 }, fresh = { 0 }, gone = { 0 };

	tm__changes__init(c);
	c->highestmodseq = b->highest;
	c->uidnext = b->uidnext;
	c->exists = b->count;
	c->recent_from = b->recent_from;
	c->uidvalidity = b->uidvalidity;
	c->keywords_version = b->name_count;
	if (b->name_count != known->keywords_version || known->seen == 0) {
		c->keywords = b->names;
		c->n_keywords = b->name_count;
		c->keywords_full = b->name_count == NAMES_MAX;
	}
	for (uint32_t i = 0; i < b->count; i++) {
		const struct message_model *m = &b->at[i];

		uidset_add(&all, m->uid);
		if (m->uid >= known->uidnext)
			uidset_add(&fresh, m->uid);
		c->unseen += (m->system & FLAG_SEEN) == 0;
		if ((m->system & FLAG_SEEN) == 0 && c->first_unseen_uid == 0)
			c->first_unseen_uid = m->uid;
	}
	for (uint32_t i = 0; i < b->gone_count; i++)
		if (b->gone[i].modseq_of > known->seen)
			uidset_add(&gone, b->gone[i].uid);
	if (fresh.count > 0)
		c->new_uids = uidset_encode_arena(&fresh, &w.arena);
	if (known->seen != 0 && known->seen < b->highest) {
		c->full = known->seen < b->horizon;
		if (c->full)
			c->all_uids = uidset_encode_arena(&all, &w.arena);
		else
			c->vanished = uidset_encode_arena(&gone, &w.arena);
		add_rows(b, known, c);
	}
	uidset_free(&all);
	uidset_free(&fresh);
	uidset_free(&gone);
	return c;
}

static void vanished_of(struct box *b, const Tm__Vanished *v, Tm__ReadFrame *f)
{
	struct uidset asked = { 0 }, gone = { 0 };

	if (v->uids.len > 0)
		decode(v->uids, &asked);
	else if (b->uidnext > 1)
		uidset_add_range(&asked, 1, b->uidnext - 1);
	for (uint32_t i = 0; i < b->gone_count; i++)
		if (b->gone[i].modseq_of > v->since)
			uidset_add(&gone, b->gone[i].uid);
	uidset_intersect(&gone, &asked);
	f->has_vanished = true;
	f->vanished = uidset_encode_arena(&gone, &w.arena);
	uidset_free(&asked);
	uidset_free(&gone);
}

static Tm__FetchPiece *piece_of(struct box *b, const Tm__FetchMessages *q,
				const struct fetch_items *items, const struct message_model *m)
{
	Tm__FetchPiece *p = arena_alloc(&w.arena, sizeof(*p));
	struct buf text = { 0 };
	struct uidset recent = { 0 };

	decode(q->recent, &recent);
	tm__fetch_piece__init(p);
	p->uid = m->uid;
	p->first = p->last = true;
	if ((items->simple & FETCH_UID) != 0)
		buf_printf(&text, " UID %u", m->uid);
	if ((items->simple & FETCH_FLAGS) != 0) {
		buf_putc(&text, ' ');
		put_flags(b, m, uidset_has(&recent, m->uid), &text);
	}
	if ((items->simple & FETCH_MODSEQ) != 0 || q->with_modseq)
		buf_printf(&text, " MODSEQ (%llu)", (unsigned long long)m->modseq_of);
	for (uint32_t i = 0; i < items->part_count; i++)
		buf_printf(&text, " BODY[] {%zu}\r\n%s", strlen(m->body), m->body);
	buf_drop_front(&text, 1);
	p->text = kept(&text);
	uidset_free(&recent);
	return p;
}

/* True: that was all. */
static bool fetch_some(struct waiting *x, struct box *b, Tm__ReadFrame *f)
{
	const Tm__FetchMessages *q = x->read->read.fetch;
	struct fetch_items items = { 0 };
	struct uidset uids = { 0 };
	unsigned max = w.frame_messages > 0 ? w.frame_messages : MESSAGES_MAX;
	bool all = true;
	int rc = fetch_items_decode(bin(q->items), &w.arena, &items);

	assert(rc == 0);
	decode(q->uids, &uids);
	f->pieces = arena_alloc(&w.arena, (b->count + 1) * sizeof(void *));
	for (uint32_t i = 0; i < b->count && all; i++) {
		const struct message_model *m = &b->at[i];

		if (m->uid <= x->done_uid || !uidset_has(&uids, m->uid) ||
		    (q->has_changedsince && m->modseq_of <= q->changedsince))
			continue;
		all = f->n_pieces < max;
		if (all) {
			f->pieces[f->n_pieces++] = piece_of(b, q, &items, m);
			x->done_uid = m->uid;
		}
	}
	uidset_free(&uids);
	return all;
}

static bool holds(struct box *b, const struct search_node *n, const struct message_model *m,
		  const struct uidset *recent)
{
	struct uidset set = { 0 };
	bool yes;

	switch ((int)n->key) {
	case SEARCH_AND:
		for (const struct search_node *k = n->child; k != NULL; k = k->next)
			if (!holds(b, k, m, recent))
				return false;
		return true;
	case SEARCH_OR: return holds(b, n->child, m, recent) || holds(b, n->child->next, m, recent);
	case SEARCH_NOT: return !holds(b, n->child, m, recent);
	case SEARCH_UID:
		seq_set_resolve(&n->set, 0, &set);
		yes = uidset_has(&set, m->uid);
		uidset_free(&set);
		return yes;
	case SEARCH_FLAG: return (m->system & n->number) != 0;
	case SEARCH_MODSEQ: return m->modseq_of >= n->number;
	case SEARCH_RECENT: return uidset_has(recent, m->uid);
	case SEARCH_ALL: return true;
	default: abort();
	}
}

static void search(struct box *b, const Tm__SearchMessages *q, Tm__ReadFrame *f)
{
	Tm__SearchAnswer *a = arena_alloc(&w.arena, sizeof(*a));
	struct search_program program = { 0 };
	struct uidset view = { 0 }, recent = { 0 }, found = { 0 };
	int rc = search_program_decode(bin(q->program), &w.arena, &program);

	assert(rc == 0);
	tm__search_answer__init(a);
	decode(q->uids, &view);
	decode(q->recent, &recent);
	for (uint32_t i = 0; i < b->count; i++) {
		const struct message_model *m = &b->at[i];

		if (!uidset_has(&view, m->uid) || !holds(b, program.root, m, &recent))
			continue;
		uidset_add(&found, m->uid);
		if (a->min_modseq == 0)
			a->min_modseq = m->modseq_of;
		a->max_modseq = m->modseq_of;
		if (m->modseq_of > a->highest_modseq)
			a->highest_modseq = m->modseq_of;
	}
	a->uids = uidset_encode_arena(&found, &w.arena);
	f->search = a;
	uidset_free(&view);
	uidset_free(&recent);
	uidset_free(&found);
}

static Tm__ListedMailbox *listed(struct box *b)
{
	Tm__ListedMailbox *m = arena_alloc(&w.arena, sizeof(*m));

	tm__listed_mailbox__init(m);
	m->row = arena_alloc(&w.arena, sizeof(*m->row));
	tm__mailbox_row__init(m->row);
	m->row->id = b->id;
	m->row->name = b->name;
	m->row->uidvalidity = b->uidvalidity;
	m->row->special_use = b->special_use;
	m->counters = arena_alloc(&w.arena, sizeof(*m->counters));
	tm__counters_row__init(m->counters);
	m->counters->uidnext = b->uidnext;
	m->counters->highestmodseq = b->highest;
	m->counters->exists = b->count;
	m->counters->recent_from = b->recent_from;
	for (uint32_t i = 0; i < b->count; i++) {
		m->counters->unseen += (b->at[i].system & FLAG_SEEN) == 0;
		m->counters->bytes += strlen(b->at[i].body);
	}
	return m;
}

static void list(const Tm__ListMailboxes *q, Tm__ReadFrame *f)
{
	Tm__MailboxList *l = arena_alloc(&w.arena, sizeof(*l));

	tm__mailbox_list__init(l);
	l->mailboxes = arena_alloc(&w.arena, MAILBOXES_MAX * sizeof(void *));
	for (unsigned i = 0; i < MAILBOXES_MAX; i++)
		if (w.boxes[i].used &&
		    (q->only[0] == '\0' || strcmp(q->only, w.boxes[i].name) == 0))
			l->mailboxes[l->n_mailboxes++] = listed(&w.boxes[i]);
	l->subscriptions = w.subscribed;
	l->n_subscriptions = w.subscribed_count;
	f->list = l;
}

static void fill_frame(struct waiting *x, Tm__ReadFrame *f)
{
	const Tm__Read *r = &x->read->read;
	struct box *b = r->mailbox != 0 ? box_of(r->mailbox) : box_named(r->name);

	f->end = true;
	if (x->cancelled)
		return;
	f->outcome = w.fail_read;
	w.fail_read = TM__OUTCOME__DONE;
	if (f->outcome != TM__OUTCOME__DONE)
		return;
	if (r->what_case == TM__READ__WHAT_LIST) {
		list(r->list, f);
		return;
	}
	if (b == NULL) {
		f->outcome = TM__OUTCOME__NO_MAILBOX;
		return;
	}
	f->mailbox = b->id;
	if (!x->changes_told) {
		x->changes_told = true;
		f->changes = r->known != NULL ? changes_of(b, r->known) : NULL;
		if (r->vanished != NULL &&
		    (r->uidvalidity == 0 || r->uidvalidity == b->uidvalidity))
			vanished_of(b, r->vanished, f);
		f->end = r->what_case != TM__READ__WHAT_FETCH &&
			 r->what_case != TM__READ__WHAT_SEARCH;
		return;
	}
	if (r->what_case == TM__READ__WHAT_FETCH)
		f->end = fetch_some(x, b, f);
	else
		search(b, r->search, f);
}

/* One frame. True: it was the last. */
static bool answer_read(struct waiting *x)
{
	Tm__ReadFrame f = TM__READ_FRAME__INIT;

	fill_frame(x, &f);
	w.frames_sent++;
	if (x->credits > 0)
		x->credits--;
	if (f.end)
		x->read->outstanding = false;
	front_sink()->read_frame(x->r->front, x->read, &f);
	return f.end;
}

/* ---- running ---- */

static void push(struct waiting *x)
{
	struct waiting **at = &w.first;

	while (*at != NULL)
		at = &(*at)->next;
	*at = x;
}

static bool is_stuck(const struct waiting *x)
{
	return x->read != NULL && x->credits == 0 && !x->cancelled;
}

void fake_run(void)
{
	while (!w.hold) {
		struct waiting **at = &w.first;
		struct waiting *x;

		while (*at != NULL && is_stuck(*at))
			at = &(*at)->next;
		if (*at == NULL)
			return;
		x = *at;
		if (x->read != NULL) {
			struct read_call *c = x->read;
			bool last;

			/* It stays in line while its frame is told, for credit and cancel. */
			last = answer_read(x);
			(void)c;
			if (!last)
				continue;
			for (at = &w.first; *at != x; at = &(*at)->next)
				;
			*at = x->next;
			g_free(x);
		} else {
			*at = x->next;
			if (x->op != NULL)
				answer_op(x);
			else
				x->auth(x->data);
			g_free(x);
		}
		arena_reset(&w.arena);
	}
}

void fake_late(void)
{
	for (struct waiting *x = w.first; x != NULL; x = x->next)
		if (x->op != NULL) {
			front_sink()->op_late(x->r->front, x->op);
			return;
		}
}

/* ---- router.h ---- */

static struct waiting *waiting_new(struct router *r)
{
	struct waiting *x = g_new0(struct waiting, 1);

	x->r = r;
	x->credits = READ_CREDIT_FRAMES;
	return x;
}

void router_op(struct router *r, struct op_call *c)
{
	struct waiting *x = waiting_new(r);

	assert(!c->outstanding);
	c->outstanding = true;
	x->op = c;
	push(x);
}

void router_read(struct router *r, struct read_call *c)
{
	struct waiting *x = waiting_new(r);

	assert(!c->outstanding);
	c->outstanding = true;
	x->read = c;
	push(x);
}

static struct waiting *waiting_of(const struct read_call *c)
{
	struct waiting *x = w.first;

	while (x != NULL && x->read != c)
		x = x->next;
	assert(x != NULL);
	return x;
}

void router_read_credit(struct router *r, struct read_call *c, unsigned frames)
{
	(void)r;
	waiting_of(c)->credits += frames;
}

void router_read_cancel(struct router *r, struct read_call *c)
{
	(void)r;
	waiting_of(c)->cancelled = true;
}

void router_watch(struct router *r, const char *account, mailbox_id m, modseq known)
{
	(void)account;
	for (unsigned i = 0; i < 64; i++)
		if (w.watches[i].count > 0 && w.watches[i].r == r && w.watches[i].id == m.v) {
			w.watches[i].count++;
			return;
		}
	for (unsigned i = 0; i < 64; i++)
		if (w.watches[i].count == 0) {
			w.watches[i].r = r;
			w.watches[i].id = m.v;
			w.watches[i].known = known.v;
			w.watches[i].count = 1;
			return;
		}
}

void router_unwatch(struct router *r, const char *account, mailbox_id m)
{
	(void)account;
	for (unsigned i = 0; i < 64; i++)
		if (w.watches[i].count > 0 && w.watches[i].r == r && w.watches[i].id == m.v)
			w.watches[i].count--;
}

partition_id router_partition(const struct router *r, const char *account)
{
	(void)r;
	(void)account;
	return (partition_id){ 5 };
}

int router_owner_loop(const struct router *r, const char *account)
{
	(void)r;
	(void)account;
	return w.owner_loop;
}

/* ---- auth.h: the password is "right"; AUTHENTICATE PLAIN asks once ---- */

struct auth_attempt {
	struct auth_owner owner;
	enum auth_outcome outcome;
	bool dropped, ending;
};

static void auth_ends(void *data)
{
	struct auth_attempt *t = data;
	struct span account = span_str(t->outcome == AUTH_DONE ? "alice" : "");

	if (!t->dropped)
		t->owner.done(t->owner.data, t->outcome, account, (account_id){ 1 });
	g_free(t);
}

static void auth_end_later(struct auth_attempt *t, enum auth_outcome outcome)
{
	struct waiting *x = waiting_new(NULL);

	t->outcome = outcome;
	t->ending = true;
	x->auth = auth_ends;
	x->data = t;
	push(x);
}

void auth_put_capabilities(const struct auth *a, const struct auth_peer *p, struct buf *out)
{
	(void)a;
	(void)p;
	buf_puts(out, " AUTH=PLAIN");
}

bool auth_allows_plaintext(const struct auth *a, const struct auth_peer *p)
{
	(void)a;
	(void)p;
	return true;
}

struct auth_attempt *auth_login(struct auth *a, const struct auth_peer *p, struct span name,
				struct span password, const struct auth_owner *owner)
{
	struct auth_attempt *t = g_new0(struct auth_attempt, 1);

	(void)a;
	(void)p;
	(void)name;
	t->owner = *owner;
	auth_end_later(t, span_eq(password, span_str("right")) ? AUTH_DONE : AUTH_FAILED);
	return t;
}

struct auth_attempt *auth_start(struct auth *a, const struct auth_peer *p, struct span mechanism,
				struct span initial, const struct auth_owner *owner)
{
	struct auth_attempt *t = g_new0(struct auth_attempt, 1);

	(void)a;
	(void)p;
	t->owner = *owner;
	if (!span_is(mechanism, "PLAIN"))
		auth_end_later(t, AUTH_UNSUPPORTED);
	else if (initial.at != NULL)
		auth_end_later(t, span_is(initial, "cmlnaHQ=") ? AUTH_DONE : AUTH_FAILED);
	else
		owner->challenge(owner->data, span_str(""));
	return t;
}

void auth_respond(struct auth_attempt *t, struct span line)
{
	if (span_is(line, "*"))
		auth_end_later(t, AUTH_CANCELLED);
	else
		auth_end_later(t, span_is(line, "cmlnaHQ=") ? AUTH_DONE : AUTH_FAILED);
}

void auth_drop(struct auth_attempt **t)
{
	if (*t == NULL)
		return;
	(*t)->dropped = true;
	if (!(*t)->ending)
		g_free(*t);
	*t = NULL;
}

/* ---- server/mail/decode.h: what SEARCH asks; no GMime is needed for that ---- */

bool decode_charset_known(struct span charset)
{
	return span_is(charset, "UTF-8") || span_is(charset, "US-ASCII");
}
