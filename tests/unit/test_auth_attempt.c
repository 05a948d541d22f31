/* LOGIN and AUTHENTICATE as a session drives them: a loop, a front, the pool, and a router that is
 * played by the test. */
#include "server/auth/auth.h"
#include "server/auth/base64.h"
#include "server/auth/scram.h"
#include "server/session/front.h"
#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/logfmt.h"

#include <check.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static struct loop *loop;
static struct front *front;
static struct auth *auth;
static struct scram_verifiers pencil;

/* ---- the router ---- */

static struct {
	struct read_call *read;
	struct loop_deferred deferred;
	Tm__Outcome outcome; /* of accounts other than joe */
	bool hold;           /* do not answer yet */
	unsigned reads, cancels;
	char asked[300];
} router;

static void answer(struct loop_deferred *d)
{
	Tm__ReadFrame f = TM__READ_FRAME__INIT;
	Tm__AccountRow row = TM__ACCOUNT_ROW__INIT;
	Tm__Verifier at[SCRAM_HASHES];
	Tm__Verifier *pointers[SCRAM_HASHES];
	struct read_call *c = router.read;
	(void)d;

	scram_to_messages(&pencil, at, pointers);
	row.verifiers = pointers;
	row.n_verifiers = SCRAM_HASHES;
	row.id = 7;
	f.end = true;
	f.outcome = router.outcome;
	if (strcmp(router.asked, "joe") == 0 && router.outcome == TM__OUTCOME__NO_ACCOUNT) {
		f.outcome = TM__OUTCOME__DONE;
		f.account = &row;
	}
	router.read = NULL;
	c->outstanding = false;
	front_sink()->read_frame(front, c, &f);
}

void router_op(struct router *r, struct op_call *c)
{
	(void)r;
	(void)c;
	ck_abort_msg("no ops here");
}

void router_read(struct router *r, struct read_call *c)
{
	(void)r;
	ck_assert_int_eq(c->read.what_case, TM__READ__WHAT_ACCOUNT_ROW);
	ck_assert_ptr_null(router.read);
	router.read = c;
	router.reads++;
	(void)snprintf(router.asked, sizeof(router.asked), "%s", c->read.account);
	if (!router.hold)
		loop_defer(loop, &router.deferred, answer);
}

