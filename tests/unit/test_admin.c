/* The admin port over real sockets; the router is played by the test. */
#include "server/admin/admin.h"
#include "server/auth/scram.h"
#include "server/session/front.h"
#include "storage/base/err.h"
#include "storage/base/logfmt.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct front *front;
static struct auth *auth;
static struct metrics *metrics;
static struct admin *admin;
static const char *why_not;

/* ---- the router, on the loop's thread: one account, joe ---- */

static struct {
	struct op_call *op;
	struct loop_deferred deferred;
	_Atomic bool hold;
	_Atomic bool held;
	char last[64];
	bool right_password;
} fake;

static void answer(struct loop_deferred *d)
{
	Tm__OpResult result = TM__OP_RESULT__INIT;
	bool is_joe = strcmp(fake.op->op.account, "joe") == 0;
	(void)d;

	result.outcome = TM__OUTCOME__DONE;
	if (fake.op->op.what_case == TM__OP__WHAT_CREATE_ACCOUNT) {
		if (is_joe)
			result.outcome = TM__OUTCOME__NAME_EXISTS;
	} else if (!is_joe) {
		result.outcome = TM__OUTCOME__NO_ACCOUNT;
	}
	front_sink()->op_done(front, fake.op, &result);
}

static void look_at_verifiers(Tm__Verifier **v, size_t n)
{
	Tm__AccountRow row = TM__ACCOUNT_ROW__INIT;
	struct scram_verifier one;

	row.verifiers = v;
	row.n_verifiers = n;
	fake.right_password = scram_from_row(&row, SCRAM_SHA_1, &one) == OK &&
			      scram_check_password(&one, span_str("secret"));
}

void router_op(struct router *r, struct op_call *c)
{
	(void)r;
	fake.op = c;
	(void)snprintf(fake.last, sizeof(fake.last), "%d %s", (int)c->op.what_case, c->op.account);
	if (c->op.what_case == TM__OP__WHAT_CREATE_ACCOUNT)
		look_at_verifiers(c->op.create_account->verifiers,
				  c->op.create_account->n_verifiers);
	if (c->op.what_case == TM__OP__WHAT_CHANGE_ACCOUNT)
		look_at_verifiers(c->op.change_account->verifiers,
				  c->op.change_account->n_verifiers);
	if (fake.hold)
		fake.held = true;
	else
		loop_defer(loop, &fake.deferred, answer);
}

void router_read(struct router *r, struct read_call *c)
{
	(void)r;
	(void)c;
}

void router_read_cancel(struct router *r, struct read_call *c)
{
	(void)r;
	(void)c;
}

void router_read_credit(struct router *r, struct read_call *c, unsigned frames)
{
	(void)r;
	(void)c;
	(void)frames;
}

void router_watch(struct router *r, const char *account, mailbox_id m, modseq known)
{
	(void)r;
	(void)account;
	(void)m;
	(void)known;
}

void router_unwatch(struct router *r, const char *account, mailbox_id m)
{
	(void)r;
	(void)account;
	(void)m;
}

partition_id router_partition(const struct router *r, const char *account)
{
	(void)r;
	(void)account;
	return (partition_id){ 0 };
}

bool upload_op_done(struct op_call *c, const Tm__OpResult *result);
bool upload_op_done(struct op_call *c, const Tm__OpResult *result)
{
	(void)c;
	(void)result;
	return false;
}

/* ---- the client ---- */

