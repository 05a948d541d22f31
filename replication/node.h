/* node.h: one node's floor 3: the store, the threads over it, the partitions, and the routers of
 * its loops, wired together. main.c makes it, attaches the loops, starts it, closes it.
 * Thread: main, if nothing else is said. */
#ifndef REPLICATION_NODE_H
#define REPLICATION_NODE_H

#include "replication/change_sink.h"
#include "replication/coordinator.h"
#include "replication/janitor.h"
#include "storage/base/inbox.h"
#include "storage/db.h"

#include <stdatomic.h>
#include <stdbool.h>

struct loop;
struct owner;
struct router;

struct node_options {
	struct db_options db;
	unsigned readers;   /* threads; 0: one per core */
	size_t pages_bytes; /* memory budget of all mailboxes in use; 0: 512 MiB */
	bool route_remote;  /* every op and read goes encoded, as if to another node (tests) */
	bool accept_loss;   /* serve partitions whose log fell short of its mark */
	struct janitor_options janitor;
	/* The disk failed for good: the process must end soon. Thread: any. */
	void (*disk_failed)(void *data);
	void *data;
};

struct node {
	/* Fixed once it is started; any thread may read. */
	struct node_options options;
	struct db *db;
	unsigned partition_count;
	struct loop *const *loops;
	unsigned loop_count;
	struct owner **owners;
	struct router **routers;
	struct workpool *loaders;
	struct workpool *readers;
	struct coordinator *coordinator;
	const struct change_sink *sink;

	/* Anyone. */
	_Atomic unsigned settled; /* partitions that are recovered or given up */
	_Atomic unsigned stopped; /* of these, given up */
	_Atomic bool disk_failure_told;
};

/* Open the data directory. On failure `why` has a line for people. On 0 *ret owns it. */
int node_open(const struct node_options *o, struct node **ret, struct buf *why);
/* Make owners and routers for `count` loops that do not run yet; `fronts[i]` is what the sink's
 * functions get on loop i. The arrays outlive the node. */
int node_attach(struct node *n, struct loop *const *loops, unsigned count,
		const struct change_sink *sink, void *const *fronts);
struct router *node_router(const struct node *n, unsigned loop);
/* Log writer, flusher, recovery of all partitions. Before the loops are started. */
int node_start(struct node *n);
/* All partitions serve, or have said why they do not. Thread: any. */
bool node_is_ready(const struct node *n);
/* The loops have ended. Accepts NULL, leaves NULL. */
void node_close(struct node **n);

/* ---- for the partitions; thread: any ---- */
void node_partition_settled(struct node *n, bool serves);
void node_disk_failed(struct node *n, int rc);

#endif
