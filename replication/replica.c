#include "replication/replica.h"

#include <assert.h>
#include <string.h>

void replica_check(const struct replica *r)
{
	assert(r->applied.v <= r->committed.v && r->committed.v <= r->durable.v); /* C1 */
	assert(r->durable.v <= r->last.v);
	if (r->state == REPLICA_LEADING)
		assert(r->config.version == r->adopted && r->config.leader.v == r->self.v); /* C2 */
	if (r->state == REPLICA_DAMAGED)
		assert(r->committed.v == r->applied.v); /* C4 */
}

void replica_start(struct replica *r, node_id self, const struct replica_disk *disk,
		   struct replica_out *out)
{
	*r = (struct replica){
		.self = self,
		.adopted = disk->adopted,
		.last = disk->last,
		.durable = disk->last,
		.committed = disk->applied,
		.applied = disk->applied,
	};
	if (disk->last.v < disk->mark.v) {
		/* R11: something that was acknowledged is not there any more. */
		r->state = REPLICA_DAMAGED;
		out->damaged = true;
	} else {
		r->state = REPLICA_STARTING;
		out->read_config = true; /* R9: before anything is acknowledged */
	}
	replica_check(r);
}

void replica_on_config(struct replica *r, const struct configuration *c, struct replica_out *out)
{
	if (c->version <= r->config.version || r->state != REPLICA_STARTING)
		return;
	assert(c->version >= r->adopted); /* the coordinator never goes back */
	r->config = *c;
	if (c->leader.v == r->self.v) {
		/* R9: the same members under a version of this incarnation's own (I2). */
		r->state = REPLICA_SWAPPING;
		out->swap = true;
		out->wanted = *c;
		out->wanted.version = c->version + 1;
	}
	replica_check(r);
}

void replica_on_swapped(struct replica *r, const struct configuration *c, struct replica_out *out)
{
	if (r->state != REPLICA_SWAPPING || c->version <= r->config.version)
		return;
	r->config = *c;
	r->state = REPLICA_ADOPTING;
	out->adopt = true;
	replica_check(r);
}

/* R3: durable at every member, which with one member is here. */
static void commit(struct replica *r, struct replica_out *out)
{
	if (r->durable.v == r->committed.v)
		return;
	r->committed = r->durable;
	out->apply = true;
	out->from = r->applied;
	out->to = r->committed;
}

static void become_recovered(struct replica *r, struct replica_out *out)
{
	r->state = REPLICA_LEADING;
	out->recovered = true;
}

void replica_on_adopted(struct replica *r, uint64_t version, struct replica_out *out)
{
	assert(version > r->adopted); /* C3 */
	r->adopted = version;
	if (r->state != REPLICA_ADOPTING || version != r->config.version)
		return;
	/* R5: the whole log counts in the new version, and is applied before anything else. */
	r->state = REPLICA_RECOVERING;
	commit(r, out);
	if (!out->apply)
		become_recovered(r, out);
	replica_check(r);
}

log_seq replica_propose(struct replica *r)
{
	assert(r->state == REPLICA_LEADING); /* C2 */
	r->last.v++;
	return r->last;
}

void replica_on_durable(struct replica *r, log_seq seq, struct replica_out *out)
{
	assert(seq.v <= r->last.v);
	if (seq.v <= r->durable.v || r->state == REPLICA_STOPPED)
		return;
	r->durable = seq;
	if (r->state == REPLICA_LEADING)
		commit(r, out);
	replica_check(r);
}

void replica_on_applied(struct replica *r, log_seq seq, struct replica_out *out)
{
	assert(seq.v <= r->committed.v && seq.v >= r->applied.v);
	r->applied = seq;
	if (r->state == REPLICA_RECOVERING && r->applied.v == r->last.v)
		become_recovered(r, out);
	replica_check(r);
}

void replica_on_write_failed(struct replica *r, bool fatal)
{
	if (fatal)
		r->state = REPLICA_STOPPED;
	else
		r->last = r->durable;
	replica_check(r);
}

bool replica_in_flight(const struct replica *r)
{
	return r->applied.v < r->last.v;
}
