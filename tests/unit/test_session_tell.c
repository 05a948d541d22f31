/* What may be told when: the table of IMAP.md, section 3, and [HIGHESTMODSEQ T] of section 1. In
 * every case somebody else has removed message 1 of 3, flagged message 3 and added a fourth. */
#include "tests/unit/play.h"

static void three_messages(void)
{
	play_begin();
	for (int i = 0; i < 3; i++)
		world_append("INBOX", "", "x"); /* modseq 2..4 */
}

/* modseq 5, 6, 7 */
static void somebody_else(void)
{
	world_expunge("INBOX", 1);
	world_flag("INBOX", 3, "\\Flagged");
	world_append("INBOX", "", "y");
}

/* RFC 3501 7.4.1: no EXPUNGE while FETCH, STORE, SEARCH. `own`: the command's data. */
static const struct tell_case {
	const char *command;
	bool expunge;
	const char *own;
	const char *tag;
} cases[] = {
	{ "NOOP", true, "", "OK NOOP completed" },
	{ "CHECK", true, "", "OK CHECK completed" },
	{ "CREATE x", true, "", "OK [MAILBOXID (F5-2)] CREATE completed" },
	{ "SUBSCRIBE x", true, "", "OK SUBSCRIBE completed" },
	{ "DELETE nope", true, "", "NO [NONEXISTENT] There is no such mailbox" },
	{ "LIST \"\" INBOX", true, "", "OK LIST completed" },
	{ "EXPUNGE", true, "", "OK EXPUNGE completed" },
	{ "UID FETCH 2 (UID)", true, "* 1 FETCH (UID 2)\r\n", "OK FETCH completed" },
	{ "UID SEARCH DELETED", true, "* SEARCH\r\n", "OK SEARCH completed" },
	{ "FETCH 2 (UID)", false, "* 2 FETCH (UID 2)\r\n", "OK FETCH completed" },
	{ "SEARCH DELETED", false, "* SEARCH\r\n", "OK [EXPUNGEISSUED] SEARCH completed" },
	{ "UID SEARCH 2 DELETED", false, "* SEARCH\r\n", "OK SEARCH completed" },
	{ "ID NIL", false, NULL, "OK ID completed" },
	{ "CAPABILITY", false, NULL, "OK CAPABILITY completed" },
	{ "NAMESPACE", false, NULL, "OK NAMESPACE completed" },
};

START_TEST(follows_the_table)
{
	const struct tell_case *k = &cases[_i];
	struct conn *c = play_select();
	struct buf want = { 0 }, line = { 0 };
	const char *got;

	somebody_else();
	buf_printf(&line, "a %s\r\n", k->command);
	buf_putc(&line, '\0');
	say(c, line.at);
	got = fake_conn_take(c);
	if (k->own == NULL) {
		ck_assert_msg(strstr(got, "EXISTS") == NULL && strstr(got, "EXPUNGE") == NULL &&
				      strstr(got, " FETCH ") == NULL,
			      "%s", got);
	} else {
		if (k->expunge)
			buf_puts(&want, "* 1 EXPUNGE\r\n");
		buf_printf(&want, "* %d EXISTS\r\n* %d RECENT\r\n", k->expunge ? 3 : 4,
			   k->expunge ? 3 : 4);
		buf_printf(&want, "* %d FETCH (UID 3 FLAGS (\\Flagged \\Recent))\r\n",
			   k->expunge ? 2 : 3);
		/* EXPUNGE stands in for itself, LIST for its data. */
		if (strncmp(k->command, "LIST", 4) == 0) {
			ck_assert_ptr_nonnull(strstr(got, "* LIST "));
			got = strstr(got, "\r\n") + 2;
		}
		buf_puts(&want, k->own);
		buf_printf(&want, "a %s\r\n", k->tag);
		buf_putc(&want, '\0');
		ck_assert_str_eq(got, want.at);
	}
	if (k->own != NULL && !k->expunge)
		talk(c, "b NOOP\r\n", "* 1 EXPUNGE\r\nb OK NOOP completed\r\n");
	buf_free(&want);
	buf_free(&line);
}
END_TEST

START_TEST(says_vanished_once_qresync_is_on)
{
	struct conn *c = play_select_qresync();

	somebody_else();
	talk(c, "a NOOP\r\n",
	     "* VANISHED 1\r\n* 3 EXISTS\r\n* 3 RECENT\r\n"
	     "* 2 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ (6))\r\na OK NOOP completed\r\n");
}
END_TEST

START_TEST(highestmodseq_stays_below_what_is_held)
{
	struct conn *c = play_select_qresync();

	world_expunge("INBOX", 1);           /* 5 */
	world_flag("INBOX", 3, "\\Flagged"); /* 6 */
	/* MODSEQ 6 goes out while the expunge with 5 is held: T is 4. */
	talk(c, "a FETCH 3 (FLAGS)\r\n",
	     "* 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ (6))\r\n"
	     "a OK [HIGHESTMODSEQ 4] FETCH completed\r\n");
	talk(c, "b STATUS INBOX (HIGHESTMODSEQ)\r\n",
	     "* VANISHED 1\r\n* STATUS INBOX (HIGHESTMODSEQ 6)\r\n"
	     "b OK [HIGHESTMODSEQ 6] STATUS completed\r\n");
	talk(c, "c NOOP\r\n", "c OK NOOP completed\r\n");
}
END_TEST