static int dial(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(admin_port(admin)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void send_request(int fd, const char *line, const char *headers, const char *body)
{
	struct buf text = { 0 };

	buf_printf(&text, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", line, headers);
	if (body != NULL)
		buf_printf(&text, "Content-Length: %zu\r\n", strlen(body));
	buf_printf(&text, "\r\n%s", body == NULL ? "" : body);
	ck_assert_int_eq(send(fd, text.at, text.bytes, MSG_NOSIGNAL), (ssize_t)text.bytes);
	buf_free(&text);
}

static struct buf reply;

/* The status; `reply` holds all of it. */
static int read_reply(int fd)
{
	char bytes[4096];
	ssize_t n;
	int status = 0;

	buf_reset(&reply);
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		buf_put(&reply, bytes, (size_t)n);
	buf_putc(&reply, '\0');
	(void)close(fd);
	if (sscanf(reply.at, "HTTP/1.1 %d", &status) != 1)
		return 0;
	return status;
}

static int ask_with(const char *line, const char *headers, const char *body)
{
	int fd = dial();

	send_request(fd, line, headers, body);
	return read_reply(fd);
}

static int ask(const char *line, const char *body)
{
	return ask_with(line, "", body);
}

static bool says(const char *text)
{
	return strstr(reply.at, text) != NULL;
}

/* ---- the server ---- */

static const char *not_ready(void *data)
{
	(void)data;
	return why_not;
}

static void status(void *data, struct buf *out)
{
	(void)data;
	buf_puts(out, "{\"node\":1}");
}

static int accounts(void *data, void (*each)(void *to, const struct admin_account *a), void *to)
{
	(void)data;
	each(to, &(struct admin_account){ "joe", 5 });
	each(to, &(struct admin_account){ "\"ann\"", 7 });
	return OK;
}

static void setup(void)
{
	struct front_options fo = { .loop_count = 1 };
	const struct auth_options ao = { .mechanisms = AUTH_ALL, .iterations = 4096, .threads = 1 };

	memset(&fake, 0, sizeof(fake));
	why_not = NULL;
	metrics = metrics_create();
	ck_assert_int_eq(loop_create(0, &loop), OK);
	front = front_create(loop, &fo);
	ck_assert_int_eq(auth_create(&ao, &auth), OK);
	ck_assert_int_eq(loop_start(loop), OK);
	const struct admin_options o = { .address = "127.0.0.1",
					 .loop = loop,
					 .auth = auth,
					 .metrics = metrics,
					 .not_ready = not_ready,
					 .status = status,
					 .accounts = accounts };
	ck_assert_int_eq(admin_open(&o, &admin), OK);
}

static void teardown(void)
{
	admin_close(&admin);
	loop_stop(loop);
	loop_join(loop);
	auth_free(&auth);
	front_free(&front);
	loop_destroy(&loop);
	metrics_free(&metrics);
	buf_free(&reply);
}

/* ---- tests ---- */

START_TEST(health_ready_metrics_status)
{
	ck_assert_int_eq(ask("GET /healthz", NULL), 200);
	ck_assert_int_eq(ask("GET /readyz", NULL), 200);
	why_not = "2 partitions are not recovered";
	ck_assert_int_eq(ask("GET /readyz", NULL), 503);
	ck_assert(says("2 partitions are not recovered"));
	ck_assert_int_eq(ask("GET /metrics", NULL), 200);
	ck_assert(says("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	ck_assert(says("\ntidemark_admin_requests_total 4\n"));
	ck_assert_int_eq(ask("GET /status?x=y", NULL), 200);
	ck_assert(says("{\"node\":1}"));
	ck_assert_int_eq(ask("GET /", NULL), 404);
	ck_assert_int_eq(ask("GET /accounts/", NULL), 404);
	ck_assert_int_eq(ask("HEAD /healthz", NULL), 200);
	ck_assert_int_eq(ask("POST /healthz", "x"), 405);
	ck_assert(says("Allow: GET, HEAD\r\n"));
}
END_TEST

START_TEST(accounts_are_listed_by_name)
{
	ck_assert_int_eq(ask("GET /accounts", NULL), 200);
	ck_assert(says("{\"accounts\":[{\"name\":\"\\\"ann\\\"\",\"created\":7},"
		       "{\"name\":\"joe\",\"created\":5}]}"));
}
END_TEST

START_TEST(accounts_are_made_changed_deleted)
{
	ck_assert_int_eq(ask("POST /accounts", "{\"name\":\"Jim\",\"password\":\"secret\"}"), 201);
	ck_assert(says("{\"name\":\"jim\"}"));
	ck_assert_str_eq(fake.last, "20 jim");
	ck_assert(fake.right_password);
	ck_assert_int_eq(ask("POST /accounts", "{\"name\":\"joe\",\"password\":\"secret\"}"), 409);
	ck_assert_int_eq(ask("PUT /accounts/joe", "{\"password\":\"secret\"}"), 204);
	ck_assert(fake.right_password);
	ck_assert_int_eq(ask("PUT /accounts/%6Aim", "{\"password\":\"secret\"}"), 404);
	ck_assert_str_eq(fake.last, "21 jim");
	ck_assert_int_eq(ask("DELETE /accounts/joe", NULL), 204);
	ck_assert_int_eq(ask("DELETE /accounts/j%C3%B6rg%40x", NULL), 404);
	ck_assert_str_eq(fake.last, "22 j\xc3\xb6rg@x");
}
END_TEST

START_TEST(what_is_refused)
{
	static const char *const bodies[] = {
		"",
		"{",
		"[]",
		"{\"name\":\"a\"}",
		"{\"password\":\"a\"}",
		"{\"name\":\"a\",\"password\":5}",
		"{\"name\":\"a\",\"password\":\"b\",\"x\":1}",
		"{\"name\":\"a\",\"name\":\"b\",\"password\":\"b\"}",
		"{\"name\":\"a b\",\"password\":\"b\"}",
		"{\"name\":\"a/b\",\"password\":\"b\"}",
		"{\"name\":\"\",\"password\":\"b\"}",
		"{\"name\":\"a\",\"password\":\"\"}",
		"{\"name\":\"a\",\"password\":\"x\\ny\"}",
		"{\"name\":\"a\\u0000b\",\"password\":\"y\"}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		ck_assert_msg(ask("POST /accounts", bodies[i]) == 400, "%s: %s", bodies[i],
			      reply.at);
	ck_assert(says("{\"error\":"));
	ck_assert_int_eq(ask("PUT /accounts/a%2Fb", "{\"password\":\"x\"}"), 400);
	ck_assert_int_eq(ask("DELETE /accounts/joe%00x", NULL), 404);
	ck_assert_int_eq(ask("DELETE /accounts/joe%zz", NULL), 404);
	ck_assert_int_eq(ask("DELETE /accounts", NULL), 405);
	ck_assert_int_eq(ask("PATCH /accounts/joe", "x"), 405);
	ck_assert_int_eq(ask_with("DELETE /accounts/joe", "Origin: http://evil.example\r\n", NULL),
			 403);
	ck_assert_str_eq(fake.last, "");
	char *big = calloc(1, 20000);
	memset(big, 'x', 19999);
	ck_assert_int_eq(ask("POST /accounts", big), 413);
	free(big);
}
END_TEST

static void answer_message(struct message *m, void *receiver)
{
	(void)m;
	(void)receiver;
	answer(NULL);
}

START_TEST(requests_do_not_wait_for_each_other)
{
	int fd = dial();

	fake.hold = true;
	send_request(fd, "DELETE /accounts/joe", "", NULL);
	while (!fake.held)
		(void)usleep(1000);
	ck_assert_int_eq(ask("GET /healthz", NULL), 200);
	fake.hold = false;
	static struct message wake;
	wake = (struct message){ .deliver = answer_message };
	ck_assert_int_eq(loop_post_one(loop, &wake), OK);
	ck_assert_int_eq(read_reply(fd), 204);
}
END_TEST

START_TEST(clients_and_server_may_go_away_meanwhile)
{
	static struct message wake;
	int fd = dial();

	fake.hold = true;
	send_request(fd, "DELETE /accounts/joe", "", NULL);
	while (!fake.held)
		(void)usleep(1000);
	admin_close(&admin);
	(void)read_reply(fd);
	wake = (struct message){ .deliver = answer_message };
	ck_assert_int_eq(loop_post_one(loop, &wake), OK);
}
END_TEST

START_TEST(a_port_is_taken_once)
{
	const struct admin_options o = { .address = "127.0.0.1", .port = admin_port(admin) };
	const struct admin_options bad = { .address = "localhost" };
	struct admin *other = NULL;

	ck_assert_int_eq(admin_open(&o, &other), ERR_EXISTS);
	ck_assert_int_eq(admin_open(&bad, &other), ERR_BAD_INPUT);
	ck_assert_ptr_null(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("admin");
	TCase *t = tcase_create("admin");

	log_set_level(LOG_LEVEL_ERROR);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, health_ready_metrics_status);
	tcase_add_test(t, accounts_are_listed_by_name);
	tcase_add_test(t, accounts_are_made_changed_deleted);
	tcase_add_test(t, what_is_refused);
	tcase_add_test(t, requests_do_not_wait_for_each_other);
	tcase_add_test(t, clients_and_server_may_go_away_meanwhile);
	tcase_add_test(t, a_port_is_taken_once);
	suite_add_tcase(suite, t);
	SRunner *r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
