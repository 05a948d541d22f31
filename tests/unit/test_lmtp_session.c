/* LMTP over a socket, with router and uploads played by the test: replies, their order, what is
 * appended where, and what is left when a client vanishes. */
#include "replication/upload.h"
#include "server/lmtp/lmtp.h"
#include "server/net/net.h"
#include "server/session/front.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static struct loop *loop;
static struct net *net;
static struct front *front;
static struct lmtp *lmtp;
static int fd = -1;
static struct buf got; /* from the server */

/* ---- the router and the uploads ---- */

enum { CALLS_MAX = 2000, UPLOADS_MAX = 16 };

struct upload {
	bool live;
	char account[64];
	struct buf bytes;
	struct upload_owner owner;
	bool finished;
};

static struct {
	struct upload uploads[UPLOADS_MAX];
	size_t upload_count;
	struct op_call *ops[CALLS_MAX];
	size_t op_count;
	struct read_call *reads[4];
	size_t read_count;
	struct loop_deferred deferred;
	bool hold_ops, hold_reads, full;
	Tm__Outcome stored, appended;
	unsigned appends;
	char last_append[128]; /* account:name:fall back */
	bool reversed;         /* answer the newest op first */
} fake;

static bool is_account(const char *name)
{
	return strcmp(name, "joe") == 0 || strcmp(name, "jim") == 0 ||
	       strcmp(name, "ann@example.org") == 0 || strncmp(name, "user", 4) == 0;
}

static void answer_op(struct op_call *c)
{
	Tm__OpResult result = TM__OP_RESULT__INIT;
	const Tm__Append *a = c->op.append;

	(void)snprintf(fake.last_append, sizeof(fake.last_append), "%s:%s:%d", c->op.account,
		       a->name, a->fall_back_inbox);
	ck_assert_uint_eq(a->n_messages, 1);
	ck_assert_uint_eq(c->op.number, 1); /* a client id of its own */
	fake.appends++;
	result.outcome =
		strcmp(c->op.account, "jim") == 0 ? TM__OUTCOME__OVER_QUOTA : fake.appended;
	front_sink()->op_done(front, c, &result);
}

static void answer_read(struct read_call *c)
{
	Tm__ReadFrame f = TM__READ_FRAME__INIT;
	Tm__AccountRow row = TM__ACCOUNT_ROW__INIT;

	f.end = true;
	f.outcome = TM__OUTCOME__NO_ACCOUNT;
	if (is_account(c->read.account)) {
		f.outcome = TM__OUTCOME__DONE;
		f.account = &row;
	} else if (strcmp(c->read.account, "busy") == 0) {
		f.outcome = TM__OUTCOME__UNAVAILABLE;
	}
	front_sink()->read_frame(front, c, &f);
}

static void answer_all(struct loop_deferred *d)
{
	(void)d;
	while (!fake.hold_reads && fake.read_count > 0)
		answer_read(fake.reads[--fake.read_count]);
	while (!fake.hold_ops && fake.op_count > 0) {
		struct op_call *c = fake.ops[0];
		if (fake.reversed)
			c = fake.ops[fake.op_count - 1];
		else
			memmove(fake.ops, fake.ops + 1, (fake.op_count - 1) * sizeof(c));
		fake.op_count--;
		answer_op(c);
	}
}

static void answer_later(void)
{
	loop_defer(loop, &fake.deferred, answer_all);
}

void router_op(struct router *r, struct op_call *c)
{
	(void)r;
	ck_assert_int_eq(c->op.what_case, TM__OP__WHAT_APPEND);
	fake.ops[fake.op_count++] = c;
	answer_later();
}

void router_read(struct router *r, struct read_call *c)
{
	(void)r;
	fake.reads[fake.read_count++] = c;
	answer_later();
}

