/* STORE, UID STORE and the implicit \Seen of FETCH: IMAP.md section 4, RFC 7162 3.1.3. */
#include "tests/unit/play.h"

static struct conn *c;

static void three_messages(void)
{
	play_begin();
	for (int i = 0; i < 3; i++)
		world_append("INBOX", "", "x"); /* modseq 2..4 */
	c = play_select();
	say(c, "e EXAMINE INBOX\r\ns SELECT INBOX\r\n"); /* \Recent is out of the way */
	fake_conn_take(c);
}

static void aware(void)
{
	say(c, "e ENABLE CONDSTORE\r\n");
	expect(c, "* ENABLED CONDSTORE\r\n* OK [HIGHESTMODSEQ 4] Highest\r\ne OK ENABLE "
		  "completed\r\n");
}

START_TEST(plain)
{
	unsigned before = fake_frames_sent();

	talk(c, "a STORE 1:2 +FLAGS (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n"
	     "a OK STORE completed\r\n");
	/* Nobody else changed anything: no question was asked. */
	ck_assert_uint_eq(fake_frames_sent(), before);
	talk(c, "b STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\n", "b OK STORE completed\r\n");
	talk(c, "c STORE 2 FLAGS (\\Draft)\r\n",
	     "* 2 FETCH (UID 2 FLAGS (\\Draft))\r\nc OK STORE completed\r\n");
	talk(c, "d NOOP\r\n", "d OK NOOP completed\r\n");
	/* A STORE without effect answers, and changes nothing. */
	talk(c, "f STORE 2 +FLAGS (\\Draft)\r\n",
	     "* 2 FETCH (UID 2 FLAGS (\\Draft))\r\nf OK STORE completed\r\n");
	ck_assert_uint_eq(world_modseq("INBOX"), 7);
	talk(c, "g STORE 4 +FLAGS (\\Draft)\r\n", "g BAD There is no message of this number\r\n");
	talk(c, "h UID STORE 77 +FLAGS (\\Draft)\r\n",
	     "h OK STORE completed: there are no such messages\r\n");
	talk(c, "i STORE $ +FLAGS (\\Draft)\r\n",
	     "i OK STORE completed: there are no such messages\r\n");
}
END_TEST

START_TEST(silent_but_aware)
{
	aware();
	talk(c, "a STORE 1 +FLAGS.SILENT (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 MODSEQ (5))\r\na OK STORE completed\r\n");
	talk(c, "b STORE 1 +FLAGS.SILENT (\\Seen)\r\n", "b OK STORE completed\r\n");
	talk(c, "d STORE 1 +FLAGS (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (5))\r\nd OK STORE completed\r\n");
}
END_TEST

START_TEST(silent_tells_what_somebody_else_changed)
{
	world_flag("INBOX", 1, "\\Flagged");  /* 5 */
	world_flag("INBOX", 3, "\\Answered"); /* 6 */
	talk(c, "a STORE 1:2 +FLAGS.SILENT (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))\r\n"
	     "* 3 FETCH (UID 3 FLAGS (\\Answered))\r\na OK STORE completed\r\n");
	talk(c, "b NOOP\r\n", "b OK NOOP completed\r\n");
}
END_TEST

START_TEST(conditional)
{
	talk(c, "a STORE 1:3 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Seen)\r\n",
	     "* OK [HIGHESTMODSEQ 4] Highest\r\n"
	     "* 3 FETCH (UID 3 FLAGS () MODSEQ (4))\r\n"
	     "* 1 FETCH (UID 1 MODSEQ (5))\r\n* 2 FETCH (UID 2 MODSEQ (5))\r\n"
	     "a OK [MODIFIED 3] Some had changed\r\n");
	/* 0 always fails; the condition comes before "nothing would change". */
	talk(c, "b UID STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (5))\r\n"
	     "b OK [MODIFIED 1] Some had changed\r\n");
	/* A no-op that passes is told with its old value. */
	talk(c, "d STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 MODSEQ (5))\r\nd OK STORE completed\r\n");
}
END_TEST

