/* The turn of a loop: order of phases, messages between loops, deferred calls, timers. */
#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/loop.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct story {
	char text[256];
	struct loop *loop;
	int rounds;
	struct loop_deferred deferred;
	struct loop_deferred other;
	struct message m;
};

static void tell(struct story *s, const char *word)
{
	strcat(s->text, word);
	strcat(s->text, " ");
}

static struct story *story_of_message(struct message *m)
{
	return (struct story *)((char *)m - offsetof(struct story, m));
}

static void on_publish(struct loop *l, void *data)
{
	tell(data, "publish");
	loop_mark(l, LOOP_EVALUATE);
}

static void on_evaluate(struct loop *l, void *data)
{
	tell(data, "evaluate");
	loop_mark(l, LOOP_ANSWER);
}

static void on_answer(struct loop *l, void *data)
{
	struct story *s = data;

	tell(s, "answer");
	loop_mark(l, LOOP_FLUSH);
	if (s->rounds++ == 0)
		loop_mark(l, LOOP_EVALUATE); /* earlier: the next turn, without sleeping */
}

static void on_flush(struct loop *l, void *data)
{
	struct story *s = data;

	tell(s, "flush");
	if (s->rounds == 2)
		loop_stop(l);
}

static void on_deferred(struct loop_deferred *d)
{
	struct story *s = (struct story *)((char *)d - offsetof(struct story, deferred));

	tell(s, "deferred");
	loop_undefer(s->loop, &s->other);
}

static void on_other(struct loop_deferred *d)
{
	struct story *s = (struct story *)((char *)d - offsetof(struct story, other));

	tell(s, "never");
}

static void on_message(struct message *m, void *receiver)
{
	struct story *s = story_of_message(m);

	ck_assert_ptr_eq(receiver, s->loop);
	tell(s, "message");
	loop_mark(s->loop, LOOP_ANSWER);
	loop_mark(s->loop, LOOP_PUBLISH);
	loop_defer(s->loop, &s->deferred, on_deferred);
	loop_defer(s->loop, &s->deferred, on_deferred);
	loop_defer(s->loop, &s->other, on_other);
}

START_TEST(phases_run_in_order)
{
	static struct story s;

	memset(&s, 0, sizeof(s));
	ck_assert_int_eq(loop_create(3, &s.loop), OK);
	ck_assert_uint_eq(loop_index(s.loop), 3);
	loop_add_phase(s.loop, LOOP_FLUSH, on_flush, &s);
	loop_add_phase(s.loop, LOOP_ANSWER, on_answer, &s);
	loop_add_phase(s.loop, LOOP_EVALUATE, on_evaluate, &s);
	loop_add_phase(s.loop, LOOP_PUBLISH, on_publish, &s);
	s.m.deliver = on_message;
	ck_assert_int_eq(loop_post_one(s.loop, &s.m), OK);
	loop_run(s.loop);
	ck_assert_str_eq(s.text, "message publish evaluate answer deferred flush "
				 "evaluate answer flush ");
	loop_destroy(&s.loop);
	ck_assert_ptr_null(s.loop);
}
END_TEST

/* ---- messages run in circles through four loops ---- */

enum { LOOPS = 4, TOKENS = 64, HOPS = 3000 };

struct ring {
	struct loop *loops[LOOPS];
	_Atomic int done;
	_Atomic int stopped;
};

struct token {
	struct message m;
	struct ring *ring;
	int hops;
};

static void token_deliver(struct message *m, void *receiver)
{
	struct token *t = (struct token *)m;
	struct loop *l = receiver;

	loop_assert_mine(l);
	if (++t->hops == HOPS) {
		atomic_fetch_add(&t->ring->done, 1);
		free(t);
		return;
	}
	struct loop *to = t->ring->loops[(loop_index(l) + 1) % LOOPS];
	if (t->hops % 2 == 0)
		loop_send_forced(l, loop_inbox(to), m);
	else
		ck_assert_int_eq(loop_send(l, loop_inbox(to), m), OK);
}

static void ring_on_stop(struct loop *l, void *data)
{
	struct ring *r = data;

	loop_assert_mine(l);
	atomic_fetch_add(&r->stopped, 1);
}

