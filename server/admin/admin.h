/* admin.h: the admin HTTP port, for people, scripts and Prometheus; on loopback by default.
 *
 *   GET    /healthz          200 while the process lives
 *   GET    /readyz           200 once everything is recovered and the ports are open, else 503
 *   GET    /metrics          Prometheus' text format
 *   GET    /status           JSON
 *   GET    /accounts         {"accounts":[{"name":..,"created":..},..]}
 *   POST   /accounts         {"name":..,"password":..}     201 {"name":..}, 409
 *   PUT    /accounts/NAME    {"password":..}               204, 404
 *   DELETE /accounts/NAME                                  204, 404
 *
 * libmicrohttpd runs it on one thread of its own. Account ops go as a message to a loop, which asks
 * the router; the HTTP request is suspended meanwhile and answers 503 when nobody answered in time.
 * Errors are JSON as well: {"error":".."}. There is no authentication; but what a browser sends for
 * another site (an Origin header) changes nothing: 403. */
#ifndef SERVER_ADMIN_ADMIN_H
#define SERVER_ADMIN_ADMIN_H

#include "server/auth/auth.h"
#include "storage/base/buf.h"
#include "storage/base/loop.h"
#include "storage/base/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct admin;

/* An account as the list shows it. */
struct admin_account {
	const char *name;
	int64_t created; /* unix seconds */
};

struct admin_options {
	const char *address; /* "127.0.0.1" */
	uint16_t port;       /* 0: any */
	struct loop *loop;   /* from whose front account ops are sent */
	struct auth *auth;
	struct metrics *metrics;

	void *data; /* for the callbacks, which run on admin's thread */
	/* NULL: ready. Else why not (a constant). */
	const char *(*not_ready)(void *data);
	/* Append a JSON object. */
	void (*status)(void *data, struct buf *out);
	/* Call `each` for every account of this node, in any order. 0 or an error. */
	int (*accounts)(void *data, void (*each)(void *to, const struct admin_account *a),
			void *to);
};

/* 0; ERR_EXISTS: the port is taken; ERR_BAD_INPUT: not an address; ERR_IO. On 0 *ret owns it:
 * admin_close(). Thread: main. */
int admin_open(const struct admin_options *o, struct admin **ret);
uint16_t admin_port(const struct admin *a);
/* Ends what is under way. Before the loops end. Accepts NULL, leaves NULL. */
void admin_close(struct admin **a);

#endif
