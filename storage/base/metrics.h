/* metrics.h: counters, gauges and histograms, and their text for Prometheus.
 *
 * Whoever counts registers what it counts once (at start-up; it takes a lock) and keeps the
 * pointer; counting itself is one relaxed atomic add into a shard of the calling thread, so threads
 * do not share cache lines. Every counting function accepts NULL and then does nothing: a piece
 * that is tested alone needs no registry.
 *
 * Figures that somebody else keeps anyway (queue lengths, RocksDB's) are asked for at rendering
 * time by a callback.
 *
 * Names are constants and follow Prometheus: tidemark_..._total for counters, the unit last
 * (_seconds, _bytes). `labels` is what stands between the braces, `command="STORE",outcome="ok"`,
 * or NULL; metrics_label() makes it from a value that comes from outside. */
#ifndef STORAGE_BASE_METRICS_H
#define STORAGE_BASE_METRICS_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdint.h>

struct metrics; /* the registry */
struct counter;
struct gauge;
struct histogram;

struct metrics *metrics_create(void); /* never NULL */
/* Frees everything that was registered. Accepts NULL, leaves NULL. */
void metrics_free(struct metrics **m);

/* The same (name, labels) again gives the same object; the same name with another kind is an
 * assert. `m` NULL gives NULL. Thread: any. */
struct counter *metrics_counter(struct metrics *m, const char *name, const char *labels,
				const char *help);
struct gauge *metrics_gauge(struct metrics *m, const char *name, const char *labels,
			    const char *help);
/* Of durations: recorded in nanoseconds, shown in seconds, buckets from 10 us to 50 s. */
struct histogram *metrics_histogram(struct metrics *m, const char *name, const char *labels,
				    const char *help);

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
/* A counter or gauge whose value is asked for at rendering time, on the thread that renders: it
 * must read atomics or take a short lock only. `data` must outlive the registry. */
void metrics_callback(struct metrics *m, enum metric_kind kind, const char *name,
		      const char *labels, const char *help, double (*value)(void *data),
		      void *data);

/* Append KEY="VALUE" to `out`, the value escaped. */
void metrics_label(struct buf *out, const char *key, struct span value);

/* Thread: any; wait-free. */
void counter_add(struct counter *c, uint64_t n);
uint64_t counter_value(const struct counter *c);
void gauge_set(struct gauge *g, int64_t v);
void gauge_add(struct gauge *g, int64_t n);
int64_t gauge_value(const struct gauge *g);
void histogram_record_ns(struct histogram *h, uint64_t ns);
uint64_t histogram_count(const struct histogram *h);

/* Append the exposition format (text/plain; version=0.0.4), sorted by name and labels. */
void metrics_render(struct metrics *m, struct buf *out);

#endif
