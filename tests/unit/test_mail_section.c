/* BODY[section]: which bytes a section is, and the filter of header fields. */
#include "tests/unit/mail_util.h"

#include "server/mail/section.h"
#include "storage/base/err.h"

/* 1 text, 2 a message with parts (2.1 text, 2.2 html), 3 a message with one text, 4 a multipart */
static const char nested[] = "Subject: outer\n"
			     "Content-Type: multipart/mixed; boundary=x\n"
			     "\n"
			     "preamble\n"
			     "--x\n"
			     "X-Part: 1\n"
			     "\n"
			     "one\n"
			     "--x\n"
			     "Content-Type: message/rfc822\n"
			     "\n"
			     "Subject: inner\n"
			     "Content-Type: multipart/alternative; boundary=y\n"
			     "\n"
			     "--y\n"
			     "\n"
			     "plain\n"
			     "--y\n"
			     "Content-Type: text/html\n"
			     "\n"
			     "html\n"
			     "--y--\n"
			     "\n"
			     "--x\n"
			     "Content-Type: message/rfc822\n"
			     "\n"
			     "Subject: single\n"
			     "\n"
			     "text\n"
			     "--x\n"
			     "Content-Type: multipart/mixed; boundary=z\n"
			     "\n"
			     "--z\n"
			     "\n"
			     "four.one\n"
			     "--z--\n"
			     "\n"
			     "--x--\n";

static const char plain[] = "Subject: plain\n\nbody\n";
static const char message[] =
	"Subject: outer\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n";
static const char empty[] = "Content-Type: multipart/mixed; boundary=x\n\nnothing\n";

/* NULL: there is no such section. Sections are written as in BODY[...]. */
static const struct {
	const char *mail;
	const char *section;
	const char *bytes;
} sections[] = {
	{ nested, "HEADER", "Subject: outer\nContent-Type: multipart/mixed; boundary=x\n\n" },
	{ nested, "1", "one" },
	{ nested, "1.MIME", "X-Part: 1\n\n" },
	{ nested, "1.HEADER", NULL },
	{ nested, "1.TEXT", NULL },
	{ nested, "1.1", NULL },
	{ nested, "2.MIME", "Content-Type: message/rfc822\n\n" },
	{ nested, "2.HEADER",
	  "Subject: inner\nContent-Type: multipart/alternative; boundary=y\n\n" },
	{ nested, "2.TEXT", "--y\n\nplain\n--y\nContent-Type: text/html\n\nhtml\n--y--\n" },
	{ nested, "2.1", "plain" },
	{ nested, "2.1.MIME", "\n" },
	{ nested, "2.2", "html" },
	{ nested, "2.2.MIME", "Content-Type: text/html\n\n" },
	{ nested, "2.2.HEADER", NULL },
	{ nested, "2.3", NULL },
	{ nested, "3", "Subject: single\n\ntext" },
	{ nested, "3.HEADER", "Subject: single\n\n" },
	{ nested, "3.TEXT", "text" },
	{ nested, "3.1", "text" },
	{ nested, "3.1.MIME", "Subject: single\n\n" },
	{ nested, "3.1.1", NULL },
	{ nested, "3.2", NULL },
	{ nested, "4", "--z\n\nfour.one\n--z--\n" },
	{ nested, "4.1", "four.one" },
	{ nested, "4.HEADER", NULL },
	{ nested, "4.TEXT", NULL },
	{ nested, "5", NULL },
	{ nested, "0", NULL },
	{ plain, "", plain },
	{ plain, "HEADER", "Subject: plain\n\n" },
	{ plain, "TEXT", "body\n" },
	{ plain, "MIME", NULL },
	{ plain, "1", "body\n" },
	{ plain, "1.MIME", "Subject: plain\n\n" },
	{ plain, "1.HEADER", NULL },
	{ plain, "2", NULL },
	{ plain, "0", NULL },
	{ message, "1", "Subject: in\n\nbody\n" },
	{ message, "1.HEADER", "Subject: in\n\n" },
	{ message, "1.TEXT", "body\n" },
	{ message, "1.1", "body\n" },
	{ message, "1.1.1", NULL },
	{ empty, "1", NULL },
	{ empty, "TEXT", "nothing\n" },
};

/* "1.2.HEADER" -> a section; `parts` has room for it. */
static struct section parse(const char *text, uint32_t *parts)
{
	struct section what = { .kind = SECTION_WHOLE, .parts = parts };
	char *at = NULL;

	for (; *text >= '0' && *text <= '9'; text = *at == '.' ? at + 1 : at)
		parts[what.part_count++] = (uint32_t)strtoul(text, &at, 10);
	if (strcmp(text, "HEADER") == 0)
		what.kind = SECTION_HEADER;
	else if (strcmp(text, "TEXT") == 0)
		what.kind = SECTION_TEXT;
	else if (strcmp(text, "MIME") == 0)
		what.kind = SECTION_MIME;
	return what;
}

static void check_section(const char *mail, const char *section, const char *bytes)
{
	uint32_t parts[8];
	struct section what = parse(section, parts);
	struct section_range range;
	struct arena a;

	arena_init(&a);
	struct buf m = mail_text(mail);
	const struct shape *s = mime_scan_whole(&a, buf_span(&m));
	int rc = section_find(s, &what, &range);
	ck_assert_msg((rc == OK) == (bytes != NULL), "%s: %d", section, rc);
	if (rc == OK) {
		struct buf expected = mail_text(bytes);
		struct span is = span_of(m.at + range.offset, range.bytes);
		ck_assert_msg(span_eq(is, buf_span(&expected)), "%s: %.*s", section, (int)is.bytes,
			      is.at);
		buf_free(&expected);
	} else {
		ck_assert_int_eq(rc, ERR_NOT_FOUND);
	}
	buf_free(&m);
	arena_free(&a);
}

