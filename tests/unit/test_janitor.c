/* test_janitor.c: what nobody refers to goes in the background, what somebody refers to stays. */
#include "tests/unit/node_fixture.h"

#include "storage/base/clock.h"
#include "storage/store.h"

#include <time.h>

enum { WAIT_MILLISECONDS = 20000, CHUNKS = 2, BIG_BYTES = MESSAGE_CHUNK_BYTES + 1000 };

static const struct janitor_options quick = {
	.interval_ms = 1, .dedup_interval_ms = 1, .body_seconds = 1, .dedup_seconds = 1
};
static const guid big = { { 9, 9 } };

/* ---- looking into state/ ---- */

static int count_candidate(void *data, guid g, const struct candidate_row *row)
{
	(void)g;
	(void)row;
	++*(size_t *)data;
	return OK;
}

static int count_dedup(void *data, client_id c, const Tm__DedupRow *row)
{
	(void)c;
	(void)row;
	++*(size_t *)data;
	return OK;
}

static int count_purge(void *data, account_id a, mailbox_id m)
{
	(void)a;
	(void)m;
	++*(size_t *)data;
	return OK;
}

struct left {
	size_t candidates, results, purges;
};

static struct left look(void)
{
	struct store_snapshot *s = NULL;
	struct left l = { 0 };
	partition_id p = router_partition(f.router, "ann");
	struct arena a;

	arena_init(&a);
	ck_assert_int_eq(store_snapshot_open(f.node->db->store, &s), OK);
	ck_assert_int_eq(
		store_candidates(s, p, INT64_MAX, SIZE_MAX, count_candidate, &l.candidates), OK);
	ck_assert_int_eq(store_dedups(s, p, &a, count_dedup, &l.results), OK);
	ck_assert_int_eq(store_purges(s, p, count_purge, &l.purges), OK);
	store_snapshot_close(&s);
	arena_free(&a);
	return l;
}

static bool chunk_is_there(void)
{
	bool present[CHUNKS];

	ck_assert_int_eq(store_chunks(f.node->db->store, router_partition(f.router, "ann"), big,
				      false, CHUNKS, present),
			 OK);
	ck_assert(present[0] == present[1]);
	return present[0];
}

