/* sim_disk.c: a store is an image: a sorted array of rows, never changed once it has more than one
 * reference. So a snapshot is a reference, what is on the disk is one, and each write of a log
 * since the last sync is one, from which the crash picks. */
#include "tests/sim/lib/sim_disk.h"

#include "storage/base/err.h"

#include <assert.h>
#include <stdlib.h>

enum { FLUSHES_BY_ITSELF_PERCENT = 20, MARKS_MAX_BYTES = 64 << 10, UNSYNCED_MAX = 4096 };

struct row {
	unsigned refs;
	enum kv_family family;
	size_t key_bytes;
	size_t value_bytes;
	char at[];
};

struct image {
	unsigned refs;
	size_t count;
	struct row **rows;
};

/* One write to the file of marks that was not synced yet. */
struct mark_write {
	struct mark_write *newer;
	uint64_t offset;
	size_t bytes;
	uint8_t at[];
};

struct sim_disk {
	struct sim_random random;
	bool dead;
	uint64_t crash_after; /* 0: not */
	unsigned full;
	uint64_t writes;

	struct image *log_synced;
	struct image *log_unsynced[UNSYNCED_MAX]; /* after each write since */
	size_t log_unsynced_count;
	struct image *state;     /* what is written */
	struct image *persisted; /* what is on the disk */
	uint8_t *marks;          /* as the process sees it */
	uint8_t *marks_synced;
	struct mark_write *oldest_mark, *newest_mark;
};

struct sim_kv {
	struct kv kv;
	struct sim_disk *disk;
};

struct kv_snapshot {
	struct image *image;
};

struct op {
	struct op *next;
	int kind; /* 0 put, 1 delete, 2 delete range */
	struct row *row;
	struct row *end; /* of a range */
};

struct sim_batch {
	struct kv_batch head;
	struct op *first, *last;
};

/* ---- rows and images ---- */

static void *xalloc(size_t bytes)
{
	void *at = calloc(1, bytes == 0 ? 1 : bytes);

	if (at == NULL)
		abort();
	return at;
}

static struct row *row_new(enum kv_family f, struct span key, struct span a, struct span b)
{
	struct row *r = xalloc(sizeof(*r) + key.bytes + a.bytes + b.bytes);

	*r = (struct row){ 1, f, key.bytes, a.bytes + b.bytes };
	memcpy(r->at, key.at, key.bytes);
	if (a.bytes > 0)
		memcpy(r->at + key.bytes, a.at, a.bytes);
	if (b.bytes > 0)
		memcpy(r->at + key.bytes + a.bytes, b.at, b.bytes);
	return r;
}

static void row_unref(struct row *r)
{
	if (r != NULL && --r->refs == 0)
		free(r);
}

static struct span row_key(const struct row *r)
{
	return span_of(r->at, r->key_bytes);
}

static struct span row_value(const struct row *r)
{
	return span_of(r->at + r->key_bytes, r->value_bytes);
}

static int compare(enum kv_family f, struct span key, const struct row *r)
{
	size_t n = key.bytes < r->key_bytes ? key.bytes : r->key_bytes;
	int c = f != r->family ? (f > r->family) - (f < r->family) : memcmp(key.at, r->at, n);

	return c != 0 ? c : (key.bytes > r->key_bytes) - (key.bytes < r->key_bytes);
}

static struct image *image_ref(struct image *i)
{
	i->refs++;
	return i;
}

static void image_unref(struct image **i)
{
	if (*i != NULL && --(*i)->refs == 0) {
		for (size_t n = 0; n < (*i)->count; n++)
			row_unref((*i)->rows[n]);
		free((*i)->rows);
		free(*i);
	}
	*i = NULL;
}

static struct image *image_new(void)
{
	struct image *i = xalloc(sizeof(*i));

	i->refs = 1;
	return i;
}

/* A copy with room for `more` rows. */
static struct image *image_copy(const struct image *from, size_t more)
{
	struct image *i = image_new();

	i->rows = xalloc((from->count + more) * sizeof(struct row *));
	for (size_t n = 0; n < from->count; n++) {
		i->rows[n] = from->rows[n];
		i->rows[n]->refs++;
	}
	i->count = from->count;
	return i;
}

/* The first row not below the key. */
static size_t image_find(const struct image *i, enum kv_family f, struct span key, bool *same)
{
	size_t lo = 0;
	size_t hi = i->count;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare(f, key, i->rows[mid]) > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*same = lo < i->count && compare(f, key, i->rows[lo]) == 0;
	return lo;
}

