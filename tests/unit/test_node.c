/* test_node.c: a whole node below the sessions: ops through router, evaluation, log and apply; what
 * was answered is there after a restart. */
#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/node.h"
#include "replication/router.h"
#include "storage/base/err.h"
#include "storage/base/loop.h"
#include "storage/base/uidset.h"

static struct fixture {
	char dir[64];
	struct node *node;
	struct loop *loop;
	struct router *router;
	bool remote;

	struct op_call op;
	struct read_call read;
	Tm__Known known;
	uint64_t number;
	uint8_t client[16];
	struct arena arena;
	Tm__OpResult *result; /* of the last op, copied */
	struct buf answer;    /* pieces of the last read */
	Tm__ReadFrame *last;  /* its frame with changes, copied */
	Tm__ReadFrame *end;
	struct message go;
	sem_t answered;
	void (*next)(void);
} f;

static void *copy(const ProtobufCMessage *m)
{
	size_t bytes = protobuf_c_message_get_packed_size(m);
	uint8_t *packed = arena_alloc(&f.arena, bytes + 1);

	protobuf_c_message_pack(m, packed);
	return protobuf_c_message_unpack(m->descriptor, &f.arena.pb, bytes, packed);
}

static void op_done(void *front, struct op_call *c, const Tm__OpResult *r)
{
	(void)front;
	(void)c;
	f.result = copy(&r->base);
	sem_post(&f.answered);
}

static void read_frame(void *front, struct read_call *c, const Tm__ReadFrame *frame)
{
	(void)front;
	for (size_t i = 0; i < frame->n_pieces; i++) {
		if (frame->pieces[i]->first)
			buf_putc(&f.answer, '(');
		buf_put(&f.answer, frame->pieces[i]->text.data, frame->pieces[i]->text.len);
		if (frame->pieces[i]->last)
			buf_putc(&f.answer, ')');
	}
	if (frame->changes != NULL || frame->list != NULL)
		f.last = copy(&frame->base);
	if (frame->end) {
		f.end = copy(&frame->base);
		sem_post(&f.answered);
	} else if (frame->n_pieces > 0) {
		router_read_credit(f.router, c, 1);
	}
}

static const struct change_sink sink = { .op_done = op_done, .read_frame = read_frame };

static void start(void)
{
	struct node_options o = { .db = { .dir = f.dir, .partitions = 4 }, .route_remote = f.remote };
	struct buf why = { 0 };
	void *front = &f;

	ck_assert_int_eq(loop_create(0, &f.loop), OK);
	ck_assert_int_eq(node_open(&o, &f.node, &why), OK);
	ck_assert_int_eq(node_attach(f.node, &f.loop, 1, &sink, &front), OK);
	ck_assert_int_eq(node_start(f.node), OK);
	f.router = node_router(f.node, 0);
	ck_assert_int_eq(loop_start(f.loop), OK);
	buf_free(&why);
}

static void stop(void)
{
	loop_stop(f.loop);
	loop_join(f.loop);
	node_close(&f.node);
	loop_destroy(&f.loop);
}

