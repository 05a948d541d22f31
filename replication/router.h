/* router.h: which partition, who leads it; brings ops and reads there and their answers back.
 *
 * In the flow: session -> [router] -> the owner's loop: a call where the partition is this loop's
 * own, a message to another loop's inbox, encoded frames to another node (with `--route remote`
 * always). One router per loop; everything here is called on its loop only.
 *
 * Invariants:
 *   O1  a call is answered exactly once, through change_sink, never from within the call.
 *   O2  an op is repeated with the same number until it is answered or withdrawn; a result other
 *       than UNKNOWN_FATE means: this and nothing else happened.
 *   O3  a client id has at most one op outstanding per partition; numbers rise. */
#ifndef REPLICATION_ROUTER_H
#define REPLICATION_ROUTER_H

#include "proto/op.pb-c.h"
#include "proto/read.pb-c.h"
#include "replication/change_sink.h"
#include "replication/job.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/ids.h"
#include "storage/base/inbox.h"

struct loop;
struct router;

/* An op under way. Embedded in its command; the owner fills the first group and must keep all of
 * it, and what `op` points to, alive and unmoved until change_sink.op_done. {0} before. */
struct op_call {
	/* Filled in by who asks. */
	Tm__Op op;   /* with client, number, account and what; the router sets partition */
	void *owner; /* the front client that asked (server/session/front.h) */

	/* The router's. */
	struct op_job job;
	struct router *router;
	struct op_call *prev, *next; /* of all that are outstanding */
	uint64_t request;
	uint64_t deadline_ms; /* boot time */
	bool outstanding;
	bool late;
};

/* A read under way; the same rules. */
struct read_call {
	Tm__Read read; /* account, mailbox or name, known, what; the router sets request, partition
			*/
	void *owner;

	struct read_job job;
	struct router *router;
	struct read_call *prev, *next;
	uint64_t deadline_ms;
	bool outstanding;
};

void router_op(struct router *r, struct op_call *c);
void router_read(struct router *r, struct read_call *c);

/* The session has told what it got: `frames` more may come (they start with READ_CREDIT_FRAMES). */
void router_read_credit(struct router *r, struct read_call *c, unsigned frames);
/* No more frames are wanted; the one with `end` still comes. */
void router_read_cancel(struct router *r, struct read_call *c);

/* From now on sink->mailbox_changed is called on this loop when the mailbox has changed beyond
 * `known`. One watch per (loop, mailbox), counted. Register first, ask afterwards. */
void router_watch(struct router *r, const char *account, mailbox_id m, modseq known);
void router_unwatch(struct router *r, const char *account, mailbox_id m);

/* XXH64(account) mod P; `account` in lower case and NFC. */
partition_id router_partition(const struct router *r, const char *account);
/* The loop of this node that owns the account's partition; -1 if another node leads it (or with
 * `--route remote`). At SELECT a connection moves there. */
int router_owner_loop(const struct router *r, const char *account);

#endif
