#include "replication/router.h"

#include "replication/node.h"
#include "replication/owner.h"
#include "replication/peer_frame.h"
#include "replication/read.h"
#include "replication/router_loop.h"
#include "replication/watch.h"
#include "storage/base/clock.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	TICK_MILLISECONDS = 1000,
	WITHDRAW_MILLISECONDS = 10 * 1000, /* after the deadline; then nobody knows (O2) */
};

struct router {
	/* Fixed. */
	struct node *node;
	struct loop *loop;
	unsigned index;
	void *front;
	const struct change_sink *sink;

	struct op_call *ops;        /* outstanding */
	struct read_call *reads;    /* likewise */
	GHashTable *ops_by_request; /* those that went out in frames */
	GHashTable *reads_by_request;
	uint64_t last_request;
	struct arena arena; /* of one decoded answer at a time */

	/* Could not be handed over: answered in LOOP_ANSWER, not from within the call (O1). */
	struct op_call *refused_ops;
	struct read_call *refused_reads;
	struct loop_timer *tick;
};

/* ---- who owns what ---- */

partition_id router_partition(const struct router *r, const char *account)
{
	uint64_t h = XXH64(account, strlen(account), 0);

	return (partition_id){ (uint16_t)(h % r->node->partition_count) };
}

static unsigned owner_loop(const struct router *r, partition_id p)
{
	return p.v % r->node->loop_count;
}

int router_owner_loop(const struct router *r, const char *account)
{
	if (r->node->options.route_remote)
		return -1;
	return (int)owner_loop(r, router_partition(r, account));
}

/* The partition, if it is a call away; NULL: it has to be a frame. */
static struct partition *here(const struct router *r, partition_id p)
{
	if (r->node->options.route_remote || owner_loop(r, p) != r->index)
		return NULL;
	return r->node->owners[r->index]->partitions[p.v];
}

/* ---- ops ---- */

static void link_op(struct router *r, struct op_call *c)
{
	c->router = r;
	c->outstanding = true;
	c->late = false;
	c->prev = NULL;
	c->next = r->ops;
	if (r->ops != NULL)
		r->ops->prev = c;
	r->ops = c;
}

static void op_done(struct op_call *c, const Tm__OpResult *result)
{
	struct router *r = c->router;

	assert(c->outstanding); /* O1 */
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		r->ops = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->outstanding = false;
	r->sink->op_done(r->front, c, result);
}

static void local_op_reply(struct op_job *j, const Tm__OpResult *result)
{
	struct op_call *c = (struct op_call *)((char *)j - offsetof(struct op_call, job));
	Tm__OpResult late = TM__OP_RESULT__INIT;

	late.outcome = TM__OUTCOME__UNKNOWN_FATE;
	op_done(c, result != NULL ? result : &late);
}

static void refuse_op_later(struct router *r, struct op_call *c)
{
	c->job.next = NULL;
	c->request = 0;
	c->job.next = r->refused_ops == NULL ? NULL : &r->refused_ops->job;
	r->refused_ops = c;
	loop_mark(r->loop, LOOP_ANSWER);
}

static void send_op(struct router *r, struct op_call *c, partition_id p)
{
	struct peer_frame *f =
		peer_frame_new(r->node, PEER_OP, r->index, owner_loop(r, p), &c->op.base);

	c->request = ++r->last_request;
	f->request = c->request;
	if (!peer_frame_send(f)) {
		peer_frame_free(f);
		refuse_op_later(r, c);
		return;
	}
	g_hash_table_insert(r->ops_by_request, &c->request, c);
}

void router_op(struct router *r, struct op_call *c)
{
	partition_id p = router_partition(r, c->op.account);
	struct partition *mine = here(r, p);

	loop_assert_mine(r->loop);
	assert(!c->outstanding);
	c->op.partition = p.v;
	c->deadline_ms = loop_now_ms(r->loop) + SESSION_OP_DEADLINE_SECONDS * 1000;
	link_op(r, c);
	if (mine == NULL) {
		send_op(r, c, p);
		return;
	}
	c->job.op = &c->op;
	c->job.reply = local_op_reply;
	c->job.expires_ms = c->deadline_ms;
	if (partition_offer_op(mine, &c->job) != OK)
		refuse_op_later(r, c);
}

/* ---- reads ---- */

