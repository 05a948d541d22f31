/* kv_rocksdb.c: kv.h over RocksDB 7.8; the only file that includes it.
 *
 * What is known of it and respected here:
 *   - Debian's build has its asserts on: every column family handle is destroyed before closing.
 *   - state/ is flushed by compacting the empty family "default", which with atomic_flush flushes
 *     all families at once (rule S7); rocksdb_flush_cf tears, rocksdb_flush sees one family only.
 *   - Read tier 2 (persisted) skips what is only in memtables (rule S6); not for iterators.
 *   - Its own log file asserts when it writes again after a full disk, which ends the process: it
 *     is switched off, headers included. What goes wrong comes back as errors.
 *   - After "No space left" in the WAL it asserts when it writes to that WAL again, also after it
 * has resumed: log/ is opened anew before the next write, as soon as there is room for that. state/
 *     has no WAL and leaves the state by itself some seconds after there is room.
 */
#include "storage/kv_rocksdb.h"

#include "storage/base/err.h"

#include <assert.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { HANDLES_MAX = KV_FAMILIES + 1, MULTI_GET_KEYS = 64, PERSISTED_TIER = 2, NO_INFO_LOG = 6 };
enum { REOPEN_FREE_BYTES = 96 << 20 }; /* what it recovers is written once more */
enum { LOG_BUFFER_BYTES = 64 << 20, STATE_BUFFER_BYTES = 32 << 20, STATE_BUFFERS_BYTES = 96 << 20 };

struct kv_rocksdb {
	struct kv kv;
	struct kv_rocksdb_options from; /* `dir` is our own copy */
	pthread_rwlock_t lock;          /* held for writing while `db` is opened anew */
	bool wounded;                   /* the WAL met a full disk; the writer's thread only */
	rocksdb_t *db;                  /* NULL: it could not be opened anew */
	rocksdb_cache_t *cache;
	rocksdb_options_t *options[HANDLES_MAX];
	rocksdb_column_family_handle_t *handles[HANDLES_MAX];
	int families; /* handles in use; the last is "default" */
	rocksdb_readoptions_t *newest;
	rocksdb_readoptions_t *persisted;
	rocksdb_writeoptions_t *synced;
	rocksdb_writeoptions_t *unsynced;
};

struct kv_snapshot {
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *options;
};

struct rocksdb_batch {
	struct kv_batch head;
	rocksdb_writebatch_t *batch;
};

static const char *const family_names[HANDLES_MAX] = { "small", "message", "flags", "body",
						       "default" };

static struct kv_rocksdb *rocks_of(struct kv *kv)
{
	return (struct kv_rocksdb *)kv;
}

static struct rocksdb_batch *batch_of(struct kv_batch *b)
{
	return (struct rocksdb_batch *)b;
}

/* RocksDB's words become a code of ours; takes the string. */
static int err_take(char *text, struct buf *why)
{
	int rc = ERR_IO;

	if (text == NULL)
		return OK;
	if (strstr(text, "No space left") != NULL || strstr(text, "Space limit") != NULL)
		rc = ERR_NO_SPACE;
	else if (strncmp(text, "Corruption", 10) == 0)
		rc = ERR_CORRUPT;
	if (why != NULL)
		buf_puts(why, text);
	rocksdb_free(text);
	return rc;
}

/* ---- opening ---- */

static void table_options(const struct kv_rocksdb *k, rocksdb_options_t *o, bool bloom,
			  size_t block_bytes)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(t, k->cache);
	rocksdb_block_based_options_set_block_size(t, block_bytes);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	if (bloom)
		rocksdb_block_based_options_set_filter_policy(
			t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_block_based_options_destroy(t);
}

static rocksdb_options_t *common_options(const struct kv_rocksdb_options *from)
{
	rocksdb_options_t *o = rocksdb_options_create();

	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_max_background_jobs(o, (int)from->threads);
	rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
	rocksdb_options_set_info_log_level(o, NO_INFO_LOG);
	rocksdb_options_set_keep_log_file_num(o, 2);
	rocksdb_options_set_max_open_files(o, 1024);
	rocksdb_options_set_compression(o, rocksdb_lz4_compression);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	return o;
}

