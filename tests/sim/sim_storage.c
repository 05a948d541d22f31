/* sim_storage.c: one node's log writer, marks, flusher, store and replay, and the partition over
 * them with replica, evaluation, apply, dedup and loading, on a simulated disk that crashes between
 * any two writes; against an ideal machine (lib/sim_model.h).
 *
 *	sim_storage [--seeds A..B] [--mistake NAME] [--verbose]
 *
 * A seed is a whole life: clients send ops, things happen in a random order, the disk crashes or
 * the process is killed, a new process starts over what is left, clients repeat what was not
 * answered, and at quiet moments everything is compared. Says the first seed that finds something,
 * and what. With --mistake it is the other way round: exit 0 if the mistake is found. */
#include "tests/sim/lib/sim_disk.h"
#include "tests/sim/lib/sim_loop.h"
#include "tests/sim/lib/sim_model.h"

#include "proto/op.pb-c.h"
#include "replication/account.h"
#include "replication/coordinator_local.h"
#include "replication/node.h"
#include "replication/owner.h"
#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/flag_bits.h"
#include "storage/base/logfmt.h"
#include "storage/base/mistakes.h"
#include "storage/check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENTS = 6, LIVES = 8, QUIET_STEPS = 20000, ACTIONS = 4000, BODY_MAX_BYTES = 64 };
static const char account_name[] = "ann";

enum client_state { IDLE, UPLOADING, ASKING };

/* A client that has one op outstanding and repeats it until it is answered. */
struct client {
	struct sim *sim;
	enum client_state state;
	bool sent;      /* to the process that runs now */
	bool fate_open; /* sent to one that died: a refusal says nothing about that time */
	struct sim_ask ask;
	uint64_t number;
	uint8_t id[16];
	struct op_job job;

	/* What the op points to. */
	Tm__Op op;
	Tm__Append append;
	Tm__AppendMessage message;
	Tm__AppendMessage *messages[1];
	Tm__StoreFlags store;
	Tm__Expunge expunge;
	Tm__Copy copy;
	Tm__PutChunk chunk;
	char *keywords[SIM_KEYWORDS];
	uint8_t guid[16];
	char body[BODY_MAX_BYTES];
	uint8_t uids[32];
};

struct sim {
	struct sim_random random;
	struct sim_disk *disk;
	struct sim_model model;
	struct client clients[CLIENTS];
	uint64_t bodies;

	/* The process that runs now. */
	struct node *node;
	struct loop *loop;
	struct partition *partition;
	unsigned findings;
};

/* ---- asking ---- */

static void answer(struct op_job *j, const Tm__OpResult *r)
{
	struct client *c = (struct client *)((char *)j - offsetof(struct client, job));
	struct sim *s = c->sim;

	if (sim_disk_is_dead(s->disk) || r == NULL || !c->sent)
		return; /* who answers is dead already */
	c->sent = false;
	if (r->outcome == TM__OUTCOME__UNKNOWN_FATE) {
		sim_model_wrong(&s->model, "unknown fate on a disk that works");
		return;
	}
	if (c->state == UPLOADING) {
		c->state = r->outcome == TM__OUTCOME__DONE ? ASKING : IDLE;
		return;
	}
	if (r->outcome == TM__OUTCOME__CHUNKS_MISSING) {
		c->state = UPLOADING; /* certainly did not happen */
		c->fate_open = false;
		c->number++;
		return;
	}
	if (r->outcome == TM__OUTCOME__UNAVAILABLE && c->fate_open)
		return; /* ask again */
	c->state = IDLE;
	if (r->outcome != TM__OUTCOME__UNAVAILABLE)
		sim_model_answered(&s->model, &c->ask, r);
}

static ProtobufCBinaryData encode_range(struct client *c)
{
	size_t n = varint_put(c->uids, 1);

	n += varint_put(c->uids + n, c->ask.lo - 1);
	n += varint_put(c->uids + n, c->ask.hi - c->ask.lo);
	return (ProtobufCBinaryData){ n, c->uids };
}

static size_t set_keywords(struct client *c)
{
	size_t n = 0;

	for (unsigned i = 0; i < SIM_KEYWORDS; i++)
		if ((c->ask.keywords & (1u << i)) != 0)
			c->keywords[n++] = (char *)(uintptr_t)sim_keyword(i);
	return n;
}

