/* Dates of mail and of IMAP. */
#include "server/mail/date.h"
#include "storage/base/err.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* The Date: header -> the same moment as IMAP writes it, or NULL if it is no date. */
static const struct {
	const char *header;
	const char *imap;
} headers[] = {
	{ "Fri, 21 Nov 1997 09:55:06 -0600", "\"21-Nov-1997 09:55:06 -0600\"" },
	{ "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "\"21-Nov-1997 09:55:06 -0600\"" },
	{ "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n -0330 "
	  "(Newfoundland)",
	  "\"13-Feb-1969 23:32:00 -0330\"" },
	{ "21 Nov 97 09:55:06 GMT", "\"21-Nov-1997 09:55:06 +0000\"" },
	{ "1 Jan 03 00:00:00 EST", "\"01-Jan-2003 00:00:00 -0500\"" },
	{ "1 Jan 103 00:00:00 PDT", "\"01-Jan-2003 00:00:00 -0700\"" },
	{ "Tue, 1 Jul 2003 10:52:37 +0200 (CEST)", "\"01-Jul-2003 10:52:37 +0200\"" },
	{ "Wed Feb 13 10:20:30 2010", "\"13-Feb-2010 10:20:30 +0000\"" },
	{ "Feb 13, 2010 10:20:30 PM", "\"13-Feb-2010 22:20:30 +0000\"" },
	{ "13 Feb 2010 12:20 AM", "\"13-Feb-2010 00:20:00 +0000\"" },
	{ "2010-02-13T10:20:30+02:00", "\"13-Feb-2010 10:20:30 +0200\"" },
	{ "13-Feb-10", "\"13-Feb-2010 00:00:00 +0000\"" },
	{ "Sunday, 13 February 2010 1:02:03 +01", "\"13-Feb-2010 01:02:03 +0100\"" },
	{ "13 Feb 2010 99:99:99 +0100", "\"13-Feb-2010 00:00:00 +0100\"" },
	{ "13 Feb 2010 10:20:30 +9999", "\"13-Feb-2010 10:20:30 +0000\"" },
	{ "13 Feb 2010 10.20.30", "\"13-Feb-2010 00:00:00 +0000\"" },
	{ "13 Feb 2010 10:20:30 A", "\"13-Feb-2010 10:20:30 +0000\"" },
	{ "13 Feb 2010 10:20:30 +12345", "\"13-Feb-2010 10:20:30 +0000\"" },
	{ "29 Feb 2000 23:59:60 -0000", "\"01-Mar-2000 00:00:00 +0000\"" },
	{ "31 Dec 9999 23:59:59 -1200", "\"31-Dec-9999 23:59:59 -1200\"" },
	{ "(no (really \\) )) 1 Jan 2001", "\"01-Jan-2001 00:00:00 +0000\"" },
	{ "29 Feb 2001 10:00:00 +0000", NULL },
	{ "32 Jan 2001", NULL },
	{ "1 Jan", NULL },
	{ "Jan 2001", NULL },
	{ "2010-13-01", NULL },
	{ "2010-xx", NULL },
	{ "yesterday", NULL },
	{ "(never closed 1 Jan 2001", NULL },
	{ "", NULL },
};

static void check_header(const char *header, const char *imap)
{
	struct mail_date d;
	struct buf out = { 0 };
	int rc = mail_date_parse(span_str(header), &d);

	ck_assert_msg((rc == OK) == (imap != NULL), "%s: %d", header, rc);
	if (rc == OK) {
		imap_date_time_put(&out, d);
		buf_putc(&out, '\0');
		ck_assert_msg(strcmp(out.at, imap) == 0, "%s: %s, not %s", header, out.at, imap);
	}
	buf_free(&out);
}

START_TEST(headers_as_they_come)
{
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		check_header(headers[i].header, headers[i].imap);
}
END_TEST

START_TEST(a_header_may_hold_nul_bytes)
{
	struct mail_date d;

	ck_assert_int_eq(mail_date_parse(span_of("1 Jan\0 2001", 11), &d), OK);
	ck_assert_int_eq(d.unix_seconds, 978307200);
}
END_TEST

static const char *const good_times[] = {
	"17-Jul-1996 02:44:25 -0700",
	" 7-Jul-1996 02:44:25 +0000",
	"2-Jan-2022 00:00:00 +1400",
	"02-jAN-2022 23:59:60 -0000",
};

static const char *const bad_times[] = {
	"",
	"17-Jul-1996",
	"17-Jul-96 02:44:25 -0700",
	"17-July-1996 02:44:25 -0700",
	"17-Jup-1996 02:44:25 -0700",
	"17 Jul 1996 02:44:25 -0700",
	"31-Jun-1996 02:44:25 -0700",
	"00-Jun-1996 02:44:25 -0700",
	"017-Jun-1996 02:44:25 -0700",
	"17-Jul-0000 02:44:25 -0700",
	"17-Jul-1996 2:44:25 -0700",
	"17-Jul-1996 24:44:25 -0700",
	"17-Jul-1996 02:60:25 -0700",
	"17-Jul-1996 02:44:61 -0700",
	"17-Jul-1996 02:44 -0700",
	"17-Jul-1996 02:44:25 0700",
	"17-Jul-1996 02:44:25 -070",
	"17-Jul-1996 02:44:25 -2400",
	"17-Jul-1996 02:44:25 -0060",
	"17-Jul-1996 02:44:25 -07000",
	"17-Jul-1996 02:44:25 -0700 ",
	"17-Jul-1996  02:44:25 -0700",
};

