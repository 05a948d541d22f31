/* SELECT, EXAMINE and what ends a selection; CONDSTORE and QRESYNC parameters (RFC 7162). */
#include "tests/unit/play.h"

static const char flags_line[] = "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n";

START_TEST(tells_everything_of_the_mailbox)
{
	struct conn *c = play_login();
	char want[1000];

	world_append("INBOX", "\\Seen", "1");
	world_append("INBOX", "", "2");
	snprintf(want, sizeof(want),
		 "%s* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] "
		 "Limited\r\n* 2 EXISTS\r\n* 2 RECENT\r\n"
		 "* OK [UNSEEN 2] The first unseen one\r\n* OK [UIDVALIDITY 100] UIDs are valid\r\n"
		 "* OK [UIDNEXT 3] The next UID\r\n* OK [HIGHESTMODSEQ 3] Highest\r\n"
		 "* OK [MAILBOXID (F5-1)] Its id\r\na OK [READ-WRITE] SELECT completed\r\n",
		 flags_line);
	talk(c, "a SELECT inbox\r\n", want);
	say(c, "b EXAMINE INBOX\r\n");
	const char *got = fake_conn_take(c);

	ck_assert_int_eq(strncmp(got, "* OK [CLOSED] ", 14), 0);
	ck_assert_ptr_nonnull(strstr(got, "* OK [PERMANENTFLAGS ()] "));
	ck_assert_ptr_nonnull(strstr(got, "* 0 RECENT\r\n"));
	ck_assert_ptr_nonnull(strstr(got, "b OK [READ-ONLY] EXAMINE completed\r\n"));
}
END_TEST

START_TEST(claims_recent_exactly_once)
{
	struct conn *a = play_login(), *b = play_login(), *x = play_login();

	world_append("INBOX", "", "1");
	say(x, "x EXAMINE INBOX\r\n");
	expect_part(x, "* 1 RECENT\r\n");
	say(a, "a SELECT INBOX\r\n");
	expect_part(a, "* 1 RECENT\r\n");
	say(b, "b SELECT INBOX\r\n");
	expect_part(b, "* 0 RECENT\r\n");
	world_append("INBOX", "", "2");
	talk(b, "c NOOP\r\n", "* 2 EXISTS\r\n* 1 RECENT\r\nc OK NOOP completed\r\n");
	talk(a, "d NOOP\r\n", "* 2 EXISTS\r\n* 1 RECENT\r\nd OK NOOP completed\r\n");
	talk(b, "e FETCH 1:2 FLAGS\r\n",
	     "* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS (\\Recent))\r\n"
	     "e OK FETCH completed\r\n");
	talk(a, "f FETCH 1:2 FLAGS\r\n",
	     "* 1 FETCH (FLAGS (\\Recent))\r\n* 2 FETCH (FLAGS ())\r\n"
	     "f OK FETCH completed\r\n");
}
END_TEST

START_TEST(failed_select_leaves_nothing_selected)
{
	struct conn *c = play_select();

	talk(c, "a SELECT nope\r\n",
	     "* OK [CLOSED] The previous mailbox is closed\r\n"
	     "a NO [NONEXISTENT] There is no such mailbox\r\n");
	talk(c, "b FETCH 1 FLAGS\r\n", "b BAD Select a mailbox first\r\n");
	say(c, "c SELECT a//b\r\n");
	expect_part(c, "c NO [CANNOT] ");
	fake_fail_read(TM__OUTCOME__UNAVAILABLE);
	talk(c, "d SELECT INBOX\r\n", "d NO [UNAVAILABLE] Not now; nothing was done\r\n");
}
END_TEST

START_TEST(condstore_parameter_makes_aware)
{
	struct conn *c = play_login();

	world_append("INBOX", "", "1");
	say(c, "a SELECT INBOX (CONDSTORE)\r\n");
	expect_part(c, "a OK [READ-WRITE]");
	world_flag("INBOX", 1, "\\Seen");
	talk(c, "b NOOP\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (3))\r\nb OK NOOP completed\r\n");
}
END_TEST

START_TEST(qresync_needs_enable)
{
	struct conn *c = play_select();

	talk(c, "a SELECT INBOX (QRESYNC (100 1))\r\n", "a BAD ENABLE QRESYNC first\r\n");
	talk(c, "b UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)\r\n",
	     "b BAD ENABLE QRESYNC first\r\n");
	talk(c, "c NOOP\r\n", "c OK NOOP completed\r\n");
}
END_TEST

