/* kv.h: an ordered key-value store: what we need of RocksDB, and all that the rest of storage/
 * knows of it. Two back ends: kv_rocksdb.c, and the simulated disk of tests/sim, which crashes
 * between any two writes and loses what was not synced or flushed.
 *
 * Two instances a node: log/ (one family, WAL on) and state/ (four families, WAL off, flushed
 * atomically). A batch is all or nothing, also over families, also after a crash.
 *
 * Errors everywhere: ERR_NO_SPACE (nothing was written; the same call may succeed later), ERR_IO,
 * ERR_CORRUPT (a checksum does not fit: never silent).
 *
 * Thread: any, if nothing else is said. A batch is one thread's at a time. */
#ifndef STORAGE_KV_H
#define STORAGE_KV_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum kv_family {
	KV_SMALL,
	KV_MESSAGE,
	KV_FLAGS,
	KV_BODY,
	KV_FAMILIES,
	KV_LOG = KV_SMALL, /* the one family of log/ */
};

struct kv;
struct kv_snapshot;
struct kv_batch;

struct kv_range {
	struct span lo; /* inclusive */
	struct span hi; /* exclusive */
};

/* A row of an iteration, ascending by key; the spans are valid during the call. 0: go on; positive:
 * stop, kv_iterate() returns OK; negative: stop, it returns that. */
typedef int (*kv_row_fn)(void *data, struct span key, struct span value);
/* The i-th key of a kv_get_many() has this value. Keys that are not there are left out. */
typedef int (*kv_found_fn)(void *data, size_t i, struct span value);

struct kv_ops {
	void (*close)(struct kv *kv);
	int (*snapshot)(struct kv *kv, struct kv_snapshot **ret);
	void (*release)(struct kv *kv, struct kv_snapshot *s);
	int (*get)(struct kv *kv, const struct kv_snapshot *s, enum kv_family f, struct span key,
		   struct buf *ret);
	int (*get_persisted)(struct kv *kv, enum kv_family f, struct span key, struct buf *ret);
	int (*get_many)(struct kv *kv, enum kv_family f, const struct span *keys, size_t count,
			kv_found_fn fn, void *data);
	int (*iterate)(struct kv *kv, const struct kv_snapshot *s, enum kv_family f,
		       struct kv_range range, kv_row_fn fn, void *data);
	int (*last)(struct kv *kv, enum kv_family f, struct kv_range range, kv_row_fn fn,
		    void *data);
	struct kv_batch *(*batch_new)(struct kv *kv);
	void (*batch_free)(struct kv_batch *b);
	void (*batch_clear)(struct kv_batch *b);
	void (*batch_put)(struct kv_batch *b, enum kv_family f, struct span key, struct span head,
			  struct span tail);
	void (*batch_delete)(struct kv_batch *b, enum kv_family f, struct span key);
	void (*batch_delete_range)(struct kv_batch *b, enum kv_family f, struct kv_range range);
	int (*write)(struct kv *kv, struct kv_batch *b, bool sync);
	int (*flush)(struct kv *kv);
	bool (*figure)(struct kv *kv, const char *name, uint64_t *ret);
};

/* The head of every back end's own struct. */
struct kv {
	const struct kv_ops *ops;
	bool is_log; /* which of the two it is, for fault points */
};
struct kv_batch {
	struct kv *kv;
};

/* Accepts NULL, leaves NULL. Snapshots and batches are gone before. */
void kv_close(struct kv **kv);

/* The state of this moment, for reads; the caller kv_release()s it. */
int kv_snapshot(struct kv *kv, struct kv_snapshot **ret);
void kv_release(struct kv *kv, struct kv_snapshot **s); /* accepts NULL, leaves NULL */

/* *ret is replaced by the value; ERR_NOT_FOUND. `s` NULL: the newest state. */
int kv_get(struct kv *kv, const struct kv_snapshot *s, enum kv_family f, struct span key,
	   struct buf *ret);
/* Only what would be there after a crash (rule S6). */
int kv_get_persisted(struct kv *kv, enum kv_family f, struct span key, struct buf *ret);
/* Many at once, keys ascending, of the newest state. */
int kv_get_many(struct kv *kv, enum kv_family f, const struct span *keys, size_t count,
		kv_found_fn fn, void *data);
/* All rows of a range; `s` NULL: the newest state as of now. */
int kv_iterate(struct kv *kv, const struct kv_snapshot *s, enum kv_family f, struct kv_range range,
	       kv_row_fn fn, void *data);
/* The last row of a range of the newest state: one call of fn, or ERR_NOT_FOUND. */
int kv_last(struct kv *kv, enum kv_family f, struct kv_range range, kv_row_fn fn, void *data);

/* A batch keeps its memory over kv_batch_clear(). Its operations take effect in their order. */
struct kv_batch *kv_batch_new(struct kv *kv);
void kv_batch_free(struct kv_batch **b); /* accepts NULL, leaves NULL */
void kv_batch_clear(struct kv_batch *b);
void kv_batch_put(struct kv_batch *b, enum kv_family f, struct span key, struct span value);
/* The value is `head` and `tail` behind each other. */
void kv_batch_put2(struct kv_batch *b, enum kv_family f, struct span key, struct span head,
		   struct span tail);
void kv_batch_delete(struct kv_batch *b, enum kv_family f, struct span key);
void kv_batch_delete_range(struct kv_batch *b, enum kv_family f, struct kv_range range);
/* `sync`: on the disk when it returns (log/ only). The batch stays as it is. */
int kv_write(struct kv *kv, struct kv_batch *b, bool sync);

/* Bring everything written so far to the disk, all families at once (rule S7). Blocks. */
int kv_flush(struct kv *kv);
/* A number of the back end for /metrics ("rocksdb.estimate-live-data-size"), all families summed;
 * false if it does not know it. */
bool kv_figure(struct kv *kv, const char *name, uint64_t *ret);

#endif