START_TEST(code_that_is_taken_gets_an_untagged_one)
{
	struct conn *c = play_select_qresync();

	world_expunge("INBOX", 1);           /* 5 */
	world_flag("INBOX", 3, "\\Flagged"); /* 6 */
	talk(c, "a FETCH 1,3 (FLAGS)\r\n",
	     "* 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ (6))\r\n"
	     "* OK [HIGHESTMODSEQ 4] Highest\r\n"
	     "a OK [EXPUNGEISSUED] Some of the messages are gone\r\n");
}
END_TEST

START_TEST(gone_messages)
{
	struct conn *c = play_select();

	world_expunge("INBOX", 1);
	talk(c, "a FETCH 1 (UID)\r\n", "a NO [EXPUNGEISSUED] The messages are gone\r\n");
	talk(c, "b FETCH 1:2 (UID)\r\n",
	     "* 2 FETCH (UID 2)\r\nb OK [EXPUNGEISSUED] Some of the messages are gone\r\n");
	talk(c, "c COPY 1:2 INBOX\r\n",
	     "* 1 EXPUNGE\r\nc NO [EXPUNGEISSUED] Some of the messages are gone; nothing was "
	     "done\r\n");
	world_expunge("INBOX", 2);
	talk(c, "d UID COPY 2:3 INBOX\r\n",
	     "* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 2 RECENT\r\n"
	     "d OK [COPYUID 100 3 4] COPY completed\r\n");
}
END_TEST

START_TEST(never_reports_what_was_never_told)
{
	struct conn *c = play_select_qresync();

	world_append("INBOX", "", "quick"); /* uid 4 */
	world_expunge("INBOX", 4);
	talk(c, "a NOOP\r\n", "a OK NOOP completed\r\n");
	world_append("INBOX", "", "next");
	talk(c, "b NOOP\r\n", "* 4 EXISTS\r\n* 4 RECENT\r\nb OK NOOP completed\r\n");
}
END_TEST

START_TEST(old_session_gets_the_full_set)
{
	struct conn *c = play_select_qresync();

	world_expunge("INBOX", 2); /* 5 */
	world_flag("INBOX", 3, "\\Seen");
	fake_set_horizon("INBOX", 5);
	talk(c, "a NOOP\r\n",
	     "* VANISHED 2\r\n* 2 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (6))\r\n"
	     "a OK NOOP completed\r\n");
}
END_TEST

START_TEST(new_keywords_are_named_first)
{
	struct conn *c = play_select();

	world_flag("INBOX", 1, "$New");
	talk(c, "a NOOP\r\n",
	     "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $New)\r\n"
	     "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $New \\*)] "
	     "Limited\r\n* 1 FETCH (UID 1 FLAGS ($New \\Recent))\r\na OK NOOP completed\r\n");
}
END_TEST

START_TEST(idle_tells_at_once)
{
	struct conn *c = play_select_qresync();

	world_flag("INBOX", 2, "\\Seen"); /* 5; nobody was told before "+" */
	say(c, "a IDLE\r\n");
	expect(c, "+ idling\r\n* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent) MODSEQ (5))\r\n");
	world_append("INBOX", "", "z");
	fake_run();
	expect(c, "* 4 EXISTS\r\n* 4 RECENT\r\n");
	world_expunge("INBOX", 1);
	fake_run();
	expect(c, "* VANISHED 1\r\n");
	talk(c, "DONE\r\n", "a OK [HIGHESTMODSEQ 7] IDLE completed\r\n");
	world_append("INBOX", "", "z");
	fake_run();
	expect(c, "");
	talk(c, "b IDLE\r\n", "+ idling\r\n* 4 EXISTS\r\n* 4 RECENT\r\n");
	talk(c, "nonsense\r\n", "b BAD DONE was expected\r\n");
}
END_TEST

START_TEST(done_is_answered_without_an_owner)
{
	struct conn *c = play_select();

	fake_hold(true);
	say(c, "a IDLE\r\n");
	say(c, "DONE\r\n");
	expect(c, "+ idling\r\n");
	fake_hold(false);
	fake_run(); /* the cancelled read ends */
	expect(c, "a OK IDLE completed\r\n");
}
END_TEST

START_TEST(noop_does_not_fail_without_an_owner)
{
	struct conn *c = play_select();

	fake_fail_read(TM__OUTCOME__UNAVAILABLE);
	talk(c, "a NOOP\r\n", "a OK NOOP completed\r\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session_tell");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, three_messages, play_end);
	tcase_add_loop_test(t, follows_the_table, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, says_vanished_once_qresync_is_on);
	tcase_add_test(t, highestmodseq_stays_below_what_is_held);
	tcase_add_test(t, code_that_is_taken_gets_an_untagged_one);
	tcase_add_test(t, gone_messages);
	tcase_add_test(t, never_reports_what_was_never_told);
	tcase_add_test(t, old_session_gets_the_full_set);
	tcase_add_test(t, new_keywords_are_named_first);
	tcase_add_test(t, idle_tells_at_once);
	tcase_add_test(t, done_is_answered_without_an_owner);
	tcase_add_test(t, noop_does_not_fail_without_an_owner);
	suite_add_tcase(s, t);
	return play_run(s);
}
