/* SEARCH's substrings: folding, cuts, and where in a message they are looked for. */
#include "tests/unit/mail_util.h"

#include "server/mail/decode.h"
#include "server/mail/text_match.h"
#include "storage/base/err.h"

static struct text_needle *needle_of(const char *text)
{
	struct text_needle *n = NULL;

	ck_assert_int_eq(text_needle_new(span_str(text), &n), OK);
	return n;
}

static const struct {
	const char *text;
	const char *needle;
	bool found;
} matches[] = {
	{ "Hello World", "o w", true },
	{ "Hello World", "O W", true },
	{ "Hello World", "o  w", false },
	{ "Hello", "hello!", false },
	{ "anything", "", true },
	{ "", "", true },
	{ "", "a", false },
	{ "caf\303\251", "CAF\303\211", true },  /* E with acute, composed */
	{ "cafe\314\201", "caf\303\251", true }, /* decomposed and composed */
	{ "caf\303\251", "cafe\314\201", true },
	{ "stra\303\237e", "STRASSE", true }, /* sharp s */
	{ "\316\243\316\277\317\206\316\277\317\202", "\317\203\316\277\317\206\316\277\317\203",
	  true },
	{ "\357\274\241\357\274\242", "ab", true },         /* full width */
	{ "\357\254\201n", "fin", true },                   /* the fi ligature */
	{ "q\314\243\314\207", "q\314\207\314\243", true }, /* marks in another order */
	{ "\320\237\321\200\320\270\320\262\320\265\321\202", "\320\277\321\200\320\230", true },
	{ "\346\227\245\346\234\254\350\252\236", "\346\234\254", true },
	{ "\346\227\245\346\234\254\350\252\236", "\346\227\246", false },
	{ "aaab", "aab", true },
};

static void check_cuts(const struct text_needle *n, const char *text, bool found)
{
	size_t bytes = strlen(text);

	for (size_t cut = 1; cut < 6; cut++) {
		struct text_match *m = text_match_new(n);
		for (size_t at = 0; at < bytes;) {
			size_t to = at + cut < bytes ? at + cut : bytes;
			while (to < bytes && ((unsigned char)text[to] & 0xc0) == 0x80)
				to++; /* not inside a character */
			text_match_feed(m, span_of(text + at, to - at));
			at = to;
		}
		ck_assert_msg(text_match_finish(m) == found, "%s by %zu", text, cut);
		ck_assert_int_eq(text_match_feed(m, span_str("x")) && !found, 0);
		text_match_free(&m);
		ck_assert_ptr_null(m);
		text_match_free(&m);
	}
}

START_TEST(text_is_folded_and_cuts_do_not_matter)
{
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		struct text_needle *n = needle_of(matches[i].needle);

		ck_assert_msg(text_needle_in(n, span_str(matches[i].text)) == matches[i].found,
			      "%s in %s", matches[i].needle, matches[i].text);
		check_cuts(n, matches[i].text, matches[i].found);
		text_needle_free(&n);
		ck_assert_ptr_null(n);
		text_needle_free(&n);
	}
}
END_TEST

START_TEST(a_needle_must_be_utf8)
{
	struct text_needle *n = NULL;

	ck_assert_int_eq(text_needle_new(span_str("\351"), &n), ERR_BAD_INPUT);
	ck_assert_int_eq(text_needle_new(span_of("a\0b", 3), &n), ERR_BAD_INPUT);
	ck_assert_ptr_null(n);
}
END_TEST

START_TEST(endless_marks_are_not_held)
{
	struct text_needle *n = needle_of("end");
	struct text_match *m = text_match_new(n);

	for (int i = 0; i < 100000; i++)
		text_match_feed(m, span_str("\314\201"));
	ck_assert(!text_match_feed(m, span_str("\377")));
	ck_assert(text_match_feed(m, span_str("the end")));
	ck_assert(text_match_feed(m, span_str("")));
	text_match_free(&m);
	text_needle_free(&n);
}
END_TEST

static int read_buf(void *data, uint64_t offset, size_t bytes, struct buf *out)
{
	const struct buf *m = data;

	if (bytes == 0 || offset + bytes > m->bytes)
		return ERR_IO;
	buf_put(out, m->at + offset, bytes);
	return OK;
}

static int read_short(void *data, uint64_t offset, size_t bytes, struct buf *out)
{
	(void)offset;
	buf_put(out, ((const struct buf *)data)->at, bytes / 2);
	return OK;
}

static int read_failing(void *data, uint64_t offset, size_t bytes, struct buf *out)
{
	(void)data;
	(void)offset;
	(void)bytes;
	(void)out;
	return ERR_IO;
}

