/* Crash points kill at the n-th visit, faults fail what they should and then end. */
#include "storage/base/crash_point.h"
#include "storage/base/err.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Visits the crash point five times in a child; the signal that ended it, or -(exit code). */
static int child_visits(const char *variable, const char *value, int (*visit)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setenv(variable, value, 1);
		_exit(visit());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static int crash_twice(void)
{
	CRASH_POINT("test.crash");
	CRASH_POINT("test.crash");
	return (int)crash_point_passed("test.crash");
}

/* Which of six calls failed, as bits. */
static int fault_six(void)
{
	int bits = 0;

	for (int i = 0; i < 6; i++)
		if (FAULT_POINT("test.fault") == ERR_NO_SPACE)
			bits |= 1 << i;
	return bits;
}

START_TEST(crashes)
{
	ck_assert_int_eq(child_visits("TIDEMARK_CRASH_AT", "test.crash", crash_twice), SIGKILL);
	ck_assert_int_eq(child_visits("TIDEMARK_CRASH_AT", "test.crash:2", crash_twice), SIGKILL);
	ck_assert_int_eq(child_visits("TIDEMARK_CRASH_AT", "test.crash:3", crash_twice), -2);
	ck_assert_int_eq(child_visits("TIDEMARK_CRASH_AT", "", crash_twice), -2);
}
END_TEST

START_TEST(faults)
{
	ck_assert_int_eq(child_visits("TIDEMARK_FAULT_AT", "test.fault:2:ENOSPC", fault_six), -2);
	ck_assert_int_eq(child_visits("TIDEMARK_FAULT_AT", "test.fault:2:ENOSPC:3", fault_six),
			 -14);
	ck_assert_int_eq(child_visits("TIDEMARK_FAULT_AT", "test.fault:3:ENOSPC:0", fault_six),
			 -60);
	ck_assert_int_eq(child_visits("TIDEMARK_FAULT_AT", "test.fault:3:EIO:0", fault_six), 0);
}
END_TEST

START_TEST(fails_the_nth)
{
	fault_fail_nth(3, ERR_IO);
	ck_assert_int_eq(FAULT_POINT("test.fault"), OK);
	ck_assert_int_eq(FAULT_POINT("test.fault"), OK);
	ck_assert(!fault_fired());
	ck_assert_int_eq(FAULT_POINT("test.fault"), ERR_IO);
	ck_assert(fault_fired());
	ck_assert_int_eq(FAULT_POINT("test.fault"), OK);
	fault_fail_nth(0, OK);
	ck_assert(!fault_fired());
	ck_assert_uint_eq(crash_point_passed("no.such.point"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crash_point");
	TCase *t = tcase_create("crash_point");

	if (TIDEMARK_HOOKS) {
		tcase_add_test(t, crashes);
		tcase_add_test(t, faults);
		tcase_add_test(t, fails_the_nth);
	}
	suite_add_tcase(s, t);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
