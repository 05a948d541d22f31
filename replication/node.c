#include "replication/node.h"

#include "replication/coordinator_local.h"
#include "replication/owner.h"
#include "replication/router_loop.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"
#include "storage/base/mistakes.h"
#include "storage/base/workpool.h"

#include <stdlib.h>
#include <unistd.h>

enum { LOADER_QUEUE_MAX = 4096, READER_QUEUE_MAX = 65536, LOADERS = 2 };

static unsigned cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)n;
}

int node_open(const struct node_options *o, struct node **ret, struct buf *why)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		abort();
	n->options = *o;
	if (n->options.readers == 0)
		n->options.readers = cores();
	if (n->options.pages_bytes == 0)
		n->options.pages_bytes = (size_t)512 << 20;

	int rc = db_open(&o->db, &n->db, why);
	if (rc == OK)
		rc = workpool_open("loader", LOADERS, LOADER_QUEUE_MAX, &n->loaders);
	if (rc == OK)
		rc = workpool_open("reader", n->options.readers, READER_QUEUE_MAX, &n->readers);
	if (rc != OK) {
		node_close(&n);
		return rc;
	}
	n->partition_count = n->db->identity.partitions;
	*ret = n;
	return OK;
}

int node_attach(struct node *n, struct loop *const *loops, unsigned count,
		const struct change_sink *sink, void *const *fronts)
{
	n->loops = loops;
	n->loop_count = count;
	n->sink = sink;
	n->coordinator = coordinator_local_new(n);
	n->owners = calloc(count, sizeof(struct owner *));
	n->routers = calloc(count, sizeof(struct router *));
	if (n->owners == NULL || n->routers == NULL)
		abort();
	for (unsigned i = 0; i < count; i++)
		n->owners[i] = owner_new(n, loops[i]);
	for (unsigned i = 0; i < count; i++)
		n->routers[i] = router_new(n, loops[i], fronts[i]);
	return OK;
}

struct router *node_router(const struct node *n, unsigned loop)
{
	return n->routers[loop];
}

/* ---- start ---- */

static int keep_entry(void *data, struct log_entry **e)
{
	g_ptr_array_add(data, *e);
	*e = NULL;
	return OK;
}

static void entry_unref(gpointer data)
{
	struct log_entry *e = data;

	log_entry_unref(&e);
}

static int read_values(struct node *n, partition_id p, struct partition_values *ret)
{
	struct store_snapshot *s = NULL;
	Tm__PartitionRow row;
	int rc = store_snapshot_open(n->db->store, &s);

	if (rc == OK)
		rc = store_partition(s, p, &row);
	store_snapshot_close(&s);
	if (rc == OK)
		*ret = (struct partition_values){ row.last_uidvalidity, row.next_mailbox,
						  row.next_account };
	return rc;
}

static void say_damage(partition_id p, const struct db_partition *d)
{
	log_error("the log does not hold what was acknowledged; the partition does not serve",
		  LOG_PARTITION(p), LOG_U64("log-end", d->log.last.seq.v),
		  LOG_U64("applied", d->applied.seq.v), LOG_U64("acknowledged", d->mark.seq.v),
		  LOG_STR("hint", "restore the data directory, or start with --accept-loss"));
}

/* A power cut may tear both slots, so this alone is no reason not to serve. */
static void say_mark_damage(partition_id p, const struct db_partition *d)
{
	log_error("what was acknowledged cannot be read; a lost end of the log would go unnoticed",
		  LOG_PARTITION(p), LOG_U64("log-end", d->log.last.seq.v),
		  LOG_U64("applied", d->applied.seq.v), LOG_STR("file", "marks"));
}

/* C + 1; the mistake "apply-twice" begins with C itself, if that is in the log. */
static log_seq replay_from(const struct db_partition *d)
{
	bool twice = mistake_active("apply-twice") && d->applied.seq.v > d->log.base.seq.v;

	return (log_seq){ d->applied.seq.v + !twice };
}

static int start_partition(struct node *n, partition_id id, struct partition *p)
{
	struct db_partition d;
	struct partition_start s = { .entries = g_ptr_array_new_with_free_func(entry_unref) };

	int rc = db_partition(n->db, id, &d);
	if (rc == OK)
		rc = read_values(n, id, &s.values);
	if (rc == OK && d.seam == SEAM_FINE)
		rc = log_read(n->db->log, id, replay_from(&d), keep_entry, s.entries);
	bool damaged = rc == ERR_CORRUPT || d.seam == SEAM_DAMAGED || d.short_of_mark;

	if (rc != OK && rc != ERR_CORRUPT) {
		g_ptr_array_free(s.entries, TRUE);
		return rc;
	}
	if (rc == OK && d.mark_damaged)
		say_mark_damage(id, &d);
	if (damaged) {
		say_damage(id, &d);
		damaged = !(n->options.accept_loss && rc == OK && d.seam != SEAM_DAMAGED);
	}
	s.pgen = d.p;
	s.begin = d.seam == SEAM_BEHIND;
	s.applied = d.applied;
	s.disk = (struct replica_disk){ .adopted = d.log.adopted,
					.last = d.log.last.seq,
					.applied = d.applied.seq,
					.mark = { damaged ? UINT64_MAX : 0 } };
	if (s.disk.last.v < d.applied.seq.v)
		s.disk.last = d.applied.seq;
	partition_start(p, &s);
	return OK;
}

int node_start(struct node *n)
{
	int rc = db_start(n->db);

	for (unsigned i = 0; rc == OK && i < n->partition_count; i++)
		rc = start_partition(n, (partition_id){ (uint16_t)i },
				     n->owners[i % n->loop_count]->partitions[i]);
	return rc;
}

bool node_is_ready(const struct node *n)
{
	return atomic_load(&n->settled) >= n->partition_count;
}

void node_partition_settled(struct node *n, bool serves)
{
	if (!serves)
		atomic_fetch_add(&n->stopped, 1);
	if (atomic_fetch_add(&n->settled, 1) + 1 == n->partition_count)
		log_info("all partitions are recovered", LOG_U64("partitions", n->partition_count),
			 LOG_U64("stopped", atomic_load(&n->stopped)));
}

void node_disk_failed(struct node *n, int rc)
{
	if (atomic_exchange(&n->disk_failure_told, true))
		return;
	log_error("the disk failed; the node stops", LOG_ERR(rc));
	if (n->options.disk_failed != NULL)
		n->options.disk_failed(n->options.data);
}

void node_close(struct node **nn)
{
	struct node *n = *nn;

	if (n == NULL)
		return;
	workpool_close(&n->readers);
	workpool_close(&n->loaders);
	db_close(&n->db); /* what the partitions lent to its threads comes back */
	for (unsigned i = 0; n->owners != NULL && i < n->loop_count; i++)
		inbox_drop(loop_inbox(n->loops[i])); /* ... and names them */
	for (unsigned i = 0; n->routers != NULL && i < n->loop_count; i++)
		router_free(&n->routers[i]);
	for (unsigned i = 0; n->owners != NULL && i < n->loop_count; i++)
		owner_free(&n->owners[i]);
	if (n->coordinator != NULL)
		n->coordinator->close(&n->coordinator);
	free(n->owners);
	free(n->routers);
	free(n);
	*nn = NULL;
}
