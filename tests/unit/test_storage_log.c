/* The log over a real RocksDB, and the marks: what came back OK is there after reopening; a full
 * disk fails nothing, a broken one everything. */
#include "tests/unit/storage_fixture.h"

#include "storage/base/crash_point.h"
#include "storage/marks.h"

#include <fcntl.h>
#include <stdatomic.h>

enum { PARTITIONS = 4 };

struct node {
	struct fixture_dir dir;
	struct kv *kv;
	struct marks *marks;
	struct log *log;
	struct inbox home;
};

static void node_open(struct node *n)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/marks", n->dir.path);
	n->kv = kv_make(&n->dir, true);
	ck_assert_int_eq(marks_open(path, PARTITIONS, &n->marks), OK);
	ck_assert_int_eq(log_open(n->kv, n->marks, PARTITIONS, &n->log), OK);
	inbox_init(&n->home, 1000, n, NULL, NULL);
}

static void node_close(struct node *n)
{
	log_close(&n->log);
	marks_close(&n->marks);
	kv_close(&n->kv);
	inbox_deliver(&n->home);
}

static void node_make(struct node *n)
{
	n->dir = dir_make();
	node_open(n);
}

static void node_free(struct node *n)
{
	node_close(n);
	dir_remove(&n->dir);
}

/* One append of `count` entries, and where its answer goes. */
struct append {
	struct log_write w;
	struct log_entry *entries[8];
	bool done;
	unsigned order;
};
static unsigned order;

static void append_done(struct log_write *w, void *receiver)
{
	struct append *a = (struct append *)w;

	(void)receiver;
	a->done = true;
	a->order = ++order;
	for (size_t i = 0; i < w->count; i++)
		log_entry_unref(&a->entries[i]);
}

static void append_make(struct node *n, struct append *a, uint16_t partition, struct log_pos first,
			size_t count)
{
	*a = (struct append){ .w = { .partition = { partition },
				     .home = &n->home,
				     .done = append_done,
				     .entries = a->entries,
				     .count = count } };
	for (size_t i = 0; i < count; i++) {
		char text[32];

		snprintf(text, sizeof(text), "p%u s%u v%u", partition, (unsigned)(first.seq.v + i),
			 (unsigned)first.version);
		a->entries[i] =
			log_entry_new((partition_id){ partition }, (log_seq){ first.seq.v + i },
				      first.version, span_str(text));
	}
}

static struct log_pos pos(uint64_t seq, uint64_t version)
{
	return (struct log_pos){ { seq }, version };
}

static int step_all(struct node *n)
{
	int rc = log_step(n->log);

	inbox_deliver(&n->home);
	return rc;
}

struct seen {
	uint64_t count;
	uint64_t first, last;
};

static int see(void *data, struct log_entry **e)
{
	struct seen *s = data;
	char text[32];

	snprintf(text, sizeof(text), "p%u s%u v%u", (*e)->partition.v, (unsigned)(*e)->seq.v,
		 (unsigned)(*e)->version);
	ck_assert(span_eq(log_entry_span(*e), span_str(text)));
	if (s->count++ == 0)
		s->first = (*e)->seq.v;
	s->last = (*e)->seq.v;
	return OK;
}

static struct seen read_all(struct node *n, uint16_t p, uint64_t from)
{
	struct seen s = { 0 };

	ck_assert_int_eq(log_read(n->log, (partition_id){ p }, (log_seq){ from }, see, &s), OK);
	return s;
}

START_TEST(append_and_reopen)
{
	struct node n = { 0 };
	struct append a, b, c;
	struct log_bounds lb;

	node_make(&n);
	append_make(&n, &a, 1, pos(1, 1), 3);
	append_make(&n, &b, 2, pos(1, 5), 1);
	append_make(&n, &c, 1, pos(4, 2), 2);
	b.w.adopt_version = 5;
	log_submit(n.log, &a.w);
	log_submit(n.log, &b.w);
	log_submit(n.log, &c.w);
	ck_assert(!a.done);
	ck_assert_int_eq(step_all(&n), OK);
	ck_assert(a.done && b.done && c.done);
	ck_assert(a.order < b.order && b.order < c.order);
	ck_assert_int_eq(a.w.result, OK);
	node_close(&n);
	node_open(&n);
	log_bounds(n.log, (partition_id){ 1 }, &lb);
	ck_assert_uint_eq(lb.last.seq.v, 5);
	ck_assert_uint_eq(lb.last.version, 2);
	ck_assert_uint_eq(lb.base.seq.v, 0);
	log_bounds(n.log, (partition_id){ 2 }, &lb);
	ck_assert_uint_eq(lb.adopted, 5);
	ck_assert_uint_eq(read_all(&n, 1, 0).count, 5);
	ck_assert_uint_eq(read_all(&n, 1, 3).first, 3);
	ck_assert_uint_eq(read_all(&n, 0, 1).count, 0);
	ck_assert_uint_eq(marks_get(n.marks, (partition_id){ 1 }).seq.v, 5);
	node_free(&n);
}
END_TEST

