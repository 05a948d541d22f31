#include "replication/owner.h"

#include "replication/budget.h"
#include "replication/node.h"
#include "replication/peer_frame.h"
#include "replication/watch.h"
#include "storage/base/clock.h"
#include "storage/base/loop.h"

#include <stdlib.h>

enum {
	TICK_MILLISECONDS = 1000,
};

void owner_ready(struct owner *o, struct partition *p)
{
	if (p->ready)
		return;
	p->ready = true;
	p->next_ready = o->ready;
	o->ready = p;
	loop_mark(o->loop, LOOP_EVALUATE);
}

uint64_t owner_now_ms(const struct owner *o)
{
	return loop_now_ms(o->loop);
}

struct flag_groups *owner_flag_groups(struct owner *o)
{
	return o->groups;
}

void owner_logged(struct owner *o, struct batch *b)
{
	b->logged_next = NULL;
	if (o->logged == NULL)
		o->logged = b;
	else
		o->logged_last->logged_next = b;
	o->logged_last = b;
	loop_mark(o->loop, LOOP_PUBLISH);
}

/* ---- phases ---- */

static void publish(struct loop *l, void *data)
{
	struct owner *o = data;

	(void)l;
	while (o->logged != NULL) {
		struct batch *b = o->logged;

		o->logged = b->logged_next;
		partition_on_logged(b->partition, b, b->write.result);
	}
}

static void tell_front(void *data, unsigned front, mailbox_id m, modseq newest)
{
	const struct partition *p = data;

	peer_hint(p->owner->node, p->owner->index, front, p->id, m, newest);
}

static void evaluate(struct loop *l, void *data)
{
	struct owner *o = data;
	struct partition *list = o->ready;

	(void)l;
	o->ready = NULL;
	while (list != NULL) {
		struct partition *p = list;

		list = p->next_ready;
		p->ready = false;
		partition_turn(p);
		if (watch_pending(p->watches))
			watch_tell(p->watches, tell_front, p);
	}
}

static void tick(void *data)
{
	struct owner *o = data;
	uint64_t now_ms = clock_boot_ms();

	for (unsigned i = o->index; i < o->node->partition_count; i += o->node->loop_count)
		partition_tick(o->partitions[i], now_ms);
	if (++o->ticks % 10 == 0)
		budget_keep(o, now_ms);
}

/* ---- life ---- */

static void on_stop(struct loop *l, void *data)
{
	struct owner *o = data;

	(void)l;
	loop_timer_free(&o->tick);
}

struct owner *owner_new(struct node *n, struct loop *l)
{
	struct owner *o = calloc(1, sizeof(*o));

	if (o == NULL)
		abort();
	o->node = n;
	o->loop = l;
	o->index = loop_index(l);
	o->partitions = calloc(n->partition_count, sizeof(struct partition *));
	if (o->partitions == NULL)
		abort();
	for (unsigned i = o->index; i < n->partition_count; i += n->loop_count)
		o->partitions[i] = partition_new(o, (partition_id){ (uint16_t)i });
	arena_init(&o->arena);
	o->remote = remote_table_new();
	loop_set_slot(l, LOOP_SLOT_REPLICATION, o);
	loop_add_phase(l, LOOP_PUBLISH, publish, o);
	loop_add_phase(l, LOOP_EVALUATE, evaluate, o);
	o->tick = loop_timer_new(l, tick, o);
	loop_timer_start(o->tick, TICK_MILLISECONDS, TICK_MILLISECONDS);
	loop_on_stop(l, on_stop, o);
	return o;
}

void owner_free(struct owner **oo)
{
	struct owner *o = *oo;

	if (o == NULL)
		return;
	for (unsigned i = 0; i < o->node->partition_count; i++)
		partition_free(&o->partitions[i]);
	free(o->partitions);
	batch_pool_free(&o->pool);
	for (int i = 0; i < 3; i++)
		flag_groups_free(&o->groups[i]);
	arena_free(&o->arena);
	remote_table_free(&o->remote);
	free(o);
	*oo = NULL;
}
