/* admin.c: libmicrohttpd calls on_request() on its one thread: first for the header, then for each
 * piece of the body, then once more for the answer. A request that changes an account is suspended
 * there and resumed by finish_change(), from whichever thread.
 *
 *   N1  a suspended request stands in admin->waiting, under the lock, until somebody resumes it:
 *       its job, or admin_close(). So a job never touches a request that is gone.
 *   N2  struct admin is counted: itself and each running job hold it. */
#include "server/admin/admin.h"

#include "server/admin/account_job.h"
#include "server/auth/account_name.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAGIC 0x4e90e571u

struct request;

struct admin {
	struct admin_options options;
	struct MHD_Daemon *daemon;
	uint16_t port;
	struct counter *requests;
	_Atomic unsigned holders; /* N2 */

	pthread_mutex_t lock; /* all below */
	bool closing;
	struct request *waiting; /* N1 */
};

/* Of one HTTP request; admin's thread, but for what finish_change() sets. */
struct request {
	uint32_t magic;
	struct admin *admin;
	struct MHD_Connection *connection;
	struct buf path; /* decoded, without the query; NUL behind */
	bool bad_path;
	bool begun;     /* on_request() was called */
	bool too_big;   /* the body is */
	bool suspended; /* in this call; its answer comes in a later one */
	struct buf body;
	struct change *change;       /* under way */
	struct request *prev, *next; /* in waiting */

	int status; /* 0: no answer yet */
	const char *type;
	const char *allow; /* of a 405 */
	struct buf answer;
};

/* What a job is given: it may outlive request and daemon. */
struct change {
	struct admin *admin;
	struct request *request; /* under the lock; NULL: it was answered by admin_close() */
	enum account_change what;
	struct buf name; /* normalised; NUL behind */
};

/* ---- answers ---- */

static const char TEXT[] = "text/plain; charset=utf-8";
static const char JSON[] = "application/json";

static void answer_text(struct request *r, int status, const char *text)
{
	r->status = status;
	r->type = TEXT;
	buf_printf(&r->answer, "%s\n", text);
}

static void put_json(struct request *r, int status, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	r->status = status;
	r->type = JSON;
	buf_printf(&r->answer, "%s\n", text == NULL ? "{}" : text);
	free(text);
	json_decref(j);
}

static void answer_error(struct request *r, int status, const char *what)
{
	put_json(r, status, json_pack("{s:s}", "error", what));
}

/* ---- changing accounts ---- */

static void release(struct admin *a)
{
	if (atomic_fetch_sub(&a->holders, 1) > 1)
		return;
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

static void unlink_waiting(struct request *r)
{
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		r->admin->waiting = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	r->change->request = NULL;
	r->change = NULL;
}

static void link_waiting(struct request *r, struct change *c)
{
	r->change = c;
	r->prev = NULL;
	r->next = r->admin->waiting;
	if (r->next != NULL)
		r->next->prev = r;
	r->admin->waiting = r;
}

static void answer_done(struct request *r, const struct change *c)
{
	if (c->what == ACCOUNT_CREATE)
		put_json(r, MHD_HTTP_CREATED, json_pack("{s:s}", "name", c->name.at));
	else
		r->status = MHD_HTTP_NO_CONTENT;
}

static void answer_change(struct request *r, const struct change *c, int err, Tm__Outcome outcome)
{
	if (err == ERR_BAD_INPUT)
		answer_error(r, MHD_HTTP_BAD_REQUEST, "this password can not be used");
	else if (err < 0)
		answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "not now");
	else if (outcome == TM__OUTCOME__DONE)
		answer_done(r, c);
	else if (outcome == TM__OUTCOME__NAME_EXISTS)
		answer_error(r, MHD_HTTP_CONFLICT, "there is such an account already");
	else if (outcome == TM__OUTCOME__NO_ACCOUNT)
		answer_error(r, MHD_HTTP_NOT_FOUND, "there is no such account");
	else if (outcome == TM__OUTCOME__UNKNOWN_FATE)
		answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "it may have happened or not: look");
	else
		answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "it did not happen");
}

static const char *const change_names[] = {
	[ACCOUNT_CREATE] = "account created",
	[ACCOUNT_CHANGE] = "account changed",
	[ACCOUNT_DELETE] = "account deleted",
};