START_TEST(cut_truncate_begin)
{
	struct node n = { 0 };
	struct append a, b, c, d;
	struct log_bounds lb;
	struct seen s = { 0 };

	node_make(&n);
	append_make(&n, &a, 0, pos(1, 1), 8);
	log_submit(n.log, &a.w);
	append_make(&n, &b, 0, pos(6, 3), 2);
	b.w.adopt_version = 3;
	b.w.cut = true;
	b.w.cut_to = pos(5, 1);
	log_submit(n.log, &b.w);
	append_make(&n, &c, 0, pos(0, 0), 0);
	c.w.truncate = true;
	c.w.truncate_to = pos(4, 1);
	log_submit(n.log, &c.w);
	ck_assert_int_eq(step_all(&n), OK);
	node_close(&n);
	node_open(&n);
	log_bounds(n.log, (partition_id){ 0 }, &lb);
	ck_assert_uint_eq(lb.base.seq.v, 4);
	ck_assert_uint_eq(lb.base.version, 1);
	ck_assert_uint_eq(lb.last.seq.v, 7);
	ck_assert_uint_eq(lb.last.version, 3);
	ck_assert_uint_eq(read_all(&n, 0, 5).count, 3);
	ck_assert_int_eq(log_read(n.log, (partition_id){ 0 }, (log_seq){ 2 }, see, &s),
			 ERR_NOT_FOUND);
	append_make(&n, &d, 0, pos(101, 9), 1);
	d.w.begin = true;
	d.w.base = pos(100, 8);
	log_submit(n.log, &d.w);
	ck_assert_int_eq(step_all(&n), OK);
	ck_assert_uint_eq(read_all(&n, 0, 0).first, 101);
	ck_assert_uint_eq(marks_get(n.marks, (partition_id){ 0 }).version, 9);
	node_free(&n);
}
END_TEST

START_TEST(a_full_disk_holds_a_broken_one_fails)
{
	struct node n = { 0 };
	struct append a, b;

	node_make(&n);
	append_make(&n, &a, 0, pos(1, 1), 1);
	append_make(&n, &b, 0, pos(2, 1), 1);
	log_submit(n.log, &a.w);
	fault_fail_nth(1, ERR_NO_SPACE);
	ck_assert_int_eq(step_all(&n), ERR_NO_SPACE);
	ck_assert(log_is_full(n.log) && !a.done);
	log_submit(n.log, &b.w);
	ck_assert_int_eq(step_all(&n), OK);
	ck_assert(!log_is_full(n.log) && a.done && !b.done); /* the held batch alone */
	fault_fail_nth(1, ERR_IO);
	ck_assert_int_eq(step_all(&n), ERR_IO);
	ck_assert(b.done);
	ck_assert_int_eq(b.w.result, ERR_IO);
	ck_assert_int_eq(log_failed(n.log), ERR_IO);
	append_make(&n, &a, 0, pos(3, 1), 1);
	log_submit(n.log, &a.w);
	ck_assert_int_eq(step_all(&n), ERR_IO);
	ck_assert(a.done && a.w.result == ERR_IO);
	fault_fail_nth(0, OK);
	node_free(&n);
}
END_TEST

