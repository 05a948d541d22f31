/* job.h: an op or a read at its owner, whichever way it came: called by a session of this loop,
 * posted by another loop, decoded from a frame. Embedded in what brought it.
 * Thread: the partition's loop. */
#ifndef REPLICATION_JOB_H
#define REPLICATION_JOB_H

#include "proto/op.pb-c.h"
#include "proto/read.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

struct read_run;

struct op_job {
	struct op_job *next;
	const Tm__Op *op; /* of whoever brought it; unmoved until reply */
	/* Exactly once, from a phase. `result` is valid during the call; NULL: a late copy of an op
	 * that was answered long ago, nobody waits for it. */
	void (*reply)(struct op_job *j, const Tm__OpResult *result);
	uint64_t expires_ms; /* boot time: waiting longer than that, it is answered UNAVAILABLE */
};

struct read_job {
	struct read_job *next;
	const Tm__Read *read; /* unmoved until the frame with `end` */
	/* One frame, from a phase or from a delivered message; valid during the call. */
	void (*reply)(struct read_job *j, const Tm__ReadFrame *frame);
	uint64_t expires_ms;
	unsigned credits;     /* how many more frames may be sent */
	bool cancelled;       /* nobody wants more than the end */
	struct read_run *run; /* a reader that is under way, or NULL */
};

#endif