void router_read_cancel(struct router *r, struct read_call *c)
{
	(void)r;
	(void)c;
	fake.hold_reads = false;
	answer_later();
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

/* user1 and user2 share a partition; everybody else has one of his own. */
partition_id router_partition(const struct router *r, const char *account)
{
	(void)r;
	return (partition_id){ strncmp(account, "user", 4) == 0 ? 1 : (uint16_t)account[1] };
}

struct upload *upload_begin(struct router *r, const char *account, uint64_t bytes, bool in_chunks,
			    const struct upload_owner *owner)
{
	struct upload *u = &fake.uploads[fake.upload_count++];
	(void)r;

	ck_assert_uint_eq(bytes, 0);
	ck_assert(!in_chunks);
	u->live = true;
	u->owner = *owner;
	(void)snprintf(u->account, sizeof(u->account), "%s", account);
	return u;
}

bool upload_put(struct upload *u, struct span bytes)
{
	ck_assert(u->live && !u->finished);
	buf_put_span(&u->bytes, bytes);
	return !fake.full;
}

void upload_finish(struct upload *u)
{
	ck_assert(u->live && !u->finished);
	u->finished = true;
	u->owner.stored(u->owner.data, fake.stored); /* as upload.h allows: within the call */
}

void upload_fill(struct upload *u, struct arena *a, Tm__AppendMessage *m)
{
	(void)a;
	m->size = u->bytes.bytes;
}

void upload_drop(struct upload **u)
{
	if (*u != NULL)
		(*u)->live = false;
	*u = NULL;
}

bool upload_op_done(struct op_call *c, const Tm__OpResult *result)
{
	(void)c;
	(void)result;
	return false;
}

static unsigned live_uploads(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < fake.upload_count; i++)
		n += fake.uploads[i].live ? 1 : 0;
	return n;
}

/* ---- the client ---- */

static void turn(void)
{
	char bytes[65536];
	ssize_t n;

	(void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_put(&got, bytes, (size_t)n);
}

static void settle(void)
{
	size_t before = 0;

	for (int quiet = 0; quiet < 5; quiet = got.bytes == before ? quiet + 1 : 0) {
		before = got.bytes;
		turn();
		(void)usleep(200);
	}
}

static void say_bytes(const char *at, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, at, bytes);
		if (n > 0) {
			at += n;
			bytes -= (size_t)n;
		}
		turn();
	}
	settle();
}

/* Everything the server said since the last call. */
static const char *said(void)
{
	static struct buf text;

	buf_reset(&text);
	buf_put_span(&text, buf_span(&got));
	buf_putc(&text, '\0');
	buf_reset(&got);
	return text.at;
}

static const char *say(const char *text)
{
	(void)said();
	say_bytes(text, strlen(text));
	return said();
}

static void expect(const char *text, const char *answer)
{
	const char *have = say(text);

	ck_assert_msg(strcmp(have, answer) == 0, "to %s:\n%s", text, have);
}

static void hang_up(void)
{
	(void)close(fd);
	fd = -1;
	settle();
}

static const struct lmtp_options options = { .hostname = "mx.test", .message_bytes = 1000 };

static void setup(void)
{
	struct front_options fo = { .loop_count = 1 };
	int fds[2];

	memset(&fake, 0, sizeof(fake));
	ck_assert_int_eq(loop_create(0, &loop), OK);
	ck_assert_int_eq(net_create(&loop, 1, &net), OK);
	front = front_create(loop, &fo);
	lmtp = lmtp_create(&options);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	fd = fds[0];
	ck_assert_ptr_nonnull(conn_open(loop, fds[1], &lmtp_handler, lmtp, NULL));
	settle();
	ck_assert_str_eq(said(), "220 mx.test LMTP Tidemark\r\n");
	(void)say("LHLO client.test\r\n");
}

static void teardown(void)
{
	if (fd >= 0)
		hang_up();
	ck_assert_uint_eq(front_clients(front), 0);
	ck_assert_uint_eq(live_uploads(), 0);
	for (size_t i = 0; i < fake.upload_count; i++)
		buf_free(&fake.uploads[i].bytes);
	loop_stop(loop);
	loop_run(loop);
	lmtp_free(&lmtp);
	front_free(&front);
	net_free(&net);
	loop_destroy(&loop);
	buf_free(&got);
}

/* ---- tests ---- */

