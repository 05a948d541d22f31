/* Inboxes and the pool of workers: order, bounds, and that no wake-up is lost. */
#include "storage/base/err.h"
#include "storage/base/inbox.h"
#include "storage/base/workpool.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PRODUCERS = 4, PER_PRODUCER = 20000 };

struct note {
	struct message m;
	unsigned producer;
	uint64_t number;
};

struct receiver {
	struct inbox inbox;
	uint64_t last[PRODUCERS];
	uint64_t count;
	_Atomic uint64_t refused;
};

static void note_deliver(struct message *m, void *receiver)
{
	struct note *n = (struct note *)m;
	struct receiver *r = receiver;

	ck_assert_uint_eq(n->number, r->last[n->producer] + 1);
	r->last[n->producer] = n->number;
	r->count++;
	free(n);
}

static void note_drop(struct message *m)
{
	free(m);
}

static struct message *note_new(unsigned producer, uint64_t number)
{
	struct note *n = calloc(1, sizeof(*n));

	*n = (struct note){ { NULL, note_deliver, note_drop }, producer, number };
	return &n->m;
}

START_TEST(order_and_bound)
{
	struct receiver r = { 0 };
	struct message_list l = { 0 };

	inbox_init(&r.inbox, 5, &r, NULL, NULL);
	for (uint64_t i = 1; i <= 3; i++)
		message_list_put(&l, note_new(0, i));
	ck_assert(inbox_offer(&r.inbox, &l));
	ck_assert_ptr_null(l.first);
	ck_assert_uint_eq(inbox_length(&r.inbox), 3);

	for (uint64_t i = 4; i <= 6; i++)
		message_list_put(&l, note_new(0, i));
	ck_assert(!inbox_offer(&r.inbox, &l)); /* 6 > 5: nothing is taken */
	ck_assert_uint_eq(l.count, 3);
	ck_assert_uint_eq(inbox_length(&r.inbox), 3);
	ck_assert(inbox_reserve(&r.inbox, 2));
	ck_assert(!inbox_reserve(&r.inbox, 1));
	inbox_force(&r.inbox, &l);
	ck_assert_uint_eq(inbox_deliver(&r.inbox), 6);
	ck_assert_uint_eq(inbox_length(&r.inbox), 2);

	message_list_put(&l, note_new(0, 7));
	message_list_put(&l, note_new(0, 8));
	inbox_put_reserved(&r.inbox, &l);
	ck_assert_uint_eq(inbox_deliver(&r.inbox), 2);
	ck_assert_uint_eq(inbox_length(&r.inbox), 0);
	ck_assert_uint_eq(inbox_deliver(&r.inbox), 0);

	ck_assert(inbox_offer_one(&r.inbox, note_new(0, 9)));
	inbox_drop(&r.inbox);
	ck_assert_uint_eq(r.count, 8);
}
END_TEST

START_TEST(lists_join)
{
	struct message_list a = { 0 }, b = { 0 };
	struct message m[3] = { 0 };

	message_list_join(&a, &b);
	ck_assert_ptr_null(a.first);
	message_list_put(&b, &m[0]);
	message_list_put(&b, &m[1]);
	message_list_join(&a, &b);
	ck_assert_ptr_null(b.first);
	message_list_put(&b, &m[2]);
	message_list_join(&a, &b);
	ck_assert_uint_eq(a.count, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_eq(message_list_take(&a), &m[i]);
	ck_assert_ptr_null(message_list_take(&a));
	ck_assert_uint_eq(a.count, 0);
}
END_TEST

struct producer {
	struct receiver *r;
	unsigned index;
	pthread_t thread;
};

static void *producer_main(void *data)
{
	struct producer *p = data;
	struct message_list l = { 0 };

	for (uint64_t i = 1; i <= PER_PRODUCER; i++) {
		message_list_put(&l, note_new(p->index, i));
		if (l.count < i % 7 && i < PER_PRODUCER)
			continue;
		while (!inbox_offer(&p->r->inbox, &l)) {
			atomic_fetch_add(&p->r->refused, 1);
			sched_yield();
		}
	}
	return NULL;
}

/* The consumer sleeps often: with a lost wake-up this test hangs. */
START_TEST(many_producers_one_sleeper)
{
	static struct receiver r;
	struct producer p[PRODUCERS];

	inbox_init(&r.inbox, 64, &r, NULL, NULL);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer){ &r, i, 0 };
		pthread_create(&p[i].thread, NULL, producer_main, &p[i]);
	}
	while (r.count < PRODUCERS * PER_PRODUCER) {
		ck_assert(inbox_wait(&r.inbox, -1));
		inbox_deliver(&r.inbox);
	}
	for (unsigned i = 0; i < PRODUCERS; i++)
		pthread_join(p[i].thread, NULL);
	ck_assert(!inbox_wait(&r.inbox, 0));
	ck_assert(!inbox_wait(&r.inbox, 5));
}
END_TEST