static void wait_for(bool (*done)(void))
{
	uint64_t end = clock_boot_ms() + WAIT_MILLISECONDS;

	ck_assert_int_eq(flusher_flush_now(f.node->db->flusher, false), OK);
	while (!done()) {
		ck_assert(clock_boot_ms() < end);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
}

static bool chunks_are_flushed(void)
{
	return chunk_is_there() && look().candidates == 1;
}

static bool nothing_is_left(void)
{
	struct left l = look();

	return l.candidates == 0 && l.purges == 0;
}

static bool no_results_are_left(void)
{
	return look().results == 0;
}

/* ---- ops ---- */

static void put_chunks(void)
{
	static uint8_t bytes[MESSAGE_CHUNK_BYTES];

	memset(bytes, 'x', sizeof(bytes));
	for (uint32_t n = 0; n < CHUNKS; n++) {
		Tm__PutChunk c = TM__PUT_CHUNK__INIT;

		c.guid = (ProtobufCBinaryData){ sizeof(big.b), (uint8_t *)(uintptr_t)big.b };
		c.n = n;
		c.bytes.data = bytes;
		c.bytes.len = n == 0 ? MESSAGE_CHUNK_BYTES : BIG_BYTES - MESSAGE_CHUNK_BYTES;
		ck_assert_int_eq(op(TM__OP__WHAT_PUT_CHUNK, &c)->outcome, TM__OUTCOME__DONE);
	}
}

static const Tm__OpResult *append_big(void)
{
	Tm__Append a = TM__APPEND__INIT;
	Tm__AppendMessage m = TM__APPEND_MESSAGE__INIT;
	Tm__AppendMessage *list[] = { &m };

	a.name = (char *)(uintptr_t) "INBOX";
	a.n_messages = 1;
	a.messages = list;
	m.guid = (ProtobufCBinaryData){ sizeof(big.b), (uint8_t *)(uintptr_t)big.b };
	m.size = BIG_BYTES;
	m.chunks = CHUNKS;
	return op(TM__OP__WHAT_APPEND, &a);
}

static uint64_t create(const char *name)
{
	Tm__CreateMailbox c = TM__CREATE_MAILBOX__INIT;

	c.name = (char *)(uintptr_t)name;
	const Tm__OpResult *r = op(TM__OP__WHAT_CREATE_MAILBOX, &c);
	ck_assert_int_eq(r->outcome, TM__OUTCOME__DONE);
	return r->mailbox->mailbox;
}

static void delete (const char *name)
{
	Tm__DeleteMailbox d = TM__DELETE_MAILBOX__INIT;

	d.name = (char *)(uintptr_t)name;
	ck_assert_int_eq(op(TM__OP__WHAT_DELETE_MAILBOX, &d)->outcome, TM__OUTCOME__DONE);
}

static void copy_first_to(uint64_t from, const char *to)
{
	Tm__Copy c = TM__COPY__INIT;

	c.source = from;
	c.uids = uids(1, 1);
	c.target = (char *)(uintptr_t)to;
	ck_assert_int_eq(op(TM__OP__WHAT_COPY, &c)->outcome, TM__OUTCOME__DONE);
}

static void expunge_first(uint64_t mailbox)
{
	Tm__Expunge x = TM__EXPUNGE__INIT;

	x.mailbox = mailbox;
	x.uids = uids(1, 1);
	ck_assert_int_eq(op(TM__OP__WHAT_EXPUNGE, &x)->outcome, TM__OUTCOME__DONE);
}

/* `count` tiny messages, 500 an op. */
static void fill(const char *name, uint32_t count)
{
	enum { AT_ONCE = 500 };
	static Tm__AppendMessage messages[AT_ONCE];
	static Tm__AppendMessage *list[AT_ONCE];
	static uint8_t guids[AT_ONCE][16];
	static uint8_t body[] = "a";

	for (uint32_t done = 0; done < count; done += AT_ONCE) {
		Tm__Append a = TM__APPEND__INIT;

		a.name = (char *)(uintptr_t)name;
		a.messages = list;
		a.n_messages = count - done < AT_ONCE ? count - done : AT_ONCE;
		for (uint32_t i = 0; i < a.n_messages; i++) {
			tm__append_message__init(&messages[i]);
			be32_put(guids[i], done + i);
			guids[i][15] = 1;
			messages[i].guid = (ProtobufCBinaryData){ 16, guids[i] };
			messages[i].size = messages[i].body.len = 1;
			messages[i].body.data = body;
			list[i] = &messages[i];
		}
		ck_assert_int_eq(op(TM__OP__WHAT_APPEND, &a)->outcome, TM__OUTCOME__DONE);
	}
}

/* ---- tests ---- */

START_TEST(a_broken_off_upload_goes)
{
	setup_with(false, quick);
	create_account();
	put_chunks();
	wait_for(chunks_are_flushed);
	wait_for(nothing_is_left);
	ck_assert(!chunk_is_there());
	/* J1: who comes too late is told. */
	ck_assert_int_eq(append_big()->outcome, TM__OUTCOME__CHUNKS_MISSING);
	put_chunks();
	ck_assert_int_eq(append_big()->outcome, TM__OUTCOME__DONE);
	teardown();
}
END_TEST

START_TEST(a_body_in_use_stays)
{
	setup_with(false, quick);
	create_account();
	put_chunks();
	uint64_t box = append_big()->uids->mailbox;
	create("copies");
	copy_first_to(box, "copies");
	expunge_first(box);
	wait_for(nothing_is_left);
	wait_for(no_results_are_left); /* and several rounds have passed */
	ck_assert(chunk_is_there());
	delete ("copies");
	wait_for(nothing_is_left);
	ck_assert(!chunk_is_there());
	teardown();
}
END_TEST

/* More messages than one slice, more bodies than one record. */
START_TEST(a_large_mailbox_goes_in_slices)
{
	setup_with(false, quick);
	create_account();
	create("large");
	fill("large", 2 * JANITOR_PURGE_MESSAGES + 100);
	delete ("large");
	ck_assert_int_eq(flusher_flush_now(f.node->db->flusher, false), OK);
	wait_for(nothing_is_left);
	teardown();
}
END_TEST

START_TEST(results_expire)
{
	setup_with(false, quick);
	create_account();
	append("a", 0);
	wait_for(no_results_are_left);
	append("b", 0);
	ck_assert_uint_eq(select_inbox()->exists, 2);
	teardown();
}
END_TEST

/* Nothing happens before its time: the bounds of limits.h are hours. */
START_TEST(young_things_stay)
{
	setup_with(false, (struct janitor_options){ .interval_ms = 1, .dedup_interval_ms = 1 });
	create_account();
	put_chunks();
	wait_for(chunks_are_flushed);
	stop();
	start();
	nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 500000000 }, NULL); /* a tick */
	ck_assert(chunks_are_flushed());
	ck_assert_uint_eq(look().results, 1);
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("janitor");
	TCase *t = tcase_create("janitor");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_broken_off_upload_goes);
	tcase_add_test(t, a_body_in_use_stays);
	tcase_add_test(t, a_large_mailbox_goes_in_slices);
	tcase_add_test(t, results_expire);
	tcase_add_test(t, young_things_stay);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