static void image_remove(struct image *i, size_t from, size_t to)
{
	for (size_t n = from; n < to; n++)
		row_unref(i->rows[n]);
	memmove(i->rows + from, i->rows + to, (i->count - to) * sizeof(struct row *));
	i->count -= to - from;
}

static void image_apply(struct image *i, const struct op *op)
{
	bool same;
	size_t at = image_find(i, op->row->family, row_key(op->row), &same);

	if (op->kind == 2) {
		image_remove(i, at, image_find(i, op->row->family, row_key(op->end), &same));
		return;
	}
	if (same)
		image_remove(i, at, at + 1);
	if (op->kind == 1)
		return;
	memmove(i->rows + at + 1, i->rows + at, (i->count - at) * sizeof(struct row *));
	i->rows[at] = op->row;
	op->row->refs++;
	i->count++;
}

static struct image *image_after(const struct image *before, const struct op *ops)
{
	size_t count = 0;

	for (const struct op *o = ops; o != NULL; o = o->next)
		count++;
	struct image *i = image_copy(before, count);
	for (const struct op *o = ops; o != NULL; o = o->next)
		image_apply(i, o);
	return i;
}

/* ---- the disk ---- */

struct sim_disk *sim_disk_new(uint64_t seed)
{
	struct sim_disk *d = xalloc(sizeof(*d));

	d->random.state = seed;
	d->log_synced = image_new();
	d->state = image_new();
	d->persisted = image_ref(d->state);
	d->marks = xalloc(MARKS_MAX_BYTES);
	d->marks_synced = xalloc(MARKS_MAX_BYTES);
	return d;
}

static void forget_unsynced(struct sim_disk *d)
{
	while (d->log_unsynced_count > 0)
		image_unref(&d->log_unsynced[--d->log_unsynced_count]);
}

static void forget_marks(struct sim_disk *d)
{
	while (d->oldest_mark != NULL) {
		struct mark_write *w = d->oldest_mark;

		d->oldest_mark = w->newer;
		free(w);
	}
	d->newest_mark = NULL;
}

void sim_disk_free(struct sim_disk **dd)
{
	struct sim_disk *d = *dd;

	if (d == NULL)
		return;
	forget_unsynced(d);
	forget_marks(d);
	image_unref(&d->log_synced);
	image_unref(&d->state);
	image_unref(&d->persisted);
	free(d->marks);
	free(d->marks_synced);
	free(d);
	*dd = NULL;
}

/* Every write passes here before (*after false) and after it takes effect: the crash comes at
 * either side. */
static int pass(struct sim_disk *d, bool after)
{
	if (d->dead)
		return ERR_IO;
	if (!after)
		d->writes++;
	if (!after && d->full > 0) {
		d->full--;
		return ERR_NO_SPACE;
	}
	if (d->crash_after == 0 || --d->crash_after > 0)
		return OK;
	d->dead = true;
	return ERR_IO;
}

void sim_disk_crash_after(struct sim_disk *d, uint64_t writes)
{
	d->crash_after = writes;
}

bool sim_disk_is_dead(const struct sim_disk *d)
{
	return d->dead;
}

void sim_disk_full(struct sim_disk *d, unsigned writes)
{
	d->full = writes;
}

uint64_t sim_disk_writes(const struct sim_disk *d)
{
	return d->writes;
}

static struct image *log_now(const struct sim_disk *d)
{
	return d->log_unsynced_count > 0 ? d->log_unsynced[d->log_unsynced_count - 1]
					 : d->log_synced;
}

static void marks_survive(struct sim_disk *d)
{
	for (const struct mark_write *w = d->oldest_mark; w != NULL; w = w->newer) {
		if (sim_chance(&d->random, 60))
			memcpy(d->marks_synced + w->offset, w->at, w->bytes);
	}
	memcpy(d->marks, d->marks_synced, MARKS_MAX_BYTES);
}

void sim_disk_revive(struct sim_disk *d, bool only_killed)
{
	size_t kept = only_killed ? d->log_unsynced_count
				  : (size_t)sim_below(&d->random, d->log_unsynced_count + 1);
	struct image *log = image_ref(kept == 0 ? d->log_synced : d->log_unsynced[kept - 1]);

	image_unref(&d->log_synced);
	d->log_synced = log;
	forget_unsynced(d);
	image_unref(&d->state);
	d->state = image_ref(d->persisted);
	if (!only_killed)
		marks_survive(d);
	memcpy(d->marks_synced, d->marks, MARKS_MAX_BYTES);
	forget_marks(d);
	d->dead = false;
	d->crash_after = 0;
	d->full = 0;
}