/* The job is done. Thread: any. */
static void finish_change(void *data, int err, Tm__Outcome outcome)
{
	struct change *c = data;
	struct admin *a = c->admin;

	if (err == OK && outcome == TM__OUTCOME__DONE)
		log_info(change_names[c->what], LOG_STR("account", c->name.at), LOG_END);
	(void)pthread_mutex_lock(&a->lock);
	struct request *r = c->request;
	if (r != NULL) {
		unlink_waiting(r);
		answer_change(r, c, err, outcome);
		MHD_resume_connection(r->connection);
	}
	(void)pthread_mutex_unlock(&a->lock);
	buf_free(&c->name);
	free(c);
	release(a);
}

/* Suspend the request and start the job. */
static void start_change(struct request *r, enum account_change what, struct span name,
			 struct span password)
{
	struct admin *a = r->admin;
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	*c = (struct change){ .admin = a, .request = r, .what = what };
	if (account_name_normalise(name, &c->name) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "this name can not be used");
		free(c);
		return;
	}
	buf_putc(&c->name, '\0');
	(void)pthread_mutex_lock(&a->lock);
	bool closing = a->closing;
	if (!closing) {
		link_waiting(r, c);
		r->suspended = true;
		MHD_suspend_connection(r->connection);
	}
	(void)pthread_mutex_unlock(&a->lock);
	if (closing) {
		answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the server stops");
		buf_free(&c->name);
		free(c);
		return;
	}
	atomic_fetch_add(&a->holders, 1);
	const struct account_job_options o = {
		.change = what,
		.name = c->name.at,
		.password = password,
		.auth = a->options.auth,
		.loop = a->options.loop,
		.done = finish_change,
		.data = c,
	};
	account_job_start(&o);
}

/* The strings of a JSON object that has exactly the wanted keys; the caller frees *root. */
static bool take_object(struct request *r, bool with_name, json_t **root, const char **name,
			const char **password)
{
	json_error_t e;
	json_t *j = json_loadb(r->body.at == NULL ? "" : r->body.at, r->body.bytes,
			       JSON_REJECT_DUPLICATES, &e);
	size_t wanted = with_name ? 2 : 1;

	*root = j;
	*name = "";
	if (!json_is_object(j) || json_object_size(j) != wanted)
		return false;
	*password = json_string_value(json_object_get(j, "password"));
	if (with_name)
		*name = json_string_value(json_object_get(j, "name"));
	return *name != NULL && *password != NULL;
}

static void change_with_password(struct request *r, enum account_change what, const char *path_name)
{
	json_t *root = NULL;
	const char *name = NULL;
	const char *password = NULL;

	if (!take_object(r, what == ACCOUNT_CREATE, &root, &name, &password))
		answer_error(r, MHD_HTTP_BAD_REQUEST,
			     what == ACCOUNT_CREATE ? "send {\"name\":..,\"password\":..}"
						    : "send {\"password\":..}");
	else
		start_change(r, what, span_str(path_name == NULL ? name : path_name),
			     span_str(password));
	json_decref(root);
}

/* ---- routes ---- */

static void get_health(struct request *r)
{
	answer_text(r, MHD_HTTP_OK, "ok");
}

static void get_ready(struct request *r)
{
	const struct admin_options *o = &r->admin->options;
	const char *why = o->not_ready == NULL ? NULL : o->not_ready(o->data);

	answer_text(r, why == NULL ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		    why == NULL ? "ready" : why);
}

static void get_metrics(struct request *r)
{
	r->status = MHD_HTTP_OK;
	r->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_render(r->admin->options.metrics, &r->answer);
}

static void get_status(struct request *r)
{
	const struct admin_options *o = &r->admin->options;

	r->status = MHD_HTTP_OK;
	r->type = JSON;
	if (o->status != NULL)
		o->status(o->data, &r->answer);
	else
		buf_puts(&r->answer, "{}");
	buf_putc(&r->answer, '\n');
}

static void add_account(void *to, const struct admin_account *a)
{
	json_t *one = json_pack("{s:s, s:I}", "name", a->name, "created", (json_int_t)a->created);

	(void)json_array_append_new(to, one);
}

static int by_name(const void *a, const void *b)
{
	const char *x = json_string_value(json_object_get(*(json_t *const *)a, "name"));
	const char *y = json_string_value(json_object_get(*(json_t *const *)b, "name"));

	return strcmp(x == NULL ? "" : x, y == NULL ? "" : y);
}

