/* throttle.c: a table of what failed, in sets of WAYS entries; which set is a keyed hash, so that
 * nobody can aim at another's entries.
 *
 *   H1  a delay is never longer than max_ms, so nobody is kept out.
 *   H2  an entry that is known good gives way to none but another known good one. */
#include "server/auth/throttle.h"

#include "storage/base/limits.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <xxhash.h>

enum { WAYS = 8, KEY_MAX_BYTES = 80 };

struct entry {
	uint64_t key;        /* 0: free */
	uint64_t updated_ms; /* as of when `failures` is right */
	uint64_t next_ms;    /* the next attempt is looked at then */
	uint32_t failures;
	bool known; /* a login succeeded: only of a pair */
};

struct throttle {
	uint64_t seed;
	size_t sets;

	pthread_mutex_t lock; /* all below */
	uint64_t first_ms;
	uint64_t max_ms;
	struct entry *entries; /* sets * WAYS */
};

struct throttle *throttle_create(uint64_t first_ms, uint64_t max_ms, size_t entries)
{
	struct throttle *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	t->sets = entries < WAYS ? 1 : entries / WAYS;
	t->entries = calloc(t->sets * WAYS, sizeof(*t->entries));
	if (t->entries == NULL || RAND_bytes((unsigned char *)&t->seed, sizeof(t->seed)) != 1)
		abort();
	t->first_ms = first_ms;
	t->max_ms = max_ms;
	(void)pthread_mutex_init(&t->lock, NULL);
	return t;
}

void throttle_free(struct throttle **t)
{
	if (*t == NULL)
		return;
	(void)pthread_mutex_destroy(&(*t)->lock);
	free((*t)->entries);
	free(*t);
	*t = NULL;
}

void throttle_set(struct throttle *t, uint64_t first_ms, uint64_t max_ms)
{
	(void)pthread_mutex_lock(&t->lock);
	t->first_ms = first_ms;
	t->max_ms = max_ms;
	(void)pthread_mutex_unlock(&t->lock);
}

/* ---- keys ---- */

/* What counts as one address: four bytes of IPv4, eight of IPv6; else the text. *shared: all sorts
 * of people come from it. */
static size_t address_key(const char *address, uint8_t out[static KEY_MAX_BYTES], bool *shared)
{
	struct in6_addr six;
	struct in_addr four;

	*shared = false;
	if (inet_pton(AF_INET, address, &four) == 1) {
		memcpy(out, &four, sizeof(four));
		*shared = out[0] == 127;
		return sizeof(four);
	}
	if (inet_pton(AF_INET6, address, &six) == 1) {
		*shared = IN6_IS_ADDR_LOOPBACK(&six);
		if (IN6_IS_ADDR_V4MAPPED(&six)) {
			memcpy(out, six.s6_addr + 12, 4);
			*shared = out[0] == 127;
			return 4;
		}
		memcpy(out, &six, 8);
		return 8;
	}
	size_t n = strnlen(address, KEY_MAX_BYTES);
	memcpy(out, address, n);
	return n;
}

static uint64_t hash(uint64_t seed, const void *at, size_t bytes)
{
	uint64_t h = XXH64(at, bytes, seed);

	return h == 0 ? 1 : h;
}

struct keys {
	uint64_t pair;
	uint64_t address; /* 0: not looked at */
};

static struct keys keys_of(const struct throttle *t, struct span account, const char *address)
{
	uint8_t bytes[KEY_MAX_BYTES];
	bool shared;
	size_t n = address_key(address, bytes, &shared);
	uint64_t a = hash(t->seed, bytes, n);

	return (struct keys){ .pair = hash(a, account.at, account.bytes),
			      .address = shared ? 0 : a };
}

/* ---- entries ---- */

static struct entry *find(struct throttle *t, uint64_t key)
{
	struct entry *set = t->entries + key % t->sets * WAYS;

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

static bool gives_way_before(const struct entry *a, const struct entry *b)
{
	if ((a->key == 0) != (b->key == 0))
		return a->key == 0;
	return a->known != b->known ? !a->known : a->updated_ms < b->updated_ms;
}

/* NULL: its set is full of known ones, and it is not (H2). */
static struct entry *find_or_add(struct throttle *t, uint64_t key, bool known, uint64_t now_ms)
{
	struct entry *e = find(t, key);

