/* inbox.c: a stack that producers push whole chains on and the consumer takes as a whole.
 *
 * Invariants:
 *   I1  `newest` links from the newest message to the oldest, so a chain is turned round once when
 *       it is pushed and once when it is taken; there is no pop of one message, hence no ABA.
 *   I2  `count` is never below the messages in the chain: a place is taken before the push and
 *       given back after the take.
 *   I3  no wake-up is lost: a producer pushes, then reads `asleep`; the consumer sets `asleep`,
 *       then looks at `newest`. Both are sequentially consistent, so one of them sees the other. */
#include "storage/base/inbox.h"

#include <assert.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void message_list_put(struct message_list *l, struct message *m)
{
	m->next = NULL;
	if (l->last == NULL)
		l->first = m;
	else
		l->last->next = m;
	l->last = m;
	l->count++;
}

struct message *message_list_take(struct message_list *l)
{
	struct message *m = l->first;

	if (m == NULL)
		return NULL;
	l->first = m->next;
	if (l->first == NULL)
		l->last = NULL;
	l->count--;
	return m;
}

void message_list_join(struct message_list *l, struct message_list *more)
{
	if (more->first == NULL)
		return;
	if (l->last == NULL)
		l->first = more->first;
	else
		l->last->next = more->first;
	l->last = more->last;
	l->count += more->count;
	*more = (struct message_list){ 0 };
}

void inbox_init(struct inbox *b, size_t capacity, void *receiver, void (*wake)(void *data),
		void *wake_data)
{
	assert(capacity > 0);
	b->capacity = capacity;
	b->receiver = receiver;
	b->wake = wake;
	b->wake_data = wake_data;
	atomic_init(&b->newest, NULL);
	atomic_init(&b->count, 0);
	atomic_init(&b->asleep, 0);
}

/* ---- producers ---- */

static struct message *chain_reverse(struct message *m)
{
	struct message *turned = NULL;

	while (m != NULL) {
		struct message *next = m->next;

		m->next = turned;
		turned = m;
		m = next;
	}
	return turned;
}

static void inbox_wake(struct inbox *b)
{
	if (atomic_load(&b->asleep) == 0 || atomic_exchange(&b->asleep, 0) == 0)
		return; /* awake, or another producer wakes it */
	if (b->wake != NULL)
		b->wake(b->wake_data);
	else
		syscall(SYS_futex, &b->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The places are taken already. */
void inbox_put_reserved(struct inbox *b, struct message_list *l)
{
	struct message *oldest = l->first;
	struct message *newest = l->last;

	if (oldest == NULL)
		return;
	*l = (struct message_list){ 0 };
	chain_reverse(oldest);
	oldest->next = atomic_load_explicit(&b->newest, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&b->newest, &oldest->next, newest))
		;
	inbox_wake(b);
}

bool inbox_reserve(struct inbox *b, size_t n)
{
	size_t count = atomic_load_explicit(&b->count, memory_order_relaxed);

	do {
		if (n > b->capacity || count > b->capacity - n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&b->count, &count, count + n, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void inbox_reserve_forced(struct inbox *b, size_t n)
{
	atomic_fetch_add_explicit(&b->count, n, memory_order_relaxed);
}

bool inbox_offer(struct inbox *b, struct message_list *l)
{
	if (!inbox_reserve(b, l->count))
		return false;
	inbox_put_reserved(b, l);
	return true;
}

bool inbox_offer_one(struct inbox *b, struct message *m)
{
	struct message_list l = { 0 };

	message_list_put(&l, m);
	return inbox_offer(b, &l);
}

void inbox_force(struct inbox *b, struct message_list *l)
{
	inbox_reserve_forced(b, l->count);
	inbox_put_reserved(b, l);
}

void inbox_force_one(struct inbox *b, struct message *m)
{
	struct message_list l = { 0 };

	message_list_put(&l, m);
	inbox_force(b, &l);
}

/* ---- the consumer ---- */

struct message_list inbox_take(struct inbox *b)
{
	struct message_list l = { 0 };

	if (atomic_load_explicit(&b->newest, memory_order_relaxed) == NULL)
		return l; /* spares the empty inbox an atomic exchange */
	l.last = atomic_exchange(&b->newest, NULL);
	l.first = chain_reverse(l.last);
	for (struct message *m = l.first; m != NULL; m = m->next)
		l.count++;
	size_t before = atomic_fetch_sub_explicit(&b->count, l.count, memory_order_relaxed);
	assert(before >= l.count); /* I2 */
	return l;
}

size_t inbox_deliver(struct inbox *b)
{
	struct message_list l = inbox_take(b);
	size_t count = l.count;
	struct message *m;

	while ((m = message_list_take(&l)) != NULL)
		m->deliver(m, b->receiver);
	return count;
}

bool inbox_may_sleep(struct inbox *b)
{
	atomic_store(&b->asleep, 1);
	if (atomic_load(&b->newest) == NULL)
		return true;
	atomic_store(&b->asleep, 0);
	return false;
}

void inbox_woke(struct inbox *b)
{
	atomic_store_explicit(&b->asleep, 0, memory_order_relaxed);
}

static bool inbox_has_some(struct inbox *b)
{
	return atomic_load_explicit(&b->newest, memory_order_relaxed) != NULL;
}

bool inbox_wait(struct inbox *b, int64_t timeout_ms)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000 };

	assert(b->wake == NULL);
	while (!inbox_has_some(b)) {
		if (timeout_ms == 0)
			return false;
		if (!inbox_may_sleep(b))
			return true;
		syscall(SYS_futex, &b->asleep, FUTEX_WAIT_PRIVATE, 1, timeout_ms < 0 ? NULL : &ts,
			NULL, 0);
		inbox_woke(b);
		if (timeout_ms > 0)
			return inbox_has_some(b); /* early by a spurious wake-up at worst */
	}
	return true;
}

void inbox_drop(struct inbox *b)
{
	struct message_list l = inbox_take(b);
	struct message *m;

	while ((m = message_list_take(&l)) != NULL)
		if (m->drop != NULL)
			m->drop(m);
}

size_t inbox_length(const struct inbox *b)
{
	return atomic_load_explicit(&b->count, memory_order_relaxed);
}
