/* test_read_search.c: SEARCH by a reader: each key by itself, then random programs, whose answers
 * must be what set algebra makes of the answers to their keys. */
#include "tests/unit/fake_store.h"
#include "tests/unit/mail_util.h"
#include "tests/unit/random.h"

#include "replication/reader.h"
#include "server/imap/search_program.h"
#include "server/mail/decode.h"
#include "storage/base/clock.h"

enum { MESSAGES = 300 };

struct box {
	struct mailbox_pages *pages;
	struct store *store;
	struct uidset recent;
};

struct answer {
	struct uidset uids;
	uint64_t highest, min, max;
	uint64_t looked_at;
};

static void never(void *data, struct search_node *n)
{
	(void)data;
	ck_assert_int_eq(n->key, SEARCH_UID);
}

static void encode_program(const char *text, struct buf *out)
{
	struct arena a;
	struct buf line = { 0 };
	struct search_program p = { 0 };

	arena_init(&a);
	buf_printf(&line, "%s\r\n", text);
	struct cursor c = cursor_of(buf_span(&line));
	ck_assert_msg(search_program_parse(&c, &a, &p) == PARSE_OK, "%s", text);
	if (strchr(text, '{') != NULL || strstr(text, "\xc3") != NULL)
		p.charset = span_str("UTF-8");
	search_program_each_set(&p, never, NULL);
	search_program_encode(&p, out);
	buf_free(&line);
	arena_free(&a);
}

/* `only`: 0, or 'm' for MIN, 'M' for MAX. */
static int search(struct box *b, const char *text, const struct uidset *view, char only,
		  struct answer *ret)
{
	Tm__Read read = TM__READ__INIT;
	Tm__SearchMessages what = TM__SEARCH_MESSAGES__INIT;
	struct buf program = { 0 }, uids = { 0 }, recent = { 0 };
	struct mailbox_pages *pin = pages_pin(b->pages);
	struct reader *r = NULL;
	Tm__ReadFrame f;
	bool needs;
	int more;

	encode_program(text, &program);
	uidset_encode(view, &uids);
	uidset_encode(&b->recent, &recent);
	what.program = (ProtobufCBinaryData){ program.bytes, (uint8_t *)program.at };
	what.uids = (ProtobufCBinaryData){ uids.bytes, (uint8_t *)uids.at };
	what.recent = (ProtobufCBinaryData){ recent.bytes, (uint8_t *)recent.at };
	what.only_min = only == 'm';
	what.only_max = only == 'M';
	read.what_case = TM__READ__WHAT_SEARCH;
	read.search = &what;
	ck_assert_int_eq(reader_needs_store(&read, &needs), OK);
	ck_assert_int_eq(reader_new(&pin, &read, needs ? b->store : NULL, (partition_id){ 0 }, &r),
			 OK);
	do {
		more = reader_next(r, &f);
		ck_assert(more <= 0 || f.search == NULL);
	} while (more > 0);
	if (more == 0) {
		ck_assert(f.end && f.search != NULL);
		ck_assert_int_eq(uidset_decode(span_of(f.search->uids.data, f.search->uids.len),
					       UINT32_MAX, &ret->uids),
				 OK);
		ret->highest = f.search->highest_modseq;
		ret->min = f.search->min_modseq;
		ret->max = f.search->max_modseq;
		ret->looked_at = reader_progress(r);
	}
	reader_free(&r);
	buf_free(&program);
	buf_free(&uids);
	buf_free(&recent);
	return more;
}

static void all_uids(struct uidset *ret)
{
	uidset_clear(ret);
	uidset_add_range(ret, 1, UINT32_MAX);
}

static void finds(struct box *b, const char *text, const char *want)
{
	struct uidset view = { 0 };
	struct answer a = { 0 };
	struct buf got = { 0 };

	all_uids(&view);
	ck_assert_int_eq(search(b, text, &view, 0, &a), 0);
	uidset_text(&a.uids, &got);
	ck_assert_msg(buf_is(&got, want), "%s: %s, not %s", text, buf_z(&got), want);
	buf_free(&got);
	uidset_free(&a.uids);
	uidset_free(&view);
}