START_TEST(sections_are_ranges)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		check_section(sections[i].mail, sections[i].section, sections[i].bytes);
}
END_TEST

/* Headers, the fields that are kept by HEADER.FIELDS (Subject To X-A), and by .NOT. */
static const struct {
	const char *header;
	const char *fields;
	const char *fields_not;
} filters[] = {
	{ "Subject: a\r\nFrom: b\r\nTo: c\r\n\r\n", "Subject: a\r\nTo: c\r\n\r\n",
	  "From: b\r\n\r\n" },
	{ "SUBJECT:a\r\n b\r\n\tc\r\nFrom: d\r\n e\r\n\r\n", "SUBJECT:a\r\n b\r\n\tc\r\n\r\n",
	  "From: d\r\n e\r\n\r\n" },
	{ "subject \t: a\r\nSubject-X: b\r\n\r\n", "subject \t: a\r\n\r\n",
	  "Subject-X: b\r\n\r\n" },
	{ "Subject: a\nFrom: b\n\n", "Subject: a\n\n", "From: b\n\n" },
	{ "To: 1\r\nX: 2\r\nTo: 3\r\n\r\n", "To: 1\r\nTo: 3\r\n\r\n", "X: 2\r\n\r\n" },
	{ "\r\n", "\r\n", "\r\n" },
	{ "", "", "" },
	{ "X: 1\r\n", "", "X: 1\r\n" },
	{ "Subject: no end", "Subject: no end", "" },
	{ "no colon\r\n at all\r\nSubject: a\r\n\r\n", "Subject: a\r\n\r\n",
	  "no colon\r\n at all\r\n\r\n" },
	{ " leading: x\r\nSubject: a\r\n\r\n", "Subject: a\r\n\r\n", " leading: x\r\n\r\n" },
	{ ": no name\r\nTo: a\r\n\r\n", "To: a\r\n\r\n", ": no name\r\n\r\n" },
	{ "Subject", "", "Subject" },
	{ "To: a\r\n\r\nSubject: body\r\n", "To: a\r\n\r\n", "\r\n" },
	{ "Subject: a\r\r\n\r\r\nTo: b\r\n\r\n", "Subject: a\r\r\nTo: b\r\n\r\n", "\r\r\n\r\n" },
};

static void check_filter(enum section_kind kind, const char *header, const char *expected)
{
	static const struct span names[] = { { "subject", 7 }, { "TO", 2 }, { "X-A", 3 } };
	struct section what = { .kind = kind, .fields = names, .field_count = 3 };
	struct buf whole = { 0 };

	ck_assert(section_is_filtered(&what));
	header_filter(&what, span_str(header), &whole);
	ck_assert_msg(buf_is(&whole, expected), "%s\n-> %s\nnot %s", header, buf_z(&whole),
		      expected);
	for (size_t cut = 1; cut < 4; cut++) {
		struct buf out = { 0 };
		struct header_filter f;

		header_filter_init(&f, &what, &out);
		for (size_t at = 0; at < strlen(header); at += cut) {
			size_t left = strlen(header) - at;
			header_filter_feed(&f, span_of(header + at, left < cut ? left : cut));
		}
		header_filter_finish(&f);
		ck_assert(span_eq(buf_span(&whole), buf_span(&out)));
		buf_free(&out);
	}
	buf_free(&whole);
}

START_TEST(header_fields)
{
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		check_filter(SECTION_HEADER_FIELDS, filters[i].header, filters[i].fields);
		check_filter(SECTION_HEADER_FIELDS_NOT, filters[i].header, filters[i].fields_not);
	}
}
END_TEST

START_TEST(a_line_without_end_is_not_held_back)
{
	struct section what = { .kind = SECTION_HEADER_FIELDS_NOT };
	struct buf out = { 0 };
	struct header_filter f;

	header_filter_init(&f, &what, &out);
	for (int i = 0; i < 10000; i++) {
		header_filter_feed(&f, span_str("word"));
		ck_assert_uint_lt(f.name.bytes, 2000);
	}
	header_filter_finish(&f);
	ck_assert_uint_eq(out.bytes, 40000);
	buf_free(&out);
}
END_TEST

/* The parts of a multipart do not overlap, and every BODY[n] of every mail lies in BODY[TEXT]. */
START_TEST(parts_lie_in_the_text)
{
	glob_t g = mail_fixtures();

	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf m = mail_read(g.gl_pathv[i], true);
		struct section_range text;
		struct section_range r;
		struct arena a;

		arena_init(&a);
		const struct shape *s = mime_scan_whole(&a, buf_span(&m));
		struct section what = { .kind = SECTION_TEXT };
		ck_assert_int_eq(section_find(s, &what, &text), OK);
		uint64_t from = text.offset;
		for (uint32_t n = 1;; n++) {
			what = (struct section){ .parts = &n, .part_count = 1 };
			if (section_find(s, &what, &r) != OK)
				break;
			ck_assert_uint_ge(r.offset, from);
			from = r.offset + r.bytes;
			ck_assert_uint_le(from, text.offset + text.bytes);
		}
		arena_free(&a);
		buf_free(&m);
	}
	globfree(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_section");
	TCase *t = tcase_create("section");

	tcase_add_test(t, sections_are_ranges);
	tcase_add_test(t, header_fields);
	tcase_add_test(t, a_line_without_end_is_not_held_back);
	tcase_add_test(t, parts_lie_in_the_text);
	suite_add_tcase(s, t);
	return mail_run(s);
}
