/* LIST, LSUB, STATUS, CREATE, RENAME, APPEND. */
#include "tests/unit/play.h"

static struct conn *c;

static void begin(void)
{
	play_begin();
	c = play_login();
}

/* ---- names ---- */

static void some_names(void)
{
	world_create("b");
	world_create("a/x");
	world_create("a/x/y");
	world_create("z&\xc3\xa4"); /* "z&ae" with dots */
	say(c, "s SUBSCRIBE a/x/y\r\ns SUBSCRIBE gone/sub\r\ns SUBSCRIBE INBOX\r\n");
	fake_conn_take(c);
}

START_TEST(lists)
{
	some_names();
	talk(c, "a LIST \"\" \"\"\r\n",
	     "* LIST (\\Noselect) \"/\" \"\"\r\na OK LIST completed\r\n");
	talk(c, "b LIST \"\" *\r\n",
	     "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	     "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" a\r\n"
	     "* LIST (\\HasChildren) \"/\" a/x\r\n* LIST (\\HasNoChildren) \"/\" a/x/y\r\n"
	     "* LIST (\\HasNoChildren) \"/\" b\r\n* LIST (\\HasNoChildren) \"/\" z&-&AOQ-\r\n"
	     "b OK LIST completed\r\n");
	talk(c, "d LIST \"\" %\r\n",
	     "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
	     "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" a\r\n"
	     "* LIST (\\HasNoChildren) \"/\" b\r\n* LIST (\\HasNoChildren) \"/\" z&-&AOQ-\r\n"
	     "d OK LIST completed\r\n");
	talk(c, "f LIST a/ %\r\n", "* LIST (\\HasChildren) \"/\" a/x\r\nf OK LIST completed\r\n");
	talk(c, "g LIST \"\" (inbox a/x)\r\n",
	     "* LIST () \"/\" INBOX\r\n* LIST () \"/\" a/x\r\ng OK LIST completed\r\n");
}
END_TEST

