#include "replication/janitor.h"

#include "replication/node.h"
#include "replication/owner.h"
#include "replication/upload_table.h"
#include "storage/base/clock.h"
#include "storage/base/crash_point.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"
#include "storage/base/workpool.h"
#include "storage/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = JANITOR_PURGES_MAX + 2, SPREAD = 64 };

struct purge {
	account_id account;
	mailbox_id mailbox;
	uint32_t up_to; /* as in MailboxPurged */
};

/* One look at state/, on a loader. Own memory, because it outlives no loop but may outlive a round
 * that nobody wants any more. */
struct search {
	struct job job;
	struct message message;

	/* Fixed. */
	struct janitor *janitor;
	partition_id partition;
	struct store *store;
	int64_t bodies_before, results_before; /* unix seconds */
	bool look_at_results;

	/* The loader's, then the loop's. */
	int result;
	bool more, more_results; /* there is more than fits one round */
	uint64_t chunks;
	size_t body_count, result_count, purge_count;
	guid bodies[JANITOR_BODIES_MAX];
	client_id clients[JANITOR_RESULTS_MAX];
	uint64_t numbers[JANITOR_RESULTS_MAX];
	struct purge purges[JANITOR_PURGES_MAX];
};

struct janitor {
	struct partition *partition;
	const struct janitor_options *options;
	struct search *searching; /* a loader has it */
	struct search *found;     /* waits for evaluation */
	bool at_once;             /* the last round was full */
	log_seq last;             /* of our newest record */
	uint64_t next_ms;         /* 0: not set yet */
	uint64_t next_results_ms;
};

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value == 0 ? fallback : value;
}

uint32_t janitor_body_seconds(const struct janitor_options *o)
{
	return or_default(o->body_seconds, BODY_COLLECT_SECONDS);
}

struct janitor *janitor_new(struct partition *p, const struct janitor_options *o)
{
	struct janitor *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	j->partition = p;
	j->options = o;
	return j;
}

void janitor_free(struct janitor **j)
{
	if (*j == NULL)
		return;
	assert((*j)->searching == NULL);
	free((*j)->found);
	free(*j);
	*j = NULL;
}

/* ---- on the loader thread ---- */

static int found_body(void *data, guid g, const struct candidate_row *row)
{
	struct search *s = data;

	if (s->body_count == JANITOR_BODIES_MAX || s->chunks >= JANITOR_CHUNKS_MAX) {
		s->more = true;
		return 1;
	}
	s->chunks += row->chunks + row->shape_chunks;
	s->bodies[s->body_count++] = g;
	return OK;
}

static int found_result(void *data, client_id c, const Tm__DedupRow *row)
{
	struct search *s = data;

	if (row->when >= s->results_before)
		return OK;
	if (s->result_count == JANITOR_RESULTS_MAX) {
		s->more_results = true;
		return 1;
	}
	s->clients[s->result_count] = c;
	s->numbers[s->result_count++] = row->number;
	return OK;
}

static int found_purge(void *data, account_id a, mailbox_id m)
{
	struct search *s = data;

	if (s->purge_count == JANITOR_PURGES_MAX) {
		s->more = true;
		return 1;
	}
	s->purges[s->purge_count++] = (struct purge){ a, m, 0 };
	return OK;
}

/* A large mailbox goes in slices. */
static int cut_slices(struct search *s, struct store_snapshot *snapshot)
{
	for (size_t i = 0; i < s->purge_count; i++) {
		msg_uid uid;
		int rc = store_nth_uid(snapshot, s->partition, s->purges[i].mailbox,
				       JANITOR_PURGE_MESSAGES + 1, &uid);

		if (rc == OK) {
			s->purges[i].up_to = uid.v;
			s->more = true;
		} else if (rc != ERR_NOT_FOUND) {
			return rc;
		}
	}
	return OK;
}

