/* flusher.c: one turn (flusher_step) does everything that is due; the thread only sleeps between
 * turns. Locks: `lock` guards the list of partitions and the requests, a partition's own lock its
 * pending list; neither is held while the disk is touched. */
#include "storage/flusher.h"

#include "storage/base/clock.h"
#include "storage/base/crash_point.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/mistakes.h"
#include "storage/cut.h"
#include "storage/rows.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct entries {
	struct log_entry **at;
	size_t count;
	size_t capacity;
	size_t bytes;
};

/* A written cut whose rows may not be on the disk yet. */
struct written {
	struct written *newer;
	struct log_pos applied;
	size_t entries;
	size_t bytes;
	uint64_t when_ms;
};

struct flush_state {
	struct flush_partition *owner;

	/* Under its lock. */
	pthread_mutex_t lock;
	struct entries pending; /* what the loop added */

	/* The flusher's only. */
	struct entries cutting; /* taken from pending, not in state/ yet */
	struct written *oldest, *newest;
	struct log_pos truncated; /* as asked for */
	struct log_write truncation;
	_Atomic bool truncating; /* the log writer has it */
};

struct flusher {
	struct kv *state;
	struct young *young;
	struct log *log;
	uint32_t flush_ms;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* any of what follows */
	struct flush_state **states;
	size_t state_count, state_capacity;
	struct flush_state *current; /* the flusher works on it: wait */
	uint64_t asked, persist_asked, answered;
	int answer;
	bool stopping;
	bool started;
	pthread_t thread;

	/* The flusher's only. */
	struct cut *cut;
	struct key key;
	struct buf row;
	struct arena arena;
	uint64_t next_cut_ms;
	uint64_t next_check_ms;
	int error; /* final */

	_Atomic uint64_t unflushed_entries;
	_Atomic size_t pending_bytes;
	_Atomic uint64_t cuts, entries, rows, bytes, forced_flushes, truncations, cut_ns,
		full_retries, unflushed_bytes;
};

static void count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static uint64_t counted(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* ---- lists of entries ---- */

static void entries_put(struct entries *l, struct log_entry *e)
{
	if (l->count == l->capacity) {
		l->capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
		l->at = realloc(l->at, l->capacity * sizeof(struct log_entry *));
		if (l->at == NULL)
			abort();
	}
	l->at[l->count++] = log_entry_ref(e);
	l->bytes += e->bytes;
}

/* Drop the first n. */
static void entries_drop(struct entries *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		l->bytes -= l->at[i]->bytes;
		log_entry_unref(&l->at[i]);
	}
	l->count -= n;
	if (l->count > 0)
		memmove(l->at, l->at + n, l->count * sizeof(struct log_entry *));
}

static void entries_free(struct entries *l)
{
	entries_drop(l, l->count);
	free(l->at);
	*l = (struct entries){ 0 };
}

/* ---- telling the owner ---- */

static void flushed_deliver(struct message *m, void *receiver)
{
	struct flush_partition *f =
		(struct flush_partition *)((char *)m - offsetof(struct flush_partition, message));

	atomic_store(&f->posted, false); /* first: what changes from now on is posted again */
	f->flushed(f, receiver);
}

static void tell(struct flush_partition *f)
{
	if (f->home == NULL || atomic_exchange(&f->posted, true))
		return;
	f->message = (struct message){ .deliver = flushed_deliver };
	inbox_force_one(f->home, &f->message);
}

/* ---- cuts ---- */

static void take_pending(struct flush_state *s)
{
	if (s->cutting.count > 0)
		return; /* a full disk: these first */
	pthread_mutex_lock(&s->lock);
	struct entries empty = s->cutting;
	s->cutting = s->pending;
	s->pending = empty;
	pthread_mutex_unlock(&s->lock);
}

static void written_put(struct flusher *fl, struct flush_state *s, struct written from)
{
	struct written *w = malloc(sizeof(*w));

	if (w == NULL)
		abort();
	*w = from;
	if (s->newest == NULL)
		s->oldest = w;
	else
		s->newest->newer = w;
	s->newest = w;
	count(&fl->unflushed_entries, w->entries);
	count(&fl->unflushed_bytes, w->bytes);
}

static void count_cut(struct flusher *fl, size_t n, size_t bytes)
{
	count(&fl->cuts, 1);
	count(&fl->entries, n);
	count(&fl->bytes, bytes);
	count(&fl->rows, cut_rows(fl->cut));
}

