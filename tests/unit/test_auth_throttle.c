/* Failed logins cost time, and lock nobody out. */
#include "server/auth/throttle.h"
#include "storage/base/limits.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct throttle *t;
static const uint64_t T0 = 1000000;

static void setup(void)
{
	t = throttle_create(1000, 15000, 1024);
}

static void teardown(void)
{
	throttle_free(&t);
}

static uint64_t attempt(const char *account, const char *address, uint64_t now)
{
	return throttle_delay_ms(t, span_str(account), address, now);
}

static void miss(const char *account, const char *address, unsigned times, uint64_t now)
{
	for (unsigned i = 0; i < times; i++)
		throttle_failed(t, span_str(account), address, now);
}

START_TEST(delays_grow_to_the_maximum)
{
	static const uint64_t want[] = { 0, 0, 0, 1000, 2000, 4000, 8000, 15000, 15000 };
	uint64_t now = T0;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		uint64_t delay = attempt("joe", "192.0.2.1", now);
		ck_assert_uint_eq(delay, want[i]);
		now += delay;
		miss("joe", "192.0.2.1", 1, now);
	}
}
END_TEST

START_TEST(others_do_not_wait)
{
	miss("joe", "192.0.2.1", 15, T0);
	ck_assert_uint_eq(attempt("joe", "192.0.2.2", T0), 0); /* elsewhere */
	ck_assert_uint_eq(attempt("jim", "192.0.2.1", T0), 0); /* same address, few failures */
	ck_assert_uint_gt(attempt("joe", "192.0.2.1", T0), 0);
}
END_TEST

START_TEST(an_address_that_guesses_many_names_waits)
{
	char name[32];

	for (int i = 0; i < THROTTLE_ADDRESS_FREE + 3; i++) {
		(void)snprintf(name, sizeof(name), "user%d", i);
		miss(name, "192.0.2.1", 1, T0);
	}
	ck_assert_uint_ge(attempt("fresh", "192.0.2.1", T0), 8000);
	ck_assert_uint_eq(attempt("fresh", "192.0.2.9", T0), 0);
}
END_TEST

START_TEST(from_this_machine_comes_everybody)
{
	static const char *const addresses[] = { "127.0.0.1", "::1", "::ffff:127.0.0.1" };

	for (size_t i = 0; i < 3; i++) {
		miss("joe", addresses[i], 100, T0);
		ck_assert_uint_eq(attempt("jim", addresses[i], T0), 0);
		ck_assert_uint_gt(attempt("joe", addresses[i], T0), 0);
	}
}
END_TEST

START_TEST(a_known_good_address_waits_little)
{
	throttle_succeeded(t, span_str("joe"), "192.0.2.1", T0);
	miss("jim", "192.0.2.1", 100, T0);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0), 0);
	miss("joe", "192.0.2.1", 100, T0);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0), THROTTLE_KNOWN_MAX_MILLISECONDS);
}
END_TEST

START_TEST(success_forgives_and_time_heals)
{
	miss("joe", "192.0.2.1", 6, T0);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0), 8000);
	throttle_succeeded(t, span_str("joe"), "192.0.2.1", T0 + 8000);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0 + 8000), 0);
	miss("jim", "192.0.2.1", 6, T0);
	ck_assert_uint_eq(attempt("jim", "192.0.2.1", T0 + THROTTLE_HALF_SECONDS * 1000), 1000);
	ck_assert_uint_eq(attempt("jim", "192.0.2.1", T0 + THROTTLE_HALF_SECONDS * 2000), 0);
}
END_TEST

START_TEST(attempts_at_the_same_time_line_up)
{
	miss("joe", "192.0.2.1", 4, T0);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0), 2000);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0), 4000);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0), 6000);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_le(attempt("joe", "192.0.2.1", T0), 15000);
}
END_TEST

START_TEST(ipv6_counts_by_network)
{
	miss("joe", "2001:db8::1", 5, T0);
	ck_assert_uint_gt(attempt("joe", "2001:db8::ffff", T0), 0);
	ck_assert_uint_eq(attempt("joe", "2001:db8:0:1::1", T0), 0);
	miss("jim", "::ffff:192.0.2.1", 5, T0);
	ck_assert_uint_gt(attempt("jim", "192.0.2.1", T0), 0);
	miss("jim", "unknown", 5, T0);
	ck_assert_uint_gt(attempt("jim", "unknown", T0), 0);
}
END_TEST

START_TEST(a_flood_of_names_does_not_displace_the_known)
{
	char name[32];

	throttle_succeeded(t, span_str("joe"), "192.0.2.1", T0);
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "user%d", i);
		miss(name, "192.0.2.1", 1, T0 + 1);
	}
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0 + 1), 0);
}
END_TEST

START_TEST(no_delay_at_all_can_be_configured)
{
	throttle_set(t, 0, 0);
	miss("joe", "192.0.2.1", 100, T0);
	ck_assert_uint_eq(attempt("joe", "192.0.2.1", T0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("auth");
	TCase *c = tcase_create("throttle");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, delays_grow_to_the_maximum);
	tcase_add_test(c, others_do_not_wait);
	tcase_add_test(c, an_address_that_guesses_many_names_waits);
	tcase_add_test(c, from_this_machine_comes_everybody);
	tcase_add_test(c, a_known_good_address_waits_little);
	tcase_add_test(c, success_forgives_and_time_heals);
	tcase_add_test(c, attempts_at_the_same_time_line_up);
	tcase_add_test(c, ipv6_counts_by_network);
	tcase_add_test(c, a_flood_of_names_does_not_displace_the_known);
	tcase_add_test(c, no_delay_at_all_can_be_configured);
	suite_add_tcase(suite, c);
	SRunner *r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
