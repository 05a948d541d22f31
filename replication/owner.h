/* owner.h: the single-writer role of a loop: its partitions, and what they share: batches,
 * scratch memory, the way to the log writer, the flusher and the readers.
 * Thread: the loop's own, if nothing else is said. */
#ifndef REPLICATION_OWNER_H
#define REPLICATION_OWNER_H

#include "proto/op.pb-c.h"
#include "proto/record.pb-c.h"
#include "replication/batch.h"
#include "replication/flag_groups.h"
#include "replication/partition.h"

struct loop;
struct node;

struct owner {
	/* Fixed at open. */
	struct node *node;
	struct loop *loop;
	unsigned index;

	struct partition **partitions; /* by id; NULL: another loop's */
	struct partition *ready;       /* have something to do in LOOP_EVALUATE */
	struct batch_pool pool;
	struct flag_groups groups[3]; /* scratch of one evaluation */
	struct batch *logged;         /* came back from the log writer, to be published */
	struct batch *logged_last;
	size_t pages_bytes;          /* about, of all loaded mailboxes */
	struct remote_table *remote; /* jobs that came in frames */
	uint64_t ticks;
	struct arena arena; /* of one answer at a time */
	struct loop_timer *tick;
};

struct owner *owner_new(struct node *n, struct loop *l);
void owner_free(struct owner **o);

/* It has ops, reads or a change of state to look at in this turn. */
void owner_ready(struct owner *o, struct partition *p);
uint64_t owner_now_ms(const struct owner *o);
/* The log writer gave it back; it is published in LOOP_PUBLISH. */
void owner_logged(struct owner *o, struct batch *b);
/* Three, of the loop's; whoever uses them clears them first. */
struct flag_groups *owner_flag_groups(struct owner *o);
#endif
