/* loop.h: one libuv loop on one thread, with an inbox, the ordered phases of a turn, and timers
 * (DESIGN.md section 4).
 *
 * A turn: [timers] [poll: every readable socket is read, handlers run] [inbox: messages are
 * delivered] then the phases below, each only if it is marked. A phase that is marked while it, or
 * a later one, runs is run in the next turn, which then does not sleep before. So everything that
 * arrived in one poll is evaluated as one batch and leaves in one send per connection.
 *
 * Thread: everything here is for the loop's own thread (asserted), before it runs for the thread
 * that created it, if nothing else is said. */
#ifndef STORAGE_BASE_LOOP_H
#define STORAGE_BASE_LOOP_H

#include "storage/base/inbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct loop;

enum loop_phase {
	LOOP_PUBLISH,  /* finished batches: apply, hand out results and changes */
	LOOP_EVALUATE, /* evaluate what waits, submit the next batches */
	LOOP_ANSWER,   /* sessions write their answers, run the next pipelined command */
	LOOP_SEND,     /* deferred calls, then the gathered messages of loop_send() leave */
	LOOP_FLUSH,    /* one send(2) per connection */
	LOOP_PHASES
};

/* Places where upper floors keep what they have once per loop. */
enum loop_slot {
	LOOP_SLOT_REPLICATION,
	LOOP_SLOT_NET,
	LOOP_SLOT_SESSION,
	LOOP_SLOT_COMMAND,
	LOOP_SLOT_LMTP,
	LOOP_SLOT_MAIN,
	LOOP_SLOT_TEST,
	LOOP_SLOTS
};

/* ---- life ---- */

/* 0, ERR_NO_MEMORY or ERR_IO (no descriptors). On 0 *ret owns it: loop_destroy(). */
int loop_create(unsigned index, struct loop **ret);
/* Runs on the calling thread, until loop_stop(). */
void loop_run(struct loop *l);
/* Runs on a thread of its own, named "loop-N". 0 or ERR_IO. */
int loop_start(struct loop *l);
/* Ask it to end after the present turn. Thread: any. */
void loop_stop(struct loop *l);
/* Wait for the thread of loop_start(). Thread: the one that started it. */
void loop_join(struct loop *l);
/* Not running any more. Drops undelivered messages. Accepts NULL, leaves NULL. */
void loop_destroy(struct loop **l);
/* Call `fn` on the loop's thread when it ends, last added first; it may still post and close. */
void loop_on_stop(struct loop *l, void (*fn)(struct loop *l, void *data), void *data);

/* 0 .. loops - 1. Thread: any. */
unsigned loop_index(const struct loop *l);
bool loop_is_mine(const struct loop *l); /* does the caller run on it? Thread: any. */
void loop_assert_mine(const struct loop *l);
struct uv_loop_s *loop_uv(struct loop *l);
/* CLOCK_BOOTTIME in ms and CLOCK_REALTIME in us as of the first call after this turn's poll. */
uint64_t loop_now_ms(struct loop *l);
uint64_t loop_real_us(struct loop *l);

void loop_set_slot(struct loop *l, enum loop_slot slot, void *p);
void *loop_slot(const struct loop *l, enum loop_slot slot);

/* ---- messages ---- */

/* Others send here. Thread: any. Its receiver is the struct loop *. */
struct inbox *loop_inbox(struct loop *l);
/* inbox_offer() to its inbox: 0 (and *m is empty), or ERR_BUSY and nothing is taken. Thread: any.
 */
int loop_post(struct loop *to, struct message_list *m);
int loop_post_one(struct loop *to, struct message *m);
/* From loop `l` to `to` (another loop's inbox, the log writer's, ...): gathered, and handed over as
 * one list per target in LOOP_SEND of this turn. 0; or ERR_BUSY at once when `to` is full, and the
 * caller keeps the message. loop_send_forced() never fails (see inbox_force()). */
int loop_send(struct loop *l, struct inbox *to, struct message *m);
void loop_send_forced(struct loop *l, struct inbox *to, struct message *m);

/* ---- phases ---- */

/* `fn` is called in each turn in which `phase` was marked; several are called in the order they
 * were added. */
void loop_add_phase(struct loop *l, enum loop_phase phase, void (*fn)(struct loop *l, void *data),
		    void *data);
void loop_mark(struct loop *l, enum loop_phase phase);

/* Call later in this turn, before the flush, when nothing of ours is on the stack; from the flush
 * on, in the next turn. {0} is idle. Deferring one that is already deferred does nothing. */
struct loop_deferred {
	struct loop_deferred *next;
	void (*fn)(struct loop_deferred *d);
	bool queued;
};
void loop_defer(struct loop *l, struct loop_deferred *d, void (*fn)(struct loop_deferred *d));
void loop_undefer(struct loop *l, struct loop_deferred *d);

/* ---- timers ---- */

/* A coarse timer: tens of thousands of them cost nothing while they do not fire; setting one that
 * is set to a later time is one store. Fires up to a second late, never early. {0} is idle. */
struct loop_alarm {
	struct loop_alarm *next; /* private to loop.c */
	struct loop_alarm **pprev;
	uint64_t due_ms;
	void (*fn)(struct loop_alarm *a);
};
void loop_alarm_set(struct loop *l, struct loop_alarm *a, uint64_t after_ms,
		    void (*fn)(struct loop_alarm *a));
void loop_alarm_clear(struct loop *l, struct loop_alarm *a);
bool loop_alarm_is_set(const struct loop_alarm *a);

/* A precise timer (ms). */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *data), void *data);
/* `repeat_ms` 0: once. Starting one that runs sets it anew. */
void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
/* Accepts NULL, leaves NULL. May be called in its own callback. */
void loop_timer_free(struct loop_timer **t);

/* ---- figures; thread: any ---- */

struct loop_figures {
	uint64_t turns;
	uint64_t messages; /* delivered */
	uint64_t wakeups;  /* of this loop by other threads */
	uint64_t busy_us;  /* not waiting in poll */
};
void loop_figures(const struct loop *l, struct loop_figures *ret);

#endif
