#include "replication/load.h"

#include "replication/apply.h"
#include "replication/node.h"
#include "replication/owner.h"
#include "storage/base/clock.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"
#include "storage/base/mistakes.h"
#include "storage/base/workpool.h"
#include "storage/store.h"

#include <assert.h>

enum load_kind { LOAD_ACCOUNT, LOAD_MAILBOX, LOAD_DEDUP };

struct load {
	struct job job;         /* to the readers */
	struct message message; /* back to the loop */

	/* Fixed. */
	enum load_kind kind;
	struct partition *partition; /* outlives its loads */
	struct store *store;
	char *account;
	mailbox_id mailbox;
	uint32_t uidvalidity;
	struct mailbox_counters counters; /* as known when it was asked for: horizon and the like */
	client_id client;
	uint64_t hold; /* pending above it is kept */

	/* The reader's, then the loop's. */
	int result;
	struct arena arena;
	struct log_pos applied; /* C of the snapshot */
	struct stored_account stored;
	struct mailbox_pages *pages;
	struct vanished *vanished;
	struct mailbox_pages **keywords; /* one per mailbox of the account: keyword names */
	Tm__DedupRow dedup;

	struct load *next; /* of the partition */
};

/* ---- on the reader thread ---- */

static int load_keyword(void *data, uint16_t slot, struct span name)
{
	return pages_set_keyword(data, slot, name);
}

static int read_keywords(struct load *l, struct store_snapshot *s)
{
	int rc = OK;
	size_t n = l->stored.mailbox_count;

	l->keywords = arena_zalloc(&l->arena, (n + 1) * sizeof(struct mailbox_pages *));
	for (size_t i = 0; rc == OK && i < n; i++) {
		const Tm__MailboxRow *row = l->stored.mailboxes[i].row;

		l->keywords[i] = pages_new((mailbox_id){ row->id }, row->uidvalidity);
		if (l->stored.mailboxes[i].counters->keywords_version > 0)
			rc = store_keywords(s, l->partition->id, (mailbox_id){ row->id },
					    load_keyword, l->keywords[i]);
	}
	return rc;
}

static int read_account(struct load *l, struct store_snapshot *s)
{
	int rc = store_account(s, l->partition->id, span_str(l->account), &l->arena, &l->stored);

	return rc == OK ? read_keywords(l, s) : rc;
}

static int load_message(void *data, const struct flags_row *row)
{
	struct load *l = data;
	struct flag_set set = { row->system, row->count, row->slots };
	uint32_t number;

	int rc = pages_intern(l->pages, set, &number);
	return rc == OK ? pages_append(l->pages, row->uid, number, row->modseq, row->size) : rc;
}

static int load_vanished(void *data, modseq q, struct span uids)
{
	struct load *l = data;

	return vanished_add(l->vanished, q.v, uids);
}

static int read_mailbox(struct load *l, struct store_snapshot *s)
{
	partition_id p = l->partition->id;

	l->pages = pages_new(l->mailbox, l->uidvalidity);
	l->vanished = vanished_new(l->counters.horizon);
	int rc = store_keywords(s, p, l->mailbox, load_keyword, l->pages);
	if (rc == OK)
		rc = store_flags(s, p, l->mailbox, load_message, l);
	if (rc == OK)
		rc = store_vanished(s, p, l->mailbox, (modseq){ l->counters.horizon },
				    load_vanished, l);
	return rc;
}

static int read_rows(struct load *l)
{
	struct store_snapshot *s = NULL;
	int rc = store_snapshot_open(l->store, &s);

	if (rc == OK)
		rc = store_applied(s, l->partition->id, &l->applied);
	if (rc == OK) {
		switch (l->kind) {
		case LOAD_ACCOUNT: rc = read_account(l, s); break;
		case LOAD_MAILBOX: rc = read_mailbox(l, s); break;
		case LOAD_DEDUP:
			rc = store_dedup(s, l->partition->id, l->client, &l->arena, &l->dedup);
			break;
		}
	}
	store_snapshot_close(&s);
	return rc;
}