static void link_read(struct router *r, struct read_call *c)
{
	c->router = r;
	c->outstanding = true;
	c->prev = NULL;
	c->next = r->reads;
	if (r->reads != NULL)
		r->reads->prev = c;
	r->reads = c;
}

static void read_frame(struct read_call *c, const Tm__ReadFrame *frame)
{
	struct router *r = c->router;

	assert(c->outstanding);
	if (frame->end) {
		if (c->prev != NULL)
			c->prev->next = c->next;
		else
			r->reads = c->next;
		if (c->next != NULL)
			c->next->prev = c->prev;
		c->outstanding = false;
	}
	r->sink->read_frame(r->front, c, frame);
}

static void local_read_reply(struct read_job *j, const Tm__ReadFrame *frame)
{
	read_frame((struct read_call *)((char *)j - offsetof(struct read_call, job)), frame);
}

static void refuse_read_later(struct router *r, struct read_call *c)
{
	c->job.next = r->refused_reads == NULL ? NULL : &r->refused_reads->job;
	r->refused_reads = c;
	loop_mark(r->loop, LOOP_ANSWER);
}

void router_read(struct router *r, struct read_call *c)
{
	partition_id p = router_partition(r, c->read.account);
	struct partition *mine = here(r, p);

	loop_assert_mine(r->loop);
	assert(!c->outstanding);
	c->read.partition = p.v;
	c->read.request = ++r->last_request;
	c->deadline_ms = loop_now_ms(r->loop) + SESSION_OP_DEADLINE_SECONDS * 1000;
	link_read(r, c);
	if (mine != NULL) {
		c->job = (struct read_job){ .read = &c->read,
					    .reply = local_read_reply,
					    .expires_ms = c->deadline_ms,
					    .credits = READ_CREDIT_FRAMES };
		if (partition_offer_read(mine, &c->job) != OK)
			refuse_read_later(r, c);
		return;
	}
	struct peer_frame *f =
		peer_frame_new(r->node, PEER_READ, r->index, owner_loop(r, p), &c->read.base);
	f->request = c->read.request;
	if (!peer_frame_send(f)) {
		peer_frame_free(f);
		refuse_read_later(r, c);
		return;
	}
	g_hash_table_insert(r->reads_by_request, &c->read.request, c);
}

static void send_about_read(struct router *r, struct read_call *c, enum peer_frame_kind kind,
			    unsigned number)
{
	partition_id p = { (uint16_t)c->read.partition };
	struct peer_frame *f = peer_frame_new(r->node, kind, r->index, owner_loop(r, p), NULL);

	f->request = c->read.request;
	f->number = number;
	peer_frame_force(f);
}

void router_read_credit(struct router *r, struct read_call *c, unsigned frames)
{
	struct partition *mine = here(r, (partition_id){ (uint16_t)c->read.partition });

	if (!c->outstanding)
		return;
	if (mine != NULL)
		read_credit(mine, &c->job, frames);
	else
		send_about_read(r, c, PEER_READ_CREDIT, frames);
}

void router_read_cancel(struct router *r, struct read_call *c)
{
	struct partition *mine = here(r, (partition_id){ (uint16_t)c->read.partition });

	if (!c->outstanding)
		return;
	if (mine != NULL)
		read_cancel(mine, &c->job);
	else
		send_about_read(r, c, PEER_READ_CANCEL, 0);
}

/* ---- watches ---- */

static void send_watch(struct router *r, enum peer_frame_kind kind, const char *account,
		       mailbox_id m)
{
	partition_id p = router_partition(r, account);
	struct partition *mine = here(r, p);

	if (mine != NULL) {
		if (kind == PEER_WATCH)
			watch_add(mine->watches, m, r->index);
		else
			watch_remove(mine->watches, m, r->index);
		return;
	}
	struct peer_frame *f = peer_frame_new(r->node, kind, r->index, owner_loop(r, p), NULL);
	f->partition = p;
	f->number = m.v;
	peer_frame_force(f);
}

void router_watch(struct router *r, const char *account, mailbox_id m, modseq known)
{
	(void)known; /* register first, ask afterwards: what came in between is in the answer */
	send_watch(r, PEER_WATCH, account, m);
}

void router_unwatch(struct router *r, const char *account, mailbox_id m)
{
	send_watch(r, PEER_UNWATCH, account, m);
}

/* ---- frames ---- */

