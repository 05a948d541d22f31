/* test_imap_wire.c: what SEARCH and FETCH ask for, encoded and decoded again; damaged bytes are
 * refused. */
#include "tests/unit/imap_dump.h"
#include "tests/unit/random.h"

#include "server/imap/command_table.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <check.h>

static void parse(const char *in, struct arena *a, struct imap_command *cmd)
{
	const char *why = "";

	ck_assert_msg(command_parse(span_str(in), a, cmd, &why) == PARSE_OK, "%s: %s", in, why);
}

/* Numbers mean UIDs ten higher, "*" is 99, "$" is 7. */
static void resolve(void *data, struct search_node *node)
{
	struct uidset numbers = { 0 }, uids = { 0 };

	if (node->set.saved)
		uidset_add(&uids, 7);
	else
		seq_set_resolve(&node->set, 99, &numbers);
	for (uint32_t i = 0; i < numbers.count; i++)
		uidset_add_range(&uids, numbers.at[i].lo + 10, numbers.at[i].hi + 10);
	node->key = SEARCH_UID;
	seq_set_from_uids(&uids, data, &node->set);
	uidset_free(&numbers);
	uidset_free(&uids);
}

static const char *const searches[] = {
	"a SEARCH ALL\r\n",
	"a SEARCH 1:3,* $ UID 7 NEW OLD\r\n",
	"a SEARCH CHARSET UTF-8 OR SUBJECT \"x y\" OR BODY \"\" NOT (FLAGGED KEYWORD x)\r\n",
	"a SEARCH BEFORE 1-Jan-1960 SINCE 1-Jan-1999 SENTON 1-Jan-1970 SAVEDATESUPPORTED\r\n",
	"a SEARCH LARGER 7 SMALLER 9223372036854775807 MODSEQ 1 OLDER 5 YOUNGER 4294967295\r\n",
	"a SEARCH EMAILID M1 THREADID T1 TEXT t HEADER h v\r\n",
};

static void encode_search(const char *in, struct arena *a, struct buf *bytes, struct buf *dump)
{
	struct imap_command cmd;

	parse(in, a, &cmd);
	search_program_each_set(&cmd.u.search.program, resolve, a);
	dump_search(dump, cmd.u.search.program.root);
	search_program_encode(&cmd.u.search.program, bytes);
}

START_TEST(searches_both_ways)
{
	for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
		struct buf bytes = { 0 }, want = { 0 }, got = { 0 };
		struct search_program p;
		struct arena a;

		arena_init(&a);
		encode_search(searches[i], &a, &bytes, &want);
		ck_assert_int_eq(search_program_decode(buf_span(&bytes), &a, &p), OK);
		dump_search(&got, p.root);
		ck_assert(span_eq(buf_span(&got), buf_span(&want)));
		ck_assert_uint_eq(p.charset.bytes, i == 2 ? 5 : 0);
		for (size_t n = 0; n < bytes.bytes; n++)
			ck_assert_int_eq(search_program_decode(span_of(bytes.at, n), &a, &p),
					 ERR_CORRUPT);
		buf_putc(&bytes, 0);
		ck_assert_int_eq(search_program_decode(buf_span(&bytes), &a, &p), ERR_CORRUPT);
		buf_free(&bytes);
		buf_free(&want);
		buf_free(&got);
		arena_free(&a);
	}
}
END_TEST

/* The largest programs that the grammar takes can be encoded and decoded. */
START_TEST(large_searches)
{
	struct buf in = { 0 };

	for (int kind = 0; kind < 2; kind++) {
		struct buf bytes = { 0 }, want = { 0 };
		struct search_program p;
		struct arena a;

		arena_init(&a);
		buf_reset(&in);
		buf_puts(&in, "a SEARCH ");
		for (int i = 0; kind == 0 && i < SEARCH_NESTING_MAX_LEVELS; i++)
			buf_puts(&in, "NOT ");
		for (int i = 0; kind == 1 && i < SEARCH_KEYS_MAX - 2; i++)
			buf_puts(&in, "ALL ");
		buf_puts(&in, "NEW\r\n");
		buf_putc(&in, '\0');
		encode_search(in.at, &a, &bytes, &want);
		ck_assert_int_eq(search_program_decode(buf_span(&bytes), &a, &p), OK);
		arena_free(&a);
		buf_free(&bytes);
		buf_free(&want);
	}
	buf_free(&in);
}
END_TEST

static int decode_search_bytes(const uint8_t *at, size_t bytes)
{
	struct search_program p;
	struct arena a;

	arena_init(&a);
	int rc = search_program_decode(span_of(at, bytes), &a, &p);
	arena_free(&a);
	return rc;
}