static void make_append(struct client *c)
{
	guid g = sim_body_guid(c->ask.body);
	size_t bytes = sim_body_bytes(c->ask.body);

	assert(bytes <= sizeof(c->body));
	memcpy(c->guid, g.b, sizeof(c->guid));
	sim_body_text(c->ask.body, c->body);
	tm__append__init(&c->append);
	tm__append_message__init(&c->message);
	c->messages[0] = &c->message;
	c->append.mailbox = c->sim->model.mailboxes[c->ask.mailbox].id;
	c->append.messages = c->messages;
	c->append.n_messages = 1;
	c->message.guid = (ProtobufCBinaryData){ 16, c->guid };
	c->message.size = bytes;
	c->message.chunks = c->ask.chunks;
	if (c->ask.chunks == 0)
		c->message.body = (ProtobufCBinaryData){ bytes, (uint8_t *)c->body };
	c->message.shape = (ProtobufCBinaryData){ 5, (uint8_t *)(uintptr_t) "shape" };
	c->message.system = c->ask.system;
	c->message.n_keywords = set_keywords(c);
	c->message.keywords = c->keywords;
	c->op.what_case = TM__OP__WHAT_APPEND;
	c->op.append = &c->append;
}

static void make_chunk(struct client *c)
{
	make_append(c);
	tm__put_chunk__init(&c->chunk);
	c->chunk.guid = c->message.guid;
	c->chunk.bytes = (ProtobufCBinaryData){ c->message.size, (uint8_t *)c->body };
	c->op.client.len = 0;
	c->op.what_case = TM__OP__WHAT_PUT_CHUNK;
	c->op.put_chunk = &c->chunk;
}

static void make_store(struct client *c)
{
	tm__store_flags__init(&c->store);
	c->store.mailbox = c->sim->model.mailboxes[c->ask.mailbox].id;
	c->store.uids = encode_range(c);
	c->store.mode = c->ask.mode;
	c->store.system = c->ask.system;
	c->store.n_keywords = set_keywords(c);
	c->store.keywords = c->keywords;
	c->store.conditional = c->ask.conditional;
	c->store.unchangedsince = c->ask.unchangedsince;
	c->op.what_case = TM__OP__WHAT_STORE_FLAGS;
	c->op.store_flags = &c->store;
}

static void make_expunge(struct client *c)
{
	tm__expunge__init(&c->expunge);
	c->expunge.mailbox = c->sim->model.mailboxes[c->ask.mailbox].id;
	c->expunge.uids = encode_range(c);
	c->expunge.only_deleted = c->ask.only_deleted;
	c->op.what_case = TM__OP__WHAT_EXPUNGE;
	c->op.expunge = &c->expunge;
}

static void make_move(struct client *c)
{
	tm__copy__init(&c->copy);
	c->copy.source = c->sim->model.mailboxes[c->ask.mailbox].id;
	c->copy.uids = encode_range(c);
	c->copy.target = (char *)(uintptr_t)(c->ask.mailbox == 0 ? "Box" : "INBOX");
	c->copy.move = true;
	c->op.what_case = TM__OP__WHAT_COPY;
	c->op.copy = &c->copy;
}

/* The op once more, or for the first time, to the process that runs now. */
static void send(struct client *c)
{
	tm__op__init(&c->op);
	c->op.client = (ProtobufCBinaryData){ sizeof(c->id), c->id };
	c->op.number = c->number;
	c->op.account = (char *)(uintptr_t)account_name;
	switch (c->ask.kind) {
	case SIM_APPEND: c->state == UPLOADING ? make_chunk(c) : make_append(c); break;
	case SIM_STORE: make_store(c); break;
	case SIM_EXPUNGE: make_expunge(c); break;
	case SIM_MOVE: make_move(c); break;
	}
	c->job = (struct op_job){ .op = &c->op, .reply = answer, .expires_ms = UINT64_MAX };
	c->sent = partition_offer_op(c->sim->partition, &c->job) == OK;
}

