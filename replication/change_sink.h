/* change_sink.h: the one way by which facts go up (DESIGN.md, section 2). main.c fills it in with
 * the functions of server/session/front.c. All are called on the loop of the front end that asked,
 * from a phase of the turn, never from within the call that asked. What pointers lead to is valid
 * during the call only. */
#ifndef REPLICATION_CHANGE_SINK_H
#define REPLICATION_CHANGE_SINK_H

#include "proto/op.pb-c.h"
#include "proto/read.pb-c.h"
#include "storage/base/ids.h"

struct op_call;
struct read_call;

struct change_sink {
	/* The op of `c` ended; `c` and its op belong to the session again. Said exactly once per
	 * router_op(), also when the session has been closed meanwhile (so it must linger). */
	void (*op_done)(void *front, struct op_call *c, const Tm__OpResult *result);

	/* The op's deadline is long over and nobody can say whether it happened: the session ends
	 * with BYE [UNAVAILABLE], without a tagged answer (IMAP.md, section 9). At most once per
	 * router_op(), before op_done, which still comes: until then `c` is not the session's. */
	void (*op_late)(void *front, struct op_call *c);

	/* One frame of an answer; the last has `end`. After it `c` belongs to the session again.
	 * Exactly one frame with `end` per router_read(), also after router_read_cancel(). */
	void (*read_frame)(void *front, struct read_call *c, const Tm__ReadFrame *frame);

	/* A watched mailbox has changes above the modseq that was last asked for, or is gone
	 * (newest.v == 0). A hint: it may come twice, late, or for nothing. */
	void (*mailbox_changed)(void *front, partition_id p, mailbox_id m, modseq newest);

	/* Names, subscriptions or rights of a watched account changed. */
	void (*list_changed)(void *front, const char *account, uint64_t listseq);
};

#endif
