/* The course of commands: states, order, literals, limits, ends. */
#include "tests/unit/play.h"

START_TEST(greets_and_logs_in)
{
	struct conn *c = play_connect();

	expect(c, "* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN "
		  "UNSELECT UIDPLUS MOVE CONDSTORE QRESYNC ESEARCH SEARCHRES WITHIN LIST-EXTENDED "
		  "LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE MULTIAPPEND OBJECTID "
		  "SAVEDATE APPENDLIMIT=67108864 SAVELIMIT=1000 AUTH=PLAIN] Tidemark ready\r\n");
	talk(c, "a LOGIN alice wrong\r\n", "a NO [AUTHENTICATIONFAILED] Authentication failed\r\n");
	talk(c, "b SELECT INBOX\r\n", "b BAD Log in first\r\n");
	say(c, "c AUTHENTICATE PLAIN\r\n");
	expect(c, "+ \r\n");
	say(c, "*\r\n");
	expect(c, "c BAD Authentication cancelled\r\n");
	say(c, "d AUTHENTICATE PLAIN cmlnaHQ=\r\n");
	expect_part(c, "COMPRESS=DEFLATE] Logged in\r\n");
	talk(c, "e LOGIN alice right\r\n", "e BAD You are logged in already\r\n");
	talk(c, "f NOOP\r\n", "f OK NOOP completed\r\n");
}
END_TEST

START_TEST(runs_pipelined_commands_in_order)
{
	struct conn *c = play_connect();

	fake_conn_take(c);
	say(c, "a LOGIN alice right\r\nb CREATE x\r\nc STATUS x (MESSAGES)\r\nd SELECT x\r\n"
	       "e FETCH 1 FLAGS\r\nf UNSELECT\r\ng DELETE x\r\nh NOOP\r\n");
	const char *got = fake_conn_take(c);
	static const char *const order[] = { "a OK",
					     "b OK [MAILBOXID (F5-2)]",
					     "* STATUS x (MESSAGES 0)",
					     "c OK",
					     "* 0 EXISTS",
					     "d OK [READ-WRITE]",
					     "e BAD",
					     "f OK",
					     "g OK",
					     "h OK" };

	for (size_t i = 0; i < 10; i++) {
		const char *at = strstr(got, order[i]);

		ck_assert_msg(at != NULL, "%s is missing in %s", order[i], got);
		got = at;
	}
}
END_TEST

START_TEST(takes_literals_and_refuses_them_in_the_wrong_state)
{
	struct conn *c = play_connect();

	fake_conn_take(c);
	talk(c, "a LOGIN {5}\r\n", "+ OK\r\n");
	talk(c, "alice {5+}\r\n", "");
	say(c, "right\r\n");
	expect_part(c, "Logged in\r\n");
	talk(c, "b CREATE {3}\r\n", "+ OK\r\n");
	talk(c, "abc\r\n", "b OK [MAILBOXID (F5-2)] CREATE completed\r\n");
	talk(c, "c LOGIN {5}\r\n", "c BAD You are logged in already\r\n");
	talk(c, "d NOOP\r\n", "d OK NOOP completed\r\n");
}
END_TEST

START_TEST(ends_after_too_many_bad_commands)
{
	struct conn *c = play_login();

	for (int i = 0; i < SESSION_BAD_COMMANDS_MAX - 1; i++) {
		say(c, "x nonsense\r\n");
		expect_part(c, "x BAD ");
	}
	talk(c, "a NOOP\r\n", "a OK NOOP completed\r\n");
	for (int i = 0; i < SESSION_BAD_COMMANDS_MAX; i++) {
		ck_assert(!fake_conn_is_closed(c));
		say(c, "x nonsense\r\n");
	}
	expect_part(c, "* BYE ");
	ck_assert(fake_conn_is_closed(c));
}
END_TEST

START_TEST(says_goodbye)
{
	struct conn *c = play_select();

	talk(c, "a LOGOUT\r\nb NOOP\r\n", "* BYE Good-bye\r\na OK LOGOUT completed\r\n");
	ck_assert(fake_conn_is_closed(c));
}
END_TEST

START_TEST(waits_until_the_output_is_taken)
{
	struct conn *c = play_login();

	fake_conn_set_full(c, true);
	talk(c, "a NOOP\r\n", "");
	fake_conn_set_full(c, false);
	fake_run();
	expect(c, "a OK NOOP completed\r\n");
}
END_TEST

