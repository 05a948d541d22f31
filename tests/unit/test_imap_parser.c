/* test_imap_parser.c: conversations as the parser tells them: framing, literals, messages, bad
 * commands, bounds. Each is also cut at every place and byte by byte. */
#include "tests/unit/imap_dump.h"

#include "storage/base/limits.h"

#include <check.h>
#include <stdlib.h>

static size_t cut_never(void *data, size_t left)
{
	(void)data;
	return left;
}

static size_t cut_each(void *data, size_t left)
{
	(void)data;
	(void)left;
	return 1;
}

/* One cut after *data bytes. */
static size_t cut_once(void *data, size_t left)
{
	size_t *at = data;
	size_t n = *at == 0 || *at > left ? left : *at;

	*at = 0;
	return n;
}

static void expect(const char *in, struct dump_policy policy, const char *want)
{
	struct buf out = { 0 };
	size_t bytes = strlen(in);

	dump_stream(span_of(in, bytes), cut_never, NULL, policy, &out);
	buf_putc(&out, '\0');
	ck_assert_str_eq(out.at, want);
	for (size_t i = 0; i <= bytes; i++) {
		size_t at = i;

		buf_reset(&out);
		if (i == 0)
			dump_stream(span_of(in, bytes), cut_each, NULL, policy, &out);
		else
			dump_stream(span_of(in, bytes), cut_once, &at, policy, &out);
		buf_putc(&out, '\0');
		ck_assert_str_eq(out.at, want);
	}
	buf_free(&out);
}

static const struct dump_policy accept_all;

START_TEST(commands_one_by_one)
{
	expect("a1 NOOP\r\n", accept_all, "OK a1 NOOP\n");
	expect("a1 noop\na2 CAPABILITY\r\na3 lOgOuT\r\n", accept_all,
	       "OK a1 NOOP\nOK a2 CAPABILITY\nOK a3 LOGOUT\n");
	expect("a1 NOO", accept_all, "");
	expect("#.-/]x NOOP\r\n", accept_all, "OK #.-/]x NOOP\n");
}
END_TEST

START_TEST(bad_commands_and_their_tags)
{
	expect("\r\n", accept_all, "BAD (Invalid tag)  NONE\n");
	expect("\r\na NOOP\r\n", accept_all, "BAD (Invalid tag)  NONE\nOK a NOOP\n");
	expect("a1\r\n", accept_all, "BAD (Missing command) a1 NONE\n");
	expect("a1 \r\n", accept_all, "BAD (Expected a name) a1 NONE\n");
	expect("+ NOOP\r\n", accept_all, "BAD (Invalid tag)  NONE\n");
	expect("a+1 NOOP\r\n", accept_all, "BAD (Invalid tag)  NONE\n");
	expect("* NOOP\r\n", accept_all, "BAD (Invalid tag)  NONE\n");
	expect(" a1 NOOP\r\n", accept_all, "BAD (Invalid tag)  NONE\n");
	expect("a\xc3\xa4 NOOP\r\n", accept_all, "BAD (Invalid tag)  NONE\n");
	expect("a1 XYZZY\r\n", accept_all, "BAD (Unknown command) a1 NONE\n");
	expect("a1 NONE\r\n", accept_all, "BAD (Unknown command) a1 NONE\n");
	expect("a1 UID NOOP\r\n", accept_all, "BAD (Unknown command) a1 NONE\n");
	expect("a1 UID\r\n", accept_all, "BAD (Missing argument) a1 NONE\n");
	expect("a1  NOOP\r\n", accept_all, "BAD (Expected a name) a1 NONE\n");
	expect("a1 NOOP \r\n", accept_all, "BAD (Unexpected argument at the end) a1 NOOP\n");
	expect("a1 NOOP x\r\n", accept_all, "BAD (Unexpected argument at the end) a1 NOOP\n");
	expect("a1 NOOP\rx\r\n", accept_all, "BAD (Unexpected argument at the end) a1 NOOP\n");
	expect("GET / HTTP/1.1\r\nHost: x\r\n\r\n", accept_all,
	       "BAD (Expected a name) GET NONE\nBAD (Unknown command) Host: NONE\n"
	       "BAD (Invalid tag)  NONE\n");
}
END_TEST

