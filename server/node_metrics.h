/* node_metrics.h: what /metrics says of the node below the sessions: log, flusher, store, loops,
 * queues, connections. Thread: main; the values are read on the thread that renders. */
#ifndef SERVER_NODE_METRICS_H
#define SERVER_NODE_METRICS_H

struct metrics;
struct net;
struct node;

/* `n` and `net` outlive the metrics' last rendering. */
void node_metrics_register(struct metrics *m, struct node *n, struct net *net);

#endif
