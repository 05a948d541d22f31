/* loop.c: the turn (loop.h) on top of libuv's iteration.
 *
 * libuv runs timers, then our prepare hook, then polls and calls the sockets' callbacks, then our
 * check hook, then close callbacks. The check hook is where messages are delivered and phases run.
 * The prepare hook decides whether the poll may sleep: not while a phase is marked or the inbox
 * has something; an active idle handle makes libuv poll without waiting.
 *
 * Invariants:
 *   L1  the inbox's sleep flag is set only from prepare to check, so others pay for a wake-up only
 *       while the thread is in epoll_wait or about to enter it.
 *   L2  an alarm stands in a slot that is visited no later than a tick after its due time (when it
 *       was made later meanwhile: earlier; it is put in again then).
 *   L3  a gathered message has its place in the target's inbox already. */
#include "storage/base/loop.h"

#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
	LOOP_MAGIC = 0x6c6f6f70,
	LOOP_HOOKS_MAX = 8, /* per phase */
	LOOP_STOPS_MAX = 32,
	ALARM_SLOTS = 256,
	ALARM_TICK_SHIFT = 10, /* 1,024 ms */
};

struct hook {
	void (*fn)(struct loop *l, void *data);
	void *data;
};

/* What goes to one target at the end of the turn. */
struct port {
	struct inbox *to;
	struct message_list list;
};

struct loop {
	uint32_t magic;

	/* Fixed at creation; any thread may read. */
	unsigned index;
	pthread_t thread; /* of loop_start() */

	/* Shared. */
	struct inbox inbox;
	uv_async_t async;
	_Atomic bool stopping;
	_Atomic uint64_t wakeups;

	/* Owner thread only. */
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle; /* active: do not sleep */
	uv_timer_t tick;
	unsigned marked; /* one bit per phase */
	struct hook hooks[LOOP_PHASES][LOOP_HOOKS_MAX];
	size_t hook_count[LOOP_PHASES];
	struct hook stops[LOOP_STOPS_MAX];
	size_t stop_count;
	struct loop_deferred *deferred; /* oldest first */
	struct loop_deferred **deferred_end;
	struct loop_deferred *deferred_now; /* being called */
	struct port *ports;
	size_t port_count;
	size_t port_last; /* the one used last: mostly the one wanted next */
	struct loop_alarm *alarms[ALARM_SLOTS];
	size_t alarm_count;
	uint64_t alarm_tick; /* all slots up to this one were visited */
	uint64_t now_ms;
	uint64_t real_us;
	bool now_fresh;
	bool real_fresh;
	uint64_t poll_ended_ns;
	void *slots[LOOP_SLOTS];

	/* Owner writes, anyone reads. */
	_Atomic bool running;
	pthread_t owner; /* valid while `running` */
	_Atomic uint64_t turns;
	_Atomic uint64_t messages;
	_Atomic uint64_t busy_us;
};

static struct loop *loop_of(void *data)
{
	struct loop *l = data;

	assert(l != NULL && l->magic == LOOP_MAGIC);
	loop_assert_mine(l);
	return l;
}

bool loop_is_mine(const struct loop *l)
{
	return !atomic_load_explicit(&l->running, memory_order_acquire) ||
	       pthread_equal(l->owner, pthread_self());
}

void loop_assert_mine(const struct loop *l)
{
	assert(loop_is_mine(l));
}

unsigned loop_index(const struct loop *l)
{
	return l->index;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	loop_assert_mine(l);
	return &l->uv;
}

void loop_set_slot(struct loop *l, enum loop_slot slot, void *p)
{
	loop_assert_mine(l);
	l->slots[slot] = p;
}

void *loop_slot(const struct loop *l, enum loop_slot slot)
{
	loop_assert_mine(l);
	return l->slots[slot];
}

uint64_t loop_now_ms(struct loop *l)
{
	if (!l->now_fresh) {
		l->now_ms = clock_boot_ms();
		l->now_fresh = true;
	}
	return l->now_ms;
}

uint64_t loop_real_us(struct loop *l)
{
	if (!l->real_fresh) {
		l->real_us = clock_real_us();
		l->real_fresh = true;
	}
	return l->real_us;
}

/* ---- the turn ---- */

/* A counter that one thread writes needs no locked instruction. */
static void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static void loop_stays_awake(uv_idle_t *handle)
{
	(void)handle; /* that it is active is all */
}