static void expect_bytes(const char *in, size_t bytes, const char *want)
{
	struct buf out = { 0 };

	dump_stream(span_of(in, bytes), cut_each, NULL, accept_all, &out);
	buf_putc(&out, '\0');
	ck_assert_str_eq(out.at, want);
	buf_free(&out);
}

START_TEST(nul_is_bad)
{
	expect_bytes("a1 NO\0OP\r\n", 10, "BAD (Unknown command) a1 NONE\n");
	expect_bytes("a\0 NOOP\r\n", 9, "BAD (Invalid tag)  NONE\n");
	expect_bytes("a LOGIN \"x\0\" y\r\n", 16, "BAD (Quoted string not closed) a LOGIN\n");
	expect_bytes("a LOGIN {1+}\r\n\0 y\r\nb NOOP\r\n", 27,
		     "BAD (NUL in a literal) a LOGIN\nOK b NOOP\n");
}
END_TEST

START_TEST(literals)
{
	expect("a LOGIN {4}\r\nfred {3}\r\nb c\r\n", accept_all,
	       "LITERAL 4 a LOGIN\nLITERAL 3 a LOGIN\nOK a LOGIN 'fred''b c'\n");
	/* RFC 7888, 3 */
	expect("A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n", accept_all,
	       "OK A001 LOGIN 'FRED FOOBAR''fat man'\n");
	expect("a LOGIN {0+}\r\n {0}\r\n\r\nb NOOP\r\n", accept_all,
	       "LITERAL 0 a LOGIN\nOK a LOGIN ''''\nOK b NOOP\n");
	expect("a LOGIN {3+}\nx\r\n {3+}\n{1}\n", accept_all, "OK a LOGIN 'x<0d><0a>''{1}'\n");
	expect("a LOGIN x {3+}\r\n\"\\\"\r\n", accept_all, "OK a LOGIN 'x''\"\\\"'\n");
}
END_TEST

START_TEST(bad_commands_with_literals)
{
	/* The rest of a line behind a literal belongs to the same command. */
	expect("a XYZZY {4+}\r\nb NO {2+}\r\nxx OP\r\nc NOOP\r\n", accept_all,
	       "BAD (Unknown command) a NONE\nOK c NOOP\n");
	/* A client that waits for "+" gets its BAD instead, and goes on. */
	expect("a XYZZY {4}\r\nc NOOP\r\n", accept_all,
	       "BAD (Unknown command) a NONE\nOK c NOOP\n");
	expect("a NOOP {4}\r\nc NOOP\r\n", accept_all,
	       "BAD (Unexpected argument at the end) a NOOP\nOK c NOOP\n");
	expect("a XYZZY {2+}\r\nxx {4}\r\nc NOOP\r\n", accept_all,
	       "BAD (Unknown command) a NONE\nOK c NOOP\n");
	expect("a LOGIN x{4}\r\nc NOOP\r\n", accept_all,
	       "BAD (Missing space) a LOGIN\nOK c NOOP\n");
	expect("a LOGIN \"{4}\r\nc NOOP\r\n", accept_all,
	       "BAD (Quoted string not closed) a LOGIN\nOK c NOOP\n");
	expect("a LOGIN {a}\r\nc NOOP\r\n", accept_all,
	       "BAD (Invalid literal) a LOGIN\nOK c NOOP\n");
	expect("a LOGIN {}\r\n", accept_all, "BAD (Invalid literal) a LOGIN\n");
	expect("a LOGIN {1-}\r\n", accept_all, "BAD (Invalid literal) a LOGIN\n");
	expect("a LOGIN {1+\r\n", accept_all, "BAD (Invalid literal) a LOGIN\n");
	expect("a LOGIN {+}\r\n", accept_all, "BAD (Invalid literal) a LOGIN\n");
	expect("a LOGIN {1}x\r\n", accept_all, "BAD (Invalid literal) a LOGIN\n");
	expect("a LOGIN {1}\rx\r\n", accept_all, "BAD (Invalid literal) a LOGIN\n");
	expect("a LOGIN ~{1+}\r\nx y\r\n", accept_all, "BAD (Missing space) a LOGIN\n");
}
END_TEST