static void run(struct job *j, unsigned worker)
{
	struct load *l = (struct load *)j;

	(void)worker;
	l->result = read_rows(l);
	inbox_force_one(loop_inbox(l->partition->owner->loop), &l->message);
}

/* ---- back on the loop ---- */

static void load_free(struct load *l)
{
	for (size_t i = 0; l->keywords != NULL && i < l->stored.mailbox_count; i++)
		pages_drop(&l->keywords[i]);
	pages_drop(&l->pages);
	vanished_free(&l->vanished);
	arena_free(&l->arena);
	g_free(l->account);
	g_free(l);
}

/* S4: what was applied after C and is not in the rows that were read. */
static int replay_pending(struct load *l, int (*fn)(void *target, const Tm__Record *r),
			  void *target)
{
	int rc = OK;
	struct arena a;

	if (mistake_active("load-misses-changes"))
		return OK;
	arena_init(&a);
	for (GList *at = l->partition->pending.head; rc == OK && at != NULL; at = at->next) {
		const struct log_entry *e = at->data;
		Tm__LogEntry *decoded;

		if (e->seq.v <= l->applied.seq.v)
			continue;
		rc = log_entry_decode(e, &a, &decoded);
		for (size_t i = 0; rc == OK && i < decoded->n_changes; i++)
			for (size_t k = 0; rc == OK && k < decoded->changes[i]->n_records; k++)
				rc = fn(target, decoded->changes[i]->records[k]);
		arena_reset(&a);
	}
	arena_free(&a);
	return rc;
}

static int account_record(void *target, const Tm__Record *r)
{
	return apply_loaded_account(target, r);
}

static int mailbox_record(void *target, const Tm__Record *r)
{
	return apply_loaded_mailbox(target, r);
}

static void take_rows(struct load *l, struct account *a)
{
	account_set_row(a, l->stored.row);
	if (l->stored.usage != NULL)
		a->usage = (struct usage){ l->stored.usage->bytes, l->stored.usage->messages,
					   l->stored.usage->listseq };
	for (size_t i = 0; i < l->stored.mailbox_count; i++) {
		struct mailbox *m = account_add_mailbox(a, l->stored.mailboxes[i].row,
							l->stored.mailboxes[i].counters);
		struct mailbox_counters c = m->pages->counters;

		pages_drop(&m->pages);
		m->pages = l->keywords[i];
		m->pages->counters = c;
		l->keywords[i] = NULL;
	}
	for (size_t i = 0; i < l->stored.subscription_count; i++)
		account_subscribe(a, l->stored.subscriptions[i].at, true);
	for (size_t i = 0; i < l->stored.tombstone_count; i++)
		account_set_tombstone(a, l->stored.tombstones[i].name.at,
				      l->stored.tombstones[i].uidvalidity);
}

static int publish_account(struct load *l)
{
	struct account *a = partition_find_account(l->partition, l->account);

	if (a == NULL || a->state != ACCOUNT_LOADING)
		return OK;
	if (l->result == OK)
		take_rows(l, a);
	else if (l->result == ERR_NOT_FOUND)
		account_set_absent(a);
	else
		return l->result;

	int rc = replay_pending(l, account_record, a);
	partition_index_account(l->partition, a);
	return rc;
}

static int publish_mailbox(struct load *l)
{
	struct account *a = partition_find_account(l->partition, l->account);
	struct mailbox *m = a == NULL ? NULL : account_mailbox(a, l->mailbox);

	if (m == NULL)
		return OK; /* deleted, or forgotten, meanwhile */
	m->loading = false;
	if (l->result != OK)
		return l->result;
	if (m->loaded)
		return OK;
	struct mailbox_counters c = m->pages->counters;

	l->pages->uidvalidity = m->uidvalidity;
	mailbox_set_loaded(m, &l->pages, &l->vanished);
	int rc = replay_pending(l, mailbox_record, m);
	m->pages->counters = c; /* of the account: up to date all the time */
	/* The horizon may have moved before the snapshot, but after it was asked for. */
	vanished_prune(m->vanished, c.horizon);
	ring_free(&m->ring);
	m->ring = ring_new(c.highestmodseq);
	if (rc == OK && pages_exists(m->pages) != c.exists)
		rc = ERR_CORRUPT;
	return rc;
}