static void count_wake(void *data)
{
	++*(int *)data;
}

START_TEST(wakes_only_a_sleeper)
{
	struct receiver r = { 0 };
	int wakes = 0;

	inbox_init(&r.inbox, 10, &r, count_wake, &wakes);
	inbox_offer_one(&r.inbox, note_new(0, 1));
	ck_assert_int_eq(wakes, 0);
	ck_assert(!inbox_may_sleep(&r.inbox));
	inbox_deliver(&r.inbox);
	ck_assert(inbox_may_sleep(&r.inbox));
	inbox_offer_one(&r.inbox, note_new(0, 2));
	inbox_offer_one(&r.inbox, note_new(0, 3));
	ck_assert_int_eq(wakes, 1); /* the second saw that it is being woken */
	inbox_woke(&r.inbox);
	inbox_deliver(&r.inbox);
}
END_TEST

struct add {
	struct job job;
	_Atomic int *sum;
	_Atomic int *gate; /* wait until it is 1 */
};

static void add_run(struct job *j, unsigned worker)
{
	struct add *a = (struct add *)j;

	ck_assert_uint_lt(worker, 3);
	while (a->gate != NULL && atomic_load(a->gate) == 0)
		sched_yield();
	atomic_fetch_add(a->sum, 1);
	free(a);
}

static void add_drop(struct job *j)
{
	atomic_fetch_add(((struct add *)j)->sum, 1000);
	free(j);
}

static struct job *add_new(_Atomic int *sum, _Atomic int *gate)
{
	struct add *a = calloc(1, sizeof(*a));

	*a = (struct add){ { NULL, add_run, add_drop }, sum, gate };
	return &a->job;
}

START_TEST(pool_runs_all)
{
	struct workpool *p = NULL;
	_Atomic int sum = 0;

	ck_assert_int_eq(workpool_open("test", 3, 1000, &p), OK);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(workpool_offer(p, add_new(&sum, NULL)), OK);
	while (atomic_load(&sum) < 1000)
		sched_yield();
	workpool_close(&p);
	ck_assert_ptr_null(p);
	workpool_close(&p);
}
END_TEST

START_TEST(pool_is_bounded_and_drops)
{
	struct workpool *p = NULL;
	_Atomic int sum = 0, gate = 0;

	ck_assert_int_eq(workpool_open("test", 1, 2, &p), OK);
	ck_assert_int_eq(workpool_offer(p, add_new(&sum, &gate)), OK);
	while (workpool_length(p) > 0)
		sched_yield(); /* the worker has it */
	ck_assert_int_eq(workpool_offer(p, add_new(&sum, &gate)), OK);
	ck_assert_int_eq(workpool_offer(p, add_new(&sum, &gate)), OK);
	struct job *over = add_new(&sum, &gate);
	ck_assert_int_eq(workpool_offer(p, over), ERR_BUSY);
	free(over);
	atomic_store(&gate, 1);
	workpool_close(&p);
	ck_assert_int_eq(atomic_load(&sum) % 1000 + atomic_load(&sum) / 1000, 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("inbox");
	TCase *t = tcase_create("inbox");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, order_and_bound);
	tcase_add_test(t, lists_join);
	tcase_add_test(t, many_producers_one_sleeper);
	tcase_add_test(t, wakes_only_a_sleeper);
	tcase_add_test(t, pool_runs_all);
	tcase_add_test(t, pool_is_bounded_and_drops);
	suite_add_tcase(s, t);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
