/* mistakes.c: which mistake is switched on. One per process, set before threads start; a global
 * for the same reason as crash points: a place that makes a mistake must not need an argument. */
#include "storage/base/mistakes.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

const char *const mistake_names[] = {
	"truncate-before-durable", /* the log is cut before the state that contains it is on disk */
	"torn-cut",                /* the rows of one cut are written in two batches */
	"apply-twice",             /* a record that is applied twice counts twice */
	"answer-before-sync",      /* a write is answered before its fsync */
	"dedup-forgotten",         /* replay does not bring back the results of ops */
	"load-misses-changes",     /* pages are published without the changes that came meanwhile */
	NULL,
};

#if TIDEMARK_HOOKS

static const char *active;

static const char *known(const char *name)
{
	for (size_t i = 0; mistake_names[i] != NULL; i++)
		if (strcmp(mistake_names[i], name) == 0)
			return mistake_names[i];
	return NULL;
}

bool mistake_active(const char *name)
{
	assert(known(name) != NULL); /* not in the list above? */
	return active != NULL && strcmp(active, name) == 0;
}

bool mistake_set(const char *name)
{
	active = name == NULL ? NULL : known(name);
	return name == NULL || active != NULL;
}

#else

bool mistake_set(const char *name)
{
	return name == NULL;
}

#endif