static const char mail[] = "Subject: =?utf-8?q?Caf=C3=A9_au?=\n lait\n"
			   "From: \"Somebody\" <who@example.org>\n"
			   "X-Empty:\n"
			   "X-Twice: one\n"
			   "X-Twice : two\n"
			   "Content-Type: multipart/mixed; boundary=x\n"
			   "\n"
			   "preamble\n"
			   "--x\n"
			   "Content-Type: text/plain; charset=utf-8\n"
			   "Content-Transfer-Encoding: base64\n"
			   "\n"
			   "SW4gYmFzZTY0IGhpZGRlbg==\n"
			   "--x\n"
			   "Content-Type: image/png; name=picture.png\n"
			   "\n"
			   "pixels\n"
			   "--x\n"
			   "Content-Type: message/rfc822\n"
			   "\n"
			   "Subject: forwarded\n"
			   "\n"
			   "inner text\n"
			   "--x--\n"
			   "epilogue\n";

enum where { HEADER = 1, BODY = 2, TEXT = 4 };

/* Which of HEADER <name>, BODY, TEXT find it. */
static const struct {
	const char *name;
	const char *needle;
	unsigned where;
} searches[] = {
	{ "subject", "caf\303\251 au LAIT", HEADER | TEXT },
	{ "Subject", "subject", TEXT | BODY }, /* BODY: the forwarded one's */
	{ "from", "SOMEBODY", HEADER | TEXT },
	{ "from", "who@example", HEADER | TEXT },
	{ "to", "", BODY | TEXT },
	{ "X-Empty", "", HEADER | BODY | TEXT },
	{ "x-empty", "x", BODY | TEXT },
	{ "X-Twice", "one", HEADER | TEXT },
	{ "X-Twice", "two", HEADER | TEXT },
	{ "X-Twice", "x-twice", TEXT },
	{ "", "x", BODY | TEXT },
	{ "subject", "base64 hidden", BODY | TEXT },
	{ "subject", "SW4gYmFzZTY0", 0 },
	{ "subject", "pixels", 0 },
	{ "subject", "picture.png", BODY | TEXT },
	{ "subject", "forwarded", BODY | TEXT },
	{ "subject", "inner text", BODY | TEXT },
	{ "subject", "preamble", 0 },
	{ "subject", "epilogue", 0 },
	{ "subject", "somebody", TEXT },
	{ "subject", "nowhere", 0 },
};

static unsigned search_all(const struct mail_source *m, const char *name, const char *needle)
{
	struct text_needle *n = needle_of(needle);
	bool header = false;
	bool body = false;
	bool text = false;

	ck_assert_int_eq(mail_search_header(m, span_str(name), n, &header), OK);
	ck_assert_int_eq(mail_search_body(m, n, &body), OK);
	ck_assert_int_eq(mail_search_text(m, n, &text), OK);
	text_needle_free(&n);
	return (header ? HEADER : 0U) | (body ? BODY : 0U) | (text ? TEXT : 0U);
}

START_TEST(where_search_looks)
{
	struct buf m = mail_text(mail);
	struct arena a;

	arena_init(&a);
	struct mail_source source = { mime_scan_whole(&a, buf_span(&m)), read_buf, &m };
	for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
		unsigned where = search_all(&source, searches[i].name, searches[i].needle);
		ck_assert_msg(where == searches[i].where, "%s %s: %u", searches[i].name,
			      searches[i].needle, where);
	}
	arena_free(&a);
	buf_free(&m);
}
END_TEST

START_TEST(failing_reads_are_handed_on)
{
	struct buf m = mail_text(mail);
	struct text_needle *n = needle_of("nowhere");
	struct arena a;
	bool found = true;

	arena_init(&a);
	struct mail_source source = { mime_scan_whole(&a, buf_span(&m)), read_failing, &m };
	ck_assert_int_eq(mail_search_header(&source, span_str("subject"), n, &found), ERR_IO);
	ck_assert_int_eq(mail_search_body(&source, n, &found), ERR_IO);
	ck_assert_int_eq(mail_search_text(&source, n, &found), ERR_IO);
	source.read = read_short;
	ck_assert_int_eq(mail_search_text(&source, n, &found), ERR_CORRUPT);
	ck_assert(found); /* untouched */

	struct buf flat = mail_text("\nno parts");
	source = (struct mail_source){ mime_scan_whole(&a, buf_span(&flat)), read_short, &flat };
	ck_assert_int_eq(mail_search_body(&source, n, &found), ERR_CORRUPT);
	buf_free(&flat);
	text_needle_free(&n);
	arena_free(&a);
	buf_free(&m);
}
END_TEST