static void draw_uids(struct sim *s, struct sim_ask *a)
{
	uint32_t uidnext = s->model.mailboxes[a->mailbox].uidnext + 3;

	a->lo = 1 + (uint32_t)sim_below(&s->random, uidnext);
	a->hi = a->lo + (uint32_t)sim_below(&s->random, 5);
}

static struct sim_ask draw(struct sim *s)
{
	struct sim_ask a = { .mailbox = (unsigned)sim_below(&s->random, SIM_MAILBOXES) };
	uint64_t dice = sim_below(&s->random, 100);

	a.system = (uint32_t)sim_below(&s->random, FLAG_SYSTEM_ALL + 1);
	a.keywords = sim_chance(&s->random, 30) ? (uint32_t)sim_below(&s->random, 8) : 0;
	draw_uids(s, &a);
	if (dice < 35) {
		a.kind = SIM_APPEND;
		a.body = ++s->bodies;
		a.chunks = sim_chance(&s->random, 30);
	} else if (dice < 80) {
		a.kind = SIM_STORE;
		a.mode = (Tm__StoreMode)sim_below(&s->random, 3);
		a.conditional = sim_chance(&s->random, 50);
		a.unchangedsince = s->model.mailboxes[a.mailbox].highest +
				   sim_below(&s->random, 6) - (sim_chance(&s->random, 30) ? 1 : 0);
	} else if (dice < 90) {
		a.kind = SIM_EXPUNGE;
		a.only_deleted = sim_chance(&s->random, 50);
	} else {
		a.kind = SIM_MOVE;
		a.hi = a.lo + (uint32_t)sim_below(&s->random, 2);
	}
	return a;
}

static void client_step(struct client *c, bool new_ones)
{
	if (c->sent)
		return;
	if (c->state == IDLE) {
		if (!new_ones)
			return;
		c->ask = draw(c->sim);
		c->number++;
		c->state = c->ask.kind == SIM_APPEND && c->ask.chunks > 0 ? UPLOADING : ASKING;
		c->fate_open = false;
	}
	send(c);
}

/* ---- a process ---- */

static void finding(void *data, const char *text)
{
	struct sim *s = data;

	s->findings++;
	sim_model_wrong(&s->model, "check: %s", text);
}

static bool check(struct sim *s)
{
	struct check_result r;
	int rc = check_db(s->node->db, finding, s, &r);

	if (rc < 0 && !sim_disk_is_dead(s->disk))
		return sim_model_wrong(&s->model, "check failed: %s", err_name(rc));
	return s->findings == 0 || sim_disk_is_dead(s->disk);
}

static int open_db(struct sim *s, struct db **ret)
{
	struct db_identity id = { .node = 1, .partitions = 1 };
	struct marks *marks = NULL;
	int rc = marks_open_file(sim_disk_marks(s->disk), id.partitions, &marks);

	if (rc < 0)
		return rc;
	return db_assemble(&id, sim_disk_log(s->disk), sim_disk_state(s->disk), marks, ret);
}

static bool boot(struct sim *s)
{
	static const struct change_sink sink;
	static void *front[1];
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		abort();
	s->node = n;
	n->options.pages_bytes = (size_t)1 << 30;
	/* The janitor is busy, too: what nobody refers to goes within seconds. */
	n->options.janitor = (struct janitor_options){ .interval_ms = 500,
						       .dedup_interval_ms = 1000,
						       .body_seconds = 4,
						       .dedup_seconds = 60 };
	int rc = open_db(s, &n->db);
	if (rc < 0) {
		node_close(&s->node);
		return sim_disk_is_dead(s->disk) ||
		       sim_model_wrong(&s->model, "opening failed: %s", err_name(rc));
	}
	n->partition_count = 1;
	workpool_open("loader", 1, 1, &n->loaders);
	workpool_open("reader", 1, 1, &n->readers);
	if (!check(s))
		return false;
	loop_create(0, &s->loop);
	rc = node_attach(n, &s->loop, 1, &sink, front);
	if (rc == OK)
		rc = node_start(n);
	if (rc < 0 && !sim_disk_is_dead(s->disk))
		return sim_model_wrong(&s->model, "starting failed: %s", err_name(rc));
	s->partition = n->owners[0]->partitions[0];
	return true;
}

