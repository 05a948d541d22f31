/* Records become rows, and rows are read: cut, overlay, young, flusher and store over a real
 * RocksDB. */
#include "tests/unit/storage_fixture.h"
#include "tests/unit/storage_records.h"

#include "storage/base/crash_point.h"
#include "storage/cut.h"
#include "storage/db.h"
#include "storage/flusher.h"
#include "storage/store.h"
#include "storage/young.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { PARTITIONS = 2, INBOX = 1, OTHER = 2 };
#define CHILD_VARIABLE "TIDEMARK_TEST_CHILD_DIR"

struct node {
	struct fixture_dir dir;
	struct kv *kv;
	struct young *young;
	struct store *store;
	struct flusher *flusher;
	struct flush_partition f;
	struct entry_maker maker;
};

static void node_open(struct node *n)
{
	n->kv = kv_make(&n->dir, false);
	n->young = young_new();
	ck_assert_int_eq(store_open(n->kv, n->young, PARTITIONS, &n->store), OK);
	ck_assert_int_eq(
		flusher_open(&(struct flusher_options){ .state = n->kv, .young = n->young },
			     &n->flusher),
		OK);
	n->f = (struct flush_partition){ .p = store_pgen(n->store, (partition_id){ 0 }) };
	ck_assert_int_eq(flusher_register(n->flusher, &n->f), OK);
}

static void node_close(struct node *n)
{
	flusher_unregister(n->flusher, &n->f);
	flusher_close(&n->flusher);
	store_close(&n->store);
	young_free(&n->young);
	kv_close(&n->kv);
}

static void node_make(struct node *n)
{
	*n = (struct node){ .dir = dir_make() };
	maker_init(&n->maker);
	node_open(n);
}

static void node_free(struct node *n)
{
	node_close(n);
	arena_free(&n->maker.a);
	dir_remove(&n->dir);
}

/* What apply does on a loop: young, then pending. */
static void node_apply(struct node *n)
{
	struct log_entry *e = maker_end(&n->maker);
	struct arena a;
	Tm__LogEntry *decoded;

	arena_init(&a);
	ck_assert_int_eq(log_entry_decode(e, &a, &decoded), OK);
	ck_assert_int_eq(young_add(n->young, e, decoded), OK);
	flusher_add(n->flusher, &n->f, &e, 1);
	log_entry_unref(&e);
	arena_free(&a);
}

static void node_flush(struct node *n)
{
	ck_assert_int_eq(flusher_flush_now(n->flusher, false), OK);
	ck_assert_int_eq(atomic_load(&n->f.error), OK);
}

static void two_mailboxes(struct node *n)
{
	node_make(n);
	maker_begin(&n->maker, 100);
	put_account(&n->maker, 1, "ann");
	put_mailbox(&n->maker, 1, INBOX, "INBOX");
	put_mailbox(&n->maker, 1, OTHER, "Other");
	node_apply(n);
}

static int message(struct node *n, uint64_t m, uint32_t uid, struct message_info *ret)
{
	return store_message(n->store, (partition_id){ 0 }, (mailbox_id){ m }, (msg_uid){ uid },
			     ret);
}

static void body_is(struct node *n, guid g, const char *text)
{
	struct buf b = { 0 };

	ck_assert_int_eq(store_body(n->store, (partition_id){ 0 }, g, 0, strlen(text), &b), OK);
	ck_assert(span_eq(buf_span(&b), span_str(text)));
	buf_free(&b);
}

static struct store_snapshot *snapshot(struct node *n)
{
	struct store_snapshot *s;

	ck_assert_int_eq(store_snapshot_open(n->store, &s), OK);
	return s;
}

static uint64_t applied(struct node *n)
{
	struct store_snapshot *s = snapshot(n);
	struct log_pos c;

	ck_assert_int_eq(store_applied(s, (partition_id){ 0 }, &c), OK);
	store_snapshot_close(&s);
	return c.seq.v;
}