static void pending_less(struct flusher *fl, struct flush_state *s, size_t bytes)
{
	atomic_fetch_sub(&s->owner->pending_bytes, bytes);
	atomic_fetch_sub(&fl->pending_bytes, bytes);
}

/* Rows of the first n entries are in state/. */
static void cut_done(struct flusher *fl, struct flush_state *s, size_t n, uint64_t now_ms)
{
	struct flush_partition *f = s->owner;
	struct log_pos applied = cut_applied(fl->cut);
	size_t before = s->cutting.bytes;

	entries_drop(&s->cutting, n);
	size_t bytes = before - s->cutting.bytes;
	written_put(fl, s, (struct written){ NULL, applied, n, bytes, now_ms });
	count_cut(fl, n, bytes);
	if (fl->young != NULL)
		young_drop(fl->young, f->p.partition, applied.seq);
	pending_less(fl, s, bytes);
	atomic_store(&f->flushed_seq, applied.seq.v);
	tell(f);
}

/* Up to FLUSH_BYTES of what was taken becomes one batch. */
static int cut_some(struct flusher *fl, struct flush_state *s, uint64_t now_ms)
{
	uint64_t began = clock_boot_ns();
	size_t n = 0;
	size_t bytes = 0;
	int rc = cut_begin(fl->cut, s->owner->p);

	while (rc == OK && n < s->cutting.count && bytes < FLUSH_BYTES) {
		rc = cut_add(fl->cut, s->cutting.at[n]);
		bytes += s->cutting.at[n++]->bytes;
	}
	if (rc == OK)
		rc = cut_write(fl->cut);
	if (rc == OK)
		cut_done(fl, s, n, now_ms);
	count(&fl->cut_ns, clock_boot_ns() - began);
	return rc;
}

/* The partition gets no further cut; its entries stay in the log. */
static void give_up(struct flusher *fl, struct flush_state *s, int rc)
{
	atomic_store(&s->owner->error, rc);
	pthread_mutex_lock(&s->lock);
	pending_less(fl, s, s->pending.bytes + s->cutting.bytes);
	entries_free(&s->pending);
	pthread_mutex_unlock(&s->lock);
	entries_free(&s->cutting);
	tell(s->owner);
}

static int cut_all(struct flusher *fl, struct flush_state *s, uint64_t now_ms)
{
	int rc = OK;

	if (atomic_load(&s->owner->error) != OK)
		return OK;
	take_pending(s);
	while (rc == OK && s->cutting.count > 0)
		rc = cut_some(fl, s, now_ms);
	if (rc == OK || rc == ERR_NO_SPACE)
		return rc;
	give_up(fl, s, rc == ERR_CORRUPT ? ERR_CORRUPT : ERR_IO);
	return rc == ERR_CORRUPT ? OK : ERR_IO;
}

/* ---- what is on the disk, and truncation ---- */

static void truncation_done(struct log_write *w, void *receiver)
{
	struct flush_state *s =
		(struct flush_state *)((char *)w - offsetof(struct flush_state, truncation));

	(void)receiver;
	CRASH_POINT("log.truncated");
	atomic_store(&s->truncating, false);
}

static void truncate_to(struct flusher *fl, struct flush_state *s, struct log_pos to)
{
	if (fl->log == NULL || to.seq.v <= s->truncated.seq.v || atomic_load(&s->truncating))
		return;
	s->truncated = to;
	s->truncation = (struct log_write){ .partition = s->owner->p.partition,
					    .done = truncation_done,
					    .truncate = true,
					    .truncate_to = to };
	atomic_store(&s->truncating, true);
	count(&fl->truncations, 1);
	log_submit(fl->log, &s->truncation);
}

/* F: the applied position that would be there after a crash (rule S6). */
static int persisted_read(struct flusher *fl, struct flush_state *s, struct log_pos *ret)
{
	struct span key = key_partition(&fl->key, s->owner->p);
	int rc = mistake_active("truncate-before-durable")
			 ? kv_get(fl->state, NULL, KV_SMALL, key, &fl->row)
			 : kv_get_persisted(fl->state, KV_SMALL, key, &fl->row);

	*ret = (struct log_pos){ 0 };
	if (rc < 0)
		return rc == ERR_NOT_FOUND ? OK : rc;
	arena_reset(&fl->arena);
	const Tm__PartitionRow *row = row_partition(buf_span(&fl->row), &fl->arena);
	if (row == NULL)
		return ERR_CORRUPT;
	*ret = (struct log_pos){ { row->applied_seq }, row->applied_version };
	return OK;
}