START_TEST(imap_date_times)
{
	struct mail_date d = { 1, 2 };

	for (size_t i = 0; i < sizeof(bad_times) / sizeof(bad_times[0]); i++)
		ck_assert_msg(imap_date_time_parse(span_str(bad_times[i]), &d) == ERR_BAD_INPUT,
			      "%s", bad_times[i]);
	ck_assert_int_eq(d.unix_seconds, 1); /* untouched */
	for (size_t i = 0; i < sizeof(good_times) / sizeof(good_times[0]); i++)
		ck_assert_msg(imap_date_time_parse(span_str(good_times[i]), &d) == OK, "%s",
			      good_times[i]);

	ck_assert_int_eq(imap_date_time_parse(span_str(good_times[0]), &d), OK);
	ck_assert_int_eq(d.unix_seconds, 837596665);
	ck_assert_int_eq(d.zone_minutes, -420);
}
END_TEST

START_TEST(what_is_written_is_read_back)
{
	srand(1);
	for (int i = 0; i < 20000; i++) {
		struct mail_date d = { (int64_t)(rand() - RAND_MAX / 2) * 25,
				       (int16_t)(rand() % 2879 - 1439) };
		struct mail_date back;
		struct buf out = { 0 };

		imap_date_time_put(&out, d);
		ck_assert_int_eq(imap_date_time_parse(span_of(out.at + 1, out.bytes - 2), &back),
				 OK);
		ck_assert(back.unix_seconds == d.unix_seconds);
		ck_assert(back.zone_minutes == d.zone_minutes);
		ck_assert_int_eq(mail_date_parse(span_of(out.at + 1, out.bytes - 2), &back), OK);
		ck_assert(back.unix_seconds == d.unix_seconds);
		buf_free(&out);
	}
}
END_TEST

START_TEST(imap_dates)
{
	struct calendar_date d;

	ck_assert_int_eq(imap_date_parse(span_str("1-Feb-1994"), &d), OK);
	ck_assert(d.year == 1994 && d.month == 2 && d.day == 1);
	ck_assert_int_eq(imap_date_parse(span_str("01-FEB-1994"), &d), OK);
	ck_assert_int_eq(imap_date_parse(span_str(" 1-Feb-1994"), &d), ERR_BAD_INPUT);
	ck_assert_int_eq(imap_date_parse(span_str("1-Feb-1994 "), &d), ERR_BAD_INPUT);
	ck_assert_int_eq(imap_date_parse(span_str("30-Feb-1994"), &d), ERR_BAD_INPUT);
	ck_assert_int_eq(imap_date_parse(span_str("1-Feb-94"), &d), ERR_BAD_INPUT);
	ck_assert_int_eq(imap_date_parse(span_str("1994-02-01"), &d), ERR_BAD_INPUT);
}
END_TEST

START_TEST(days_count_on)
{
	struct calendar_date epoch = { 1970, 1, 1 };
	int64_t day = calendar_day((struct calendar_date){ 1, 1, 1 });
	int64_t last = calendar_day((struct calendar_date){ 9999, 12, 31 });

	ck_assert_int_eq(calendar_day(epoch), 0);
	for (; day <= last; day += 173) {
		struct calendar_date d =
			mail_date_local((struct mail_date){ day * 86400 + 86399, 0 });
		ck_assert_int_eq(calendar_day(d), day);
	}
}
END_TEST

START_TEST(the_local_day_is_that_of_its_zone)
{
	struct mail_date d = { -1, 0 }; /* 1969-12-31 23:59:59 UTC */

	ck_assert_int_eq(calendar_day(mail_date_local(d)), -1);
	d.zone_minutes = 60;
	ck_assert_int_eq(calendar_day(mail_date_local(d)), 0);
	d.unix_seconds = INT64_MAX;
	ck_assert_int_eq(mail_date_local(d).year, 9999);
	d.unix_seconds = INT64_MIN;
	ck_assert_int_eq(mail_date_local(d).year, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_date");
	TCase *t = tcase_create("date");

	tcase_add_test(t, headers_as_they_come);
	tcase_add_test(t, a_header_may_hold_nul_bytes);
	tcase_add_test(t, imap_date_times);
	tcase_add_test(t, what_is_written_is_read_back);
	tcase_add_test(t, imap_dates);
	tcase_add_test(t, days_count_on);
	tcase_add_test(t, the_local_day_is_that_of_its_zone);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
