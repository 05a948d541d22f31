/* sim_loop.c: see the header. The clock is a global: clock.h has no argument to put it into. */
#include "tests/sim/lib/sim_loop.h"

#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HOOKS_MAX = 8, STOPS_MAX = 16, TIMERS_MAX = 16, PORTS_MAX = 16 };
enum { REAL_SECONDS_AT_START = 1700000000 };

/* ---- clock.h ---- */

static uint64_t clock_ms = 1000;

void sim_clock_set(uint64_t ms)
{
	clock_ms = ms;
}

void sim_clock_advance(uint64_t ms)
{
	clock_ms += ms;
}

uint64_t clock_boot_ms(void)
{
	return clock_ms;
}

uint64_t clock_boot_ns(void)
{
	return clock_ms * 1000000;
}

uint64_t clock_real_us(void)
{
	return REAL_SECONDS_AT_START * UINT64_C(1000000) + clock_ms * 1000;
}

int64_t clock_real_seconds(void)
{
	return REAL_SECONDS_AT_START + (int64_t)(clock_ms / 1000);
}

/* ---- loop.h ---- */

struct hook {
	void (*fn)(struct loop *l, void *data);
	void *data;
};

struct loop_timer {
	struct loop *loop;
	void (*fn)(void *data);
	void *data;
	uint64_t due_ms; /* 0: not set */
	uint64_t repeat_ms;
};

struct port {
	struct inbox *to;
	struct message_list list;
};

struct loop {
	struct inbox inbox;
	unsigned index;
	unsigned marked;
	struct hook hooks[LOOP_PHASES][HOOKS_MAX];
	size_t hook_count[LOOP_PHASES];
	struct hook stops[STOPS_MAX];
	size_t stop_count;
	struct loop_timer *timers[TIMERS_MAX];
	struct port ports[PORTS_MAX];
	size_t port_count;
	struct loop_deferred *deferred;
	void *slots[LOOP_SLOTS];
};

static void woken(void *data)
{
	(void)data;
}

int loop_create(unsigned index, struct loop **ret)
{
	struct loop *l = aligned_alloc(_Alignof(struct loop), sizeof(*l));

	if (l == NULL)
		abort();
	memset(l, 0, sizeof(*l));
	l->index = index;
	inbox_init(&l->inbox, INBOX_MAX_MESSAGES, l, woken, NULL);
	*ret = l;
	return OK;
}

void sim_loop_stop(struct loop *l)
{
	while (l->stop_count > 0) {
		struct hook *h = &l->stops[--l->stop_count];

		h->fn(l, h->data);
	}
}

void loop_destroy(struct loop **ll)
{
	struct loop *l = *ll;

	if (l == NULL)
		return;
	sim_loop_stop(l);
	for (size_t i = 0; i < l->port_count; i++)
		inbox_put_reserved(l->ports[i].to, &l->ports[i].list);
	inbox_drop(&l->inbox);
	free(l);
	*ll = NULL;
}

bool loop_is_mine(const struct loop *l)
{
	(void)l;
	return true;
}

void loop_assert_mine(const struct loop *l)
{
	(void)l;
}

unsigned loop_index(const struct loop *l)
{
	return l->index;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	(void)l;
	return NULL;
}

uint64_t loop_now_ms(struct loop *l)
{
	(void)l;
	return clock_ms;
}

uint64_t loop_real_us(struct loop *l)
{
	(void)l;
	return clock_real_us();
}

void loop_set_slot(struct loop *l, enum loop_slot slot, void *p)
{
	l->slots[slot] = p;
}

void *loop_slot(const struct loop *l, enum loop_slot slot)
{
	return l->slots[slot];
}

void loop_on_stop(struct loop *l, void (*fn)(struct loop *l, void *data), void *data)
{
	assert(l->stop_count < STOPS_MAX);
	l->stops[l->stop_count++] = (struct hook){ fn, data };
}

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

static void gather(struct loop *l, struct inbox *to, struct message *m)
{
	size_t i = 0;

	while (i < l->port_count && l->ports[i].to != to)
		i++;
	assert(i < PORTS_MAX);
	if (i == l->port_count)
		l->ports[l->port_count++] = (struct port){ .to = to };
	message_list_put(&l->ports[i].list, m);
}

int loop_send(struct loop *l, struct inbox *to, struct message *m)
{
	if (!inbox_reserve(to, 1))
		return ERR_BUSY;
	gather(l, to, m);
	return OK;
}

void loop_send_forced(struct loop *l, struct inbox *to, struct message *m)
{
	inbox_reserve_forced(to, 1);
	gather(l, to, m);
}

