/* lmtp_delivery.c
 *
 *   D1  a recipient is answered once, when its Append is; answers go out in the order of RCPT.
 *   D2  250 is said only for an Append that was answered DONE: then it is durable.
 *   D3  a partition that takes nothing for LMTP_CHUNK_STALL_SECONDS is given up, so that it does
 *       not hold up the others. */
#include "server/lmtp/lmtp_delivery.h"

#include "replication/upload.h"
#include "storage/base/arena.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <stdlib.h>

#define DELIVERY_MAGIC  0x1d371e4bu
#define RECIPIENT_MAGIC 0x4ec1b1e7u

enum recipient_state {
	RECIPIENT_WAITS, /* for its partition's upload */
	RECIPIENT_READY, /* may be sent */
	RECIPIENT_SENT,  /* its Append is under way */
	RECIPIENT_KNOWN, /* `outcome` is */
};

struct lmtp_recipient {
	uint32_t magic;
	char *address;
	char *account;
	char *folder; /* NULL: INBOX */

	/* Once it belongs to a delivery. */
	struct lmtp_delivery *delivery;
	struct part *part;
	enum recipient_state state;
	Tm__Outcome outcome;
	struct front_client client; /* while SENT */
	struct op_call call;
	Tm__Append append;
	Tm__AppendMessage *message; /* its part's */
};

/* One partition's share. */
struct part {
	struct lmtp_delivery *delivery;
	partition_id id;
	struct upload *upload; /* NULL: given up */
	bool blocked;
	uint64_t blocked_since_ms;
	struct arena arena;
	Tm__AppendMessage message;
};

struct lmtp_delivery {
	uint32_t magic;
	struct front *front;
	struct lmtp_delivery_owner owner;
	bool dropped;
	bool finished;
	bool too_big;
	uint64_t max_bytes;
	uint64_t bytes;

	struct lmtp_recipient **recipients;
	size_t count;
	size_t answered;  /* of recipients, from the first */
	size_t in_flight; /* SENT */
	struct part *parts;
	size_t part_count;

	struct loop_deferred deferred;
	struct loop_alarm stall;
};

/* ---- recipients ---- */

static char *must_strdup(struct span s)
{
	char *z = malloc(s.bytes + 1);

	if (z == NULL)
		abort();
	if (s.bytes != 0)
		memcpy(z, s.at, s.bytes);
	z[s.bytes] = '\0';
	return z;
}

struct lmtp_recipient *lmtp_recipient_new(struct span address, const char *account,
					  const char *folder)
{
	struct lmtp_recipient *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->magic = RECIPIENT_MAGIC;
	r->address = must_strdup(address);
	r->account = must_strdup(span_str(account));
	r->folder = folder == NULL ? NULL : must_strdup(span_str(folder));
	return r;
}

void lmtp_recipient_free(struct lmtp_recipient *r)
{
	assert(r->magic == RECIPIENT_MAGIC && r->state != RECIPIENT_SENT);
	free(r->address);
	free(r->account);
	free(r->folder);
	r->magic = 0;
	free(r);
}

const char *lmtp_recipient_address(const struct lmtp_recipient *r)
{
	return r->address;
}

const char *lmtp_recipient_account(const struct lmtp_recipient *r)
{
	return r->account;
}

/* ---- the end ---- */

static struct loop *loop_of(const struct lmtp_delivery *d)
{
	return front_loop(d->front);
}

static void delivery_free(struct lmtp_delivery *d)
{
	assert(d->in_flight == 0);
	loop_undefer(loop_of(d), &d->deferred);
	loop_alarm_clear(loop_of(d), &d->stall);
	for (size_t i = 0; i < d->part_count; i++) {
		upload_drop(&d->parts[i].upload);
		arena_free(&d->parts[i].arena);
	}
	for (size_t i = 0; i < d->count; i++)
		lmtp_recipient_free(d->recipients[i]);
	free(d->recipients);
	free(d->parts);
	d->magic = 0;
	free(d);
}

static void know(struct lmtp_recipient *r, Tm__Outcome outcome)
{
	r->state = RECIPIENT_KNOWN;
	r->outcome = outcome;
}

/* ---- appending ---- */

static void on_appended(struct front_client *k, struct op_call *c, const Tm__OpResult *result);

static void ignore_frame(struct front_client *k, struct read_call *c, const Tm__ReadFrame *f)
{
	(void)k;
	(void)c;
	(void)f;
}

static const struct front_client_ops recipient_ops = {
	.op_done = on_appended,
	.read_frame = ignore_frame,
};

