#include "tests/sim/lib/sim_model.h"

#include "storage/base/flag_bits.h"
#include "storage/base/uidset.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct sim_answered {
	struct sim_answered *next;
	struct sim_ask ask;
	Tm__OpResult *result; /* malloc'ed by protobuf-c */
};

void sim_model_init(struct sim_model *m)
{
	*m = (struct sim_model){ 0 };
	for (unsigned i = 0; i < SIM_MAILBOXES; i++) {
		m->mailboxes[i].uidnext = 1;
		m->mailboxes[i].highest = 1;
	}
}

static void answered_free(struct sim_answered *a)
{
	tm__op_result__free_unpacked(a->result, NULL);
	free(a);
}

void sim_model_free(struct sim_model *m)
{
	while (m->answered != NULL) {
		struct sim_answered *a = m->answered;

		m->answered = a->next;
		answered_free(a);
	}
	for (unsigned i = 0; i < SIM_MAILBOXES; i++)
		free(m->mailboxes[i].messages);
}

void sim_model_answered(struct sim_model *m, const struct sim_ask *ask, const Tm__OpResult *r)
{
	struct sim_answered *a = calloc(1, sizeof(*a));
	size_t bytes = tm__op_result__get_packed_size(r);
	uint8_t *packed = malloc(bytes + 1);

	if (a == NULL || packed == NULL)
		abort();
	tm__op_result__pack(r, packed);
	a->result = tm__op_result__unpack(NULL, bytes, packed);
	assert(a->result != NULL);
	free(packed);
	a->ask = *ask;
	a->next = m->answered;
	m->answered = a;
	m->pending++;
}

bool sim_model_wrong(struct sim_model *m, const char *fmt, ...)
{
	va_list args;

	if (m->why[0] != '\0')
		return false; /* the first one is the one */
	va_start(args, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, args);
	va_end(args);
	return false;
}

/* ---- bodies ---- */

size_t sim_body_bytes(uint64_t body)
{
	return 20 + (size_t)(body % 37);
}

void sim_body_text(uint64_t body, char *out)
{
	size_t n = sim_body_bytes(body);

	for (size_t i = 0; i < n; i++)
		out[i] = (char)('a' + (body * 7 + i) % 26);
}

guid sim_body_guid(uint64_t body)
{
	guid g = { { 0 } };

	for (int i = 0; i < 8; i++) {
		g.b[i] = (uint8_t)(body * 0x9e3779b97f4a7c15u >> (8 * i));
		g.b[8 + i] = (uint8_t)(body >> (8 * i));
	}
	return g;
}

const char *sim_keyword(unsigned i)
{
	static const char *const names[SIM_KEYWORDS] = { "$Work", "urgent", "Later" };

	return names[i];
}

/* ---- messages ---- */

static struct sim_message *find(struct sim_mailbox *b, uint32_t uid)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->messages[i].uid == uid)
			return &b->messages[i];
	return NULL;
}

static void add(struct sim_mailbox *b, struct sim_message m)
{
	if (b->count == b->capacity) {
		b->capacity = b->capacity == 0 ? 32 : 2 * b->capacity;
		b->messages = realloc(b->messages, b->capacity * sizeof(m));
		if (b->messages == NULL)
			abort();
	}
	b->messages[b->count++] = m;
}

static void take_out(struct sim_mailbox *b, const struct uidset *uids)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->count; i++)
		if (!uidset_has(uids, b->messages[i].uid))
			b->messages[kept++] = b->messages[i];
	b->count = kept;
}

static bool same_set(ProtobufCBinaryData encoded, const struct uidset *want)
{
	struct uidset got = { 0 };
	int rc = uidset_decode(span_of(encoded.data, encoded.len), UINT32_MAX, &got);
	bool same = rc == 0 && uidset_eq(&got, want);

	uidset_free(&got);
	return same;
}

/* ---- where an op stands ---- */

/* The modseq that it made in its (first) mailbox; 0: it changed nothing. */
static uint64_t made(const struct sim_answered *a)
{
	const Tm__OpResult *r = a->result;

	if (r->outcome != TM__OUTCOME__DONE)
		return 0;
	switch (a->ask.kind) {
	case SIM_APPEND: return r->uids->modseq;
	case SIM_STORE: return r->store->modseq;
	case SIM_EXPUNGE: return r->uids->uids.len == 0 ? 0 : r->uids->source_modseq;
	case SIM_MOVE: return r->uids->first_uid == 0 ? 0 : r->uids->source_modseq;
	}
	return 0;
}

