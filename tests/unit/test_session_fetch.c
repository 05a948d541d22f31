/* FETCH as a stream, SEARCH, COPY, MOVE, EXPUNGE. */
#include "tests/unit/play.h"

static struct conn *c;

static void four_messages(void)
{
	play_begin();
	for (int i = 0; i < 4; i++)
		world_append("INBOX", i == 3 ? "\\Flagged" : "", "body"); /* modseq 2..5 */
	c = play_select();
	say(c, "e EXAMINE INBOX\r\ns SELECT INBOX\r\n");
	fake_conn_take(c);
}

/* ---- FETCH ---- */

START_TEST(streams_by_credits)
{
	fake_frame_messages(1);
	fake_conn_set_full(c, true);
	fake_conn_set_full(c, false);
	say(c, "a FETCH 1:2 (FLAGS)\r\n");
	expect(c, "* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS ())\r\na OK FETCH "
		  "completed\r\n");
	for (int i = 0; i < 20; i++)
		world_append("INBOX", "", "more");
	say(c, "b NOOP\r\n");
	fake_conn_take(c);
	unsigned before = fake_frames_sent();

	/* The client reads nothing: the frames stop. */
	fake_hold(true);
	say(c, "d FETCH 1:24 (FLAGS)\r\n");
	fake_conn_set_full(c, true);
	fake_hold(false);
	fake_run();
	ck_assert_uint_eq(fake_frames_sent() - before, READ_CREDIT_FRAMES);
	fake_conn_set_full(c, false);
	fake_run();
	expect_part(c, "* 24 FETCH (FLAGS (\\Recent))\r\nd OK FETCH completed\r\n");
}
END_TEST

START_TEST(changedsince)
{
	world_flag("INBOX", 2, "\\Seen"); /* 6 */
	talk(c, "a UID FETCH 1:* FLAGS (CHANGEDSINCE 4)\r\n",
	     "* OK [HIGHESTMODSEQ 5] Highest\r\n"
	     "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (6))\r\n"
	     "* 4 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ (5))\r\na OK FETCH completed\r\n");
	talk(c, "b FETCH 1:* FLAGS (CHANGEDSINCE 5)\r\n",
	     "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (6))\r\nb OK FETCH completed\r\n");
	talk(c, "d FETCH 1:* MODSEQ (CHANGEDSINCE 6)\r\n", "d OK FETCH completed\r\n");
}
END_TEST

START_TEST(vanished_modifier)
{
	say(c, "e ENABLE QRESYNC\r\n");
	fake_conn_take(c);
	world_expunge("INBOX", 4); /* 6: the highest UID */
	talk(c, "a UID FETCH 1:* FLAGS (CHANGEDSINCE 4 VANISHED)\r\n",
	     "* VANISHED 4\r\n* VANISHED (EARLIER) 4\r\na OK FETCH completed\r\n");
	talk(c, "b UID FETCH 5:* FLAGS (CHANGEDSINCE 4 VANISHED)\r\n",
	     "* VANISHED (EARLIER) 4\r\nb OK FETCH completed\r\n");
	talk(c, "d UID FETCH 1:3 FLAGS (CHANGEDSINCE 5 VANISHED)\r\n", "d OK FETCH completed\r\n");
}
END_TEST

START_TEST(star_is_what_is_there)
{
	world_append("INBOX", "", "new"); /* uid 5 */
	talk(c, "a UID FETCH 5:* (UID)\r\n",
	     "* 5 EXISTS\r\n* 1 RECENT\r\n* 5 FETCH (UID 5)\r\na OK FETCH completed\r\n");
	talk(c, "b UID FETCH * (UID)\r\n", "* 5 FETCH (UID 5)\r\nb OK FETCH completed\r\n");
	talk(c, "d FETCH * (UID)\r\n", "* 5 FETCH (UID 5)\r\nd OK FETCH completed\r\n");
	talk(c, "f UID FETCH 77:* (UID)\r\n", "* 5 FETCH (UID 5)\r\nf OK FETCH completed\r\n");
	talk(c, "g UID FETCH 77 (UID)\r\n", "g OK FETCH completed\r\n");
	world_flag("INBOX", 4, "\\Draft");
	world_append("INBOX", "", "new"); /* uid 6: "6:*" is not 5, and not 4 */
	talk(c, "i UID FETCH 6:* (FLAGS)\r\n",
	     "* 6 EXISTS\r\n* 2 RECENT\r\n* 4 FETCH (UID 4 FLAGS (\\Draft))\r\n"
	     "* 6 FETCH (UID 6 FLAGS (\\Recent))\r\ni OK FETCH completed\r\n");
	world_flag("INBOX", 5, "\\Draft");
	talk(c, "j UID FETCH 7:* (FLAGS)\r\n",
	     "* 5 FETCH (UID 5 FLAGS (\\Draft \\Recent))\r\n"
	     "* 6 FETCH (UID 6 FLAGS (\\Recent))\r\nj OK FETCH completed\r\n");
	talk(c, "h FETCH 7 (UID)\r\n", "h BAD There is no message of this number\r\n");
}
END_TEST