START_TEST(lhlo_tells_what_there_is)
{
	expect("LHLO x\r\n", "250-mx.test\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n"
			     "250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250 SIZE 1000\r\n");
	expect("HELO x\r\n", "500 5.5.1 this is LMTP: say LHLO\r\n");
	expect("NOOP\n", "500 5.5.2 lines end with CR LF\r\n");
	expect("VRFY x\r\n", "252 2.5.2 send it and see\r\n");
	expect("STARTTLS\r\n", "503 5.5.1 no TLS here\r\n");
	expect("QUIT\r\n", "221 2.0.0 bye\r\n");
}
END_TEST

START_TEST(a_message_for_one_is_traced_and_delivered)
{
	expect("MAIL FROM:<s@example.org> SIZE=20\r\n", "250 2.1.0 ok\r\n");
	expect("RCPT TO:<Joe@Example.net>\r\n", "250 2.1.5 ok\r\n");
	expect("DATA\r\n", "354 end the message with a dot on a line of its own\r\n");
	expect("Subject: x\r\n\r\n..\r\n.\r\n", "250 2.0.0 <Joe@Example.net> delivered\r\n");
	ck_assert_str_eq(fake.last_append, "joe:INBOX:0");
	ck_assert_uint_eq(fake.upload_count, 1);
	struct buf *b = &fake.uploads[0].bytes;
	buf_putc(b, '\0');
	const char *head =
		"Return-Path: <s@example.org>\r\nDelivered-To: Joe@Example.net\r\n"
		"Received: from client.test ([unknown])\r\n\tby mx.test (Tidemark) with LMTP "
		"id ";
	ck_assert_msg(strncmp(b->at, head, strlen(head)) == 0, "%s", b->at);
	ck_assert_ptr_nonnull(strstr(b->at, "\r\n\tfor <Joe@Example.net>;\r\n\t"));
	ck_assert_ptr_nonnull(strstr(b->at, " +0000\r\nSubject: x\r\n\r\n.\r\n"));
	ck_assert_uint_eq(live_uploads(), 0);
}
END_TEST

START_TEST(several_recipients_share_by_partition_and_are_answered_in_order)
{
	fake.reversed = true;
	(void)say("MAIL FROM:<>\r\nRCPT TO:<user1>\r\nRCPT TO:<jim>\r\nRCPT TO:<user2>\r\n"
		  "RCPT TO:<nobody>\r\nDATA\r\n");
	expect("hello\r\n.\r\n", "250 2.0.0 <user1> delivered\r\n"
				 "552 5.2.2 <jim> the mailbox is full\r\n"
				 "250 2.0.0 <user2> delivered\r\n");
	ck_assert_uint_eq(fake.upload_count, 2);
	ck_assert_uint_eq(fake.appends, 3);
	ck_assert_ptr_null(
		memmem(fake.uploads[0].bytes.at, fake.uploads[0].bytes.bytes, "for <", 5));
	ck_assert_ptr_null(
		memmem(fake.uploads[0].bytes.at, fake.uploads[0].bytes.bytes, "Delivered", 9));
}
END_TEST

