#include "server/server.h"

#include "replication/node.h"
#include "replication/owner.h"
#include "server/admin/admin.h"
#include "server/auth/auth.h"
#include "server/command/commands.h"
#include "server/lmtp/lmtp.h"
#include "server/net/listener.h"
#include "server/net/net.h"
#include "server/net/tls.h"
#include "server/node_metrics.h"
#include "server/notify.h"
#include "server/secret.h"
#include "server/session/front.h"
#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"
#include "storage/base/metrics.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LISTENERS_MAX = 64,
	ADMINS_MAX = 8,
	FILE_NAME_MAX_BYTES = 4096,
	START_LIMIT_SECONDS = 600,
	GOODBYE_MILLISECONDS = 3000, /* how long clients may take to read their BYE */
	POLL_MILLISECONDS = 5,
};

struct server {
	struct config config;
	struct server_options options;
	struct metrics *metrics;
	struct node *node;
	struct loop **loops;
	unsigned loop_count;
	struct front **fronts;
	struct net *net;
	struct auth *auth;
	struct tls *tls;
	struct imap_service *imap;
	struct lmtp *lmtp;
	struct listener *listeners[LISTENERS_MAX];
	unsigned listener_count;
	struct admin *admins[ADMINS_MAX];
	unsigned admin_count;
	bool started;
	bool ready;
};

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- what the configuration says, in the words of each part ---- */

static struct auth_options auth_options(const struct server *s, const struct config *c)
{
	struct auth_options o = {
		.mechanisms = (unsigned)c->auth.mechanisms,
		.plaintext_on_loopback = c->auth.plaintext_on_loopback,
		.iterations = (uint32_t)c->auth.iterations,
		.failure_delay_ms = c->auth.failure_delay_ms,
		.failure_delay_max_ms = c->auth.failure_delay_max_ms,
		.threads = 2,
		.metrics = s->metrics,
	};

	return o;
}

/* Certificates of the configuration, or self-signed ones in the data directory. */
static int with_tls_config(const struct config *c,
			   int (*fn)(void *data, const struct tls_config *t), void *data)
{
	struct tls_config t = { .client_ca_file = c->tls.client_ca,
				.only_1_3 = c->tls.min_version == CONFIG_TLS_1_3 };
	struct tls_pair own;
	char cert[FILE_NAME_MAX_BYTES], key[FILE_NAME_MAX_BYTES];

	if (c->tls.certificate_count == 0) {
		const char *names[] = { "localhost", "127.0.0.1", "::1", c->hostname };

		(void)snprintf(cert, sizeof(cert), "%s/self-signed.pem", c->data);
		(void)snprintf(key, sizeof(key), "%s/self-signed.key", c->data);
		int rc = tls_make_self_signed(cert, key, names, c->hostname == NULL ? 3 : 4);
		if (rc != OK)
			return rc;
		own = (struct tls_pair){ cert, key };
		t.pairs = &own;
		t.count = 1;
		return fn(data, &t);
	}
	struct tls_pair *pairs = calloc(c->tls.certificate_count, sizeof(*pairs));
	if (pairs == NULL)
		abort();
	for (size_t i = 0; i < c->tls.certificate_count; i++)
		pairs[i] = (struct tls_pair){ c->tls.certificates[i].certificate,
					      c->tls.certificates[i].key };
	t.pairs = pairs;
	t.count = c->tls.certificate_count;
	int rc = fn(data, &t);
	free(pairs);
	return rc;
}

static int make_tls(void *data, const struct tls_config *t)
{
	struct server *s = data;
	struct buf why = { 0 };
	int rc = s->tls == NULL ? tls_create(t, &s->tls, &why) : tls_reload(s->tls, t, &why);

	if (rc != OK)
		log_error("certificates cannot be used", LOG_SPAN("why", buf_span(&why)));
	buf_free(&why);
	return rc;
}

/* ---- opening ---- */

static void disk_failed(void *data)
{
	(void)data;
	kill(getpid(), SIGTERM); /* an orderly end: what is not durable was not answered OK */
}