static void bury(struct sim *s)
{
	if (s->loop != NULL)
		sim_loop_stop(s->loop);
	node_close(&s->node);
	loop_destroy(&s->loop);
	s->partition = NULL;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];

		c->fate_open = c->fate_open || (c->sent && c->state == ASKING);
		c->sent = false;
	}
}

static struct account *account_now(struct sim *s)
{
	struct account *a = partition_find_account(s->partition, account_name);

	return a != NULL && a->state == ACCOUNT_LOADED ? a : NULL;
}

static void unload_something(struct sim *s)
{
	struct account *a = account_now(s);
	uint64_t id = s->model.mailboxes[sim_below(&s->random, SIM_MAILBOXES)].id;
	struct mailbox *m = a == NULL ? NULL : account_mailbox(a, (mailbox_id){ id });

	if (m != NULL && m->loaded && m->work == NULL && !m->loading)
		mailbox_unload(m);
}

/* ---- things happen ---- */

static void happen(struct sim *s, bool new_ones)
{
	uint64_t dice = sim_below(&s->random, 100);

	if (dice < 25)
		client_step(&s->clients[sim_below(&s->random, CLIENTS)], new_ones);
	else if (dice < 55)
		sim_loop_turn(s->loop);
	else if (dice < 75)
		log_step(s->node->db->log);
	else if (dice < 82)
		flusher_step(s->node->db->flusher, clock_boot_ms(), true,
			     sim_chance(&s->random, 20));
	else if (dice < 90)
		sim_workpool_run(s->node->loaders);
	else if (dice < 93)
		log_sync_marks(s->node->db->log);
	else if (dice < 96)
		unload_something(s);
	else
		sim_clock_advance(sim_below(&s->random, 300));
}

static bool all_idle(const struct sim *s)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (s->clients[i].state != IDLE)
			return false;
	return true;
}

/* ---- a quiet moment: everything must be as the ideal machine says ---- */

static uint32_t keyword_bits(const struct mailbox_pages *p, const struct page_entry *e)
{
	struct flag_set set = pages_flags(p, e);
	uint32_t bits = 0;

	for (uint32_t i = 0; i < set.count; i++)
		for (unsigned k = 0; k < SIM_KEYWORDS; k++)
			if (span_eq(keywords_name(p->keywords, set.keywords[i]),
				    span_str(sim_keyword(k))))
				bits |= 1u << k;
	return bits;
}

static bool same_pages(struct sim *s, const struct sim_mailbox *want, const struct mailbox_pages *p)
{
	struct pages_cursor c;

	pages_start(p, &c);
	for (size_t i = 0; i < want->count; i++) {
		const struct sim_message *m = &want->messages[i];
		const struct page_entry *e = pages_next(&c, UINT32_MAX);

		if (e == NULL || e->uid != m->uid || e->modseq != m->modseq ||
		    pages_flags(p, e).system != m->system || keyword_bits(p, e) != m->keywords ||
		    e->size != sim_body_bytes(m->body))
			return sim_model_wrong(&s->model, "pages: uid %u is not as it should be",
					       m->uid);
	}
	if (pages_next(&c, UINT32_MAX) != NULL)
		return sim_model_wrong(&s->model, "pages: a message too many");
	return true;
}

static bool same_mailbox(struct sim *s, const struct sim_mailbox *want, const struct mailbox *m)
{
	const struct mailbox_counters *c = &m->pages->counters;

	if (c->highestmodseq != want->highest || c->uidnext != want->uidnext ||
	    c->exists != want->count)
		return sim_model_wrong(&s->model,
				       "mailbox has %u messages, uidnext %u, modseq %llu; should "
				       "have %zu, %u, %llu",
				       c->exists, c->uidnext, (unsigned long long)c->highestmodseq,
				       want->count, want->uidnext,
				       (unsigned long long)want->highest);
	return !m->loaded || same_pages(s, want, m->pages);
}

