/* listener.c: how a port is both exclusive and shared (Linux). The first loop's socket is bound and
 * listens without SO_REUSEPORT: a second server, of whatever kind, fails there, also if both start
 * at the same moment, because listen(2) checks once more. Then SO_REUSEPORT is switched on for that
 * socket, and those of the other loops join it. From then on a second server fails too, since its
 * first socket does not have the option. */
#include "server/net/listener.h"

#include "server/net/conn_private.h"
#include "storage/base/err.h"
#include "storage/base/logfmt.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER_MAGIC = 0x6c73746e, KEEPALIVE_IDLE_SECONDS = 300 };

/* One loop's socket. */
struct port_socket {
	uint32_t magic;
	struct listener *listener;
	struct loop *loop;
	int fd;       /* -1: closed */
	bool polled;  /* `poll` is initialised and not closed */
	bool starved; /* no descriptors: said so, until one is accepted */
	uv_poll_t poll;
	struct loop_timer *retry; /* accept again after a pause */
	struct message start;
	struct message stop;
};

struct listener {
	struct listener_options options;
	struct net *net;
	uint16_t port;
	size_t count;
	struct port_socket *sockets; /* one per loop */
};

static struct port_socket *port_socket_of(void *data)
{
	struct port_socket *p = data;

	assert(p != NULL && p->magic == LISTENER_MAGIC);
	loop_assert_mine(p->loop);
	return p;
}

/* ---- accepting ---- */

static void port_on_poll(uv_poll_t *handle, int status, int events);

static void port_watch(struct port_socket *p)
{
	int rc = uv_poll_start(&p->poll, UV_READABLE, port_on_poll);

	assert(rc == 0);
}

static void port_on_retry(void *data)
{
	struct port_socket *p = port_socket_of(data);

	if (p->polled)
		port_watch(p);
}

/* The kernel goes on saying "readable", so to try again at once would be a busy loop. */
static void port_pause(struct port_socket *p, int errnum)
{
	atomic_fetch_add(&p->listener->net->accept_failures, 1);
	if (!p->starved)
		log_error("cannot accept connections", LOG_U64("port", p->listener->port),
			  LOG_ERRNO(errnum), LOG_END);
	p->starved = true;
	uv_poll_stop(&p->poll);
	loop_timer_start(p->retry, ACCEPT_PAUSE_MILLISECONDS, 0);
}

static void port_refuse(const struct listener *l, int fd)
{
	const char *text = l->options.refusal;

	if (text != NULL && l->options.tls == NULL)
		(void)!send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void port_welcome(struct port_socket *p, int fd, const union net_address *from)
{
	const struct listener *l = p->listener;

	if (!net_admit(l->net, from)) {
		port_refuse(l, fd);
		return;
	}
	struct conn *c =
		conn_accept(p->loop, fd, from, l->options.handler, l->options.data, l->options.tls);
	c->admitted = true;
}

/* False: no more for now. */
static bool port_accept(struct port_socket *p)
{
	union net_address from = { 0 };
	socklen_t bytes = sizeof(from);
	int fd = accept4(p->fd, &from.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		p->starved = false;
		port_welcome(p, fd, &from);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		port_pause(p, errno);
		return false;
	}
	return errno != EAGAIN; /* what else there is concerns one connection that is gone */
}

static void port_on_poll(uv_poll_t *handle, int status, int events)
{
	struct port_socket *p = port_socket_of(handle->data);

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH_MAX && p->polled && port_accept(p); i++)
		;
}

/* ---- start and stop, on the socket's loop ---- */

static void port_on_start(struct message *m, void *receiver)
{
	struct port_socket *p = port_socket_of((char *)m - offsetof(struct port_socket, start));

	assert(p->loop == receiver);
	if (p->fd < 0)
		return; /* stopped before */
	p->retry = loop_timer_new(p->loop, port_on_retry, p);
	int rc = uv_poll_init(loop_uv(p->loop), &p->poll, p->fd);
	assert(rc == 0);
	p->poll.data = p;
	p->polled = true;
	port_watch(p);
}

static void port_on_gone(uv_handle_t *handle)
{
	(void)handle; /* the memory is the listener's, which outlives the loops */
}

