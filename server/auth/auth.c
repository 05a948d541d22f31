/* auth.c: drives an exchange: client, throttle, account row, pool, client.
 *
 *	begin ----> QUEUED ----------> WAITING ------> READING ------> STEPPING ---> CLIENT or end
 *	respond --^  the name is      (throttle.h)    (router_read)   (workpool)        |
 *	    ^        parsed, once                                                        |
 *	    +----------------------------------------------------------------------------+
 *
 * Threads: an attempt belongs to its loop; while STEPPING its `sasl`, `input`, `output` and
 *`result` belong to the pool. A dropped attempt lingers until its read or step has come back. */
#include "server/auth/auth.h"

#include "server/auth/account_name.h"
#include "server/auth/base64.h"
#include "server/auth/sasl.h"
#include "server/auth/scram.h"
#include "server/auth/throttle.h"
#include "server/session/front.h"
#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"
#include "storage/base/metrics.h"
#include "storage/base/workpool.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>

#define ATTEMPT_MAGIC 0xa77e3917u
enum { ADDRESS_BYTES = 64, OUTCOMES = AUTH_NEEDS_TLS + 1 };

static const struct {
	const char *name;
	enum auth_mechanism bit;
} mechanisms[] = {
	{ "PLAIN", AUTH_PLAIN },
	{ "LOGIN", AUTH_LOGIN },
	{ "SCRAM-SHA-1", AUTH_SCRAM_SHA_1 },
	{ "SCRAM-SHA-256", AUTH_SCRAM_SHA_256 },
	{ "SCRAM-SHA-256-PLUS", AUTH_SCRAM_SHA_256_PLUS },
	{ "EXTERNAL", AUTH_EXTERNAL },
};
enum { MECHANISMS = sizeof(mechanisms) / sizeof(mechanisms[0]) };

static const char *const outcome_names[OUTCOMES] = {
	[AUTH_DONE] = "ok",
	[AUTH_FAILED] = "failed",
	[AUTH_NOT_ALLOWED] = "not-allowed",
	[AUTH_UNAVAILABLE] = "unavailable",
	[AUTH_MALFORMED] = "malformed",
	[AUTH_CANCELLED] = "cancelled",
	[AUTH_UNSUPPORTED] = "unsupported",
	[AUTH_NEEDS_TLS] = "needs-tls",
};

struct auth {
	/* Fixed at creation; any thread. */
	Gsasl *gsasl;
	struct workpool *pool;
	struct throttle *throttle;
	uint8_t secret[32];
	struct counter *outcomes[OUTCOMES];
	struct counter *delayed;
	struct histogram *step_time;

	/* A reload writes, any thread reads. */
	_Atomic unsigned mechanisms;
	_Atomic bool plaintext_on_loopback;
	_Atomic uint32_t iterations;
};

enum attempt_state { CLIENT, QUEUED, WAITING, READING, STEPPING, LAST_CLIENT };

struct auth_attempt {
	uint32_t magic;
	struct auth *auth;
	struct auth_peer peer; /* its address is `address` */
	char address[ADDRESS_BYTES];
	struct auth_owner owner;
	const char *mechanism; /* for the log */
	bool login_command;    /* what is malformed is just a wrong name or password */

	/* The loop's. */
	enum attempt_state state;
	bool dropped;
	bool named;        /* `name` is known */
	bool no_such_name; /* and no account can be called so */
	bool has_fate;     /* to be said once we are out of the owner's call */
	enum auth_outcome fate;
	unsigned steps;
	struct buf name; /* normalised, with a NUL behind */
	account_id id;
	struct loop_deferred deferred;
	struct loop_timer *timer;
	struct front_client client; /* while READING */
	struct read_call read;
	Tm__ReadAccount read_account;

	/* While STEPPING the pool's, else the loop's. */
	struct sasl *sasl; /* NULL if it could not begin */
	struct buf input;  /* the response, decoded */
	struct buf output;
	enum sasl_result result;
	struct job job;
	struct message back;
};

/* ---- the process-wide part ---- */

static void register_metrics(struct auth *a, struct metrics *m)
{
	for (int i = 0; i < OUTCOMES; i++) {
		struct buf label = { 0 };
		metrics_label(&label, "outcome", span_str(outcome_names[i]));
		buf_putc(&label, '\0');
		a->outcomes[i] = metrics_counter(m, "tidemark_auth_attempts_total", label.at,
						 "Authentications that have ended.");
		buf_free(&label);
	}
	a->delayed = metrics_counter(m, "tidemark_auth_delayed_total", NULL,
				     "Authentications that had to wait because of failures.");
	a->step_time = metrics_histogram(m, "tidemark_auth_step_seconds", NULL,
					 "Time to compute one step of an authentication.");
}