START_TEST(large_literals)
{
	expect("a LOGIN {65537}\r\nc NOOP\r\n", accept_all,
	       "BAD (Literal too large) a LOGIN\nOK c NOOP\n");
	expect("a LOGIN {99999999999999999999999999}\r\nc NOOP\r\n", accept_all,
	       "BAD (Literal too large) a LOGIN\nOK c NOOP\n");
	expect("a LOGIN {99999999999999999999999999+}\r\nc NOOP\r\n", accept_all,
	       "LOST (Too much to be thrown away) a LOGIN\n");
	expect("a LOGIN {67108864+}\r\nc NOOP\r\n", accept_all,
	       "LOST (Too much to be thrown away) a LOGIN\n");
	/* Small enough to be thrown away, but too large to be an argument. */
	struct buf in = { 0 }, out = { 0 };
	buf_puts(&in, "a LOGIN {65537+}\r\n");
	for (int i = 0; i < 65537; i++)
		buf_putc(&in, 'x');
	buf_puts(&in, " y\r\nc NOOP\r\n");
	dump_stream(buf_span(&in), cut_never, NULL, accept_all, &out);
	buf_putc(&out, '\0');
	ck_assert_str_eq(out.at, "BAD (Literal too large) a LOGIN\nOK c NOOP\n");
	buf_free(&in);
	buf_free(&out);
}
END_TEST

/* 4 literals of 64 KiB are more than one command may hold. */
START_TEST(large_commands)
{
	struct buf in = { 0 }, out = { 0 };

	buf_puts(&in, "a SEARCH TEXT x");
	for (int i = 0; i < 4; i++) {
		buf_puts(&in, " TEXT {65535+}\r\n");
		for (int n = 0; n < 65535; n++)
			buf_putc(&in, 'x');
	}
	buf_puts(&in, "\r\nc NOOP\r\n");
	dump_stream(buf_span(&in), cut_never, NULL, accept_all, &out);
	buf_putc(&out, '\0');
	ck_assert_str_eq(out.at, "BAD (Command too long) a SEARCH\nOK c NOOP\n");
	buf_free(&in);
	buf_free(&out);
}
END_TEST

static size_t cut_thousand(void *data, size_t left)
{
	(void)data;
	return left < 1000 ? left : 1000;
}

static void expect_line_of(size_t x, const char *want)
{
	struct buf in = { 0 }, out = { 0 };

	buf_puts(&in, "a LOGIN x ");
	for (size_t i = 0; i < x; i++)
		buf_putc(&in, 'x');
	buf_puts(&in, " {3+}\r\nyyy\r\nc NOOP\r\n");
	for (int cut = 0; cut < 2; cut++) {
		buf_reset(&out);
		dump_stream(buf_span(&in), cut == 0 ? cut_never : cut_thousand, NULL, accept_all,
			    &out);
		buf_putc(&out, '\0');
		ck_assert_str_eq(out.at, want);
	}
	buf_free(&in);
	buf_free(&out);
}

START_TEST(long_lines)
{
	expect_line_of(SESSION_LINE_MAX_BYTES - 30,
		       "BAD (Unexpected argument at the end) a LOGIN\nOK c NOOP\n");
	expect_line_of(SESSION_LINE_MAX_BYTES, "BAD (Command too long) a LOGIN\nOK c NOOP\n");
	expect_line_of(10 * SESSION_LINE_MAX_BYTES, "BAD (Command too long) a LOGIN\nOK c NOOP\n");
}
END_TEST

START_TEST(too_much_to_skip)
{
	struct dump_policy policy = { .skip_max = 40, .reject = 1 };
	static const char lost[] = "MESSAGE a APPEND 'x' () 3+\n"
				   "LOST (Too much to be thrown away) a APPEND\n";

	expect("a APPEND x {3+}\r\nxxx {35+}\r\n", policy, lost);
	expect("a APPEND x {3+}\r\nxxx {10+}\r\n012345678901234567890123456789", policy, lost);
	expect("a APPEND x {3+}\r\nxxx {10+}\r\n01234567890123456789\r\nc NOOP\r\n", policy,
	       "MESSAGE a APPEND 'x' () 3+\nREJECTED a APPEND 'x' () 3+\nOK c NOOP\n");
	expect("a APPEND x {41+}\r\n", policy,
	       "MESSAGE a APPEND 'x' () 41+\nLOST (Too much to be thrown away) a APPEND\n");
	expect("a LOGIN {70000+}\r\n", policy, "LOST (Too much to be thrown away) a LOGIN\n");
}
END_TEST

