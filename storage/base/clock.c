#include "storage/base/clock.h"

#include <assert.h>
#include <time.h>

static struct timespec clock_now(clockid_t id)
{
	struct timespec ts;

	int rc = clock_gettime(id, &ts);
	assert(rc == 0); /* both clocks exist on every Linux we run on */
	return ts;
}

uint64_t clock_boot_ns(void)
{
	struct timespec ts = clock_now(CLOCK_BOOTTIME);

	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_boot_ms(void)
{
	return clock_boot_ns() / 1000000u;
}

uint64_t clock_real_us(void)
{
	struct timespec ts = clock_now(CLOCK_REALTIME);

	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

int64_t clock_real_seconds(void)
{
	return (int64_t)clock_now(CLOCK_REALTIME).tv_sec;
}