static void drop_written(struct flusher *fl, struct flush_state *s, struct log_pos persisted)
{
	while (s->oldest != NULL && s->oldest->applied.seq.v <= persisted.seq.v) {
		struct written *w = s->oldest;

		s->oldest = w->newer;
		if (s->oldest == NULL)
			s->newest = NULL;
		atomic_fetch_sub_explicit(&fl->unflushed_entries, w->entries, memory_order_relaxed);
		atomic_fetch_sub_explicit(&fl->unflushed_bytes, w->bytes, memory_order_relaxed);
		free(w);
	}
}

static int check_persisted(struct flusher *fl, struct flush_state *s)
{
	struct log_pos persisted;

	if (s->oldest == NULL)
		return OK;
	int rc = persisted_read(fl, s, &persisted);
	if (rc < 0)
		return rc;
	drop_written(fl, s, persisted);
	if (persisted.seq.v > atomic_load(&s->owner->persisted_seq)) {
		atomic_store(&s->owner->persisted_seq, persisted.seq.v);
		CRASH_POINT("flush.persisted");
		truncate_to(fl, s, persisted);
		tell(s->owner);
	}
	return OK;
}

/* ---- the turn ---- */

/* The i-th partition becomes the current one; NULL: there are no more. A slot may be empty. */
static bool enter(struct flusher *fl, size_t i, struct flush_state **ret)
{
	pthread_mutex_lock(&fl->lock);
	bool more = i < fl->state_count;
	fl->current = more ? fl->states[i] : NULL;
	*ret = fl->current;
	pthread_cond_broadcast(&fl->changed);
	pthread_mutex_unlock(&fl->lock);
	return more;
}

static int cut_partitions(struct flusher *fl, uint64_t now_ms)
{
	struct flush_state *s;
	int first = OK;

	for (size_t i = 0; enter(fl, i, &s); i++) {
		int rc = s == NULL ? OK : cut_all(fl, s, now_ms);

		if (first == OK)
			first = rc;
	}
	return first;
}

static int check_partitions(struct flusher *fl)
{
	struct flush_state *s;
	int first = OK;

	for (size_t i = 0; enter(fl, i, &s); i++) {
		int rc = s == NULL ? OK : check_persisted(fl, s);

		if (first == OK)
			first = rc;
	}
	return first;
}

/* When the oldest cut that may not be on the disk was made; UINT64_MAX: none. */
static uint64_t oldest_written_ms(struct flusher *fl)
{
	struct flush_state *s;
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; enter(fl, i, &s); i++)
		if (s != NULL && s->oldest != NULL && s->oldest->entries > 0 &&
		    s->oldest->when_ms < oldest)
			oldest = s->oldest->when_ms;
	return oldest;
}

static bool bound_exceeded(struct flusher *fl, uint64_t now_ms)
{
	uint64_t oldest;

	if (counted(&fl->unflushed_entries) == 0)
		return false;
	if (counted(&fl->unflushed_bytes) > LOG_UNFLUSHED_MAX_BYTES ||
	    counted(&fl->unflushed_entries) > LOG_UNFLUSHED_MAX_ENTRIES)
		return true;
	oldest = oldest_written_ms(fl);
	return oldest != UINT64_MAX && now_ms > oldest + LOG_UNFLUSHED_MAX_SECONDS * UINT64_C(1000);
}

static int persist_if_due(struct flusher *fl, uint64_t now_ms, bool persist)
{
	int rc = OK;

	if (now_ms < fl->next_check_ms && !persist)
		return OK;
	fl->next_check_ms = now_ms + PERSIST_CHECK_MILLISECONDS;
	if (counted(&fl->unflushed_entries) > 0 && (persist || bound_exceeded(fl, now_ms))) {
		count(&fl->forced_flushes, 1);
		rc = kv_flush(fl->state);
	}
	return rc < 0 ? rc : check_partitions(fl);
}

