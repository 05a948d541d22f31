/* play.h: whole IMAP sessions in a test: bytes in, bytes out, no sockets, no threads. Include it
 * once in a test program; it brings its fakes along. */
#ifndef TESTS_UNIT_PLAY_H
#define TESTS_UNIT_PLAY_H

#include "tests/unit/fake_conn.c"
#include "tests/unit/fake_router.c"

#include "server/command/commands.h"
#include "server/session/session.h"

#include <check.h>
#include <stdlib.h>

static struct loop *play_loop;
static struct front *play_front;
static struct router *play_router;
static struct imap_service *play_service;
static struct conn *play_conns[16];
static unsigned play_count;

static void play_begin(void)
{
	static int some_auth;
	struct front_options o = { .auth = (struct auth *)&some_auth };
	int rc = loop_create(0, &play_loop);

	ck_assert_int_eq(rc, 0);
	fake_world_begin();
	play_front = front_create(play_loop, &o);
	play_router = fake_router_new(play_front);
	front_set_router(play_front, play_router);
	play_service = imap_service_create(NULL);
	play_count = 0;
}

static void play_stop_loop(void)
{
	/* A loop that never ran: let it run once, so that what waits for its end is freed. */
	loop_stop(play_loop);
	loop_run(play_loop);
	loop_destroy(&play_loop);
}

static void play_end(void)
{
	for (unsigned i = 0; i < play_count; i++)
		fake_conn_die(play_conns[i]);
	fake_hold(false);
	fake_run();
	for (unsigned i = 0; i < play_count; i++)
		fake_conn_free(play_conns[i]);
	ck_assert_uint_eq(front_clients(play_front), 0);
	fake_world_end();
	front_free(&play_front);
	fake_router_free(play_router);
	imap_service_free(&play_service);
	play_stop_loop();
}

static struct conn *play_connect(void)
{
	struct conn *c = fake_conn_open(play_loop, &imap_handler, play_service);

	play_conns[play_count++] = c;
	return c;
}

/* The client says it; everything that follows happens. */
static void say(struct conn *c, const char *text)
{
	fake_conn_send(c, span_str(text));
	fake_run();
}

#define expect(c, text) ck_assert_str_eq(fake_conn_take(c), (text))
#define expect_part(c, text) \
	do { \
		const char *got_ = fake_conn_take(c); \
		ck_assert_msg(strstr(got_, (text)) != NULL, "no '%s' in '%s'", (text), got_); \
	} while (0)
#define talk(c, text, answer) \
	do { \
		say((c), (text)); \
		expect((c), (answer)); \
	} while (0)

__attribute__((unused)) static struct conn *play_login(void)
{
	struct conn *c = play_connect();

	say(c, "l LOGIN alice right\r\n");
	expect_part(c, "\r\nl OK [CAPABILITY IMAP4rev1 ");
	return c;
}

/* Logged in, and with INBOX selected, whatever that says. */
__attribute__((unused)) static struct conn *play_select(void)
{
	struct conn *c = play_login();

	say(c, "s SELECT INBOX\r\n");
	expect_part(c, "\r\ns OK [READ-WRITE] SELECT completed\r\n");
	return c;
}

__attribute__((unused)) static struct conn *play_select_qresync(void)
{
	struct conn *c = play_login();

	say(c, "e ENABLE QRESYNC\r\ns SELECT INBOX\r\n");
	expect_part(c, "\r\ns OK [READ-WRITE] SELECT completed\r\n");
	return c;
}

static int play_run(Suite *s)
{
	SRunner *r = srunner_create(s);

	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