static int look(struct search *s)
{
	struct store_snapshot *snapshot = NULL;
	struct arena a;
	int rc = store_snapshot_open(s->store, &snapshot);

	arena_init(&a);
	if (rc == OK)
		rc = store_candidates(snapshot, s->partition, s->bodies_before,
				      JANITOR_BODIES_MAX + 1, found_body, s);
	if (rc == OK)
		rc = store_purges(snapshot, s->partition, found_purge, s);
	if (rc == OK)
		rc = cut_slices(s, snapshot);
	if (rc == OK && s->look_at_results)
		rc = store_dedups(snapshot, s->partition, &a, found_result, s);
	arena_free(&a);
	store_snapshot_close(&snapshot);
	return rc;
}

static void run(struct job *job, unsigned worker)
{
	struct search *s = (struct search *)job;

	(void)worker;
	s->result = look(s);
	inbox_force_one(loop_inbox(s->janitor->partition->owner->loop), &s->message);
}

/* ---- back on the loop ---- */

static struct search *search_of(struct message *m)
{
	return (struct search *)((char *)m - offsetof(struct search, message));
}

static void give_up(struct search *s)
{
	s->janitor->searching = NULL;
	free(s);
}

static void drop_message(struct message *m)
{
	give_up(search_of(m));
}

static void drop_job(struct job *job)
{
	give_up((struct search *)job);
}

static void deliver(struct message *m, void *receiver)
{
	struct search *s = search_of(m);
	struct janitor *j = s->janitor;
	struct partition *p = j->partition;

	(void)receiver;
	j->searching = NULL;
	if (s->result == ERR_CORRUPT)
		partition_stop(p, "looking for what may go", s->result);
	else if (s->result != OK)
		log_warn("what may go cannot be looked for; trying again later",
			 LOG_PARTITION(p->id), LOG_ERR(s->result));
	if (s->result != OK || s->body_count + s->result_count + s->purge_count == 0) {
		free(s);
		return;
	}
	j->found = s;
	owner_ready(p->owner, p);
}

/* ---- evaluation ---- */

static void *alloc(struct arena *a, size_t count, size_t bytes)
{
	return arena_alloc(a, (count + 1) * bytes);
}

static ProtobufCBinaryData copy(struct arena *a, const void *at, size_t bytes)
{
	ProtobufCBinaryData d = { bytes, arena_alloc(a, bytes) };

	memcpy(d.data, at, bytes);
	return d;
}

static Tm__Record *new_record(struct arena *a, Tm__Record__WhatCase what, void *body)
{
	Tm__Record *r = arena_alloc(a, sizeof(*r));

	tm__record__init(r);
	r->what_case = what;
	r->chunk_stored = body; /* a union of pointers */
	return r;
}

/* J1 */
static Tm__Record *evaluate_bodies(const struct partition *p, struct search *s, struct arena *a)
{
	Tm__BodiesCollected *r = arena_alloc(a, sizeof(*r));

	tm__bodies_collected__init(r);
	r->guids = alloc(a, s->body_count, sizeof(*r->guids));
	for (size_t i = 0; i < s->body_count; i++) {
		const guid *g = &s->bodies[i];

		if (upload_table_has(p->uploads, *g))
			continue;
		r->guids[r->n_guids++] = copy(a, g->b, sizeof(g->b));
	}
	return r->n_guids == 0 ? NULL : new_record(a, TM__RECORD__WHAT_BODIES_COLLECTED, r);
}

/* J2 */
static bool result_is_unchanged(const struct partition *p, client_id c, uint64_t number)
{
	struct span result;

	switch (dedup_look(p->dedup, c, number, &result)) {
	case DEDUP_UNKNOWN:
	case DEDUP_SAME:
	case DEDUP_WITHDRAWN: return true;
	case DEDUP_NEWER: /* it knows less than the row says: leave it alone */
	case DEDUP_OLDER: return false;
	}
	return false;
}