START_TEST(broken_read_ends_honestly)
{
	fake_fail_read(TM__OUTCOME__UNAVAILABLE);
	talk(c, "a FETCH 1 (UID)\r\n", "a NO [UNAVAILABLE] Not now; nothing was done\r\n");
}
END_TEST

/* ---- SEARCH ---- */

START_TEST(searches)
{
	talk(c, "a SEARCH FLAGGED\r\n", "* SEARCH 4\r\na OK SEARCH completed\r\n");
	talk(c, "b UID SEARCH NOT FLAGGED\r\n", "* SEARCH 1 2 3\r\nb OK SEARCH completed\r\n");
	talk(c, "d SEARCH 2:99\r\n", "* SEARCH 2 3 4\r\nd OK SEARCH completed\r\n");
	talk(c, "f SEARCH UID 3:*\r\n", "* SEARCH 3 4\r\nf OK SEARCH completed\r\n");
	talk(c, "g SEARCH DRAFT\r\n", "* SEARCH\r\ng OK SEARCH completed\r\n");
	world_append("INBOX", "\\Flagged", "new");
	talk(c, "h UID SEARCH FLAGGED\r\n",
	     "* 5 EXISTS\r\n* 1 RECENT\r\n* SEARCH 4 5\r\nh OK SEARCH completed\r\n");
	talk(c, "i SEARCH CHARSET nonsense TEXT x\r\n",
	     "i NO [BADCHARSET (US-ASCII UTF-8)] This charset is not known\r\n");
}
END_TEST

START_TEST(searches_by_modseq)
{
	talk(c, "a SEARCH MODSEQ 4\r\n",
	     "* OK [HIGHESTMODSEQ 5] Highest\r\n* SEARCH 3 4 (MODSEQ 5)\r\na OK SEARCH "
	     "completed\r\n");
	talk(c, "b SEARCH MODSEQ 9\r\n", "* SEARCH\r\nb OK SEARCH completed\r\n");
	talk(c, "d SEARCH RETURN (MIN) MODSEQ 3\r\n",
	     "* ESEARCH (TAG \"d\") MIN 2 MODSEQ 3\r\nd OK SEARCH completed\r\n");
	talk(c, "f UID SEARCH RETURN (MIN MAX COUNT ALL) MODSEQ 3\r\n",
	     "* ESEARCH (TAG \"f\") UID MIN 2 MAX 4 ALL 2:4 COUNT 3 MODSEQ 5\r\n"
	     "f OK SEARCH completed\r\n");
}
END_TEST

START_TEST(saves_results)
{
	talk(c, "a SEARCH RETURN (SAVE) FLAGGED\r\n", "a OK SEARCH completed\r\n");
	talk(c, "b FETCH $ (UID)\r\n", "* 4 FETCH (UID 4)\r\nb OK FETCH completed\r\n");
	talk(c, "d UID SEARCH RETURN (COUNT SAVE) ALL\r\n",
	     "* ESEARCH (TAG \"d\") UID COUNT 4\r\nd OK SEARCH completed\r\n");
	talk(c, "f SEARCH $ FLAGGED\r\n", "* SEARCH 4\r\nf OK SEARCH completed\r\n");
	talk(c, "g SEARCH RETURN (SAVE MIN) ALL\r\n",
	     "* ESEARCH (TAG \"g\") MIN 1\r\ng OK SEARCH completed\r\n");
	talk(c, "h UID FETCH $ (UID)\r\n", "* 1 FETCH (UID 1)\r\nh OK FETCH completed\r\n");
	world_expunge("INBOX", 1);
	talk(c, "i NOOP\r\nj FETCH $ (UID)\r\n",
	     "* 1 EXPUNGE\r\ni OK NOOP completed\r\n"
	     "j OK FETCH completed: there are no such messages\r\n");
	say(c, "k SEARCH RETURN (SAVE) ALL\r\n");
	say(c, "l SEARCH RETURN (SAVE) CHARSET nonsense ALL\r\n");
	fake_conn_take(c);
	talk(c, "m COPY $ INBOX\r\n", "m OK COPY completed: there are no such messages\r\n");
}
END_TEST

