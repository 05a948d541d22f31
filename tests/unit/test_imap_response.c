/* test_imap_response.c: answers as bytes. */
#include "server/imap/response.h"

#include <check.h>

static void expect(struct buf *out, const char *want)
{
	buf_putc(out, '\0');
	ck_assert_str_eq(out->at, want);
	buf_reset(out);
}

START_TEST(astrings)
{
	struct buf out = { 0 };

	response_astring(&out, span_str("atom]"));
	expect(&out, "atom]");
	response_astring(&out, span_str(""));
	expect(&out, "\"\"");
	response_astring(&out, span_str("a b"));
	expect(&out, "\"a b\"");
	response_astring(&out, span_str("NiL"));
	expect(&out, "\"NiL\"");
	response_astring(&out, span_str("a*"));
	expect(&out, "\"a*\"");
	response_astring(&out, span_str("a\r\nb"));
	expect(&out, "{4}\r\na\r\nb");
	response_astring(&out, span_str("\xc3\xa4"));
	expect(&out, "{2}\r\n\xc3\xa4");
	buf_free(&out);
}
END_TEST

START_TEST(flags)
{
	struct buf out = { 0 };
	struct span keywords[2] = { span_str("$Junk"), span_str("x") };

	response_flags(&out, 0, NULL, 0, false);
	expect(&out, "()");
	response_flags(&out, FLAG_SYSTEM_ALL, keywords, 2, true);
	expect(&out, "(\\Answered \\Flagged \\Deleted \\Seen \\Draft \\Recent $Junk x)");
	response_flags(&out, FLAG_SEEN, keywords, 1, false);
	expect(&out, "(\\Seen $Junk)");
	response_flag_names(&out, 0, keywords, 2, false);
	expect(&out, "$Junk x");
	response_flag_names(&out, 0, NULL, 0, true);
	expect(&out, "\\Recent");
	response_special_use(&out, USE_DRAFTS | USE_TRASH);
	expect(&out, "\\Drafts \\Trash");
	response_special_use(&out, 0);
	expect(&out, "");
	buf_free(&out);
}
END_TEST

START_TEST(statuses)
{
	struct buf out = { 0 };

	response_status(&out, span_str("a1"), RESPONSE_OK, NULL, "Done");
	expect(&out, "a1 OK Done\r\n");
	response_status(&out, span_str("a1"), RESPONSE_NO, "TRYCREATE", "No such mailbox");
	expect(&out, "a1 NO [TRYCREATE] No such mailbox\r\n");
	response_status(&out, span_of(NULL, 0), RESPONSE_BAD, "", "x\r\ny");
	expect(&out, "* BAD x  y\r\n");
	response_status(&out, span_of(NULL, 0), RESPONSE_BYE, NULL, "");
	expect(&out, "* BYE Done.\r\n");
	response_status(&out, span_of(NULL, 0), RESPONSE_PREAUTH, NULL, NULL);
	expect(&out, "* PREAUTH Done.\r\n");
	response_status_code(&out, span_str("b"), RESPONSE_OK, span_str("MODIFIED 7,9"), "Some");
	expect(&out, "b OK [MODIFIED 7,9] Some\r\n");
	response_ok_number(&out, "HIGHESTMODSEQ", UINT64_MAX >> 1, "Highest");
	expect(&out, "* OK [HIGHESTMODSEQ 9223372036854775807] Highest\r\n");
	response_continue(&out, span_of(NULL, 0));
	expect(&out, "+ \r\n");
	response_continue(&out, span_str("idling"));
	expect(&out, "+ idling\r\n");
	buf_free(&out);
}
END_TEST

START_TEST(sets_and_ids)
{
	struct buf out = { 0 };
	struct uidset uids = { 0 };
	guid id = { { 0x01, 0xab, [15] = 0xff } };

	response_vanished(&out, &uids, true);
	expect(&out, "");
	uidset_add_range(&uids, 1, 3);
	uidset_add(&uids, 5);
	response_uids(&out, &uids);
	expect(&out, "1:3,5");
	response_vanished(&out, &uids, true);
	expect(&out, "* VANISHED (EARLIER) 1:3,5\r\n");
	response_vanished(&out, &uids, false);
	expect(&out, "* VANISHED 1:3,5\r\n");
	response_email_id(&out, id);
	expect(&out, "M01ab00000000000000000000000000ff");
	uidset_free(&uids);
	buf_free(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap_response");
	TCase *t = tcase_create("all");

	tcase_add_test(t, astrings);
	tcase_add_test(t, flags);
	tcase_add_test(t, statuses);
	tcase_add_test(t, sets_and_ids);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