START_TEST(lists_subscriptions)
{
	some_names();
	talk(c, "a LSUB \"\" *\r\n",
	     "* LSUB () \"/\" INBOX\r\n* LSUB () \"/\" a/x/y\r\n* LSUB () \"/\" gone/sub\r\n"
	     "a OK LSUB completed\r\n");
	talk(c, "b LSUB \"\" %\r\n",
	     "* LSUB () \"/\" INBOX\r\n* LSUB (\\Noselect) \"/\" a\r\n"
	     "* LSUB (\\Noselect) \"/\" gone\r\nb OK LSUB completed\r\n");
	talk(c, "d LIST (SUBSCRIBED) \"\" *\r\n",
	     "* LIST (\\Subscribed) \"/\" INBOX\r\n* LIST (\\Subscribed) \"/\" a/x/y\r\n"
	     "* LIST (\\NonExistent \\Noselect \\Subscribed) \"/\" gone/sub\r\n"
	     "d OK LIST completed\r\n");
	talk(c, "f LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\r\n",
	     "* LIST (\\Subscribed) \"/\" INBOX\r\n"
	     "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" a (\"CHILDINFO\" "
	     "(\"SUBSCRIBED\"))\r\n"
	     "* LIST (\\NonExistent \\Noselect) \"/\" gone (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
	     "f OK LIST completed\r\n");
	talk(c, "g LIST \"\" a/* RETURN (SUBSCRIBED CHILDREN)\r\n",
	     "* LIST (\\HasChildren) \"/\" a/x\r\n"
	     "* LIST (\\Subscribed \\HasNoChildren) \"/\" a/x/y\r\ng OK LIST completed\r\n");
}
END_TEST

START_TEST(lists_with_status_and_special_use)
{
	say(c, "a CREATE Gone (USE (\\Trash))\r\n");
	fake_conn_take(c);
	world_append("Gone", "", "x");
	talk(c, "b LIST \"\" Gone\r\n",
	     "* LIST (\\HasNoChildren \\Trash) \"/\" Gone\r\nb OK LIST completed\r\n");
	talk(c, "d LIST (SPECIAL-USE) \"\" *\r\n",
	     "* LIST (\\Trash) \"/\" Gone\r\nd OK LIST completed\r\n");
	talk(c, "f LIST \"\" % RETURN (STATUS (MESSAGES RECENT UNSEEN))\r\n",
	     "* LIST () \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 0 RECENT 0 UNSEEN 0)\r\n"
	     "* LIST () \"/\" Gone\r\n* STATUS Gone (MESSAGES 1 RECENT 1 UNSEEN 1)\r\n"
	     "f OK LIST completed\r\n");
	say(c, "g CREATE y (USE (\\Nonsense))\r\n");
	expect_part(c, "g NO [USEATTR] ");
}
END_TEST

START_TEST(creates_and_renames)
{
	talk(c, "a CREATE x/\r\n", "a OK [MAILBOXID (F5-2)] CREATE completed\r\n");
	talk(c, "b CREATE x\r\n", "b NO [ALREADYEXISTS] There is a mailbox of this name\r\n");
	talk(c, "d RENAME x y\r\n", "d OK RENAME completed\r\n");
	talk(c, "f RENAME x y\r\n", "f NO [NONEXISTENT] There is no such mailbox\r\n");
	say(c, "g CREATE &AGE-\r\n"); /* not canonical */
	expect_part(c, "g NO [CANNOT] ");
}
END_TEST

START_TEST(renames_inbox_by_moving)
{
	for (int i = 0; i < 3; i++)
		world_append("INBOX", "\\Seen", "x");
	say(c, "a SELECT INBOX\r\n");
	fake_conn_take(c);
	talk(c, "b RENAME INBOX old\r\n",
	     "* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nb OK RENAME completed\r\n");
	talk(c, "d STATUS old (MESSAGES)\r\n",
	     "* STATUS old (MESSAGES 3)\r\nd OK STATUS completed\r\n");
}
END_TEST

/* ---- STATUS ---- */

START_TEST(status)
{
	world_append("INBOX", "\\Seen", "12345");
	talk(c,
	     "a STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE APPENDLIMIT "
	     "MAILBOXID)\r\n",
	     "* STATUS INBOX (MESSAGES 1 RECENT 1 UIDNEXT 2 UIDVALIDITY 100 UNSEEN 0 SIZE 5 "
	     "APPENDLIMIT 67108864 MAILBOXID (F5-1))\r\na OK STATUS completed\r\n");
	talk(c, "b STATUS nope (MESSAGES)\r\n", "b NO [NONEXISTENT] There is no such mailbox\r\n");
	say(c, "d SELECT INBOX\r\n");
	fake_conn_take(c);
	world_append("INBOX", "", "6");
	talk(c, "f STATUS INBOX (MESSAGES RECENT HIGHESTMODSEQ)\r\n",
	     "* OK [HIGHESTMODSEQ 2] Highest\r\n* 2 EXISTS\r\n* 2 RECENT\r\n"
	     "* STATUS INBOX (MESSAGES 2 RECENT 2 HIGHESTMODSEQ 3)\r\nf OK STATUS completed\r\n");
}
END_TEST

/* ---- APPEND ---- */

START_TEST(appends)
{
	talk(c, "a APPEND INBOX (\\Seen $K) \"17-Jul-1996 02:44:25 -0700\" {5}\r\n", "+ OK\r\n");
	talk(c, "x\r\n\r\n\r\n", "a OK [APPENDUID 100 1] APPEND completed\r\n");
	say(c, "b SELECT INBOX\r\n");
	expect_part(c, "$K");
	talk(c, "d APPEND INBOX {3+}\r\nabc\r\n",
	     "* 2 EXISTS\r\n* 2 RECENT\r\nd OK [APPENDUID 100 2] APPEND completed\r\n");
	talk(c, "f FETCH 2 BODY.PEEK[]\r\n",
	     "* 2 FETCH (BODY[] {3}\r\nabc)\r\nf OK FETCH completed\r\n");
}
END_TEST

START_TEST(refuses_at_the_literal)
{
	talk(c, "a APPEND nope {5}\r\n", "a NO [TRYCREATE] There is no such mailbox\r\n");
	talk(c, "b APPEND INBOX {70000000}\r\n", "b NO [TOOBIG] The message is too big\r\n");
	talk(c, "d APPEND nope {3+}\r\nabc\r\n", "d NO [TRYCREATE] There is no such mailbox\r\n");
	say(c, "f APPEND a//b {3+}\r\nabc\r\n");
	expect_part(c, "f NO [CANNOT] ");
	talk(c, "g APPEND INBOX {0}\r\n", "g NO A message of no bytes is not taken\r\n");
	say(c, "h APPEND INBOX {3+}\r\n");
	fake_conn_send(c, span_of("a\0b\r\n", 5));
	fake_run();
	expect(c, "h NO [CANNOT] The message holds a NUL\r\n");
	talk(c, "i NOOP\r\n", "i OK NOOP completed\r\n");
}
END_TEST

START_TEST(appends_several_at_once)
{
	talk(c, "a APPEND INBOX {1}\r\n", "+ OK\r\n");
	talk(c, "x (\\Seen) {2+}\r\n", "");
	talk(c, "yy {3}\r\n", "+ OK\r\n");
	talk(c, "zzz\r\n", "a OK [APPENDUID 100 1:3] APPEND completed\r\n");
	talk(c, "b STATUS INBOX (MESSAGES)\r\n",
	     "* STATUS INBOX (MESSAGES 3)\r\nb OK STATUS completed\r\n");
	/* Cancelled: nothing is appended (RFC 3502). */
	talk(c, "d APPEND INBOX {1+}\r\nx {0}\r\n", "d NO A message of no bytes is not taken\r\n");
	talk(c, "f STATUS INBOX (MESSAGES)\r\n",
	     "* STATUS INBOX (MESSAGES 3)\r\nf OK STATUS completed\r\n");
}
END_TEST

START_TEST(uploads_large_messages_with_a_window)
{
	static char big[3 * 1024 * 1024];
	char head[64];

	memset(big, 'a', sizeof(big));
	snprintf(head, sizeof(head), "a APPEND INBOX {%zu}\r\n", sizeof(big));
	talk(c, head, "+ OK\r\n");
	fake_hold(true);
	for (size_t at = 0; at < sizeof(big) && !fake_conn_is_paused(c); at += 65536)
		fake_conn_send(c, span_of(big + at, 65536));
	ck_assert(fake_conn_is_paused(c)); /* the window is full */
	fake_conn_die(c);                  /* the client vanishes: nothing of it remains */
	fake_hold(false);
	fake_run();
	ck_assert_uint_eq(front_clients(play_front), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session_mailbox");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, begin, play_end);
	tcase_add_test(t, lists);
	tcase_add_test(t, lists_subscriptions);
	tcase_add_test(t, lists_with_status_and_special_use);
	tcase_add_test(t, creates_and_renames);
	tcase_add_test(t, renames_inbox_by_moving);
	tcase_add_test(t, status);
	tcase_add_test(t, appends);
	tcase_add_test(t, refuses_at_the_literal);
	tcase_add_test(t, appends_several_at_once);
	tcase_add_test(t, uploads_large_messages_with_a_window);
	suite_add_tcase(s, t);
	return play_run(s);
}
