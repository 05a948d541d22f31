/* fake_router.h: a router with a small model of one account's mailboxes behind it, for tests of
 * sessions: answers come when the test says so, can be made to fail, and the test can change the
 * mailboxes in between as if it were somebody else. Stands in for replication/router.c and
 * server/auth/auth.c at link time. */
#ifndef TESTS_UNIT_FAKE_ROUTER_H
#define TESTS_UNIT_FAKE_ROUTER_H

#include "replication/router.h"
#include "server/session/front.h"

/* The world begins with INBOX (id 1, uidvalidity 100, highestmodseq 1, uidnext 1). */
void fake_world_begin(void);
void fake_world_end(void);
/* Which front a router answers to. */
struct router *fake_router_new(struct front *f);
void fake_router_free(struct router *r);

/* Deliver everything that waits, and what follows from it, until nothing waits. */
void fake_run(void);
/* The next op is answered with this instead of being done; op 0 is the very next. */
void fake_fail_op(unsigned nth, Tm__Outcome outcome);
/* The next read ends with this. */
void fake_fail_read(Tm__Outcome outcome);
/* Called after the next op was done and before its answer is delivered: somebody else acts. */
void fake_after_op(void (*fn)(void));
/* Nothing is delivered until fake_hold(false). */
void fake_hold(bool on);
/* At most this many messages per frame of FETCH (default: all). */
void fake_frame_messages(unsigned n);
/* Frames that were sent and not yet paid for. */
unsigned fake_frames_sent(void);
unsigned fake_ops_done(void);
/* op_late() for the op that is held. */
void fake_late(void);
/* Which loop owns everything; -1: another node. */
void fake_owner_loop(int index);
/* Messages a StoreFlags looks at before it says `remaining`. */
void fake_store_limit(unsigned messages);
void fake_set_horizon(const char *name, uint64_t modseq_of);

/* Somebody else. */
uint32_t world_append(const char *name, const char *flags, const char *body); /* -> uid */
void world_flag(const char *name, uint32_t uid, const char *flags);           /* replaces */
void world_expunge(const char *name, uint32_t uid);
void world_create(const char *name);
void world_delete(const char *name);
uint64_t world_modseq(const char *name);

#endif
