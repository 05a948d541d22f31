/* mem.h: allocation that does not fail: the bounds of limits.h keep memory finite, not malloc, so
 * running out of it ends the process (as in buf.h). Free with free(). Any thread. */
#ifndef STORAGE_BASE_MEM_H
#define STORAGE_BASE_MEM_H

#include <stdlib.h>

/* Not cleared. */
static inline void *mem_alloc(size_t bytes)
{
	void *p = malloc(bytes > 0 ? bytes : 1);

	if (p == NULL)
		abort();
	return p;
}

/* Cleared. */
static inline void *mem_zalloc(size_t count, size_t bytes)
{
	void *p = calloc(count > 0 ? count : 1, bytes > 0 ? bytes : 1);

	if (p == NULL)
		abort();
	return p;
}

static inline void *mem_resize(void *p, size_t count, size_t bytes)
{
	void *q = reallocarray(p, count > 0 ? count : 1, bytes);

	if (q == NULL)
		abort();
	return q;
}

#endif
