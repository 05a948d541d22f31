/* What a configuration says, and how a wrong one is refused. */
#include "server/config/config.h"
#include "storage/base/err.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct config config;
static struct buf errors;

static int parse(const char *text)
{
	config_free(&config);
	buf_free(&errors);
	int rc = config_parse(span_str(text), "t.yaml", &config, &errors);
	buf_putc(&errors, '\0');
	return rc;
}

static void teardown(void)
{
	config_free(&config);
	buf_free(&errors);
}

static void refuse(const char *text, const char *error)
{
	ck_assert_int_eq(parse(text), ERR_BAD_INPUT);
	ck_assert_str_eq(errors.at, error);
}

START_TEST(everything_has_a_default_but_data)
{
	ck_assert_int_eq(parse("data: /tmp/x\n"), OK);
	ck_assert_str_eq(config.data, "/tmp/x");
	ck_assert_uint_eq(config.partitions, 256);
	ck_assert_uint_eq(config.loops, 0);
	ck_assert_uint_eq(config.imap.count, 1);
	ck_assert_str_eq(config.imap.at[0].address, "::");
	ck_assert_uint_eq(config.imap.at[0].port, 143);
	ck_assert_str_eq(config.admin.at[0].address, "127.0.0.1");
	ck_assert_uint_eq(config.auth.mechanisms, 63);
	ck_assert_uint_eq(config.auth.iterations, 4096);
	ck_assert(!config.auth.plaintext_on_loopback);
	ck_assert_uint_eq(config.limits.message_bytes, 64 * 1024 * 1024);
	ck_assert_uint_eq(config.limits.login_ms, 60000);
	ck_assert_uint_eq(config.limits.idle_ms, 31 * 60000);
	ck_assert_uint_eq(config.log.level, LOG_LEVEL_INFO);
	ck_assert_uint_eq(config.tls.certificate_count, 0);
	ck_assert_ptr_null(config.tls.client_ca);
	ck_assert_uint_gt(strlen(config.hostname), 0);
}
END_TEST

START_TEST(all_types_are_read)
{
	ck_assert_int_eq(parse("data: /d\n"
			       "hostname: h.example\n"
			       "reads: strict\n"
			       "imap: {listen: [\"127.0.0.1:0\", \"[::1]:1143\", '*:5']}\n"
			       "imaps: {listen: []}\n"
			       "lmtp:\n  listen: 127.0.0.1:1024\n  recipients: whole-address\n"
			       "tls:\n"
			       "  certificates:\n"
			       "    - certificate: a.pem\n      key: a.key\n"
			       "    - {key: b.key, certificate: b.pem}\n"
			       "  min_version: 1.3\n"
			       "auth:\n  plaintext_on_loopback: true\n"
			       "  mechanisms: [scram-sha-256, EXTERNAL]\n"
			       "  failure_delay: 250ms\n"
			       "limits: {message_size: 25M, login_time: 90s}\n"
			       "log:\n"
			       "memory: {pages: 1G}\n"),
			 OK);
	ck_assert_uint_eq(config.reads, CONFIG_READS_STRICT);
	ck_assert_uint_eq(config.imap.count, 3);
	ck_assert_str_eq(config.imap.at[1].address, "::1");
	ck_assert_str_eq(config.imap.at[2].address, "::");
	ck_assert_uint_eq(config.imaps.count, 0);
	ck_assert_uint_eq(config.lmtp.at[0].port, 1024);
	ck_assert_uint_eq(config.delivery.recipients, CONFIG_RECIPIENTS_WHOLE_ADDRESS);
	ck_assert_uint_eq(config.tls.certificate_count, 2);
	ck_assert_str_eq(config.tls.certificates[1].certificate, "b.pem");
	ck_assert_str_eq(config.tls.certificates[1].key, "b.key");
	ck_assert_uint_eq(config.tls.min_version, CONFIG_TLS_1_3);
	ck_assert(config.auth.plaintext_on_loopback);
	ck_assert_uint_eq(config.auth.mechanisms,
			  CONFIG_MECHANISM_SCRAM_SHA_256 | CONFIG_MECHANISM_EXTERNAL);
	ck_assert_uint_eq(config.auth.failure_delay_ms, 250);
	ck_assert_uint_eq(config.limits.message_bytes, 25 * 1024 * 1024);
	ck_assert_uint_eq(config.limits.login_ms, 90000);
	ck_assert_uint_eq(config.memory.pages_bytes, (uint64_t)1 << 30);
}
END_TEST