static Tm__Record *evaluate_results(const struct partition *p, struct search *s, struct arena *a)
{
	Tm__DedupExpired *r = arena_alloc(a, sizeof(*r));

	tm__dedup_expired__init(r);
	r->clients = alloc(a, s->result_count, sizeof(*r->clients));
	r->numbers = alloc(a, s->result_count, sizeof(*r->numbers));
	for (size_t i = 0; i < s->result_count; i++) {
		const client_id *c = &s->clients[i];

		if (!result_is_unchanged(p, *c, s->numbers[i]))
			continue;
		r->clients[r->n_clients++] = copy(a, c->b, sizeof(c->b));
		r->numbers[r->n_numbers++] = s->numbers[i];
	}
	return r->n_clients == 0 ? NULL : new_record(a, TM__RECORD__WHAT_DEDUP_EXPIRED, r);
}

/* J3 */
static Tm__Record *evaluate_purge(const struct purge *from, struct arena *a)
{
	Tm__MailboxPurged *r = arena_alloc(a, sizeof(*r));

	tm__mailbox_purged__init(r);
	r->account = from->account.v;
	r->mailbox = from->mailbox.v;
	r->up_to = from->up_to;
	return new_record(a, TM__RECORD__WHAT_MAILBOX_PURGED, r);
}

bool janitor_waits(const struct janitor *j)
{
	return j->found != NULL;
}

Tm__Change *janitor_evaluate(struct janitor *j, struct arena *a)
{
	struct search *s = j->found;
	Tm__Change *c = arena_alloc(a, sizeof(*c));
	Tm__Record *r;

	tm__change__init(c);
	c->records = alloc(a, RECORDS_MAX, sizeof(*c->records));
	if ((r = evaluate_bodies(j->partition, s, a)) != NULL)
		c->records[c->n_records++] = r;
	if ((r = evaluate_results(j->partition, s, a)) != NULL)
		c->records[c->n_records++] = r;
	for (size_t i = 0; i < s->purge_count; i++)
		c->records[c->n_records++] = evaluate_purge(&s->purges[i], a);
	j->at_once = (s->more || s->more_results) && c->n_records > 0;
	if (s->more_results)
		j->next_results_ms = 0;
	j->found = NULL;
	free(s);
	CRASH_POINT("janitor.evaluated");
	return c->n_records == 0 ? NULL : c;
}

void janitor_proposed(struct janitor *j, log_seq seq)
{
	j->last = seq;
}

/* ---- rounds ---- */

static void begin(struct janitor *j, uint64_t now_ms)
{
	struct partition *p = j->partition;
	const struct janitor_options *o = j->options;
	struct search *s = calloc(1, sizeof(*s));
	int64_t now = clock_real_seconds();

	if (s == NULL)
		abort();
	s->job.run = run;
	s->job.drop = drop_job;
	s->message.deliver = deliver;
	s->message.drop = drop_message;
	s->janitor = j;
	s->partition = p->id;
	s->store = p->owner->node->db->store;
	s->bodies_before = now - janitor_body_seconds(o);
	s->results_before = now - or_default(o->dedup_seconds, DEDUP_KEEP_SECONDS);
	s->look_at_results = now_ms >= j->next_results_ms;
	if (workpool_offer(p->owner->node->loaders, &s->job) != OK) {
		free(s); /* a full pool: with the next tick */
		return;
	}
	j->searching = s;
	j->at_once = false;
	j->next_ms = now_ms + or_default(o->interval_ms, JANITOR_INTERVAL_MILLISECONDS);
	if (s->look_at_results)
		j->next_results_ms = now_ms + or_default(o->dedup_interval_ms,
							 JANITOR_RESULTS_INTERVAL_MILLISECONDS);
}

void janitor_tick(struct janitor *j, uint64_t now_ms)
{
	uint32_t interval_ms = or_default(j->options->interval_ms, JANITOR_INTERVAL_MILLISECONDS);

	if (j->next_ms == 0) /* not all partitions at the same moment */
		j->next_ms = now_ms + interval_ms / SPREAD * (1 + j->partition->id.v % SPREAD);
	if (j->searching != NULL || j->found != NULL)
		return;
	/* The rows of the last round would be found again. */
	if (atomic_load(&j->partition->flush.flushed_seq) < j->last.v)
		return;
	if (j->at_once || now_ms >= j->next_ms)
		begin(j, now_ms);
}