static void setup(bool remote)
{
	memset(&f, 0, sizeof(f));
	ck_assert_int_eq(sem_init(&f.answered, 0, 0), 0);
	f.remote = remote;
	strcpy(f.dir, "/tmp/tidemark-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f.dir));
	arena_init(&f.arena);
	memset(f.client, 7, sizeof(f.client));
	start();
}

static void teardown(void)
{
	char command[128];

	stop();
	arena_free(&f.arena);
	buf_free(&f.answer);
	snprintf(command, sizeof(command), "rm -rf %s", f.dir);
	ck_assert_int_eq(system(command), 0);
}

static void deliver(struct message *m, void *receiver)
{
	(void)m;
	(void)receiver;
	f.next();
}

static void run(void (*next)(void))
{
	f.next = next;
	f.go.deliver = deliver;
	inbox_force_one(loop_inbox(f.loop), &f.go);
	while (sem_wait(&f.answered) != 0)
		continue;
}

static void send_op(void)
{
	router_op(f.router, &f.op);
}

static void send_read(void)
{
	router_read(f.router, &f.read);
}

static const Tm__OpResult *op(Tm__Op__WhatCase what, void *body)
{
	tm__op__init(&f.op.op);
	f.op.op.client = (ProtobufCBinaryData){ sizeof(f.client), f.client };
	f.op.op.number = ++f.number;
	f.op.op.account = (char *)(uintptr_t)"ann";
	f.op.op.what_case = what;
	f.op.op.put_chunk = body;
	run(send_op);
	return f.result;
}

static ProtobufCBinaryData uids(uint32_t lo, uint32_t hi)
{
	struct uidset s = { 0 };

	uidset_add_range(&s, lo, hi);
	ProtobufCBinaryData d = uidset_encode_arena(&s, &f.arena);
	uidset_free(&s);
	return d;
}

static void create_account(void)
{
	Tm__CreateAccount c = TM__CREATE_ACCOUNT__INIT;

	ck_assert_int_eq(op(TM__OP__WHAT_CREATE_ACCOUNT, &c)->outcome, TM__OUTCOME__DONE);
}

static const Tm__OpResult *append(const char *body, uint32_t system)
{
	static uint8_t n;
	uint8_t g[16] = { 1, n++ };
	Tm__Append a = TM__APPEND__INIT;
	Tm__AppendMessage m = TM__APPEND_MESSAGE__INIT;
	Tm__AppendMessage *list[] = { &m };

	a.name = (char *)(uintptr_t)"INBOX";
	a.n_messages = 1;
	a.messages = list;
	m.guid = (ProtobufCBinaryData){ 16, g };
	m.size = strlen(body);
	m.body = (ProtobufCBinaryData){ strlen(body), (uint8_t *)(uintptr_t)body };
	m.system = system;
	return op(TM__OP__WHAT_APPEND, &a);
}

static const Tm__OpResult *store(uint64_t mailbox, uint32_t uid, uint32_t system, bool conditional,
				 uint64_t unchangedsince)
{
	Tm__StoreFlags s = TM__STORE_FLAGS__INIT;

	s.mailbox = mailbox;
	s.uids = uids(uid, uid);
	s.system = system;
	s.conditional = conditional;
	s.unchangedsince = unchangedsince;
	return op(TM__OP__WHAT_STORE_FLAGS, &s);
}

static const Tm__Changes *select_inbox(void)
{
	tm__read__init(&f.read.read);
	tm__known__init(&f.known);
	f.read.read.account = (char *)(uintptr_t)"ann";
	f.read.read.name = (char *)(uintptr_t)"INBOX";
	f.read.read.known = &f.known;
	run(send_read);
	ck_assert_int_eq(f.end->outcome, TM__OUTCOME__DONE);
	return f.last->changes;
}

static void check_story(void)
{
	create_account();
	const Tm__OpResult *r = append("Subject: a\r\n\r\nbody\r\n", 0);
	ck_assert_int_eq(r->outcome, TM__OUTCOME__DONE);
	ck_assert_uint_eq(r->uids->first_uid, 1);
	ck_assert_uint_eq(r->uids->modseq, 2);
	uint64_t box = r->uids->mailbox;

	/* Two clients saw modseq 2; the first claims, the second loses with the same flag. */
	r = store(box, 1, 4, true, 2);
	ck_assert_uint_eq(r->store->modseq, 3);
	ck_assert_uint_eq(r->store->n_changed, 1);
	r = store(box, 1, 4, true, 2);
	ck_assert_uint_eq(r->store->modseq, 0);
	ck_assert_uint_eq(r->store->n_failed, 1);
	ck_assert_uint_eq(r->store->failed[0]->modseq, 3);
	/* What changes nothing changes no modseq. */
	r = store(box, 1, 4, false, 0);
	ck_assert_uint_eq(r->store->modseq, 0);
	ck_assert_uint_eq(r->store->n_same, 1);

	const Tm__Changes *c = select_inbox();
	ck_assert_uint_eq(c->highestmodseq, 3);
	ck_assert_uint_eq(c->uidnext, 2);
	ck_assert_uint_eq(c->exists, 1);
	stop();
	start();
	c = select_inbox();
	ck_assert_uint_eq(c->highestmodseq, 3);
	ck_assert_uint_eq(c->uidnext, 2);
	ck_assert_uint_eq(c->exists, 1);
	ck_assert_uint_eq(c->unseen, 1);
	/* Exactly once, over the restart: the same number gives the stored result. */
	f.number = 2;
	r = store(box, 1, 4, true, 2);
	ck_assert_uint_eq(r->store->modseq, 3);
	ck_assert_uint_eq(r->store->n_changed, 1);
}

START_TEST(answered_is_durable)
{
	setup(false);
	check_story();
	teardown();
}
END_TEST

START_TEST(answered_is_durable_remote)
{
	setup(true);
	check_story();
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("node");
	TCase *t = tcase_create("node");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, answered_is_durable);
	tcase_add_test(t, answered_is_durable_remote);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