struct flags_seen {
	size_t count;
	struct flags_row last;
	uint32_t uids[64];
};

static int see_flags(void *data, const struct flags_row *row)
{
	struct flags_seen *s = data;

	if (s->count < 64)
		s->uids[s->count] = row->uid;
	s->count++;
	s->last = *row;
	return OK;
}

static struct flags_seen flags_of(struct node *n, uint64_t m)
{
	static struct flags_seen seen;
	struct store_snapshot *s = snapshot(n);

	memset(&seen, 0, sizeof(seen));
	ck_assert_int_eq(store_flags(s, (partition_id){ 0 }, (mailbox_id){ m }, see_flags, &seen),
			 OK);
	store_snapshot_close(&s);
	return seen;
}

static size_t candidates(struct node *n);

START_TEST(young_then_stored)
{
	struct node n;
	struct message_info info;

	two_mailboxes(&n);
	maker_begin(&n.maker, 100);
	put_message(&n.maker, INBOX, 1, 2, make_guid(1), "hello world", 0);
	node_apply(&n);
	for (int i = 0; i < 2; i++) { /* pending first, then stored */
		ck_assert_uint_eq(applied(&n), i == 0 ? 0 : 2);
		ck_assert_int_eq(message(&n, INBOX, 1, &info), OK);
		ck_assert_uint_eq(info.size, 11);
		body_is(&n, make_guid(1), "hello world");
		struct buf b = { 0 };
		ck_assert_int_eq(store_shape(n.store, (partition_id){ 0 }, &info, &b), OK);
		ck_assert(span_eq(buf_span(&b), span_str("shape")));
		buf_reset(&b);
		ck_assert_int_eq(store_body(n.store, (partition_id){ 0 }, make_guid(1), 6, 5, &b),
				 OK);
		ck_assert(span_eq(buf_span(&b), span_str("world")));
		buf_free(&b);
		ck_assert_int_eq(message(&n, INBOX, 2, &info), ERR_NOT_FOUND);
		node_flush(&n);
		ck_assert_uint_eq(young_bytes(n.young), 0);
	}
	node_free(&n);
}
END_TEST

START_TEST(account_with_all_of_it)
{
	struct node n;
	struct arena a;
	struct stored_account acc;
	struct store_snapshot *s;

	two_mailboxes(&n);
	maker_begin(&n.maker, 100);
	Tm__Subscribed *sub = MAKE(&n.maker, Subscribed, subscribed, SUBSCRIBED);
	sub->account = 1;
	sub->name = arena_strdup(&n.maker.a, span_str("Gone/Too"));
	sub->on = true;
	Tm__MailboxDeleted *del = MAKE(&n.maker, MailboxDeleted, mailbox_deleted, MAILBOX_DELETED);
	del->account = 1;
	del->mailbox = OTHER;
	del->name = arena_strdup(&n.maker.a, span_str("Other"));
	Tm__TombstoneRow stone = TM__TOMBSTONE_ROW__INIT;
	stone.uidvalidity = 1002;
	del->tombstone = &stone;
	node_apply(&n);
	node_flush(&n);
	arena_init(&a);
	s = snapshot(&n);
	ck_assert_int_eq(store_account(s, (partition_id){ 0 }, span_str("ann"), &a, &acc), OK);
	ck_assert_uint_eq(acc.row->id, 1);
	ck_assert_uint_eq(acc.mailbox_count, 1);
	ck_assert_str_eq(acc.mailboxes[0].row->name, "INBOX");
	ck_assert_uint_eq(acc.mailboxes[0].counters->uidnext, 1);
	ck_assert_uint_eq(acc.subscription_count, 1);
	ck_assert_str_eq(acc.subscriptions[0].at, "Gone/Too");
	ck_assert_uint_eq(acc.tombstone_count, 1);
	ck_assert_uint_eq(acc.tombstones[0].uidvalidity, 1002);
	ck_assert_int_eq(store_account(s, (partition_id){ 0 }, span_str("bob"), &a, &acc),
			 ERR_NOT_FOUND);
	uint32_t v;
	ck_assert_int_eq(
		store_tombstone(s, (partition_id){ 0 }, (account_id){ 1 }, span_str("Other"), &v),
		OK);
	ck_assert_uint_eq(v, 1002);
	store_snapshot_close(&s);
	arena_free(&a);
	node_free(&n);
}
END_TEST