static void flags(struct box *b, uint32_t uid, uint32_t system, int keyword)
{
	uint16_t slot = (uint16_t)keyword;
	struct flag_set s = { system, keyword >= 0, &slot };
	uint32_t set;

	ck_assert_int_eq(pages_intern(b->pages, s, &set), OK);
	ck_assert_int_eq(pages_set_flags(b->pages, uid, set, 1000 + uid), OK);
}

static void add(struct box *b, uint32_t uid, const char *text, int64_t date)
{
	struct buf m = mail_text(text);
	struct fake_message *f = fake_add(b->store, b->pages, uid, buf_span(&m));

	f->info.internaldate = date;
	f->info.savedate = date + 86400;
	buf_free(&m);
}

static const int64_t noon = 1700049600; /* 15-Nov-2023 12:00:00 UTC */

static void box_open(struct box *b)
{
	b->pages = pages_new((mailbox_id){ 1 }, 1);
	b->store = fake_store_new();
	b->recent = (struct uidset){ 0 };
}

static void box_close(struct box *b)
{
	pages_drop(&b->pages);
	fake_store_free(b->store);
	uidset_free(&b->recent);
}

static void box_five(struct box *b)
{
	box_open(b);
	ck_assert_int_eq(pages_set_keyword(b->pages, 0, span_str("Work")), OK);
	ck_assert_int_eq(pages_set_keyword(b->pages, 1, span_str("play")), OK);
	add(b, 1,
	    "From: Anna <anna@x.example>\nSubject: first light\n"
	    "Date: Mon, 13 Nov 2023 23:30:00 -0500\n\nthe quick fox\n",
	    noon);
	add(b, 2,
	    "From: bert@y.example\nTo: anna@x.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\n"
	    "a lazy dog\n",
	    noon + 86400);
	add(b, 3, "From: carl@z.example\nX-Empty:\n\nnothing\n", noon - 86400);
	add(b, 6,
	    "Subject: multi\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
	    "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
	    "aGlkZGVuIHdvcmRz\n--b--\n",
	    noon + 3 * 86400);
	add(b, 9, "Subject: big\n\n0123456789012345678901234567890123456789012345678901234567890\n",
	    clock_real_seconds() - 1000);
	flags(b, 1, FLAG_SEEN | FLAG_ANSWERED, 0);
	flags(b, 3, FLAG_DELETED, 1);
	flags(b, 6, FLAG_FLAGGED | FLAG_DRAFT, -1);
	uidset_add_range(&b->recent, 6, 9);
}

START_TEST(keys)
{
	struct box b;

	box_five(&b);
	finds(&b, "ALL", "1:3,6,9");
	finds(&b, "SEEN", "1");
	finds(&b, "UNSEEN", "2:3,6,9");
	finds(&b, "ANSWERED", "1");
	finds(&b, "DELETED", "3");
	finds(&b, "UNDELETED FLAGGED DRAFT", "6");
	finds(&b, "KEYWORD work", "1");
	finds(&b, "UNKEYWORD PLAY", "1:2,6,9");
	finds(&b, "KEYWORD never", "");
	finds(&b, "UNKEYWORD never", "1:3,6,9");
	finds(&b, "NEW", "6,9");
	finds(&b, "OLD", "1:3");
	finds(&b, "RECENT", "6,9");
	finds(&b, "UID 2:6", "2:3,6");
	finds(&b, "NOT UID 2:6", "1,9");
	finds(&b, "MODSEQ 1003", "3,6");
	finds(&b, "MODSEQ 1003 UNDELETED", "6");
	finds(&b, "OR MODSEQ 1003 SEEN", "1,3,6");
	finds(&b, "LARGER 150", "6");
	finds(&b, "SMALLER 60", "3");
	finds(&b, "BEFORE 15-Nov-2023", "3");
	finds(&b, "ON 15-Nov-2023", "1");
	finds(&b, "SINCE 16-Nov-2023", "2,6,9");
	finds(&b, "SAVEDON 16-Nov-2023", "1");
	finds(&b, "SAVEDBEFORE 16-Nov-2023", "3");
	finds(&b, "SENTON 13-Nov-2023", "1"); /* without regard to the zone */
	finds(&b, "SENTSINCE 1-Jan-2000", "1");
	finds(&b, "SENTBEFORE 1-Jan-2000", "");
	finds(&b, "YOUNGER 2000", "9");
	finds(&b, "OLDER 2000", "1:3,6");
	finds(&b, "FROM anna", "1");
	finds(&b, "TO ANNA", "2");
	finds(&b, "SUBJECT \"FIRST light\"", "1");
	finds(&b, "HEADER X-Empty \"\"", "3");
	finds(&b, "BODY \"lazy DOG\"", "2");
	finds(&b, "BODY hidden", "6");
	finds(&b, "TEXT carl", "3");
	finds(&b,
	      "SUBJECT {5+}\r\n\xc3\xbc\xc3\x9f"
	      "e",
	      "2");
	finds(&b, "EMAILID M02000000000000000000000000000000", "2");
	finds(&b, "EMAILID M02", "");
	finds(&b, "THREADID Tabc0000000000009", "9");
	finds(&b, "OR SEEN BODY hidden", "1,6");
	finds(&b, "NOT (OR SEEN BODY hidden)", "2:3,9");
	box_close(&b);
}
END_TEST

