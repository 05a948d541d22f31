#include "server/node_metrics.h"

#include "replication/node.h"
#include "replication/owner.h"
#include "server/net/net.h"
#include "storage/base/loop.h"
#include "storage/base/metrics.h"
#include "storage/base/workpool.h"

#include <stddef.h>

/* ---- log writer ---- */

#define LOG_VALUE(field, expression) \
	static double log_##field(void *data) \
	{ \
		const struct node *n = data; \
		struct log_figures f; \
		log_figures(n->db->log, &f); \
		return (double)(expression); \
	}
LOG_VALUE(batches, f.batches)
LOG_VALUE(writes, f.writes)
LOG_VALUE(entries, f.entries)
LOG_VALUE(bytes, f.bytes)
LOG_VALUE(sync_seconds, (double)f.sync_ns / 1e9)
LOG_VALUE(full_retries, f.full_retries)

static double log_full(void *data)
{
	const struct node *n = data;

	return log_is_full(n->db->log) ? 1 : 0;
}

static double log_waiting(void *data)
{
	const struct node *n = data;

	return (double)inbox_length(log_inbox(n->db->log));
}

/* ---- flusher ---- */

#define FLUSH_VALUE(field, expression) \
	static double flush_##field(void *data) \
	{ \
		const struct node *n = data; \
		struct flusher_figures f; \
		flusher_figures(n->db->flusher, &f); \
		return (double)(expression); \
	}
FLUSH_VALUE(cuts, f.cuts)
FLUSH_VALUE(entries, f.entries)
FLUSH_VALUE(rows, f.rows)
FLUSH_VALUE(bytes, f.bytes)
FLUSH_VALUE(seconds, (double)f.cut_ns / 1e9)
FLUSH_VALUE(unflushed, f.unflushed_bytes)
FLUSH_VALUE(forced, f.forced_flushes)
FLUSH_VALUE(truncations, f.truncations)

static double flush_pending(void *data)
{
	const struct node *n = data;

	return (double)flusher_pending_bytes(n->db->flusher);
}

/* ---- partitions and queues ---- */

static double partitions_recovered(void *data)
{
	const struct node *n = data;

	return atomic_load(&n->settled) - atomic_load(&n->stopped);
}

static double partitions_stopped(void *data)
{
	const struct node *n = data;

	return atomic_load(&n->stopped);
}

static double readers_waiting(void *data)
{
	const struct node *n = data;

	return (double)workpool_length(n->readers);
}

static double loaders_waiting(void *data)
{
	const struct node *n = data;

	return (double)workpool_length(n->loaders);
}

static double loops_waiting(void *data)
{
	const struct node *n = data;
	size_t sum = 0;

	for (unsigned i = 0; i < n->loop_count; i++)
		sum += inbox_length(loop_inbox(n->loops[i]));
	return (double)sum;
}

static double loops_busy(void *data)
{
	const struct node *n = data;
	uint64_t us = 0;

	for (unsigned i = 0; i < n->loop_count; i++) {
		struct loop_figures f;

		loop_figures(n->loops[i], &f);
		us += f.busy_us;
	}
	return (double)us / 1e6;
}

/* ---- RocksDB ---- */

static double property(const struct kv *db, const char *name)
{
	uint64_t v = 0;
	struct kv *kv = (struct kv *)(uintptr_t)db;

	return kv_figure(kv, name, &v) ? (double)v : 0;
}

#define STATE_VALUE(field, name) \
	static double state_##field(void *data) \
	{ \
		const struct node *n = data; \
		return property(n->db->state_kv, name); \
	}
STATE_VALUE(memtables, "rocksdb.cur-size-all-mem-tables")
STATE_VALUE(sst_bytes, "rocksdb.total-sst-files-size")
STATE_VALUE(pending_compaction, "rocksdb.estimate-pending-compaction-bytes")
STATE_VALUE(cache, "rocksdb.block-cache-usage")
STATE_VALUE(keys, "rocksdb.estimate-num-keys")

/* ---- connections ---- */

#define NET_VALUE(field) \
	static double net_##field(void *data) \
	{ \
		struct net_figures f; \
		net_figures(data, &f); \
		return (double)f.field; \
	}
NET_VALUE(connections)
NET_VALUE(tls_connections)
NET_VALUE(accepted)
NET_VALUE(refused)
NET_VALUE(accept_failures)
NET_VALUE(handshakes)
NET_VALUE(handshake_failures)
NET_VALUE(moves)
NET_VALUE(bytes_in)
NET_VALUE(bytes_out)
NET_VALUE(stalled)

struct row {
	enum metric_kind kind;
	const char *name;
	const char *help;
	double (*value)(void *data);
};