static void take_op_result(struct router *r, const struct peer_frame *f)
{
	struct op_call *c = g_hash_table_lookup(r->ops_by_request, &f->request);
	Tm__OpResult unreadable = TM__OP_RESULT__INIT;

	if (c == NULL)
		return; /* the first answer counts */
	g_hash_table_remove(r->ops_by_request, &f->request);
	unreadable.outcome = TM__OUTCOME__UNKNOWN_FATE;
	const Tm__OpResult *result = tm__op_result__unpack(&r->arena.pb, f->bytes, f->at);
	op_done(c, result != NULL ? result : &unreadable);
	arena_reset(&r->arena);
}

static void take_read_frame(struct router *r, const struct peer_frame *f)
{
	struct read_call *c = g_hash_table_lookup(r->reads_by_request, &f->request);

	if (c == NULL)
		return;
	const Tm__ReadFrame *frame = tm__read_frame__unpack(&r->arena.pb, f->bytes, f->at);
	if (frame == NULL) {
		log_error("a frame cannot be decoded", LOG_U64("request", f->request));
		return;
	}
	if (frame->end)
		g_hash_table_remove(r->reads_by_request, &f->request);
	read_frame(c, frame);
	arena_reset(&r->arena);
}

void router_take_frame(struct router *r, struct peer_frame *f)
{
	loop_assert_mine(r->loop);
	if (f->kind == PEER_OP_RESULT)
		take_op_result(r, f);
	else if (f->kind == PEER_READ_FRAME)
		take_read_frame(r, f);
	else if (f->kind == PEER_HINT)
		r->sink->mailbox_changed(r->front, f->partition, (mailbox_id){ f->number },
					 (modseq){ f->modseq });
}

/* ---- phases and time ---- */

static void answer_refused(struct loop *l, void *data)
{
	struct router *r = data;
	Tm__OpResult result = TM__OP_RESULT__INIT;
	Tm__ReadFrame frame = TM__READ_FRAME__INIT;

	(void)l;
	result.outcome = TM__OUTCOME__UNAVAILABLE;
	frame.outcome = TM__OUTCOME__UNAVAILABLE;
	frame.end = true;
	while (r->refused_ops != NULL) {
		struct op_call *c = r->refused_ops;
		struct op_job *next = c->job.next;

		r->refused_ops =
			next == NULL
				? NULL
				: (struct op_call *)((char *)next - offsetof(struct op_call, job));
		op_done(c, &result);
	}
	while (r->refused_reads != NULL) {
		struct read_call *c = r->refused_reads;
		struct read_job *next = c->job.next;

		r->refused_reads = next == NULL
					   ? NULL
					   : (struct read_call *)((char *)next -
								  offsetof(struct read_call, job));
		frame.request = c->read.request;
		read_frame(c, &frame);
	}
}

static void tick(void *data)
{
	struct router *r = data;
	uint64_t now_ms = clock_boot_ms();
	struct op_call *next;

	for (struct op_call *c = r->ops; c != NULL; c = next) {
		next = c->next;
		if (c->late || c->deadline_ms + WITHDRAW_MILLISECONDS > now_ms)
			continue;
		c->late = true;
		if (r->sink->op_late != NULL)
			r->sink->op_late(r->front, c);
	}
}

static void on_stop(struct loop *l, void *data)
{
	struct router *r = data;

	(void)l;
	loop_timer_free(&r->tick);
}

struct router *router_new(struct node *n, struct loop *l, void *front)
{
	struct router *r = g_new0(struct router, 1);

	r->node = n;
	r->loop = l;
	r->index = loop_index(l);
	r->front = front;
	r->sink = n->sink;
	r->ops_by_request = g_hash_table_new(g_int64_hash, g_int64_equal);
	r->reads_by_request = g_hash_table_new(g_int64_hash, g_int64_equal);
	arena_init(&r->arena);
	loop_add_phase(l, LOOP_ANSWER, answer_refused, r);
	r->tick = loop_timer_new(l, tick, r);
	loop_timer_start(r->tick, TICK_MILLISECONDS, TICK_MILLISECONDS);
	loop_on_stop(l, on_stop, r);
	return r;
}

void router_free(struct router **rr)
{
	struct router *r = *rr;

	if (r == NULL)
		return;
	g_hash_table_destroy(r->ops_by_request);
	g_hash_table_destroy(r->reads_by_request);
	arena_free(&r->arena);
	g_free(r);
	*rr = NULL;
}