static rocksdb_options_t *log_options(const struct kv_rocksdb *k,
				      const struct kv_rocksdb_options *from)
{
	rocksdb_options_t *o = common_options(from);

	rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
	rocksdb_options_set_write_buffer_size(o, LOG_BUFFER_BYTES);
	rocksdb_options_set_max_write_buffer_number(o, 3);
	table_options(k, o, false, 16 << 10);
	return o;
}

/* A body is written once and then left where it is: its values go into blob files, which
 * compactions do not copy. */
static void body_options(rocksdb_options_t *o)
{
	rocksdb_options_set_compression(o, rocksdb_zstd_compression);
	rocksdb_options_set_enable_blob_files(o, 1);
	rocksdb_options_set_min_blob_size(o, 2048);
	rocksdb_options_set_blob_file_size(o, 256 << 20);
	rocksdb_options_set_blob_compression_type(o, rocksdb_zstd_compression);
	rocksdb_options_set_enable_blob_gc(o, 1);
}

static rocksdb_options_t *state_options(const struct kv_rocksdb *k,
					const struct kv_rocksdb_options *from, int family)
{
	rocksdb_options_t *o = common_options(from);

	rocksdb_options_set_atomic_flush(o, 1);
	rocksdb_options_set_write_buffer_size(o, STATE_BUFFER_BYTES);
	rocksdb_options_set_db_write_buffer_size(o, STATE_BUFFERS_BYTES);
	rocksdb_options_set_max_write_buffer_number(o, 4);
	/* Mailboxes are loaded by walking flags; that needs no filter. */
	table_options(k, o, family != KV_FLAGS, 16 << 10);
	if (family == KV_BODY)
		body_options(o);
	return o;
}

static void common_init(struct kv_rocksdb *k)
{
	k->newest = rocksdb_readoptions_create();
	k->persisted = rocksdb_readoptions_create();
	rocksdb_readoptions_set_read_tier(k->persisted, PERSISTED_TIER);
	k->synced = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(k->synced, 1);
	k->unsynced = rocksdb_writeoptions_create();
	if (!k->kv.is_log)
		rocksdb_writeoptions_disable_WAL(k->unsynced, 1);
}

static void close_db(struct kv_rocksdb *k)
{
	for (int i = 0; k->db != NULL && i < k->families; i++)
		rocksdb_column_family_handle_destroy(k->handles[i]);
	if (k->db != NULL)
		rocksdb_close(k->db);
	for (int i = 0; i < k->families; i++)
		rocksdb_options_destroy(k->options[i]);
	k->db = NULL;
	k->families = 0;
}

static void rocks_close(struct kv *kv)
{
	struct kv_rocksdb *k = rocks_of(kv);

	close_db(k);
	rocksdb_readoptions_destroy(k->newest);
	rocksdb_readoptions_destroy(k->persisted);
	rocksdb_writeoptions_destroy(k->synced);
	rocksdb_writeoptions_destroy(k->unsynced);
	rocksdb_cache_destroy(k->cache);
	pthread_rwlock_destroy(&k->lock);
	free((char *)(uintptr_t)k->from.dir);
	free(k);
}

static int rocks_open(struct kv_rocksdb *k, struct buf *why)
{
	const struct kv_rocksdb_options *o = &k->from;
	const char *names[HANDLES_MAX];
	char *err = NULL;

	k->families = o->log ? 1 : HANDLES_MAX;
	for (int i = 0; i < k->families; i++) {
		names[i] = o->log ? "default" : family_names[i];
		k->options[i] = o->log ? log_options(k, o) : state_options(k, o, i);
	}
	k->db = rocksdb_open_column_families(k->options[0], o->dir, k->families, names,
					     (const rocksdb_options_t *const *)k->options,
					     k->handles, &err);
	return err_take(err, why);
}