static int publish_dedup(struct load *l)
{
	int64_t now = clock_real_seconds();

	if (l->result == OK)
		dedup_put(l->partition->dedup, l->client, l->dedup.number,
			  span_of(l->dedup.result.data, l->dedup.result.len), l->dedup.withdrawn,
			  now);
	else if (l->result == ERR_NOT_FOUND)
		dedup_put_none(l->partition->dedup, l->client, now);
	else
		return l->result;
	return OK;
}

static void unlink_load(struct load *l)
{
	struct load **at = &l->partition->loads;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
}

static void deliver(struct message *message, void *receiver)
{
	struct load *l = (struct load *)((char *)message - offsetof(struct load, message));
	struct partition *p = l->partition;
	int rc = OK;

	(void)receiver;
	switch (l->kind) {
	case LOAD_ACCOUNT: rc = publish_account(l); break;
	case LOAD_MAILBOX: rc = publish_mailbox(l); break;
	case LOAD_DEDUP: rc = publish_dedup(l); break;
	}
	if (rc != OK)
		partition_stop(p, "loading rows", rc);
	unlink_load(l);
	load_free(l);
	partition_on_loaded(p);
}

/* ---- asking ---- */

static void drop(struct message *message)
{
	struct load *l = (struct load *)((char *)message - offsetof(struct load, message));

	unlink_load(l);
	load_free(l);
}

static void drop_job(struct job *job)
{
	drop(&((struct load *)job)->message);
}

static struct load *load_new(struct partition *p, enum load_kind kind)
{
	struct load *l = g_new0(struct load, 1);

	l->job.run = run;
	l->job.drop = drop_job;
	l->message.deliver = deliver;
	l->message.drop = drop;
	l->kind = kind;
	l->partition = p;
	l->store = p->owner->node->db->store;
	l->hold = atomic_load(&p->flush.flushed_seq);
	arena_init(&l->arena);
	l->next = p->loads;
	p->loads = l;
	return l;
}

/* A full pool is no reason to fail: what is parked asks again with the next load or tick. */
static bool offer(struct load *l)
{
	if (workpool_offer(l->partition->owner->node->loaders, &l->job) == OK)
		return true;
	unlink_load(l);
	load_free(l);
	return false;
}

void load_account(struct partition *p, struct account *a)
{
	for (const struct load *l = p->loads; l != NULL; l = l->next)
		if (l->kind == LOAD_ACCOUNT && strcmp(l->account, a->name) == 0)
			return;
	struct load *l = load_new(p, LOAD_ACCOUNT);

	l->account = g_strdup(a->name);
	offer(l);
}

void load_mailbox(struct partition *p, struct mailbox *m)
{
	if (m->loading)
		return;
	struct load *l = load_new(p, LOAD_MAILBOX);

	l->account = g_strdup(m->account->name);
	l->mailbox = m->id;
	l->uidvalidity = m->uidvalidity;
	l->counters = m->pages->counters;
	m->loading = offer(l);
}

void load_dedup(struct partition *p, client_id c)
{
	for (const struct load *l = p->loads; l != NULL; l = l->next)
		if (l->kind == LOAD_DEDUP && client_id_eq(l->client, c))
			return;
	struct load *l = load_new(p, LOAD_DEDUP);

	l->client = c;
	offer(l);
}

uint64_t load_lowest_hold(const struct partition *p, uint64_t flushed)
{
	for (const struct load *l = p->loads; l != NULL; l = l->next)
		if (l->hold < flushed)
			flushed = l->hold;
	return flushed;
}