START_TEST(only_the_view_is_searched)
{
	struct box b;
	struct uidset view = { 0 };
	struct answer a = { 0 };

	box_five(&b);
	uidset_add_range(&view, 2, 3);
	uidset_add_range(&view, 7, 8); /* told, but gone */
	ck_assert_int_eq(search(&b, "ALL", &view, 0, &a), 0);
	ck_assert_uint_eq(uidset_size(&a.uids), 2);
	ck_assert_uint_eq(uidset_max(&a.uids), 3);
	uidset_free(&view);
	uidset_free(&a.uids);
	box_close(&b);
}
END_TEST

START_TEST(the_store_is_not_asked_without_need)
{
	struct box b;

	box_five(&b);
	finds(&b, "SEEN BODY fox", "1"); /* one row, one shape */
	ck_assert_uint_eq(b.store->rows_read, 1);
	finds(&b, "OR (UNSEEN) (SEEN)", "1:3,6,9");
	finds(&b, "OR ALL BODY x", "1:3,6,9");
	finds(&b, "DELETED SEEN BODY x", "");
	ck_assert_uint_eq(b.store->rows_read, 1);
	b.store->at[2].gone = true;
	b.store->at[6].no_shape = true;
	finds(&b, "NOT BODY fox", "3,9"); /* what is gone is nowhere */
	finds(&b, "NOT BEFORE 1-Jan-2000", "1,3,6,9");
	finds(&b, "UNSEEN", "2:3,6,9"); /* the pin's word */
	box_close(&b);
}
END_TEST

/* RFC 7162, 3.1.5 and RFC 4731, 3.2. */
START_TEST(modseqs_of_what_was_found)
{
	struct box b;
	struct uidset view = { 0 };
	struct answer a = { 0 };

	box_five(&b);
	all_uids(&view);
	ck_assert_int_eq(search(&b, "MODSEQ 1 OR UID 3 UID 9", &view, 0, &a), 0);
	ck_assert_uint_eq(a.highest, 1003);
	ck_assert_uint_eq(a.min, 1003);
	ck_assert_uint_eq(a.max, 10);
	ck_assert_int_eq(search(&b, "MODSEQ 5000", &view, 0, &a), 0);
	ck_assert_uint_eq(a.uids.count + a.highest + a.min + a.max, 0);
	uidset_free(&a.uids);
	uidset_free(&view);
	box_close(&b);
}
END_TEST

