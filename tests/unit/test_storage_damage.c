/* What a real disk can do: a log cut or damaged in its middle, a damaged block of state/, no space.
 * Never silent, and after "no space" everything goes on by itself.
 *
 * The tests of a full disk need a small file system of their own: TIDEMARK_SMALL_FS=DIR, empty, of
 * some 400 MiB (mount -t tmpfs -o size=400m tmpfs DIR); else they are left out. */
#include "tests/unit/storage_fixture.h"
#include "tests/unit/storage_records.h"

#include "storage/base/clock.h"
#include "storage/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>

enum { ENTRIES = 40, INBOX = 1, BODY_BYTES = 5000 };

struct node {
	struct fixture_dir dir;
	struct db *db;
	struct flush_partition f;
	struct entry_maker maker;
	struct inbox home;
};

static int try_open(struct node *n, struct buf *why)
{
	int rc = db_open(&(struct db_options){ .dir = n->dir.path, .partitions = 1 }, &n->db, why);

	if (rc < 0)
		return rc;
	n->f = (struct flush_partition){ .p = store_pgen(n->db->store, (partition_id){ 0 }) };
	inbox_init(&n->home, 1000, n, NULL, NULL);
	return flusher_register(n->db->flusher, &n->f);
}

static void node_open(struct node *n)
{
	struct buf why = { 0 };
	int rc = try_open(n, &why);

	ck_assert_msg(rc == OK, "%.*s", (int)why.bytes, why.at);
	buf_free(&why);
}

static void node_close(struct node *n)
{
	if (n->db != NULL) {
		log_step(n->db->log); /* a truncation may wait there */
		flusher_unregister(n->db->flusher, &n->f);
	}
	db_close(&n->db);
}

static void written(struct log_write *w, void *receiver)
{
	(void)receiver;
	ck_assert_int_eq(w->result, OK);
}

static void node_commit(struct node *n)
{
	struct log_entry *e = maker_end(&n->maker);
	struct log_write w = { .done = written, .entries = &e, .count = 1 };

	log_submit(n->db->log, &w);
	ck_assert_int_eq(log_step(n->db->log), OK);
	flusher_add(n->db->flusher, &n->f, &e, 1);
	log_entry_unref(&e);
}

static const char *long_body(void)
{
	static char body[BODY_BYTES + 1];

	/* Not compressible, so that it is on the disk as it is. */
	for (uint32_t i = 0, x = 1; i < BODY_BYTES; i++) {
		x = x * 1103515245 + 12345;
		body[i] = (char)('!' + (x >> 16) % 90);
	}
	return body;
}

/* An account, a mailbox, and messages: an entry each. */
static void node_make(struct node *n)
{
	*n = (struct node){ .dir = dir_make() };
	maker_init(&n->maker);
	node_open(n);
	maker_begin(&n->maker, 100);
	put_account(&n->maker, 1, "ann");
	put_mailbox(&n->maker, 1, INBOX, "INBOX");
	node_commit(n);
	for (uint32_t uid = 1; uid < ENTRIES; uid++) {
		maker_begin(&n->maker, 100);
		put_message(&n->maker, INBOX, uid, uid + 1, make_guid((uint8_t)uid), long_body(),
			    0);
		node_commit(n);
	}
}

static void node_free(struct node *n)
{
	node_close(n);
	arena_free(&n->maker.a);
	dir_remove(&n->dir);
}

/* Flip or cut each file with this ending in DIR/sub. Returns how many there were. */
static unsigned damage(const struct node *n, const char *sub, const char *ending, bool cut)
{
	char path[512];
	unsigned count = 0;

	snprintf(path, sizeof(path), "%s/%s", n->dir.path, sub);
	DIR *d = opendir(path);
	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		size_t bytes = strlen(e->d_name), end = strlen(ending);
		struct stat st;

		if (bytes < end || strcmp(e->d_name + bytes - end, ending) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", n->dir.path, sub, e->d_name);
		int fd = open(path, O_RDWR);
		ck_assert(fd >= 0 && fstat(fd, &st) == 0);
		if (cut)
			ck_assert_int_eq(ftruncate(fd, st.st_size / 2), 0);
		else
			ck_assert_int_eq(pwrite(fd, "damage", 6, st.st_size / 2), 6);
		close(fd);
		count += st.st_size > 0;
	}
	closedir(d);
	return count;
}

