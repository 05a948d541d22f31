/* log.c: the log writer. One turn (log_step) is written so that it needs no thread: take all that
 * waits, make one batch of it, write with sync, set the marks, post back.
 *
 * Threads: `tracks`, `batch`, `held` are the writer's (before log_start(): the opener's); what
 * others read of it are atomics. */
#include "storage/log.h"

#include "storage/base/clock.h"
#include "storage/base/crash_point.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/mistakes.h"
#include "storage/keys.h"
#include "storage/marks.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { HOMES_MAX = 64, VERSION_BYTES = 8, POS_BYTES = 16 };

/* What the newest batch, written or being written, makes of a partition's log. */
struct track {
	struct log_bounds bounds;
	bool marked; /* in this batch: its mark is to be set */
};

struct home {
	struct inbox *inbox;
	struct message_list list;
};

struct log {
	/* Fixed at open. */
	struct kv *kv;
	struct marks *marks;
	unsigned partitions;

	/* Shared. */
	struct inbox inbox;
	struct message stop; /* ends the thread */
	_Atomic bool stopping;

	/* The writer's only. */
	struct track *tracks;
	struct kv_batch *batch;
	struct message_list held; /* in the batch, not posted back yet */
	uint16_t *touched;        /* partitions in the batch whose marks are to be set */
	unsigned touched_count;
	bool marks_dirty;
	uint64_t marks_synced_ms;
	bool stop_seen;
	pthread_t thread;
	bool started;

	/* The writer writes, anyone reads. */
	_Atomic bool full;
	_Atomic int error;
	_Atomic uint64_t batches, writes, entries, bytes, sync_ns, full_retries;
	_Atomic uint64_t sync_buckets[LOG_LATENCY_BUCKETS];
};

