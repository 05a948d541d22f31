/* ops/check: finds nothing in what was written, and something when any row of it is missing or
 * damaged. */
#include "tests/unit/storage_fixture.h"
#include "tests/unit/storage_records.h"

#include "storage/check.h"

#include <stdatomic.h>

enum { INBOX = 1, OTHER = 2, DELETED = 3 };

struct node {
	struct fixture_dir dir;
	struct db *db;
	struct flush_partition f;
	struct entry_maker maker;
};

static void node_open(struct node *n)
{
	struct buf why = { 0 };
	int rc = db_open(&(struct db_options){ .dir = n->dir.path, .partitions = 2 }, &n->db, &why);

	ck_assert_msg(rc == OK, "%.*s", (int)why.bytes, why.at);
	buf_free(&why);
	n->f = (struct flush_partition){ .p = store_pgen(n->db->store, (partition_id){ 0 }) };
	ck_assert_int_eq(flusher_register(n->db->flusher, &n->f), OK);
}

static void done(struct log_write *w, void *receiver)
{
	(void)receiver;
	ck_assert_int_eq(w->result, OK);
}

/* Log, then pending: what one node does with an entry. */
static void node_commit(struct node *n)
{
	struct log_entry *e = maker_end(&n->maker);
	struct log_write w = { .done = done, .entries = &e, .count = 1 };

	log_submit(n->db->log, &w);
	ck_assert_int_eq(log_step(n->db->log), OK);
	flusher_add(n->db->flusher, &n->f, &e, 1);
	log_entry_unref(&e);
}

static void node_flush(struct node *n)
{
	ck_assert_int_eq(flusher_flush_now(n->db->flusher, false), OK);
	ck_assert_int_eq(atomic_load(&n->f.error), OK);
}

static Tm__CountersRow *counters(struct node *n, uint32_t uidnext, uint64_t highest,
				 uint32_t exists, uint64_t bytes)
{
	Tm__CountersRow *c = make_counters(&n->maker, uidnext, highest, exists);

	c->unseen = exists;
	c->bytes = bytes;
	return c;
}

/* A message of five octets that is alone in its mailbox; in all, the account has `all`. */
static void commit_first(struct node *n, uint64_t mailbox, uint8_t body, uint64_t all)
{
	maker_begin(&n->maker, 100);
	Tm__MessagesAdded *r = put_message(&n->maker, mailbox, 1, 2, make_guid(body), "hello", 0);
	r->counters = counters(n, 2, 2, 1, 5);
	r->usage = make_usage(&n->maker, 5 * all, all);
	maker_dedup(&n->maker, 9, all, "");
	node_commit(n);
}

/* INBOX: uid 2 with a keyword, uid 1 vanished. Other: a copy of uid 2, and a chunked message.
 * Deleted: being purged. Two bodies are candidates. */