int flusher_step(struct flusher *fl, uint64_t now_ms, bool force, bool persist)
{
	int rc = fl->error;
	bool due = force || now_ms >= fl->next_cut_ms ||
		   atomic_load(&fl->pending_bytes) >= FLUSH_BYTES;

	if (due)
		fl->next_cut_ms = now_ms + fl->flush_ms;
	if (rc < 0)
		return rc;
	if (due)
		rc = cut_partitions(fl, now_ms);
	if (rc == OK)
		rc = persist_if_due(fl, now_ms, persist);
	if (rc == ERR_NO_SPACE)
		count(&fl->full_retries, 1);
	else if (rc < 0)
		fl->error = rc;
	return rc;
}

/* ---- the thread ---- */

static void wait_until(struct flusher *fl, uint64_t deadline_ms)
{
	uint64_t now = clock_boot_ms();
	uint64_t ms = deadline_ms > now ? deadline_ms - now : 0;
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(&fl->changed, &fl->lock, &at);
}

/* With the lock held: sleeps until something is due. */
static void sleep_until_due(struct flusher *fl)
{
	while (fl->asked == fl->answered && !fl->stopping && clock_boot_ms() < fl->next_cut_ms &&
	       (atomic_load(&fl->pending_bytes) < FLUSH_BYTES || fl->answer < 0))
		wait_until(fl, fl->next_cut_ms);
}

static void *flusher_run(void *data)
{
	struct flusher *fl = data;
	bool stop = false;

	pthread_setname_np(pthread_self(), "flusher");
	while (!stop) {
		pthread_mutex_lock(&fl->lock);
		sleep_until_due(fl);
		uint64_t asked = fl->asked;
		bool force = asked != fl->answered;
		bool persist = fl->persist_asked > fl->answered;
		stop = fl->stopping;
		pthread_mutex_unlock(&fl->lock);
		int rc = flusher_step(fl, clock_boot_ms(), force || stop, persist || stop);
		pthread_mutex_lock(&fl->lock);
		fl->answered = asked;
		fl->answer = rc;
		pthread_cond_broadcast(&fl->changed);
		pthread_mutex_unlock(&fl->lock);
	}
	return NULL;
}

int flusher_start(struct flusher *fl)
{
	assert(!fl->started);
	if (pthread_create(&fl->thread, NULL, flusher_run, fl) != 0)
		return ERR_IO;
	fl->started = true;
	return OK;
}

int flusher_stop(struct flusher *fl)
{
	if (!fl->started)
		return OK;
	pthread_mutex_lock(&fl->lock);
	fl->stopping = true;
	pthread_cond_broadcast(&fl->changed);
	pthread_mutex_unlock(&fl->lock);
	pthread_join(fl->thread, NULL);
	fl->started = false;
	return fl->answer;
}

int flusher_flush_now(struct flusher *fl, bool persist)
{
	if (!fl->started)
		return flusher_step(fl, clock_boot_ms(), true, persist);
	pthread_mutex_lock(&fl->lock);
	uint64_t mine = ++fl->asked;
	if (persist)
		fl->persist_asked = mine;
	pthread_cond_broadcast(&fl->changed);
	while (fl->answered < mine)
		pthread_cond_wait(&fl->changed, &fl->lock);
	int rc = fl->answer;
	pthread_mutex_unlock(&fl->lock);
	return rc;
}

/* ---- the doors ---- */

int flusher_open(const struct flusher_options *o, struct flusher **ret)
{
	struct flusher *fl = calloc(1, sizeof(*fl));
	pthread_condattr_t attr;

	if (fl == NULL)
		abort();
	fl->state = o->state;
	fl->young = o->young;
	fl->log = o->log;
	fl->flush_ms = o->flush_ms == 0 ? FLUSH_MILLISECONDS : o->flush_ms;
	pthread_mutex_init(&fl->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&fl->changed, &attr);
	pthread_condattr_destroy(&attr);
	fl->cut = cut_new(o->state);
	arena_init(&fl->arena);
	*ret = fl;
	return OK;
}

