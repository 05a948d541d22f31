/* flag_groups.h: messages gathered by what they have in common, a flag set and a modseq, for
 * records and results. One object serves all ops of a loop in turn and keeps its memory, so that
 * a STORE allocates nothing for it. Thread: one loop's. */
#ifndef REPLICATION_FLAG_GROUPS_H
#define REPLICATION_FLAG_GROUPS_H

#include "storage/base/uidset.h"

struct flag_group {
	uint32_t set; /* number in the mailbox's flag sets */
	uint64_t modseq;
	struct uidset uids;
	struct buf sizes; /* varints, in the order of uids */
};

struct flag_groups {
	struct flag_group *at;
	uint32_t count;
	uint32_t capacity;
	uint32_t *slots; /* hash: index + 1, 0 is free */
	uint32_t slot_count;
	uint32_t last;      /* the group of the last call: messages come in runs */
	size_t bytes_bound; /* no encoding of all groups is larger, flag sets not counted */
};

/* {0} is valid and empty. */
void flag_groups_clear(struct flag_groups *g); /* keeps the memory */
void flag_groups_free(struct flag_groups *g);
/* `uid` is above all that were added before. True if it began a new group. */
bool flag_groups_add(struct flag_groups *g, uint32_t set, uint64_t at_modseq, uint32_t uid,
		     uint32_t size);

#endif