static bool is_next(const struct sim_model *m, const struct sim_answered *a)
{
	const struct sim_mailbox *b = &m->mailboxes[a->ask.mailbox];
	uint64_t q = made(a);

	if (q == 0) {
		/* A store says before which change it looked; the others may have been anywhere. */
		bool placed = a->ask.kind == SIM_STORE &&
			      a->result->what_case == TM__OP_RESULT__WHAT_STORE;
		return !placed || a->result->store->before == b->highest;
	}
	if (q != b->highest + 1)
		return false;
	return a->ask.kind != SIM_MOVE ||
	       a->result->uids->modseq == m->mailboxes[1 - a->ask.mailbox].highest + 1;
}

/* ---- what it must have done ---- */

static bool apply_append(struct sim_model *m, const struct sim_answered *a)
{
	struct sim_mailbox *b = &m->mailboxes[a->ask.mailbox];
	const Tm__UidResult *r = a->result->uids;

	if (r->first_uid != b->uidnext)
		return sim_model_wrong(m, "append got uid %u, not %u", r->first_uid, b->uidnext);
	b->highest = r->modseq;
	add(b, (struct sim_message){ b->uidnext++, b->highest, a->ask.system, a->ask.keywords,
				     a->ask.body });
	return true;
}

struct stored {
	struct uidset changed, failed, missing;
};

static void store_one(struct sim_message *msg, const struct sim_ask *ask, uint64_t q,
		      struct stored *s)
{
	struct sim_message after = *msg;

	if (ask->conditional && msg->modseq > ask->unchangedsince) {
		uidset_add(&s->failed, msg->uid);
		return;
	}
	if (ask->mode == TM__STORE_MODE__REPLACE) {
		after.system = ask->system;
		after.keywords = ask->keywords;
	} else if (ask->mode == TM__STORE_MODE__ADD) {
		after.system |= ask->system;
		after.keywords |= ask->keywords;
	} else {
		after.system &= ~ask->system;
		after.keywords &= ~ask->keywords;
	}
	if (after.system == msg->system && after.keywords == msg->keywords)
		return;
	after.modseq = q;
	*msg = after;
	uidset_add(&s->changed, msg->uid);
}

static bool groups_are(Tm__ResultFlags *const *groups, size_t count, const struct uidset *want)
{
	struct uidset all = { 0 };
	bool same = true;

	for (size_t i = 0; i < count; i++) {
		struct uidset one = { 0 };

		same = same && uidset_decode(span_of(groups[i]->uids.data, groups[i]->uids.len),
					     UINT32_MAX, &one) == 0;
		uidset_union(&all, &one);
		uidset_free(&one);
	}
	same = same && uidset_eq(&all, want);
	uidset_free(&all);
	return same;
}

static bool apply_store(struct sim_model *m, const struct sim_answered *a)
{
	struct sim_mailbox *b = &m->mailboxes[a->ask.mailbox];
	const Tm__StoreResult *r = a->result->store;
	struct stored s = { 0 };
	bool ok = true;

	for (uint32_t uid = a->ask.lo; uid <= a->ask.hi; uid++) {
		struct sim_message *msg = find(b, uid);

		if (msg == NULL)
			uidset_add(&s.missing, uid);
		else
			store_one(msg, &a->ask, b->highest + 1, &s);
	}
	if ((r->modseq != 0) != (s.changed.count > 0))
		ok = sim_model_wrong(m, "store at %llu: changed something or not?",
				     (unsigned long long)r->before);
	if (ok && r->before != b->highest)
		ok = sim_model_wrong(m, "store says it came after %llu, not %llu",
				     (unsigned long long)r->before, (unsigned long long)b->highest);
	if (ok &&
	    (!groups_are(r->changed, r->n_changed, &s.changed) ||
	     !groups_are(r->failed, r->n_failed, &s.failed) || !same_set(r->missing, &s.missing)))
		ok = sim_model_wrong(m, "store at %llu: other messages passed or failed",
				     (unsigned long long)r->before);
	if (s.changed.count > 0)
		b->highest++;
	uidset_free(&s.changed);
	uidset_free(&s.failed);
	uidset_free(&s.missing);
	return ok;
}

