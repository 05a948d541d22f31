/* sim_disk.h: a disk that crashes between any two writes and then loses what was not brought to it:
 * two kv (storage/kv.h) and a file of marks, deterministic from one seed.
 *
 * A write counts down to the crash. From then on the disk is dead: every write fails, nothing is
 * kept any more, and the caller must stop listening to whoever still runs. sim_disk_revive() then
 * decides what survived:
 *   log/    all up to the last sync, and some prefix of what was written after it
 *   state/  what was flushed: when asked to, or by itself after some write (a full memtable); a
 *           batch is all or nothing
 *   marks   all that was synced; of what was written after it, each write or none of it (a slot
 *           stands within one sector)
 * If only the process was killed, log/ and marks lose nothing. */
#ifndef TESTS_SIM_LIB_SIM_DISK_H
#define TESTS_SIM_LIB_SIM_DISK_H

#include "tests/sim/lib/sim_random.h"

#include "storage/kv.h"
#include "storage/marks.h"

struct sim_disk; /* opaque */

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk **d); /* after everything opened over it was closed */

/* Views for one run of a process; closing them leaves the disk. */
struct kv *sim_disk_log(struct sim_disk *d);
struct kv *sim_disk_state(struct sim_disk *d);
struct marks_file sim_disk_marks(struct sim_disk *d);

/* Crash at the n-th write from now (0: not). */
void sim_disk_crash_after(struct sim_disk *d, uint64_t writes);
bool sim_disk_is_dead(const struct sim_disk *d);
/* The next n writes find no space. */
void sim_disk_full(struct sim_disk *d, unsigned writes);
/* What is left after the crash (or at any time: after a kill) is the disk from now on. */
void sim_disk_revive(struct sim_disk *d, bool only_killed);
/* How many writes there were. */
uint64_t sim_disk_writes(const struct sim_disk *d);

#endif
