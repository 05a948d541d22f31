/* test_imap_names.c: modified UTF-7, mailbox names, LIST patterns (against a plain recursion). */
#include "tests/unit/random.h"

#include "server/imap/list_match.h"
#include "server/imap/mailbox_name.h"
#include "server/imap/mutf7.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <check.h>

/* ---- modified UTF-7 ---- */

static const struct {
	const char *mutf7, *utf8;
} names[] = {
	{ "", "" },
	{ "INBOX", "INBOX" },
	{ "a&-b", "a&b" },
	{ "&-&-", "&&" },
	/* RFC 3501, 5.1.3 */
	{ "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/"
					     "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
	{ "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
	{ "&AOQ-", "\xc3\xa4" },
	{ "&AOQA9g-", "\xc3\xa4\xc3\xb6" },
	{ "&AOQA9gD8-", "\xc3\xa4\xc3\xb6\xc3\xbc" },
	{ "&2D3eAA-", "\xf0\x9f\x98\x80" }, /* U+1F600 */
	{ "&AAk-", "\t" },
	{ "&AH8-", "\x7f" },
	{ "&AOQ-&-", "\xc3\xa4&" },
	{ "&,,8-", "\xef\xbf\xbf" },
};

static const char *const not_canonical[] = {
	"&",
	"a&",
	"&AOQ",
	"&AOQ-&AOQ-",         /* two shifts in a row: one would do */
	"&AGE-",              /* "a" in base64 */
	"&ACY-",              /* "&" in base64 */
	"&U,BTFw-&ZeVnLIqe-", /* RFC 3501: superfluous shift */
	"&Jjo!",              /* RFC 3501: ends without shift back */
	"&AOR-",              /* bits left over */
	"&AOQA-",
	"&AO-",
	"&A-",
	"&AOQAAAA-",
	"&2D0-",
	"&3gA-",
	"&2D0AYQ-",
	"&3gDYPQ-",
	"&AAA-",
	"\xc3\xa4",
	"a\tb",
	"\x7f",
	"&AOQ/-",
	"&AO=Q-",
	"& -",
	"&\xc3\xa4-",
};

START_TEST(mutf7_both_ways)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf out = { 0 };

		ck_assert_int_eq(mutf7_to_utf8(span_str(names[i].mutf7), &out), OK);
		ck_assert_msg(span_eq(buf_span(&out), span_str(names[i].utf8)), "%s",
			      names[i].mutf7);
		buf_reset(&out);
		ck_assert_int_eq(mutf7_from_utf8(span_str(names[i].utf8), &out), OK);
		ck_assert_msg(span_eq(buf_span(&out), span_str(names[i].mutf7)), "%s",
			      names[i].mutf7);
		buf_free(&out);
	}
}
END_TEST

START_TEST(mutf7_refuses)
{
	struct buf out = { 0 };

	buf_puts(&out, "x");
	for (size_t i = 0; i < sizeof(not_canonical) / sizeof(not_canonical[0]); i++) {
		ck_assert_msg(mutf7_to_utf8(span_str(not_canonical[i]), &out) == ERR_BAD_INPUT,
			      "%s", not_canonical[i]);
		ck_assert_uint_eq(out.bytes, 1);
	}
	ck_assert_int_eq(mutf7_to_utf8(span_of("a\0b", 3), &out), ERR_BAD_INPUT);
	ck_assert_int_eq(mutf7_from_utf8(span_str("\xed\xa0\x80"), &out), ERR_BAD_INPUT);
	ck_assert_int_eq(mutf7_from_utf8(span_str("\xff"), &out), ERR_BAD_INPUT);
	ck_assert_uint_eq(out.bytes, 1);
	buf_free(&out);
}
END_TEST

/* ---- names ---- */