/* ---- marks ---- */

static int marks_read(void *data, uint64_t offset, void *at, size_t bytes)
{
	struct sim_disk *d = data;

	assert(offset + bytes <= MARKS_MAX_BYTES);
	memcpy(at, d->marks + offset, bytes);
	return OK;
}

static int marks_write(void *data, uint64_t offset, const void *at, size_t bytes)
{
	struct sim_disk *d = data;
	struct mark_write *w = xalloc(sizeof(*w) + bytes);
	int rc = pass(d, false);

	assert(offset + bytes <= MARKS_MAX_BYTES);
	if (rc < 0) {
		free(w);
		return rc;
	}
	memcpy(d->marks + offset, at, bytes);
	*w = (struct mark_write){ NULL, offset, bytes };
	memcpy(w->at, at, bytes);
	if (d->newest_mark == NULL)
		d->oldest_mark = w;
	else
		d->newest_mark->newer = w;
	d->newest_mark = w;
	return pass(d, true);
}

static int marks_sync_all(void *data)
{
	struct sim_disk *d = data;
	int rc = pass(d, false);

	if (rc < 0)
		return rc;
	memcpy(d->marks_synced, d->marks, MARKS_MAX_BYTES);
	forget_marks(d);
	return pass(d, true);
}

static void marks_close_nothing(void *data)
{
	(void)data;
}

struct marks_file sim_disk_marks(struct sim_disk *d)
{
	return (struct marks_file){ marks_read, marks_write, marks_sync_all, marks_close_nothing,
				    d };
}

/* ---- kv ---- */

static struct sim_kv *kv_of(struct kv *kv)
{
	return (struct sim_kv *)kv;
}

static struct image *newest(struct kv *kv)
{
	struct sim_disk *d = kv_of(kv)->disk;

	return kv->is_log ? log_now(d) : d->state;
}

static void sim_close(struct kv *kv)
{
	free(kv);
}

static int sim_snapshot(struct kv *kv, struct kv_snapshot **ret)
{
	struct kv_snapshot *s = xalloc(sizeof(*s));

	s->image = image_ref(newest(kv));
	*ret = s;
	return OK;
}

static void sim_release(struct kv *kv, struct kv_snapshot *s)
{
	(void)kv;
	image_unref(&s->image);
	free(s);
}

static int get_from(const struct image *i, enum kv_family f, struct span key, struct buf *ret)
{
	bool same;
	size_t at = image_find(i, f, key, &same);

	if (!same)
		return ERR_NOT_FOUND;
	buf_reset(ret);
	buf_put_span(ret, row_value(i->rows[at]));
	return OK;
}

static int sim_get(struct kv *kv, const struct kv_snapshot *s, enum kv_family f, struct span key,
		   struct buf *ret)
{
	return get_from(s == NULL ? newest(kv) : s->image, f, key, ret);
}

static int sim_get_persisted(struct kv *kv, enum kv_family f, struct span key, struct buf *ret)
{
	assert(!kv->is_log);
	return get_from(kv_of(kv)->disk->persisted, f, key, ret);
}

static int sim_get_many(struct kv *kv, enum kv_family f, const struct span *keys, size_t count,
			kv_found_fn fn, void *data)
{
	struct image *i = image_ref(newest(kv));
	int rc = OK;

	for (size_t n = 0; rc == OK && n < count; n++) {
		bool same;
		size_t at = image_find(i, f, keys[n], &same);

		if (same)
			rc = fn(data, n, row_value(i->rows[at]));
	}
	image_unref(&i);
	return rc;
}

static int sim_iterate(struct kv *kv, const struct kv_snapshot *s, enum kv_family f,
		       struct kv_range range, kv_row_fn fn, void *data)
{
	struct image *i = image_ref(s == NULL ? newest(kv) : s->image);
	bool same;
	size_t end = image_find(i, f, range.hi, &same);
	int rc = OK;

	for (size_t n = image_find(i, f, range.lo, &same); rc == OK && n < end; n++)
		rc = fn(data, row_key(i->rows[n]), row_value(i->rows[n]));
	image_unref(&i);
	return rc < 0 ? rc : OK;
}

static int sim_last(struct kv *kv, enum kv_family f, struct kv_range range, kv_row_fn fn,
		    void *data)
{
	const struct image *i = newest(kv);
	bool same;
	size_t lo = image_find(i, f, range.lo, &same);
	size_t hi = image_find(i, f, range.hi, &same);

	if (lo >= hi)
		return ERR_NOT_FOUND;
	int rc = fn(data, row_key(i->rows[hi - 1]), row_value(i->rows[hi - 1]));
	return rc < 0 ? rc : OK;
}

