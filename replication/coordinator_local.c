#include "replication/coordinator_local.h"

#include "replication/node.h"
#include "replication/owner.h"
#include "storage/base/loop.h"

#include <stddef.h>
#include <stdlib.h>

struct coordinator_local {
	struct coordinator c; /* first */
	struct node *node;
};

/* An answer on its way to the partition's loop, so that it never comes from within the request. */
struct answer {
	struct message message;
	struct partition *partition;
	struct configuration config;
	bool swapped;
};

static void deliver(struct message *m, void *receiver)
{
	struct answer *a = (struct answer *)m;

	(void)receiver;
	partition_on_config(a->partition, &a->config, a->swapped);
	free(a);
}

static void drop(struct message *m)
{
	free(m);
}

static void answer(struct coordinator *c, partition_id id, const struct configuration *config,
		   bool swapped)
{
	struct node *n = ((struct coordinator_local *)c)->node;
	struct owner *o = n->owners[id.v % n->loop_count];
	struct answer *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->message.deliver = deliver;
	a->message.drop = drop;
	a->partition = o->partitions[id.v];
	a->config = *config;
	a->swapped = swapped;
	inbox_force_one(loop_inbox(o->loop), &a->message);
}

static void local_read(struct coordinator *c, partition_id id)
{
	struct node *n = ((struct coordinator_local *)c)->node;
	const struct partition *p = n->owners[id.v % n->loop_count]->partitions[id.v];
	uint64_t adopted = p->replica.adopted;
	struct configuration config = { .version = adopted == 0 ? 1 : adopted,
					.leader = p->replica.self };

	answer(c, id, &config, false);
}

/* Nobody else can have swapped in between. The new version counts once the log has adopted it. */
static void local_swap(struct coordinator *c, partition_id id, const struct configuration *wanted)
{
	answer(c, id, wanted, true);
}

static void local_close(struct coordinator **c)
{
	free(*c);
	*c = NULL;
}

struct coordinator *coordinator_local_new(struct node *n)
{
	struct coordinator_local *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	l->c = (struct coordinator){ local_read, local_swap, local_close };
	l->node = n;
	return &l->c;
}
