/* read.h: reads at the owner: answered from pins, short ones on the loop, long ones by reader
 * threads, frame by frame under credits (DESIGN.md, section 3, Reading).
 * Thread: the partition's loop. */
#ifndef REPLICATION_READ_H
#define REPLICATION_READ_H

#include "replication/job.h"
#include "replication/partition.h"

/* Answer the reads that wait. Part of partition_turn(). */
void read_turn(struct partition *p);
/* What was parked for a load looks again. */
void read_unpark(struct partition *p);
/* Those that waited too long are answered UNAVAILABLE. */
void read_expire(struct partition *p, uint64_t now_ms);

/* The front end has room for more frames, or wants none any more. */
void read_credit(struct partition *p, struct read_job *j, unsigned frames);
void read_cancel(struct partition *p, struct read_job *j);

#endif