static void loop_before_poll(uv_prepare_t *handle)
{
	struct loop *l = loop_of(handle->data);
	bool awake = l->marked != 0 || atomic_load(&l->stopping) || !inbox_may_sleep(&l->inbox);

	if (awake)
		uv_idle_start(&l->idle, loop_stays_awake);
	else
		uv_idle_stop(&l->idle);
	counter_add(&l->busy_us, (clock_boot_ns() - l->poll_ended_ns) / 1000u);
	l->now_fresh = false;
	l->real_fresh = false;
}

static void loop_call_deferred(struct loop *l)
{
	l->deferred_now = l->deferred;
	l->deferred = NULL;
	l->deferred_end = &l->deferred;
	while (l->deferred_now != NULL) {
		struct loop_deferred *d = l->deferred_now;

		l->deferred_now = d->next;
		d->queued = false;
		d->fn(d);
	}
}

static void loop_send_gathered(struct loop *l)
{
	for (size_t i = 0; i < l->port_count; i++)
		inbox_put_reserved(l->ports[i].to, &l->ports[i].list);
}

static void loop_run_phases(struct loop *l)
{
	for (unsigned phase = 0; phase < LOOP_PHASES; phase++) {
		if ((l->marked & 1u << phase) == 0)
			continue;
		l->marked &= ~(1u << phase);
		if (phase == LOOP_SEND)
			loop_call_deferred(l);
		for (size_t i = 0; i < l->hook_count[phase]; i++)
			l->hooks[phase][i].fn(l, l->hooks[phase][i].data);
		if (phase == LOOP_SEND)
			loop_send_gathered(l);
	}
}

static void loop_call_stops(struct loop *l)
{
	while (l->stop_count > 0) {
		struct hook h = l->stops[--l->stop_count];

		h.fn(l, h.data);
	}
}

static void loop_after_poll(uv_check_t *handle)
{
	struct loop *l = loop_of(handle->data);

	inbox_woke(&l->inbox);
	l->poll_ended_ns = clock_boot_ns();
	counter_add(&l->turns, 1);
	counter_add(&l->messages, inbox_deliver(&l->inbox));
	loop_run_phases(l);
	if (atomic_load(&l->stopping)) {
		loop_call_stops(l);
		loop_run_phases(l);
		uv_stop(&l->uv);
	}
}

void loop_mark(struct loop *l, enum loop_phase phase)
{
	loop_assert_mine(l);
	l->marked |= 1u << phase;
}

void loop_add_phase(struct loop *l, enum loop_phase phase, void (*fn)(struct loop *l, void *data),
		    void *data)
{
	loop_assert_mine(l);
	assert(l->hook_count[phase] < LOOP_HOOKS_MAX);
	l->hooks[phase][l->hook_count[phase]++] = (struct hook){ fn, data };
}

void loop_on_stop(struct loop *l, void (*fn)(struct loop *l, void *data), void *data)
{
	loop_assert_mine(l);
	assert(l->stop_count < LOOP_STOPS_MAX);
	l->stops[l->stop_count++] = (struct hook){ fn, data };
}

void loop_defer(struct loop *l, struct loop_deferred *d, void (*fn)(struct loop_deferred *d))
{
	loop_assert_mine(l);
	d->fn = fn;
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*l->deferred_end = d;
	l->deferred_end = &d->next;
	loop_mark(l, LOOP_SEND);
}

static bool deferred_unlink(struct loop_deferred **at, const struct loop_deferred *d)
{
	while (*at != NULL && *at != d)
		at = &(*at)->next;
	if (*at == NULL)
		return false;
	*at = d->next;
	return true;
}

void loop_undefer(struct loop *l, struct loop_deferred *d)
{
	loop_assert_mine(l);
	if (!d->queued)
		return;
	d->queued = false;
	if (deferred_unlink(&l->deferred_now, d))
		return;
	bool found = deferred_unlink(&l->deferred, d);
	assert(found);
	l->deferred_end = &l->deferred;
	while (*l->deferred_end != NULL)
		l->deferred_end = &(*l->deferred_end)->next;
}

/* ---- messages ---- */

struct inbox *loop_inbox(struct loop *l)
{
	return &l->inbox;
}

int loop_post(struct loop *to, struct message_list *m)
{
	return inbox_offer(&to->inbox, m) ? OK : ERR_BUSY;
}

int loop_post_one(struct loop *to, struct message *m)
{
	return inbox_offer_one(&to->inbox, m) ? OK : ERR_BUSY;
}

static struct port *loop_port(struct loop *l, struct inbox *to)
{
	if (l->port_last < l->port_count && l->ports[l->port_last].to == to)
		return &l->ports[l->port_last];
	for (l->port_last = 0; l->port_last < l->port_count; l->port_last++)
		if (l->ports[l->port_last].to == to)
			return &l->ports[l->port_last];

