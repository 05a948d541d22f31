#include "replication/upload.h"

#include "server/mail/mime_scan.h"
#include "server/mail/shape.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct chunk {
	struct op_call call; /* first */
	Tm__PutChunk put;
	struct upload *upload;
	struct chunk *next; /* in use, or free */
	struct buf bytes;
};

struct upload {
	struct router *router;
	struct upload_owner owner;
	char *account;
	guid guid;
	uint64_t size; /* so far */
	bool chunked;
	bool all_in_chunks; /* the shape, too: many messages share one entry */
	bool finished;      /* all bytes came */
	bool told;          /* owner.stored was called */
	bool dropped;       /* only waits for what is outstanding */
	bool was_full;
	Tm__Outcome failed; /* DONE: no chunk failed */

	struct buf body; /* inline, or the chunk that is being filled */
	struct chunk *outstanding;
	struct chunk *spare;
	unsigned outstanding_count;
	uint32_t chunks, shape_chunks;

	struct arena arena; /* the shape while it is made */
	struct mime_scan *scan;
	struct buf shape; /* encoded */
	uint64_t *hashes;
	size_t hash_count;
};

/* ---- chunks ---- */

static void chunk_free(struct chunk *c)
{
	buf_free(&c->bytes);
	free(c);
}

static struct chunk *chunk_take(struct upload *u)
{
	struct chunk *c = u->spare;

	if (c != NULL) {
		u->spare = c->next;
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	return c;
}

static void send_chunk(struct upload *u, bool shape, uint32_t n, struct span bytes)
{
	struct chunk *c = chunk_take(u);

	buf_reset(&c->bytes);
	buf_put_span(&c->bytes, bytes);
	c->upload = u;
	tm__op__init(&c->call.op);
	tm__put_chunk__init(&c->put);
	c->call.op.account = u->account;
	c->call.op.what_case = TM__OP__WHAT_PUT_CHUNK;
	c->call.op.put_chunk = &c->put;
	c->call.owner = c;
	c->put.guid = (ProtobufCBinaryData){ sizeof(u->guid.b), u->guid.b };
	c->put.shape = shape;
	c->put.n = n;
	c->put.bytes = (ProtobufCBinaryData){ c->bytes.bytes, (uint8_t *)c->bytes.at };
	c->next = u->outstanding;
	u->outstanding = c;
	u->outstanding_count++;
	router_op(u->router, &c->call);
}

static void unlink_chunk(struct upload *u, struct chunk *c)
{
	struct chunk **at = &u->outstanding;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	u->outstanding_count--;
	c->next = u->spare;
	u->spare = c;
}

static void tell_stored(struct upload *u)
{
	if (!u->finished || u->told || u->outstanding_count > 0)
		return;
	u->told = true;
	u->owner.stored(u->owner.data, u->failed);
}

static void upload_free(struct upload *u)
{
	assert(u->outstanding == NULL);
	while (u->spare != NULL) {
		struct chunk *c = u->spare;

		u->spare = c->next;
		chunk_free(c);
	}
	mime_scan_free(&u->scan);
	arena_free(&u->arena);
	buf_free(&u->body);
	buf_free(&u->shape);
	free(u->hashes);
	free(u->account);
	free(u);
}

static void chunk_done(struct upload *u, struct chunk *c, const Tm__OpResult *result)
{
	unlink_chunk(u, c);
	if (u->dropped) {
		if (u->outstanding_count == 0)
			upload_free(u);
		return;
	}
	if (result->outcome != TM__OUTCOME__DONE && u->failed == TM__OUTCOME__DONE)
		/* A chunk without a message is nothing: whatever came of it, nothing happened. */
		u->failed = TM__OUTCOME__UNAVAILABLE;
	if (u->was_full && u->outstanding_count < UPLOAD_WINDOW_CHUNKS / 2) {
		u->was_full = false;
		u->owner.ready(u->owner.data);
		return; /* it may have dropped us */
	}
	tell_stored(u);
}

bool upload_op_done(struct op_call *call, const Tm__OpResult *result)
{
	if (call->op.what_case != TM__OP__WHAT_PUT_CHUNK)
		return false;
	struct chunk *c = call->owner;

	chunk_done(c->upload, c, result);
	return true;
}

/* ---- bytes ---- */

static void draw_guid(guid *g)
{
	ssize_t n = getrandom(g->b, sizeof(g->b), 0);

	if (n != (ssize_t)sizeof(g->b))
		abort();
}

struct upload *upload_begin(struct router *r, const char *account, uint64_t bytes, bool in_chunks,
			    const struct upload_owner *owner)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL)
		abort();
	u->router = r;
	u->owner = *owner;
	u->account = strdup(account);
	if (u->account == NULL)
		abort();
	u->all_in_chunks = in_chunks;
	u->chunked = in_chunks || bytes > MESSAGE_INLINE_MAX_BYTES;
	u->failed = TM__OUTCOME__DONE;
	draw_guid(&u->guid);
	arena_init(&u->arena);
	u->scan = mime_scan_new(&u->arena);
	return u;
}