START_TEST(mistakes_say_where_and_what_is_allowed)
{
	refuse("data: /d\nloops: many\n",
	       "t.yaml:2:8: loops: \"many\" is not a number; allowed: a number from 0 to 1024\n");
	refuse("data: /d\nloops: 5000\n",
	       "t.yaml:2:8: loops: \"5000\" is out of range; allowed: a number from 0 to 1024\n");
	refuse("data: /d\nloops: \"5\"\n",
	       "t.yaml:2:8: loops: \"5\" is a string; allowed: a number from 0 to 1024\n");
	refuse("data: /d\nlog: {lvel: info}\n",
	       "t.yaml:2:7: log.lvel: there is no such key; allowed: level\n");
	refuse("data: /d\nlog: {level: loud}\n",
	       "t.yaml:2:14: log.level: \"loud\" is not one of the choices; allowed: debug, info, "
	       "warn, error\n");
	refuse("data: /d\nlog: 5\n",
	       "t.yaml:2:6: log: is not a mapping; allowed below it: level\n");
	refuse("data: /d\ndata: /e\n", "t.yaml:2:1: data: is there twice; first on line 1\n");
	refuse("data: /d\nlog: {level: info}\nlog: {level: warn}\n",
	       "t.yaml:3:1: log: is there twice; first on line 2\n");
	refuse("loops: 1\n", "t.yaml:1:1: data: is required; allowed: a string\n");
	refuse("", "t.yaml:1:1: data: is required; allowed: a string\n");
	refuse("data:\n", "t.yaml:1:6: data: \"\" says nothing; allowed: a string\n");
	refuse("data: {x: y}\n",
	       "t.yaml:1:7: data: has keys below it, but is a value; allowed: a string\n");
	refuse("data: /d\nlimits: {login_time: 30}\n",
	       "t.yaml:2:22: limits.login_time: \"30\" has no unit that is known; allowed: a "
	       "duration from 1s to 1h (units ms, s, m, h, d)\n");
	refuse("data: /d\nauth: {failure_delay: 1m}\n",
	       "t.yaml:2:8: auth.failure_delay: is more than auth.failure_delay_max; allowed: at "
	       "most that\n");
	refuse("data: /d\nimap: {listen: *:143}\n",
	       "t.yaml:2:17: not YAML: did not find expected "
	       "alphabetic or numeric character while scanning an alias; a value with * stands in "
	       "quotes\n");
	refuse("data: /d\nimap:\n  listen: localhost:143\n",
	       "t.yaml:3:11: imap.listen: \"localhost:143\" is not ADDRESS:PORT; allowed: "
	       "ADDRESS:PORT, [IPV6]:PORT or *:PORT, or a list of at most 64; [] for none\n");
	refuse("data: /d\nadmin: {listen: ['127.0.0.1:1', '127.0.0.1:2']}\n",
	       "t.yaml:2:33: admin.listen: \"127.0.0.1:2\" is one too many; allowed: ADDRESS:PORT, "
	       "[IPV6]:PORT or *:PORT, or [] for none\n");
	refuse("data: /d\ntls: {certificates: [{certificate: a}]}\n",
	       "t.yaml:2:22: tls.certificates: lacks the certificate or the key; allowed: a list "
	       "of "
	       "{certificate: FILE, key: FILE}\n");
	refuse("a: &x b\ndata: *x\n",
	       "t.yaml:1:1: a: there is no such key; allowed: data, hostname, loops, readers, "
	       "partitions, reads, imap, imaps, lmtp, admin, tls, auth, limits, log, memory\n"
	       "t.yaml:2:7: data: aliases are not used here; a value with * stands in quotes\n");
}
END_TEST