int auth_create(const struct auth_options *o, struct auth **ret)
{
	struct auth *a = calloc(1, sizeof(*a));
	unsigned threads = o->threads == 0 ? 1 : o->threads;

	if (a == NULL)
		abort();
	int rc = workpool_open("auth", threads, AUTH_WAITING_MAX, &a->pool);
	a->gsasl = rc == OK ? sasl_context() : NULL;
	if (rc == OK && a->gsasl == NULL) {
		workpool_close(&a->pool);
		rc = ERR_NO_MEMORY;
	}
	if (rc < 0) {
		free(a);
		return rc;
	}
	memcpy(a->secret, o->secret, sizeof(a->secret));
	a->throttle =
		throttle_create(o->failure_delay_ms, o->failure_delay_max_ms, THROTTLE_ENTRIES);
	register_metrics(a, o->metrics);
	auth_reload(a, o);
	*ret = a;
	return OK;
}

void auth_free(struct auth **a)
{
	if (*a == NULL)
		return;
	workpool_close(&(*a)->pool);
	throttle_free(&(*a)->throttle);
	gsasl_done((*a)->gsasl);
	OPENSSL_cleanse(*a, sizeof(**a));
	free(*a);
	*a = NULL;
}

void auth_reload(struct auth *a, const struct auth_options *o)
{
	assert(o->iterations >= 1);
	atomic_store(&a->mechanisms, o->mechanisms);
	atomic_store(&a->plaintext_on_loopback, o->plaintext_on_loopback);
	atomic_store(&a->iterations, o->iterations);
	throttle_set(a->throttle, o->failure_delay_ms, o->failure_delay_max_ms);
}

/* ---- what may be used here ---- */

static bool safe_for_plaintext(const struct auth *a, const struct auth_peer *p)
{
	return p->tls != NULL || (p->loopback && atomic_load(&a->plaintext_on_loopback));
}

bool auth_allows_plaintext(const struct auth *a, const struct auth_peer *p)
{
	return (atomic_load(&a->mechanisms) & (AUTH_PLAIN | AUTH_LOGIN)) != 0 &&
	       safe_for_plaintext(a, p);
}

/* NUL-terminated base64; empty if it is not to be had. */
static void put_binding(const struct auth_peer *p, enum tls_binding kind, struct buf *out)
{
	struct buf raw = { 0 };

	if (p->tls != NULL && tls_stream_binding(p->tls, kind, &raw) == OK && raw.bytes != 0) {
		base64_put(out, buf_span(&raw));
		buf_putc(out, '\0');
	}
	buf_free(&raw);
}

static bool has_binding(const struct auth_peer *p)
{
	struct buf out = { 0 };

	put_binding(p, TLS_BINDING_EXPORTER, &out);
	if (out.bytes == 0)
		put_binding(p, TLS_BINDING_UNIQUE, &out);
	bool has = out.bytes != 0;
	buf_free(&out);
	return has;
}

static bool has_identity(const struct auth_peer *p)
{
	struct buf out = { 0 };
	bool has = p->tls != NULL && tls_stream_identity(p->tls, &out) == OK;

	buf_free(&out);
	return has;
}

static bool offered(const struct auth *a, const struct auth_peer *p, enum auth_mechanism m)
{
	if ((atomic_load(&a->mechanisms) & (unsigned)m) == 0)
		return false;
	if (m == AUTH_PLAIN || m == AUTH_LOGIN)
		return safe_for_plaintext(a, p);
	if (m == AUTH_SCRAM_SHA_256_PLUS)
		return has_binding(p);
	return m != AUTH_EXTERNAL || has_identity(p);
}

void auth_put_capabilities(const struct auth *a, const struct auth_peer *p, struct buf *out)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (offered(a, p, mechanisms[i].bit))
			buf_printf(out, " AUTH=%s", mechanisms[i].name);
}

/* ---- an attempt's life ---- */

static void wipe(struct buf *b)
{
	if (b->at != NULL)
		OPENSSL_cleanse(b->at, b->capacity);
	buf_free(b);
}

static struct loop *loop_of(const struct auth_attempt *t)
{
	return front_loop(t->peer.front);
}