START_TEST(newest_flags_of_a_cut)
{
	struct node n;

	two_mailboxes(&n);
	for (uint32_t uid = 1; uid <= 3; uid++) {
		maker_begin(&n.maker, 100);
		put_message(&n.maker, INBOX, uid, uid + 1, make_guid((uint8_t)uid), "abc", 0);
		node_apply(&n);
	}
	maker_begin(&n.maker, 100);
	put_flags(&n.maker, INBOX, 1, 2, 5, 1, 3, 3);
	node_apply(&n);
	maker_begin(&n.maker, 100);
	put_flags(&n.maker, INBOX, 2, 3, 6, 2, 1, 3);
	node_apply(&n);
	node_flush(&n);
	struct flags_seen seen = flags_of(&n, INBOX);
	ck_assert_uint_eq(seen.count, 3);
	ck_assert_uint_eq(seen.uids[0], 1);
	ck_assert_uint_eq(seen.last.uid, 3);
	ck_assert_uint_eq(seen.last.modseq, 6);
	ck_assert_uint_eq(seen.last.size, 3);
	ck_assert_uint_eq(seen.last.system, 2);
	ck_assert_uint_eq(seen.last.count, 1);
	node_free(&n);
}
END_TEST

/* A move and what follows, all in one cut or with a cut after each entry: the same rows. */
static void copy_and_expunge(bool each)
{
	struct node n;
	struct message_info info;

	two_mailboxes(&n);
	maker_begin(&n.maker, 100);
	put_message(&n.maker, INBOX, 1, 2, make_guid(9), "body", 0);
	node_apply(&n);
	if (each)
		node_flush(&n);
	maker_begin(&n.maker, 200);
	put_copy(&n.maker, INBOX, 1, 1, OTHER, 7, 2);
	put_expunge(&n.maker, INBOX, 1, 1, 3);
	node_apply(&n);
	ck_assert_int_eq(message(&n, OTHER, 7, &info), OK); /* followed to its source */
	ck_assert_int_eq(info.savedate, 77);
	if (each)
		node_flush(&n);
	maker_begin(&n.maker, 300);
	put_copy(&n.maker, OTHER, 7, 7, OTHER, 8, 3); /* a copy of the copy */
	node_apply(&n);
	ck_assert_int_eq(message(&n, OTHER, 8, &info), OK);
	node_flush(&n);
	ck_assert_int_eq(message(&n, INBOX, 1, &info), ERR_NOT_FOUND);
	ck_assert_int_eq(message(&n, OTHER, 7, &info), OK);
	ck_assert_uint_eq(info.size, 4);
	ck_assert_uint_eq(flags_of(&n, INBOX).count, 0);
	ck_assert_uint_eq(flags_of(&n, OTHER).count, 2);
	ck_assert_uint_eq(flags_of(&n, OTHER).last.size, 4);
	ck_assert_uint_eq(candidates(&n), 0);
	body_is(&n, make_guid(9), "body");
	maker_begin(&n.maker, 400);
	put_expunge(&n.maker, OTHER, 7, 8, 4);
	node_apply(&n);
	node_flush(&n);
	ck_assert_uint_eq(candidates(&n), 1);
	node_free(&n);
}

START_TEST(copy_and_expunge_in_one_cut)
{
	copy_and_expunge(false);
}
END_TEST

START_TEST(copy_and_expunge_in_three_cuts)
{
	copy_and_expunge(true);
}
END_TEST

static int count_candidate(void *data, guid g, const struct candidate_row *row)
{
	(void)g;
	ck_assert_uint_ge(row->chunks, 1);
	(*(size_t *)data)++;
	return OK;
}

