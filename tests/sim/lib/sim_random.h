/* sim_random.h: the one source of chance in a simulation: the same seed, the same run. */
#ifndef TESTS_SIM_LIB_SIM_RANDOM_H
#define TESTS_SIM_LIB_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
	uint64_t state;
};

/* splitmix64 */
static inline uint64_t sim_next(struct sim_random *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 .. n - 1 */
static inline uint64_t sim_below(struct sim_random *r, uint64_t n)
{
	return sim_next(r) % n;
}

static inline bool sim_chance(struct sim_random *r, unsigned percent)
{
	return sim_below(r, 100) < percent;
}

#endif