START_TEST(whose_mail_it_is)
{
	static const struct {
		const char *address;
		const char *append;
	} cases[] = {
		{ "joe", "joe:INBOX:0" },
		{ "joe+Lists@example.org", "joe:Lists:1" },
		{ "joe+@example.org", "joe:INBOX:0" },
		{ "joe+inbox", "joe:INBOX:0" },
		{ "ANN@example.org", "ann@example.org:INBOX:0" },
		{ "ann+a/b@example.org", "ann@example.org:a/b:1" },
		{ "user+x@y", "user+x@y:INBOX:0" }, /* an account of that very name comes first */
		{ "\"joe\"@example.org", "joe:INBOX:0" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[128];
		(void)snprintf(line, sizeof(line), "MAIL FROM:<>\r\nRCPT TO:<%s>\r\n",
			       cases[i].address);
		expect(line, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n");
		(void)say("BDAT 1 LAST\r\nx");
		ck_assert_str_eq(fake.last_append, cases[i].append);
	}
	expect("MAIL FROM:<>\r\nRCPT TO:<ann@elsewhere>\r\nRCPT TO:<busy>\r\nRCPT TO:<\"a b\">\r\n",
	       "250 2.1.0 ok\r\n550 5.1.1 no such account\r\n"
	       "451 4.3.0 can not look that account up now\r\n550 5.1.1 no such account\r\n");
	expect("DATA\r\n", "503 5.5.1 no recipient was accepted\r\n");
}
END_TEST

START_TEST(chunks)
{
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\n");
	expect("BDAT 6\r\na\r\n.\r\nBDAT 0\r\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:<joe>\r\nBDAT 1 "
	       "LAST\r\n"
	       "b",
	       "250 2.0.0 chunk taken\r\n250 2.0.0 chunk taken\r\n"
	       "503 5.5.1 the message comes by BDAT\r\n503 5.5.1 one message at a time\r\n"
	       "503 5.5.1 the message has begun\r\n250 2.0.0 <joe> delivered\r\n");
	struct buf *b = &fake.uploads[0].bytes;
	ck_assert_mem_eq(b->at + b->bytes - 9, "\r\na\r\n.\r\nb", 9);
	/* Refused chunks are read away. */
	expect("BDAT 4 LAST\r\nQUITNOOP\r\n",
	       "503 5.5.1 no message can come now\r\n250 2.0.0 ok\r\n");
	expect("BDAT x\r\n", "501 5.5.4 that is not how it is written\r\n");
}
END_TEST

START_TEST(too_big)
{
	char big[1200];

	memset(big, 'x', sizeof(big));
	expect("MAIL FROM:<> SIZE=1001\r\n", "552 5.3.4 the message is too big\r\n");
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\nRCPT TO:<user1>\r\nDATA\r\n");
	say_bytes(big, sizeof(big));
	expect("\r\n.\r\n", "552 5.3.4 <joe> the message is too big\r\n"
			    "552 5.3.4 <user1> the message is too big\r\n");
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\nBDAT 1100\r\n");
	say_bytes(big, 1100);
	ck_assert_str_eq(said(), "552 5.3.4 the message is too big\r\n");
	expect("BDAT 0 LAST\r\n", "552 5.3.4 <joe> the message is too big\r\n");
	ck_assert_uint_eq(fake.appends, 0);
	expect("NOOP\r\n", "250 2.0.0 ok\r\n");
}
END_TEST

START_TEST(what_can_not_be_done_now_is_put_off)
{
	static const char *const message = "MAIL FROM:<>\r\nRCPT TO:<joe>\r\nBDAT 1 LAST\r\nx";
	static const char *const off = "250 2.1.0 ok\r\n250 2.1.5 ok\r\n"
				       "451 4.3.0 <joe> can not deliver now\r\n";

	fake.stored = TM__OUTCOME__UNAVAILABLE;
	expect(message, off);
	ck_assert_uint_eq(fake.appends, 0);
	fake.stored = TM__OUTCOME__DONE;
	fake.appended = TM__OUTCOME__UNKNOWN_FATE;
	expect(message, off);
	fake.appended = TM__OUTCOME__CHUNKS_MISSING;
	expect(message, off);
	fake.appended = TM__OUTCOME__NO_ACCOUNT; /* deleted meanwhile */
	expect(message, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n550 5.1.1 <joe> no such account\r\n");
}
END_TEST

START_TEST(a_full_window_stops_the_reading)
{
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\nDATA\r\n");
	fake.full = true;
	(void)say("one\r\n");
	size_t bytes = fake.uploads[0].bytes.bytes;
	expect("two\r\n.\r\nNOOP\r\n", "");
	ck_assert_uint_eq(fake.uploads[0].bytes.bytes, bytes);
	fake.full = false;
	fake.uploads[0].owner.ready(fake.uploads[0].owner.data);
	settle();
	ck_assert_str_eq(said(), "250 2.0.0 <joe> delivered\r\n250 2.0.0 ok\r\n");
}
END_TEST

START_TEST(a_client_that_vanishes_leaves_nothing)
{
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\nDATA\r\nhalf a mess");
	ck_assert_uint_eq(live_uploads(), 1);
	hang_up();
	ck_assert_uint_eq(live_uploads(), 0);
	ck_assert_uint_eq(fake.appends, 0);
}
END_TEST

START_TEST(a_client_that_vanishes_while_its_account_is_read)
{
	fake.hold_reads = true;
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\n");
	ck_assert_uint_eq(fake.read_count, 1);
	(void)close(fd);
	fd = -1;
	front_stop(front); /* the socket is not read just now */
	settle();
	fake.hold_reads = false;
	answer_later();
	settle();
}
END_TEST

START_TEST(a_client_that_vanishes_after_the_dot_may_have_been_served)
{
	fake.hold_ops = true;
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\nRCPT TO:<user1>\r\nDATA\r\nx\r\n.\r\n");
	ck_assert_uint_eq(fake.op_count, 2);
	(void)close(fd);
	fd = -1;
	fake.hold_ops = false;
	answer_later();
	settle();
	ck_assert_uint_eq(fake.appends, 2);
}
END_TEST

START_TEST(the_server_stops_after_the_answers)
{
	fake.hold_ops = true;
	(void)say("MAIL FROM:<>\r\nRCPT TO:<joe>\r\nDATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n");
	front_stop(front);
	settle();
	ck_assert_str_eq(said(), "");
	fake.hold_ops = false;
	answer_later();
	settle();
	ck_assert_str_eq(said(), "250 2.0.0 <joe> delivered\r\n421 4.3.2 the server stops\r\n");
}
END_TEST

START_TEST(recipients_and_errors_are_bounded)
{
	struct buf text = { 0 };

	buf_puts(&text, "MAIL FROM:<>\r\n");
	for (int i = 0; i < LMTP_RECIPIENTS_MAX + 1; i++)
		buf_puts(&text, "RCPT TO:<joe>\r\n");
	buf_putc(&text, '\0');
	const char *answer = say(text.at);
	size_t n = strlen(answer);
	ck_assert_str_eq(answer + n - 32, "\n452 4.5.3 too many recipients\r\n");
	(void)say("RSET\r\n");
	buf_reset(&text);
	for (int i = 0; i < LMTP_BAD_COMMANDS_MAX; i++)
		buf_puts(&text, "XYZZY\r\n");
	buf_putc(&text, '\0');
	ck_assert_ptr_nonnull(strstr(say(text.at), "421 4.7.0 too many errors\r\n"));
	buf_free(&text);
}
END_TEST

START_TEST(many_recipients_are_all_answered)
{
	struct buf text = { 0 };

	buf_puts(&text, "MAIL FROM:<>\r\n");
	for (int i = 0; i < 200; i++)
		buf_printf(&text, "RCPT TO:<user%d>\r\n", i);
	buf_puts(&text, "DATA\r\n");
	buf_putc(&text, '\0');
	(void)say(text.at);
	const char *answer = say("x\r\n.\r\n");
	for (int i = 0; i < 200; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "250 2.0.0 <user%d> delivered\r\n", i);
		ck_assert_msg(strncmp(answer, line, (size_t)n) == 0, "%d", i);
		answer += n;
	}
	ck_assert_uint_eq(fake.upload_count, 1);
	buf_free(&text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lmtp");
	TCase *t = tcase_create("session");

	log_set_level(LOG_LEVEL_ERROR);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lhlo_tells_what_there_is);
	tcase_add_test(t, a_message_for_one_is_traced_and_delivered);
	tcase_add_test(t, several_recipients_share_by_partition_and_are_answered_in_order);
	tcase_add_test(t, whose_mail_it_is);
	tcase_add_test(t, chunks);
	tcase_add_test(t, too_big);
	tcase_add_test(t, what_can_not_be_done_now_is_put_off);
	tcase_add_test(t, a_full_window_stops_the_reading);
	tcase_add_test(t, a_client_that_vanishes_leaves_nothing);
	tcase_add_test(t, a_client_that_vanishes_while_its_account_is_read);
	tcase_add_test(t, a_client_that_vanishes_after_the_dot_may_have_been_served);
	tcase_add_test(t, the_server_stops_after_the_answers);
	tcase_add_test(t, recipients_and_errors_are_bounded);
	tcase_add_test(t, many_recipients_are_all_answered);
	suite_add_tcase(suite, t);
	SRunner *r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