static int open_node(struct server *s)
{
	const struct config *c = &s->config;
	struct buf why = { 0 };
	struct node_options o = {
		.db = { .dir = c->data,
			.partitions = (unsigned)c->partitions,
			.cache_bytes = (size_t)c->memory.block_cache_bytes },
		.readers = (unsigned)c->readers,
		.pages_bytes = (size_t)c->memory.pages_bytes,
		.route_remote = s->options.route_remote,
		.accept_loss = s->options.accept_loss,
		.disk_failed = disk_failed,
	};
	if (s->options.collect_after > 0)
		o.janitor = (struct janitor_options){ .interval_ms = 1000,
						      .body_seconds = s->options.collect_after };
	int rc = node_open(&o, &s->node, &why);

	if (rc != OK)
		log_error("the data directory cannot be opened", LOG_STR("data", c->data),
			  LOG_ERR(rc), LOG_SPAN("why", buf_span(&why)));
	buf_free(&why);
	return rc;
}

static int open_loops(struct server *s)
{
	s->loops = calloc(s->loop_count, sizeof(struct loop *));
	s->fronts = calloc(s->loop_count, sizeof(struct front *));
	if (s->loops == NULL || s->fronts == NULL)
		abort();
	for (unsigned i = 0; i < s->loop_count; i++) {
		int rc = loop_create(i, &s->loops[i]);

		if (rc != OK)
			return rc;
	}
	return net_create(s->loops, s->loop_count, &s->net);
}

static int open_auth(struct server *s)
{
	struct auth_options o = auth_options(s, &s->config);
	int rc = secret_load(s->config.data, o.secret);

	if (rc != OK) {
		log_error("the secret in the data directory cannot be read", LOG_ERR(rc));
		return rc;
	}
	return auth_create(&o, &s->auth);
}

static int open_fronts(struct server *s)
{
	struct front_options o = {
		.config = &s->config,
		.auth = s->auth,
		.tls = s->tls,
		.metrics = s->metrics,
		.loops = s->loops,
		.loop_count = s->loop_count,
	};
	void **fronts = calloc(s->loop_count, sizeof(void *));

	if (fronts == NULL)
		abort();
	for (unsigned i = 0; i < s->loop_count; i++)
		fronts[i] = s->fronts[i] = front_create(s->loops[i], &o);
	int rc = node_attach(s->node, s->loops, s->loop_count, front_sink(), fronts);
	free(fronts);
	for (unsigned i = 0; rc == OK && i < s->loop_count; i++)
		front_set_router(s->fronts[i], node_router(s->node, i));
	return rc;
}

static void open_services(struct server *s)
{
	struct lmtp_options o = {
		.hostname = s->config.hostname,
		.message_bytes = s->config.limits.message_bytes,
		.whole_address = s->config.delivery.recipients == CONFIG_RECIPIENTS_WHOLE_ADDRESS,
		.tls = s->tls,
		.metrics = s->metrics,
	};

	s->imap = imap_service_create(s->metrics);
	s->lmtp = lmtp_create(&o);
}

/* ---- ports ---- */

static int listen_on(struct server *s, const char *service, const struct config_listens *on,
		     const struct listener_options *like)
{
	for (size_t i = 0; i < on->count; i++) {
		struct listener_options o = *like;
		struct listener *l = NULL;

		o.address = on->at[i].address;
		o.port = on->at[i].port;
		int rc = s->listener_count == LISTENERS_MAX ? ERR_TOO_BIG
							    : listener_open(s->net, &o, &l);
		if (rc != OK) {
			log_error("cannot listen", LOG_STR("service", service),
				  LOG_STR("address", o.address), LOG_U64("port", o.port),
				  LOG_ERR(rc));
			return rc;
		}
		s->listeners[s->listener_count++] = l;
		log_info("listening", LOG_STR("service", service), LOG_STR("address", o.address),
			 LOG_U64("port", listener_port(l)));
	}
	return OK;
}

static int open_ports(struct server *s)
{
	struct listener_options imap = {
		.handler = &imap_handler,
		.data = s->imap,
		.refusal = "* BYE [UNAVAILABLE] Too many connections, try again later\r\n",
	};
	struct listener_options imaps = imap;
	struct listener_options lmtp = {
		.handler = &lmtp_handler,
		.data = s->lmtp,
		.refusal = "421 4.3.2 Too many connections, try again later\r\n",
	};

	imaps.tls = s->tls;
	int rc = listen_on(s, "imap", &s->config.imap, &imap);
	if (rc == OK)
		rc = listen_on(s, "imaps", &s->config.imaps, &imaps);
	if (rc == OK)
		rc = listen_on(s, "lmtp", &s->config.lmtp, &lmtp);
	return rc;
}