static void box_many(struct box *b, struct test_random *r)
{
	static const char *const words[] = { "apple", "pear", "plum", "fig" };

	box_open(b);
	ck_assert_int_eq(pages_set_keyword(b->pages, 0, span_str("k0")), OK);
	for (uint32_t i = 1, uid = 1; i <= MESSAGES; i++, uid += 1 + random_below(r, 3)) {
		char text[200];

		snprintf(text, sizeof(text),
			 "Subject: %s\nDate: %u Nov 2023 10:00:00 +0000\n\n%s %s\n",
			 words[random_below(r, 4)], 1 + random_below(r, 28),
			 words[random_below(r, 4)], words[random_below(r, 4)]);
		add(b, uid, text, noon + (int64_t)random_below(r, 20) * 86400);
		flags(b, uid, random_below(r, 32), (int)random_below(r, 2) - 1);
		b->store->at[uid].gone = random_below(r, 20) == 0;
	}
	uidset_add_range(&b->recent, 100, 200);
}

START_TEST(minimum_and_maximum_end_early)
{
	struct test_random r = random_start("read_search");
	static const char *const programs[] = { "SUBJECT fig", "BODY plum SEEN", "FLAGGED",
						"NOT TEXT apple", "BODY nowhere" };
	struct box b;
	struct uidset view = { 0 };

	box_many(&b, &r);
	all_uids(&view);
	for (size_t i = 0; i < 5; i++) {
		struct answer all = { 0 }, min = { 0 }, max = { 0 };

		ck_assert_int_eq(search(&b, programs[i], &view, 0, &all), 0);
		uint32_t rows = b.store->rows_read;
		ck_assert_int_eq(search(&b, programs[i], &view, 'm', &min), 0);
		ck_assert_int_eq(search(&b, programs[i], &view, 'M', &max), 0);
		if (i == 0)
			ck_assert_uint_lt(b.store->rows_read - rows, rows);
		ck_assert_uint_eq(uidset_min(&min.uids), uidset_min(&all.uids));
		ck_assert_uint_eq(uidset_max(&max.uids), uidset_max(&all.uids));
		ck_assert_uint_eq(min.min, all.min);
		ck_assert_uint_eq(max.max, all.max);
		uidset_free(&all.uids);
		uidset_free(&min.uids);
		uidset_free(&max.uids);
	}
	uidset_free(&view);
	box_close(&b);
}
END_TEST

/* ---- random programs ---- */

static const char *const leaves[] = {
	"SEEN",           "FLAGGED",
	"KEYWORD k0",     "RECENT",
	"UID 50:250",     "MODSEQ 1150",
	"LARGER 61",      "SINCE 25-Nov-2023",
	"ON 20-Nov-2023", "SENTBEFORE 10-Nov-2023",
	"SUBJECT fig",    "BODY plum",
	"TEXT pear",      "ALL",
};
enum { LEAVES = sizeof(leaves) / sizeof(leaves[0]) };

struct made {
	struct buf text;
	struct uidset want;
};

static void make(struct test_random *r, const struct uidset *alone, const struct uidset *all,
		 unsigned depth, struct made *ret)
{
	struct made x = { 0 }, y = { 0 };
	uint32_t kind = depth == 0 ? 0 : random_below(r, 4);
	uint32_t leaf = random_below(r, LEAVES);

	if (kind == 0) {
		buf_puts(&ret->text, leaves[leaf]);
		uidset_copy(&ret->want, &alone[leaf]);
		return;
	}
	make(r, alone, all, depth - 1, &x);
	if (kind == 1) {
		buf_printf(&ret->text, "NOT (%s)", buf_z(&x.text));
		uidset_copy(&ret->want, all);
		uidset_subtract(&ret->want, &x.want);
	} else {
		make(r, alone, all, depth - 1, &y);
		buf_printf(&ret->text, kind == 2 ? "OR (%s) (%s)" : "(%s %s)", buf_z(&x.text),
			   buf_z(&y.text));
		uidset_copy(&ret->want, &x.want);
		if (kind == 2)
			uidset_union(&ret->want, &y.want);
		else
			uidset_intersect(&ret->want, &y.want);
	}
	buf_free(&x.text);
	buf_free(&y.text);
	uidset_free(&x.want);
	uidset_free(&y.want);
}

