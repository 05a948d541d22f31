/* front.c: fans the facts that come up through change_sink out to the clients of one loop.
 *
 * Watches: the router counts one watch per (loop, mailbox); here stands which clients share it.
 *
 * Invariants:
 *   F1  a client is in the front's list from init (or enter) to done (or leave).
 *   F2  a struct watched exists if and only if some client watches that mailbox. */
#include "server/session/front.h"

#include "replication/upload.h"
#include "storage/base/crash_point.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/random.h>

#define FRONT_MAGIC 0x5e71f207u

struct watched {
	partition_id partition;
	mailbox_id mailbox;
	char *account;
	struct front_client *first;
};

struct front {
	uint32_t magic;
	struct loop *loop;
	struct front_options options;
	struct router *router;
	struct front_client *first; /* every client */
	uint32_t clients;
	GHashTable *watches; /* struct watched, by partition and mailbox */
	uint64_t sessions;
	bool stopping;
};

static struct front *front_of_void(void *data)
{
	struct front *f = data;

	assert(f != NULL && f->magic == FRONT_MAGIC);
	loop_assert_mine(f->loop);
	return f;
}

static guint watched_hash(gconstpointer v)
{
	const struct watched *w = v;

	return (guint)(w->mailbox.v * 2654435761u) ^ w->partition.v;
}

static gboolean watched_equal(gconstpointer va, gconstpointer vb)
{
	const struct watched *a = va, *b = vb;

	return a->partition.v == b->partition.v && a->mailbox.v == b->mailbox.v;
}

static void watched_free(gpointer v)
{
	struct watched *w = v;

	g_free(w->account);
	g_free(w);
}

/* ---- life ---- */

struct front *front_create(struct loop *l, const struct front_options *o)
{
	struct front *f = g_new0(struct front, 1);

	f->magic = FRONT_MAGIC;
	f->loop = l;
	f->options = *o;
	f->watches = g_hash_table_new_full(watched_hash, watched_equal, NULL, watched_free);
	loop_set_slot(l, LOOP_SLOT_SESSION, f);
	return f;
}

void front_set_router(struct front *f, struct router *r)
{
	f->router = r;
}

void front_set_config(struct front *f, const struct config *config)
{
	f->options.config = config;
}

void front_stop(struct front *f)
{
	struct front_client *next;

	f->stopping = true;
	for (struct front_client *k = f->first; k != NULL; k = next) {
		next = k->next;
		if (k->ops->stop != NULL)
			k->ops->stop(k);
	}
}

void front_free(struct front **f)
{
	if (*f == NULL)
		return;
	/* A client whose op was never answered (a full disk, a failed one) is still there, and what
	 * belongs to it: its memory ends with the process. */
	g_hash_table_destroy((*f)->watches);
	loop_set_slot((*f)->loop, LOOP_SLOT_SESSION, NULL);
	(*f)->magic = 0;
	g_free(*f);
	*f = NULL;
}

struct loop *front_loop(const struct front *f)
{
	return f->loop;
}

struct router *front_router(const struct front *f)
{
	return f->router;
}

const struct config *front_config(const struct front *f)
{
	return f->options.config;
}

const struct front_options *front_options(const struct front *f)
{
	return &f->options;
}

bool front_is_stopping(const struct front *f)
{
	return f->stopping;
}

struct front *front_of(const struct loop *l)
{
	return front_of_void(loop_slot(l, LOOP_SLOT_SESSION));
}

session_id front_draw_session_id(struct front *f)
{
	uint64_t loops = f->options.loop_count > 0 ? f->options.loop_count : 1;

	return (session_id){ ++f->sessions * loops + loop_index(f->loop) };
}

uint32_t front_clients(const struct front *f)
{
	return f->clients;
}

client_id client_id_draw(void)
{
	client_id id;

	while (getrandom(id.b, sizeof(id.b), 0) != (ssize_t)sizeof(id.b))
		;
	return id;
}

/* ---- clients ---- */

static void link_client(struct front *f, struct front_client *k)
{
	k->front = f;
	k->prev = NULL;
	k->next = f->first;
	if (f->first != NULL)
		f->first->prev = k;
	f->first = k;
	f->clients++;
	if (f->stopping && k->ops->stop != NULL)
		k->ops->stop(k);
}

void front_client_init(struct front_client *k, struct front *f, const struct front_client_ops *ops,
		       client_id id)
{
	*k = (struct front_client){ .ops = ops, .id = id };
	link_client(f, k);
}

void front_client_leave(struct front_client *k)
{
	struct front *f = k->front;

	assert(k->outstanding == 0);
	front_unwatch(k);
	if (k->prev != NULL)
		k->prev->next = k->next;
	else
		f->first = k->next;
	if (k->next != NULL)
		k->next->prev = k->prev;
	f->clients--;
	k->front = NULL;
}

