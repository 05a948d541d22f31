/* kv_rocksdb.h: the durable back end of kv.h. Open after forking. */
#ifndef STORAGE_KV_ROCKSDB_H
#define STORAGE_KV_ROCKSDB_H

#include "storage/base/buf.h"
#include "storage/kv.h"

struct kv_rocksdb_options {
	const char *dir;    /* made if it is not there; its parent must exist */
	bool log;           /* one family with a WAL; else the four of state/, without */
	size_t cache_bytes; /* block cache */
	unsigned threads;   /* for flushes and compactions */
};

/* On failure `why` has RocksDB's own words. On 0 *ret owns it: kv_close(). */
int kv_rocksdb_open(const struct kv_rocksdb_options *o, struct kv **ret, struct buf *why);

#endif