static void attempt_free(struct auth_attempt *t)
{
	sasl_close(&t->sasl);
	wipe(&t->input);
	wipe(&t->output);
	buf_free(&t->name);
	t->magic = 0;
	free(t);
}

/* On its loop; nothing of it is under way any more. */
static void attempt_end(struct auth_attempt *t)
{
	loop_undefer(loop_of(t), &t->deferred);
	loop_timer_free(&t->timer);
	attempt_free(t);
}

static struct span name_of(const struct auth_attempt *t)
{
	return span_of(t->name.at, t->name.bytes == 0 ? 0 : t->name.bytes - 1);
}

/* That a client has logged in is the session's line; why one has not is known here only. */
static void log_outcome(const struct auth_attempt *t, enum auth_outcome outcome)
{
	log_at(outcome == AUTH_DONE ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	       outcome == AUTH_DONE ? "authenticated" : "not authenticated",
	       LOG_SESSION(t->peer.session), LOG_SPAN("account", name_of(t)),
	       LOG_STR("mechanism", t->mechanism), LOG_STR("address", t->address),
	       LOG_STR("outcome", outcome_names[outcome]), LOG_END);
}

static void finish(struct auth_attempt *t, enum auth_outcome outcome)
{
	struct auth_owner owner = t->owner;
	struct span account = outcome == AUTH_DONE ? name_of(t) : span_of(NULL, 0);

	if (outcome == AUTH_MALFORMED && t->login_command)
		outcome = AUTH_FAILED;
	counter_add(t->auth->outcomes[outcome], 1);
	log_outcome(t, outcome);
	owner.done(owner.data, outcome, account, t->id);
	attempt_end(t);
}

static void challenge(struct auth_attempt *t, enum attempt_state next)
{
	struct buf text = { 0 };

	t->state = next;
	if (++t->steps > AUTH_STEPS_MAX) {
		finish(t, AUTH_MALFORMED);
		return;
	}
	base64_put(&text, buf_span(&t->output));
	buf_reset(&t->output);
	t->owner.challenge(t->owner.data, buf_span(&text));
	wipe(&text);
}

/* ---- the step, in the pool ---- */

static struct auth_attempt *attempt_of_job(struct job *j)
{
	struct auth_attempt *t =
		(struct auth_attempt *)((char *)j - offsetof(struct auth_attempt, job));
	assert(t->magic == ATTEMPT_MAGIC);
	return t;
}

static struct auth_attempt *attempt_of_message(struct message *m)
{
	struct auth_attempt *t =
		(struct auth_attempt *)((char *)m - offsetof(struct auth_attempt, back));
	assert(t->magic == ATTEMPT_MAGIC);
	return t;
}

static void tell_failure(struct auth_attempt *t, enum auth_outcome outcome)
{
	throttle_failed(t->auth->throttle, name_of(t), t->address, loop_now_ms(loop_of(t)));
	finish(t, outcome);
}

static void on_stepped(struct auth_attempt *t)
{
	switch (t->result) {
	case SASL_MORE: challenge(t, CLIENT); return;
	case SASL_FAILED: tell_failure(t, AUTH_FAILED); return;
	case SASL_MALFORMED: tell_failure(t, AUTH_MALFORMED); return;
	case SASL_DONE: break;
	}
	throttle_succeeded(t->auth->throttle, name_of(t), t->address, loop_now_ms(loop_of(t)));
	if (t->output.bytes != 0) /* IMAP has no "success with data": it is one more challenge */
		challenge(t, LAST_CLIENT);
	else
		finish(t, AUTH_DONE);
}

static void step_back(struct message *m, void *receiver)
{
	struct auth_attempt *t = attempt_of_message(m);
	(void)receiver;

	if (t->dropped)
		attempt_end(t);
	else
		on_stepped(t);
}

/* The loop has ended; its timers and front are gone. */
static void step_back_dropped(struct message *m)
{
	attempt_free(attempt_of_message(m));
}

static void step_run(struct job *j, unsigned worker)
{
	struct auth_attempt *t = attempt_of_job(j);
	uint64_t began = clock_boot_ns();
	(void)worker;

	t->result = sasl_step(t->sasl, buf_span(&t->input), &t->output);
	histogram_record_ns(t->auth->step_time, clock_boot_ns() - began);
	inbox_force_one(loop_inbox(loop_of(t)), &t->back); /* one per attempt: bounded */
}

static void step_dropped(struct job *j)
{
	attempt_free(attempt_of_job(j));
}

