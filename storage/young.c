/* young.c: one hash table, and one queue per partition in the order of seqs.
 *
 * Bytes of bodies are not copied: an item points into its entry and holds a reference to it. Where
 * they stand is found by walking the entry's fields beside its decoded form. */
#include "storage/young.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/uidset.h"
#include "storage/wire_walk.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BUCKETS_FIRST = 1024 };

enum kind { YOUNG_MESSAGE, YOUNG_BODY, YOUNG_SHAPE };

/* What an item is found by; all of it is hashed. */
struct name {
	uint8_t kind;
	uint8_t zero;
	uint16_t partition;
	uint32_t number; /* uid or chunk */
	uint8_t of[16];  /* mailbox id or guid */
};
static_assert(sizeof(struct name) == 24, "no holes: it is hashed and compared as bytes");

struct item {
	struct item *next;   /* in its bucket */
	struct item *behind; /* in its partition's queue */
	uint64_t hash;
	struct name name;
	uint64_t seq;
	struct log_entry *entry; /* a reference */
	struct span bytes;       /* of a chunk */
	struct young_message message;
};

struct queue {
	struct item *first, *last;
};

struct young {
	pthread_mutex_t lock;
	struct item **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	_Atomic size_t bytes;
	struct queue *queues; /* by partition */
	size_t queue_count;
};

struct young *young_new(void)
{
	struct young *y = calloc(1, sizeof(*y));

	if (y == NULL)
		abort();
	pthread_mutex_init(&y->lock, NULL);
	y->bucket_count = BUCKETS_FIRST;
	y->buckets = calloc(y->bucket_count, sizeof(struct item *));
	if (y->buckets == NULL)
		abort();
	return y;
}

static void item_free(struct item *i)
{
	log_entry_unref(&i->entry);
	free(i);
}

static void queue_free(struct item *i)
{
	while (i != NULL) {
		struct item *behind = i->behind;

		item_free(i);
		i = behind;
	}
}

void young_free(struct young **y)
{
	if (*y == NULL)
		return;
	for (size_t i = 0; i < (*y)->queue_count; i++)
		queue_free((*y)->queues[i].first);
	pthread_mutex_destroy(&(*y)->lock);
	free((*y)->queues);
	free((*y)->buckets);
	free(*y);
	*y = NULL;
}

/* ---- names ---- */

static struct name message_name(partition_id p, mailbox_id m, msg_uid uid)
{
	struct name n = { .kind = YOUNG_MESSAGE, .partition = p.v, .number = uid.v };

	be64_put(n.of, m.v);
	return n;
}

static struct name chunk_name(partition_id p, guid g, bool shape, uint32_t number)
{
	struct name n = { .kind = shape ? YOUNG_SHAPE : YOUNG_BODY,
			  .partition = p.v,
			  .number = number };

	memcpy(n.of, g.b, sizeof(n.of));
	return n;
}

static uint64_t name_hash(const struct name *n)
{
	return XXH3_64bits(n, sizeof(*n));
}

/* ---- what an entry has; without the lock ---- */

struct adding {
	struct log_entry *entry;
	struct queue items;
	size_t count;
};

static struct item *item_new(struct adding *a, struct name name)
{
	struct item *i = calloc(1, sizeof(*i));

	if (i == NULL)
		abort();
	i->name = name;
	i->hash = name_hash(&name);
	i->seq = a->entry->seq.v;
	i->entry = log_entry_ref(a->entry);
	if (a->items.last == NULL)
		a->items.first = i;
	else
		a->items.last->behind = i;
	a->items.last = i;
	a->count++;
	return i;
}

static void add_chunk(struct adding *a, guid g, bool shape, uint32_t n, struct span bytes)
{
	item_new(a, chunk_name(a->entry->partition, g, shape, n))->bytes = bytes;
}

static int add_stored_chunk(struct adding *a, struct span wire, const Tm__ChunkStored *r)
{
	struct span bytes = span_of("", 0);
	guid g;

	if (r->guid.len != sizeof(g.b))
		return ERR_CORRUPT;
	memcpy(g.b, r->guid.data, sizeof(g.b));
	if (!wire_last_bytes(wire, 4, &bytes) || bytes.bytes != r->bytes.len)
		return ERR_CORRUPT;
	add_chunk(a, g, r->shape, r->n, bytes);
	return OK;
}