static const struct {
	const char *raw;
	enum mailbox_name_fault fault;
	const char *utf8;
	bool trailing_slash;
} mailboxes[] = {
	{ "inbox", MAILBOX_NAME_GOOD, "INBOX", false },
	{ "InBoX/Sub", MAILBOX_NAME_GOOD, "INBOX/Sub", false },
	{ "inbox/", MAILBOX_NAME_GOOD, "INBOX", true },
	{ "inboxes", MAILBOX_NAME_GOOD, "inboxes", false },
	{ "a/inbox", MAILBOX_NAME_GOOD, "a/inbox", false },
	{ "a/b/", MAILBOX_NAME_GOOD, "a/b", true },
	{ "a b%c*d\"e\\", MAILBOX_NAME_GOOD, "a b%c*d\"e\\", false },
	{ "A&Awg-", MAILBOX_NAME_GOOD, "\xc3\x84", false }, /* A and U+0308: NFC */
	{ "", MAILBOX_NAME_EMPTY, "", false },
	{ "/", MAILBOX_NAME_EMPTY, "", false },
	{ "//", MAILBOX_NAME_EMPTY, "", true },
	{ "/a", MAILBOX_NAME_EMPTY_LEVEL, "", false },
	{ "a//b", MAILBOX_NAME_EMPTY_LEVEL, "", false },
	{ "a//", MAILBOX_NAME_EMPTY_LEVEL, "", true },
	{ "a&", MAILBOX_NAME_NOT_MUTF7, "", false },
	{ "\xc3\xa4", MAILBOX_NAME_NOT_MUTF7, "", false },
	{ "a\x01", MAILBOX_NAME_NOT_MUTF7, "", false },
	{ "a&AAE-", MAILBOX_NAME_CONTROL, "", false },
	{ "a&AH8-", MAILBOX_NAME_CONTROL, "", false },
	{ "a&AIU-", MAILBOX_NAME_CONTROL, "", false },
	{ "a&ICg-", MAILBOX_NAME_CONTROL, "", false },
	{ "a&ICk-", MAILBOX_NAME_CONTROL, "", false },
	{ "a&,,8-", MAILBOX_NAME_CONTROL, "", false },
	{ "a&,dA-", MAILBOX_NAME_CONTROL, "", false },
};

START_TEST(mailbox_names)
{
	struct arena a;
	struct mailbox_name m;

	arena_init(&a);
	for (size_t i = 0; i < sizeof(mailboxes) / sizeof(mailboxes[0]); i++) {
		mailbox_name_from_wire(span_str(mailboxes[i].raw), &a, &m);
		ck_assert_msg(m.fault == mailboxes[i].fault, "%s: %s", mailboxes[i].raw,
			      mailbox_name_fault_text(m.fault));
		ck_assert(span_eq(m.raw, span_str(mailboxes[i].raw)));
		ck_assert_msg(span_eq(m.utf8, span_str(mailboxes[i].utf8)), "%s", mailboxes[i].raw);
		ck_assert_msg(m.trailing_slash == mailboxes[i].trailing_slash, "%s",
			      mailboxes[i].raw);
	}
	mailbox_name_from_utf8(span_of("a\0b", 3), &a, &m);
	ck_assert_int_eq(m.fault, MAILBOX_NAME_CONTROL);
	mailbox_name_from_utf8(span_str("\xff"), &a, &m);
	ck_assert_int_eq(m.fault, MAILBOX_NAME_NOT_MUTF7);
	mailbox_name_from_utf8(span_str("a\xcc\x88"), &a, &m);
	ck_assert(span_eq(m.utf8, span_str("\xc3\xa4")));
	ck_assert(mailbox_name_is_inbox(span_str("INBOX")));
	ck_assert(!mailbox_name_is_inbox(span_str("INBOX/a")));
	for (int f = MAILBOX_NAME_GOOD; f <= MAILBOX_NAME_TOO_DEEP; f++)
		ck_assert_uint_gt(strlen(mailbox_name_fault_text((enum mailbox_name_fault)f)), 0);
	arena_free(&a);
}
END_TEST

static enum mailbox_name_fault fault_of_repeated(const char *piece, size_t count)
{
	struct buf name = { 0 };
	struct mailbox_name m;
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < count; i++)
		buf_puts(&name, piece);
	buf_putc(&name, 'x');
	mailbox_name_from_wire(buf_span(&name), &a, &m);
	buf_free(&name);
	arena_free(&a);
	return m.fault;
}