static size_t candidates(struct node *n)
{
	struct store_snapshot *s = snapshot(n);
	size_t count = 0;

	ck_assert_int_eq(
		store_candidates(s, (partition_id){ 0 }, INT64_MAX, 100, count_candidate, &count),
		OK);
	store_snapshot_close(&s);
	return count;
}

START_TEST(chunks_become_a_message_or_are_collected)
{
	struct node n;
	guid used = make_guid(1), unused = make_guid(2);
	bool present[3];
	struct buf b = { 0 };

	two_mailboxes(&n);
	for (uint32_t i = 0; i < 2; i++) {
		maker_begin(&n.maker, 500);
		put_chunk(&n.maker, used, i,
			  i == 0 ? MESSAGE_CHUNK_BYTES : 200000 - MESSAGE_CHUNK_BYTES, 500);
		put_chunk(&n.maker, unused, i, 10, 500);
		node_apply(&n);
	}
	ck_assert_int_eq(store_chunks(n.store, (partition_id){ 0 }, used, false, 3, present), OK);
	ck_assert(present[0] && present[1] && !present[2]);
	node_flush(&n);
	ck_assert_uint_eq(candidates(&n), 2);
	maker_begin(&n.maker, 600);
	put_message(&n.maker, INBOX, 1, 2, used, NULL, 2);
	node_apply(&n);
	node_flush(&n);
	ck_assert_uint_eq(candidates(&n), 1);
	ck_assert_int_eq(store_body(n.store, (partition_id){ 0 }, used, 131000, 1000, &b), OK);
	ck_assert(b.at[0] == 'a' && b.at[999] == 'b');
	maker_begin(&n.maker, 9000);
	Tm__BodiesCollected *r =
		MAKE(&n.maker, BodiesCollected, bodies_collected, BODIES_COLLECTED);
	ProtobufCBinaryData guids[2] = { make_bytes(&n.maker, used.b, 16),
					 make_bytes(&n.maker, unused.b, 16) };
	r->guids = guids; /* `used` stays: it is no candidate any more */
	r->n_guids = 2;
	node_apply(&n);
	node_flush(&n);
	ck_assert_int_eq(store_chunks(n.store, (partition_id){ 0 }, used, false, 2, present), OK);
	ck_assert(present[0] && present[1]);
	ck_assert_int_eq(store_chunks(n.store, (partition_id){ 0 }, unused, false, 2, present), OK);
	ck_assert(!present[0] && !present[1]);
	ck_assert_uint_eq(candidates(&n), 0);
	buf_free(&b);
	node_free(&n);
}
END_TEST

static int count_vanished(void *data, modseq q, struct span uids)
{
	(void)q;
	ck_assert_uint_gt(uids.bytes, 0);
	(*(size_t *)data)++;
	return OK;
}

static size_t vanished(struct node *n, uint64_t since)
{
	struct store_snapshot *s = snapshot(n);
	size_t count = 0;

	ck_assert_int_eq(store_vanished(s, (partition_id){ 0 }, (mailbox_id){ INBOX },
					(modseq){ since }, count_vanished, &count),
			 OK);
	store_snapshot_close(&s);
	return count;
}

START_TEST(vanished_rows_are_pruned)
{
	struct node n;

	two_mailboxes(&n);
	for (uint32_t uid = 1; uid <= 6; uid++) {
		maker_begin(&n.maker, 100);
		put_message(&n.maker, INBOX, uid, 2 * uid, make_guid((uint8_t)uid), "abc", 0);
		Tm__MessagesExpunged *r = put_expunge(&n.maker, INBOX, uid, uid, 2 * uid + 1);
		if (uid >= 4) { /* three rows are kept */
			r->prune_to = 2 * (uid - 3) + 1;
			r->counters->horizon = r->prune_to;
		}
		node_apply(&n);
		if (uid % 2 == 0)
			node_flush(&n);
	}
	ck_assert_uint_eq(vanished(&n, 0), 3);
	ck_assert_uint_eq(vanished(&n, 9), 2);
	ck_assert_uint_eq(vanished(&n, 13), 0);
	node_free(&n);
}
END_TEST

