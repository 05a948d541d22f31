/* Counting, and what Prometheus reads. */
#include "storage/base/metrics.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

static struct metrics *m;
static struct buf text;

static void setup(void)
{
	m = metrics_create();
}

static void teardown(void)
{
	metrics_free(&m);
	buf_free(&text);
}

static const char *render(void)
{
	buf_reset(&text);
	metrics_render(m, &text);
	buf_putc(&text, '\0');
	return text.at;
}

START_TEST(help_and_type_come_once_and_all_is_sorted)
{
	struct counter *b = metrics_counter(m, "tm_b_total", "x=\"2\"", "Bees.");
	struct counter *a = metrics_counter(m, "tm_b_total", "x=\"1\"", "Bees.");
	struct gauge *g = metrics_gauge(m, "tm_a", NULL, "An \\ and\na line.");

	counter_add(b, 2);
	counter_add(a, 1);
	gauge_set(g, 5);
	gauge_add(g, -8);
	ck_assert_str_eq(render(), "# HELP tm_a An \\\\ and\\na line.\n"
				   "# TYPE tm_a gauge\n"
				   "tm_a -3\n"
				   "# HELP tm_b_total Bees.\n"
				   "# TYPE tm_b_total counter\n"
				   "tm_b_total{x=\"1\"} 1\n"
				   "tm_b_total{x=\"2\"} 2\n");
}
END_TEST

START_TEST(the_same_name_and_labels_are_the_same_object)
{
	struct counter *a = metrics_counter(m, "tm_x_total", "l=\"1\"", "X.");

	ck_assert_ptr_eq(a, metrics_counter(m, "tm_x_total", "l=\"1\"", "X."));
	ck_assert_ptr_ne(a, metrics_counter(m, "tm_x_total", "l=\"2\"", "X."));
	ck_assert_ptr_ne(a, metrics_counter(m, "tm_x_total", NULL, "X."));
}
END_TEST

START_TEST(a_histogram_is_cumulative_and_in_seconds)
{
	struct histogram *h = metrics_histogram(m, "tm_t_seconds", "op=\"a\"", "T.");

	histogram_record_ns(h, 0);
	histogram_record_ns(h, 10000);
	histogram_record_ns(h, 10001);
	histogram_record_ns(h, 60000000000);
	const char *s = render();
	ck_assert_ptr_nonnull(strstr(s, "# TYPE tm_t_seconds histogram\n"));
	ck_assert_ptr_nonnull(strstr(s, "tm_t_seconds_bucket{op=\"a\",le=\"0.00001\"} 2\n"));
	ck_assert_ptr_nonnull(strstr(s, "tm_t_seconds_bucket{op=\"a\",le=\"0.00002\"} 3\n"));
	ck_assert_ptr_nonnull(strstr(s, "tm_t_seconds_bucket{op=\"a\",le=\"50\"} 3\n"));
	ck_assert_ptr_nonnull(strstr(s, "tm_t_seconds_bucket{op=\"a\",le=\"+Inf\"} 4\n"));
	ck_assert_ptr_nonnull(strstr(s, "tm_t_seconds_sum{op=\"a\"} 60.000020001\n"));
	ck_assert_ptr_nonnull(strstr(s, "tm_t_seconds_count{op=\"a\"} 4\n"));
	ck_assert_uint_eq(histogram_count(h), 4);
}
END_TEST

START_TEST(labels_are_escaped)
{
	metrics_label(&text, "k", span_str("a\"b\\c\nd"));
	buf_putc(&text, '\0');
	ck_assert_str_eq(text.at, "k=\"a\\\"b\\\\c\\nd\"");
}
END_TEST

static double half(void *data)
{
	return *(double *)data / 2;
}

START_TEST(callbacks_are_asked_when_rendering)
{
	double v = 5;

	metrics_callback(m, METRIC_GAUGE, "tm_half", NULL, "Half.", half, &v);
	ck_assert_ptr_nonnull(strstr(render(), "tm_half 2.5\n"));
	v = 7;
	ck_assert_ptr_nonnull(strstr(render(), "tm_half 3.5\n"));
}
END_TEST

START_TEST(without_a_registry_nothing_happens)
{
	struct counter *c = metrics_counter(NULL, "x", NULL, "X");

	ck_assert_ptr_null(c);
	counter_add(c, 1);
	gauge_add(metrics_gauge(NULL, "x", NULL, "X"), 1);
	histogram_record_ns(metrics_histogram(NULL, "x", NULL, "X"), 1);
	ck_assert_uint_eq(counter_value(c), 0);
	metrics_render(NULL, &text);
	ck_assert_uint_eq(text.bytes, 0);
}
END_TEST

static void *count(void *data)
{
	for (int i = 0; i < 100000; i++)
		counter_add(data, 1);
	return NULL;
}

START_TEST(no_count_is_lost_between_threads)
{
	struct counter *c = metrics_counter(m, "tm_threads_total", NULL, "T.");
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count, c), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_eq(counter_value(c), 400000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("metrics");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, help_and_type_come_once_and_all_is_sorted);
	tcase_add_test(t, the_same_name_and_labels_are_the_same_object);
	tcase_add_test(t, a_histogram_is_cumulative_and_in_seconds);
	tcase_add_test(t, labels_are_escaped);
	tcase_add_test(t, callbacks_are_asked_when_rendering);
	tcase_add_test(t, without_a_registry_nothing_happens);
	tcase_add_test(t, no_count_is_lost_between_threads);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