START_TEST(mailbox_name_bounds)
{
	ck_assert_int_eq(fault_of_repeated("x", MAILBOX_NAME_MAX_BYTES - 1), MAILBOX_NAME_GOOD);
	ck_assert_int_eq(fault_of_repeated("x", MAILBOX_NAME_MAX_BYTES), MAILBOX_NAME_TOO_LONG);
	ck_assert_int_eq(fault_of_repeated("x/", MAILBOX_LEVELS_MAX - 1), MAILBOX_NAME_GOOD);
	ck_assert_int_eq(fault_of_repeated("x/", MAILBOX_LEVELS_MAX), MAILBOX_NAME_TOO_DEEP);
	ck_assert_int_eq(fault_of_repeated("x/", 1000), MAILBOX_NAME_TOO_LONG);
}
END_TEST

START_TEST(mailbox_name_on_the_wire)
{
	static const struct {
		const char *utf8, *want;
	} cases[] = {
		{ "INBOX", "INBOX" },    { "a b", "\"a b\"" }, { "a]b", "a]b" },
		{ "\xc3\xa4", "&AOQ-" }, { "a&b", "a&-b" },    { "a\"b\\", "\"a\\\"b\\\\\"" },
		{ "nil", "\"nil\"" },    { "a%", "\"a%\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = { 0 };

		mailbox_name_put(&out, span_str(cases[i].utf8));
		ck_assert_msg(span_eq(buf_span(&out), span_str(cases[i].want)), "%s",
			      cases[i].utf8);
		buf_free(&out);
	}
}
END_TEST

/* ---- patterns ---- */

static const struct {
	const char *reference, *pattern, *name;
	enum list_match want;
} matches[] = {
	{ "", "*", "INBOX", LIST_MATCH },
	{ "", "*", "a/b/c", LIST_MATCH },
	{ "", "%", "a", LIST_MATCH },
	{ "", "%", "a/b", LIST_NO },
	{ "", "%/%", "a", LIST_BELOW },
	{ "", "%/%", "a/b", LIST_MATCH },
	{ "", "%/%", "a/b/c", LIST_NO },
	{ "", "*b", "a/b", LIST_MATCH },
	{ "", "*b", "a", LIST_BELOW },
	{ "", "a", "a", LIST_MATCH },
	{ "", "a", "A", LIST_NO },
	{ "", "a/", "a", LIST_NO },
	{ "", "a/b", "a", LIST_BELOW },
	{ "", "inbox", "INBOX", LIST_MATCH },
	{ "", "iNb%", "INBOX", LIST_MATCH },
	{ "", "inbox/%", "INBOX/a", LIST_MATCH },
	{ "", "inbox/%", "INBOX", LIST_BELOW },
	{ "", "inboxes", "INBOXES", LIST_NO },
	{ "", "%x", "INBOX", LIST_MATCH },
	{ "inb", "ox", "INBOX", LIST_MATCH },
	{ "a/", "%", "a/b", LIST_MATCH },
	{ "a/", "%", "a", LIST_BELOW },
	{ "a", "%", "ab", LIST_MATCH },
	{ "a/", "/b", "b", LIST_NO },
	{ "", "", "a", LIST_NO },
	{ "a", "", "a", LIST_MATCH },
	{ "", "%%", "ab", LIST_MATCH },
	{ "", "%*", "a/b", LIST_MATCH },
	{ "", "**", "a/b", LIST_MATCH },
	{ "", "a%b", "ab", LIST_MATCH },
	{ "", "a%b", "axxb", LIST_MATCH },
	{ "", "a%b", "a/b", LIST_NO },
	{ "", "a*b", "a/xb/b", LIST_MATCH },
	{ "", "&AOQ-*", "\xc3\xa4/x", LIST_MATCH },
	{ "", "A&AwgDCA-", "x", LIST_NO },
	{ "", "a&AwgA-%", "a", LIST_NO },
	{ "", "&", "a", LIST_NO },
	{ "&", "a", "a", LIST_NO },
};

START_TEST(list_patterns)
{
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		const struct list_pattern *p = list_pattern_make(span_str(matches[i].reference),
								 span_str(matches[i].pattern), &a);

		ck_assert_msg(list_pattern_match(p, span_str(matches[i].name)) == matches[i].want,
			      "%s %s: %s", matches[i].reference, matches[i].pattern,
			      matches[i].name);
	}
	arena_free(&a);
}
END_TEST

