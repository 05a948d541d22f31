/* mistakes.h: deliberate mistakes, compiled in for tests only, so that the simulator can prove
 * that it would find them. Without TIDEMARK_HOOKS there are none. */
#ifndef STORAGE_BASE_MISTAKES_H
#define STORAGE_BASE_MISTAKES_H

#include <stdbool.h>

#if TIDEMARK_HOOKS
/* Is this one switched on? The name must stand in mistake_names. Thread: any. */
bool mistake_active(const char *name);
#else
static inline bool mistake_active(const char *name)
{
	(void)name;
	return false;
}
#endif

/* NULL-terminated. */
extern const char *const mistake_names[];

/* Switch on one mistake, or none (NULL). False: no such name. Before threads start. */
bool mistake_set(const char *name);

#endif
