/* net.c: who may come, how many are there, and what the connections of one loop share. */
#include "server/net/net.h"

#include "server/net/conn_private.h"
#include "server/net/net_private.h"
#include "storage/base/err.h"

#include <assert.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct address_count {
	struct address_count *next;
	uint8_t key[16];
	uint64_t connections;
};

/* ---- who may come ---- */

/* An IPv4 address as ::ffff:a.b.c.d; of an IPv6 address the /64, which is what one customer has. */
static void address_key(const union net_address *from, uint8_t key[static 16])
{
	memset(key, 0, 16);
	if (from->family == AF_INET) {
		key[10] = key[11] = 0xff;
		memcpy(key + 12, &from->v4.sin_addr, 4);
	} else if (from->family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&from->v6.sin6_addr);

		memcpy(key, &from->v6.sin6_addr, mapped ? 16 : 8);
	}
}

/* Under the lock. NULL if nobody is here from there; with `make` never. */
static struct address_count **address_find(struct net *n, const uint8_t key[static 16])
{
	size_t i = XXH3_64bits_withSeed(key, 16, n->hash_seed) % ADDRESS_BUCKETS;
	struct address_count **at = &n->buckets[i];

	while (*at != NULL && memcmp((*at)->key, key, 16) != 0)
		at = &(*at)->next;
	return at;
}

static bool address_admit(struct net *n, const union net_address *from)
{
	uint64_t max = atomic_load(&n->per_address_max);
	uint8_t key[16];
	bool ok = true;

	address_key(from, key);
	pthread_mutex_lock(&n->lock);
	struct address_count **at = address_find(n, key);
	if (*at == NULL && max > 0) {
		*at = calloc(1, sizeof(**at));
		if (*at == NULL)
			abort();
		memcpy((*at)->key, key, 16);
		(*at)->connections = 1;
	} else if (*at != NULL && (*at)->connections < max) {
		(*at)->connections++;
	} else {
		ok = false;
	}
	pthread_mutex_unlock(&n->lock);
	return ok;
}

static void address_leave(struct net *n, const union net_address *from)
{
	uint8_t key[16];

	address_key(from, key);
	pthread_mutex_lock(&n->lock);
	struct address_count **at = address_find(n, key);
	struct address_count *a = *at;
	assert(a != NULL && a->connections > 0);
	if (--a->connections == 0) {
		*at = a->next;
		free(a);
	}
	pthread_mutex_unlock(&n->lock);
}

bool net_admit(struct net *n, const union net_address *from)
{
	uint64_t before = atomic_fetch_add(&n->connections, 1);

	if (before < atomic_load(&n->connections_max) && address_admit(n, from)) {
		atomic_fetch_add(&n->accepted, 1);
		return true;
	}
	atomic_fetch_sub(&n->connections, 1);
	atomic_fetch_add(&n->refused, 1);
	return false;
}

void net_leave(struct net *n, const union net_address *from)
{
	address_leave(n, from);
	atomic_fetch_sub(&n->connections, 1);
}

void net_set_limits(struct net *n, uint64_t connections, uint64_t per_address)
{
	atomic_store(&n->connections_max, connections);
	atomic_store(&n->per_address_max, per_address);
}

void net_set_patience(struct net *n, uint64_t handshake_ms, uint64_t stall_ms)
{
	atomic_store(&n->handshake_ms, handshake_ms);
	atomic_store(&n->stall_ms, stall_ms);
}

/* ---- lists and buffers ---- */

void conn_link_put(struct conn_link **list, struct conn_link *link)
{
	if (link->pprev != NULL)
		return;
	link->next = *list;
	link->pprev = list;
	if (link->next != NULL)
		link->next->pprev = &link->next;
	*list = link;
}

void conn_link_cut(struct conn_link *link)
{
	if (link->pprev == NULL)
		return;
	*link->pprev = link->next;
	if (link->next != NULL)
		link->next->pprev = link->pprev;
	link->next = NULL;
	link->pprev = NULL;
}

void conn_link_move(struct conn_link **list, struct conn_link **to)
{
	*to = *list;
	*list = NULL;
	if (*to != NULL)
		(*to)->pprev = to;
}

void net_buf_take(struct net_loop *nl, struct buf *b)
{
	assert(b->at == NULL);
	if (nl->spare_count > 0)
		*b = nl->spare[--nl->spare_count];
	else
		buf_reserve(b, 4096);
}