START_TEST(programs_are_set_algebra)
{
	struct test_random r = random_start("read_search");
	struct box b;
	struct uidset view = { 0 }, all = { 0 }, alone[LEAVES] = { { 0 } };
	struct answer a = { 0 };

	box_many(&b, &r);
	for (uint32_t uid = 1; uid <= FAKE_MESSAGES_MAX; uid++)
		b.store->at[uid].gone = false;
	all_uids(&view);
	pages_uids(b.pages, 1, &all);
	for (int i = 0; i < LEAVES; i++) {
		ck_assert_int_eq(search(&b, leaves[i], &view, 0, &a), 0);
		uidset_copy(&alone[i], &a.uids);
		ck_assert_msg(a.uids.count > 0, "%s finds nothing", leaves[i]);
	}
	for (int i = 0; i < 60; i++) {
		struct made m = { 0 };

		make(&r, alone, &all, 3, &m);
		ck_assert_int_eq(search(&b, buf_z(&m.text), &view, 0, &a), 0);
		ck_assert_msg(uidset_eq(&a.uids, &m.want), "%s", buf_z(&m.text));
		buf_free(&m.text);
		uidset_free(&m.want);
	}
	for (int i = 0; i < LEAVES; i++)
		uidset_free(&alone[i]);
	uidset_free(&a.uids);
	uidset_free(&all);
	uidset_free(&view);
	box_close(&b);
}
END_TEST

START_TEST(any_single_store_call_may_fail)
{
	struct box b;
	struct uidset view = { 0 };
	struct answer a = { 0 };

	box_five(&b);
	all_uids(&view);
	for (uint32_t nth = 1;; nth++) {
		b.store->calls = 0;
		b.store->fail_at = nth;
		int rc = search(&b, "OR SENTON 1-Jan-1999 TEXT nowhere", &view, 0, &a);
		bool all = b.store->calls < nth;

		ck_assert_int_eq(rc, all ? 0 : ERR_IO);
		if (all)
			break;
	}
	ck_assert_uint_gt(b.store->calls, 8);
	uidset_free(&a.uids);
	uidset_free(&view);
	box_close(&b);
}
END_TEST

START_TEST(bad_bytes_are_refused)
{
	struct box b;
	Tm__Read read = TM__READ__INIT;
	Tm__SearchMessages what = TM__SEARCH_MESSAGES__INIT;
	struct reader *r = NULL;
	struct mailbox_pages *pin;
	uint8_t rubbish[] = { 0xff, 0xff, 0xff };
	struct buf program = { 0 };
	bool needs;

	box_open(&b);
	encode_program("ALL", &program);
	read.what_case = TM__READ__WHAT_SEARCH;
	read.search = &what;
	ProtobufCBinaryData *d[] = { &what.program, &what.uids, &what.recent };
	for (int i = 0; i < 3; i++) {
		what.program = (ProtobufCBinaryData){ program.bytes, (uint8_t *)program.at };
		what.uids = what.recent = (ProtobufCBinaryData){ 0 };
		*d[i] = (ProtobufCBinaryData){ sizeof(rubbish), rubbish };
		pin = pages_pin(b.pages);
		ck_assert_int_eq(reader_new(&pin, &read, b.store, (partition_id){ 0 }, &r),
				 ERR_BAD_INPUT);
		if (i == 0)
			ck_assert_int_eq(reader_needs_store(&read, &needs), ERR_BAD_INPUT);
	}
	ck_assert_uint_eq(atomic_load(&b.pages->refs), 1);
	buf_free(&program);
	box_close(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("read_search");
	TCase *t = tcase_create("read_search");
	SRunner *r;
	int failed;

	mail_init();
	tcase_set_timeout(t, 60);
	tcase_add_test(t, keys);
	tcase_add_test(t, only_the_view_is_searched);
	tcase_add_test(t, the_store_is_not_asked_without_need);
	tcase_add_test(t, modseqs_of_what_was_found);
	tcase_add_test(t, minimum_and_maximum_end_early);
	tcase_add_test(t, programs_are_set_algebra);
	tcase_add_test(t, any_single_store_call_may_fail);
	tcase_add_test(t, bad_bytes_are_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