	struct port *ports = realloc(l->ports, (l->port_count + 1) * sizeof(*ports));
	if (ports == NULL)
		abort();
	l->ports = ports;
	ports[l->port_count] = (struct port){ .to = to };
	return &ports[l->port_count++];
}

static void loop_gather(struct loop *l, struct inbox *to, struct message *m)
{
	loop_assert_mine(l);
	message_list_put(&loop_port(l, to)->list, m);
	loop_mark(l, LOOP_SEND);
}

int loop_send(struct loop *l, struct inbox *to, struct message *m)
{
	if (!inbox_reserve(to, 1))
		return ERR_BUSY;
	loop_gather(l, to, m);
	return OK;
}

void loop_send_forced(struct loop *l, struct inbox *to, struct message *m)
{
	inbox_reserve_forced(to, 1);
	loop_gather(l, to, m);
}

/* Thread: any. */
static void loop_wake(void *data)
{
	struct loop *l = data;

	atomic_fetch_add_explicit(&l->wakeups, 1, memory_order_relaxed);
	uv_async_send(&l->async);
}

/* ---- alarms ---- */

static void alarm_unlink(struct loop_alarm *a)
{
	*a->pprev = a->next;
	if (a->next != NULL)
		a->next->pprev = a->pprev;
	a->next = NULL;
	a->pprev = NULL;
}

static void alarm_link(struct loop *l, struct loop_alarm *a)
{
	uint64_t tick = (a->due_ms >> ALARM_TICK_SHIFT) + 1; /* never early */

	if (tick <= l->alarm_tick)
		tick = l->alarm_tick + 1;
	if (tick >= l->alarm_tick + ALARM_SLOTS)
		tick = l->alarm_tick + ALARM_SLOTS - 1; /* looked at again then: L2 */

	struct loop_alarm **slot = &l->alarms[tick % ALARM_SLOTS];
	a->next = *slot;
	a->pprev = slot;
	if (a->next != NULL)
		a->next->pprev = &a->next;
	*slot = a;
}

static void alarm_fire_slot(struct loop *l, size_t slot)
{
	struct loop_alarm *here = l->alarms[slot];
	uint64_t now = loop_now_ms(l);

	l->alarms[slot] = NULL;
	if (here != NULL)
		here->pprev = &here;
	while (here != NULL) {
		struct loop_alarm *a = here;

		alarm_unlink(a);
		if (a->due_ms > now) {
			alarm_link(l, a);
			continue;
		}
		l->alarm_count--;
		a->fn(a); /* may free it, set and clear any alarm */
	}
}

static void alarm_wait(struct loop *l);

static void alarm_on_tick(uv_timer_t *handle)
{
	struct loop *l = loop_of(handle->data);

	l->now_fresh = false;
	uint64_t now_tick = loop_now_ms(l) >> ALARM_TICK_SHIFT;
	uint64_t from = l->alarm_tick;
	if (now_tick - from > ALARM_SLOTS)
		from = now_tick - ALARM_SLOTS; /* the machine slept: each slot once */
	while (from < now_tick) {
		l->alarm_tick = ++from;
		alarm_fire_slot(l, from % ALARM_SLOTS);
	}
	if (l->alarm_count > 0)
		alarm_wait(l);
}

static void alarm_wait(struct loop *l)
{
	uint64_t tick_ms = 1u << ALARM_TICK_SHIFT;

	uv_update_time(&l->uv);
	uv_timer_start(&l->tick, alarm_on_tick, tick_ms - clock_boot_ms() % tick_ms + 1, 0);
}

void loop_alarm_set(struct loop *l, struct loop_alarm *a, uint64_t after_ms,
		    void (*fn)(struct loop_alarm *a))
{
	uint64_t due = loop_now_ms(l) + after_ms;

	loop_assert_mine(l);
	a->fn = fn;
	if (loop_alarm_is_set(a) && due >= a->due_ms) {
		a->due_ms = due; /* its slot comes too early and puts it in again */
		return;
	}
	loop_alarm_clear(l, a);
	if (l->alarm_count++ == 0) {
		l->alarm_tick = loop_now_ms(l) >> ALARM_TICK_SHIFT;
		alarm_wait(l);
	}
	a->due_ms = due;
	alarm_link(l, a);
}

void loop_alarm_clear(struct loop *l, struct loop_alarm *a)
{
	loop_assert_mine(l);
	if (!loop_alarm_is_set(a))
		return;
	alarm_unlink(a);
	if (--l->alarm_count == 0)
		uv_timer_stop(&l->tick);
}

bool loop_alarm_is_set(const struct loop_alarm *a)
{
	return a->pprev != NULL;
}