/* The definition, exponential as it may be. */
static bool match_slowly(const char *p, const char *n)
{
	if (*p == '*' || *p == '%')
		return match_slowly(p + 1, n) ||
		       (*n != '\0' && (*p == '*' || *n != '/') && match_slowly(p, n + 1));
	return *p == *n && (*p == '\0' || match_slowly(p + 1, n + 1));
}

static void random_text(struct test_random *r, const char *letters, size_t max, char *out)
{
	size_t n = random_u64(r) % (max + 1), kinds = strlen(letters);

	for (size_t i = 0; i < n; i++)
		out[i] = letters[random_u64(r) % kinds];
	out[n] = '\0';
}

/* Is there a name of up to three more bytes below it that matches? */
static bool below_slowly(const char *pattern, const char *name)
{
	static const char letters[] = { '\0', 'a', 'b', '/' };
	char longer[64];

	for (int i = 1; i < 64; i++) {
		char tail[4] = { letters[i & 3], letters[i >> 2 & 3], letters[i >> 4], '\0' };

		(void)snprintf(longer, sizeof(longer), "%s/%s", name, tail);
		if (tail[0] != '\0' && match_slowly(pattern, longer))
			return true;
	}
	return false;
}

START_TEST(list_patterns_as_defined)
{
	struct test_random r = random_start("list_patterns_as_defined");

	for (int i = 0; i < 50000; i++) {
		char pattern[16], name[16];
		struct arena a;

		random_text(&r, "ab/*%", 7, pattern);
		random_text(&r, "ab/", 7, name);
		if (pattern[0] == '\0')
			continue;
		arena_init(&a);
		const struct list_pattern *p =
			list_pattern_make(span_of("", 0), span_str(pattern), &a);
		enum list_match got = list_pattern_match(p, span_str(name));
		ck_assert_msg((got == LIST_MATCH) == match_slowly(pattern, name), "%s %s", pattern,
			      name);
		if (got == LIST_NO)
			ck_assert_msg(!below_slowly(pattern, name), "%s below %s", pattern, name);
		arena_free(&a);
	}
}
END_TEST

/* What would take for ever if it were tried again and again. */
START_TEST(list_patterns_are_quick)
{
	struct buf pattern = { 0 }, name = { 0 };
	struct arena a;

	arena_init(&a);
	for (int i = 0; i < 500; i++)
		buf_puts(&pattern, "%a*a");
	buf_puts(&pattern, "b");
	for (int i = 0; i < MAILBOX_NAME_MAX_BYTES; i++)
		buf_putc(&name, 'a');
	const struct list_pattern *p = list_pattern_make(span_of("", 0), buf_span(&pattern), &a);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(list_pattern_match(p, buf_span(&name)), LIST_BELOW);
	for (int i = 0; i < 2000; i++)
		buf_putc(&pattern, 'a');
	ck_assert_ptr_null(list_pattern_make(span_of("", 0), buf_span(&pattern), &a));
	buf_free(&pattern);
	buf_free(&name);
	arena_free(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap_names");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, mutf7_both_ways);
	tcase_add_test(t, mutf7_refuses);
	tcase_add_test(t, mailbox_names);
	tcase_add_test(t, mailbox_name_bounds);
	tcase_add_test(t, mailbox_name_on_the_wire);
	tcase_add_test(t, list_patterns);
	tcase_add_test(t, list_patterns_as_defined);
	tcase_add_test(t, list_patterns_are_quick);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