static void log_damage(bool cut)
{
	struct node n;
	struct db_partition part;

	node_make(&n);
	/* Nothing in state/: as if killed before the first cut. */
	flusher_unregister(n.db->flusher, &n.f);
	db_close(&n.db);
	ck_assert_uint_gt(damage(&n, "log", ".log", cut), 0);
	node_open(&n);
	ck_assert_int_eq(db_partition(n.db, (partition_id){ 0 }, &part), OK);
	ck_assert_uint_lt(part.log.last.seq.v, ENTRIES);
	ck_assert_uint_eq(part.mark.seq.v, ENTRIES);
	ck_assert(part.short_of_mark);
	node_free(&n);
}

START_TEST(a_log_that_is_cut_is_noticed)
{
	log_damage(true);
}
END_TEST

START_TEST(a_log_that_is_damaged_in_its_middle_is_noticed)
{
	log_damage(false);
}
END_TEST

static void print(void *data, const char *text)
{
	(void)text;
	(*(unsigned *)data)++;
}

/* Either it does not open, or what is damaged cannot be read: never other bytes. */
static void state_damage(const char *ending)
{
	struct node n;
	struct buf why = { 0 };
	unsigned said = 0;

	node_make(&n);
	ck_assert_int_eq(flusher_flush_now(n.db->flusher, true), OK);
	node_close(&n);
	ck_assert_uint_gt(damage(&n, "state", ending, false), 0);
	int rc = try_open(&n, &why);
	for (uint32_t uid = 1; rc == OK && uid < ENTRIES; uid++) {
		struct message_info m;
		struct buf b = { 0 };

		rc = store_message(n.db->store, (partition_id){ 0 }, (mailbox_id){ INBOX },
				   (msg_uid){ uid }, &m);
		if (rc == OK)
			rc = store_body(n.db->store, (partition_id){ 0 }, m.guid, 0, BODY_BYTES,
					&b);
		if (rc == OK)
			ck_assert(span_eq(buf_span(&b), span_str(long_body())));
		buf_free(&b);
	}
	ck_assert_int_eq(rc, ERR_CORRUPT);
	if (n.db != NULL) {
		struct check_result r = { 0 };

		ck_assert_int_eq(check_db(n.db, print, &said, &r), OK);
		ck_assert_uint_gt(r.findings, 0);
	}
	buf_free(&why);
	node_free(&n);
}

START_TEST(a_damaged_block_is_noticed)
{
	state_damage(".sst");
}
END_TEST

START_TEST(a_damaged_body_is_noticed)
{
	state_damage(".blob");
}
END_TEST

/* ---- no space ---- */