static void step(struct auth_attempt *t)
{
	t->state = STEPPING;
	t->job = (struct job){ .run = step_run, .drop = step_dropped };
	t->back = (struct message){ .deliver = step_back, .drop = step_back_dropped };
	if (workpool_offer(t->auth->pool, &t->job) < 0) {
		t->state = QUEUED;
		finish(t, AUTH_UNAVAILABLE);
	}
}

/* ---- the account ---- */

/* Give the exchange what the row has; NULL: there is no such account (A2). */
static int give_account(struct auth_attempt *t, const Tm__AccountRow *row)
{
	enum scram_hash h = sasl_hash(t->sasl);
	struct scram_verifier v;
	bool accept = row != NULL && !row->disabled;
	int rc = accept ? scram_from_row(row, h, &v) : ERR_NOT_FOUND;

	if (rc == ERR_CORRUPT)
		return rc;
	if (rc == ERR_NOT_FOUND) {
		scram_unknown(h, span_of(t->auth->secret, sizeof(t->auth->secret)), name_of(t),
			      atomic_load(&t->auth->iterations), &v);
		accept = accept && strcmp(t->mechanism, "EXTERNAL") == 0;
	}
	if (row != NULL)
		t->id = (account_id){ row->id };
	sasl_set_verifier(t->sasl, &v, accept);
	OPENSSL_cleanse(&v, sizeof(v));
	return OK;
}

static void on_account(struct auth_attempt *t, const Tm__ReadFrame *f)
{
	bool there = f->outcome == TM__OUTCOME__DONE && f->account != NULL;

	if (!there && f->outcome != TM__OUTCOME__NO_ACCOUNT)
		finish(t, AUTH_UNAVAILABLE);
	else if (give_account(t, there ? f->account : NULL) < 0)
		finish(t, AUTH_UNAVAILABLE);
	else
		step(t);
}

static void on_read_frame(struct front_client *k, struct read_call *c, const Tm__ReadFrame *f)
{
	struct auth_attempt *t =
		(struct auth_attempt *)((char *)k - offsetof(struct auth_attempt, client));
	(void)c;

	assert(t->magic == ATTEMPT_MAGIC && t->state == READING);
	if (!f->end) /* an account row is one frame */
		return;
	front_client_done(&t->client);
	if (t->dropped)
		attempt_end(t);
	else
		on_account(t, f);
}

static const struct front_client_ops client_ops = { .read_frame = on_read_frame };

static void read_account(struct auth_attempt *t)
{
	t->state = READING;
	if (t->no_such_name) {
		(void)give_account(t, NULL);
		step(t);
		return;
	}
	tm__read__init(&t->read.read);
	tm__read_account__init(&t->read_account);
	t->read.read.account = t->name.at;
	t->read.read.what_case = TM__READ__WHAT_ACCOUNT_ROW;
	t->read.read.account_row = &t->read_account;
	front_client_init(&t->client, t->peer.front, &client_ops, (client_id){ { 0 } });
	front_read(&t->client, &t->read);
}

static void on_timer(void *data)
{
	struct auth_attempt *t = data;

	assert(t->magic == ATTEMPT_MAGIC && t->state == WAITING);
	loop_timer_free(&t->timer);
	read_account(t);
}

/* The name is known: from here on it may cost time. */
static void wait_or_read(struct auth_attempt *t)
{
	struct loop *l = loop_of(t);
	uint64_t delay =
		throttle_delay_ms(t->auth->throttle, name_of(t), t->address, loop_now_ms(l));

	if (delay == 0) {
		read_account(t);
		return;
	}
	counter_add(t->auth->delayed, 1);
	t->state = WAITING;
	t->timer = loop_timer_new(l, on_timer, t);
	loop_timer_start(t->timer, delay, 0);
}

/* ---- a response ---- */

static void set_name(struct auth_attempt *t, struct span raw)
{
	t->named = true;
	if (account_name_normalise(raw, &t->name) < 0) {
		t->no_such_name = true;
		if (raw.bytes > ACCOUNT_NAME_MAX_BYTES)
			raw.bytes = ACCOUNT_NAME_MAX_BYTES;
		buf_put_span(&t->name, raw);
	}
	buf_putc(&t->name, '\0');
}