void loop_add_phase(struct loop *l, enum loop_phase phase, void (*fn)(struct loop *l, void *data),
		    void *data)
{
	assert(l->hook_count[phase] < HOOKS_MAX);
	l->hooks[phase][l->hook_count[phase]++] = (struct hook){ fn, data };
}

void loop_mark(struct loop *l, enum loop_phase phase)
{
	l->marked |= 1u << phase;
}

void loop_defer(struct loop *l, struct loop_deferred *d, void (*fn)(struct loop_deferred *d))
{
	struct loop_deferred **at = &l->deferred;

	if (d->queued)
		return;
	while (*at != NULL)
		at = &(*at)->next;
	*d = (struct loop_deferred){ NULL, fn, true };
	*at = d;
}

void loop_undefer(struct loop *l, struct loop_deferred *d)
{
	struct loop_deferred **at = &l->deferred;

	if (!d->queued)
		return;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	d->queued = false;
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *data), void *data)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	size_t i = 0;

	if (t == NULL)
		abort();
	*t = (struct loop_timer){ l, fn, data, 0, 0 };
	while (l->timers[i] != NULL)
		i++;
	assert(i < TIMERS_MAX);
	l->timers[i] = t;
	return t;
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
	t->due_ms = clock_ms + after_ms;
	t->repeat_ms = repeat_ms;
}

void loop_timer_stop(struct loop_timer *t)
{
	t->due_ms = 0;
}

void loop_timer_free(struct loop_timer **t)
{
	if (*t == NULL)
		return;
	for (size_t i = 0; i < TIMERS_MAX; i++)
		if ((*t)->loop->timers[i] == *t)
			(*t)->loop->timers[i] = NULL;
	free(*t);
	*t = NULL;
}

static void run_timers(struct loop *l)
{
	for (size_t i = 0; i < TIMERS_MAX; i++) {
		struct loop_timer *t = l->timers[i];

		if (t == NULL || t->due_ms == 0 || t->due_ms > clock_ms)
			continue;
		t->due_ms = t->repeat_ms == 0 ? 0 : clock_ms + t->repeat_ms;
		t->fn(t->data);
	}
}

static void run_deferred(struct loop *l)
{
	struct loop_deferred *d = l->deferred;

	l->deferred = NULL;
	while (d != NULL) {
		struct loop_deferred *next = d->next;

		d->queued = false;
		d->fn(d);
		d = next;
	}
}

static void send_gathered(struct loop *l)
{
	for (size_t i = 0; i < l->port_count; i++)
		inbox_put_reserved(l->ports[i].to, &l->ports[i].list);
	l->port_count = 0;
}

void sim_loop_turn(struct loop *l)
{
	run_timers(l);
	inbox_deliver(&l->inbox);
	for (unsigned phase = 0; phase < LOOP_PHASES; phase++) {
		if (phase == LOOP_SEND)
			run_deferred(l);
		if ((l->marked & (1u << phase)) != 0) {
			l->marked &= ~(1u << phase);
			for (size_t i = 0; i < l->hook_count[phase]; i++)
				l->hooks[phase][i].fn(l, l->hooks[phase][i].data);
		}
		if (phase == LOOP_SEND)
			send_gathered(l);
	}
}

/* ---- workpool.h ---- */

struct workpool {
	struct job *first, *last;
};

int workpool_open(const char *name, unsigned threads, size_t capacity, struct workpool **ret)
{
	(void)name;
	(void)threads;
	(void)capacity;
	*ret = calloc(1, sizeof(**ret));
	if (*ret == NULL)
		abort();
	return OK;
}

int workpool_offer(struct workpool *p, struct job *j)
{
	j->next = NULL;
	if (p->last == NULL)
		p->first = j;
	else
		p->last->next = j;
	p->last = j;
	return OK;
}

size_t workpool_length(struct workpool *p)
{
	return p->first != NULL;
}

static struct job *take(struct workpool *p)
{
	struct job *j = p->first;

	if (j != NULL)
		p->first = j->next;
	if (p->first == NULL)
		p->last = NULL;
	return j;
}

bool sim_workpool_run(struct workpool *p)
{
	struct job *j = take(p);

	if (j != NULL)
		j->run(j, 0);
	return j != NULL;
}

void workpool_close(struct workpool **p)
{
	struct job *j;

	if (*p == NULL)
		return;
	while ((j = take(*p)) != NULL)
		if (j->drop != NULL)
			j->drop(j);
	free(*p);
	*p = NULL;
}