/* Fail each disk call once: what came back OK is there, and nothing else is said. */
START_TEST(any_single_fault)
{
	for (uint64_t nth = 1;; nth++) {
		struct node n = { 0 };
		struct append a;

		node_make(&n);
		append_make(&n, &a, 3, pos(1, 1), 4);
		log_submit(n.log, &a.w);
		fault_fail_nth(nth, ERR_IO);
		step_all(&n);
		log_sync_marks(n.log);
		bool fired = fault_fired();
		fault_fail_nth(0, OK);
		ck_assert(a.done);
		bool ok = a.w.result == OK;
		node_close(&n);
		node_open(&n);
		if (ok)
			ck_assert_uint_eq(read_all(&n, 3, 1).count, 4);
		node_free(&n);
		if (!fired)
			return;
	}
}
END_TEST

START_TEST(thread_writes_and_stops)
{
	enum { WRITES = 300 };
	static struct append a[WRITES];
	struct node n = { 0 };
	struct log_figures f;
	size_t back = 0;

	node_make(&n);
	ck_assert_int_eq(log_start(n.log), OK);
	for (uint64_t i = 0; i < WRITES; i++) {
		append_make(&n, &a[i], (uint16_t)(i % 3), pos(i / 3 + 1, 1), 1);
		log_submit(n.log, &a[i].w);
	}
	while (back < WRITES) {
		ck_assert(inbox_wait(&n.home, 10000));
		back += inbox_deliver(&n.home);
	}
	log_figures(n.log, &f);
	ck_assert_uint_eq(f.entries, WRITES);
	ck_assert_uint_le(f.batches, WRITES);
	node_close(&n);
	node_open(&n);
	for (uint16_t p = 0; p < 3; p++)
		ck_assert_uint_eq(read_all(&n, p, 1).count, WRITES / 3);
	node_free(&n);
}
END_TEST

START_TEST(closing_with_a_full_disk_answers)
{
	struct node n = { 0 };
	struct append a, b;

	node_make(&n);
	append_make(&n, &a, 0, pos(1, 1), 1);
	append_make(&n, &b, 0, pos(2, 1), 1);
	log_submit(n.log, &a.w);
	fault_fail_nth(1, ERR_NO_SPACE);
	ck_assert_int_eq(step_all(&n), ERR_NO_SPACE);
	fault_fail_nth(0, OK);
	log_submit(n.log, &b.w);
	node_close(&n);
	ck_assert(a.done && b.done);
	ck_assert_int_eq(a.w.result, ERR_CLOSED);
	ck_assert_int_eq(b.w.result, ERR_CLOSED);
	dir_remove(&n.dir);
}
END_TEST

START_TEST(marks_survive_a_torn_slot)
{
	struct fixture_dir d = dir_make();
	char path[128];
	struct marks *m = NULL;
	partition_id p = { 2 };

	snprintf(path, sizeof(path), "%s/marks", d.path);
	ck_assert_int_eq(marks_open(path, PARTITIONS, &m), OK);
	ck_assert_uint_eq(marks_get(m, p).seq.v, 0);
	for (uint64_t i = 1; i <= 5; i++)
		ck_assert_int_eq(marks_set(m, p, pos(i, 1)), OK);
	marks_close(&m);
	int fd = open(path, O_RDWR);
	ck_assert_int_eq(pwrite(fd, "x", 1, 4096 + (2 * 2 + 1) * 64 + 20), 1); /* the fifth */
	close(fd);
	ck_assert_int_eq(marks_open(path, PARTITIONS, &m), OK);
	ck_assert_uint_eq(marks_get(m, p).seq.v, 4);
	ck_assert_int_eq(marks_set(m, p, pos(2, 3)), OK); /* lower is allowed */
	marks_close(&m);
	ck_assert_int_eq(marks_open(path, PARTITIONS, &m), OK);
	ck_assert_uint_eq(marks_get(m, p).seq.v, 2);
	marks_close(&m);
	ck_assert_int_eq(marks_open(path, PARTITIONS + 1, &m), ERR_CORRUPT);
	dir_remove(&d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("storage_log");
	TCase *t = tcase_create("log");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, append_and_reopen);
	tcase_add_test(t, cut_truncate_begin);
	tcase_add_test(t, a_full_disk_holds_a_broken_one_fails);
	tcase_add_test(t, any_single_fault);
	tcase_add_test(t, thread_writes_and_stops);
	tcase_add_test(t, closing_with_a_full_disk_answers);
	tcase_add_test(t, marks_survive_a_torn_slot);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
