/* overlay.c: a hash table over all rows, and a tree over those tables that are walked. Walking the
 * others (messages, flags; only when a mailbox is purged) looks at every row of the overlay. */
#include "storage/overlay.h"

#include "storage/base/err.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BUCKETS_FIRST = 1024, MANY_KEYS = 256 };

struct row {
	struct row *next;  /* in its bucket */
	struct row *older; /* in the order of making */
	uint64_t hash;
	enum table table;
	bool deleted;
	bool covered; /* by a deleted range, which suffices */
	struct span key;
	char *memory; /* the value */
	size_t bytes;
	size_t capacity;
};

struct deleted_range {
	struct deleted_range *next;
	enum kv_family family;
	struct kv_range range;
};

struct overlay {
	struct kv *kv;
	struct arena arena;
	struct row **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	struct row *newest;
	struct deleted_range *ranges;
	GTree *sorted; /* of rows: those whose table is walked */
	struct buf value;
};

/* Walked with few rows in a range; the others are many, and looked up only. */
static bool is_sorted(enum table t)
{
	return table_family(t) == KV_SMALL && t != TABLE_DEDUP;
}

static int span_compare(struct span a, struct span b)
{
	int c = memcmp(a.at, b.at, a.bytes < b.bytes ? a.bytes : b.bytes);

	return c != 0 ? c : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static gint row_compare(gconstpointer a, gconstpointer b, gpointer data)
{
	(void)data;
	return span_compare(((const struct row *)a)->key, ((const struct row *)b)->key);
}

static struct span row_value(const struct row *r)
{
	return span_of(r->memory, r->bytes);
}

static bool in_range(struct span key, struct kv_range r)
{
	return span_compare(key, r.lo) >= 0 && span_compare(key, r.hi) < 0;
}

struct overlay *overlay_new(struct kv *kv)
{
	struct overlay *o = calloc(1, sizeof(*o));

	if (o == NULL)
		abort();
	o->kv = kv;
	arena_init(&o->arena);
	o->bucket_count = BUCKETS_FIRST;
	o->buckets = calloc(o->bucket_count, sizeof(struct row *));
	if (o->buckets == NULL)
		abort();
	o->sorted = g_tree_new_full(row_compare, NULL, NULL, NULL);
	return o;
}

void overlay_free(struct overlay **o)
{
	if (*o == NULL)
		return;
	g_tree_destroy((*o)->sorted);
	arena_free(&(*o)->arena);
	buf_free(&(*o)->value);
	free((*o)->buckets);
	free(*o);
	*o = NULL;
}

void overlay_reset(struct overlay *o)
{
	g_tree_remove_all(o->sorted);
	memset(o->buckets, 0, o->bucket_count * sizeof(struct row *));
	o->count = 0;
	o->newest = NULL;
	o->ranges = NULL;
	arena_reset(&o->arena);
}

static void grow(struct overlay *o)
{
	size_t count = o->bucket_count * 4;
	struct row **buckets = calloc(count, sizeof(struct row *));

	if (buckets == NULL)
		abort();
	for (struct row *r = o->newest; r != NULL; r = r->older) {
		r->next = buckets[r->hash & (count - 1)];
		buckets[r->hash & (count - 1)] = r;
	}
	free(o->buckets);
	o->buckets = buckets;
	o->bucket_count = count;
}

static struct row *find(const struct overlay *o, enum table t, struct span key)
{
	uint64_t hash = XXH3_64bits(key.at, key.bytes);

	/* Keys of different tables differ in their table byte. */
	for (struct row *r = o->buckets[hash & (o->bucket_count - 1)]; r != NULL; r = r->next)
		if (r->hash == hash && span_eq(r->key, key)) {
			assert(r->table == t);
			return r;
		}
	return NULL;
}

static struct row *find_or_make(struct overlay *o, enum table t, struct span key)
{
	struct row *r = find(o, t, key);

	if (r != NULL)
		return r;
	if (o->count == 2 * o->bucket_count)
		grow(o);
	r = arena_alloc(&o->arena, sizeof(*r));
	*r = (struct row){ .hash = XXH3_64bits(key.at, key.bytes),
			   .table = t,
			   .key = arena_copy(&o->arena, key),
			   .older = o->newest };
	r->next = o->buckets[r->hash & (o->bucket_count - 1)];
	o->buckets[r->hash & (o->bucket_count - 1)] = r;
	o->newest = r;
	o->count++;
	if (is_sorted(t))
		g_tree_insert(o->sorted, r, r);
	return r;
}

void overlay_put(struct overlay *o, enum table t, struct span key, struct span value)
{
	struct row *r = find_or_make(o, t, key);

	/* A row that changes again and again does not grow the arena each time. */
	if (value.bytes > r->capacity) {
		r->memory = arena_alloc(&o->arena, value.bytes);
		r->capacity = value.bytes;
	}
	if (value.bytes > 0)
		memcpy(r->memory, value.at, value.bytes);
	r->bytes = value.bytes;
	r->deleted = false;
	r->covered = false;
}

void overlay_delete(struct overlay *o, enum table t, struct span key)
{
	struct row *r = find_or_make(o, t, key);

	r->deleted = true;
}

/* Call fn for each row of the overlay in the range, deleted ones too. */
static void each_in_range(struct overlay *o, enum table t, struct kv_range range,
			  void (*fn)(void *data, struct row *r), void *data)
{
	struct row lo = { .key = range.lo };

	if (!is_sorted(t)) {
		for (struct row *r = o->newest; r != NULL; r = r->older)
			if (r->table == t && in_range(r->key, range))
				fn(data, r);
		return;
	}
	for (GTreeNode *n = g_tree_lower_bound(o->sorted, &lo); n != NULL;
	     n = g_tree_node_next(n)) {
		struct row *r = g_tree_node_value(n);

		if (span_compare(r->key, range.hi) >= 0)
			return;
		fn(data, r);
	}
}

static void row_delete(void *data, struct row *r)
{
	(void)data;
	r->deleted = true;
	r->covered = true;
}

void overlay_delete_range(struct overlay *o, enum table t, struct kv_range range)
{
	struct deleted_range *d = arena_alloc(&o->arena, sizeof(*d));

	*d = (struct deleted_range){ o->ranges,
				     table_family(t),
				     { arena_copy(&o->arena, range.lo),
				       arena_copy(&o->arena, range.hi) } };
	o->ranges = d;
	each_in_range(o, t, range, row_delete, NULL);
}

static bool range_deleted(const struct overlay *o, enum kv_family f, struct span key)
{
	for (const struct deleted_range *d = o->ranges; d != NULL; d = d->next)
		if (d->family == f && in_range(key, d->range))
			return true;
	return false;
}

/* Is the answer known without the store? Then *rc and *ret are it. */
static bool known(const struct overlay *o, enum table t, struct span key, int *rc, struct span *ret)
{
	const struct row *r = find(o, t, key);

	*rc = ERR_NOT_FOUND;
	if (r == NULL)
		return range_deleted(o, table_family(t), key);
	if (!r->deleted) {
		*rc = OK;
		*ret = row_value(r);
	}
	return true;
}

int overlay_get(struct overlay *o, enum table t, struct span key, struct span *ret)
{
	int rc;

	if (known(o, t, key, &rc, ret))
		return rc;
	rc = kv_get(o->kv, NULL, table_family(t), key, &o->value);
	if (rc == OK)
		*ret = buf_span(&o->value);
	return rc;
}

struct many {
	size_t index[MANY_KEYS];
	kv_found_fn fn;
	void *data;
};

static int many_found(void *data, size_t i, struct span value)
{
	struct many *m = data;

	return m->fn(m->data, m->index[i], value);
}

static int get_some(struct overlay *o, enum table t, const struct span *keys, size_t first,
		    size_t end, struct many *m)
{
	struct span ask[MANY_KEYS];
	size_t n = 0;

	for (size_t i = first; i < end; i++) {
		struct span value;
		int rc;

		if (!known(o, t, keys[i], &rc, &value)) {
			m->index[n] = i;
			ask[n++] = keys[i];
			continue;
		}
		if (rc == OK)
			rc = m->fn(m->data, i, value);
		if (rc < 0 && rc != ERR_NOT_FOUND)
			return rc;
	}
	return kv_get_many(o->kv, table_family(t), ask, n, many_found, m);
}

int overlay_get_many(struct overlay *o, enum table t, const struct span *keys, size_t count,
		     kv_found_fn fn, void *data)
{
	struct many m = { .fn = fn, .data = data };
	int rc = OK;

	for (size_t i = 0; rc == OK && i < count; i += MANY_KEYS)
		rc = get_some(o, t, keys, i, i + MANY_KEYS < count ? i + MANY_KEYS : count, &m);
	return rc;
}

struct walk {
	struct overlay *o;
	enum table table;
	kv_row_fn fn;
	void *data;
	int rc; /* not OK: it has ended */
};

/* A stored row, if the overlay says nothing of it. */
static int walk_stored(void *data, struct span key, struct span value)
{
	struct walk *w = data;
	struct span unused;
	int rc;

	if (known(w->o, w->table, key, &rc, &unused))
		return OK;
	w->rc = w->fn(w->data, key, value);
	return w->rc;
}

static void walk_own(void *data, struct row *r)
{
	struct walk *w = data;

	if (w->rc == OK && !r->deleted)
		w->rc = w->fn(w->data, r->key, row_value(r));
}

int overlay_iterate(struct overlay *o, enum table t, struct kv_range range, kv_row_fn fn,
		    void *data)
{
	struct walk w = { o, t, fn, data, OK };
	int rc = kv_iterate(o->kv, NULL, table_family(t), range, walk_stored, &w);

	if (rc < 0 || w.rc != OK)
		return rc;
	each_in_range(o, t, range, walk_own, &w);
	return w.rc < 0 ? w.rc : OK;
}

size_t overlay_rows(const struct overlay *o)
{
	return o->count;
}

void overlay_fill(const struct overlay *o, struct kv_batch *b)
{
	for (const struct deleted_range *d = o->ranges; d != NULL; d = d->next)
		kv_batch_delete_range(b, d->family, d->range);
	for (const struct row *r = o->newest; r != NULL; r = r->older) {
		if (!r->deleted)
			kv_batch_put(b, table_family(r->table), r->key, row_value(r));
		else if (!r->covered)
			kv_batch_delete(b, table_family(r->table), r->key);
	}
}
