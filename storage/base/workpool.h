/* workpool.h: a few threads behind one bounded queue of jobs, first in first out. For what takes
 * long: reads that need RocksDB, SASL steps. A job that is done sends a message to who asked. */
#ifndef STORAGE_BASE_WORKPOOL_H
#define STORAGE_BASE_WORKPOOL_H

#include <stddef.h>

struct workpool;

struct job {
	struct job *next;
	/* On one of the pool's threads, `worker` = 0 .. threads - 1. May free the job. */
	void (*run)(struct job *j, unsigned worker);
	/* Instead of run() for what still waits when the pool is closed; NULL: nothing to free. */
	void (*drop)(struct job *j);
};

/* Starts `threads` threads that take jobs first in first out; at most `capacity` may wait.
 * `name`: of the threads, at most 12 characters. On 0 *ret owns them: workpool_close(). */
int workpool_open(const char *name, unsigned threads, size_t capacity, struct workpool **ret);
/* 0, or ERR_BUSY: full, or being closed; the caller keeps the job. Thread: any. */
int workpool_offer(struct workpool *p, struct job *j);
/* Waiting jobs, about. Thread: any. */
size_t workpool_length(struct workpool *p);
/* Ends the threads after their present jobs, drops what waits. Accepts NULL, leaves NULL.
 * Thread: the one that opened it. */
void workpool_close(struct workpool **p);

#endif