static bool apply_expunge(struct sim_model *m, const struct sim_answered *a)
{
	struct sim_mailbox *b = &m->mailboxes[a->ask.mailbox];
	struct uidset want = { 0 };
	bool ok = true;

	for (size_t i = 0; i < b->count; i++) {
		const struct sim_message *msg = &b->messages[i];

		if (msg->uid >= a->ask.lo && msg->uid <= a->ask.hi &&
		    (!a->ask.only_deleted || (msg->system & FLAG_DELETED) != 0))
			uidset_add(&want, msg->uid);
	}
	if (!same_set(a->result->uids->uids, &want))
		ok = sim_model_wrong(m, "expunge %llu took other messages",
				     (unsigned long long)a->result->uids->source_modseq);
	take_out(b, &want);
	b->highest++;
	uidset_free(&want);
	return ok;
}

static bool apply_move(struct sim_model *m, const struct sim_answered *a)
{
	struct sim_mailbox *from = &m->mailboxes[a->ask.mailbox];
	struct sim_mailbox *to = &m->mailboxes[1 - a->ask.mailbox];
	const Tm__UidResult *r = a->result->uids;
	struct uidset want = { 0 };
	bool ok = true;

	uidset_add_range(&want, a->ask.lo, a->ask.hi);
	if (r->first_uid != to->uidnext || !same_set(r->uids, &want))
		ok = sim_model_wrong(m, "move gave uid %u, not %u", r->first_uid, to->uidnext);
	to->highest++;
	for (uint32_t uid = a->ask.lo; ok && uid <= a->ask.hi; uid++) {
		const struct sim_message *msg = find(from, uid);

		if (msg == NULL) {
			ok = sim_model_wrong(m, "move took uid %u, which was gone", uid);
			break;
		}
		struct sim_message copy = *msg;
		copy.uid = to->uidnext++;
		copy.modseq = to->highest;
		add(to, copy);
	}
	take_out(from, &want);
	from->highest++;
	uidset_free(&want);
	return ok;
}

static bool apply(struct sim_model *m, const struct sim_answered *a)
{
	bool store = a->result->what_case == TM__OP_RESULT__WHAT_STORE;

	m->ops++;
	if (made(a) == 0)
		return a->ask.kind == SIM_STORE && store ? apply_store(m, a) : true;
	switch (a->ask.kind) {
	case SIM_APPEND: return apply_append(m, a);
	case SIM_STORE: return apply_store(m, a);
	case SIM_EXPUNGE: return apply_expunge(m, a);
	case SIM_MOVE: return apply_move(m, a);
	}
	return false;
}

/* The next op in its place, those that changed nothing first; NULL: none fits. */
static struct sim_answered *take_next(struct sim_model *m)
{
	struct sim_answered **best = NULL;

	for (struct sim_answered **at = &m->answered; *at != NULL; at = &(*at)->next)
		if (is_next(m, *at) && (best == NULL || made(*at) == 0))
			best = at;
	if (best == NULL)
		return NULL;
	struct sim_answered *a = *best;
	*best = a->next;
	m->pending--;
	return a;
}

/* The one that comes next, if it had a place: it tells most. */
static bool no_place(struct sim_model *m)
{
	const struct sim_answered *first = m->answered;

	for (const struct sim_answered *a = m->answered; a != NULL; a = a->next)
		if (made(a) < made(first))
			first = a;
	return sim_model_wrong(
		m,
		"%zu answered ops have no place; one of kind %d (outcome %d) made %llu in mailbox "
		"%u, which is at %llu (the other at %llu); before %llu",
		m->pending, (int)first->ask.kind, (int)first->result->outcome,
		(unsigned long long)made(first), first->ask.mailbox,
		(unsigned long long)m->mailboxes[first->ask.mailbox].highest,
		(unsigned long long)m->mailboxes[1 - first->ask.mailbox].highest,
		first->result->what_case == TM__OP_RESULT__WHAT_STORE
			? (unsigned long long)first->result->store->before
			: 0);
}

bool sim_model_settle(struct sim_model *m)
{
	struct sim_answered *a;
	bool ok = true;

	while (ok && (a = take_next(m)) != NULL) {
		ok = apply(m, a);
		answered_free(a);
	}
	return ok && m->answered != NULL ? no_place(m) : ok;
}