START_TEST(loops_pass_messages)
{
	struct ring r = { 0 };

	for (unsigned i = 0; i < LOOPS; i++) {
		ck_assert_int_eq(loop_create(i, &r.loops[i]), OK);
		loop_on_stop(r.loops[i], ring_on_stop, &r);
	}
	for (unsigned i = 0; i < LOOPS; i++)
		ck_assert_int_eq(loop_start(r.loops[i]), OK);
	for (int i = 0; i < TOKENS; i++) {
		struct token *t = calloc(1, sizeof(*t));

		*t = (struct token){ { NULL, token_deliver, NULL }, &r, 0 };
		ck_assert_int_eq(loop_post_one(r.loops[i % LOOPS], &t->m), OK);
	}
	while (atomic_load(&r.done) < TOKENS)
		usleep(1000);
	for (unsigned i = 0; i < LOOPS; i++)
		loop_stop(r.loops[i]);
	for (unsigned i = 0; i < LOOPS; i++) {
		struct loop_figures f;

		loop_join(r.loops[i]);
		loop_figures(r.loops[i], &f);
		ck_assert_uint_gt(f.messages, TOKENS * HOPS / LOOPS / 2);
		loop_destroy(&r.loops[i]);
	}
	ck_assert_int_eq(atomic_load(&r.stopped), LOOPS);
}
END_TEST

static void drop_count(struct message *m)
{
	struct token *t = (struct token *)m;

	atomic_fetch_add(&t->ring->done, 1);
	free(t);
}

START_TEST(undelivered_messages_are_dropped)
{
	struct ring r = { 0 };
	struct token *t = calloc(1, sizeof(*t));

	*t = (struct token){ { NULL, token_deliver, drop_count }, &r, 0 };
	ck_assert_int_eq(loop_create(0, &r.loops[0]), OK);
	loop_on_stop(r.loops[0], ring_on_stop, &r);
	ck_assert_int_eq(loop_post_one(r.loops[0], &t->m), OK);
	loop_destroy(&r.loops[0]);
	ck_assert_int_eq(atomic_load(&r.done), 1);
	ck_assert_int_eq(atomic_load(&r.stopped), 1);
}
END_TEST

/* ---- timers ---- */

struct clockwork {
	struct loop *loop;
	struct loop_timer *timer;
	int ticks;
	uint64_t start_ms;
	struct {
		struct loop_alarm alarm;
		struct clockwork *of;
		uint64_t want_ms; /* after the start; 0: must not fire */
	} alarms[100];
	int fired;
};

static void on_tick(void *data)
{
	struct clockwork *c = data;

	if (++c->ticks == 3)
		loop_timer_free(&c->timer);
}

static void on_alarm(struct loop_alarm *a)
{
	struct clockwork *c = ((__typeof__(&((struct clockwork *)0)->alarms[0]))(void *)a)->of;
	uint64_t want = ((__typeof__(&c->alarms[0]))(void *)a)->want_ms;
	uint64_t after = clock_boot_ms() - c->start_ms;

	ck_assert_uint_ne(want, 0);
	ck_assert_uint_ge(after, want);
	ck_assert_uint_lt(after, want + 10000);
	ck_assert(!loop_alarm_is_set(a));
	c->fired++;
	if (want == 2500)
		loop_stop(c->loop);
}

START_TEST(timers_fire)
{
	static struct clockwork c;

	ck_assert_int_eq(loop_create(0, &c.loop), OK);
	c.timer = loop_timer_new(c.loop, on_tick, &c);
	loop_timer_start(c.timer, 10, 10);
	c.start_ms = clock_boot_ms();
	for (int i = 0; i < 100; i++) {
		c.alarms[i].of = &c;
		c.alarms[i].want_ms = i == 99 ? 2500 : (uint64_t)(i * 15 + 1);
		loop_alarm_set(c.loop, &c.alarms[i].alarm, 5, on_alarm);
		loop_alarm_set(c.loop, &c.alarms[i].alarm, 600000, on_alarm); /* later, */
		loop_alarm_set(c.loop, &c.alarms[i].alarm, c.alarms[i].want_ms, on_alarm);
		if (i % 10 == 0) {
			loop_alarm_clear(c.loop, &c.alarms[i].alarm);
			c.alarms[i].want_ms = 0;
		}
	}
	loop_run(c.loop);
	ck_assert_int_eq(c.fired, 90);
	ck_assert_int_eq(c.ticks, 3);
	ck_assert_ptr_null(c.timer);
	loop_destroy(&c.loop);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("loop");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, phases_run_in_order);
	tcase_add_test(t, loops_pass_messages);
	tcase_add_test(t, undelivered_messages_are_dropped);
	tcase_add_test(t, timers_fire);
	suite_add_tcase(s, t);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