static void find_name(struct auth_attempt *t)
{
	struct buf raw = { 0 };
	int rc = sasl_name(t->sasl, buf_span(&t->input), &raw);

	if (rc == OK)
		set_name(t, buf_span(&raw));
	buf_free(&raw);
	if (rc == OK) {
		wait_or_read(t);
	} else if (rc == ERR_MISSING) { /* nothing to compute yet */
		t->result = sasl_step(t->sasl, buf_span(&t->input), &t->output);
		on_stepped(t);
	} else {
		finish(t, rc == ERR_DENIED ? AUTH_NOT_ALLOWED : AUTH_MALFORMED);
	}
}

/* Out of the owner's call: do what it asked for. */
static void process(struct auth_attempt *t)
{
	if (t->has_fate)
		finish(t, t->fate);
	else if (t->state == LAST_CLIENT)
		finish(t, t->input.bytes == 0 ? AUTH_DONE : AUTH_MALFORMED);
	else if (t->named)
		step(t);
	else
		find_name(t);
}

static void on_deferred(struct loop_deferred *d)
{
	struct auth_attempt *t =
		(struct auth_attempt *)((char *)d - offsetof(struct auth_attempt, deferred));

	assert(t->magic == ATTEMPT_MAGIC);
	process(t);
}

static void queue(struct auth_attempt *t)
{
	loop_defer(loop_of(t), &t->deferred, on_deferred);
}

static void queue_fate(struct auth_attempt *t, enum auth_outcome fate)
{
	t->has_fate = true;
	t->fate = fate;
	queue(t);
}

static void ask_for_response(struct loop_deferred *d)
{
	struct auth_attempt *t =
		(struct auth_attempt *)((char *)d - offsetof(struct auth_attempt, deferred));

	challenge(t, CLIENT);
}

/* ---- beginning ---- */

static struct auth_attempt *attempt_new(struct auth *a, const struct auth_peer *p,
					const struct auth_owner *owner, const char *mechanism)
{
	struct auth_attempt *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	*t = (struct auth_attempt){ .magic = ATTEMPT_MAGIC,
				    .auth = a,
				    .peer = *p,
				    .owner = *owner,
				    .mechanism = mechanism,
				    .state = QUEUED };
	memcpy(t->address, p->address, strnlen(p->address, ADDRESS_BYTES - 1));
	t->peer.address = t->address;
	return t;
}

static int open_sasl(struct auth_attempt *t, enum auth_mechanism m)
{
	const struct auth_peer *p = &t->peer;
	struct buf exporter = { 0 }, unique = { 0 }, identity = { 0 };

	put_binding(p, TLS_BINDING_EXPORTER, &exporter);
	put_binding(p, TLS_BINDING_UNIQUE, &unique);
	if (m == AUTH_EXTERNAL && p->tls != NULL) {
		(void)tls_stream_identity(p->tls, &identity);
		buf_putc(&identity, '\0');
	}
	const struct sasl_options o = {
		.mechanism = m,
		.exporter = exporter.bytes != 0 ? exporter.at : NULL,
		.unique = unique.bytes != 0 ? unique.at : NULL,
		.identity = identity.bytes != 0 ? identity.at : NULL,
		.plus_offered = offered(t->auth, p, AUTH_SCRAM_SHA_256_PLUS),
	};
	int rc = sasl_open(t->auth->gsasl, &o, &t->sasl);
	buf_free(&exporter);
	buf_free(&unique);
	buf_free(&identity);
	return rc;
}

struct auth_attempt *auth_login(struct auth *a, const struct auth_peer *p, struct span name,
				struct span password, const struct auth_owner *owner)
{
	struct auth_attempt *t = attempt_new(a, p, owner, "LOGIN-command");

	t->login_command = true;
	if (!auth_allows_plaintext(a, p)) {
		queue_fate(t, AUTH_NEEDS_TLS);
	} else if (name.bytes > AUTH_LINE_MAX_BYTES || password.bytes > AUTH_LINE_MAX_BYTES) {
		queue_fate(t, AUTH_FAILED);
	} else if (open_sasl(t, AUTH_PLAIN) < 0) {
		queue_fate(t, AUTH_UNSUPPORTED);
	} else { /* it is PLAIN, said in other words */
		buf_putc(&t->input, '\0');
		buf_put_span(&t->input, name);
		buf_putc(&t->input, '\0');
		buf_put_span(&t->input, password);
		queue(t);
	}
	return t;
}

static const char *mechanism_name(struct span name, enum auth_mechanism *ret)
{
	for (size_t i = 0; i < MECHANISMS; i++) {
		if (!span_is(name, mechanisms[i].name))
			continue;
		*ret = mechanisms[i].bit;
		return mechanisms[i].name;
	}
	return NULL;
}