void front_client_enter(struct front_client *k, struct front *to)
{
	assert(k->front == NULL);
	link_client(to, k);
}

void front_client_done(struct front_client *k)
{
	if (k->front != NULL)
		front_client_leave(k);
}

bool front_client_is_busy(const struct front_client *k)
{
	return k->outstanding > 0;
}

/* ---- asking ---- */

void front_op(struct front_client *k, struct op_call *c)
{
	assert(!c->outstanding);
	c->owner = k;
	c->op.client = (ProtobufCBinaryData){ sizeof(k->id.b), k->id.b };
	c->op.number = ++k->last_number;
	k->outstanding++;
	router_op(k->front->router, c);
}

void front_read(struct front_client *k, struct read_call *c)
{
	assert(!c->outstanding);
	c->owner = k;
	k->outstanding++;
	router_read(k->front->router, c);
}

void front_read_credit(struct front_client *k, struct read_call *c, unsigned frames)
{
	router_read_credit(k->front->router, c, frames);
}

void front_read_cancel(struct front_client *k, struct read_call *c)
{
	router_read_cancel(k->front->router, c);
}

/* ---- watching ---- */

void front_watch(struct front_client *k, const char *account, mailbox_id m, modseq known)
{
	struct front *f = k->front;
	struct watched key = { .partition = router_partition(f->router, account), .mailbox = m };
	struct watched *w;

	front_unwatch(k);
	w = g_hash_table_lookup(f->watches, &key);
	if (w == NULL) {
		w = g_new0(struct watched, 1);
		*w = key;
		w->account = g_strdup(account);
		g_hash_table_add(f->watches, w);
	}
	k->watched = w;
	k->watch_prev = NULL;
	k->watch_next = w->first;
	if (w->first != NULL)
		w->first->watch_prev = k;
	w->first = k;
	router_watch(f->router, account, m, known);
}

void front_unwatch(struct front_client *k)
{
	struct watched *w = k->watched;

	if (w == NULL)
		return;
	if (k->watch_prev != NULL)
		k->watch_prev->watch_next = k->watch_next;
	else
		w->first = k->watch_next;
	if (k->watch_next != NULL)
		k->watch_next->watch_prev = k->watch_prev;
	k->watched = NULL;
	router_unwatch(k->front->router, w->account, w->mailbox);
	if (w->first == NULL)
		g_hash_table_remove(k->front->watches, w);
}

/* ---- the sink ---- */

static void sink_op_done(void *front, struct op_call *c, const Tm__OpResult *result)
{
	struct front_client *k;

	(void)front_of_void(front);
	CRASH_POINT("front.op-done");
	if (upload_op_done(c, result))
		return;
	k = c->owner;
	assert(k->outstanding > 0);
	k->outstanding--;
	k->ops->op_done(k, c, result);
}

static void sink_op_late(void *front, struct op_call *c)
{
	struct front_client *k = c->owner;

	(void)front_of_void(front);
	if (c->op.what_case == TM__OP__WHAT_PUT_CHUNK)
		return; /* an upload's: a chunk alone is nothing */
	if (k->ops->op_late != NULL)
		k->ops->op_late(k, c);
}

static void sink_read_frame(void *front, struct read_call *c, const Tm__ReadFrame *frame)
{
	struct front_client *k = c->owner;

	(void)front_of_void(front);
	if (frame->end) {
		assert(k->outstanding > 0);
		k->outstanding--;
	}
	k->ops->read_frame(k, c, frame);
}

static void sink_mailbox_changed(void *front, partition_id p, mailbox_id m, modseq newest)
{
	struct front *f = front_of_void(front);
	struct watched key = { .partition = p, .mailbox = m };
	struct watched *w = g_hash_table_lookup(f->watches, &key);
	struct front_client *next;

	for (struct front_client *k = w != NULL ? w->first : NULL; k != NULL; k = next) {
		next = k->watch_next; /* it may unwatch, but no other than itself */
		k->ops->mailbox_changed(k, newest);
	}
}

static void sink_list_changed(void *front, const char *account, uint64_t listseq)
{
	struct front *f = front_of_void(front);

	(void)account;
	for (struct front_client *k = f->first; k != NULL; k = k->next)
		if (k->ops->list_changed != NULL)
			k->ops->list_changed(k, listseq);
}

static const struct change_sink sink = {
	.op_done = sink_op_done,
	.op_late = sink_op_late,
	.read_frame = sink_read_frame,
	.mailbox_changed = sink_mailbox_changed,
	.list_changed = sink_list_changed,
};

const struct change_sink *front_sink(void)
{
	return &sink;
}