void router_read_cancel(struct router *r, struct read_call *c)
{
	(void)r;
	ck_assert_ptr_eq(router.read, c);
	router.cancels++;
	loop_defer(loop, &router.deferred, answer);
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

/* ---- the session ---- */

static _Atomic bool halt;

static void run_turn(void)
{
	(void)uv_run(loop_uv(loop), UV_RUN_ONCE);
}

/* Until something happened that a test waits for. */
static void run(void)
{
	halt = false;
	while (!halt)
		run_turn();
}

static struct {
	struct auth_attempt *attempt;
	bool ended;
	enum auth_outcome outcome;
	char account[300];
	uint64_t id;
	unsigned challenges;
	struct buf last; /* challenge, decoded */
	void (*on_challenge)(void);
} session;

static void on_challenge(void *data, struct span base64)
{
	ck_assert_ptr_eq(data, &session);
	ck_assert(!session.ended);
	session.challenges++;
	buf_reset(&session.last);
	ck_assert_int_eq(base64_take(base64, &session.last), OK);
	if (session.on_challenge != NULL)
		session.on_challenge();
	else
		halt = true;
}

static void on_done(void *data, enum auth_outcome outcome, struct span account, account_id id)
{
	ck_assert_ptr_eq(data, &session);
	ck_assert(!session.ended);
	session.ended = true;
	session.attempt = NULL;
	session.outcome = outcome;
	session.id = id.v;
	ck_assert_uint_lt(account.bytes, sizeof(session.account));
	memcpy(session.account, account.at != NULL ? account.at : "", account.bytes);
	session.account[account.bytes] = '\0';
	halt = true;
}

static const struct auth_owner owner = { &session, on_challenge, on_done };
static struct auth_peer peer;

static void fresh(void)
{
	session.ended = false;
	session.challenges = 0;
	session.on_challenge = NULL;
}

static enum auth_outcome login(const char *name, const char *password)
{
	fresh();
	session.attempt = auth_login(auth, &peer, span_str(name), span_str(password), &owner);
	ck_assert(!session.ended); /* never from within the call */
	run();
	ck_assert(session.ended);
	return session.outcome;
}

/* Until a challenge comes or it ends. */
static void start(const char *mechanism, struct span initial)
{
	fresh();
	session.attempt = auth_start(auth, &peer, span_str(mechanism), initial, &owner);
	ck_assert(!session.ended);
	run();
}

static void respond(const char *line)
{
	auth_respond(session.attempt, span_str(line));
	ck_assert(!session.ended);
	run();
}

static struct auth_options options;

static void setup(void)
{
	struct front_options fo = { .loops = &loop, .loop_count = 1 };

	memset(&router, 0, sizeof(router));
	router.outcome = TM__OUTCOME__NO_ACCOUNT;
	ck_assert_int_eq(loop_create(0, &loop), OK);
	front = front_create(loop, &fo);
	options = (struct auth_options){ .mechanisms = AUTH_ALL,
					 .plaintext_on_loopback = true,
					 .iterations = 4096,
					 .failure_delay_ms = 50,
					 .failure_delay_max_ms = 100,
					 .threads = 1 };
	ck_assert_int_eq(auth_create(&options, &auth), OK);
	ck_assert_int_eq(scram_make_verifiers(span_str("pencil"), 4096, &pencil), OK);
	peer = (struct auth_peer){ .front = front, .address = "127.0.0.1", .loopback = true };
}

static void teardown(void)
{
	auth_free(&auth);
	front_free(&front);
	loop_destroy(&loop);
	buf_free(&session.last);
}

/* ---- LOGIN ---- */

START_TEST(login_knows_right_from_wrong)
{
	ck_assert_int_eq(login("joe", "pencil"), AUTH_DONE);
	ck_assert_str_eq(session.account, "joe");
	ck_assert_uint_eq(session.id, 7);
	ck_assert_int_eq(login("JOE", "pencil"), AUTH_DONE);
	ck_assert_str_eq(session.account, "joe");
	ck_assert_int_eq(login("joe", "pencils"), AUTH_FAILED);
	ck_assert_str_eq(session.account, "");
	ck_assert_int_eq(login("joe", ""), AUTH_FAILED);
	ck_assert_int_eq(login("jim", "pencil"), AUTH_FAILED);
	ck_assert_int_eq(login("", "pencil"), AUTH_FAILED);
	ck_assert_int_eq(login("a b", "pencil"), AUTH_FAILED);
	router.outcome = TM__OUTCOME__UNAVAILABLE;
	ck_assert_int_eq(login("joe", "pencil"), AUTH_UNAVAILABLE);
}
END_TEST

START_TEST(no_password_without_tls_from_elsewhere)
{
	struct buf caps = { 0 };

	peer.loopback = false;
	ck_assert(!auth_allows_plaintext(auth, &peer));
	ck_assert_int_eq(login("joe", "pencil"), AUTH_NEEDS_TLS);
	start("PLAIN", span_str("AGpvZQBwZW5jaWw="));
	ck_assert_int_eq(session.outcome, AUTH_NEEDS_TLS);
	auth_put_capabilities(auth, &peer, &caps);
	ck_assert(span_eq(buf_span(&caps), span_str(" AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256")));
	ck_assert_uint_eq(router.reads, 0);
	buf_free(&caps);
}
END_TEST

START_TEST(failures_cost_growing_time)
{
	uint64_t delays[6];

	for (size_t i = 0; i < 6; i++) {
		uint64_t began = clock_boot_ms();
		ck_assert_int_eq(login("joe", "wrong"), AUTH_FAILED);
		delays[i] = clock_boot_ms() - began;
	}
	ck_assert_uint_ge(delays[3], 50);
	ck_assert_uint_ge(delays[5], 100);
	peer.address = "127.0.0.2"; /* another client has nothing to do with it */
	ck_assert_int_eq(login("joe", "pencil"), AUTH_DONE);
	peer.address = "127.0.0.1"; /* and the right password is never refused */
	ck_assert_int_eq(login("joe", "pencil"), AUTH_DONE);
}
END_TEST

/* ---- AUTHENTICATE ---- */

START_TEST(plain_with_and_without_initial_response)
{
	start("plain", span_str("AGpvZQBwZW5jaWw="));
	ck_assert(session.ended);
	ck_assert_int_eq(session.outcome, AUTH_DONE);
	ck_assert_uint_eq(session.challenges, 0);

	start("PLAIN", span_of(NULL, 0));
	ck_assert(!session.ended);
	ck_assert_uint_eq(session.challenges, 1);
	ck_assert_uint_eq(session.last.bytes, 0);
	respond("AGpvZQBwZW5jaWw=");
	ck_assert_int_eq(session.outcome, AUTH_DONE);

	start("PLAIN", span_str("am9lAGpvZQBwZW5jaWw=")); /* authzid joe */
	ck_assert_int_eq(session.outcome, AUTH_DONE);
	start("PLAIN", span_str("cm9vdABqb2UAcGVuY2ls")); /* authzid root */
	ck_assert_int_eq(session.outcome, AUTH_NOT_ALLOWED);
}
END_TEST

START_TEST(login_mechanism)
{
	start("LOGIN", span_of(NULL, 0));
	ck_assert(span_eq(buf_span(&session.last), span_str("User Name")));
	respond("am9l");
	ck_assert(span_eq(buf_span(&session.last), span_str("Password")));
	respond("cGVuY2ls");
	ck_assert_int_eq(session.outcome, AUTH_DONE);

	start("LOGIN", span_str("am9l"));
	ck_assert(span_eq(buf_span(&session.last), span_str("Password")));
	respond("cGVuY2xs");
	ck_assert_int_eq(session.outcome, AUTH_FAILED);
}
END_TEST

START_TEST(scram_ends_with_the_server_proving_itself)
{
	Gsasl *ctx = NULL;
	Gsasl_session *c = NULL;
	char *out = NULL;
	size_t n = 0;
	struct buf line = { 0 };

	ck_assert_int_eq(gsasl_init(&ctx), GSASL_OK);
	ck_assert_int_eq(gsasl_client_start(ctx, "SCRAM-SHA-256", &c), GSASL_OK);
	(void)gsasl_property_set(c, GSASL_AUTHID, "joe");
	(void)gsasl_property_set(c, GSASL_PASSWORD, "pencil");
	ck_assert_int_eq(gsasl_step(c, "", 0, &out, &n), GSASL_NEEDS_MORE);
	base64_put(&line, span_of(out, n));
	gsasl_free(out);
	start("SCRAM-SHA-256", buf_span(&line));
	ck_assert_uint_eq(session.challenges, 1);
	ck_assert_int_eq(gsasl_step(c, session.last.at, session.last.bytes, &out, &n),
			 GSASL_NEEDS_MORE);
	buf_reset(&line);
	base64_put(&line, span_of(out, n));
	buf_putc(&line, '\0');
	gsasl_free(out);
	respond(line.at);
	ck_assert_uint_eq(session.challenges, 2);
	ck_assert(!session.ended);
	ck_assert_int_eq(gsasl_step(c, session.last.at, session.last.bytes, &out, &n), GSASL_OK);
	gsasl_free(out);
	respond("");
	ck_assert_int_eq(session.outcome, AUTH_DONE);
	ck_assert_str_eq(session.account, "joe");
	gsasl_finish(c);
	gsasl_done(ctx);
	buf_free(&line);
}
END_TEST

/* The server-first message without its nonce. */
static struct span salt_of(void)
{
	const char *p = memmem(session.last.at, session.last.bytes, ",s=", 3);

	ck_assert_ptr_nonnull(p);
	return span_of(p, session.last.bytes - (size_t)(p - session.last.at));
}

START_TEST(an_unknown_account_looks_like_a_known_one)
{
	struct buf first = { 0 };

	start("SCRAM-SHA-256", span_str("biwsbj1qaW0scj1hYmNkZWY=")); /* n,,n=jim,r=abcdef */
	ck_assert_uint_eq(session.challenges, 1);
	buf_put_span(&first, salt_of());
	respond("*");
	ck_assert_int_eq(session.outcome, AUTH_CANCELLED);
	start("SCRAM-SHA-256", span_str("biwsbj1qaW0scj1hYmNkZWY="));
	ck_assert(span_eq(buf_span(&first), salt_of()));
	auth_drop(&session.attempt);
	start("SCRAM-SHA-256", span_str("biwsbj1qb2Uscj1hYmNkZWY=")); /* joe */
	ck_assert_uint_eq(salt_of().bytes, first.bytes);
	auth_drop(&session.attempt);
	buf_free(&first);
}
END_TEST

START_TEST(what_is_wrong_is_told_apart)
{
	start("PLAIN", span_str("="));
	ck_assert_int_eq(session.outcome, AUTH_MALFORMED);
	start("PLAIN", span_str("not base64"));
	ck_assert_int_eq(session.outcome, AUTH_MALFORMED);
	start("PLAIN", span_of(NULL, 0));
	respond("*");
	ck_assert_int_eq(session.outcome, AUTH_CANCELLED);
	start("PLAIN", span_of(NULL, 0));
	auth_respond_too_long(session.attempt);
	run();
	ck_assert_int_eq(session.outcome, AUTH_MALFORMED);
	start("GSSAPI", span_of(NULL, 0));
	ck_assert_int_eq(session.outcome, AUTH_UNSUPPORTED);
	start("EXTERNAL", span_str("="));
	ck_assert_int_eq(session.outcome, AUTH_UNSUPPORTED); /* no certificate */
	start("SCRAM-SHA-256-PLUS", span_of(NULL, 0));
	ck_assert_int_eq(session.outcome, AUTH_UNSUPPORTED); /* no TLS */
	options.mechanisms = AUTH_SCRAM_SHA_256;
	auth_reload(auth, &options);
	start("SCRAM-SHA-1", span_of(NULL, 0));
	ck_assert_int_eq(session.outcome, AUTH_UNSUPPORTED);
	ck_assert(!auth_allows_plaintext(auth, &peer));
}
END_TEST

/* ---- clients that vanish ---- */

START_TEST(dropped_at_any_point_nothing_more_is_said)
{
	fresh();
	session.attempt = auth_login(auth, &peer, span_str("joe"), span_str("pencil"), &owner);
	auth_drop(&session.attempt); /* before anything */

	router.hold = true;
	session.attempt = auth_login(auth, &peer, span_str("joe"), span_str("pencil"), &owner);
	while (router.read == NULL) {
		run_turn();
	}
	auth_drop(&session.attempt); /* while the account is read */
	ck_assert_uint_eq(router.cancels, 1);
	while (router.read != NULL)
		run_turn();
	router.hold = false;

	session.attempt = auth_login(auth, &peer, span_str("joe"), span_str("pencil"), &owner);
	while (router.reads < 2 || router.read != NULL) {
		run_turn();
	}
	auth_drop(&session.attempt); /* while the pool computes */
	ck_assert_int_eq(login("joe", "pencil"), AUTH_DONE);
	ck_assert_ptr_null(session.attempt);
	ck_assert_uint_eq(front_clients(front), 0);
}
END_TEST

/* ---- new passwords ---- */

static int made;
static bool made_right;

static void on_wake(struct message *m, void *receiver)
{
	(void)m;
	(void)receiver;
	halt = true;
}

/* On the pool's thread. */
static void on_made(void *data, int err, const struct scram_verifiers *v)
{
	made = err;
	made_right = v != NULL && scram_check_password(&v->at[SCRAM_SHA_256], span_str("new"));
	(void)data;
	static struct message wake = { .deliver = on_wake };
	loop_post_one(loop, &wake);
}

START_TEST(verifiers_are_made_in_the_pool)
{
	ck_assert_int_eq(auth_make_verifiers(auth, span_str("new"), on_made, loop), OK);
	run();
	ck_assert_int_eq(made, OK);
	ck_assert(made_right);
	ck_assert_int_eq(auth_make_verifiers(auth, span_str("a\nb"), on_made, loop), OK);
	run();
	ck_assert_int_eq(made, ERR_BAD_INPUT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("auth");
	TCase *t = tcase_create("attempt");

	log_set_level(LOG_LEVEL_ERROR);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, login_knows_right_from_wrong);
	tcase_add_test(t, no_password_without_tls_from_elsewhere);
	tcase_add_test(t, failures_cost_growing_time);
	tcase_add_test(t, plain_with_and_without_initial_response);
	tcase_add_test(t, login_mechanism);
	tcase_add_test(t, scram_ends_with_the_server_proving_itself);
	tcase_add_test(t, an_unknown_account_looks_like_a_known_one);
	tcase_add_test(t, what_is_wrong_is_told_apart);
	tcase_add_test(t, dropped_at_any_point_nothing_more_is_said);
	tcase_add_test(t, verifiers_are_made_in_the_pool);
	suite_add_tcase(suite, t);
	SRunner *r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
