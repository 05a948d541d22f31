/* coordinator.h: who leads a partition (DESIGN.md, section 6). One interface, two back ends:
 * `local`, where the node is always its own leader and the adopted version in its log is the
 * configuration, and etcd. Answers come as calls of `answer`, never from within the request. */
#ifndef REPLICATION_COORDINATOR_H
#define REPLICATION_COORDINATOR_H

#include "storage/base/ids.h"

#include <stdbool.h>
#include <stdint.h>

ID_TYPE(node_id, uint32_t); /* within one cluster, from 1, never used again */

enum { FOLLOWERS_MAX = 2 };

struct configuration {
	uint64_t version; /* 0: there is none */
	node_id leader;
	node_id followers[FOLLOWERS_MAX];
	unsigned follower_count;
	node_id learner; /* 0: none */
};

/* The outcome of a read (swapped == false) or of a swap. */
struct coordinator_answer {
	partition_id partition;
	bool swapped;
	struct configuration config;
};

struct coordinator {
	/* Linearizable. Thread: the partition's loop, for both; so are the answers. */
	void (*read)(struct coordinator *c, partition_id p);
	/* Compare-and-swap: succeeds if the present version is wanted->version - 1. */
	void (*swap)(struct coordinator *c, partition_id p, const struct configuration *wanted);
	void (*close)(struct coordinator **c);
};

#endif