static bool same_bodies(struct sim *s, const struct sim_mailbox *want)
{
	for (size_t i = 0; i < want->count; i++) {
		const struct sim_message *m = &want->messages[i];
		struct message_info info;
		struct buf b = { 0 };
		char text[BODY_MAX_BYTES];
		size_t bytes = sim_body_bytes(m->body);
		int rc = store_message(s->node->db->store, s->partition->id,
				       (mailbox_id){ want->id }, (msg_uid){ m->uid }, &info);

		if (rc == OK)
			rc = store_body(s->node->db->store, s->partition->id, info.guid, 0, bytes,
					&b);
		sim_body_text(m->body, text);
		bool same = rc == OK && span_eq(buf_span(&b), span_of(text, bytes)) &&
			    guid_eq(info.guid, sim_body_guid(m->body));
		buf_free(&b);
		if (!same)
			return sim_model_wrong(&s->model, "the body of uid %u is not there",
					       m->uid);
	}
	return true;
}

static bool compare_all(struct sim *s)
{
	struct account *a = account_now(s);

	if (s->partition->stopped)
		return sim_model_wrong(&s->model, "the partition has stopped");
	if (!sim_model_settle(&s->model))
		return false;
	for (unsigned i = 0; a != NULL && i < SIM_MAILBOXES; i++) {
		const struct sim_mailbox *want = &s->model.mailboxes[i];
		const struct mailbox *m = account_mailbox(a, (mailbox_id){ want->id });

		if (m == NULL)
			return sim_model_wrong(&s->model, "a mailbox is not there");
		if (!same_mailbox(s, want, m) || !same_bodies(s, want))
			return false;
	}
	return true;
}

/* No crash is due: let everything end, and look. */
static bool be_quiet(struct sim *s)
{
	for (unsigned i = 0; i < QUIET_STEPS && !all_idle(s) && s->model.why[0] == '\0'; i++)
		happen(s, false);
	if (!all_idle(s) && s->model.why[0] == '\0')
		return sim_model_wrong(&s->model, s->partition->stopped
							  ? "the partition has stopped"
							  : "an op is never answered");
	if (s->model.why[0] != '\0' || !compare_all(s))
		return false;
	flusher_step(s->node->db->flusher, clock_boot_ms(), true, sim_chance(&s->random, 50));
	return check(s) && compare_all(s);
}

/* ---- a life ---- */

static void setup_answer(struct op_job *j, const Tm__OpResult *r)
{
	struct client *c = (struct client *)((char *)j - offsetof(struct client, job));

	assert(r != NULL && r->outcome == TM__OUTCOME__DONE);
	c->sent = false;
	if (r->what_case == TM__OP_RESULT__WHAT_MAILBOX)
		c->sim->model.mailboxes[1].id = r->mailbox->mailbox;
}

static void setup_op(struct sim *s, Tm__Op__WhatCase what, void *body)
{
	struct client *c = &s->clients[0];

	tm__op__init(&c->op);
	c->op.client = (ProtobufCBinaryData){ sizeof(c->id), c->id };
	c->op.number = ++c->number;
	c->op.account = (char *)(uintptr_t)account_name;
	c->op.what_case = what;
	c->op.put_chunk = body; /* any of the union */
	c->job = (struct op_job){ .op = &c->op, .reply = setup_answer, .expires_ms = UINT64_MAX };
	c->sent = true;
	partition_offer_op(s->partition, &c->job);
	while (c->sent) {
		sim_loop_turn(s->loop);
		log_step(s->node->db->log);
		sim_workpool_run(s->node->loaders);
	}
}

static void setup(struct sim *s)
{
	Tm__CreateAccount account = TM__CREATE_ACCOUNT__INIT;
	Tm__CreateMailbox mailbox = TM__CREATE_MAILBOX__INIT;

	mailbox.name = (char *)(uintptr_t) "Box";
	setup_op(s, TM__OP__WHAT_CREATE_ACCOUNT, &account);
	setup_op(s, TM__OP__WHAT_CREATE_MAILBOX, &mailbox);
	s->model.mailboxes[0].id = account_mailbox_named(account_now(s), "INBOX")->id.v;
}