/* Readers hold this, so that nobody opens anew under them. ERR_IO: it is not open. */
static int enter(struct kv_rocksdb *k)
{
	pthread_rwlock_rdlock(&k->lock);
	if (k->db != NULL)
		return OK;
	pthread_rwlock_unlock(&k->lock);
	return ERR_IO;
}

static void leave(struct kv_rocksdb *k)
{
	pthread_rwlock_unlock(&k->lock);
}

static bool has_room(const struct kv_rocksdb *k)
{
	struct statvfs st;

	return statvfs(k->from.dir, &st) == 0 &&
	       (uint64_t)st.f_bavail * st.f_frsize >= REOPEN_FREE_BYTES;
}

/* ERR_NO_SPACE: later. */
static int open_anew(struct kv_rocksdb *k)
{
	int rc;

	if (!has_room(k))
		return ERR_NO_SPACE;
	pthread_rwlock_wrlock(&k->lock);
	close_db(k);
	rc = rocks_open(k, NULL);
	if (rc < 0)
		close_db(k);
	pthread_rwlock_unlock(&k->lock);
	k->wounded = rc < 0;
	return rc;
}

/* ---- reading ---- */

static int rocks_snapshot(struct kv *kv, struct kv_snapshot **ret)
{
	struct kv_rocksdb *k = rocks_of(kv);
	struct kv_snapshot *s = malloc(sizeof(*s));

	if (s == NULL)
		abort();
	s->snapshot = rocksdb_create_snapshot(k->db);
	s->options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(s->options, s->snapshot);
	*ret = s;
	return OK;
}

static void rocks_release(struct kv *kv, struct kv_snapshot *s)
{
	rocksdb_readoptions_destroy(s->options);
	rocksdb_release_snapshot(rocks_of(kv)->db, s->snapshot);
	free(s);
}

static int get_with(struct kv_rocksdb *k, const rocksdb_readoptions_t *o, enum kv_family f,
		    struct span key, struct buf *ret)
{
	char *err = NULL;
	size_t bytes;
	rocksdb_pinnableslice_t *v =
		rocksdb_get_pinned_cf(k->db, o, k->handles[f], key.at, key.bytes, &err);
	int rc = err_take(err, NULL);

	if (rc < 0)
		return rc;
	if (v == NULL)
		return ERR_NOT_FOUND;
	const char *at = rocksdb_pinnableslice_value(v, &bytes);
	buf_reset(ret);
	buf_put(ret, at, bytes);
	rocksdb_pinnableslice_destroy(v);
	return OK;
}

static int rocks_get(struct kv *kv, const struct kv_snapshot *s, enum kv_family f, struct span key,
		     struct buf *ret)
{
	struct kv_rocksdb *k = rocks_of(kv);
	int rc = enter(k);

	if (rc < 0)
		return rc;
	rc = get_with(k, s == NULL ? k->newest : s->options, f, key, ret);
	leave(k);
	return rc;
}

static int rocks_get_persisted(struct kv *kv, enum kv_family f, struct span key, struct buf *ret)
{
	struct kv_rocksdb *k = rocks_of(kv);

	return get_with(k, k->persisted, f, key, ret);
}

/* Up to MULTI_GET_KEYS keys; `first` is the index of the first of them for fn. */
static int get_some(struct kv_rocksdb *k, enum kv_family f, const struct span *keys, size_t count,
		    size_t first, kv_found_fn fn, void *data)
{
	const char *at[MULTI_GET_KEYS] = { NULL };
	size_t bytes[MULTI_GET_KEYS] = { 0 };
	rocksdb_pinnableslice_t *values[MULTI_GET_KEYS];
	char *errs[MULTI_GET_KEYS];
	int rc = OK;

	for (size_t i = 0; i < count; i++) {
		at[i] = keys[i].at;
		bytes[i] = keys[i].bytes;
	}
	rocksdb_batched_multi_get_cf(k->db, k->newest, k->handles[f], count, at, bytes, values,
				     errs, true);
	for (size_t i = 0; i < count; i++) {
		size_t n;
		int one = err_take(errs[i], NULL);

		if (rc == OK)
			rc = one;
		if (rc == OK && values[i] != NULL) {
			const char *v = rocksdb_pinnableslice_value(values[i], &n);
			rc = fn(data, first + i, span_of(v, n));
		}
		if (values[i] != NULL)
			rocksdb_pinnableslice_destroy(values[i]);
	}
	return rc;
}