static void count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static uint64_t counted(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static struct log_write *write_of(struct message *m)
{
	return (struct log_write *)((char *)m - offsetof(struct log_write, message));
}

/* ---- what a partition's log holds ---- */

static struct kv_range entries_between(struct key keys[static 2], partition_id p, log_seq from,
				       log_seq to)
{
	return (struct kv_range){ log_key_entry(&keys[0], p, from),
				  log_key_entry(&keys[1], p, to) };
}

static int u64_read(struct kv *kv, struct span key, size_t bytes, struct buf *b)
{
	int rc = kv_get(kv, NULL, KV_LOG, key, b);

	if (rc == ERR_NOT_FOUND)
		buf_reset(b);
	else if (rc < 0)
		return rc;
	else if (b->bytes != bytes)
		return ERR_CORRUPT;
	return OK;
}

static int last_row(void *data, struct span key, struct span value)
{
	struct log_pos *last = data;
	partition_id p;

	if (!log_key_entry_get(key, &p, &last->seq) || value.bytes < VERSION_BYTES)
		return ERR_CORRUPT;
	last->version = be64_get((const uint8_t *)value.at);
	return OK;
}

static int bounds_read(struct kv *kv, partition_id p, struct buf *b, struct log_bounds *ret)
{
	struct key k[2];

	*ret = (struct log_bounds){ 0 };
	int rc = u64_read(kv, log_key_version(&k[0], p), VERSION_BYTES, b);
	if (rc < 0)
		return rc;
	if (b->bytes > 0)
		ret->adopted = be64_get((const uint8_t *)b->at);
	rc = u64_read(kv, log_key_base(&k[0], p), POS_BYTES, b);
	if (rc < 0)
		return rc;
	if (b->bytes > 0) {
		ret->base.seq.v = be64_get((const uint8_t *)b->at);
		ret->base.version = be64_get((const uint8_t *)b->at + 8);
	}
	ret->last = ret->base;
	rc = kv_last(
		kv, KV_LOG,
		entries_between(k, p, (log_seq){ ret->base.seq.v + 1 }, (log_seq){ UINT64_MAX }),
		last_row, &ret->last);
	return rc == ERR_NOT_FOUND ? OK : rc;
}

static int bounds_read_all(struct log *l)
{
	struct buf b = { 0 };
	int rc = OK;

	for (unsigned i = 0; rc == OK && i < l->partitions; i++)
		rc = bounds_read(l->kv, (partition_id){ (uint16_t)i }, &b, &l->tracks[i].bounds);
	buf_free(&b);
	return rc;
}

void log_bounds(const struct log *l, partition_id p, struct log_bounds *ret)
{
	assert(p.v < l->partitions);
	*ret = l->tracks[p.v].bounds;
}

/* ---- reading ---- */

struct reading {
	partition_id partition;
	uint64_t next; /* 0: any */
	bool began;
	int (*fn)(void *data, struct log_entry **e);
	void *data;
};

static int reading_row(void *data, struct span key, struct span value)
{
	struct reading *r = data;
	partition_id p;
	log_seq seq;

	if (!log_key_entry_get(key, &p, &seq) || value.bytes < VERSION_BYTES)
		return ERR_CORRUPT;
	if (r->next != 0 && seq.v != r->next)
		return r->began ? ERR_CORRUPT : ERR_NOT_FOUND;
	r->began = true;
	r->next = seq.v + 1;
	struct log_entry *e =
		log_entry_new(p, seq, be64_get((const uint8_t *)value.at),
			      span_of(value.at + VERSION_BYTES, value.bytes - VERSION_BYTES));
	int rc = r->fn(r->data, &e);
	log_entry_unref(&e);
	return rc;
}

int log_read(struct log *l, partition_id p, log_seq from,
	     int (*fn)(void *data, struct log_entry **e), void *data)
{
	struct reading r = { .partition = p, .next = from.v, .fn = fn, .data = data };
	struct key k[2];

	return kv_iterate(l->kv, NULL, KV_LOG, entries_between(k, p, from, (log_seq){ UINT64_MAX }),
			  reading_row, &r);
}

/* ---- making a batch ---- */

static void put_base(struct log *l, partition_id p, struct log_pos base)
{
	uint8_t value[POS_BYTES];
	struct key k;

	be64_put(value, base.seq.v);
	be64_put(value + 8, base.version);
	kv_batch_put(l->batch, KV_LOG, log_key_base(&k, p), span_of(value, sizeof(value)));
}

static void touch(struct log *l, partition_id p)
{
	struct track *t = &l->tracks[p.v];

	if (!t->marked)
		l->touched[l->touched_count++] = p.v;
	t->marked = true;
}

static void drop_entries(struct log *l, partition_id p, log_seq first, log_seq end)
{
	struct key k[2];

	if (first.v < end.v)
		kv_batch_delete_range(l->batch, KV_LOG, entries_between(k, p, first, end));
}

static void do_adopt(struct log *l, const struct log_write *w)
{
	uint8_t value[VERSION_BYTES];
	struct key k;

	assert(w->adopt_version >= l->tracks[w->partition.v].bounds.adopted); /* I4 */
	be64_put(value, w->adopt_version);
	kv_batch_put(l->batch, KV_LOG, log_key_version(&k, w->partition),
		     span_of(value, sizeof(value)));
	l->tracks[w->partition.v].bounds.adopted = w->adopt_version;
	/* Who adopts serves what the log holds: a mark beyond it, or a damaged one, is over. */
	touch(l, w->partition);
}

static void do_begin(struct log *l, const struct log_write *w)
{
	struct log_bounds *b = &l->tracks[w->partition.v].bounds;

	drop_entries(l, w->partition, (log_seq){ b->base.seq.v + 1 },
		     (log_seq){ b->last.seq.v + 1 });
	put_base(l, w->partition, w->base);
	b->base = w->base;
	b->last = w->base;
	touch(l, w->partition);
}

static void do_cut(struct log *l, const struct log_write *w)
{
	struct log_bounds *b = &l->tracks[w->partition.v].bounds;

	assert(w->cut_to.seq.v >= b->base.seq.v && w->cut_to.seq.v <= b->last.seq.v);
	drop_entries(l, w->partition, (log_seq){ w->cut_to.seq.v + 1 },
		     (log_seq){ b->last.seq.v + 1 });
	b->last = w->cut_to;
	touch(l, w->partition);
}

static void do_append(struct log *l, const struct log_entry *e)
{
	struct log_bounds *b = &l->tracks[e->partition.v].bounds;
	uint8_t version[VERSION_BYTES];
	struct key k;

	assert(e->seq.v == b->last.seq.v + 1 && e->version >= b->last.version); /* L1 */
	be64_put(version, e->version);
	kv_batch_put2(l->batch, KV_LOG, log_key_entry(&k, e->partition, e->seq),
		      span_of(version, sizeof(version)), log_entry_span(e));
	b->last = (struct log_pos){ e->seq, e->version };
	count(&l->bytes, e->bytes);
	touch(l, e->partition);
}

/* Up to the end of the log at most: a truncation can be overtaken by a new beginning. */
static void do_truncate(struct log *l, const struct log_write *w)
{
	struct log_bounds *b = &l->tracks[w->partition.v].bounds;

	if (w->truncate_to.seq.v <= b->base.seq.v || w->truncate_to.seq.v > b->last.seq.v)
		return;
	drop_entries(l, w->partition, (log_seq){ b->base.seq.v + 1 },
		     (log_seq){ w->truncate_to.seq.v + 1 });
	put_base(l, w->partition, w->truncate_to);
	b->base = w->truncate_to;
}

static void batch_add(struct log *l, const struct log_write *w)
{
	assert(w->partition.v < l->partitions);
	if (w->adopt_version != 0)
		do_adopt(l, w);
	if (w->begin)
		do_begin(l, w);
	if (w->cut)
		do_cut(l, w);
	for (size_t i = 0; i < w->count; i++) {
		assert(w->entries[i]->partition.v == w->partition.v);
		do_append(l, w->entries[i]);
	}
	if (w->truncate)
		do_truncate(l, w);
	count(&l->writes, 1);
	count(&l->entries, w->count);
}

/* Everything in the inbox joins `held` and, if `add`, the batch. */
static void batch_take(struct log *l, bool add)
{
	struct message_list all = inbox_take(&l->inbox);
	struct message *m;

	while ((m = message_list_take(&all)) != NULL) {
		if (m == &l->stop) {
			l->stop_seen = true;
			continue;
		}
		message_list_put(&l->held, m);
		if (add)
			batch_add(l, write_of(m));
	}
}

/* ---- the turn ---- */

static void latency(struct log *l, uint64_t ns)
{
	unsigned i = 0;

	count(&l->sync_ns, ns);
	while (i < LOG_LATENCY_BUCKETS - 1 && ns >= UINT64_C(16000) << i)
		i++;
	count(&l->sync_buckets[i], 1);
}

static int batch_write(struct log *l)
{
	uint64_t began = clock_boot_ns();

	CRASH_POINT("log.before-write");
	int rc = kv_write(l->kv, l->batch, !mistake_active("answer-before-sync"));
	if (rc == OK) {
		latency(l, clock_boot_ns() - began);
		count(&l->batches, 1);
		CRASH_POINT("log.synced");
	}
	return rc;
}

/* After the sync and before anybody is told: what we acknowledge from now on. */
static int batch_mark(struct log *l)
{
	int rc = OK;

	for (unsigned i = 0; rc == OK && i < l->touched_count; i++) {
		partition_id p = { l->touched[i] };

		rc = marks_set(l->marks, p, l->tracks[p.v].bounds.last);
	}
	l->marks_dirty = l->marks_dirty || l->touched_count > 0;
	if (rc == OK)
		CRASH_POINT("log.marked");
	return rc;
}

static void write_deliver(struct message *m, void *receiver)
{
	struct log_write *w = write_of(m);

	w->done(w, receiver);
}

static struct home *home_find(struct home homes[static HOMES_MAX], unsigned *used,
			      struct inbox *inbox)
{
	for (unsigned i = 0; i < *used; i++)
		if (homes[i].inbox == inbox)
			return &homes[i];
	if (*used == HOMES_MAX)
		return NULL;
	homes[*used] = (struct home){ inbox, { 0 } };
	return &homes[(*used)++];
}

/* One list per home: one wake-up per loop, whatever the number of writes. */
static void post_back(struct log *l, int result)
{
	struct home homes[HOMES_MAX];
	unsigned used = 0;
	struct message *m;

	while ((m = message_list_take(&l->held)) != NULL) {
		struct log_write *w = write_of(m);
		struct home *h;

		w->result = result;
		w->message.deliver = write_deliver;
		if (w->home == NULL)
			w->done(w, NULL);
		else if ((h = home_find(homes, &used, w->home)) != NULL)
			message_list_put(&h->list, m);
		else
			inbox_force_one(w->home, m);
	}
	for (unsigned i = 0; i < used; i++)
		inbox_force(homes[i].inbox, &homes[i].list);
}

static void batch_done(struct log *l, int result)
{
	for (unsigned i = 0; i < l->touched_count; i++)
		l->tracks[l->touched[i]].marked = false;
	l->touched_count = 0;
	kv_batch_clear(l->batch);
	post_back(l, result);
}

int log_step(struct log *l)
{
	int rc = atomic_load(&l->error);

	if (l->held.count == 0)
		batch_take(l, rc == OK);
	if (l->held.count == 0)
		return rc;
	if (rc == OK)
		rc = batch_write(l);
	if (rc == OK)
		rc = batch_mark(l);
	atomic_store(&l->full, rc == ERR_NO_SPACE);
	if (rc == ERR_NO_SPACE) {
		count(&l->full_retries, 1);
		return rc; /* the same bytes again, later */
	}
	if (rc < 0)
		atomic_store(&l->error, ERR_IO);
	batch_done(l, rc < 0 ? ERR_IO : OK);
	return rc < 0 ? ERR_IO : OK;
}

int log_sync_marks(struct log *l)
{
	int rc = l->marks_dirty ? marks_sync(l->marks) : OK;

	if (rc == OK)
		l->marks_dirty = false;
	return rc;
}

/* ---- the thread ---- */

static void sync_marks_if_due(struct log *l)
{
	uint64_t now = clock_boot_ms();

	if (now - l->marks_synced_ms < MARKS_SYNC_MILLISECONDS)
		return;
	l->marks_synced_ms = now;
	int rc = log_sync_marks(l);
	if (rc < 0 && rc != ERR_NO_SPACE)
		atomic_store(&l->error, ERR_IO);
}

static void *writer_run(void *data)
{
	struct log *l = data;

	pthread_setname_np(pthread_self(), "log-writer");
	while (!l->stop_seen || l->held.count > 0 || inbox_length(&l->inbox) > 0) {
		/* Full: new writes wait in the inbox while the held batch is tried again. */
		bool full = atomic_load(&l->full);

		if (full && atomic_load(&l->stopping))
			break;
		if (full)
			nanosleep(
				&(struct timespec){ .tv_nsec = LOG_RETRY_MILLISECONDS * 1000000L },
				NULL);
		else
			inbox_wait(&l->inbox, l->marks_dirty ? MARKS_SYNC_MILLISECONDS : -1);
		log_step(l);
		sync_marks_if_due(l);
	}
	log_sync_marks(l);
	return NULL;
}

int log_start(struct log *l)
{
	assert(!l->started);
	if (pthread_create(&l->thread, NULL, writer_run, l) != 0)
		return ERR_IO;
	l->started = true;
	return OK;
}

/* ---- the doors ---- */

int log_open(struct kv *kv, struct marks *marks, unsigned partitions, struct log **ret)
{
	struct log *l = aligned_alloc(_Alignof(struct log), sizeof(*l));

	assert(partitions > 0 && partitions < UINT16_MAX);
	if (l == NULL)
		abort();
	*l = (struct log){ .kv = kv, .marks = marks, .partitions = partitions };
	l->tracks = calloc(partitions, sizeof(l->tracks[0]));
	l->touched = calloc(partitions, sizeof(l->touched[0]));
	if (l->tracks == NULL || l->touched == NULL)
		abort();
	inbox_init(&l->inbox, INBOX_MAX_MESSAGES, l, NULL, NULL);
	l->batch = kv_batch_new(kv);
	int rc = bounds_read_all(l);
	if (rc == OK)
		*ret = l;
	else
		log_close(&l);
	return rc;
}

void log_close(struct log **ret)
{
	struct log *l = *ret;

	if (l == NULL)
		return;
	atomic_store(&l->stopping, true);
	if (l->started) {
		inbox_force_one(&l->inbox, &l->stop);
		pthread_join(l->thread, NULL);
	}
	batch_take(l, false);
	batch_done(l, ERR_CLOSED); /* only after a full disk, or without the thread */
	kv_batch_free(&l->batch);
	free(l->tracks);
	free(l->touched);
	free(l);
	*ret = NULL;
}

void log_write_prepare(struct log *l, struct log_write *w)
{
	(void)l;
	assert(w->done != NULL && w->partition.v < l->partitions);
	w->message = (struct message){ 0 };
	w->result = ERR_CLOSED;
}

struct inbox *log_inbox(struct log *l)
{
	return &l->inbox;
}

void log_submit(struct log *l, struct log_write *w)
{
	log_write_prepare(l, w);
	inbox_force_one(&l->inbox, &w->message);
}

bool log_is_full(const struct log *l)
{
	return atomic_load_explicit(&l->full, memory_order_relaxed);
}

int log_failed(const struct log *l)
{
	return atomic_load_explicit(&l->error, memory_order_relaxed);
}

void log_figures(const struct log *l, struct log_figures *ret)
{
	*ret = (struct log_figures){
		.batches = counted(&l->batches),
		.writes = counted(&l->writes),
		.entries = counted(&l->entries),
		.bytes = counted(&l->bytes),
		.sync_ns = counted(&l->sync_ns),
		.full_retries = counted(&l->full_retries),
	};
	for (unsigned i = 0; i < LOG_LATENCY_BUCKETS; i++)
		ret->sync_buckets[i] = counted(&l->sync_buckets[i]);
}
