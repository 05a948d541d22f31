/* sim_loop.h: storage/base/{loop,clock,workpool}.h without threads, sockets and time of their own.
 * sim_loop.c defines the very functions of these headers; linked into a program before tm_base, it
 * takes their place, so that the code above runs as it is, one step at a time. */
#ifndef TESTS_SIM_LIB_SIM_LOOP_H
#define TESTS_SIM_LIB_SIM_LOOP_H

#include "storage/base/loop.h"
#include "storage/base/workpool.h"

/* One turn: timers, inbox, phases, what was gathered. */
void sim_loop_turn(struct loop *l);

/* What the end of the loop's thread does: its stop hooks. Before what stands over it is closed. */
void sim_loop_stop(struct loop *l);

/* The first waiting job of a pool runs now. False: there is none. */
bool sim_workpool_run(struct workpool *p);

/* Time passes. */
void sim_clock_set(uint64_t ms);
void sim_clock_advance(uint64_t ms);

#endif
