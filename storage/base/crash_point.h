/* crash_point.h: places where tests kill the process or fail the disk. Compiled in only with
 * TIDEMARK_HOOKS; otherwise both macros are nothing.
 *
 *	CRASH_POINT("log.synced");              TIDEMARK_CRASH_AT=log.synced:3 kills at the third
 *	if ((rc = FAULT_POINT("log.write")) < 0) TIDEMARK_FAULT_AT=log.write:2:ENOSPC fails the
 *second return rc;
 *
 * A fault may end with a count ("log.write:2:EIO:5": the second and the four after it; ":0":
 * the second and all after it). Every name used in the code must stand in crash_point_names or
 * fault_point_names (crash_point.c); an unknown one is an assert, so a test can check that each is
 * visited. Thread: any. */
#ifndef STORAGE_BASE_CRASH_POINT_H
#define STORAGE_BASE_CRASH_POINT_H

#include <stdbool.h>
#include <stdint.h>

#if TIDEMARK_HOOKS
#define CRASH_POINT(name) crash_point(name)
#define FAULT_POINT(name) fault_point(name)
#else
#define CRASH_POINT(name) ((void)0)
#define FAULT_POINT(name) (0)
#endif

/* NULL-terminated. */
extern const char *const crash_point_names[];
extern const char *const fault_point_names[];

void crash_point(const char *name);
/* 0, ERR_NO_SPACE or ERR_IO. */
int fault_point(const char *name);

/* For unit tests: fail the n-th FAULT_POINT from now, whichever it is, with `err`; 0 ends it. */
void fault_fail_nth(uint64_t nth, int err);
bool fault_fired(void);
/* How often the point was passed. 0 without TIDEMARK_HOOKS. */
uint64_t crash_point_passed(const char *name);

#endif