static int count_purge(void *data, account_id a, mailbox_id m)
{
	(void)a;
	(void)m;
	(*(size_t *)data)++;
	return OK;
}

START_TEST(deleted_account_is_purged)
{
	struct node n;
	struct message_info info;
	size_t count = 0;
	msg_uid uid;

	two_mailboxes(&n);
	for (uint32_t u = 1; u <= 5; u++) {
		maker_begin(&n.maker, 100);
		put_message(&n.maker, INBOX, u, 2 * u, make_guid((uint8_t)u), "abc", 0);
		node_apply(&n);
	}
	node_flush(&n);
	maker_begin(&n.maker, 200);
	Tm__AccountDeleted *d = MAKE(&n.maker, AccountDeleted, account_deleted, ACCOUNT_DELETED);
	d->account = 1;
	d->name = arena_strdup(&n.maker.a, span_str("ann"));
	node_apply(&n);
	node_flush(&n);
	struct store_snapshot *s = snapshot(&n);
	ck_assert_int_eq(store_purges(s, (partition_id){ 0 }, count_purge, &count), OK);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(store_nth_uid(s, (partition_id){ 0 }, (mailbox_id){ INBOX }, 3, &uid), OK);
	ck_assert_uint_eq(uid.v, 3);
	store_snapshot_close(&s);
	for (uint32_t up_to = 3;; up_to = 0) { /* a slice, then the rest */
		maker_begin(&n.maker, 300);
		Tm__MailboxPurged *r =
			MAKE(&n.maker, MailboxPurged, mailbox_purged, MAILBOX_PURGED);
		r->account = 1;
		r->mailbox = INBOX;
		r->up_to = up_to;
		node_apply(&n);
		node_flush(&n);
		ck_assert_int_eq(message(&n, INBOX, 2, &info), ERR_NOT_FOUND);
		ck_assert_uint_eq(flags_of(&n, INBOX).count, up_to == 0 ? 0 : 3);
		ck_assert_uint_eq(candidates(&n), up_to == 0 ? 5 : 2);
		if (up_to == 0)
			break;
	}
	s = snapshot(&n);
	count = 0;
	ck_assert_int_eq(store_purges(s, (partition_id){ 0 }, count_purge, &count), OK);
	ck_assert_uint_eq(count, 1);
	store_snapshot_close(&s);
	node_free(&n);
}
END_TEST

START_TEST(newest_dedup_of_a_client)
{
	struct node n;
	struct arena a;
	Tm__DedupRow row;
	client_id c = { { 42 } };

	two_mailboxes(&n);
	arena_init(&a);
	for (uint64_t i = 1; i <= 3; i++) {
		maker_begin(&n.maker, (int64_t)(100 + i));
		maker_dedup(&n.maker, 42, i, i == 3 ? "third" : "other");
		node_apply(&n);
	}
	node_flush(&n);
	struct store_snapshot *s = snapshot(&n);
	ck_assert_int_eq(store_dedup(s, (partition_id){ 0 }, c, &a, &row), OK);
	ck_assert_uint_eq(row.number, 3);
	ck_assert_int_eq(row.when, 103);
	ck_assert(span_eq(span_of(row.result.data, row.result.len), span_str("third")));
	store_snapshot_close(&s);
	for (uint64_t number = 2; number <= 3; number++) { /* 2: it has moved on, stays */
		maker_begin(&n.maker, 200);
		Tm__DedupExpired *r = MAKE(&n.maker, DedupExpired, dedup_expired, DEDUP_EXPIRED);
		ProtobufCBinaryData clients[1] = { make_bytes(&n.maker, c.b, 16) };
		r->clients = clients;
		r->n_clients = 1;
		r->numbers = &number;
		r->n_numbers = 1;
		node_apply(&n);
		node_flush(&n);
		s = snapshot(&n);
		ck_assert_int_eq(store_dedup(s, (partition_id){ 0 }, c, &a, &row),
				 number == 2 ? OK : ERR_NOT_FOUND);
		store_snapshot_close(&s);
	}
	arena_free(&a);
	node_free(&n);
}
END_TEST

