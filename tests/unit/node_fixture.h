/* node_fixture.h: a whole node below the sessions, for tests: one loop, four partitions, one
 * client that sends an op or a read and waits for its answer. */
#ifndef TESTS_UNIT_NODE_FIXTURE_H
#define TESTS_UNIT_NODE_FIXTURE_H

#include "replication/node.h"
#include "replication/router.h"
#include "storage/base/err.h"
#include "storage/base/loop.h"
#include "storage/base/uidset.h"

#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fixture {
	char dir[64];
	struct node *node;
	struct loop *loop;
	struct router *router;
	bool remote;
	struct janitor_options janitor;

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

static inline void *copy(const ProtobufCMessage *m)
{
	size_t bytes = protobuf_c_message_get_packed_size(m);
	uint8_t *packed = arena_alloc(&f.arena, bytes + 1);

	protobuf_c_message_pack(m, packed);
	return protobuf_c_message_unpack(m->descriptor, &f.arena.pb, bytes, packed);
}

static inline void op_done(void *front, struct op_call *c, const Tm__OpResult *r)
{
	(void)front;
	(void)c;
	f.result = copy(&r->base);
	sem_post(&f.answered);
}

static inline void read_frame(void *front, struct read_call *c, const Tm__ReadFrame *frame)
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

static inline void start(void)
{
	struct node_options o = { .db = { .dir = f.dir, .partitions = 4 },
				  .route_remote = f.remote,
				  .janitor = f.janitor };
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

static inline void stop(void)
{
	loop_stop(f.loop);
	loop_join(f.loop);
	node_close(&f.node);
	loop_destroy(&f.loop);
}

static inline void setup_with(bool remote, struct janitor_options janitor)
{
	memset(&f, 0, sizeof(f));
	ck_assert_int_eq(sem_init(&f.answered, 0, 0), 0);
	f.remote = remote;
	f.janitor = janitor;
	strcpy(f.dir, "/tmp/tidemark-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f.dir));
	arena_init(&f.arena);
	memset(f.client, 7, sizeof(f.client));
	start();
}

static inline void setup(bool remote)
{
	setup_with(remote, (struct janitor_options){ 0 });
}

static inline void teardown(void)
{
	char command[128];

	stop();
	arena_free(&f.arena);
	buf_free(&f.answer);
	snprintf(command, sizeof(command), "rm -rf %s", f.dir);
	ck_assert_int_eq(system(command), 0);
}

static inline void deliver(struct message *m, void *receiver)
{
	(void)m;
	(void)receiver;
	f.next();
}

static inline void run(void (*next)(void))
{
	f.next = next;
	f.go.deliver = deliver;
	inbox_force_one(loop_inbox(f.loop), &f.go);
	while (sem_wait(&f.answered) != 0)
		continue;
}

static inline void send_op(void)
{
	router_op(f.router, &f.op);
}

static inline void send_read(void)
{
	router_read(f.router, &f.read);
}

static inline const Tm__OpResult *op(Tm__Op__WhatCase what, void *body)
{
	tm__op__init(&f.op.op);
	f.op.op.client = (ProtobufCBinaryData){ sizeof(f.client), f.client };
	f.op.op.number = ++f.number;
	f.op.op.account = (char *)(uintptr_t) "ann";
	f.op.op.what_case = what;
	f.op.op.put_chunk = body;
	run(send_op);
	return f.result;
}

static inline ProtobufCBinaryData uids(uint32_t lo, uint32_t hi)
{
	struct uidset s = { 0 };

	uidset_add_range(&s, lo, hi);
	ProtobufCBinaryData d = uidset_encode_arena(&s, &f.arena);
	uidset_free(&s);
	return d;
}

static inline void create_account(void)
{
	Tm__CreateAccount c = TM__CREATE_ACCOUNT__INIT;

	ck_assert_int_eq(op(TM__OP__WHAT_CREATE_ACCOUNT, &c)->outcome, TM__OUTCOME__DONE);
}

static inline const Tm__OpResult *append(const char *body, uint32_t system)
{
	static uint8_t n;
	uint8_t g[16] = { 1, n++ };
	Tm__Append a = TM__APPEND__INIT;
	Tm__AppendMessage m = TM__APPEND_MESSAGE__INIT;
	Tm__AppendMessage *list[] = { &m };

	a.name = (char *)(uintptr_t) "INBOX";
	a.n_messages = 1;
	a.messages = list;
	m.guid = (ProtobufCBinaryData){ 16, g };
	m.size = strlen(body);
	m.body = (ProtobufCBinaryData){ strlen(body), (uint8_t *)(uintptr_t)body };
	m.system = system;
	return op(TM__OP__WHAT_APPEND, &a);
}

static inline const Tm__OpResult *store(uint64_t mailbox, uint32_t uid, uint32_t system,
					bool conditional, uint64_t unchangedsince)
{
	Tm__StoreFlags s = TM__STORE_FLAGS__INIT;

	s.mailbox = mailbox;
	s.uids = uids(uid, uid);
	s.system = system;
	s.conditional = conditional;
	s.unchangedsince = unchangedsince;
	return op(TM__OP__WHAT_STORE_FLAGS, &s);
}

static inline const Tm__Changes *select_inbox(void)
{
	tm__read__init(&f.read.read);
	tm__known__init(&f.known);
	f.read.read.account = (char *)(uintptr_t) "ann";
	f.read.read.name = (char *)(uintptr_t) "INBOX";
	f.read.read.known = &f.known;
	run(send_read);
	ck_assert_int_eq(f.end->outcome, TM__OUTCOME__DONE);
	return f.last->changes;
}

#endif