static void port_close(struct port_socket *p)
{
	if (p->polled)
		uv_close((uv_handle_t *)&p->poll, port_on_gone);
	p->polled = false;
	loop_timer_free(&p->retry);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void port_on_stop(struct message *m, void *receiver)
{
	struct port_socket *p = port_socket_of((char *)m - offsetof(struct port_socket, stop));

	assert(p->loop == receiver);
	port_close(p);
}

static void port_on_loop_end(struct loop *l, void *data)
{
	struct port_socket *p = port_socket_of(data);

	assert(p->loop == l);
	port_close(p);
}

void listener_start(struct listener *l)
{
	for (size_t i = 0; i < l->count; i++)
		inbox_force_one(loop_inbox(l->sockets[i].loop), &l->sockets[i].start);
}

void listener_stop(struct listener *l)
{
	for (size_t i = 0; i < l->count; i++)
		inbox_force_one(loop_inbox(l->sockets[i].loop), &l->sockets[i].stop);
}

/* ---- binding, before the loops run ---- */

static int address_parse(const char *text, uint16_t port, union net_address *ret, socklen_t *bytes)
{
	*ret = (union net_address){ 0 };
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
		ret->family = AF_INET;
		ret->v4.sin_port = htons(port);
		*bytes = sizeof(ret->v4);
		return OK;
	}
	if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
		ret->family = AF_INET6;
		ret->v6.sin6_port = htons(port);
		*bytes = sizeof(ret->v6);
		return OK;
	}
	return ERR_BAD_INPUT;
}

static int bind_err(void)
{
	switch (errno) {
	case EADDRINUSE: return ERR_EXISTS;
	case EACCES: return ERR_DENIED;
	case EADDRNOTAVAIL: return ERR_BAD_INPUT;
	default: return ERR_IO;
	}
}

static bool set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* Connections inherit the TCP options of the socket that they are accepted from. */
static int listen_on(const union net_address *at, socklen_t bytes, bool shared, int *ret)
{
	int fd = socket(at->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_IO;
	bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
		  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
		  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
		  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
	if (ok && at->family == AF_INET6)
		ok = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (ok && shared)
		ok = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!ok || bind(fd, &at->any, bytes) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
		int rc = ok ? bind_err() : ERR_IO;

		close(fd);
		return rc;
	}
	*ret = fd;
	return OK;
}

static int listener_bind(struct listener *l)
{
	union net_address at;
	socklen_t bytes;
	int rc = address_parse(l->options.address, l->options.port, &at, &bytes);

	if (rc < 0)
		return rc;
	rc = listen_on(&at, bytes, false, &l->sockets[0].fd);
	if (rc < 0)
		return rc;
	if (getsockname(l->sockets[0].fd, &at.any, &bytes) != 0 ||
	    !set_option(l->sockets[0].fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return ERR_IO;
	l->port = ntohs(at.family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
	for (size_t i = 1; i < l->count && rc == OK; i++)
		rc = listen_on(&at, bytes, true, &l->sockets[i].fd);
	return rc;
}

int listener_open(struct net *net, const struct listener_options *options, struct listener **ret)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	l->options = *options;
	l->net = net;
	l->count = net->count;
	l->sockets = calloc(l->count, sizeof(*l->sockets));
	if (l->sockets == NULL)
		abort();
	for (size_t i = 0; i < l->count; i++)
		l->sockets[i] = (struct port_socket){
			.magic = LISTENER_MAGIC,
			.listener = l,
			.loop = net->loops[i].loop,
			.fd = -1,
			.start.deliver = port_on_start,
			.stop.deliver = port_on_stop,
		};
	int rc = listener_bind(l);
	if (rc < 0) {
		listener_free(&l);
		return rc;
	}
	for (size_t i = 0; i < l->count; i++)
		loop_on_stop(l->sockets[i].loop, port_on_loop_end, &l->sockets[i]);
	*ret = l;
	return OK;
}

uint16_t listener_port(const struct listener *l)
{
	return l->port;
}

void listener_free(struct listener **listener)
{
	struct listener *l = *listener;

	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++)
		if (l->sockets[i].fd >= 0)
			close(l->sockets[i].fd);
	free(l->sockets);
	free(l);
	*listener = NULL;
}