static int see_in_order(void *data, msg_uid uid, const struct message_info *info)
{
	ck_assert_uint_eq(uid.v, ++(*(size_t *)data));
	ck_assert_uint_eq(info->thread, uid.v);
	return OK;
}

START_TEST(many_messages_at_once)
{
	struct node n;
	msg_uid uids[200];
	size_t count = 0;

	two_mailboxes(&n);
	for (uint32_t u = 1; u <= 150; u++) {
		maker_begin(&n.maker, 100);
		put_message(&n.maker, INBOX, u, u + 1, make_guid((uint8_t)u), "abc", 0);
		node_apply(&n);
		if (u == 100)
			node_flush(&n); /* the rest is young */
	}
	for (uint32_t i = 0; i < 200; i++)
		uids[i].v = i + 1;
	ck_assert_int_eq(store_messages(n.store, (partition_id){ 0 }, (mailbox_id){ INBOX }, uids,
					200, see_in_order, &count),
			 OK);
	ck_assert_uint_eq(count, 150);
	node_free(&n);
}
END_TEST

START_TEST(replay_from_before_changes_nothing)
{
	struct node n;
	struct log_entry *entries[4];
	struct cut *cut;

	two_mailboxes(&n);
	node_flush(&n);
	for (uint32_t i = 0; i < 4; i++) {
		maker_begin(&n.maker, 100);
		put_message(&n.maker, INBOX, i + 1, i + 2, make_guid((uint8_t)i), "abc", 0);
		if (i == 3)
			put_expunge(&n.maker, INBOX, 1, 1, 6);
		entries[i] = maker_end(&n.maker);
	}
	cut = cut_new(n.kv);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(cut_begin(cut, n.f.p), OK);
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(cut_add(cut, entries[i]), OK);
		ck_assert_int_eq(cut_write(cut), OK);
		ck_assert_uint_eq(cut_applied(cut).seq.v, 5);
		ck_assert_uint_eq(flags_of(&n, INBOX).count, 3);
	}
	ck_assert_int_eq(cut_begin(cut, n.f.p), OK);
	entries[0]->seq.v = 7; /* a gap */
	ck_assert_int_eq(cut_add(cut, entries[0]), ERR_CORRUPT);
	cut_free(&cut);
	for (int i = 0; i < 4; i++)
		log_entry_unref(&entries[i]);
	node_free(&n);
}
END_TEST

START_TEST(nonsense_stops_the_partition_only)
{
	struct node n;

	two_mailboxes(&n);
	node_flush(&n);
	maker_begin(&n.maker, 100);
	put_expunge(&n.maker, INBOX, 5, 5, 2); /* there is no such message */
	node_apply(&n);
	ck_assert_int_eq(flusher_flush_now(n.flusher, false), OK);
	ck_assert_int_eq(atomic_load(&n.f.error), ERR_CORRUPT);
	ck_assert_uint_eq(flusher_pending_bytes(n.flusher), 0);
	ck_assert_uint_eq(applied(&n), 1);
	node_free(&n);
}
END_TEST