/* The store gives them partition by partition. Steals *list. */
static json_t *sorted(json_t *list)
{
	size_t n = json_array_size(list);
	json_t **at = calloc(n + 1, sizeof(json_t *));
	json_t *out = json_array();

	if (at == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		at[i] = json_array_get(list, i);
	qsort(at, n, sizeof(json_t *), by_name);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append(out, at[i]);
	free(at);
	json_decref(list);
	return out;
}

static void get_accounts(struct request *r)
{
	const struct admin_options *o = &r->admin->options;
	json_t *list = json_array();

	if (o->accounts != NULL && o->accounts(o->data, add_account, list) < 0) {
		json_decref(list);
		answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "can not read the accounts now");
		return;
	}
	put_json(r, MHD_HTTP_OK, json_pack("{s:o}", "accounts", sorted(list)));
}

static const struct {
	const char *path;
	void (*get)(struct request *r);
} pages[] = {
	{ "/healthz", get_health }, { "/readyz", get_ready },      { "/metrics", get_metrics },
	{ "/status", get_status },  { "/accounts", get_accounts },
};

static bool is_get(const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
	       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static void not_allowed(struct request *r, const char *allow)
{
	r->allow = allow;
	answer_error(r, MHD_HTTP_METHOD_NOT_ALLOWED, "that can not be done here");
}

static void route_account(struct request *r, const char *method, const char *name)
{
	if (strcmp(method, MHD_HTTP_METHOD_PUT) == 0)
		change_with_password(r, ACCOUNT_CHANGE, name);
	else if (strcmp(method, MHD_HTTP_METHOD_DELETE) == 0)
		start_change(r, ACCOUNT_DELETE, span_str(name), span_of(NULL, 0));
	else
		not_allowed(r, "PUT, DELETE");
}

/* The request is complete: answer it, or suspend it. */
static void route(struct request *r, const char *method)
{
	static const char accounts[] = "/accounts";
	const char *path = r->path.at;

	if (r->too_big) {
		answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too big");
		return;
	}
	if (!is_get(method) &&
	    MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Origin") != NULL) {
		answer_error(r, MHD_HTTP_FORBIDDEN, "not for browsers");
		return;
	}
	if (strcmp(path, accounts) == 0 && strcmp(method, MHD_HTTP_METHOD_POST) == 0) {
		change_with_password(r, ACCOUNT_CREATE, NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(path, pages[i].path) != 0)
			continue;
		if (is_get(method))
			pages[i].get(r);
		else
			not_allowed(r,
				    strcmp(path, accounts) == 0 ? "GET, HEAD, POST" : "GET, HEAD");
		return;
	}
	if (!r->bad_path && strncmp(path, "/accounts/", sizeof(accounts)) == 0 &&
	    path[sizeof(accounts)] != '\0')
		route_account(r, method, path + sizeof(accounts));
	else
		answer_error(r, MHD_HTTP_NOT_FOUND, "there is no such page");
}

/* ---- libmicrohttpd ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)ascii_lower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* libmicrohttpd decodes paths as well, but would end one at %00. */
static void set_path(struct request *r, const char *uri)
{
	for (const char *p = uri; *p != '\0' && *p != '?'; p++) {
		int high = *p == '%' ? hex_value(p[1]) : -1;
		int low = high >= 0 ? hex_value(p[2]) : -1;
		if (*p != '%') {
			buf_putc(&r->path, *p);
			continue;
		}
		if (low < 0 || high * 16 + low == 0) {
			r->bad_path = true;
			break;
		}
		buf_putc(&r->path, (char)(high * 16 + low));
		p += 2;
	}
	buf_putc(&r->path, '\0');
}

/* The first thing that is known of a request; what it returns is its *context. */
static void *on_uri(void *data, const char *uri, struct MHD_Connection *connection)
{
	struct request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	*r = (struct request){ .magic = REQUEST_MAGIC, .admin = data, .connection = connection };
	set_path(r, uri);
	counter_add(r->admin->requests, 1);
	return r;
}

static enum MHD_Result send_answer(struct request *r)
{
	struct MHD_Response *out = MHD_create_response_from_buffer(r->answer.bytes, r->answer.at,
								   MHD_RESPMEM_MUST_COPY);

	if (out == NULL)
		return MHD_NO;
	if (r->type != NULL)
		(void)MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
	if (r->allow != NULL)
		(void)MHD_add_response_header(out, MHD_HTTP_HEADER_ALLOW, r->allow);
	(void)MHD_add_response_header(out, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	enum MHD_Result rc = MHD_queue_response(r->connection, (unsigned)r->status, out);
	MHD_destroy_response(out);
	return rc;
}

static void take_body(struct request *r, const char *at, size_t bytes)
{
	if (r->body.bytes + bytes > ADMIN_BODY_MAX_BYTES)
		r->too_big = true;
	else
		buf_put(&r->body, at, bytes);
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **context)
{
	struct request *r = *context;
	(void)data;
	(void)connection;
	(void)url;
	(void)version;

	assert(r != NULL && r->magic == REQUEST_MAGIC);
	if (!r->begun) { /* the header is there; the body, if any, follows */
		r->begun = true;
		return MHD_YES;
	}
	if (*upload_bytes != 0) {
		take_body(r, upload, *upload_bytes);
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (r->status == 0) /* else it was suspended, answered, and resumed */
		route(r, method);
	if (r->suspended) {
		r->suspended = false;
		return MHD_YES;
	}
	return send_answer(r);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode why)
{
	struct request *r = *context;
	(void)data;
	(void)connection;
	(void)why;

	if (r == NULL)
		return;
	assert(r->magic == REQUEST_MAGIC);
	(void)pthread_mutex_lock(&r->admin->lock);
	if (r->change != NULL)
		unlink_waiting(r);
	(void)pthread_mutex_unlock(&r->admin->lock);
	if (r->body.at != NULL)
		OPENSSL_cleanse(r->body.at, r->body.capacity); /* there was a password in it */
	buf_free(&r->body);
	buf_free(&r->path);
	buf_free(&r->answer);
	r->magic = 0;
	free(r);
	*context = NULL;
}

/* ---- life ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static socklen_t parse_address(const char *text, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &ret->four.sin_addr) == 1) {
		ret->four.sin_family = AF_INET;
		ret->four.sin_port = htons(port);
		return sizeof(ret->four);
	}
	if (inet_pton(AF_INET6, text, &ret->six.sin6_addr) == 1) {
		ret->six.sin6_family = AF_INET6;
		ret->six.sin6_port = htons(port);
		return sizeof(ret->six);
	}
	return 0;
}

static int error_of_bind(int errnum)
{
	if (errnum == EADDRINUSE)
		return ERR_EXISTS;
	if (errnum == EACCES)
		return ERR_DENIED;
	return errnum == EADDRNOTAVAIL ? ERR_BAD_INPUT : ERR_IO;
}

/* A listening socket, and the port it got. */
static int open_socket(const char *address, uint16_t port, int *ret, uint16_t *ret_port)
{
	union address at;
	socklen_t n = parse_address(address, port, &at);
	int on = 1;

	if (n == 0)
		return ERR_BAD_INPUT;
	int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_IO;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &at.any, n) < 0 || listen(fd, ADMIN_CONNECTIONS_MAX) < 0 ||
	    getsockname(fd, &at.any, &n) < 0) {
		int rc = error_of_bind(errno);
		(void)close(fd);
		return rc;
	}
	*ret = fd;
	*ret_port = ntohs(at.any.sa_family == AF_INET ? at.four.sin_port : at.six.sin6_port);
	return OK;
}

static struct MHD_Daemon *start_daemon(struct admin *a, int fd)
{
	return MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
		NULL, on_request, a, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK,
		on_uri, a, MHD_OPTION_NOTIFY_COMPLETED, on_completed, a,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_IDLE_MAX_SECONDS, MHD_OPTION_END);
}

