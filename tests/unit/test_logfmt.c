/* The log: what hostile bytes become, what is cut, what a level hides. */
#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/ids.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ends[2];

static const char *line_read(void)
{
	static char text[64 * 1024];
	ssize_t n = read(ends[0], text, sizeof(text) - 1);

	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_int_eq(text[n - 1], '\n');
	ck_assert_ptr_eq(strchr(text, '\n'), text + n - 1); /* one line */
	ck_assert_int_eq(strncmp(text, "ts=20", 5), 0);
	return strstr(text, " level=");
}

START_TEST(fields)
{
	log_info("hello \"world\"", LOG_SESSION((session_id){ 17 }), LOG_STR("plain", "INBOX"),
		 LOG_STR("empty", ""), LOG_STR("null", NULL), LOG_STR("spaces", "a b"),
		 LOG_I64("minus", -3), LOG_HEX("id", "\x01\xfe", 2), LOG_ERR(ERR_NO_SPACE),
		 LOG_END);
	ck_assert_str_eq(
		line_read(),
		" level=info msg=\"hello \\\"world\\\"\" session=17 plain=INBOX empty=\"\" "
		"null=\"\" spaces=\"a b\" minus=-3 id=01fe error=no-space\n");
}
END_TEST

START_TEST(hostile_bytes)
{
	log_warn("x", LOG_SPAN("v", span_of("a\r\nts=1 \"\\\x00\x1b[0m", 15)), LOG_END);
	ck_assert_str_eq(line_read(), " level=warn msg=\"x\" "
				      "v=\"a\\r\\nts=1 \\\"\\\\\\x00\\x1b[0m\"\n");
	log_warn("x", LOG_STR("ok", "gr\xc3\xbc\xc3\x9f"), LOG_STR("c1", "\xc2\x9b"),
		 LOG_STR("cut", "\xe2\x82"), LOG_STR("bidi", "\xe2\x80\xae"),
		 LOG_STR("long", "\xc0\xaf"), LOG_STR("eq", "a=b"), LOG_END);
	ck_assert_str_eq(line_read(), " level=warn msg=\"x\" ok=\"gr\xc3\xbc\xc3\x9f\" "
				      "c1=\"\\xc2\\x9b\" cut=\"\\xe2\\x82\" "
				      "bidi=\"\\xe2\\x80\\xae\" long=\"\\xc0\\xaf\" eq=\"a=b\"\n");
}
END_TEST

START_TEST(cuts)
{
	static char big[LOG_LINE_MAX_BYTES * 2];
	struct span s = span_of(big, sizeof(big));

	memset(big, 'x', sizeof(big));
	log_error("x", LOG_SPAN("v", s), LOG_END);
	const char *line = line_read();
	ck_assert_ptr_nonnull(strstr(line, "xxx...\"\n"));
	ck_assert_uint_lt(strlen(line), LOG_VALUE_MAX_BYTES + 50);

	memset(big, '\x01', sizeof(big));
	log_error("x", LOG_SPAN("a", s), LOG_SPAN("b", s), LOG_SPAN("c", s), LOG_SPAN("d", s),
		  LOG_SPAN("e", s), LOG_END);
	ck_assert_uint_lt(strlen(line_read()), LOG_LINE_MAX_BYTES);
}
END_TEST

static int evaluated;

static const char *evaluate(void)
{
	evaluated++;
	return "";
}

START_TEST(levels)
{
	enum log_level level;

	log_debug("hidden", LOG_STR("x", evaluate()), LOG_END);
	ck_assert_int_eq(evaluated, 0);
	ck_assert(log_level_parse(span_str("Debug"), &level));
	ck_assert(!log_level_parse(span_str("loud"), &level));
	log_set_level(level);
	log_debug("shown", LOG_STR("x", evaluate()), LOG_END);
	ck_assert_int_eq(evaluated, 1);
	line_read();
	log_set_level(LOG_LEVEL_INFO);
}
END_TEST

START_TEST(clocks)
{
	uint64_t ns = clock_boot_ns(), ms = clock_boot_ms();

	ck_assert_uint_ge(ms, ns / 1000000);
	ck_assert_uint_le(ns, clock_boot_ns());
	ck_assert_int_gt(clock_real_seconds(), 1600000000);
	ck_assert_uint_ge(clock_real_us() / 1000000, (uint64_t)clock_real_seconds() - 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("logfmt");
	TCase *t = tcase_create("logfmt");

	if (pipe(ends) != 0)
		return EXIT_FAILURE;
	log_set_fd(ends[1]);
	tcase_add_test(t, fields);
	tcase_add_test(t, hostile_bytes);
	tcase_add_test(t, cuts);
	tcase_add_test(t, levels);
	tcase_add_test(t, clocks);
	suite_add_tcase(s, t);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
