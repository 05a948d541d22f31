/* crash_point.c: the registry of places where tests kill us or fail the disk, and what the
 * environment asks for. The state below is the one exception to "no globals" beside the log: a
 * crash point must not need an argument to be put anywhere. */
#include "storage/base/crash_point.h"

#include "storage/base/err.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In the order in which a change passes them. */
const char *const crash_point_names[] = {
	"partition.evaluated",
	"janitor.evaluated",
	"log.before-write",
	"log.synced",
	"log.marked",
	"partition.logged",
	"partition.chunk-applied",
	"partition.applied",
	"partition.answered",
	"front.op-done",
	"conn.before-send",
	"conn.sent",
	"flush.before-write",
	"flush.written",
	"flush.persisted",
	"log.truncated",
	"recovery.adopted",
	"recovery.replayed",
	"test.crash", /* the unit test's own */
	NULL,
};

const char *const fault_point_names[] = {
	"log.write",   "log.read",   "state.write", "state.read", "state.flush",
	"marks.write", "marks.sync", "test.fault",  NULL,
};

#if TIDEMARK_HOOKS

enum { POINTS_MAX = 64 };

struct wanted {
	int index; /* into the names; -1: nothing is wanted */
	uint64_t nth;
	uint64_t times; /* 0: from the nth on, always */
	int err;
};

static struct {
	pthread_once_t once;
	struct wanted crash;
	struct wanted fault;
	_Atomic uint64_t crash_passed[POINTS_MAX];
	_Atomic uint64_t fault_passed[POINTS_MAX];
	_Atomic uint64_t countdown; /* fault_fail_nth(); 0: off */
	_Atomic int countdown_err;
	_Atomic bool fired;
} points = { .once = PTHREAD_ONCE_INIT, .crash = { .index = -1 }, .fault = { .index = -1 } };

static int name_index(const char *const *names, const char *name, size_t bytes)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strlen(names[i]) == bytes && memcmp(names[i], name, bytes) == 0)
			return i;
	return -1;
}

static int fault_err(const char *text)
{
	return strncmp(text, "ENOSPC", 6) == 0 ? ERR_NO_SPACE : ERR_IO;
}

/* NAME[:NTH[:ERR[:TIMES]]]. A name that does not exist ends the process: a test that kills
 * nowhere would be a test that passes for nothing. */
static void wanted_parse(const char *variable, const char *const *names, struct wanted *ret)
{
	const char *text = getenv(variable); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
	char *at;

	if (text == NULL || *text == '\0')
		return;
	size_t bytes = strcspn(text, ":");
	struct wanted w = { name_index(names, text, bytes), 1, 1, ERR_IO };
	if (w.index < 0)
		abort();
	if (text[bytes] == ':') {
		w.nth = strtoull(text + bytes + 1, &at, 10);
		if (*at == ':') {
			w.err = fault_err(at + 1);
			at += 1 + strcspn(at + 1, ":");
			if (*at == ':')
				w.times = strtoull(at + 1, NULL, 10);
		}
	}
	*ret = w;
}

static void points_init(void)
{
	wanted_parse("TIDEMARK_CRASH_AT", crash_point_names, &points.crash);
	wanted_parse("TIDEMARK_FAULT_AT", fault_point_names, &points.fault);
}

static uint64_t point_pass(const char *const *names, const char *name, _Atomic uint64_t *passed,
			   int *ret)
{
	int i = name_index(names, name, strlen(name));

	assert(i >= 0 && i < POINTS_MAX); /* not in the list above? */
	pthread_once(&points.once, points_init);
	*ret = i;
	return atomic_fetch_add(&passed[i], 1) + 1;
}

void crash_point(const char *name)
{
	int i;
	uint64_t nth = point_pass(crash_point_names, name, points.crash_passed, &i);

	if (i == points.crash.index && nth == points.crash.nth) {
		(void)raise(SIGKILL);
		for (;;)
			pause();
	}
}

static bool countdown_hits(void)
{
	uint64_t n = atomic_load(&points.countdown);

	while (n > 0)
		if (atomic_compare_exchange_weak(&points.countdown, &n, n - 1))
			return n == 1;
	return false;
}

int fault_point(const char *name)
{
	int i;
	uint64_t nth = point_pass(fault_point_names, name, points.fault_passed, &i);
	const struct wanted *w = &points.fault;

	if (countdown_hits()) {
		atomic_store(&points.fired, true);
		return atomic_load(&points.countdown_err);
	}
	if (i != w->index || nth < w->nth || (w->times != 0 && nth >= w->nth + w->times))
		return OK;
	atomic_store(&points.fired, true);
	return w->err;
}

void fault_fail_nth(uint64_t nth, int err)
{
	assert(nth == 0 || err < 0);
	atomic_store(&points.countdown_err, err);
	atomic_store(&points.fired, false);
	atomic_store(&points.countdown, nth);
}

bool fault_fired(void)
{
	return atomic_load(&points.fired);
}

uint64_t crash_point_passed(const char *name)
{
	int i = name_index(crash_point_names, name, strlen(name));

	if (i >= 0)
		return atomic_load(&points.crash_passed[i]);
	i = name_index(fault_point_names, name, strlen(name));
	return i >= 0 ? atomic_load(&points.fault_passed[i]) : 0;
}

#else

void crash_point(const char *name)
{
	(void)name;
}

int fault_point(const char *name)
{
	(void)name;
	return OK;
}

void fault_fail_nth(uint64_t nth, int err)
{
	(void)nth;
	(void)err;
}

bool fault_fired(void)
{
	return false;
}

uint64_t crash_point_passed(const char *name)
{
	(void)name;
	return 0;
}

#endif