/* ---- precise timers ---- */

struct loop_timer {
	uv_timer_t uv;
	void (*fn)(void *data);
	void *data;
};

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *data), void *data)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	loop_assert_mine(l);
	if (t == NULL)
		abort();
	uv_timer_init(&l->uv, &t->uv);
	t->uv.data = t;
	t->fn = fn;
	t->data = data;
	return t;
}

static void timer_on_fire(uv_timer_t *handle)
{
	struct loop_timer *t = handle->data;

	t->fn(t->data);
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
	uv_update_time(t->uv.loop);
	uv_timer_start(&t->uv, timer_on_fire, after_ms, repeat_ms);
}

void loop_timer_stop(struct loop_timer *t)
{
	uv_timer_stop(&t->uv);
}

static void timer_on_close(uv_handle_t *handle)
{
	free(handle->data);
}

void loop_timer_free(struct loop_timer **t)
{
	if (*t == NULL)
		return;
	uv_close((uv_handle_t *)&(*t)->uv, timer_on_close);
	*t = NULL;
}

/* ---- life ---- */

static void loop_init_handles(struct loop *l)
{
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	uv_idle_init(&l->uv, &l->idle);
	uv_timer_init(&l->uv, &l->tick);
	l->prepare.data = l;
	l->check.data = l;
	l->idle.data = l;
	l->tick.data = l;
	uv_prepare_start(&l->prepare, loop_before_poll);
	uv_check_start(&l->check, loop_after_poll);
}

int loop_create(unsigned index, struct loop **ret)
{
	struct loop *l = aligned_alloc(_Alignof(struct loop), sizeof(*l));

	if (l == NULL)
		return ERR_NO_MEMORY;
	memset(l, 0, sizeof(*l));
	l->magic = LOOP_MAGIC;
	l->index = index;
	l->deferred_end = &l->deferred;
	l->poll_ended_ns = clock_boot_ns();
	inbox_init(&l->inbox, INBOX_MAX_MESSAGES, l, loop_wake, l);
	if (uv_loop_init(&l->uv) != 0) {
		free(l);
		return ERR_IO;
	}
	if (uv_async_init(&l->uv, &l->async, NULL) != 0) {
		uv_loop_close(&l->uv);
		free(l);
		return ERR_IO;
	}
	loop_init_handles(l);
	*ret = l;
	return OK;
}

void loop_run(struct loop *l)
{
	assert(!atomic_load(&l->running));
	l->owner = pthread_self();
	atomic_store_explicit(&l->running, true, memory_order_release);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	atomic_store_explicit(&l->running, false, memory_order_release);
}

static void *loop_main(void *data)
{
	struct loop *l = data;
	char name[16];

	(void)snprintf(name, sizeof(name), "loop-%u", l->index);
	pthread_setname_np(pthread_self(), name);
	loop_run(l);
	return NULL;
}

int loop_start(struct loop *l)
{
	sigset_t all, before;

	sigfillset(&all); /* signals are for main */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&l->thread, NULL, loop_main, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? OK : ERR_IO;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stopping, true);
	uv_async_send(&l->async);
}

void loop_join(struct loop *l)
{
	pthread_join(l->thread, NULL);
}

static void loop_close_handle(uv_handle_t *handle, void *data)
{
	struct loop *l = data;

	assert(handle == (uv_handle_t *)&l->async || handle == (uv_handle_t *)&l->prepare ||
	       handle == (uv_handle_t *)&l->check || handle == (uv_handle_t *)&l->idle ||
	       handle == (uv_handle_t *)&l->tick ||
	       uv_is_closing(handle)); /* a stop hook forgot it */
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void loop_destroy(struct loop **loop)
{
	struct loop *l = *loop;

	if (l == NULL)
		return;
	assert(!atomic_load(&l->running));
	loop_call_stops(l); /* if it never ran */
	loop_send_gathered(l);
	inbox_drop(&l->inbox);
	uv_walk(&l->uv, loop_close_handle, l);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	int rc = uv_loop_close(&l->uv);
	assert(rc == 0);
	free(l->ports);
	l->magic = 0;
	free(l);
	*loop = NULL;
}

void loop_figures(const struct loop *l, struct loop_figures *ret)
{
	ret->turns = atomic_load_explicit(&l->turns, memory_order_relaxed);
	ret->messages = atomic_load_explicit(&l->messages, memory_order_relaxed);
	ret->wakeups = atomic_load_explicit(&l->wakeups, memory_order_relaxed);
	ret->busy_us = atomic_load_explicit(&l->busy_us, memory_order_relaxed);
}