static struct kv_batch *sim_batch_new(struct kv *kv)
{
	struct sim_batch *b = xalloc(sizeof(*b));

	b->head.kv = kv;
	return &b->head;
}

static void sim_batch_clear(struct kv_batch *batch)
{
	struct sim_batch *b = (struct sim_batch *)batch;

	while (b->first != NULL) {
		struct op *o = b->first;

		b->first = o->next;
		row_unref(o->row);
		row_unref(o->end);
		free(o);
	}
	b->last = NULL;
}

static void sim_batch_free(struct kv_batch *b)
{
	sim_batch_clear(b);
	free(b);
}

static void batch_add(struct kv_batch *batch, int kind, struct row *row, struct row *end)
{
	struct sim_batch *b = (struct sim_batch *)batch;
	struct op *o = xalloc(sizeof(*o));

	*o = (struct op){ NULL, kind, row, end };
	if (b->last == NULL)
		b->first = o;
	else
		b->last->next = o;
	b->last = o;
}

static void sim_batch_put(struct kv_batch *b, enum kv_family f, struct span key, struct span head,
			  struct span tail)
{
	batch_add(b, 0, row_new(f, key, head, tail), NULL);
}

static const struct span nothing = { "", 0 };

static void sim_batch_delete(struct kv_batch *b, enum kv_family f, struct span key)
{
	batch_add(b, 1, row_new(f, key, nothing, nothing), NULL);
}

static void sim_batch_delete_range(struct kv_batch *b, enum kv_family f, struct kv_range r)
{
	batch_add(b, 2, row_new(f, r.lo, nothing, nothing), row_new(f, r.hi, nothing, nothing));
}

static void write_log(struct sim_disk *d, const struct op *ops, bool sync)
{
	struct image *i = image_after(log_now(d), ops);

	if (sync) {
		forget_unsynced(d);
		image_unref(&d->log_synced);
		d->log_synced = i;
		return;
	}
	assert(d->log_unsynced_count < UNSYNCED_MAX);
	d->log_unsynced[d->log_unsynced_count++] = i;
}

static void persist(struct sim_disk *d)
{
	image_unref(&d->persisted);
	d->persisted = image_ref(d->state);
}

static int sim_write(struct kv *kv, struct kv_batch *batch, bool sync)
{
	struct sim_disk *d = kv_of(kv)->disk;
	const struct op *ops = ((struct sim_batch *)batch)->first;
	int rc = pass(d, false);

	if (rc < 0)
		return rc;
	if (kv->is_log) {
		write_log(d, ops, sync);
		return pass(d, true);
	}
	struct image *i = image_after(d->state, ops);
	image_unref(&d->state);
	d->state = i;
	if (sim_chance(&d->random, FLUSHES_BY_ITSELF_PERCENT))
		persist(d);
	return pass(d, true);
}

static int sim_flush(struct kv *kv)
{
	struct sim_disk *d = kv_of(kv)->disk;
	int rc = pass(d, false);

	if (rc < 0)
		return rc;
	persist(d);
	return pass(d, true);
}

static bool sim_figure(struct kv *kv, const char *name, uint64_t *ret)
{
	(void)kv;
	(void)name;
	(void)ret;
	return false;
}

static const struct kv_ops sim_ops = {
	.close = sim_close,
	.snapshot = sim_snapshot,
	.release = sim_release,
	.get = sim_get,
	.get_persisted = sim_get_persisted,
	.get_many = sim_get_many,
	.iterate = sim_iterate,
	.last = sim_last,
	.batch_new = sim_batch_new,
	.batch_free = sim_batch_free,
	.batch_clear = sim_batch_clear,
	.batch_put = sim_batch_put,
	.batch_delete = sim_batch_delete,
	.batch_delete_range = sim_batch_delete_range,
	.write = sim_write,
	.flush = sim_flush,
	.figure = sim_figure,
};

static struct kv *view_new(struct sim_disk *d, bool log)
{
	struct sim_kv *k = xalloc(sizeof(*k));

	k->kv = (struct kv){ &sim_ops, log };
	k->disk = d;
	return &k->kv;
}

struct kv *sim_disk_log(struct sim_disk *d)
{
	return view_new(d, true);
}

struct kv *sim_disk_state(struct sim_disk *d)
{
	return view_new(d, false);
}