static const struct row node_rows[] = {
	{ METRIC_COUNTER, "tidemark_log_batches_total", "Batches written with one fsync each.",
	  log_batches },
	{ METRIC_COUNTER, "tidemark_log_writes_total", "Writes that partitions submitted.",
	  log_writes },
	{ METRIC_COUNTER, "tidemark_log_entries_total", "Log entries, one per commit.",
	  log_entries },
	{ METRIC_COUNTER, "tidemark_log_bytes_total", "Bytes of log entries.", log_bytes },
	{ METRIC_COUNTER, "tidemark_log_fsync_seconds_total", "Time spent in fsync of the log.",
	  log_sync_seconds },
	{ METRIC_COUNTER, "tidemark_log_full_retries_total", "Writes tried again on a full disk.",
	  log_full_retries },
	{ METRIC_GAUGE, "tidemark_log_full", "1 while the disk is full.", log_full },
	{ METRIC_GAUGE, "tidemark_log_queue", "Writes that wait for the log writer.", log_waiting },
	{ METRIC_COUNTER, "tidemark_flush_cuts_total", "Cuts written to state.", flush_cuts },
	{ METRIC_COUNTER, "tidemark_flush_entries_total", "Entries turned into rows.",
	  flush_entries },
	{ METRIC_COUNTER, "tidemark_flush_rows_total", "Rows written.", flush_rows },
	{ METRIC_COUNTER, "tidemark_flush_bytes_total", "Bytes of rows written.", flush_bytes },
	{ METRIC_COUNTER, "tidemark_flush_seconds_total", "Time spent in cuts.", flush_seconds },
	{ METRIC_COUNTER, "tidemark_flush_forced_total", "Forced flushes of state to the disk.",
	  flush_forced },
	{ METRIC_COUNTER, "tidemark_log_truncations_total", "Truncations of logs.",
	  flush_truncations },
	{ METRIC_GAUGE, "tidemark_log_unflushed_bytes", "Log that a restart would replay.",
	  flush_unflushed },
	{ METRIC_GAUGE, "tidemark_flush_pending_bytes", "Applied and not yet rows.",
	  flush_pending },
	{ METRIC_GAUGE, "tidemark_partitions_recovered", "Partitions that serve.",
	  partitions_recovered },
	{ METRIC_GAUGE, "tidemark_partitions_stopped", "Partitions that are damaged.",
	  partitions_stopped },
	{ METRIC_GAUGE, "tidemark_reader_queue", "Reads that wait for a thread.", readers_waiting },
	{ METRIC_GAUGE, "tidemark_loader_queue", "Loads that wait for a thread.", loaders_waiting },
	{ METRIC_GAUGE, "tidemark_loop_queue", "Messages in the loops' inboxes.", loops_waiting },
	{ METRIC_COUNTER, "tidemark_loop_busy_seconds_total", "Time that loops did not sleep.",
	  loops_busy },
	{ METRIC_GAUGE, "tidemark_rocksdb_memtable_bytes", "Memtables of state.", state_memtables },
	{ METRIC_GAUGE, "tidemark_rocksdb_sst_bytes", "SST files of state.", state_sst_bytes },
	{ METRIC_GAUGE, "tidemark_rocksdb_pending_compaction_bytes", "Compaction debt of state.",
	  state_pending_compaction },
	{ METRIC_GAUGE, "tidemark_rocksdb_block_cache_bytes", "Block cache in use.", state_cache },
	{ METRIC_GAUGE, "tidemark_rocksdb_keys", "Keys in state, about.", state_keys },
};

static const struct row net_rows[] = {
	{ METRIC_GAUGE, "tidemark_connections", "Open connections.", net_connections },
	{ METRIC_GAUGE, "tidemark_tls_connections", "Open connections with TLS.",
	  net_tls_connections },
	{ METRIC_COUNTER, "tidemark_connections_accepted_total", "Connections accepted.",
	  net_accepted },
	{ METRIC_COUNTER, "tidemark_connections_refused_total", "Connections over a limit.",
	  net_refused },
	{ METRIC_COUNTER, "tidemark_accept_failures_total", "No descriptors or memory.",
	  net_accept_failures },
	{ METRIC_COUNTER, "tidemark_tls_handshakes_total", "Handshakes begun.", net_handshakes },
	{ METRIC_COUNTER, "tidemark_tls_handshake_failures_total", "Handshakes that failed.",
	  net_handshake_failures },
	{ METRIC_COUNTER, "tidemark_connection_moves_total", "Moves between loops.", net_moves },
	{ METRIC_COUNTER, "tidemark_bytes_in_total", "Bytes from clients.", net_bytes_in },
	{ METRIC_COUNTER, "tidemark_bytes_out_total", "Bytes to clients.", net_bytes_out },
	{ METRIC_COUNTER, "tidemark_connections_stalled_total",
	  "Closed because the client read nothing.", net_stalled },
};

static void add(struct metrics *m, const struct row *rows, size_t count, void *data)
{
	for (size_t i = 0; i < count; i++)
		metrics_callback(m, rows[i].kind, rows[i].name, "", rows[i].help, rows[i].value,
				 data);
}

void node_metrics_register(struct metrics *m, struct node *n, struct net *net)
{
	add(m, node_rows, sizeof(node_rows) / sizeof(node_rows[0]), n);
	add(m, net_rows, sizeof(net_rows) / sizeof(net_rows[0]), net);
}
