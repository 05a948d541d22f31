/* clock.h: the two clocks. Deadlines, leases and timers use the first, which never jumps and goes
 * on while the machine sleeps; dates that are stored or shown use the second. A loop caches the
 * first once per turn: loop_now_ms(). Thread: any. */
#ifndef STORAGE_BASE_CLOCK_H
#define STORAGE_BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_BOOTTIME. Its zero is the start of the machine. */
uint64_t clock_boot_ms(void);
uint64_t clock_boot_ns(void); /* for latencies */

/* CLOCK_REALTIME since 1970. May jump. */
uint64_t clock_real_us(void);
int64_t clock_real_seconds(void);

#endif
