/* err.h: the one set of error codes. Functions return OK or a negative enum err; out parameters
 * are named `ret` and written on success only. What the world does wrong is an error; what we do
 * wrong is an assert. */
#ifndef STORAGE_BASE_ERR_H
#define STORAGE_BASE_ERR_H

enum err {
	OK = 0,
	ERR_NOT_FOUND = -1,    /* no such account, mailbox, message or row */
	ERR_EXISTS = -2,       /* the name is taken */
	ERR_CORRUPT = -3,      /* stored or received bytes contradict themselves */
	ERR_NOT_LEADER = -4,   /* this node does not lead the partition, or not any more */
	ERR_BUSY = -5,         /* a bounded queue is full; nothing was taken */
	ERR_NO_SPACE = -6,     /* the disk is full; reads go on */
	ERR_IO = -7,           /* the disk failed */
	ERR_TOO_BIG = -8,      /* beyond a bound of limits.h */
	ERR_BAD_INPUT = -9,    /* malformed input from outside */
	ERR_NO_MEMORY = -10,   /* a bounded memory budget is used up */
	ERR_TIMED_OUT = -11,   /* no answer before the deadline */
	ERR_DENIED = -12,      /* rights or credentials do not suffice */
	ERR_CLOSED = -13,      /* the other side is gone, or we are stopping */
	ERR_MISSING = -14,     /* chunks of an upload are not all there: send them again */
	ERR_UNSUPPORTED = -15, /* understood, but not offered */
};

/* A short constant text for logs, e.g. "no-space". Never NULL. Thread: any. */
const char *err_name(int err);

#endif