static void node_fill(struct node *n)
{
	struct entry_maker *m = &n->maker;

	maker_begin(m, 100);
	put_account(m, 1, "ann");
	put_mailbox(m, 1, INBOX, "INBOX");
	put_mailbox(m, 1, OTHER, "Other");
	put_mailbox(m, 1, DELETED, "Deleted");
	node_commit(n);
	commit_first(n, INBOX, 1, 1);
	commit_first(n, DELETED, 2, 2);

	maker_begin(m, 100);
	Tm__MessagesAdded *a = put_message(m, INBOX, 2, 3, make_guid(3), "hello you", 0);
	a->counters = counters(n, 3, 3, 2, 14);
	a->usage = make_usage(m, 19, 3);
	node_commit(n);

	maker_begin(m, 100);
	put_flags(m, INBOX, 2, 2, 4, 1 | 8, 1, 9);
	Tm__FlagsChanged *f = m->records[0]->flags_changed;
	Tm__KeywordName name = TM__KEYWORD_NAME__INIT;
	Tm__KeywordName *names[1] = { &name };
	name.name = arena_strdup(&m->a, span_str("$Work"));
	f->new_names = names;
	f->n_new_names = 1;
	f->counters = counters(n, 3, 4, 2, 14);
	f->counters->unseen = 1;
	f->counters->deleted = 1;
	f->counters->deleted_bytes = 9;
	node_commit(n);

	maker_begin(m, 100);
	put_copy(m, INBOX, 2, 2, OTHER, 1, 2);
	Tm__MessagesCopied *c = m->records[0]->messages_copied;
	c->counters = counters(n, 2, 2, 1, 9);
	c->counters->unseen = 0;
	c->usage = make_usage(m, 28, 4);
	Tm__MessagesExpunged *e = put_expunge(m, INBOX, 1, 1, 5);
	e->counters = counters(n, 3, 5, 1, 9);
	e->counters->unseen = 0;
	e->counters->deleted = 1;
	e->counters->deleted_bytes = 9;
	e->counters->vanished_rows = 1;
	e->usage = make_usage(m, 23, 3);
	Tm__MailboxDeleted *d = MAKE(m, MailboxDeleted, mailbox_deleted, MAILBOX_DELETED);
	Tm__TombstoneRow stone = TM__TOMBSTONE_ROW__INIT;
	d->account = 1;
	d->mailbox = DELETED;
	d->name = arena_strdup(&m->a, span_str("Deleted"));
	d->tombstone = &stone;
	d->usage = make_usage(m, 18, 2);
	node_commit(n);

	for (uint32_t i = 0; i < 2; i++) {
		maker_begin(m, 100);
		put_chunk(m, make_guid(5), i,
			  i == 0 ? MESSAGE_CHUNK_BYTES : 200000 - MESSAGE_CHUNK_BYTES, 100);
		put_chunk(m, make_guid(6), i, 10, 100);
		node_commit(n);
	}
	maker_begin(m, 100);
	a = put_message(m, OTHER, 2, 3, make_guid(5), NULL, 2);
	a->counters = counters(n, 3, 3, 2, 200009);
	a->counters->unseen = 1;
	a->usage = make_usage(m, 200018, 3);
	node_commit(n);
}

static void print(void *data, const char *text)
{
	if (*(bool *)data)
		printf("%s\n", text);
}

static uint64_t findings(struct node *n, bool quiet)
{
	struct check_result r;
	bool loud = !quiet;

	ck_assert_int_eq(check_db(n->db, print, &loud, &r), OK);
	return r.findings;
}

static void node_make(struct node *n)
{
	*n = (struct node){ .dir = dir_make() };
	maker_init(&n->maker);
	node_open(n);
	node_fill(n);
}

static void node_free(struct node *n)
{
	flusher_unregister(n->db->flusher, &n->f);
	db_close(&n->db);
	arena_free(&n->maker.a);
	dir_remove(&n->dir);
}

START_TEST(fine_at_every_moment)
{
	struct node n;
	struct check_result r;
	bool loud = true;

	node_make(&n);
	ck_assert_uint_eq(findings(&n, false), 0); /* all of it is in the log only */
	node_flush(&n);
	ck_assert_int_eq(check_db(n.db, print, &loud, &r), OK);
	ck_assert_uint_eq(r.findings, 0);
	ck_assert_uint_eq(r.accounts, 1);
	ck_assert_uint_eq(r.mailboxes, 2);
	ck_assert_uint_eq(r.messages, 4); /* with that of the deleted mailbox */
	ck_assert_uint_eq(r.log_entries, 9);
	maker_begin(&n.maker, 200);
	Tm__MailboxPurged *p = MAKE(&n.maker, MailboxPurged, mailbox_purged, MAILBOX_PURGED);
	p->account = 1;
	p->mailbox = DELETED;
	node_commit(&n);
	ck_assert_uint_eq(findings(&n, false), 0);
	node_flush(&n);
	ck_assert_uint_eq(findings(&n, false), 0);
	node_free(&n);
}
END_TEST

struct row {
	enum kv_family family;
	struct buf key, value;
};
struct rows {
	struct row at[200];
	size_t count;
	enum kv_family family;
};

static int keep_row(void *data, struct span key, struct span value)
{
	struct rows *rows = data;
	struct row *r = &rows->at[rows->count++];

	ck_assert_uint_lt(rows->count, 200);
	*r = (struct row){ .family = rows->family };
	buf_put_span(&r->key, key);
	buf_put_span(&r->value, value);
	return OK;
}

