/* db.h: a node's data directory: who we are, log/ and state/, marks, and the threads over them.
 *
 *	DIR/lock    held while we run
 *	DIR/node    identity: format, cluster uuid, node id, number of partitions
 *	DIR/marks   marks.h
 *	DIR/log/    RocksDB
 *	DIR/state/  RocksDB
 *
 * Thread: main. Call db_open() after forking. */
#ifndef STORAGE_DB_H
#define STORAGE_DB_H

#include "storage/base/buf.h"
#include "storage/flusher.h"
#include "storage/identity.h"
#include "storage/keys.h"
#include "storage/log.h"
#include "storage/store.h"
#include "storage/young.h"

struct db_options {
	const char *dir;
	unsigned partitions; /* for a new directory; 0: 256. An old one keeps its own */
	size_t cache_bytes;  /* block cache of both; 0: 64 MiB */
	unsigned threads;    /* background threads of RocksDB; 0: 2 */
	bool must_exist;     /* a directory without a node is an error (ops/check) */
	uint32_t flush_ms;   /* of the flusher; 0: FLUSH_MILLISECONDS */
};

struct db {
	struct db_identity identity;
	struct kv *log_kv;
	struct kv *state_kv;
	struct marks *marks;
	struct young *young;
	struct log *log;
	struct store *store;
	struct flusher *flusher;
	int lock_fd;  /* -1: none */
	bool stepped; /* no threads: log_step() and flusher_step() are somebody else's (tests/sim)
		       */
};

/* Opens or makes all of it; no thread runs yet. On failure `why` has one line for people. ERR_BUSY:
 * another process holds the lock; ERR_BAD_INPUT: an identity of another format. On 0 *ret owns it:
 * db_close(). */
int db_open(const struct db_options *o, struct db **ret, struct buf *why);
/* Put a node's parts together over stores that are open already; takes them over, also on failure.
 * tests/sim brings a simulated disk. The result is `stepped`. */
int db_assemble(const struct db_identity *id, struct kv *log_kv, struct kv *state_kv,
		struct marks *marks, struct db **ret);
/* Start log writer and flusher. */
int db_start(struct db *db);
/* A last cut and flush, then everything is closed. Loops have ended or are quiet. Accepts NULL,
 * leaves NULL. */
void db_close(struct db **db);

/* How log and state of a partition join (rules S8, R11). */
enum seam {
	SEAM_FINE,    /* replay base.seq < C .. last */
	SEAM_BEHIND,  /* the log ends below C: begin it anew at C (log_write.begin) */
	SEAM_DAMAGED, /* the log begins above C, or has another version at C */
};
struct db_partition {
	struct pgen p;
	struct log_bounds log;
	struct log_pos applied; /* C */
	struct log_pos mark;    /* what was acknowledged once */
	enum seam seam;
	bool short_of_mark; /* max(log end, C) does not reach the mark: damaged (R11) */
	bool mark_damaged;  /* the mark cannot be read: whether it is reached is not known */
};
/* After db_open(), before anything is written. */
int db_partition(struct db *db, partition_id p, struct db_partition *ret);

#endif
