/* metrics.c: the registry is a list behind a mutex, taken when something is registered or rendered;
 * counting touches only the object's own atomics.
 *
 *   M1  an object, once handed out, stays where it is until metrics_free().
 *   M2  a name has one kind and one help text. */
#include "storage/base/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 8, HISTOGRAM_SHARDS = 4, CACHE_LINE_BYTES = 64 };

/* Upper bounds in ns: 1, 2, 5 per decade from 10 us to 50 s; the last bucket has no bound. */
static const uint64_t bounds_ns[] = {
	10000,     20000,      50000,      100000,     200000,      500000,      1000000,
	2000000,   5000000,    10000000,   20000000,   50000000,    100000000,   200000000,
	500000000, 1000000000, 2000000000, 5000000000, 10000000000, 20000000000, 50000000000,
};
enum { BOUNDS = sizeof(bounds_ns) / sizeof(bounds_ns[0]) };

struct shard {
	_Alignas(CACHE_LINE_BYTES) _Atomic uint64_t n;
};

struct counter {
	struct shard shards[SHARDS];
};

struct gauge {
	_Atomic int64_t v;
};

struct histogram {
	struct {
		_Alignas(CACHE_LINE_BYTES) _Atomic uint64_t sum_ns;
		_Atomic uint64_t buckets[BOUNDS + 1];
	} shards[HISTOGRAM_SHARDS];
};

struct metric {
	struct metric *next;
	char *name;
	char *labels; /* empty: none */
	char *help;
	enum metric_kind kind;
	void *object; /* NULL: asked for by `value` */
	double (*value)(void *data);
	void *data;
};

