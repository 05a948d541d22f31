/* replica.h: one partition's part in the replication protocol (DESIGN.md, section 6), pure: no
 * threads, clock, sockets or disk. Whoever drives it (replication/partition.c; tests/sim) hands in
 * what happened and carries out what stands in the struct replica_out afterwards.
 *
 * Invariants, checked after every step by replica_check():
 *   C1  applied <= committed <= durable <= last
 *   C2  nothing is proposed before the replica is recovered (R5), and only in its own version (I2)
 *   C3  the adopted version never falls (I4)
 *   C4  a damaged replica (R11) neither commits nor proposes
 *
 * With one member every entry is committed as soon as it is durable here (R3). */
#ifndef REPLICATION_REPLICA_H
#define REPLICATION_REPLICA_H

#include "replication/coordinator.h"
#include "storage/base/ids.h"

#include <stdbool.h>
#include <stdint.h>

enum replica_state {
	REPLICA_STARTING,   /* waits for the configuration (R9) */
	REPLICA_SWAPPING,   /* has asked for a version of its own (R9, I2) */
	REPLICA_ADOPTING,   /* writes that version down (I4) */
	REPLICA_RECOVERING, /* applies its whole log (R5) */
	REPLICA_LEADING,    /* evaluates ops, serves reads */
	REPLICA_DAMAGED,    /* its log falls short of its mark (R11) */
	REPLICA_STOPPED,    /* its disk failed */
};

/* What the disk holds at start. */
struct replica_disk {
	uint64_t adopted; /* the highest version that was adopted; 0: none yet */
	log_seq last;     /* end of the log, or C if the log begins anew there (S8) */
	log_seq applied;  /* C: what state/ holds */
	log_seq mark;     /* what this replica once acknowledged */
};

struct replica {
	node_id self;
	enum replica_state state;
	struct configuration config;
	uint64_t adopted;
	log_seq last;    /* proposed or found in the log */
	log_seq durable; /* on this disk */
	log_seq committed;
	log_seq applied; /* handed out to be applied */
};

/* What has to be done now, in this order. All zero: nothing. */
struct replica_out {
	bool read_config;
	bool swap;
	struct configuration wanted; /* with swap */
	bool adopt;                  /* write config.version down, then replica_on_adopted() */
	bool apply;                  /* apply (from, to], then replica_on_applied(to) */
	log_seq from, to;
	bool recovered; /* from now on ops may be evaluated */
	bool damaged;
};

void replica_start(struct replica *r, node_id self, const struct replica_disk *disk,
		   struct replica_out *out);
/* The coordinator's answer to read_config, or a newer one that it told by itself. */
void replica_on_config(struct replica *r, const struct configuration *c, struct replica_out *out);
/* Our swap succeeded. */
void replica_on_swapped(struct replica *r, const struct configuration *c, struct replica_out *out);
void replica_on_adopted(struct replica *r, uint64_t version, struct replica_out *out);
/* R1: gives the entry its seq; the caller writes it to the log at once. Only while LEADING. */
log_seq replica_propose(struct replica *r);
/* The log is on disk up to `seq`. */
void replica_on_durable(struct replica *r, log_seq seq, struct replica_out *out);
void replica_on_applied(struct replica *r, log_seq seq, struct replica_out *out);
/* A log write failed: what was proposed and not durable never happened here (`last` falls back),
 * or, when the disk cannot be trusted any more, the replica stops. */
void replica_on_write_failed(struct replica *r, bool fatal);

/* True while proposed entries are not applied: nothing is evaluated meanwhile. */
bool replica_in_flight(const struct replica *r);
/* Asserts C1 to C4. */
void replica_check(const struct replica *r);

#endif