static void read_all(struct node *n, struct rows *rows)
{
	static const uint8_t lo[1] = { 0 }, hi[2] = { 0xff, 0xff };

	rows->count = 0;
	for (int f = 0; f < KV_FAMILIES; f++) {
		rows->family = (enum kv_family)f;
		ck_assert_int_eq(kv_iterate(n->db->state_kv, NULL, rows->family,
					    (struct kv_range){ span_of(lo, 1), span_of(hi, 2) },
					    keep_row, rows),
				 OK);
	}
}

static void write_row(struct node *n, const struct row *r, bool there, bool cut)
{
	struct kv_batch *b = kv_batch_new(n->db->state_kv);
	struct span value = buf_span(&r->value);

	if (there)
		kv_batch_put(b, r->family, buf_span(&r->key), span_of(value.at, value.bytes - cut));
	else
		kv_batch_delete(b, r->family, buf_span(&r->key));
	ck_assert_int_eq(kv_write(n->db->state_kv, b, false), OK);
	kv_batch_free(&b);
}

/* Of these nobody can tell that one is missing: they stand for themselves, or are chunks of a body
 * that no message refers to (1 was expunged, 6 never came to be one). */
static bool is_free(const struct key_parts *k)
{
	bool chunk = k->table == TABLE_BODY || k->table == TABLE_SHAPE;

	return k->table == TABLE_DEDUP || k->table == TABLE_SUBSCRIPTION ||
	       k->table == TABLE_TOMBSTONE || k->table == TABLE_THREADREF ||
	       (chunk && (k->guid.b[0] == 1 || k->guid.b[0] == 6));
}

START_TEST(any_missing_row_is_found)
{
	static struct rows rows;
	struct node n;

	node_make(&n);
	node_flush(&n);
	read_all(&n, &rows);
	ck_assert_uint_gt(rows.count, 25);
	for (size_t i = 0; i < rows.count; i++) {
		struct row *r = &rows.at[i];
		struct key_parts parts = { 0 };

		ck_assert(key_get(buf_span(&r->key), &parts));
		if (!is_free(&parts)) {
			write_row(&n, r, false, false);
			ck_assert_msg(findings(&n, true) > 0, "a missing row of %s",
				      table_name(parts.table));
		}
		/* A name and a shape that lost a byte are still ones. */
		if (r->value.bytes > 0 && parts.table != TABLE_KEYWORD &&
		    parts.table != TABLE_SHAPE && !is_free(&parts)) {
			write_row(&n, r, true, true);
			ck_assert_msg(findings(&n, true) > 0, "a cut row of %s",
				      table_name(parts.table));
		}
		write_row(&n, r, true, false);
		buf_free(&r->key);
		buf_free(&r->value);
	}
	ck_assert_uint_eq(findings(&n, false), 0);
	node_free(&n);
}
END_TEST

START_TEST(a_log_that_lost_its_end_is_found)
{
	struct node n;
	struct key a, b;

	node_make(&n);
	struct kv_batch *batch = kv_batch_new(n.db->log_kv);
	kv_batch_delete(batch, KV_LOG, log_key_entry(&a, (partition_id){ 0 }, (log_seq){ 9 }));
	ck_assert_int_eq(kv_write(n.db->log_kv, batch, true), OK);
	kv_batch_free(&batch);
	flusher_unregister(n.db->flusher, &n.f);
	db_close(&n.db);
	node_open(&n);
	ck_assert_uint_eq(findings(&n, true), 1);
	struct db_partition part;
	ck_assert_int_eq(db_partition(n.db, (partition_id){ 0 }, &part), OK);
	ck_assert(part.short_of_mark && part.seam == SEAM_FINE);
	batch = kv_batch_new(n.db->log_kv);
	kv_batch_delete_range(
		batch, KV_LOG,
		(struct kv_range){ log_key_entry(&a, (partition_id){ 0 }, (log_seq){ 4 }),
				   log_key_entry(&b, (partition_id){ 0 }, (log_seq){ 6 }) });
	ck_assert_int_eq(kv_write(n.db->log_kv, batch, true), OK);
	kv_batch_free(&batch);
	ck_assert_uint_eq(findings(&n, true), 2); /* a gap, too */
	node_free(&n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("storage_check");
	TCase *t = tcase_create("check");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, fine_at_every_moment);
	tcase_add_test(t, any_missing_row_is_found);
	tcase_add_test(t, a_log_that_lost_its_end_is_found);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
