/* Keys and rows: what is written can be read, in the order of the numbers; what is damaged is
 * refused, never an assert. */
#include "storage/base/err.h"
#include "storage/keys.h"
#include "storage/rows.h"

#include <check.h>
#include <stdlib.h>

static uint64_t seed = 7;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Small and large numbers alike. */
static uint64_t rnd_number(void)
{
	return rnd() >> (rnd() % 64);
}

static struct key_parts rnd_parts(char name[static MAILBOX_NAME_MAX_BYTES])
{
	struct key_parts p = {
		.p = { { (uint16_t)(rnd() % 0xffff) }, (uint32_t)rnd_number() },
		.table = (enum table)(1 + rnd() % TABLE_LAST),
		.account = { rnd_number() },
		.mailbox = { rnd_number() },
		.uid = { (uint32_t)rnd_number() },
		.modseq = { rnd_number() },
		.hash = rnd(),
		.chunk = (uint32_t)rnd_number(),
		.slot = (uint16_t)rnd_number(),
	};

	for (size_t i = 0; i < 16; i++) {
		p.guid.b[i] = (uint8_t)rnd();
		p.client.b[i] = (uint8_t)rnd();
	}
	p.name = span_of(name, rnd() % 40);
	for (size_t i = 0; i < p.name.bytes; i++)
		name[i] = (char)rnd();
	return p;
}

START_TEST(key_round_trip)
{
	char name[MAILBOX_NAME_MAX_BYTES];
	struct key k, again;

	for (int i = 0; i < 20000; i++) {
		struct key_parts p = rnd_parts(name);
		struct key_parts back = p;
		struct span bytes = key_put(&k, &p);

		memset(&back.p, 0, sizeof(back.p));
		ck_assert(key_get(bytes, &back));
		ck_assert_int_eq(back.table, p.table);
		ck_assert(span_eq(key_put(&again, &back), bytes));
		if (bytes.bytes > 0 && table_name(p.table)[0] != 'a')
			ck_assert(span_eq(span_of(bytes.at, 7), key_put_prefix(&again, &p, 0)));
	}
}
END_TEST

START_TEST(key_cut_or_long_is_refused)
{
	struct key k;
	struct key_parts back;
	struct pgen p = { { 3 }, 1 };
	struct span s = key_flags(&k, p, (mailbox_id){ 5 }, (msg_uid){ 6 });

	ck_assert_uint_eq(s.bytes, 7 + 8 + 4);
	for (size_t n = 0; n < s.bytes; n++)
		ck_assert(!key_get(span_of(s.at, n), &back));
	k.at[s.bytes] = 0;
	ck_assert(!key_get(span_of(s.at, s.bytes + 1), &back));
	k.at[6] = 0;
	ck_assert(!key_get(s, &back));
	k.at[6] = TABLE_LAST + 1;
	ck_assert(!key_get(s, &back));
}
END_TEST