START_TEST(append)
{
	/* RFC 3501, 6.3.11 */
	expect("A003 APPEND saved-messages (\\Seen) {10}\r\n0123456789\r\nb NOOP\r\n", accept_all,
	       "MESSAGE A003 APPEND 'saved-messages' (\\Seen) 10\n0123456789|\n"
	       "OK A003 APPEND 'saved-messages' (\\Seen) 10\nOK b NOOP\n");
	expect("a APPEND {5+}\r\ninbox {3+}\r\n\r\n\r\r\n", accept_all,
	       "MESSAGE a APPEND 'INBOX' () 3+\n\r\n\r|\nOK a APPEND 'INBOX' () 3+\n");
	expect("a APPEND {5}\r\ninbox {0}\r\n\r\n", accept_all,
	       "LITERAL 5 a APPEND\nMESSAGE a APPEND 'INBOX' () 0\n|\nOK a APPEND 'INBOX' () 0\n");
	expect("a APPEND x (\\Seen $F) \"17-Jul-1996 02:44:25 -0700\" {1+}\nx\n", accept_all,
	       "MESSAGE a APPEND 'x' (\\Seen $F) 837596665-420 1+\nx|\n"
	       "OK a APPEND 'x' (\\Seen $F) 837596665-420 1+\n");
	/* node-imap: one digit, no blank. */
	expect("a APPEND x () \"2-Jan-2022 00:00:00 +0000\" {1+}\nx\n", accept_all,
	       "MESSAGE a APPEND 'x' () 1641081600+0 1+\nx|\nOK a APPEND 'x' () 1641081600+0 1+\n");
	expect("a APPEND x {3000000000+}\r\nx", accept_all,
	       "MESSAGE a APPEND 'x' () 3000000000+\nx");
}
END_TEST

START_TEST(multiappend)
{
	/* RFC 3502 */
	expect("A003 APPEND saved (\\Seen) {3}\r\nabc (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" "
	       "{2+}\r\n"
	       "de {1}\r\nf\r\n",
	       accept_all,
	       "MESSAGE A003 APPEND 'saved' (\\Seen) 3\nabc|\n"
	       "MESSAGE A003 APPEND 'saved' (\\Seen) 3 (\\Seen) 760689784-480 2+\nde|\n"
	       "MESSAGE A003 APPEND 'saved' (\\Seen) 3 (\\Seen) 760689784-480 2+ () 1\nf|\n"
	       "OK A003 APPEND 'saved' (\\Seen) 3 (\\Seen) 760689784-480 2+ () 1\n");
}
END_TEST

START_TEST(bad_append)
{
	expect("a APPEND x\r\n", accept_all, "BAD (Missing argument) a APPEND\n");
	expect("a APPEND x (\\Seen)\r\n", accept_all, "BAD (Missing argument) a APPEND\n");
	expect("a APPEND x (\\Bogus) {3}\r\nc NOOP\r\n", accept_all,
	       "BAD (Flag is not one that a client can set) a APPEND\nOK c NOOP\n");
	expect("a APPEND x \"never\" {3+}\r\nxxx {2+}\r\nyy\r\nc NOOP\r\n", accept_all,
	       "BAD (Invalid date) a APPEND\nOK c NOOP\n");
	expect("a APPEND x {3+}\r\nxxxyyy\r\nc NOOP\r\n", accept_all,
	       "MESSAGE a APPEND 'x' () 3+\nxxx|\nBAD (Unexpected argument at the end) a APPEND\n"
	       "OK c NOOP\n");
	expect("a APPEND x {3+}\r\nxxx (\\Bogus) {2+}\r\nyyy\r\nc NOOP\r\n", accept_all,
	       "MESSAGE a APPEND 'x' () 3+\nxxx|\nBAD (Flag is not one that a client can set) a "
	       "APPEND\nOK c NOOP\n");
	expect("a APPEND x ~{3+}\r\nxxx\r\nc NOOP\r\n", accept_all,
	       "BAD (Expected a literal) a APPEND\nOK c NOOP\n");
	expect("a APPEND x {3+}\r\nxxx ", accept_all, "MESSAGE a APPEND 'x' () 3+\nxxx|\n");
}
END_TEST