START_TEST(broken_yaml_ends_with_one_line)
{
	ck_assert_int_eq(parse("data: [\n"), ERR_BAD_INPUT);
	ck_assert_ptr_nonnull(strstr(errors.at, "t.yaml:2:1: not YAML: "));
	ck_assert_int_eq(parse("data: /d\nhostname: a\xff\n"), ERR_BAD_INPUT);
	ck_assert_ptr_nonnull(strstr(errors.at, "t.yaml:2:12: not YAML: "));
	ck_assert_int_eq(parse("data: /d\n--- \ndata: /e\n"), ERR_BAD_INPUT);
	ck_assert_ptr_nonnull(strstr(errors.at, "a second document"));
	ck_assert_int_eq(parse("[]\n"), ERR_BAD_INPUT);
	ck_assert_int_eq(parse("? [a]\n: b\n"), ERR_BAD_INPUT);
	ck_assert_int_eq(parse("data: \"\\0\"\n"), ERR_BAD_INPUT);
}
END_TEST

START_TEST(many_mistakes_are_bounded)
{
	struct buf text = { 0 };

	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "x%d: {y: [1, {z: 2}]}\n", i);
	buf_putc(&text, '\0');
	ck_assert_int_eq(parse(text.at), ERR_BAD_INPUT);
	size_t lines = 0;
	for (const char *p = errors.at; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	ck_assert_uint_eq(lines, 20);
	buf_free(&text);
}
END_TEST

START_TEST(a_mistake_is_one_line_whatever_the_file_says)
{
	ck_assert_int_eq(parse("data: /d\n\"a\\nb\\x1b\": 1\n"), ERR_BAD_INPUT);
	ck_assert_ptr_nonnull(strstr(errors.at, "t.yaml:2:1: a?b?: there is no such key"));
}
END_TEST

START_TEST(the_example_is_valid_and_says_the_defaults)
{
	struct buf example = { 0 }, a = { 0 }, b = { 0 };

	config_print_example(&example);
	buf_putc(&example, '\0');
	ck_assert_int_eq(parse(example.at), OK);
	config_print(&config, &a);
	ck_assert_int_eq(parse("data: /var/lib/tidemark\n"), OK);
	config_print(&config, &b);
	ck_assert(span_eq(buf_span(&a), buf_span(&b)));
	buf_free(&example);
	buf_free(&a);
	buf_free(&b);
}
END_TEST

START_TEST(a_reload_tells_what_needs_a_restart)
{
	struct config now = { 0 }, next = { 0 };
	struct buf lines = { 0 };

	ck_assert_int_eq(config_parse(span_str("data: /d\nloops: 2\n"), "a", &now, &lines), OK);
	ck_assert_int_eq(config_parse(span_str("data: /d\nloops: 3\nlog: {level: debug}\n"), "b",
				      &next, &lines),
			 OK);
	ck_assert_uint_eq(config_reload_check(&now, &next, &lines), 1);
	buf_putc(&lines, '\0');
	ck_assert_str_eq(lines.at, "loops: is changed by a restart only\n");
	buf_free(&lines);
	config_free(&now);
	config_free(&next);
}
END_TEST

START_TEST(a_file_is_read_and_a_missing_one_told)
{
	char name[] = "/tmp/test_config_XXXXXX";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "data: /d\n", 9), 9);
	(void)close(fd);
	ck_assert_int_eq(config_load(name, &config, &errors), OK);
	config_free(&config);
	(void)unlink(name);
	ck_assert_int_eq(config_load(name, &config, &errors), ERR_BAD_INPUT);
	ck_assert_uint_gt(errors.bytes, 0);
	ck_assert_int_eq(config_load("/tmp", &config, &errors), ERR_BAD_INPUT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("parse");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, everything_has_a_default_but_data);
	tcase_add_test(t, all_types_are_read);
	tcase_add_test(t, mistakes_say_where_and_what_is_allowed);
	tcase_add_test(t, broken_yaml_ends_with_one_line);
	tcase_add_test(t, many_mistakes_are_bounded);
	tcase_add_test(t, a_mistake_is_one_line_whatever_the_file_says);
	tcase_add_test(t, the_example_is_valid_and_says_the_defaults);
	tcase_add_test(t, a_reload_tells_what_needs_a_restart);
	tcase_add_test(t, a_file_is_read_and_a_missing_one_told);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
