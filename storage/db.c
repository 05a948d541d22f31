/* db.c: opens what a node has, in an order in which everything can be undone. */
#include "storage/db.h"

#include "storage/base/err.h"
#include "storage/identity.h"
#include "storage/kv_rocksdb.h"
#include "storage/marks.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_CACHE_BYTES = 4 << 20, STATE_CACHE_BYTES = 64 << 20, PARTITIONS_DEFAULT = 256 };

static int path_of(const char *dir, const char *name, char ret[static PATH_MAX_BYTES])
{
	int n = snprintf(ret, PATH_MAX_BYTES, "%s/%s", dir, name);

	return n > 0 && n < PATH_MAX_BYTES ? OK : ERR_BAD_INPUT;
}

static int lock_take(const char *dir, int *ret, struct buf *why)
{
	char path[PATH_MAX_BYTES];
	int rc = path_of(dir, "lock", path);
	int fd = rc < 0 ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		buf_printf(why, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		buf_printf(why, "%s is held by another process", path);
		close(fd);
		return ERR_BUSY;
	}
	*ret = fd;
	return OK;
}

static int kv_open(const struct db_options *o, bool log, struct kv **ret, struct buf *why)
{
	char path[PATH_MAX_BYTES];
	struct kv_rocksdb_options ko = {
		.dir = path,
		.log = log,
		.cache_bytes = log                   ? LOG_CACHE_BYTES
			       : o->cache_bytes == 0 ? STATE_CACHE_BYTES
						     : o->cache_bytes,
		.threads = o->threads == 0 ? 2 : o->threads,
	};
	int rc = path_of(o->dir, log ? "log" : "state", path);

	return rc < 0 ? rc : kv_rocksdb_open(&ko, ret, why);
}

static int marks_of(struct db *db, const char *dir, struct buf *why)
{
	char path[PATH_MAX_BYTES];
	int rc = path_of(dir, "marks", path);

	if (rc == OK)
		rc = marks_open(path, db->identity.partitions, &db->marks);
	if (rc < 0)
		buf_printf(why, "%s: %s", path, err_name(rc));
	return rc;
}

static int open_files(struct db *db, const struct db_options *o, struct buf *why)
{
	int rc = lock_take(o->dir, &db->lock_fd, why);

	if (rc == OK)
		rc = identity_open(o->dir, o->must_exist ? 0 : o->partitions, &db->identity, why);
	if (rc == OK)
		rc = marks_of(db, o->dir, why);
	if (rc == OK)
		rc = kv_open(o, true, &db->log_kv, why);
	if (rc == OK)
		rc = kv_open(o, false, &db->state_kv, why);
	return rc;
}

/* What stands over the stores. */
static int open_parts(struct db *db, uint32_t flush_ms)
{
	int rc = log_open(db->log_kv, db->marks, db->identity.partitions, &db->log);

	db->young = young_new();
	if (rc == OK)
		rc = store_open(db->state_kv, db->young, db->identity.partitions, &db->store);
	if (rc == OK)
		rc = flusher_open(&(struct flusher_options){ .state = db->state_kv,
							     .young = db->young,
							     .log = db->log,
							     .flush_ms = flush_ms },
				  &db->flusher);
	return rc;
}

static struct db *db_new(void)
{
	struct db *db = calloc(1, sizeof(*db));

	if (db == NULL)
		abort();
	db->lock_fd = -1;
	return db;
}

int db_assemble(const struct db_identity *id, struct kv *log_kv, struct kv *state_kv,
		struct marks *marks, struct db **ret)
{
	struct db *db = db_new();

	db->identity = *id;
	db->log_kv = log_kv;
	db->state_kv = state_kv;
	db->marks = marks;
	db->stepped = true;
	int rc = open_parts(db, 0);
	if (rc == OK)
		*ret = db;
	else
		db_close(&db);
	return rc;
}

int db_open(const struct db_options *from, struct db **ret, struct buf *why)
{
	struct db_options o = *from;
	struct db *db = db_new();

	if (o.partitions == 0)
		o.partitions = PARTITIONS_DEFAULT;
	if (!o.must_exist && mkdir(o.dir, 0700) < 0 && errno != EEXIST)
		buf_printf(why, "%s: %s. ", o.dir, strerror(errno));
	int rc = open_files(db, &o, why);
	if (rc == OK) {
		rc = open_parts(db, o.flush_ms);
		if (rc < 0)
			buf_printf(why, "%s: what is stored cannot be read: %s", o.dir,
				   err_name(rc));
	}
	if (rc == OK)
		*ret = db;
	else
		db_close(&db);
	return rc;
}

int db_start(struct db *db)
{
	if (db->stepped)
		return OK;
	int rc = log_start(db->log);
	return rc < 0 ? rc : flusher_start(db->flusher);
}

void db_close(struct db **ret)
{
	struct db *db = *ret;

	if (db == NULL)
		return;
	if (db->flusher != NULL)
		flusher_stop(db->flusher); /* what it cannot write, the log has */
	log_close(&db->log);
	flusher_close(&db->flusher);
	store_close(&db->store);
	young_free(&db->young);
	kv_close(&db->state_kv);
	kv_close(&db->log_kv);
	marks_close(&db->marks);
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	free(db);
	*ret = NULL;
}

/* ---- how log and state join ---- */

static int version_of(void *data, struct log_entry **e)
{
	*(uint64_t *)data = (*e)->version;
	return 1;
}

/* The version that the log has at C, which is within it. */
static int version_at(struct db *db, const struct db_partition *part, uint64_t *ret)
{
	if (part->applied.seq.v == part->log.base.seq.v) {
		*ret = part->log.base.version;
		return OK;
	}
	return log_read(db->log, part->p.partition, part->applied.seq, version_of, ret);
}

static int seam_of(struct db *db, struct db_partition *part)
{
	uint64_t version = 0;

	part->seam = SEAM_BEHIND;
	if (part->applied.seq.v > part->log.last.seq.v)
		return OK;
	part->seam = SEAM_DAMAGED;
	if (part->applied.seq.v < part->log.base.seq.v)
		return OK;
	int rc = version_at(db, part, &version);
	if (rc == OK && version == part->applied.version)
		part->seam = SEAM_FINE;
	return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? OK : rc;
}

int db_partition(struct db *db, partition_id p, struct db_partition *ret)
{
	struct db_partition part = { .p = store_pgen(db->store, p) };
	struct store_snapshot *s = NULL;

	log_bounds(db->log, p, &part.log);
	part.mark = marks_get(db->marks, p);
	part.mark_damaged = marks_damaged(db->marks, p);
	int rc = store_snapshot_open(db->store, &s);
	if (rc == OK)
		rc = store_applied(s, p, &part.applied);
	store_snapshot_close(&s);
	if (rc == OK)
		rc = seam_of(db, &part);
	part.short_of_mark = !log_pos_reaches(part.log.last, part.mark) &&
			     !log_pos_reaches(part.applied, part.mark);
	if (rc == OK)
		*ret = part;
	return rc;
}