/* The first thing that happens in an exchange, by who has the first word. */
static void begin(struct auth_attempt *t, struct span initial)
{
	bool server_first = sasl_server_first(t->sasl);

	if (initial.at == NULL && !server_first) {
		loop_defer(loop_of(t), &t->deferred, ask_for_response);
		return;
	}
	if (initial.at != NULL &&
	    server_first) { /* LOGIN: the client did not wait for the prompt */
		(void)sasl_step(t->sasl, span_of("", 0), &t->output);
		buf_reset(&t->output);
	}
	if (initial.at != NULL && !span_eq(initial, span_str("=")) &&
	    (initial.bytes == 0 || base64_take(initial, &t->input) < 0))
		queue_fate(t, AUTH_MALFORMED);
	else
		queue(t);
}

struct auth_attempt *auth_start(struct auth *a, const struct auth_peer *p, struct span mechanism,
				struct span initial, const struct auth_owner *owner)
{
	enum auth_mechanism m = AUTH_ALL;
	const char *name = mechanism_name(mechanism, &m);
	struct auth_attempt *t = attempt_new(a, p, owner, name == NULL ? "unknown" : name);
	bool plaintext = m == AUTH_PLAIN || m == AUTH_LOGIN;

	if (plaintext && !safe_for_plaintext(a, p))
		queue_fate(t, AUTH_NEEDS_TLS);
	else if (name == NULL || !offered(a, p, m) || open_sasl(t, m) < 0)
		queue_fate(t, AUTH_UNSUPPORTED);
	else if (initial.bytes > AUTH_LINE_MAX_BYTES)
		queue_fate(t, AUTH_MALFORMED);
	else
		begin(t, initial);
	return t;
}

void auth_respond(struct auth_attempt *t, struct span line)
{
	assert(t->magic == ATTEMPT_MAGIC && (t->state == CLIENT || t->state == LAST_CLIENT));
	buf_reset(&t->input);
	if (t->state == CLIENT)
		t->state = QUEUED;
	if (line.bytes > AUTH_LINE_MAX_BYTES)
		queue_fate(t, AUTH_MALFORMED);
	else if (span_eq(line, span_str("*")))
		queue_fate(t, AUTH_CANCELLED);
	else if (base64_take(line, &t->input) < 0)
		queue_fate(t, AUTH_MALFORMED);
	else
		queue(t);
}

void auth_respond_too_long(struct auth_attempt *t)
{
	assert(t->magic == ATTEMPT_MAGIC);
	t->state = QUEUED;
	queue_fate(t, AUTH_MALFORMED);
}

void auth_drop(struct auth_attempt **t)
{
	struct auth_attempt *gone = *t;

	*t = NULL;
	if (gone == NULL)
		return;
	assert(gone->magic == ATTEMPT_MAGIC && !gone->dropped);
	gone->dropped = true;
	if (gone->state == READING)
		front_read_cancel(&gone->client, &gone->read);
	else if (gone->state != STEPPING)
		attempt_end(gone);
}

/* ---- new passwords ---- */

struct making {
	struct job job;
	struct buf password;
	uint32_t iterations;
	void (*done)(void *data, int err, const struct scram_verifiers *v);
	void *data;
};

static void making_end(struct making *m, int err, const struct scram_verifiers *v)
{
	m->done(m->data, err, v);
	wipe(&m->password);
	free(m);
}

static void making_run(struct job *j, unsigned worker)
{
	struct making *m = (struct making *)((char *)j - offsetof(struct making, job));
	struct scram_verifiers v;
	(void)worker;

	int rc = scram_make_verifiers(buf_span(&m->password), m->iterations, &v);
	making_end(m, rc, rc == OK ? &v : NULL);
}

static void making_dropped(struct job *j)
{
	making_end((struct making *)((char *)j - offsetof(struct making, job)), ERR_CLOSED, NULL);
}

int auth_make_verifiers(struct auth *a, struct span password,
			void (*done)(void *data, int err, const struct scram_verifiers *v),
			void *data)
{
	struct making *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	*m = (struct making){ .job = { .run = making_run, .drop = making_dropped },
			      .iterations = atomic_load(&a->iterations),
			      .done = done,
			      .data = data };
	buf_put_span(&m->password, password);
	int rc = workpool_offer(a->pool, &m->job);
	if (rc < 0) {
		wipe(&m->password);
		free(m);
	}
	return rc;
}