int admin_open(const struct admin_options *o, struct admin **ret)
{
	struct admin *a = calloc(1, sizeof(*a));
	int fd = -1;

	if (a == NULL)
		abort();
	a->options = *o;
	a->holders = 1;
	(void)pthread_mutex_init(&a->lock, NULL);
	a->requests = metrics_counter(o->metrics, "tidemark_admin_requests_total", NULL,
				      "Requests at the admin port.");
	int rc = open_socket(o->address, o->port, &fd, &a->port);
	if (rc == OK) {
		a->daemon = start_daemon(a, fd);
		if (a->daemon == NULL) {
			(void)close(fd);
			rc = ERR_IO;
		}
	}
	if (rc < 0)
		release(a);
	else
		*ret = a;
	return rc;
}

uint16_t admin_port(const struct admin *a)
{
	return a->port;
}

void admin_close(struct admin **a)
{
	struct admin *gone = *a;

	*a = NULL;
	if (gone == NULL)
		return;
	(void)pthread_mutex_lock(&gone->lock);
	gone->closing = true;
	while (gone->waiting != NULL) {
		struct request *r = gone->waiting;
		unlink_waiting(r);
		answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the server stops");
		MHD_resume_connection(r->connection);
	}
	(void)pthread_mutex_unlock(&gone->lock);
	MHD_stop_daemon(gone->daemon);
	release(gone);
}