static void state_free(struct flusher *fl, struct flush_state *s)
{
	drop_written(fl, s, (struct log_pos){ { UINT64_MAX }, 0 });
	entries_free(&s->cutting);
	entries_free(&s->pending);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void flusher_close(struct flusher **ret)
{
	struct flusher *fl = *ret;

	if (fl == NULL)
		return;
	assert(!fl->started);
	for (size_t i = 0; i < fl->state_count; i++)
		if (fl->states[i] != NULL)
			state_free(fl, fl->states[i]);
	free(fl->states);
	cut_free(&fl->cut);
	arena_free(&fl->arena);
	buf_free(&fl->row);
	pthread_cond_destroy(&fl->changed);
	pthread_mutex_destroy(&fl->lock);
	free(fl);
	*ret = NULL;
}

static void states_put(struct flusher *fl, struct flush_state *s)
{
	for (size_t i = 0; i < fl->state_count; i++)
		if (fl->states[i] == NULL) {
			fl->states[i] = s;
			return;
		}
	if (fl->state_count == fl->state_capacity) {
		fl->state_capacity = fl->state_capacity == 0 ? 64 : 2 * fl->state_capacity;
		fl->states = realloc(fl->states, fl->state_capacity * sizeof(fl->states[0]));
		if (fl->states == NULL)
			abort();
	}
	fl->states[fl->state_count++] = s;
}

/* C, where this partition goes on. */
static int applied_read(struct flusher *fl, struct pgen p, struct log_pos *ret)
{
	struct key key;
	struct buf value = { 0 };
	struct arena a;
	int rc = kv_get(fl->state, NULL, KV_SMALL, key_partition(&key, p), &value);

	arena_init(&a);
	*ret = (struct log_pos){ 0 };
	if (rc == OK) {
		const Tm__PartitionRow *row = row_partition(buf_span(&value), &a);

		rc = row == NULL ? ERR_CORRUPT : OK;
		if (row != NULL)
			*ret = (struct log_pos){ { row->applied_seq }, row->applied_version };
	}
	arena_free(&a);
	buf_free(&value);
	return rc == ERR_NOT_FOUND ? OK : rc;
}

int flusher_register(struct flusher *fl, struct flush_partition *f)
{
	struct log_pos applied;
	int rc = applied_read(fl, f->p, &applied);

	if (rc < 0)
		return rc;
	struct flush_state *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	pthread_mutex_init(&s->lock, NULL);
	s->owner = f;
	f->state = s;
	atomic_store(&f->flushed_seq, applied.seq.v);
	/* A crash may have come before the log was truncated up to it. */
	if (applied.seq.v > 0)
		written_put(fl, s, (struct written){ .applied = applied });
	pthread_mutex_lock(&fl->lock);
	states_put(fl, s);
	pthread_mutex_unlock(&fl->lock);
	return OK;
}

void flusher_unregister(struct flusher *fl, struct flush_partition *f)
{
	struct flush_state *s = f->state;

	pthread_mutex_lock(&fl->lock);
	while (fl->current == s)
		pthread_cond_wait(&fl->changed, &fl->lock);
	for (size_t i = 0; i < fl->state_count; i++)
		if (fl->states[i] == s)
			fl->states[i] = NULL;
	pthread_mutex_unlock(&fl->lock);
	while (atomic_load(&s->truncating)) /* soon: the log writer has it */
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	atomic_fetch_sub(&fl->pending_bytes, s->cutting.bytes + s->pending.bytes);
	state_free(fl, s);
	f->state = NULL;
}

void flusher_add(struct flusher *fl, struct flush_partition *f, struct log_entry *const *entries,
		 size_t n)
{
	struct flush_state *s = f->state;
	size_t bytes = 0;

	if (atomic_load(&f->error) != OK)
		return; /* they stay in the log */
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		entries_put(&s->pending, entries[i]);
		bytes += entries[i]->bytes;
	}
	pthread_mutex_unlock(&s->lock);
	atomic_fetch_add(&f->pending_bytes, bytes);
	size_t before = atomic_fetch_add(&fl->pending_bytes, bytes);
	if (before < FLUSH_BYTES && before + bytes >= FLUSH_BYTES) {
		pthread_mutex_lock(&fl->lock);
		pthread_cond_broadcast(&fl->changed);
		pthread_mutex_unlock(&fl->lock);
	}
}

size_t flusher_pending_bytes(const struct flusher *fl)
{
	return atomic_load(&fl->pending_bytes);
}

void flusher_figures(const struct flusher *fl, struct flusher_figures *ret)
{
	*ret = (struct flusher_figures){
		.cuts = counted(&fl->cuts),
		.entries = counted(&fl->entries),
		.rows = counted(&fl->rows),
		.bytes = counted(&fl->bytes),
		.forced_flushes = counted(&fl->forced_flushes),
		.truncations = counted(&fl->truncations),
		.unflushed_bytes = counted(&fl->unflushed_bytes),
		.cut_ns = counted(&fl->cut_ns),
		.full_retries = counted(&fl->full_retries),
	};
}