/* Fail each call of the disk once, with no space and for good: a cut is all there or not at all. */
static void fault_in_a_cut(int err)
{
	for (uint64_t nth = 1;; nth++) {
		struct node n;

		two_mailboxes(&n);
		maker_begin(&n.maker, 100);
		put_message(&n.maker, INBOX, 1, 2, make_guid(1), "abc", 0);
		node_apply(&n);
		maker_begin(&n.maker, 100);
		put_copy(&n.maker, INBOX, 1, 1, OTHER, 1, 2);
		put_expunge(&n.maker, INBOX, 1, 1, 3);
		node_apply(&n);
		fault_fail_nth(nth, err);
		int rc = flusher_flush_now(n.flusher, true);
		bool fired = fault_fired();
		fault_fail_nth(0, OK);
		uint64_t c = applied(&n);
		ck_assert(c == 0 || c == 3);
		ck_assert(rc < 0 || c == 3);
		ck_assert_uint_eq(flags_of(&n, OTHER).count, c == 0 ? 0 : 1);
		if (err == ERR_NO_SPACE) { /* it goes on by itself */
			node_flush(&n);
			ck_assert_uint_eq(applied(&n), 3);
		}
		node_free(&n);
		if (!fired)
			return;
	}
}

START_TEST(a_full_disk_in_a_cut)
{
	fault_in_a_cut(ERR_NO_SPACE);
}
END_TEST

START_TEST(a_broken_disk_in_a_cut)
{
	fault_in_a_cut(ERR_IO);
}
END_TEST

START_TEST(persisted_and_reopened)
{
	struct node n;

	two_mailboxes(&n);
	node_flush(&n);
	ck_assert_uint_eq(atomic_load(&n.f.persisted_seq), 0);
	ck_assert_int_eq(flusher_flush_now(n.flusher, true), OK);
	ck_assert_uint_eq(atomic_load(&n.f.persisted_seq), 1);
	node_close(&n);
	node_open(&n);
	ck_assert_uint_eq(atomic_load(&n.f.flushed_seq), 1);
	node_free(&n);
}
END_TEST

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Not an assert of speed, which depends on the machine; but it is printed. A tenth of a million,
 * unless TIDEMARK_TEST_LONG is set. */
START_TEST(a_million_flags_rows)
{
	const uint32_t rows = getenv("TIDEMARK_TEST_LONG") != NULL ? 1000000 : 100000;
	struct node n;
	struct key k;
	uint8_t bytes[FLAGS_ROW_MAX_BYTES];
	struct flags_row row = { .modseq = 123456, .size = 4321, .count = 2, .slots = { 1, 5 } };

	node_make(&n);
	struct kv_batch *b = kv_batch_new(n.kv);
	for (uint32_t u = 1; u <= rows; u++) {
		row.system = u % 8;
		row.modseq++;
		kv_batch_put(b, KV_FLAGS,
			     key_flags(&k, n.f.p, (mailbox_id){ INBOX }, (msg_uid){ u }),
			     span_of(bytes, flags_row_put(bytes, &row)));
		if (u % 10000 == 0) {
			ck_assert_int_eq(kv_write(n.kv, b, false), OK);
			kv_batch_clear(b);
		}
	}
	kv_batch_free(&b);
	ck_assert_int_eq(kv_flush(n.kv), OK);
	node_close(&n);
	double t0 = seconds();
	node_open(&n);
	double t1 = seconds();
	ck_assert_uint_eq(flags_of(&n, INBOX).count, rows);
	double t2 = seconds();
	printf("opened in %.3f s, %u flags rows in %.3f s\n", t1 - t0, rows, t2 - t1);
	node_free(&n);
}
END_TEST

#if TIDEMARK_HOOKS
/* The child: writes until it is killed. A program of its own, because RocksDB's threads do not
 * survive a fork. */
START_TEST(write_until_killed)
{
	struct node n = { 0 };

	snprintf(n.dir.path, sizeof(n.dir.path), "%s", getenv(CHILD_VARIABLE));
	maker_init(&n.maker);
	node_open(&n);
	for (uint32_t i = 1; i <= 6; i++) {
		maker_begin(&n.maker, 100);
		if (i == 1) {
			put_account(&n.maker, 1, "ann");
			put_mailbox(&n.maker, 1, INBOX, "INBOX");
		}
		put_message(&n.maker, INBOX, i, i + 1, make_guid((uint8_t)i), "abc", 0);
		node_apply(&n);
		flusher_flush_now(n.flusher, i % 2 == 0);
	}
}
END_TEST