START_TEST(gone_by_number)
{
	world_expunge("INBOX", 2);
	talk(c, "a STORE 1:3 +FLAGS (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 3 FETCH (UID 3 FLAGS (\\Seen))\r\n"
	     "a NO [EXPUNGEISSUED] Some of the messages are gone\r\n");
	talk(c, "b STORE 1:3 -FLAGS.SILENT (\\Seen)\r\n",
	     "b OK [EXPUNGEISSUED] Some of the messages are gone\r\n");
	/* RFC 7162, example 11: T is below the expunge, which is held. */
	talk(c, "d STORE 1:2 (UNCHANGEDSINCE 4) +FLAGS (\\Seen)\r\n",
	     "* OK [HIGHESTMODSEQ 4] Highest\r\n* 1 FETCH (UID 1 FLAGS () MODSEQ (7))\r\n"
	     "* OK [HIGHESTMODSEQ 4] Highest\r\n"
	     "d NO [MODIFIED 1] Some of the messages are gone\r\n");
	talk(c, "f STORE 2 (UNCHANGEDSINCE 99) +FLAGS (\\Seen)\r\n",
	     "* OK [HIGHESTMODSEQ 4] Highest\r\n"
	     "f NO [EXPUNGEISSUED] Some of the messages are gone\r\n");
	talk(c, "g NOOP\r\n", "* 2 EXPUNGE\r\ng OK [HIGHESTMODSEQ 7] NOOP completed\r\n");
}
END_TEST

START_TEST(gone_by_uid)
{
	say(c, "e ENABLE QRESYNC\r\n");
	fake_conn_take(c);
	world_expunge("INBOX", 2);
	talk(c, "a UID STORE 1:2 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Seen)\r\n",
	     "* VANISHED 2\r\n* 1 FETCH (UID 1 MODSEQ (6))\r\n"
	     "a OK [MODIFIED 2] Some had changed\r\n");
	talk(c, "b UID STORE 2 +FLAGS.SILENT (\\Seen)\r\n",
	     "b OK STORE completed: there are no such messages\r\n");
}
END_TEST

static void flag_1(void)
{
	world_flag("INBOX", 1, "\\Draft");
}

START_TEST(later_change_is_told_after_the_answer)
{
	fake_after_op(flag_1); /* 6, while the answer is on its way */
	talk(c, "a STORE 1 +FLAGS (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\na OK STORE completed\r\n");
	talk(c, "b NOOP\r\n", "* 1 FETCH (UID 1 FLAGS (\\Draft))\r\nb OK NOOP completed\r\n");
	world_flag("INBOX", 2, "\\Flagged"); /* so that the news are asked for */
	fake_after_op(flag_1);
	talk(c, "d STORE 1 +FLAGS (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen \\Draft))\r\n"
	     "* 1 FETCH (UID 1 FLAGS (\\Draft))\r\n* 2 FETCH (UID 2 FLAGS (\\Flagged))\r\n"
	     "d OK STORE completed\r\n");
}
END_TEST

START_TEST(new_keyword_is_named_before_it_is_used)
{
	talk(c, "a STORE 1 +FLAGS ($Claim)\r\n",
	     "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Claim)\r\n"
	     "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Claim \\*)] "
	     "Limited\r\n* 1 FETCH (UID 1 FLAGS ($Claim))\r\na OK STORE completed\r\n");
	talk(c, "b STORE 2 +FLAGS ($claim)\r\n",
	     "* 2 FETCH (UID 2 FLAGS ($Claim))\r\nb OK STORE completed\r\n");
}
END_TEST

START_TEST(only_one_claim_wins)
{
	struct conn *d = play_select();

	fake_hold(true);
	say(c, "a UID STORE 1 (UNCHANGEDSINCE 4) +FLAGS.SILENT ($A)\r\n");
	say(d, "b UID STORE 1 (UNCHANGEDSINCE 4) +FLAGS.SILENT ($B)\r\n");
	fake_hold(false);
	fake_run();
	expect_part(c, "* 1 FETCH (UID 1 MODSEQ (5))\r\na OK STORE completed\r\n");
	expect_part(d, "* 1 FETCH (UID 1 FLAGS ($A) MODSEQ (5))\r\nb OK [MODIFIED 1] ");
}
END_TEST