/* A header, a field and a text that are larger than any slice. */
START_TEST(large_mail_is_searched_in_slices)
{
	struct buf m = { 0 };
	struct arena a;

	for (int i = 0; i < 20000; i++)
		buf_puts(&m, "X-Filler: some more bytes\r\n");
	buf_puts(&m, "Subject: last");
	for (int i = 0; i < 20000; i++)
		buf_puts(&m, "\r\n folded filler");
	buf_puts(&m, "\r\nX-After: behind\r\n\r\n");
	for (int i = 0; i < 20000; i++)
		buf_puts(&m, "filler text\r\n");
	buf_puts(&m, "needle\r\nin the hay");

	arena_init(&a);
	struct mail_source source = { mime_scan_whole(&a, buf_span(&m)), read_buf, &m };
	ck_assert_uint_eq(search_all(&source, "subject", "last"), HEADER | TEXT);
	ck_assert_uint_eq(search_all(&source, "x-after", "behind"), HEADER | TEXT);
	ck_assert_uint_eq(search_all(&source, "x-after", "needle\r\nin the hay"), BODY | TEXT);
	ck_assert_uint_eq(search_all(&source, "x-after", "text\r\nneedle"), BODY | TEXT);
	ck_assert_uint_eq(search_all(&source, "x-after", "nowhere"), 0);
	arena_free(&a);
	buf_free(&m);
}
END_TEST

START_TEST(a_multipart_without_parts_is_text)
{
	struct buf m = mail_text("Content-Type: multipart/mixed\n\nlost text\n");
	struct arena a;

	arena_init(&a);
	struct mail_source source = { mime_scan_whole(&a, buf_span(&m)), read_buf, &m };
	ck_assert_uint_eq(search_all(&source, "x", "lost text"), BODY | TEXT);
	arena_free(&a);
	buf_free(&m);
}
END_TEST

/* Words that a person sees in the mails of others. */
START_TEST(words_in_the_mails_of_others)
{
	static const struct {
		const char *path;
		const char *needle;
	} words[] = {
		{ "tests/mail/multi_charset/japanese.eml", "\343\201\276\343\201\277\343\202\200" },
		{ "tests/mail/multi_charset/japanese.eml",
		  "\343\201\213\343\201\215\343\201\217\343\201\210\343\201\223" },
		{ "tests/mail/multi_charset/japanese_iso_2022.eml",
		  "\343\201\231\343\201\277\343\201\276\343\201\233\343\202\223" },
		{ "tests/mail/multi_charset/japanese_shift_jis.eml",
		  "\343\203\206\343\202\271\343\203\210\347\224\250\343\201\256" },
		{ "tests/mail/multi_charset/ks_c_5601-1987.eml",
		  "\354\212\244\355\213\260\355\225\264" },
		{ "tests/mail/rfc6532/utf8_headers.eml", "S\303\204YING" },
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct buf m = mail_read(words[i].path, true);
		struct arena a;

		arena_init(&a);
		struct mail_source source = { mime_scan_whole(&a, buf_span(&m)), read_buf, &m };
		ck_assert_msg((search_all(&source, "x", words[i].needle) & TEXT) != 0, "%s",
			      words[i].path);
		arena_free(&a);
		buf_free(&m);
	}
}
END_TEST

START_TEST(all_fixtures_can_be_searched)
{
	glob_t g = mail_fixtures();

	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf m = mail_read(g.gl_pathv[i], true);
		struct arena a;

		arena_init(&a);
		struct mail_source source = { mime_scan_whole(&a, buf_span(&m)), read_buf, &m };
		ck_assert_uint_eq(search_all(&source, "subject", "kein solches Wort \303\237"), 0);
		arena_free(&a);
		buf_free(&m);
	}
	globfree(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_search");
	TCase *t = tcase_create("search");

	mail_init();
	tcase_set_timeout(t, 60);
	tcase_add_test(t, text_is_folded_and_cuts_do_not_matter);
	tcase_add_test(t, a_needle_must_be_utf8);
	tcase_add_test(t, endless_marks_are_not_held);
	tcase_add_test(t, where_search_looks);
	tcase_add_test(t, failing_reads_are_handed_on);
	tcase_add_test(t, large_mail_is_searched_in_slices);
	tcase_add_test(t, a_multipart_without_parts_is_text);
	tcase_add_test(t, words_in_the_mails_of_others);
	tcase_add_test(t, all_fixtures_can_be_searched);
	suite_add_tcase(s, t);
	return mail_run(s);
}