struct metrics {
	pthread_mutex_t lock;
	struct metric *first; /* sorted by name, then labels */
};

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Threads rarely meet in a shard: their stacks lie apart, so their descriptors differ. */
static unsigned shard_of(unsigned shards)
{
	uint64_t self = (uint64_t)(uintptr_t)pthread_self();

	return (unsigned)((self * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % shards;
}

struct metrics *metrics_create(void)
{
	struct metrics *m = must(calloc(1, sizeof(*m)));

	(void)pthread_mutex_init(&m->lock, NULL);
	return m;
}

void metrics_free(struct metrics **m)
{
	if (*m == NULL)
		return;
	while ((*m)->first != NULL) {
		struct metric *one = (*m)->first;
		(*m)->first = one->next;
		free(one->name);
		free(one->labels);
		free(one->help);
		free(one->object);
		free(one);
	}
	(void)pthread_mutex_destroy(&(*m)->lock);
	free(*m);
	*m = NULL;
}

static void *object_new(enum metric_kind kind)
{
	size_t bytes = kind == METRIC_COUNTER ? sizeof(struct counter)
		       : kind == METRIC_GAUGE ? sizeof(struct gauge)
					      : sizeof(struct histogram);
	size_t whole = (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
	void *p = must(aligned_alloc(CACHE_LINE_BYTES, whole));

	memset(p, 0, whole);
	return p;
}

/* Find (name, labels) or put it in its place. Called with the lock held. */
static struct metric *find_or_add(struct metrics *m, enum metric_kind kind, const char *name,
				  const char *labels, const char *help)
{
	struct metric **at = &m->first;

	for (; *at != NULL; at = &(*at)->next) {
		int order = strcmp((*at)->name, name);
		assert(order != 0 || (*at)->kind == kind); /* M2 */
		if (order == 0)
			order = strcmp((*at)->labels, labels);
		if (order == 0)
			return *at;
		if (order > 0)
			break;
	}
	struct metric *one = must(calloc(1, sizeof(*one)));
	*one = (struct metric){ .next = *at,
				.name = must(strdup(name)),
				.labels = must(strdup(labels)),
				.help = must(strdup(help)),
				.kind = kind };
	*at = one;
	return one;
}

static void *get_object(struct metrics *m, enum metric_kind kind, const char *name,
			const char *labels, const char *help)
{
	if (m == NULL)
		return NULL;
	(void)pthread_mutex_lock(&m->lock);
	struct metric *one = find_or_add(m, kind, name, labels == NULL ? "" : labels, help);
	assert(one->value == NULL);
	if (one->object == NULL)
		one->object = object_new(kind);
	(void)pthread_mutex_unlock(&m->lock);
	return one->object;
}

struct counter *metrics_counter(struct metrics *m, const char *name, const char *labels,
				const char *help)
{
	return get_object(m, METRIC_COUNTER, name, labels, help);
}

struct gauge *metrics_gauge(struct metrics *m, const char *name, const char *labels,
			    const char *help)
{
	return get_object(m, METRIC_GAUGE, name, labels, help);
}

struct histogram *metrics_histogram(struct metrics *m, const char *name, const char *labels,
				    const char *help)
{
	return get_object(m, METRIC_HISTOGRAM, name, labels, help);
}

void metrics_callback(struct metrics *m, enum metric_kind kind, const char *name,
		      const char *labels, const char *help, double (*value)(void *data), void *data)
{
	assert(kind != METRIC_HISTOGRAM);
	if (m == NULL)
		return;
	(void)pthread_mutex_lock(&m->lock);
	struct metric *one = find_or_add(m, kind, name, labels == NULL ? "" : labels, help);
	assert(one->object == NULL);
	one->value = value;
	one->data = data;
	(void)pthread_mutex_unlock(&m->lock);
}

/* ---- counting ---- */

void counter_add(struct counter *c, uint64_t n)
{
	if (c != NULL)
		atomic_fetch_add_explicit(&c->shards[shard_of(SHARDS)].n, n, memory_order_relaxed);
}

uint64_t counter_value(const struct counter *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; c != NULL && i < SHARDS; i++)
		sum += atomic_load_explicit(&c->shards[i].n, memory_order_relaxed);
	return sum;
}

void gauge_set(struct gauge *g, int64_t v)
{
	if (g != NULL)
		atomic_store_explicit(&g->v, v, memory_order_relaxed);
}

void gauge_add(struct gauge *g, int64_t n)
{
	if (g != NULL)
		atomic_fetch_add_explicit(&g->v, n, memory_order_relaxed);
}

int64_t gauge_value(const struct gauge *g)
{
	return g == NULL ? 0 : atomic_load_explicit(&g->v, memory_order_relaxed);
}

static size_t bucket_of(uint64_t ns)
{
	size_t low = 0, high = BOUNDS;

	while (low < high) { /* the first bound that is not below ns */
		size_t mid = (low + high) / 2;
		if (bounds_ns[mid] < ns)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void histogram_record_ns(struct histogram *h, uint64_t ns)
{
	if (h == NULL)
		return;
	unsigned s = shard_of(HISTOGRAM_SHARDS);
	atomic_fetch_add_explicit(&h->shards[s].sum_ns, ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->shards[s].buckets[bucket_of(ns)], 1, memory_order_relaxed);
}

static uint64_t bucket_sum(const struct histogram *h, size_t bucket)
{
	uint64_t sum = 0;

	for (size_t s = 0; s < HISTOGRAM_SHARDS; s++)
		sum += atomic_load_explicit(&h->shards[s].buckets[bucket], memory_order_relaxed);
	return sum;
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; h != NULL && i <= BOUNDS; i++)
		sum += bucket_sum(h, i);
	return sum;
}

/* ---- text ---- */

void metrics_label(struct buf *out, const char *key, struct span value)
{
	buf_printf(out, "%s=\"", key);
	for (size_t i = 0; i < value.bytes; i++) {
		char c = value.at[i];
		if (c == '\\' || c == '"')
			buf_putc(out, '\\');
		if (c == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, c);
	}
	buf_putc(out, '"');
}

static void put_help(struct buf *out, const struct metric *one)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };

	buf_printf(out, "# HELP %s ", one->name);
	for (const char *p = one->help; *p != '\0'; p++) {
		if (*p == '\\' || *p == '\n')
			buf_puts(out, *p == '\\' ? "\\\\" : "\\n");
		else
			buf_putc(out, *p);
	}
	buf_printf(out, "\n# TYPE %s %s\n", one->name, kinds[one->kind]);
}

/* name{labels} with the braces only if there is something in them. */
static void put_name(struct buf *out, const struct metric *one, const char *suffix, const char *le)
{
	bool any = one->labels[0] != '\0' || le != NULL;

	buf_printf(out, "%s%s%s%s", one->name, suffix, any ? "{" : "", one->labels);
	if (le != NULL)
		buf_printf(out, "%sle=\"%s\"", one->labels[0] != '\0' ? "," : "", le);
	buf_puts(out, any ? "} " : " ");
}

static void put_double(struct buf *out, double v)
{
	if (isnan(v))
		buf_puts(out, "NaN");
	else if (isinf(v))
		buf_puts(out, v > 0 ? "+Inf" : "-Inf");
	else
		buf_printf(out, "%.17g", v);
}

/* Exact decimal seconds, without an exponent or trailing zeros. */
static void put_seconds(struct buf *out, uint64_t ns)
{
	buf_printf(out, "%llu.%09llu", (unsigned long long)(ns / 1000000000),
		   (unsigned long long)(ns % 1000000000));
	while (out->at[out->bytes - 1] == '0')
		out->bytes--;
	if (out->at[out->bytes - 1] == '.')
		out->bytes--;
}

static void put_histogram(struct buf *out, const struct metric *one)
{
	const struct histogram *h = one->object;
	uint64_t count = 0, sum_ns = 0;
	struct buf le = { 0 };

	for (size_t i = 0; i <= BOUNDS; i++) {
		count += bucket_sum(h, i);
		buf_reset(&le);
		if (i < BOUNDS)
			put_seconds(&le, bounds_ns[i]);
		else
			buf_puts(&le, "+Inf");
		buf_putc(&le, '\0');
		put_name(out, one, "_bucket", le.at);
		buf_put_u64(out, count);
		buf_putc(out, '\n');
	}
	for (size_t s = 0; s < HISTOGRAM_SHARDS; s++)
		sum_ns += atomic_load_explicit(&h->shards[s].sum_ns, memory_order_relaxed);
	put_name(out, one, "_sum", NULL);
	put_seconds(out, sum_ns);
	buf_putc(out, '\n');
	put_name(out, one, "_count", NULL);
	buf_put_u64(out, count);
	buf_putc(out, '\n');
	buf_free(&le);
}

static void put_metric(struct buf *out, const struct metric *one)
{
	if (one->kind == METRIC_HISTOGRAM) {
		put_histogram(out, one);
		return;
	}
	put_name(out, one, "", NULL);
	if (one->value != NULL)
		put_double(out, one->value(one->data));
	else if (one->kind == METRIC_COUNTER)
		buf_put_u64(out, counter_value(one->object));
	else
		buf_printf(out, "%lld", (long long)gauge_value(one->object));
	buf_putc(out, '\n');
}

void metrics_render(struct metrics *m, struct buf *out)
{
	const char *last = "";

	if (m == NULL)
		return;
	(void)pthread_mutex_lock(&m->lock);
	for (const struct metric *one = m->first; one != NULL; one = one->next) {
		if (strcmp(one->name, last) != 0)
			put_help(out, one);
		last = one->name;
		put_metric(out, one);
	}
	(void)pthread_mutex_unlock(&m->lock);
}