static void send_append(struct lmtp_delivery *d, struct lmtp_recipient *r)
{
	static char inbox[] = "INBOX";

	r->state = RECIPIENT_SENT;
	d->in_flight++;
	tm__op__init(&r->call.op);
	tm__append__init(&r->append);
	r->message = &r->part->message;
	r->append.name = r->folder != NULL ? r->folder : inbox;
	r->append.fall_back_inbox = r->folder != NULL;
	r->append.messages = &r->message;
	r->append.n_messages = 1;
	r->call.op.account = r->account;
	r->call.op.what_case = TM__OP__WHAT_APPEND;
	r->call.op.append = &r->append;
	front_client_init(&r->client, d->front, &recipient_ops, client_id_draw());
	front_op(&r->client, &r->call);
}

static void send_ready_ones(struct lmtp_delivery *d)
{
	for (size_t i = d->answered; i < d->count && d->in_flight < LMTP_APPENDS_MAX; i++)
		if (d->recipients[i]->state == RECIPIENT_READY)
			send_append(d, d->recipients[i]);
}

/* Send what may be sent, answer what may be answered. May free `d`. */
static void go_on(struct lmtp_delivery *d)
{
	struct lmtp_delivery_owner owner = d->owner;

	if (d->dropped) {
		if (d->in_flight == 0)
			delivery_free(d);
		return;
	}
	send_ready_ones(d);
	while (d->answered < d->count && d->recipients[d->answered]->state == RECIPIENT_KNOWN) {
		const struct lmtp_recipient *r = d->recipients[d->answered++];
		owner.answer(owner.data, r, r->outcome);
	}
	if (d->answered == d->count) {
		delivery_free(d);
		owner.done(owner.data);
	}
}

static void on_appended(struct front_client *k, struct op_call *c, const Tm__OpResult *result)
{
	struct lmtp_recipient *r =
		(struct lmtp_recipient *)((char *)k - offsetof(struct lmtp_recipient, client));
	(void)c;

	assert(r->magic == RECIPIENT_MAGIC && r->state == RECIPIENT_SENT);
	front_client_done(&r->client);
	r->delivery->in_flight--;
	know(r, result->outcome);
	go_on(r->delivery);
}

/* ---- uploading ---- */

/* What comes of all the part's recipients that nothing has become of yet. */
static void settle_part(struct part *p, enum recipient_state state, Tm__Outcome outcome)
{
	struct lmtp_delivery *d = p->delivery;

	for (size_t i = 0; i < d->count; i++) {
		struct lmtp_recipient *r = d->recipients[i];
		if (r->part != p || r->state != RECIPIENT_WAITS)
			continue;
		r->state = state;
		r->outcome = outcome;
	}
}

static void give_up(struct part *p, Tm__Outcome outcome)
{
	upload_drop(&p->upload);
	p->blocked = false;
	settle_part(p, RECIPIENT_KNOWN, outcome);
}

static void on_deferred(struct loop_deferred *def)
{
	struct lmtp_delivery *d =
		(struct lmtp_delivery *)((char *)def - offsetof(struct lmtp_delivery, deferred));

	assert(d->magic == DELIVERY_MAGIC && d->finished);
	go_on(d);
}

static void on_stored(void *data, Tm__Outcome outcome)
{
	struct part *p = data;
	struct lmtp_delivery *d = p->delivery;

	assert(d->magic == DELIVERY_MAGIC && d->finished);
	if (outcome == TM__OUTCOME__DONE) {
		tm__append_message__init(&p->message);
		upload_fill(p->upload, &p->arena, &p->message);
		settle_part(p, RECIPIENT_READY, outcome);
	} else {
		settle_part(p, RECIPIENT_KNOWN, outcome);
	}
	loop_defer(loop_of(d), &d->deferred, on_deferred); /* we may be in upload_finish() */
}

static bool any_blocked(const struct lmtp_delivery *d)
{
	for (size_t i = 0; i < d->part_count; i++)
		if (d->parts[i].blocked)
			return true;
	return false;
}

static void tell_ready(struct lmtp_delivery *d)
{
	if (any_blocked(d))
		return;
	loop_alarm_clear(loop_of(d), &d->stall);
	d->owner.ready(d->owner.data);
}

static void on_ready(void *data)
{
	struct part *p = data;
	bool was_blocked = p->blocked;

	p->blocked = false;
	if (was_blocked && !p->delivery->finished)
		tell_ready(p->delivery);
}

