#include "replication/owner.h"

#include "replication/node.h"
#include "replication/peer_frame.h"
#include "replication/watch.h"
#include "storage/base/clock.h"
#include "storage/base/loop.h"

#include <stdlib.h>

enum {
	TICK_MILLISECONDS = 1000,
	ACCOUNT_IDLE_MILLISECONDS = 10 * 60 * 1000,
	ABSENT_IDLE_MILLISECONDS = 10 * 1000, /* strangers may ask for any name */
	MAILBOX_BYTES_FIXED = 1024,
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

/* ---- the memory budget ---- */

struct oldest {
	struct mailbox *mailbox;
	size_t bytes;
};

static void look_at_account(struct owner *o, struct partition *p, struct account *a,
			    struct oldest *oldest, bool *busy)
{
	GHashTableIter it;
	gpointer value;

	(void)p;
	g_hash_table_iter_init(&it, a->by_id);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct mailbox *m = value;

		*busy = *busy || m->loading || m->work != NULL;
		if (!m->loaded)
			continue;
		oldest->bytes += pages_bytes(m->pages) + ring_bytes(m->ring) +
				 vanished_bytes(m->vanished) + MAILBOX_BYTES_FIXED;
		if (m->work == NULL &&
		    (oldest->mailbox == NULL || m->used_ms < oldest->mailbox->used_ms))
			oldest->mailbox = m;
	}
	(void)o;
}

static void forget_account(struct partition *p, struct account *a, GHashTableIter *it)
{
	if (a->state == ACCOUNT_LOADED)
		partition_unindex_account(p, a);
	g_hash_table_iter_remove(it);
	account_free(&a);
}

/* Accounts that nobody used for a while go; of the mailboxes, the one used longest ago. */
static void look_at_partition(struct owner *o, struct partition *p, uint64_t now_ms,
			      struct oldest *oldest)
{
	GHashTableIter it;
	gpointer value;

	g_hash_table_iter_init(&it, p->accounts);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct account *a = value;
		bool busy = a->has_work || a->names_in_flight || p->loads != NULL ||
			    a->state == ACCOUNT_LOADING;

		look_at_account(o, p, a, oldest, &busy);
		uint64_t idle_ms = a->state == ACCOUNT_ABSENT ? ABSENT_IDLE_MILLISECONDS
							      : ACCOUNT_IDLE_MILLISECONDS;

		if (!busy && a->used_ms + idle_ms < now_ms) {
			oldest->mailbox = NULL;
			forget_account(p, a, &it);
		}
	}
}

static void keep_budget(struct owner *o, uint64_t now_ms)
{
	size_t budget = o->node->options.pages_bytes / o->node->loop_count;

	for (;;) {
		struct oldest oldest = { 0 };

		for (unsigned i = o->index; i < o->node->partition_count; i += o->node->loop_count)
			look_at_partition(o, o->partitions[i], now_ms, &oldest);
		o->pages_bytes = oldest.bytes;
		if (oldest.bytes <= budget || oldest.mailbox == NULL)
			return;
		mailbox_unload(oldest.mailbox);
	}
}

static void tick(void *data)
{
	struct owner *o = data;
	uint64_t now_ms = clock_boot_ms();

	for (unsigned i = o->index; i < o->node->partition_count; i += o->node->loop_count)
		partition_tick(o->partitions[i], now_ms);
	if (++o->ticks % 10 == 0)
		keep_budget(o, now_ms);
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