START_TEST(qresync_tells_what_vanished_and_changed)
{
	struct conn *c = play_login();

	for (int i = 0; i < 4; i++)
		world_append("INBOX", "", "x"); /* modseq 2..5 */
	world_expunge("INBOX", 2);              /* 6 */
	world_flag("INBOX", 3, "\\Flagged");    /* 7 */
	say(c, "e ENABLE QRESYNC\r\n");
	expect(c, "* ENABLED QRESYNC\r\ne OK ENABLE completed\r\n");
	say(c, "a SELECT INBOX (QRESYNC (100 5))\r\n");
	expect_part(c, "* OK [MAILBOXID (F5-1)] Its id\r\n* VANISHED (EARLIER) 2\r\n"
		       "* 2 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ (7))\r\n"
		       "a OK [READ-WRITE] SELECT completed\r\n");
	say(c, "b SELECT INBOX (QRESYNC (100 5 1:2))\r\n");
	expect_part(c, "Its id\r\n* VANISHED (EARLIER) 2\r\nb OK");
	say(c, "c SELECT INBOX (QRESYNC (99 5))\r\n");
	expect_part(c, "Its id\r\nc OK");
}
END_TEST

START_TEST(expunges_only_where_it_may)
{
	struct conn *c = play_select();

	world_append("INBOX", "\\Deleted", "1");
	talk(c, "a UNSELECT\r\n", "a OK UNSELECT completed\r\n");
	say(c, "b EXAMINE INBOX\r\nc CLOSE\r\nd STATUS INBOX (MESSAGES)\r\n");
	expect_part(c, "c OK CLOSE completed\r\n* STATUS INBOX (MESSAGES 1)\r\n");
	say(c, "e SELECT INBOX\r\n");
	fake_conn_take(c);
	world_append("INBOX", "\\Deleted", "2"); /* not told, so not expunged */
	talk(c, "f CLOSE\r\ng STATUS INBOX (MESSAGES)\r\n",
	     "f OK CLOSE completed\r\n* STATUS INBOX (MESSAGES 1)\r\ng OK STATUS completed\r\n");
	say(c, "h EXAMINE INBOX\r\n");
	fake_conn_take(c);
	talk(c, "i EXPUNGE\r\n", "i NO [READ-ONLY] The mailbox is open read-only\r\n");
	talk(c, "j STORE 1 +FLAGS (\\Seen)\r\n",
	     "j NO [READ-ONLY] The mailbox is open read-only\r\n");
}
END_TEST

START_TEST(deleted_mailbox_ends_the_session)
{
	struct conn *c = play_login(), *own = play_login();

	world_create("x");
	say(c, "a SELECT x\r\n");
	fake_conn_take(c);
	say(own, "a SELECT x\r\n");
	fake_conn_take(own);
	talk(own, "b DELETE x\r\n",
	     "* OK [CLOSED] The selected mailbox was deleted\r\nb OK DELETE completed\r\n");
	talk(c, "b NOOP\r\n", "* BYE The mailbox was deleted\r\n");
	ck_assert(fake_conn_is_closed(c));
}
END_TEST

START_TEST(goes_to_the_owners_loop)
{
	struct loop *other;
	struct loop *loops[2] = { play_loop, NULL };
	struct front_options o = { .loops = loops, .loop_count = 2 };

	ck_assert_int_eq(loop_create(1, &other), 0);
	loops[1] = other;
	struct front *here = play_front;
	struct front *there = front_create(other, &o);
	struct router *r = fake_router_new(there);
	/* The session's front must know the loops. */
	struct front *origin = front_create(play_loop, &o);
	struct router *r2 = fake_router_new(origin);

	front_set_router(there, r);
	front_set_router(origin, r2);
	struct conn *c = fake_conn_open(play_loop, &imap_handler, play_service);
	struct session *s = conn_data(c);

	session_enter_account(s, span_str("alice"));
	fake_conn_take(c);
	fake_owner_loop(1);
	say(c, "a SELECT INBOX\r\nb NOOP\r\n");
	ck_assert(fake_conn_is_moving(c));
	ck_assert_uint_eq(front_clients(origin), 0);
	fake_conn_arrive(c);
	fake_run();
	expect_part(c, "a OK [READ-WRITE] SELECT completed\r\nb OK NOOP completed\r\n");
	ck_assert_uint_eq(front_clients(there), 1);
	say(c, "c SELECT INBOX\r\n");
	expect_part(c, "c OK");
	fake_conn_free(c);
	front_free(&there);
	front_free(&origin);
	fake_router_free(r);
	fake_router_free(r2);
	loop_set_slot(play_loop, LOOP_SLOT_SESSION, here);
	loop_stop(other);
	loop_run(other);
	loop_destroy(&other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session_select");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, play_begin, play_end);
	tcase_add_test(t, tells_everything_of_the_mailbox);
	tcase_add_test(t, claims_recent_exactly_once);
	tcase_add_test(t, failed_select_leaves_nothing_selected);
	tcase_add_test(t, condstore_parameter_makes_aware);
	tcase_add_test(t, qresync_needs_enable);
	tcase_add_test(t, qresync_tells_what_vanished_and_changed);
	tcase_add_test(t, expunges_only_where_it_may);
	tcase_add_test(t, deleted_mailbox_ends_the_session);
	tcase_add_test(t, goes_to_the_owners_loop);
	suite_add_tcase(s, t);
	return play_run(s);
}