START_TEST(damaged_searches)
{
	static const uint8_t seq[] = { 0, SEARCH_SEQ, 0 }, unknown[] = { 0, SEARCH_KEY_COUNT },
			     not_two[] = { 0, SEARCH_NOT, 2, SEARCH_ALL, SEARCH_ALL },
			     or_one[] = { 0, SEARCH_OR, 1, SEARCH_ALL },
			     flag_two[] = { 0, SEARCH_FLAG, 3 },
			     flag_none[] = { 0, SEARCH_FLAG, 0 },
			     flag_new[] = { 0, SEARCH_FLAG, 32 },
			     set[] = { 0, SEARCH_UID, 2, 1, 5 };

	ck_assert_int_eq(decode_search_bytes(seq, sizeof(seq)), ERR_CORRUPT);
	ck_assert_int_eq(decode_search_bytes(unknown, sizeof(unknown)), ERR_CORRUPT);
	ck_assert_int_eq(decode_search_bytes(not_two, sizeof(not_two)), ERR_CORRUPT);
	ck_assert_int_eq(decode_search_bytes(or_one, sizeof(or_one)), ERR_CORRUPT);
	ck_assert_int_eq(decode_search_bytes(flag_two, sizeof(flag_two)), ERR_CORRUPT);
	ck_assert_int_eq(decode_search_bytes(flag_none, sizeof(flag_none)), ERR_CORRUPT);
	ck_assert_int_eq(decode_search_bytes(flag_new, sizeof(flag_new)), ERR_CORRUPT);
	ck_assert_int_eq(decode_search_bytes(set, sizeof(set)), ERR_CORRUPT);

	struct buf deep = { 0 };
	buf_putc(&deep, 0);
	for (int i = 0; i < 100000; i++) {
		buf_putc(&deep, SEARCH_NOT);
		buf_putc(&deep, 1);
	}
	ck_assert_int_eq(decode_search_bytes((const uint8_t *)deep.at, deep.bytes), ERR_CORRUPT);
	buf_free(&deep);
}
END_TEST

START_TEST(questions_about_searches)
{
	struct imap_command cmd;
	struct arena a;

	arena_init(&a);
	parse("a SEARCH NOT (OR $ (MODSEQ 5)) UID 4\r\n", &a, &cmd);
	ck_assert(search_program_has(&cmd.u.search.program, SEARCH_MODSEQ));
	ck_assert(!search_program_has(&cmd.u.search.program, SEARCH_TEXT));
	ck_assert(search_program_has_saved(&cmd.u.search.program));
	ck_assert(!search_program_has_seqnos(&cmd.u.search.program));
	parse("a SEARCH NOT (OR ALL (ALL 4))\r\n", &a, &cmd);
	ck_assert(!search_program_has_saved(&cmd.u.search.program));
	ck_assert(search_program_has_seqnos(&cmd.u.search.program));
	parse("a SEARCH UID $\r\n", &a, &cmd);
	ck_assert(search_program_has_saved(&cmd.u.search.program));
	arena_free(&a);
}
END_TEST

static const char *const fetches[] = {
	"a FETCH 1 FULL\r\n",
	"a FETCH 1 (UID MODSEQ EMAILID THREADID SAVEDATE BODYSTRUCTURE)\r\n",
	"a FETCH 1 (RFC822 RFC822.TEXT RFC822.HEADER BODY.PEEK[1.2.3.MIME]<4.4294967295>)\r\n",
	"a FETCH 1 (BODY[HEADER.FIELDS (a \"b c\")] BODY.PEEK[7.HEADER.FIELDS.NOT (x)])\r\n",
};

START_TEST(fetches_both_ways)
{
	for (size_t i = 0; i < sizeof(fetches) / sizeof(fetches[0]); i++) {
		struct buf bytes = { 0 }, want = { 0 }, got = { 0 };
		struct fetch_items items;
		struct imap_command cmd;
		struct arena a;

		arena_init(&a);
		parse(fetches[i], &a, &cmd);
		dump_fetch_items(&want, &cmd.u.fetch.items);
		fetch_items_encode(&cmd.u.fetch.items, &bytes);
		ck_assert_int_eq(fetch_items_decode(buf_span(&bytes), &a, &items), OK);
		dump_fetch_items(&got, &items);
		ck_assert(span_eq(buf_span(&got), buf_span(&want)));
		ck_assert_int_eq(fetch_items_set_seen(&items), i >= 2);
		for (size_t n = 0; n < bytes.bytes; n++)
			ck_assert_int_eq(fetch_items_decode(span_of(bytes.at, n), &a, &items),
					 ERR_CORRUPT);
		buf_putc(&bytes, 0);
		ck_assert_int_eq(fetch_items_decode(buf_span(&bytes), &a, &items), ERR_CORRUPT);
		buf_free(&bytes);
		buf_free(&want);
		buf_free(&got);
		arena_free(&a);
	}
}
END_TEST

/* Any change of a byte is refused or means something that can be encoded. */
START_TEST(damaged_bytes)
{
	struct test_random r = random_start("damaged_bytes");

	for (int i = 0; i < 20000; i++) {
		struct buf bytes = { 0 }, dump = { 0 };
		struct imap_command cmd;
		struct fetch_items items;
		struct search_program p;
		struct arena a;

		arena_init(&a);
		parse(fetches[i % 4], &a, &cmd);
		fetch_items_encode(&cmd.u.fetch.items, &bytes);
		bytes.at[random_u64(&r) % bytes.bytes] = (char)random_u64(&r);
		if (fetch_items_decode(buf_span(&bytes), &a, &items) == OK)
			dump_fetch_items(&dump, &items);
		buf_reset(&bytes);
		encode_search(searches[i % 6], &a, &bytes, &dump);
		bytes.at[random_u64(&r) % bytes.bytes] = (char)random_u64(&r);
		if (search_program_decode(buf_span(&bytes), &a, &p) == OK)
			search_program_encode(&p, &dump);
		buf_free(&bytes);
		buf_free(&dump);
		arena_free(&a);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap_wire");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, searches_both_ways);
	tcase_add_test(t, large_searches);
	tcase_add_test(t, damaged_searches);
	tcase_add_test(t, questions_about_searches);
	tcase_add_test(t, fetches_both_ways);
	tcase_add_test(t, damaged_bytes);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