START_TEST(has_deadlines)
{
	struct conn *c = play_connect();

	ck_assert_uint_eq(fake_conn_deadline_ms(c), SESSION_AUTH_IDLE_MAX_SECONDS * 1000);
	say(c, "a LOGIN alice right\r\n");
	ck_assert_uint_eq(fake_conn_deadline_ms(c), SESSION_IDLE_MAX_SECONDS * 1000);
	say(c, "a CREATE {3}\r\n");
	ck_assert_uint_eq(fake_conn_deadline_ms(c), SESSION_LITERAL_STALL_MAX_SECONDS * 1000);
	fake_conn_take(c);
	fake_conn_deadline(c);
	expect(c, "* BYE Too long without the rest of the command\r\n");
}
END_TEST

START_TEST(lingers_for_what_is_outstanding)
{
	struct conn *c = play_select();

	world_append("INBOX", "", "x");
	fake_hold(true);
	say(c, "a NOOP\r\n");
	ck_assert_uint_eq(front_clients(play_front), 1);
	fake_conn_die(c);
	ck_assert_uint_eq(front_clients(play_front), 1);
	fake_hold(false);
	fake_run();
	ck_assert_uint_eq(front_clients(play_front), 0);
}
END_TEST

START_TEST(ends_without_a_tag_when_the_fate_is_unknown)
{
	struct conn *c = play_select();

	fake_fail_op(0, TM__OUTCOME__UNKNOWN_FATE);
	talk(c, "a CREATE x\r\nb NOOP\r\n",
	     "* BYE [UNAVAILABLE] What became of the command is not known: please look\r\n");
	ck_assert(fake_conn_is_closed(c));
	c = play_select();
	fake_hold(true);
	say(c, "a CREATE y\r\n");
	fake_late();
	expect(c, "* BYE [UNAVAILABLE] What became of the command is not known: please look\r\n");
	fake_conn_die(c);
	ck_assert_uint_eq(front_clients(play_front), 2);
}
END_TEST

START_TEST(stops_with_the_server)
{
	struct conn *idle = play_login(), *busy = play_login();

	fake_hold(true);
	say(busy, "a CREATE x\r\n");
	front_stop(play_front);
	expect(idle, "* BYE [UNAVAILABLE] The server is stopping\r\n");
	expect(busy, "");
	fake_hold(false);
	fake_run();
	expect(busy, "a OK [MAILBOXID (F5-2)] CREATE completed\r\n"
		     "* BYE [UNAVAILABLE] The server is stopping\r\n");
	expect(play_connect(), "* BYE [UNAVAILABLE] The server is stopping\r\n");
}
END_TEST

START_TEST(small_commands)
{
	struct conn *c = play_login();

	talk(c, "a NAMESPACE\r\n",
	     "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na OK NAMESPACE completed\r\n");
	talk(c, "b ID (\"name\" \"x\")\r\n",
	     "* ID (\"name\" \"Tidemark\")\r\nb OK ID completed\r\n");
	talk(c, "c ENABLE X-NOTHING CONDSTORE\r\n",
	     "* ENABLED CONDSTORE\r\nc OK ENABLE completed\r\n");
	talk(c, "d CHECK\r\n", "d BAD Select a mailbox first\r\n");
	talk(c, "e STARTTLS\r\n", "e BAD You are logged in already\r\n");
	talk(c, "f COMPRESS DEFLATE\r\n", "f OK DEFLATE active\r\n<DEFLATE>");
	talk(c, "g COMPRESS DEFLATE\r\n", "g NO [COMPRESSIONACTIVE] DEFLATE is active already\r\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session_basic");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, play_begin, play_end);
	tcase_add_test(t, greets_and_logs_in);
	tcase_add_test(t, runs_pipelined_commands_in_order);
	tcase_add_test(t, takes_literals_and_refuses_them_in_the_wrong_state);
	tcase_add_test(t, ends_after_too_many_bad_commands);
	tcase_add_test(t, says_goodbye);
	tcase_add_test(t, waits_until_the_output_is_taken);
	tcase_add_test(t, has_deadlines);
	tcase_add_test(t, lingers_for_what_is_outstanding);
	tcase_add_test(t, ends_without_a_tag_when_the_fate_is_unknown);
	tcase_add_test(t, stops_with_the_server);
	tcase_add_test(t, small_commands);
	suite_add_tcase(s, t);
	return play_run(s);
}