static int add_message(struct adding *a, struct span wire, const Tm__MessagesAdded *r, size_t i)
{
	const Tm__AddedMessage *m = r->messages[i];
	struct span body = span_of("", 0);
	struct span shape = span_of("", 0);
	struct young_message y = { 0 };

	if (m->row == NULL || message_info_of_row(m->row, &y.info) < 0)
		return ERR_CORRUPT;
	if (!wire_last_bytes(wire, 3, &body) || !wire_last_bytes(wire, 4, &shape) ||
	    body.bytes != m->body.len || shape.bytes != m->shape.len)
		return ERR_CORRUPT;
	item_new(a, message_name(a->entry->partition, (mailbox_id){ r->mailbox },
				 (msg_uid){ r->first_uid + (uint32_t)i }))
		->message = y;
	if (body.bytes > 0)
		add_chunk(a, y.info.guid, false, 0, body);
	if (shape.bytes > 0)
		add_chunk(a, y.info.guid, true, 0, shape);
	return OK;
}

static int add_messages(struct adding *a, struct span wire, const Tm__MessagesAdded *r)
{
	struct wire_walk w = wire_walk_start(wire, 5);
	struct span one;
	int rc = OK;

	for (size_t i = 0; rc == OK && i < r->n_messages; i++)
		rc = wire_walk_next(&w, &one) ? add_message(a, one, r, i) : ERR_CORRUPT;
	return rc;
}

static struct span sources_of(const Tm__MessagesCopied *r)
{
	return r->source_uids.len == 0 ? span_of("", 0)
				       : span_of(r->source_uids.data, r->source_uids.len);
}

static void add_copies(struct adding *a, const Tm__MessagesCopied *r)
{
	struct uidset_iter it;
	struct uid_range range;
	uint32_t target = r->first_uid;

	uidset_iter_init(&it, sources_of(r));
	while (uidset_iter_next(&it, &range))
		for (uint64_t uid = range.lo; uid <= range.hi; uid++)
			item_new(a, message_name(a->entry->partition, (mailbox_id){ r->target },
						 (msg_uid){ target++ }))
				->message = (struct young_message){ .source = { r->source },
								    .copy_of = { (uint32_t)uid },
								    .savedate = r->savedate };
}

static int count_copies(const Tm__MessagesCopied *r)
{
	struct uidset_iter it;
	struct uid_range range;
	uint64_t count = 0;

	uidset_iter_init(&it, sources_of(r));
	while (uidset_iter_next(&it, &range))
		count += (uint64_t)range.hi - range.lo + 1;
	return it.corrupt || count > OP_MESSAGES_MAX ? ERR_CORRUPT : OK;
}

/* `wire`: the record's bytes. Everything else of a record is not read through young. */
static int add_record(struct adding *a, struct span wire, const Tm__Record *r)
{
	struct span what = span_of("", 0);
	int rc;

	if (r->what_case == TM__RECORD__WHAT_CHUNK_STORED)
		return wire_last_bytes(wire, 1, &what) ? add_stored_chunk(a, what, r->chunk_stored)
						       : ERR_CORRUPT;
	if (r->what_case == TM__RECORD__WHAT_MESSAGES_ADDED)
		return wire_last_bytes(wire, 2, &what) ? add_messages(a, what, r->messages_added)
						       : ERR_CORRUPT;
	if (r->what_case != TM__RECORD__WHAT_MESSAGES_COPIED)
		return OK;
	rc = count_copies(r->messages_copied);
	if (rc == OK)
		add_copies(a, r->messages_copied);
	return rc;
}

static int add_change(struct adding *a, struct span wire, const Tm__Change *c)
{
	struct wire_walk w = wire_walk_start(wire, 1);
	struct span one;
	int rc = OK;

	for (size_t i = 0; rc == OK && i < c->n_records; i++)
		rc = wire_walk_next(&w, &one) ? add_record(a, one, c->records[i]) : ERR_CORRUPT;
	return rc;
}

static int add_entry(struct adding *a, const Tm__LogEntry *decoded)
{
	struct wire_walk w = wire_walk_start(log_entry_span(a->entry), 1);
	struct span one;
	int rc = OK;

	for (size_t i = 0; rc == OK && i < decoded->n_changes; i++)
		rc = wire_walk_next(&w, &one) ? add_change(a, one, decoded->changes[i])
					      : ERR_CORRUPT;
	return rc;
}

/* ---- the table ---- */

static void grow(struct young *y)
{
	size_t count = y->bucket_count * 4;
	struct item **buckets = calloc(count, sizeof(struct item *));

	if (buckets == NULL)
		abort();
	for (size_t b = 0; b < y->bucket_count; b++)
		while (y->buckets[b] != NULL) {
			struct item *i = y->buckets[b];

			y->buckets[b] = i->next;
			i->next = buckets[i->hash & (count - 1)];
			buckets[i->hash & (count - 1)] = i;
		}
	free(y->buckets);
	y->buckets = buckets;
	y->bucket_count = count;
}