/* Until the disk crashes, or for some time; then only the process is killed. */
static bool live_and_die(struct sim *s)
{
	uint64_t actions = 1 + sim_below(&s->random, ACTIONS);

	if (sim_chance(&s->random, 70))
		sim_disk_crash_after(s->disk, 1 + sim_below(&s->random, 150));
	while (actions-- > 0 && !sim_disk_is_dead(s->disk) && s->model.why[0] == '\0') {
		happen(s, true);
		if (sim_chance(&s->random, 1) && sim_chance(&s->random, 20))
			sim_disk_full(s->disk, 1 + (unsigned)sim_below(&s->random, 5));
	}
	bury(s);
	sim_disk_revive(s->disk, sim_chance(&s->random, 40));
	return s->model.why[0] == '\0';
}

/* Boot until it stays up: a crash may come while it recovers. */
static bool boot_again(struct sim *s)
{
	while (sim_chance(&s->random, 20)) {
		sim_disk_crash_after(s->disk, 1 + sim_below(&s->random, 6));
		if (!boot(s))
			return false;
		for (int i = 0; i < 30 && s->loop != NULL; i++)
			happen(s, false);
		bury(s);
		sim_disk_revive(s->disk, sim_chance(&s->random, 40));
	}
	return boot(s);
}

static bool lives(struct sim *s)
{
	if (!boot(s))
		return false;
	setup(s);
	for (unsigned i = 0; i < LIVES; i++) {
		if (!live_and_die(s) || !boot_again(s))
			return false;
		if (sim_chance(&s->random, 50) && !be_quiet(s))
			return false;
	}
	return be_quiet(s);
}

/* True if nothing was found; else `why` says what. */
static bool run_seed(uint64_t seed, char why[static 256])
{
	struct sim *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->random.state = seed;
	s->disk = sim_disk_new(sim_next(&s->random));
	sim_clock_set(1000);
	sim_model_init(&s->model);
	for (unsigned i = 0; i < CLIENTS; i++) {
		s->clients[i].sim = s;
		s->clients[i].id[0] = (uint8_t)(i + 1);
	}
	bool fine = lives(s) && s->model.why[0] == '\0';
	snprintf(why, 256, "%s", s->model.why);
	if (s->node != NULL)
		bury(s);
	sim_model_free(&s->model);
	sim_disk_free(&s->disk);
	free(s);
	return fine;
}

/* ---- the program ---- */

/* A mistake may also end in an assert: each seed in a process of its own. */
static bool run_apart(uint64_t seed)
{
	char why[256];
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		if (run_seed(seed, why))
			_exit(0);
		printf("seed %llu: %s\n", (unsigned long long)seed, why);
		fflush(stdout);
		_exit(1);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		printf("seed %llu: ended by an assert\n", (unsigned long long)seed);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int find_mistake(const char *name, uint64_t from, uint64_t to)
{
	if (!mistake_set(name)) {
		fprintf(stderr, "there is no mistake %s (or no hooks in this build)\n", name);
		return 2;
	}
	for (uint64_t seed = from; seed <= to; seed++)
		if (!run_apart(seed)) {
			printf("mistake %s: found after %llu seeds\n", name,
			       (unsigned long long)(seed - from + 1));
			return 0;
		}
	printf("mistake %s: NOT found in seeds %llu..%llu\n", name, (unsigned long long)from,
	       (unsigned long long)to);
	return 1;
}

static int find_bugs(uint64_t from, uint64_t to)
{
	for (uint64_t seed = from; seed <= to; seed++) {
		char why[256];

		if (!run_seed(seed, why)) {
			printf("seed %llu: %s\n", (unsigned long long)seed, why);
			return 1;
		}
	}
	printf("seeds %llu..%llu: nothing found\n", (unsigned long long)from,
	       (unsigned long long)to);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t from = 1;
	uint64_t to = 200;
	const char *mistake = NULL;
	bool verbose = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
			char *end;

			from = strtoull(argv[++i], &end, 10);
			to = strncmp(end, "..", 2) == 0 ? strtoull(end + 2, NULL, 10) : from;
		} else if (strcmp(argv[i], "--mistake") == 0 && i + 1 < argc) {
			mistake = argv[++i];
		} else if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
		} else {
			fprintf(stderr, "usage: sim_storage [--seeds A..B] [--mistake NAME] "
					"[--verbose]\n");
			return 2;
		}
	}
	if (!verbose)
		log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	return mistake != NULL ? find_mistake(mistake, from, to) : find_bugs(from, to);
}