void net_buf_give(struct net_loop *nl, struct buf *b)
{
	if (b->capacity > NET_BUF_KEEP_BYTES || nl->spare_count == NET_BUFS_MAX || b->at == NULL) {
		buf_free(b);
		return;
	}
	buf_reset(b);
	nl->spare[nl->spare_count++] = *b;
	*b = (struct buf){ 0 };
}

/* ---- life ---- */

static char *scratch_new(void)
{
	char *at = malloc(CONN_READ_BYTES);

	if (at == NULL)
		abort();
	return at;
}

static void net_loop_init(struct net_loop *nl, struct net *n, struct loop *l)
{
	nl->net = n;
	nl->loop = l;
	nl->read_at = scratch_new();
	nl->plain_at = scratch_new();
	nl->inflated_at = scratch_new();
	loop_set_slot(l, LOOP_SLOT_NET, nl);
	loop_add_phase(l, LOOP_FLUSH, conn_flush_phase, nl);
	loop_on_stop(l, conn_stop_all, nl);
}

static void net_loop_free(struct net_loop *nl)
{
	assert(nl->conns == NULL);
	while (nl->spare_count > 0)
		buf_free(&nl->spare[--nl->spare_count]);
	buf_free(&nl->deflated);
	free(nl->read_at);
	free(nl->plain_at);
	free(nl->inflated_at);
}

int net_create(struct loop *const *loops, size_t count, struct net **ret)
{
	struct net *n = calloc(1, sizeof(*n));
	struct net_loop *nls = aligned_alloc(_Alignof(struct net_loop), count * sizeof(*nls));

	assert(count > 0);
	if (n == NULL || nls == NULL)
		abort();
	memset(nls, 0, count * sizeof(*nls));
	if (RAND_bytes((unsigned char *)&n->hash_seed, sizeof(n->hash_seed)) != 1) {
		free(n);
		free(nls);
		return ERR_IO;
	}
	n->loops = nls;
	n->count = count;
	pthread_mutex_init(&n->lock, NULL);
	net_set_limits(n, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX);
	net_set_patience(n, TLS_HANDSHAKE_MAX_SECONDS * UINT64_C(1000),
			 SESSION_WRITE_STALL_MAX_SECONDS * UINT64_C(1000));
	for (size_t i = 0; i < count; i++)
		net_loop_init(&nls[i], n, loops[i]);
	*ret = n;
	return OK;
}

void net_free(struct net **net)
{
	struct net *n = *net;

	if (n == NULL)
		return;
	for (size_t i = 0; i < n->count; i++)
		net_loop_free(&n->loops[i]);
	for (size_t i = 0; i < ADDRESS_BUCKETS; i++)
		assert(n->buckets[i] == NULL); /* every connection has left */
	pthread_mutex_destroy(&n->lock);
	free(n->loops);
	free(n);
	*net = NULL;
}

size_t net_loop_count(const struct net *n)
{
	return n->count;
}

struct loop *net_loop(const struct net *n, size_t index)
{
	assert(index < n->count);
	return n->loops[index].loop;
}

struct net_loop *net_loop_of(struct loop *l)
{
	struct net_loop *nl = loop_slot(l, LOOP_SLOT_NET);

	assert(nl != NULL && nl->loop == l);
	return nl;
}

/* ---- figures ---- */

void net_count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

void net_figures(const struct net *n, struct net_figures *ret)
{
	*ret = (struct net_figures){
		.connections = atomic_load(&n->connections),
		.tls_connections = atomic_load(&n->tls_connections),
		.accepted = atomic_load(&n->accepted),
		.refused = atomic_load(&n->refused),
		.accept_failures = atomic_load(&n->accept_failures),
		.handshakes = atomic_load(&n->handshakes),
		.handshake_failures = atomic_load(&n->handshake_failures),
		.moves = atomic_load(&n->moves),
		.stalled = atomic_load(&n->stalled),
	};
	for (size_t i = 0; i < n->count; i++) {
		const struct net_loop *nl = &n->loops[i];

		ret->bytes_in += atomic_load_explicit(&nl->bytes_in, memory_order_relaxed);
		ret->bytes_out += atomic_load_explicit(&nl->bytes_out, memory_order_relaxed);
	}
}