/* ---- admin ---- */

static const char *not_ready(void *data)
{
	const struct server *s = data;

	if (!node_is_ready(s->node))
		return "recovering";
	if (log_is_full(s->node->db->log))
		return "the disk is full";
	if (atomic_load(&s->node->stopped) > 0)
		return "some partitions are damaged";
	return s->ready ? NULL : "starting";
}

static void status(void *data, struct buf *out)
{
	const struct server *s = data;

	buf_printf(out,
		   "{\"node\":%u,\"cluster\":\"%s\",\"partitions\":%u,\"recovered\":%u,"
		   "\"stopped\":%u,\"ready\":%s}",
		   s->node->db->identity.node, s->node->db->identity.cluster,
		   s->node->partition_count, atomic_load(&s->node->settled),
		   atomic_load(&s->node->stopped), not_ready(data) == NULL ? "true" : "false");
}

struct each_account {
	void (*each)(void *to, const struct admin_account *a);
	void *to;
};

static int list_account(void *data, const Tm__AccountRow *row)
{
	struct each_account *e = data;
	struct admin_account a = { row->name, row->created };

	e->each(e->to, &a);
	return OK;
}

/* What is written a second behind has to be in the list: flush first. */
static int accounts(void *data, void (*each)(void *to, const struct admin_account *a), void *to)
{
	struct server *s = data;
	struct each_account e = { each, to };
	struct store_snapshot *snapshot = NULL;
	struct arena arena;

	int rc = flusher_flush_now(s->node->db->flusher, false);
	if (rc == OK)
		rc = store_snapshot_open(s->node->db->store, &snapshot);
	arena_init(&arena);
	for (unsigned i = 0; rc == OK && i < s->node->partition_count; i++)
		rc = store_accounts(snapshot, (partition_id){ (uint16_t)i }, &arena, list_account,
				    &e);
	arena_free(&arena);
	store_snapshot_close(&snapshot);
	return rc;
}

static int open_admins(struct server *s)
{
	for (size_t i = 0; i < s->config.admin.count; i++) {
		struct admin_options o = {
			.address = s->config.admin.at[i].address,
			.port = s->config.admin.at[i].port,
			.loop = s->loops[0],
			.auth = s->auth,
			.metrics = s->metrics,
			.data = s,
			.not_ready = not_ready,
			.status = status,
			.accounts = accounts,
		};
		int rc = s->admin_count == ADMINS_MAX ? ERR_TOO_BIG
						      : admin_open(&o, &s->admins[s->admin_count]);
		if (rc != OK) {
			log_error("cannot listen", LOG_STR("service", "admin"),
				  LOG_STR("address", o.address), LOG_U64("port", o.port),
				  LOG_ERR(rc));
			return rc;
		}
		log_info("listening", LOG_STR("service", "admin"), LOG_STR("address", o.address),
			 LOG_U64("port", admin_port(s->admins[s->admin_count])));
		s->admin_count++;
	}
	return OK;
}

/* ---- life ---- */

static unsigned count_loops(const struct server *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (s->options.loops > 0)
		return s->options.loops;
	if (s->config.loops > 0)
		return (unsigned)s->config.loops;
	return cores < 1 ? 1 : (unsigned)cores;
}

static int open_all(struct server *s)
{
	int rc = open_node(s);

	if (rc == OK)
		rc = open_loops(s);
	if (rc == OK)
		rc = with_tls_config(&s->config, make_tls, s);
	if (rc == OK)
		rc = open_auth(s);
	if (rc == OK)
		rc = open_fronts(s);
	if (rc != OK)
		return rc;
	net_set_limits(s->net, s->config.limits.connections,
		       s->config.limits.connections_per_address);
	node_metrics_register(s->metrics, s->node, s->net);
	open_services(s);
	return open_ports(s);
}

int server_open(struct config *config, const struct server_options *o, struct server **ret)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->config = *config;
	*config = (struct config){ 0 };
	s->options = *o;
	s->metrics = metrics_create();
	s->loop_count = count_loops(s);
	int rc = open_all(s);
	if (rc != OK) {
		server_close(&s);
		return rc;
	}
	*ret = s;
	return OK;
}

static int wait_until_ready(const struct server *s)
{
	uint64_t end = clock_boot_ms() + START_LIMIT_SECONDS * 1000;

	while (!node_is_ready(s->node)) {
		if (clock_boot_ms() > end)
			return ERR_TIMED_OUT;
		sleep_ms(POLL_MILLISECONDS);
	}
	return OK;
}

