/* workpool.c: a mutex and a condition variable are enough here: jobs are long. (Loops, which are
 * not, meet through inboxes.) */
#include "storage/base/workpool.h"

#include "storage/base/err.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct worker {
	struct workpool *pool;
	unsigned index;
	pthread_t thread;
};

struct workpool {
	/* Fixed at open. */
	size_t capacity;
	unsigned threads;
	char name[16];
	struct worker *workers;

	/* Under the lock, which is never held while a job runs. */
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct job *first;
	struct job *last;
	size_t count;
	size_t idle; /* workers that wait: no wake-up if there is none */
	bool closing;
};

/* NULL: the pool is closing. */
static struct job *workpool_take(struct workpool *p)
{
	struct job *j = NULL;

	pthread_mutex_lock(&p->lock);
	while (p->first == NULL && !p->closing) {
		p->idle++;
		pthread_cond_wait(&p->some, &p->lock);
		p->idle--;
	}
	if (!p->closing) {
		j = p->first;
		p->first = j->next;
		if (p->first == NULL)
			p->last = NULL;
		p->count--;
	}
	pthread_mutex_unlock(&p->lock);
	return j;
}

static void *worker_main(void *data)
{
	struct worker *w = data;
	char name[16];
	struct job *j;

	(void)snprintf(name, sizeof(name), "%.12s-%u", w->pool->name, w->index % 100);
	pthread_setname_np(pthread_self(), name);
	while ((j = workpool_take(w->pool)) != NULL)
		j->run(j, w->index);
	return NULL;
}

static void workpool_end(struct workpool *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->some);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->workers[i].thread, NULL);
}

static void workpool_free(struct workpool *p)
{
	pthread_cond_destroy(&p->some);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}

int workpool_open(const char *name, unsigned threads, size_t capacity, struct workpool **ret)
{
	struct workpool *p = calloc(1, sizeof(*p));
	struct worker *workers = calloc(threads, sizeof(*workers));
	sigset_t all, before;

	assert(threads > 0 && capacity > 0);
	if (p == NULL || workers == NULL)
		abort();
	p->capacity = capacity;
	p->workers = workers;
	(void)snprintf(p->name, sizeof(p->name), "%.12s", name);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->some, NULL);

	sigfillset(&all); /* signals are for main */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (; p->threads < threads; p->threads++) {
		struct worker *w = &workers[p->threads];

		*w = (struct worker){ .pool = p, .index = p->threads };
		if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (p->threads < threads) {
		workpool_end(p);
		workpool_free(p);
		return ERR_IO;
	}
	*ret = p;
	return OK;
}

int workpool_offer(struct workpool *p, struct job *j)
{
	bool wake = false;
	int rc = ERR_BUSY;

	pthread_mutex_lock(&p->lock);
	if (p->count < p->capacity && !p->closing) {
		j->next = NULL;
		if (p->last == NULL)
			p->first = j;
		else
			p->last->next = j;
		p->last = j;
		p->count++;
		wake = p->idle > 0;
		rc = OK;
	}
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->some);
	return rc;
}

size_t workpool_length(struct workpool *p)
{
	pthread_mutex_lock(&p->lock);
	size_t count = p->count;
	pthread_mutex_unlock(&p->lock);
	return count;
}

void workpool_close(struct workpool **pool)
{
	struct workpool *p = *pool;

	if (p == NULL)
		return;
	workpool_end(p);
	while (p->first != NULL) {
		struct job *j = p->first;

		p->first = j->next;
		if (j->drop != NULL)
			j->drop(j);
	}
	workpool_free(p);
	*pool = NULL;
}