static int rocks_get_many(struct kv *kv, enum kv_family f, const struct span *keys, size_t count,
			  kv_found_fn fn, void *data)
{
	int rc = enter(rocks_of(kv));

	if (rc < 0)
		return rc;
	for (size_t done = 0; rc == OK && done < count;) {
		size_t n = count - done < MULTI_GET_KEYS ? count - done : MULTI_GET_KEYS;

		rc = get_some(rocks_of(kv), f, keys + done, n, done, fn, data);
		done += n;
	}
	leave(rocks_of(kv));
	return rc;
}

static rocksdb_iterator_t *iterator_new(struct kv_rocksdb *k, const struct kv_snapshot *s,
					enum kv_family f, struct kv_range range,
					rocksdb_readoptions_t **options)
{
	rocksdb_readoptions_t *o = rocksdb_readoptions_create();

	if (s != NULL)
		rocksdb_readoptions_set_snapshot(o, s->snapshot);
	rocksdb_readoptions_set_iterate_lower_bound(o, range.lo.at, range.lo.bytes);
	rocksdb_readoptions_set_iterate_upper_bound(o, range.hi.at, range.hi.bytes);
	/* What is walked is kept by the caller, or not wanted again soon. */
	rocksdb_readoptions_set_fill_cache(o, f == KV_SMALL);
	*options = o;
	return rocksdb_create_iterator_cf(k->db, o, k->handles[f]);
}

static int iterator_row(const rocksdb_iterator_t *it, kv_row_fn fn, void *data)
{
	size_t key_bytes;
	size_t value_bytes;
	const char *key = rocksdb_iter_key(it, &key_bytes);
	const char *value = rocksdb_iter_value(it, &value_bytes);

	return fn(data, span_of(key, key_bytes), span_of(value, value_bytes));
}

static int iterator_end(rocksdb_iterator_t *it, rocksdb_readoptions_t *o, int rc)
{
	char *err = NULL;

	rocksdb_iter_get_error(it, &err);
	int failed = err_take(err, NULL);
	rocksdb_iter_destroy(it);
	rocksdb_readoptions_destroy(o);
	return rc < 0 ? rc : failed;
}

static int rocks_iterate(struct kv *kv, const struct kv_snapshot *s, enum kv_family f,
			 struct kv_range range, kv_row_fn fn, void *data)
{
	rocksdb_readoptions_t *o;
	rocksdb_iterator_t *it = iterator_new(rocks_of(kv), s, f, range, &o);
	int rc = OK;

	for (rocksdb_iter_seek(it, range.lo.at, range.lo.bytes); rc == OK && rocksdb_iter_valid(it);
	     rocksdb_iter_next(it))
		rc = iterator_row(it, fn, data);
	return iterator_end(it, o, rc);
}

static int rocks_last(struct kv *kv, enum kv_family f, struct kv_range range, kv_row_fn fn,
		      void *data)
{
	rocksdb_readoptions_t *o;
	int rc = enter(rocks_of(kv));

	if (rc < 0)
		return rc;
	rocksdb_iterator_t *it = iterator_new(rocks_of(kv), NULL, f, range, &o);
	rocksdb_iter_seek_to_last(it);
	bool found = rocksdb_iter_valid(it) != 0;
	rc = found ? iterator_row(it, fn, data) : OK;
	rc = iterator_end(it, o, rc);
	leave(rocks_of(kv));
	if (rc < 0)
		return rc;
	return found ? OK : ERR_NOT_FOUND;
}

/* ---- writing ---- */

static struct kv_batch *rocks_batch_new(struct kv *kv)
{
	struct rocksdb_batch *b = malloc(sizeof(*b));

	if (b == NULL)
		abort();
	b->head.kv = kv;
	b->batch = rocksdb_writebatch_create();
	return &b->head;
}