static void fill_up(const char *dir)
{
	char path[256], block[4096] = { 1 };

	snprintf(path, sizeof(path), "%s/filler", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static void make_room(const char *dir)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/filler", dir);
	ck_assert_int_eq(unlink(path), 0);
}

struct pending_write {
	struct log_write w;
	struct log_entry *entry;
	bool done;
};

static void pending_done(struct log_write *w, void *receiver)
{
	struct pending_write *p = (struct pending_write *)w;

	(void)receiver;
	p->done = true;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* Write until the disk is full; make room; it must go on within a minute. */
static void fill_and_recover(struct node *n, const char *fs)
{
	enum { MAX = 600 };
	static struct pending_write writes[MAX];
	unsigned count = 0;

	memset(writes, 0, sizeof(writes));
	while (count < MAX && !log_is_full(n->db->log)) {
		struct pending_write *p = &writes[count++];

		maker_begin(&n->maker, 100);
		put_chunk(&n->maker, make_guid(1), count % 100, 100000, 100);
		p->entry = maker_end(&n->maker);
		p->w = (struct log_write){
			.home = &n->home, .done = pending_done, .entries = &p->entry, .count = 1
		};
		log_submit(n->db->log, &p->w);
		for (int i = 0; i < 100 && !p->done && !log_is_full(n->db->log); i++) {
			inbox_deliver(&n->home);
			sleep_ms(2);
		}
		inbox_deliver(&n->home);
		if (p->done)
			ck_assert_int_eq(p->w.result, OK);
	}
	ck_assert(log_is_full(n->db->log));
	ck_assert_int_eq(log_failed(n->db->log), OK);
	make_room(fs);
	uint64_t began = clock_boot_ms();
	while (!writes[count - 1].done && clock_boot_ms() < began + 60000) {
		inbox_deliver(&n->home);
		sleep_ms(50);
	}
	printf("after a full disk: %llu ms until writes went on\n",
	       (unsigned long long)(clock_boot_ms() - began));
	for (unsigned i = 0; i < count; i++) {
		ck_assert(writes[i].done);
		ck_assert_int_eq(writes[i].w.result, OK);
		log_entry_unref(&writes[i].entry);
	}
}

START_TEST(a_full_disk_fails_nothing)
{
	const char *fs = getenv("TIDEMARK_SMALL_FS");
	struct node n = { 0 };

	if (fs == NULL)
		return;
	snprintf(n.dir.path, sizeof(n.dir.path), "%.40s/data", fs);
	maker_init(&n.maker);
	node_open(&n);
	ck_assert_int_eq(db_start(n.db), OK);
	fill_up(fs);
	fill_and_recover(&n, fs);
	struct log_bounds b;
	log_bounds(n.db->log, (partition_id){ 0 }, &b);
	uint64_t last = b.last.seq.v;
	node_close(&n);
	node_open(&n);
	log_bounds(n.db->log, (partition_id){ 0 }, &b);
	ck_assert_uint_eq(b.last.seq.v, last);
	node_free(&n);
}
END_TEST

/* Rows cannot be brought to the disk, and later they can. */
START_TEST(a_full_disk_under_state)
{
	const char *fs = getenv("TIDEMARK_SMALL_FS");
	struct node n = { 0 };

	if (fs == NULL)
		return;
	snprintf(n.dir.path, sizeof(n.dir.path), "%.40s/data", fs);
	maker_init(&n.maker);
	node_open(&n);
	maker_begin(&n.maker, 100);
	put_account(&n.maker, 1, "ann");
	put_mailbox(&n.maker, 1, INBOX, "INBOX");
	node_commit(&n);
	fill_up(fs);
	for (int i = 0; i < 3; i++) {
		flusher_flush_now(n.db->flusher, true);
		ck_assert_int_ne(atomic_load(&n.f.error), ERR_IO);
		ck_assert_uint_eq(atomic_load(&n.f.persisted_seq), 0);
		sleep_ms(200);
	}
	make_room(fs);
	uint64_t began = clock_boot_ms();
	while (atomic_load(&n.f.persisted_seq) == 0 && clock_boot_ms() < began + 60000) {
		flusher_flush_now(n.db->flusher, true);
		sleep_ms(100);
	}
	printf("after a full disk: %llu ms until rows were on the disk\n",
	       (unsigned long long)(clock_boot_ms() - began));
	ck_assert_uint_eq(atomic_load(&n.f.persisted_seq), 1);
	node_free(&n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("storage_damage");
	TCase *t = tcase_create("damage");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_log_that_is_cut_is_noticed);
	tcase_add_test(t, a_log_that_is_damaged_in_its_middle_is_noticed);
	tcase_add_test(t, a_damaged_block_is_noticed);
	tcase_add_test(t, a_damaged_body_is_noticed);
	tcase_add_test(t, a_full_disk_fails_nothing);
	tcase_add_test(t, a_full_disk_under_state);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