static void on_stall(struct loop_alarm *a)
{
	struct lmtp_delivery *d =
		(struct lmtp_delivery *)((char *)a - offsetof(struct lmtp_delivery, stall));
	uint64_t now = loop_now_ms(loop_of(d));

	assert(d->magic == DELIVERY_MAGIC);
	for (size_t i = 0; i < d->part_count; i++) {
		struct part *p = &d->parts[i];
		if (p->blocked &&
		    now - p->blocked_since_ms >= (uint64_t)LMTP_CHUNK_STALL_SECONDS * 1000)
			give_up(p, TM__OUTCOME__UNAVAILABLE);
	}
	if (any_blocked(d))
		loop_alarm_set(loop_of(d), &d->stall, 1000, on_stall);
	else
		tell_ready(d);
}

static struct part *part_of(struct lmtp_delivery *d, const struct lmtp_recipient *r)
{
	partition_id id = router_partition(front_router(d->front), r->account);

	for (size_t i = 0; i < d->part_count; i++)
		if (d->parts[i].id.v == id.v)
			return &d->parts[i];
	struct part *p = &d->parts[d->part_count++];
	*p = (struct part){ .delivery = d, .id = id };
	arena_init(&p->arena);
	const struct upload_owner owner = { p, on_ready, on_stored };
	p->upload = upload_begin(front_router(d->front), r->account, 0, false, &owner);
	return p;
}

static bool put_to_parts(struct lmtp_delivery *d, struct span bytes)
{
	uint64_t now = loop_now_ms(loop_of(d));

	for (size_t i = 0; i < d->part_count; i++) {
		struct part *p = &d->parts[i];
		if (p->upload == NULL || upload_put(p->upload, bytes) || p->blocked)
			continue;
		p->blocked = true;
		p->blocked_since_ms = now;
	}
	if (!any_blocked(d))
		return true;
	if (!loop_alarm_is_set(&d->stall))
		loop_alarm_set(loop_of(d), &d->stall, 1000, on_stall);
	return false;
}

struct lmtp_delivery *lmtp_delivery_begin(const struct lmtp_delivery_options *o)
{
	struct lmtp_delivery *d = calloc(1, sizeof(*d));

	assert(o->count > 0);
	if (d == NULL)
		abort();
	*d = (struct lmtp_delivery){ .magic = DELIVERY_MAGIC,
				     .front = o->front,
				     .owner = o->owner,
				     .max_bytes = o->max_bytes,
				     .recipients = o->recipients,
				     .count = o->count };
	d->parts =
		calloc(o->count, sizeof(*d->parts)); /* they must not move: owners point to them */
	if (d->parts == NULL)
		abort();
	for (size_t i = 0; i < d->count; i++) {
		d->recipients[i]->delivery = d;
		d->recipients[i]->part = part_of(d, d->recipients[i]);
	}
	(void)put_to_parts(d, o->head); /* it fits any window */
	return d;
}

bool lmtp_delivery_put(struct lmtp_delivery *d, struct span bytes)
{
	assert(d->magic == DELIVERY_MAGIC && !d->finished);
	if (bytes.bytes == 0)
		return !any_blocked(d);
	d->bytes += bytes.bytes;
	if (d->too_big)
		return true;
	if (d->bytes > d->max_bytes) {
		d->too_big = true;
		for (size_t i = 0; i < d->part_count; i++)
			give_up(&d->parts[i], TM__OUTCOME__TOO_BIG);
		loop_alarm_clear(loop_of(d), &d->stall);
		return true;
	}
	return put_to_parts(d, bytes);
}

uint64_t lmtp_delivery_bytes(const struct lmtp_delivery *d)
{
	return d->bytes;
}

bool lmtp_delivery_is_too_big(const struct lmtp_delivery *d)
{
	return d->too_big;
}

void lmtp_delivery_finish(struct lmtp_delivery *d)
{
	assert(d->magic == DELIVERY_MAGIC && !d->finished);
	d->finished = true;
	loop_alarm_clear(loop_of(d), &d->stall);
	for (size_t i = 0; i < d->part_count; i++)
		if (d->parts[i].upload != NULL)
			upload_finish(d->parts[i].upload);
	loop_defer(loop_of(d), &d->deferred, on_deferred); /* where all were given up */
}

void lmtp_delivery_drop(struct lmtp_delivery **d)
{
	struct lmtp_delivery *gone = *d;

	*d = NULL;
	if (gone == NULL)
		return;
	assert(gone->magic == DELIVERY_MAGIC && !gone->dropped);
	gone->dropped = true;
	if (gone->in_flight == 0) /* else the last Append frees it */
		delivery_free(gone);
}