/* ---- COPY, MOVE, EXPUNGE ---- */

START_TEST(copies)
{
	world_create("x");
	talk(c, "a COPY 2:3 x\r\n", "a OK [COPYUID 101 2:3 1:2] COPY completed\r\n");
	talk(c, "b COPY 1 nope\r\n", "b NO [TRYCREATE] There is no such mailbox\r\n");
	talk(c, "d UID COPY 55 x\r\n", "d OK COPY completed: there are no such messages\r\n");
	say(c, "f COPY 1 a//b\r\n");
	expect_part(c, "f NO [CANNOT] ");
}
END_TEST

START_TEST(refuses_to_copy_too_many)
{
	struct conn *d = play_login();

	world_create("big");
	for (int i = 0; i < COPY_MESSAGES_MAX + 200; i++)
		world_append("big", "", "x");
	say(d, "a SELECT big\r\n");
	fake_conn_take(d);
	talk(d, "b COPY 1:* INBOX\r\n",
	     "b NO [MESSAGELIMIT 1000 201] Too many messages to copy at once\r\n");
	say(d, "c UID MOVE 1:1150 INBOX\r\n");
	ck_assert_ptr_nonnull(strstr(fake_conn_take(d),
				     "* OK [COPYUID 100 1:1150 5:1154] Moved\r\n* 1150 EXPUNGE"));
	talk(d, "d STATUS big (MESSAGES)\r\n",
	     "* STATUS big (MESSAGES 50)\r\nd OK STATUS completed\r\n");
}
END_TEST

START_TEST(moves)
{
	world_create("x");
	talk(c, "a MOVE 2:3 x\r\n",
	     "* OK [COPYUID 101 2:3 1:2] Moved\r\n* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n"
	     "a OK [HIGHESTMODSEQ 6] MOVE completed\r\n");
	say(c, "e ENABLE QRESYNC\r\n");
	fake_conn_take(c);
	talk(c, "b UID MOVE 4 x\r\n",
	     "* OK [COPYUID 101 4 3] Moved\r\n* VANISHED 4\r\n"
	     "b OK [HIGHESTMODSEQ 7] MOVE completed\r\n");
}
END_TEST

START_TEST(expunges)
{
	say(c, "a STORE 2,4 +FLAGS.SILENT (\\Deleted)\r\n");
	fake_conn_take(c);
	talk(c, "b UID EXPUNGE 3:4\r\n", "* 4 EXPUNGE\r\nb OK EXPUNGE completed\r\n");
	say(c, "e ENABLE QRESYNC\r\n");
	fake_conn_take(c);
	world_expunge("INBOX", 1); /* 8 */
	talk(c, "d EXPUNGE\r\n", "* VANISHED 1:2\r\nd OK [HIGHESTMODSEQ 9] EXPUNGE completed\r\n");
	talk(c, "f EXPUNGE\r\n", "f OK EXPUNGE completed\r\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session_fetch");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, four_messages, play_end);
	tcase_add_test(t, streams_by_credits);
	tcase_add_test(t, changedsince);
	tcase_add_test(t, vanished_modifier);
	tcase_add_test(t, star_is_what_is_there);
	tcase_add_test(t, broken_read_ends_honestly);
	tcase_add_test(t, searches);
	tcase_add_test(t, searches_by_modseq);
	tcase_add_test(t, saves_results);
	tcase_add_test(t, copies);
	tcase_add_test(t, refuses_to_copy_too_many);
	tcase_add_test(t, moves);
	tcase_add_test(t, expunges);
	suite_add_tcase(s, t);
	return play_run(s);
}
