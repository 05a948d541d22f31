/* random.h: seeded random numbers for model tests. TEST_SEED=n repeats a run. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct test_random {
	uint64_t state;
};

/* Prints the seed, so that a failure can be repeated. */
static inline struct test_random random_start(const char *what)
{
	const char *given = getenv("TEST_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given != NULL ? strtoull(given, NULL, 10)
			     : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
	printf("%s: TEST_SEED=%llu\n", what, (unsigned long long)seed);
	fflush(stdout);
	return (struct test_random){ seed | 1 };
}

static inline uint64_t random_u64(struct test_random *r)
{
	r->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
	uint64_t z = r->state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 .. below - 1 */
static inline uint32_t random_below(struct test_random *r, uint32_t below)
{
	return (uint32_t)(random_u64(r) % below);
}

#endif