START_TEST(rejected)
{
	struct dump_policy first = { .reject = 1 }, second = { .reject = 2 };

	expect("a LOGIN {4}\r\nc NOOP\r\n", first,
	       "LITERAL 4 a LOGIN\nREJECTED a LOGIN ''''\nOK c NOOP\n");
	expect("a APPEND x {3}\r\nc NOOP\r\n", first,
	       "MESSAGE a APPEND 'x' () 3\nREJECTED a APPEND 'x' () 3\nOK c NOOP\n");
	expect("a APPEND x {3+}\r\nxxx (\\Se {2+}\r\nyy\r\nc NOOP\r\n", first,
	       "MESSAGE a APPEND 'x' () 3+\nREJECTED a APPEND 'x' () 3+\nOK c NOOP\n");
	expect("a APPEND x {0+}\r\n {2}\r\nc NOOP\r\n", first,
	       "MESSAGE a APPEND 'x' () 0+\nREJECTED a APPEND 'x' () 0+\nOK c NOOP\n");
	expect("a APPEND x {1+}\r\nx {2}\r\nc NOOP\r\n", second,
	       "MESSAGE a APPEND 'x' () 1+\nx|\nMESSAGE a APPEND 'x' () 1+ () 2\n"
	       "REJECTED a APPEND 'x' () 1+ () 2\nOK c NOOP\n");
	expect("a APPEND x {99999999+}\r\n", first,
	       "MESSAGE a APPEND 'x' () 99999999+\nLOST (Too much to be thrown away) a APPEND\n");
}
END_TEST

/* The disk is full in the middle of a message: its rest, and what follows, is thrown away. */
START_TEST(rejected_in_the_middle)
{
	static const char in[] = "a APPEND x {6+}\r\nabcdef {2+}\r\nxx\r\nc NOOP\r\n";

	for (size_t seen = 0; seen <= 7; seen++) {
		struct imap_parser p;
		struct imap_input got;
		struct arena a;
		struct span rest = span_str(in);

		arena_init(&a);
		imap_parser_init(&p);
		ck_assert_int_eq(imap_parser_next(&p, rest, &a, &got), IMAP_MESSAGE);
		imap_parser_accept(&p);
		rest = span_of(rest.at + got.consumed, rest.bytes - got.consumed);
		if (seen > 0) {
			ck_assert_int_eq(imap_parser_next(&p, span_of(rest.at, seen < 6 ? seen : 6),
							  &a, &got),
					 IMAP_MESSAGE_BYTES);
			rest = span_of(rest.at + got.consumed, rest.bytes - got.consumed);
		}
		if (seen > 6) /* a part of the line behind it */
			ck_assert_int_eq(imap_parser_next(&p, span_of(rest.at, 3), &a, &got),
					 IMAP_MORE);
		imap_parser_reject(&p);
		ck_assert_int_eq(imap_parser_next(&p, rest, &a, &got), IMAP_REJECTED);
		rest = span_of(rest.at + got.consumed, rest.bytes - got.consumed);
		ck_assert(imap_parser_is_idle(&p));
		ck_assert_int_eq(imap_parser_next(&p, rest, &a, &got), IMAP_COMMAND);
		ck_assert_int_eq(got.command->kind, CMD_NOOP);
		arena_free(&a);
	}
}
END_TEST