START_TEST(goes_on_with_what_remained)
{
	fake_store_limit(2);
	talk(c, "a STORE 1:3 +FLAGS (\\Seen)\r\n",
	     "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n"
	     "* 3 FETCH (UID 3 FLAGS (\\Seen))\r\na OK STORE completed\r\n");
	fake_fail_op(1, TM__OUTCOME__UNAVAILABLE);
	talk(c, "b STORE 1:3 -FLAGS.SILENT (\\Seen)\r\n",
	     "b NO [UNAVAILABLE] Not now; nothing was done\r\n");
	say(c, "e ENABLE CONDSTORE\r\n");
	fake_conn_take(c);
	fake_fail_op(1, TM__OUTCOME__WITHDRAWN);
	talk(c, "d STORE 1:3 (UNCHANGEDSINCE 99) +FLAGS.SILENT (\\Flagged)\r\n",
	     "* 1 FETCH (UID 1 MODSEQ (8))\r\n* 2 FETCH (UID 2 MODSEQ (8))\r\n"
	     "d NO [MODIFIED 3] Not now; nothing was done\r\n");
}
END_TEST

START_TEST(slices_large_sets)
{
	struct conn *d = play_login();

	world_create("big");
	for (int i = 0; i < OP_MESSAGES_MAX + 5; i++)
		world_append("big", "", "x");
	say(d, "a SELECT big\r\n");
	fake_conn_take(d);
	unsigned before = fake_ops_done();

	talk(d, "b STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n", "b OK STORE completed\r\n");
	ck_assert_uint_eq(fake_ops_done() - before, 2);
}
END_TEST

START_TEST(fetch_sets_seen)
{
	talk(c, "a FETCH 1 BODY[]\r\n",
	     "* 1 FETCH (FLAGS (\\Seen) BODY[] {1}\r\nx)\r\na OK FETCH completed\r\n");
	talk(c, "b FETCH 1 BODY[]\r\n", "* 1 FETCH (BODY[] {1}\r\nx)\r\nb OK FETCH completed\r\n");
	say(c, "e ENABLE CONDSTORE\r\n");
	fake_conn_take(c);
	talk(c, "d FETCH 2 BODY[]\r\n",
	     "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (6) BODY[] {1}\r\nx)\r\n"
	     "d OK FETCH completed\r\n");
	/* If the flag cannot be set, the data come anyway. */
	fake_fail_op(0, TM__OUTCOME__UNAVAILABLE);
	talk(c, "f FETCH 3 BODY[]\r\n", "* 3 FETCH (BODY[] {1}\r\nx)\r\nf OK FETCH completed\r\n");
	say(c, "g EXAMINE INBOX\r\n");
	fake_conn_take(c);
	talk(c, "h FETCH 3 BODY[]\r\n", "* 3 FETCH (BODY[] {1}\r\nx)\r\nh OK FETCH completed\r\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session_store");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, three_messages, play_end);
	tcase_add_test(t, plain);
	tcase_add_test(t, silent_but_aware);
	tcase_add_test(t, silent_tells_what_somebody_else_changed);
	tcase_add_test(t, conditional);
	tcase_add_test(t, gone_by_number);
	tcase_add_test(t, gone_by_uid);
	tcase_add_test(t, later_change_is_told_after_the_answer);
	tcase_add_test(t, new_keyword_is_named_before_it_is_used);
	tcase_add_test(t, only_one_claim_wins);
	tcase_add_test(t, goes_on_with_what_remained);
	tcase_add_test(t, slices_large_sets);
	tcase_add_test(t, fetch_sets_seen);
	suite_add_tcase(s, t);
	return play_run(s);
}
