/* The bytes of LMTP. */
#include "server/lmtp/lmtp_parse.h"
#include "storage/base/limits.h"

#include <check.h>
#include <stdlib.h>

static struct lmtp_command parse(const char *line)
{
	struct lmtp_command c;

	lmtp_parse_command(span_str(line), &c);
	return c;
}

static void is(struct span s, const char *want)
{
	ck_assert_msg(span_eq(s, span_str(want)), "%.*s is not %s", (int)s.bytes, s.at, want);
}

START_TEST(lines_end_with_crlf)
{
	struct span line;
	size_t used = 0;
	char longest[LMTP_LINE_MAX_BYTES + 2];

	ck_assert_int_eq(lmtp_take_line(span_str("NOOP\r\nQ"), &line, &used), LMTP_LINE_OK);
	is(line, "NOOP");
	ck_assert_uint_eq(used, 6);
	ck_assert_int_eq(lmtp_take_line(span_str("NOOP\r"), &line, &used), LMTP_LINE_MORE);
	ck_assert_int_eq(lmtp_take_line(span_str(""), &line, &used), LMTP_LINE_MORE);
	ck_assert_int_eq(lmtp_take_line(span_str("NOOP\nQ"), &line, &used), LMTP_LINE_BARE_LF);
	ck_assert_uint_eq(used, 5);
	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(lmtp_take_line(span_of(longest, LMTP_LINE_MAX_BYTES - 1), &line, &used),
			 LMTP_LINE_MORE);
	ck_assert_int_eq(lmtp_take_line(span_of(longest, sizeof(longest)), &line, &used),
			 LMTP_LINE_TOO_LONG);
	ck_assert_uint_eq(used, LMTP_LINE_MAX_BYTES);
}
END_TEST

START_TEST(verbs)
{
	ck_assert_int_eq(parse("lhlo mx.example.org").verb, LMTP_LHLO);
	is(parse("LHLO [192.0.2.1]").name, "[192.0.2.1]");
	ck_assert_int_eq(parse("LHLO").fault, LMTP_BAD_SYNTAX);
	ck_assert_int_eq(parse("LHLO a b").fault, LMTP_BAD_SYNTAX);
	ck_assert_int_eq(parse("LHLO (x)").fault, LMTP_BAD_SYNTAX);
	ck_assert_int_eq(parse("EHLO x").verb, LMTP_HELO);
	ck_assert_int_eq(parse("DATA").verb, LMTP_DATA);
	ck_assert_int_eq(parse("DATA ").fault, LMTP_FINE);
	ck_assert_int_eq(parse("DATA x").fault, LMTP_BAD_SYNTAX);
	ck_assert_int_eq(parse("NOOP whatever").fault, LMTP_FINE);
	ck_assert_int_eq(parse("NO").verb, LMTP_UNKNOWN);
	ck_assert_int_eq(parse("").verb, LMTP_UNKNOWN);
	ck_assert_int_eq(parse("NOOP \x01").fault, LMTP_BAD_SYNTAX);
}
END_TEST

START_TEST(mail)
{
	struct lmtp_command c = parse("MAIL FROM:<joe@example.org> SIZE=1234 body=8bitmime");

	ck_assert_int_eq(c.verb, LMTP_MAIL);
	ck_assert_int_eq(c.fault, LMTP_FINE);
	is(c.address.whole, "joe@example.org");
	is(c.address.local, "joe");
	is(c.address.domain, "example.org");
	ck_assert(c.has_size);
	ck_assert_uint_eq(c.size, 1234);
	is(parse("MAIL FROM:<>").address.whole, "");
	ck_assert_int_eq(parse("MAIL FROM:<>").fault, LMTP_FINE);
	ck_assert_int_eq(parse("mail from: <a@b>").fault, LMTP_FINE);
	is(parse("MAIL FROM:<@x,@y:a@b>").address.whole, "a@b");
	ck_assert_int_eq(parse("MAIL FROM:<a@b> SMTPUTF8").fault, LMTP_FINE);
	ck_assert(parse("MAIL FROM:<\xc3\xa4@b> SMTPUTF8").utf8);
	ck_assert_int_eq(parse("MAIL FROM:<\xc3\xa4@b> SMTPUTF8").fault, LMTP_FINE);
	ck_assert_int_eq(parse("MAIL FROM:<\xc3\xa4@b>").fault, LMTP_NEEDS_UTF8);

	static const struct {
		const char *line;
		enum lmtp_fault fault;
	} bad[] = {
		{ "MAIL", LMTP_BAD_SYNTAX },
		{ "MAIL FROM", LMTP_BAD_SYNTAX },
		{ "MAIL TO:<a@b>", LMTP_BAD_SYNTAX },
		{ "MAIL FROM:a@b", LMTP_BAD_ADDRESS },
		{ "MAIL FROM:<a@b", LMTP_BAD_ADDRESS },
		{ "MAIL FROM:<a@>", LMTP_BAD_ADDRESS },
		{ "MAIL FROM:<@b>", LMTP_BAD_ADDRESS },
		{ "MAIL FROM:<a b@c>", LMTP_BAD_ADDRESS },
		{ "MAIL FROM:<\"a@b>", LMTP_BAD_ADDRESS },
		{ "MAIL FROM:<a@b>SIZE=1", LMTP_BAD_ADDRESS },
		{ "MAIL FROM:<a@b> SIZE=x", LMTP_BAD_PARAMETER },
		{ "MAIL FROM:<a@b> SIZE=", LMTP_BAD_PARAMETER },
		{ "MAIL FROM:<a@b> SIZE=99999999999999999999", LMTP_BAD_PARAMETER },
		{ "MAIL FROM:<a@b> SIZE=1 SIZE=1", LMTP_BAD_PARAMETER },
		{ "MAIL FROM:<a@b> BODY=BINARYMIME", LMTP_BAD_PARAMETER },
		{ "MAIL FROM:<a@b> SMTPUTF8=yes", LMTP_BAD_PARAMETER },
		{ "MAIL FROM:<a@b> RET=FULL", LMTP_UNKNOWN_PARAMETER },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parse(bad[i].line).fault == bad[i].fault, "%s", bad[i].line);
}
END_TEST