static void rocks_batch_free(struct kv_batch *b)
{
	rocksdb_writebatch_destroy(batch_of(b)->batch);
	free(b);
}

static void rocks_batch_clear(struct kv_batch *b)
{
	rocksdb_writebatch_clear(batch_of(b)->batch);
}

static void rocks_batch_put(struct kv_batch *b, enum kv_family f, struct span key, struct span head,
			    struct span tail)
{
	const char *values[2] = { head.at, tail.at };
	size_t bytes[2] = { head.bytes, tail.bytes };

	rocksdb_writebatch_putv_cf(batch_of(b)->batch, rocks_of(b->kv)->handles[f], 1, &key.at,
				   &key.bytes, 2, values, bytes);
}

static void rocks_batch_delete(struct kv_batch *b, enum kv_family f, struct span key)
{
	rocksdb_writebatch_delete_cf(batch_of(b)->batch, rocks_of(b->kv)->handles[f], key.at,
				     key.bytes);
}

static void rocks_batch_delete_range(struct kv_batch *b, enum kv_family f, struct kv_range r)
{
	rocksdb_writebatch_delete_range_cf(batch_of(b)->batch, rocks_of(b->kv)->handles[f], r.lo.at,
					   r.lo.bytes, r.hi.at, r.hi.bytes);
}

static int rocks_write(struct kv *kv, struct kv_batch *b, bool sync)
{
	struct kv_rocksdb *k = rocks_of(kv);
	char *err = NULL;

	assert(!sync || kv->is_log); /* state/ has no WAL: nothing to sync */
	int rc = k->wounded ? open_anew(k) : OK;
	if (rc < 0)
		return rc;
	rocksdb_write(k->db, sync ? k->synced : k->unsynced, batch_of(b)->batch, &err);
	rc = err_take(err, NULL);
	k->wounded = kv->is_log && rc == ERR_NO_SPACE;
	return rc;
}

/* It returns no status: who must know reads what is persisted afterwards. */
static int rocks_flush(struct kv *kv)
{
	struct kv_rocksdb *k = rocks_of(kv);

	rocksdb_compact_range_cf(k->db, k->handles[k->families - 1], NULL, 0, NULL, 0);
	return OK;
}

static bool rocks_figure(struct kv *kv, const char *name, uint64_t *ret)
{
	struct kv_rocksdb *k = rocks_of(kv);
	uint64_t sum = 0;
	bool known = true;

	if (enter(k) < 0)
		return false;
	for (int i = 0; known && i < k->families; i++) {
		uint64_t one = 0;

		known = rocksdb_property_int_cf(k->db, k->handles[i], name, &one) == 0;
		sum += one;
	}
	leave(k);
	if (known)
		*ret = sum;
	return known;
}

static const struct kv_ops rocks_ops = {
	.close = rocks_close,
	.snapshot = rocks_snapshot,
	.release = rocks_release,
	.get = rocks_get,
	.get_persisted = rocks_get_persisted,
	.get_many = rocks_get_many,
	.iterate = rocks_iterate,
	.last = rocks_last,
	.batch_new = rocks_batch_new,
	.batch_free = rocks_batch_free,
	.batch_clear = rocks_batch_clear,
	.batch_put = rocks_batch_put,
	.batch_delete = rocks_batch_delete,
	.batch_delete_range = rocks_batch_delete_range,
	.write = rocks_write,
	.flush = rocks_flush,
	.figure = rocks_figure,
};

int kv_rocksdb_open(const struct kv_rocksdb_options *o, struct kv **ret, struct buf *why)
{
	struct kv_rocksdb *k = calloc(1, sizeof(*k));

	if (k == NULL)
		abort();
	k->kv = (struct kv){ &rocks_ops, o->log };
	k->from = *o;
	k->from.dir = strdup(o->dir);
	pthread_rwlock_init(&k->lock, NULL);
	k->cache = rocksdb_cache_create_lru(o->cache_bytes);
	common_init(k);
	int rc = rocks_open(k, why);
	if (rc == OK)
		*ret = &k->kv;
	else
		rocks_close(&k->kv);
	return rc;
}