	if (e != NULL)
		return e;
	e = t->entries + key % t->sets * WAYS;
	for (size_t i = 1; i < WAYS; i++) {
		struct entry *other = t->entries + key % t->sets * WAYS + i;
		if (gives_way_before(other, e))
			e = other;
	}
	if (e->key != 0 && e->known && !known)
		return NULL;
	*e = (struct entry){ .key = key, .updated_ms = now_ms };
	return e;
}

/* Half of the failures are forgotten every THROTTLE_HALF_SECONDS. */
static void forget(struct entry *e, uint64_t now_ms)
{
	uint64_t half_ms = (uint64_t)THROTTLE_HALF_SECONDS * 1000;
	uint64_t halves = now_ms > e->updated_ms ? (now_ms - e->updated_ms) / half_ms : 0;

	e->failures = halves > 31 ? 0 : e->failures >> halves;
	e->updated_ms += halves * half_ms;
}

/* `first` for the first failure that is not free, twice that for the next, ... */
static uint64_t delay_of(const struct throttle *t, const struct entry *e, uint32_t free_failures)
{
	if (e->failures < free_failures)
		return 0;
	uint32_t doublings = e->failures - free_failures;
	uint64_t delay = doublings > 30 ? t->max_ms : t->first_ms << doublings;
	return delay < t->max_ms ? delay : t->max_ms;
}

/* When this attempt is looked at; those that come at the same time line up behind it. */
static uint64_t take_turn(struct entry *e, uint64_t delay, uint64_t max, uint64_t now_ms)
{
	uint64_t from = e->next_ms > now_ms ? e->next_ms : now_ms;
	uint64_t at = from + delay;

	if (delay == 0)
		return 0;
	if (at > now_ms + max)
		at = now_ms + max;
	e->next_ms = at;
	return at - now_ms;
}

uint64_t throttle_delay_ms(struct throttle *t, struct span account, const char *address,
			   uint64_t now_ms)
{
	struct keys k = keys_of(t, account, address);
	uint64_t delay = 0;
	bool known = false;

	(void)pthread_mutex_lock(&t->lock);
	struct entry *pair = find(t, k.pair);
	if (pair != NULL) {
		known = pair->known;
		forget(pair, now_ms);
		uint64_t max = t->max_ms;
		if (known && max > THROTTLE_KNOWN_MAX_MILLISECONDS)
			max = THROTTLE_KNOWN_MAX_MILLISECONDS;
		delay = take_turn(pair, delay_of(t, pair, THROTTLE_PAIR_FREE), max, now_ms);
	}
	struct entry *all = known || k.address == 0 ? NULL : find(t, k.address);
	if (all != NULL) {
		forget(all, now_ms);
		uint64_t d =
			take_turn(all, delay_of(t, all, THROTTLE_ADDRESS_FREE), t->max_ms, now_ms);
		delay = d > delay ? d : delay;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return delay;
}

static void count_failure(struct throttle *t, uint64_t key, uint64_t now_ms)
{
	struct entry *e = find_or_add(t, key, false, now_ms);

	if (e == NULL)
		return;
	forget(e, now_ms);
	if (e->failures < UINT32_MAX)
		e->failures++;
}

void throttle_failed(struct throttle *t, struct span account, const char *address, uint64_t now_ms)
{
	struct keys k = keys_of(t, account, address);

	(void)pthread_mutex_lock(&t->lock);
	count_failure(t, k.pair, now_ms);
	if (k.address != 0)
		count_failure(t, k.address, now_ms);
	(void)pthread_mutex_unlock(&t->lock);
}

void throttle_succeeded(struct throttle *t, struct span account, const char *address,
			uint64_t now_ms)
{
	struct keys k = keys_of(t, account, address);

	(void)pthread_mutex_lock(&t->lock);
	struct entry *e = find_or_add(t, k.pair, true, now_ms);
	*e = (struct entry){ .key = k.pair, .updated_ms = now_ms, .known = true };
	(void)pthread_mutex_unlock(&t->lock);
}