int server_start(struct server *s)
{
	int rc = node_start(s->node);

	s->started = rc == OK;
	for (unsigned i = 0; rc == OK && i < s->loop_count; i++)
		rc = loop_start(s->loops[i]);
	if (rc == OK)
		rc = open_admins(s);
	if (rc == OK)
		rc = wait_until_ready(s);
	if (rc != OK) {
		log_error("cannot start", LOG_ERR(rc));
		return rc;
	}
	for (unsigned i = 0; i < s->listener_count; i++)
		listener_start(s->listeners[i]);
	s->ready = true;
	log_info("ready", LOG_STR("data", s->config.data), LOG_U64("loops", s->loop_count));
	notify("READY=1");
	return OK;
}

static void say_changes(const struct server *s, const struct config *next)
{
	struct buf lines = { 0 };

	if (config_reload_check(&s->config, next, &lines) > 0)
		log_warn("some changes take effect only after a restart",
			 LOG_SPAN("options", buf_span(&lines)));
	buf_free(&lines);
}

void server_reload(struct server *s, const char *file)
{
	struct config next;
	struct buf errors = { 0 };

	notify("RELOADING=1");
	if (config_load(file, &next, &errors) != OK) {
		log_error("the configuration is not reloaded", LOG_SPAN("why", buf_span(&errors)));
	} else {
		struct auth_options o = auth_options(s, &next);

		say_changes(s, &next);
		log_set_level((enum log_level)next.log.level);
		auth_reload(s->auth, &o);
		net_set_limits(s->net, next.limits.connections,
			       next.limits.connections_per_address);
		if (with_tls_config(&next, make_tls, s) == OK)
			log_info("reloaded", LOG_STR("file", file));
		config_free(&next);
	}
	buf_free(&errors);
	notify("READY=1");
}

/* ---- the end ---- */

struct stop_message {
	struct message message;
	struct front *front;
};

static void stop_front(struct message *m, void *receiver)
{
	struct stop_message *s = (struct stop_message *)m;

	(void)receiver;
	front_stop(s->front);
	free(s);
}

static void stop_message_drop(struct message *m)
{
	free(m);
}

static void say_goodbye(struct server *s)
{
	struct net_figures f;
	uint64_t end = clock_boot_ms() + GOODBYE_MILLISECONDS;

	for (unsigned i = 0; i < s->listener_count; i++)
		listener_stop(s->listeners[i]);
	for (unsigned i = 0; i < s->loop_count; i++) {
		struct stop_message *m = calloc(1, sizeof(*m));

		if (m == NULL)
			abort();
		m->message.deliver = stop_front;
		m->message.drop = stop_message_drop;
		m->front = s->fronts[i];
		inbox_force_one(loop_inbox(s->loops[i]), &m->message);
	}
	for (net_figures(s->net, &f); f.connections > 0 && clock_boot_ms() < end;
	     net_figures(s->net, &f))
		sleep_ms(POLL_MILLISECONDS);
}

static void stop_threads(struct server *s)
{
	if (!s->started)
		return;
	say_goodbye(s);
	for (unsigned i = 0; i < s->loop_count; i++)
		loop_stop(s->loops[i]);
	for (unsigned i = 0; i < s->loop_count; i++)
		loop_join(s->loops[i]);
}

void server_close(struct server **ss)
{
	struct server *s = *ss;

	if (s == NULL)
		return;
	notify("STOPPING=1");
	for (unsigned i = 0; i < s->admin_count; i++)
		admin_close(&s->admins[i]);
	stop_threads(s);
	auth_free(&s->auth);
	node_close(&s->node);
	for (unsigned i = 0; s->fronts != NULL && i < s->loop_count; i++)
		front_free(&s->fronts[i]);
	for (unsigned i = 0; s->loops != NULL && i < s->loop_count; i++)
		loop_destroy(&s->loops[i]);
	for (unsigned i = 0; i < s->listener_count; i++)
		listener_free(&s->listeners[i]);
	net_free(&s->net);
	imap_service_free(&s->imap);
	lmtp_free(&s->lmtp);
	tls_free(&s->tls);
	metrics_free(&s->metrics);
	config_free(&s->config);
	free(s->loops);
	free(s->fronts);
	free(s);
	*ss = NULL;
}