START_TEST(lines)
{
	struct imap_parser p;
	struct span line = { NULL, 0 };
	size_t consumed = 0;

	imap_parser_init(&p);
	ck_assert_int_eq(imap_parser_line(&p, span_str("DO"), 10, &line, &consumed), IMAP_MORE);
	ck_assert_uint_eq(consumed, 0);
	ck_assert(!imap_parser_is_idle(&p));
	ck_assert_int_eq(imap_parser_line(&p, span_str("DONE\r"), 10, &line, &consumed), IMAP_MORE);
	ck_assert_int_eq(imap_parser_line(&p, span_str("DONE\r\na NOOP\r\n"), 10, &line, &consumed),
			 IMAP_COMMAND);
	ck_assert(span_eq(line, span_str("DONE")));
	ck_assert_uint_eq(consumed, 6);
	ck_assert_int_eq(imap_parser_line(&p, span_str("\r\n"), 10, &line, &consumed),
			 IMAP_COMMAND);
	ck_assert_uint_eq(line.bytes, 0);
	ck_assert_int_eq(imap_parser_line(&p, span_str("*\n"), 10, &line, &consumed), IMAP_COMMAND);
	ck_assert(span_eq(line, span_str("*")));
	ck_assert_int_eq(imap_parser_line(&p, span_of("", 0), 10, &line, &consumed), IMAP_MORE);
	ck_assert_int_eq(imap_parser_line(&p, span_str("0123456789\r\n"), 10, &line, &consumed),
			 IMAP_COMMAND);
	ck_assert_int_eq(imap_parser_line(&p, span_str("0123456789ab"), 10, &line, &consumed),
			 IMAP_LOST);
}
END_TEST

START_TEST(lost_stays_lost)
{
	struct imap_parser p;
	struct imap_input got;
	struct arena a;

	arena_init(&a);
	imap_parser_init(&p);
	ck_assert_int_eq(imap_parser_next(&p, span_str("a LOGIN {99999999+}\r\n"), &a, &got),
			 IMAP_LOST);
	ck_assert(span_eq(got.command->tag, span_str("a")));
	ck_assert_int_eq(imap_parser_next(&p, span_str("a NOOP\r\n"), &a, &got), IMAP_LOST);
	ck_assert_str_eq(got.why, "Too much to be thrown away");
	arena_free(&a);
}
END_TEST

START_TEST(lowered_bounds)
{
	struct imap_parser p;
	struct imap_input got;
	struct arena a;

	arena_init(&a);
	imap_parser_init(&p);
	p.literal_max_bytes = 100;
	ck_assert_int_eq(imap_parser_next(&p, span_str("a LOGIN {101}\r\n"), &a, &got), IMAP_BAD);
	ck_assert_int_eq(imap_parser_next(&p, span_str("a LOGIN {100}\r\n"), &a, &got),
			 IMAP_LITERAL);
	arena_free(&a);
}
END_TEST

/* What one command can make us hold is bounded also when it is made to be expensive. */
START_TEST(expensive_commands)
{
	struct buf in = { 0 }, out = { 0 };

	buf_puts(&in, "a APPEND x");
	for (int i = 0; i < 200; i++) {
		buf_puts(&in, " (");
		for (int n = 0; n < 1000; n++)
			buf_printf(&in, "%s%d", n == 0 ? "" : " ", n);
		buf_puts(&in, ") {0+}\r\n");
	}
	buf_puts(&in, "\r\nc NOOP\r\n");
	dump_stream(buf_span(&in), cut_never, NULL, accept_all, &out);
	buf_putc(&out, '\0');
	const char *tail = strstr(out.at, "BAD");
	ck_assert_ptr_nonnull(tail);
	ck_assert_str_eq(tail, "BAD (Command too complex) a APPEND\nOK c NOOP\n");
	buf_free(&in);
	buf_free(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap_parser");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, commands_one_by_one);
	tcase_add_test(t, bad_commands_and_their_tags);
	tcase_add_test(t, nul_is_bad);
	tcase_add_test(t, literals);
	tcase_add_test(t, bad_commands_with_literals);
	tcase_add_test(t, large_literals);
	tcase_add_test(t, large_commands);
	tcase_add_test(t, long_lines);
	tcase_add_test(t, too_much_to_skip);
	tcase_add_test(t, append);
	tcase_add_test(t, multiappend);
	tcase_add_test(t, bad_append);
	tcase_add_test(t, rejected);
	tcase_add_test(t, rejected_in_the_middle);
	tcase_add_test(t, lines);
	tcase_add_test(t, lost_stays_lost);
	tcase_add_test(t, lowered_bounds);
	tcase_add_test(t, expensive_commands);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