static struct queue *queue_of(struct young *y, partition_id p)
{
	if (p.v >= y->queue_count) {
		size_t count = (size_t)p.v + 1;
		struct queue *queues = realloc(y->queues, count * sizeof(queues[0]));

		if (queues == NULL)
			abort();
		memset(queues + y->queue_count, 0, (count - y->queue_count) * sizeof(queues[0]));
		y->queues = queues;
		y->queue_count = count;
	}
	return &y->queues[p.v];
}

static void link_all(struct young *y, const struct adding *a)
{
	struct queue *q = queue_of(y, a->entry->partition);

	assert(q->last == NULL || q->last->seq < a->items.first->seq);
	if (q->last == NULL)
		q->first = a->items.first;
	else
		q->last->behind = a->items.first;
	q->last = a->items.last;
	y->count += a->count;
	while (y->count > 2 * y->bucket_count)
		grow(y);
	for (struct item *i = a->items.first; i != NULL; i = i->behind) {
		struct item **bucket = &y->buckets[i->hash & (y->bucket_count - 1)];

		i->next = *bucket;
		*bucket = i;
		atomic_fetch_add_explicit(&y->bytes, sizeof(*i) + i->bytes.bytes,
					  memory_order_relaxed);
	}
}

int young_add(struct young *y, struct log_entry *e, const Tm__LogEntry *decoded)
{
	struct adding a = { .entry = e };
	int rc = add_entry(&a, decoded);

	if (rc < 0) {
		queue_free(a.items.first);
		return rc;
	}
	if (a.count == 0)
		return OK;
	pthread_mutex_lock(&y->lock);
	link_all(y, &a);
	pthread_mutex_unlock(&y->lock);
	return OK;
}

static void unlink_item(struct young *y, struct item *i)
{
	struct item **at = &y->buckets[i->hash & (y->bucket_count - 1)];

	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	y->count--;
	atomic_fetch_sub_explicit(&y->bytes, sizeof(*i) + i->bytes.bytes, memory_order_relaxed);
}

/* Some at a time, so that nobody waits long for the lock. False: there are no more. */
static bool drop_some(struct young *y, partition_id p, uint64_t seq)
{
	enum { AT_ONCE = 256 };
	struct item *gone = NULL;
	unsigned n = 0;

	pthread_mutex_lock(&y->lock);
	struct queue *q = queue_of(y, p);
	while (q->first != NULL && q->first->seq <= seq && n < AT_ONCE) {
		struct item *i = q->first;

		q->first = i->behind;
		unlink_item(y, i);
		i->behind = gone;
		gone = i;
		n++;
	}
	if (q->first == NULL)
		q->last = NULL;
	pthread_mutex_unlock(&y->lock);
	queue_free(gone);
	return n == AT_ONCE;
}

void young_drop(struct young *y, partition_id p, log_seq seq)
{
	while (drop_some(y, p, seq.v))
		;
}

void young_clear(struct young *y, partition_id p)
{
	young_drop(y, p, (log_seq){ UINT64_MAX });
}

/* With the lock held. */
static const struct item *find(const struct young *y, const struct name *n)
{
	uint64_t hash = name_hash(n);

	for (const struct item *i = y->buckets[hash & (y->bucket_count - 1)]; i != NULL;
	     i = i->next)
		if (i->hash == hash && memcmp(&i->name, n, sizeof(*n)) == 0)
			return i;
	return NULL;
}

bool young_message(struct young *y, partition_id p, mailbox_id m, msg_uid uid,
		   struct young_message *ret)
{
	struct name n = message_name(p, m, uid);

	pthread_mutex_lock(&y->lock);
	const struct item *i = find(y, &n);
	if (i != NULL)
		*ret = i->message;
	pthread_mutex_unlock(&y->lock);
	return i != NULL;
}

bool young_chunk(struct young *y, partition_id p, guid g, bool shape, uint32_t n, uint64_t offset,
		 size_t length, struct buf *out)
{
	struct name name = chunk_name(p, g, shape, n);
	struct log_entry *entry = NULL;
	struct span bytes = { NULL, 0 };

	pthread_mutex_lock(&y->lock);
	const struct item *i = find(y, &name);
	if (i != NULL) {
		entry = log_entry_ref(i->entry);
		bytes = i->bytes;
	}
	pthread_mutex_unlock(&y->lock);
	if (entry == NULL)
		return false;
	if (offset < bytes.bytes)
		buf_put(out, bytes.at + offset,
			length < bytes.bytes - offset ? length : bytes.bytes - (size_t)offset);
	log_entry_unref(&entry);
	return true;
}

size_t young_bytes(const struct young *y)
{
	return atomic_load_explicit(&y->bytes, memory_order_relaxed);
}