static int span_cmp(struct span a, struct span b)
{
	int c = memcmp(a.at, b.at, a.bytes < b.bytes ? a.bytes : b.bytes);

	return c != 0 ? c : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

START_TEST(byte_order_is_number_order)
{
	struct key a, b;

	for (int i = 0; i < 20000; i++) {
		msg_uid u = { (uint32_t)rnd_number() }, v = { (uint32_t)rnd_number() };
		mailbox_id m = { rnd_number() }, n = { rnd() % 2 == 0 ? m.v : rnd_number() };
		struct pgen p = { { (uint16_t)(rnd() % 3) }, 1 };
		int c = span_cmp(key_flags(&a, p, m, u), key_flags(&b, p, n, v));
		int want = m.v != n.v ? (m.v > n.v) - (m.v < n.v) : (u.v > v.v) - (u.v < v.v);

		ck_assert_int_eq((c > 0) - (c < 0), want);
	}
}
END_TEST

START_TEST(after_is_above_all_with_the_prefix)
{
	struct key k, lo, hi;
	struct pgen p = { { 1 }, 0xffffffff };
	struct key_parts parts = { .p = p, .table = TABLE_FLAGS, .mailbox = { UINT64_MAX } };
	struct span prefix = key_put_prefix(&lo, &parts, 1);
	struct span after = key_after(&hi, prefix);

	ck_assert_int_lt(span_cmp(key_flags(&k, p, parts.mailbox, (msg_uid){ UINT32_MAX }), after),
			 0);
	ck_assert_int_gt(span_cmp(after, prefix), 0);
	parts.mailbox.v = 7;
	after = key_after(&hi, key_put_prefix(&lo, &parts, 1));
	ck_assert(span_eq(after, (parts.mailbox.v = 8, key_put_prefix(&k, &parts, 1))));
}
END_TEST

START_TEST(log_keys)
{
	struct key k, l;
	partition_id p;
	log_seq s;
	struct span e = log_key_entry(&k, (partition_id){ 513 }, (log_seq){ 77 });

	ck_assert(log_key_entry_get(e, &p, &s));
	ck_assert_uint_eq(p.v, 513);
	ck_assert_uint_eq(s.v, 77);
	ck_assert(!log_key_entry_get(log_key_base(&l, p), &p, &s));
	ck_assert(!log_key_entry_get(span_of(e.at, e.bytes - 1), &p, &s));
	ck_assert_int_lt(span_cmp(log_key_base(&l, (partition_id){ 513 }), e), 0);
}
END_TEST

static struct flags_row rnd_flags(void)
{
	struct flags_row r = { .modseq = rnd_number(),
			       .size = (uint32_t)rnd_number(),
			       .system = rnd() % 32 };

	for (uint32_t slot = (uint32_t)(rnd() % 50); slot < MAILBOX_KEYWORDS_MAX;
	     slot += 1 + (uint32_t)(rnd() % 300))
		r.slots[r.count++] = (uint16_t)slot;
	return r;
}

START_TEST(flags_row_round_trip)
{
	uint8_t bytes[FLAGS_ROW_MAX_BYTES];

	for (int i = 0; i < 20000; i++) {
		struct flags_row r = rnd_flags(), back;
		size_t n = flags_row_put(bytes, &r);

		ck_assert_int_eq(flags_row_get(span_of(bytes, n), &back), OK);
		ck_assert_uint_eq(back.modseq, r.modseq);
		ck_assert_uint_eq(back.size, r.size);
		ck_assert_uint_eq(back.system, r.system);
		ck_assert_uint_eq(back.count, r.count);
		ck_assert_int_eq(memcmp(back.slots, r.slots, r.count * sizeof(r.slots[0])), 0);
		for (size_t cut = 0; cut < n; cut++)
			ck_assert_int_eq(flags_row_get(span_of(bytes, cut), &back), ERR_CORRUPT);
	}
}
END_TEST

START_TEST(flags_row_with_all_keywords_fits)
{
	static struct flags_row r = { .modseq = UINT64_MAX, .size = UINT32_MAX, .system = 31 };
	static struct flags_row back;
	uint8_t bytes[FLAGS_ROW_MAX_BYTES];

	for (r.count = 0; r.count < MAILBOX_KEYWORDS_MAX; r.count++)
		r.slots[r.count] = (uint16_t)r.count;
	size_t n = flags_row_put(bytes, &r);
	ck_assert_int_eq(flags_row_get(span_of(bytes, n), &back), OK);
	ck_assert_uint_eq(back.count, MAILBOX_KEYWORDS_MAX);
}
END_TEST

START_TEST(any_bytes_are_a_row_or_corrupt)
{
	uint8_t bytes[64];
	static struct flags_row f;
	struct candidate_row c;
	struct message_info m;
	struct arena a;

	arena_init(&a);
	for (int i = 0; i < 200000; i++) {
		size_t n = rnd() % sizeof(bytes);

		for (size_t j = 0; j < n; j++)
			bytes[j] = (uint8_t)(rnd() >> (rnd() % 8));
		flags_row_get(span_of(bytes, n), &f);
		candidate_row_get(span_of(bytes, n), &c);
		message_info_decode(span_of(bytes, n), &m);
		row_counters(span_of(bytes, n), &a);
		row_account(span_of(bytes, n), &a);
		arena_reset(&a);
	}
	arena_free(&a);
}
END_TEST

START_TEST(message_and_candidate_round_trip)
{
	struct message_info m = { .size = 123456789,
				  .internaldate = -5,
				  .zone = -330,
				  .savedate = INT64_MAX,
				  .thread = UINT64_MAX,
				  .chunks = 7,
				  .shape_chunks = 1 };
	struct message_info back;
	struct candidate_row c = { 1700000000, 3, 1 }, c2;
	uint8_t bytes[CANDIDATE_ROW_MAX_BYTES];
	struct buf b = { 0 };

	m.guid.b[0] = 0xff;
	message_info_put(&b, &m);
	ck_assert_int_eq(message_info_decode(buf_span(&b), &back), OK);
	ck_assert_int_eq(memcmp(&m, &back, sizeof(m)), 0);
	ck_assert_int_eq(candidate_row_get(span_of(bytes, candidate_row_put(bytes, &c)), &c2), OK);
	ck_assert_int_eq(c2.when, c.when);
	ck_assert_uint_eq(c2.chunks, 3);
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("storage_keys");
	TCase *t = tcase_create("keys and rows");

	tcase_add_test(t, key_round_trip);
	tcase_add_test(t, key_cut_or_long_is_refused);
	tcase_add_test(t, byte_order_is_number_order);
	tcase_add_test(t, after_is_above_all_with_the_prefix);
	tcase_add_test(t, log_keys);
	tcase_add_test(t, flags_row_round_trip);
	tcase_add_test(t, flags_row_with_all_keywords_fits);
	tcase_add_test(t, any_bytes_are_a_row_or_corrupt);
	tcase_add_test(t, message_and_candidate_round_trip);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