static void send_full_chunks(struct upload *u)
{
	size_t sent = 0;

	while (u->body.bytes - sent >= MESSAGE_CHUNK_BYTES) {
		send_chunk(u, false, u->chunks++, span_of(u->body.at + sent, MESSAGE_CHUNK_BYTES));
		sent += MESSAGE_CHUNK_BYTES;
	}
	buf_drop_front(&u->body, sent);
}

bool upload_put(struct upload *u, struct span bytes)
{
	assert(!u->finished);
	mime_scan_feed(u->scan, bytes);
	u->size += bytes.bytes;
	buf_put_span(&u->body, bytes);
	if (u->size > MESSAGE_INLINE_MAX_BYTES)
		u->chunked = true;
	if (u->chunked)
		send_full_chunks(u);
	u->was_full = u->outstanding_count >= UPLOAD_WINDOW_CHUNKS;
	return !u->was_full;
}

static void keep_hashes(struct upload *u, const struct shape *s)
{
	u->hash_count = s->message_id.count + s->in_reply_to.count + s->references.count;
	u->hashes = calloc(u->hash_count + 1, sizeof(*u->hashes));
	if (u->hashes == NULL)
		abort();
	uint64_t *at = u->hashes;
	const struct shape_hashes *parts[] = { &s->references, &s->in_reply_to, &s->message_id };
	for (int i = 0; i < 3; i++) {
		if (parts[i]->count > 0)
			memcpy(at, parts[i]->at, parts[i]->count * sizeof(*at));
		at += parts[i]->count;
	}
}

static void make_shape(struct upload *u)
{
	const struct shape *s = mime_scan_finish(u->scan);

	shape_encode(s, &u->shape);
	keep_hashes(u, s);
	mime_scan_free(&u->scan);
	arena_free(&u->arena);
	if (u->shape.bytes <= SHAPE_INLINE_MAX_BYTES && !u->all_in_chunks)
		return;
	for (size_t at = 0; at < u->shape.bytes; at += MESSAGE_CHUNK_BYTES) {
		size_t n = u->shape.bytes - at;

		send_chunk(u, true, u->shape_chunks++,
			   span_of(u->shape.at + at,
				   n < MESSAGE_CHUNK_BYTES ? n : MESSAGE_CHUNK_BYTES));
	}
}

void upload_finish(struct upload *u)
{
	assert(!u->finished);
	if (u->chunked && u->body.bytes > 0) {
		send_chunk(u, false, u->chunks++, buf_span(&u->body));
		buf_free(&u->body);
	}
	make_shape(u);
	u->finished = true;
	/* With chunks the last answer tells; without, there is nothing to wait for. */
	if (u->outstanding_count == 0)
		tell_stored(u);
}

void upload_fill(struct upload *u, struct arena *a, Tm__AppendMessage *m)
{
	assert(u->finished && u->failed == TM__OUTCOME__DONE);
	m->guid = (ProtobufCBinaryData){ sizeof(u->guid.b), u->guid.b };
	m->size = u->size;
	m->chunks = u->chunks;
	m->shape_chunks = u->shape_chunks;
	if (u->chunks == 0)
		m->body = (ProtobufCBinaryData){ u->body.bytes, (uint8_t *)u->body.at };
	if (u->shape_chunks == 0)
		m->shape = (ProtobufCBinaryData){ u->shape.bytes, (uint8_t *)u->shape.at };
	m->n_thread_hashes = u->hash_count;
	m->thread_hashes = arena_alloc(a, (u->hash_count + 1) * sizeof(*m->thread_hashes));
	memcpy(m->thread_hashes, u->hashes, u->hash_count * sizeof(*u->hashes));
}

/* Chunks that are under way point into the upload, and another thread may be reading them: what is
 * left of it goes with the last answer. */
void upload_drop(struct upload **uu)
{
	struct upload *u = *uu;

	if (u == NULL)
		return;
	*uu = NULL;
	u->dropped = true;
	buf_free(&u->body);
	buf_free(&u->shape);
	if (u->outstanding_count == 0)
		upload_free(u);
}
