/* storage_fixture.h: a directory of its own for each test of storage/, and small things to put into
 * it. */
#ifndef TESTS_UNIT_STORAGE_FIXTURE_H
#define TESTS_UNIT_STORAGE_FIXTURE_H

#include "storage/base/err.h"
#include "storage/base/inbox.h"
#include "storage/kv_rocksdb.h"
#include "storage/log.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture_dir {
	char path[64];
};

static inline struct fixture_dir dir_make(void)
{
	/* In memory: what is tested here is our own death, not that of the machine. */
	bool shm = access("/dev/shm", W_OK) == 0;
	struct fixture_dir d;

	snprintf(d.path, sizeof(d.path), "%s/tidemark-storage-XXXXXX", shm ? "/dev/shm" : "/tmp");

	ck_assert_ptr_nonnull(mkdtemp(d.path));
	return d;
}

static inline int dir_remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static inline void dir_remove(const struct fixture_dir *d)
{
	nftw(d->path, dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct kv *kv_make(const struct fixture_dir *d, bool log)
{
	char path[128];
	struct kv *kv = NULL;
	struct buf why = { 0 };

	snprintf(path, sizeof(path), "%s/%s", d->path, log ? "log" : "state");
	int rc = kv_rocksdb_open(
		&(struct kv_rocksdb_options){
			.dir = path, .log = log, .cache_bytes = 1 << 20, .threads = 2 },
		&kv, &why);
	ck_assert_msg(rc == OK, "%.*s", (int)why.bytes, why.at);
	buf_free(&why);
	return kv;
}

#endif