START_TEST(rcpt)
{
	struct lmtp_command c = parse("RCPT TO:<joe+folder@example.org>");
	struct buf local = { 0 };

	is(c.address.local, "joe+folder");
	is(parse("RCPT TO:<joe>").address.local, "joe");
	is(parse("RCPT TO:<joe>").address.domain, "");
	ck_assert_int_eq(parse("RCPT TO:<>").fault, LMTP_BAD_ADDRESS);
	ck_assert_int_eq(parse("RCPT TO:<a@b> NOTIFY=NEVER").fault, LMTP_UNKNOWN_PARAMETER);
	c = parse("RCPT TO:<\"joe \\\"x\\\" @smith\"@example.org>");
	ck_assert_int_eq(c.fault, LMTP_FINE);
	is(c.address.domain, "example.org");
	lmtp_put_local(&local, &c.address);
	is(buf_span(&local), "joe \"x\" @smith");
	is(parse("RCPT TO:<joe@[IPv6:2001:db8::1]>").address.domain, "[IPv6:2001:db8::1]");
	buf_free(&local);
}
END_TEST

START_TEST(bdat)
{
	ck_assert_uint_eq(parse("BDAT 100").size, 100);
	ck_assert(!parse("BDAT 100").last);
	ck_assert(parse("BDAT 0 last").last);
	ck_assert_int_eq(parse("BDAT").fault, LMTP_BAD_SYNTAX);
	ck_assert_int_eq(parse("BDAT -1").fault, LMTP_BAD_SYNTAX);
	ck_assert_int_eq(parse("BDAT 1 FIRST").fault, LMTP_BAD_SYNTAX);
	ck_assert_int_eq(parse("BDAT 1 LAST x").fault, LMTP_BAD_SYNTAX);
}
END_TEST

/* The message behind DATA, fed in two pieces at every cut; what is left must always be the same. */
static void data_is(struct span in, struct span want, struct span left)
{
	for (size_t cut = 0; cut <= in.bytes; cut++) {
		struct lmtp_data d = { 0 };
		struct buf out = { 0 };
		bool end = false;
		size_t used = lmtp_data_feed(&d, span_of(in.at, cut), &out, &end);
		ck_assert(end || used == cut);
		if (!end)
			used += lmtp_data_feed(&d, span_of(in.at + cut, in.bytes - cut), &out,
					       &end);
		ck_assert(end);
		ck_assert_msg(span_eq(buf_span(&out), want), "cut %zu: %.*s", cut, (int)out.bytes,
			      out.at);
		ck_assert(span_eq(span_of(in.at + used, in.bytes - used), left));
		buf_free(&out);
	}
}

static void data(const char *in, const char *want)
{
	data_is(span_str(in), span_str(want), span_str(""));
}

START_TEST(data_ends_with_crlf_dot_crlf_only)
{
	data(".\r\n", "");
	data("a\r\n.\r\n", "a\r\n");
	data("..\r\n.\r\n", ".\r\n");
	data(".a\r\n...b\r\n.\r\n", "a\r\n..b\r\n");
	data("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n"); /* smuggling: LF . CRLF */
	data("a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n");  /* CRLF . LF */
	data("a\n.\nb\r\n.\r\n", "a\n.\nb\r\n");     /* LF . LF */
	data("a\r.\rb\r\n.\r\n", "a\r.\rb\r\n");     /* CR . CR */
	data("a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n");    /* CRLF . CR CRLF */
	data("\r\r\n.\r\n", "\r\r\n");
	data("a\r.\r\n.\r\n", "a\r.\r\n");
	data_is(span_str("a\r\n.\r\nMAIL"), span_str("a\r\n"), span_str("MAIL"));
	data_is(span_of("a\0b\r\n.\r\n", 8),
		span_str("a\x80"
			 "b\r\n"),
		span_str(""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lmtp");
	TCase *t = tcase_create("parse");

	tcase_add_test(t, lines_end_with_crlf);
	tcase_add_test(t, verbs);
	tcase_add_test(t, mail);
	tcase_add_test(t, rcpt);
	tcase_add_test(t, bdat);
	tcase_add_test(t, data_ends_with_crlf_dot_crlf_only);
	suite_add_tcase(suite, t);
	SRunner *r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