/* The parent looks at what is left. */
static void killed_at(const char *point, unsigned nth)
{
	struct node n = { .dir = dir_make() };
	char at[64];
	int status;

	snprintf(at, sizeof(at), "%s:%u", point, nth);
	pid_t child = fork();
	if (child == 0) {
		setenv("TIDEMARK_CRASH_AT", at, 1);
		setenv(CHILD_VARIABLE, n.dir.path, 1);
		execl("/proc/self/exe", "test_storage_store", NULL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	node_open(&n);
	ck_assert_uint_eq(flags_of(&n, INBOX).count, applied(&n)); /* S1: one message each */
	node_close(&n);
	dir_remove(&n.dir);
}

START_TEST(killed_between_any_two_steps)
{
	static const char *const points[] = { "flush.before-write", "flush.written",
					      "flush.persisted" };

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		for (unsigned nth = 1; nth <= 3; nth++)
			killed_at(points[i], nth);
}
END_TEST
#endif

START_TEST(db_opens_once_and_joins)
{
	struct fixture_dir d = dir_make();
	struct db_options o = { .dir = d.path, .partitions = 4 };
	struct db *db = NULL, *second = NULL;
	struct buf why = { 0 };
	struct db_partition p;
	char cluster[37];

	ck_assert_int_eq(
		db_open(&(struct db_options){ .dir = d.path, .must_exist = true }, &db, &why),
		ERR_NOT_FOUND);
	buf_reset(&why);
	int rc = db_open(&o, &db, &why);
	ck_assert_msg(rc == OK, "%.*s", (int)why.bytes, why.at);
	ck_assert_int_eq(db_open(&o, &second, &why), ERR_BUSY);
	ck_assert_int_eq(db_start(db), OK);
	strcpy(cluster, db->identity.cluster);
	ck_assert_int_eq(db_partition(db, (partition_id){ 3 }, &p), OK);
	ck_assert(p.seam == SEAM_FINE && !p.short_of_mark);
	db_close(&db);
	o.partitions = 16; /* an old directory keeps its own */
	ck_assert_int_eq(db_open(&o, &db, &why), OK);
	ck_assert_uint_eq(db->identity.partitions, 4);
	ck_assert_str_eq(db->identity.cluster, cluster);
	db_close(&db);
	buf_free(&why);
	dir_remove(&d);
}
END_TEST

static void add_all(TCase *t)
{
	tcase_add_test(t, young_then_stored);
	tcase_add_test(t, account_with_all_of_it);
	tcase_add_test(t, newest_flags_of_a_cut);
	tcase_add_test(t, copy_and_expunge_in_one_cut);
	tcase_add_test(t, copy_and_expunge_in_three_cuts);
	tcase_add_test(t, chunks_become_a_message_or_are_collected);
	tcase_add_test(t, vanished_rows_are_pruned);
	tcase_add_test(t, deleted_account_is_purged);
	tcase_add_test(t, newest_dedup_of_a_client);
	tcase_add_test(t, many_messages_at_once);
	tcase_add_test(t, replay_from_before_changes_nothing);
	tcase_add_test(t, nonsense_stops_the_partition_only);
	tcase_add_test(t, a_full_disk_in_a_cut);
	tcase_add_test(t, a_broken_disk_in_a_cut);
	tcase_add_test(t, persisted_and_reopened);
	tcase_add_test(t, a_million_flags_rows);
#if TIDEMARK_HOOKS
	tcase_add_test(t, killed_between_any_two_steps);
#endif
	tcase_add_test(t, db_opens_once_and_joins);
}

int main(void)
{
	Suite *s = suite_create("storage_store");
	TCase *t = tcase_create("store");

	tcase_set_timeout(t, 120);
#if TIDEMARK_HOOKS
	if (getenv(CHILD_VARIABLE) != NULL)
		tcase_add_test(t, write_until_killed);
	else
#endif
		add_all(t);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
