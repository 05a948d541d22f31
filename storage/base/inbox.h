/* inbox.h: how threads meet. A bounded queue with many producers and one consumer that takes
 * everything at once, in order. (Many consumers of one queue: workpool.h.)
 *
 * Messages are intrusive: whoever sends puts a struct message into what it sends, so a send
 * allocates nothing. From the send on the message belongs to the inbox, from deliver() on to the
 * receiver. Messages of one producer to one inbox are delivered in the order they were sent. */
#ifndef STORAGE_BASE_INBOX_H
#define STORAGE_BASE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
	struct message *next; /* the inbox's own while it is there */
	/* Called once, on the consumer's thread. `receiver` is what inbox_init() was given: for a
	 * loop's inbox its struct loop *. May free the message or send it on. */
	void (*deliver)(struct message *m, void *receiver);
	/* Called instead of deliver() when the receiver is gone for good (shutting down). NULL:
	 * there is nothing to free. */
	void (*drop)(struct message *m);
};

/* {0} is empty. First in, first out. */
struct message_list {
	struct message *first;
	struct message *last;
	size_t count;
};

void message_list_put(struct message_list *l, struct message *m);
struct message *message_list_take(struct message_list *l);                 /* NULL when empty */
void message_list_join(struct message_list *l, struct message_list *more); /* empties `more` */

/* The fields are private to inbox.c. */
struct inbox {
	/* Fixed at init. */
	size_t capacity; /* messages */
	void *receiver;
	void (*wake)(void *data); /* NULL: the consumer sleeps in inbox_wait() */
	void *wake_data;

	/* Shared, a cache line of their own. */
	_Alignas(64) _Atomic(struct message *) newest; /* linked from the newest to the oldest */
	_Atomic size_t count;                          /* taken places, reserved ones included */
	_Atomic uint32_t asleep;                       /* 1: the consumer needs a wake-up */
};

/* `wake` makes the consumer look again, from any thread, and is called only when it sleeps. */
void inbox_init(struct inbox *b, size_t capacity, void *receiver, void (*wake)(void *data),
		void *wake_data);

/* Producers. Thread: any. */

/* All of the list, or (false: ERR_BUSY) nothing of it. On true *l is empty. */
bool inbox_offer(struct inbox *b, struct message_list *l);
bool inbox_offer_one(struct inbox *b, struct message *m);
/* Over the bound if need be. Only for what is bounded elsewhere: completions, whose number is
 * bounded by their requests, and moving connections. */
void inbox_force(struct inbox *b, struct message_list *l);
void inbox_force_one(struct inbox *b, struct message *m);
/* Take places first and fill them later: false when there are not `n`. A producer that gathers
 * a list for the end of its turn reserves a place per message and never meets a full inbox. */
bool inbox_reserve(struct inbox *b, size_t n);
void inbox_reserve_forced(struct inbox *b, size_t n);             /* as inbox_force() */
void inbox_put_reserved(struct inbox *b, struct message_list *l); /* empties *l */

/* The consumer. Thread: one. */

/* Everything that is there, oldest first; {0} if nothing. */
struct message_list inbox_take(struct inbox *b);
/* inbox_take() and deliver() of each. Returns how many. */
size_t inbox_deliver(struct inbox *b);
/* Sleep until there is something, for at most `timeout_ms` (-1: without end; 0: just look).
 * True if there is something to take. Only for an inbox without `wake`. */
bool inbox_wait(struct inbox *b, int64_t timeout_ms);
/* For a consumer that sleeps elsewhere (epoll): announce it. False: there is something, do not
 * sleep. Afterwards, however it woke up, it calls inbox_woke(). */
bool inbox_may_sleep(struct inbox *b);
void inbox_woke(struct inbox *b);
/* drop() what is left. After the producers have ended. */
void inbox_drop(struct inbox *b);

/* How many are waiting, about. Thread: any. */
size_t inbox_length(const struct inbox *b);

#endif
