/* remote.c: the owner's side of ops and reads that came in frames: decode, hand to the partition,
 * encode the answer. What is in a frame is hostile until it is decoded. */
#include "replication/job.h"
#include "replication/node.h"
#include "replication/owner.h"
#include "replication/peer_frame.h"
#include "replication/read.h"
#include "replication/watch.h"
#include "storage/base/clock.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"

#include <glib.h>

/* An op from elsewhere. */
struct remote_op {
	struct op_job job; /* first */
	struct node *node;
	unsigned owner, front; /* loops */
	uint64_t request;
	struct arena arena; /* of the decoded op */
};

struct remote_key {
	uint64_t request;
	uint64_t front;
};

/* A read from elsewhere. */
struct remote_read {
	struct read_job job; /* first */
	struct remote_key key;
	struct node *node;
	struct partition *partition;
	unsigned owner, front;
	struct arena arena;
};

struct remote_table {
	GHashTable *reads; /* struct remote_key -> struct remote_read */
};

static guint key_hash(gconstpointer v)
{
	const struct remote_key *k = v;

	return (guint)(k->request * 31 + k->front);
}

static gboolean key_equal(gconstpointer va, gconstpointer vb)
{
	const struct remote_key *a = va, *b = vb;

	return a->request == b->request && a->front == b->front;
}

static void read_free(gpointer data)
{
	struct remote_read *r = data;

	arena_free(&r->arena);
	g_free(r);
}

struct remote_table *remote_table_new(void)
{
	struct remote_table *t = g_new0(struct remote_table, 1);

	t->reads = g_hash_table_new_full(key_hash, key_equal, NULL, read_free);
	return t;
}

void remote_table_free(struct remote_table **t)
{
	if (*t == NULL)
		return;
	g_hash_table_destroy((*t)->reads);
	g_free(*t);
	*t = NULL;
}

static uint64_t expires(void)
{
	return clock_boot_ms() + SESSION_OP_DEADLINE_SECONDS * 1000;
}

/* ---- ops ---- */

static void op_reply(struct op_job *j, const Tm__OpResult *result)
{
	struct remote_op *r = (struct remote_op *)j;

	if (result != NULL) {
		struct peer_frame *f =
			peer_frame_new(r->node, PEER_OP_RESULT, r->owner, r->front, &result->base);
		f->request = r->request;
		peer_frame_force(f);
	}
	arena_free(&r->arena);
	g_free(r);
}

static void refuse(struct remote_op *r, Tm__Outcome outcome)
{
	Tm__OpResult result = TM__OP_RESULT__INIT;

	result.outcome = outcome;
	op_reply(&r->job, &result);
}

static void take_op(struct node *n, const struct peer_frame *f)
{
	struct remote_op *r = g_new0(struct remote_op, 1);

	*r = (struct remote_op){
		.node = n, .owner = f->to, .front = f->from, .request = f->request
	};
	arena_init(&r->arena);
	const Tm__Op *op = tm__op__unpack(&r->arena.pb, f->bytes, f->at);
	struct partition *p = op == NULL || op->partition >= n->partition_count
				      ? NULL
				      : n->owners[f->to]->partitions[op->partition];
	if (p == NULL) {
		refuse(r, TM__OUTCOME__CANNOT);
		return;
	}
	r->job.op = op;
	r->job.reply = op_reply;
	r->job.expires_ms = expires();
	if (partition_offer_op(p, &r->job) != OK)
		refuse(r, TM__OUTCOME__UNAVAILABLE);
}

/* ---- reads ---- */

static void read_reply(struct read_job *j, const Tm__ReadFrame *frame)
{
	struct remote_read *r = (struct remote_read *)j;
	struct peer_frame *f =
		peer_frame_new(r->node, PEER_READ_FRAME, r->owner, r->front, &frame->base);

	f->request = r->key.request;
	bool end = frame->end;
	peer_frame_force(f);
	if (end)
		g_hash_table_remove(r->node->owners[r->owner]->remote->reads, &r->key);
}

static void end_read(struct remote_read *r, Tm__Outcome outcome)
{
	Tm__ReadFrame frame = TM__READ_FRAME__INIT;

	frame.request = r->key.request;
	frame.end = true;
	frame.outcome = outcome;
	read_reply(&r->job, &frame);
}

static void take_read(struct node *n, const struct peer_frame *f)
{
	struct remote_read *r = g_new0(struct remote_read, 1);

	*r = (struct remote_read){
		.key = { f->request, f->from }, .node = n, .owner = f->to, .front = f->from
	};
	arena_init(&r->arena);
	g_hash_table_replace(n->owners[f->to]->remote->reads, &r->key, r);
	const Tm__Read *read = tm__read__unpack(&r->arena.pb, f->bytes, f->at);
	r->partition = read == NULL || read->partition >= n->partition_count
			       ? NULL
			       : n->owners[f->to]->partitions[read->partition];
	if (r->partition == NULL) {
		end_read(r, TM__OUTCOME__CANNOT);
		return;
	}
	r->job.read = read;
	r->job.reply = read_reply;
	r->job.expires_ms = expires();
	r->job.credits = READ_CREDIT_FRAMES;
	if (partition_offer_read(r->partition, &r->job) != OK)
		end_read(r, TM__OUTCOME__UNAVAILABLE);
}

static void for_read(struct node *n, const struct peer_frame *f)
{
	struct remote_key key = { f->request, f->from };
	struct remote_read *r = g_hash_table_lookup(n->owners[f->to]->remote->reads, &key);

	if (r == NULL)
		return; /* it has ended meanwhile */
	if (f->kind == PEER_READ_CREDIT)
		read_credit(r->partition, &r->job, (unsigned)f->number);
	else
		read_cancel(r->partition, &r->job);
}

/* ---- watches ---- */

static void take_watch(struct node *n, const struct peer_frame *f)
{
	struct partition *p = f->partition.v >= n->partition_count
				      ? NULL
				      : n->owners[f->to]->partitions[f->partition.v];

	if (p == NULL)
		return;
	if (f->kind == PEER_WATCH)
		watch_add(p->watches, (mailbox_id){ f->number }, f->from);
	else
		watch_remove(p->watches, (mailbox_id){ f->number }, f->from);
}

void remote_take_frame(struct node *n, struct peer_frame *f)
{
	loop_assert_mine(n->loops[f->to]);
	switch (f->kind) {
	case PEER_OP: take_op(n, f); return;
	case PEER_READ: take_read(n, f); return;
	case PEER_READ_CREDIT:
	case PEER_READ_CANCEL: for_read(n, f); return;
	case PEER_WATCH:
	case PEER_UNWATCH: take_watch(n, f); return;
	case PEER_OP_RESULT:
	case PEER_READ_FRAME:
	case PEER_HINT: break; /* a front end's */
	}
}
