/* date.h: dates of mail and of IMAP. Pure; any thread. */
#ifndef SERVER_MAIL_DATE_H
#define SERVER_MAIL_DATE_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* A moment, and the zone in which it was said. Also IMAP's INTERNALDATE. */
struct mail_date {
	int64_t unix_seconds;
	int16_t zone_minutes; /* east of Greenwich, -1439 .. 1439 */
};

/* A day of the calendar without time or zone; comparable after calendar_day(). */
struct calendar_date {
	int16_t year;  /* 1 .. 9999 */
	uint8_t month; /* 1 .. 12 */
	uint8_t day;   /* 1 .. 31 */
};

/* Days since 1970-01-01, for comparing. */
int64_t calendar_day(struct calendar_date d);

/* The day on which the moment fell in its own zone: what SENTON (RFC 3501: disregarding time and
 * timezone) and ON compare. */
struct calendar_date mail_date_local(struct mail_date d);

/* The Date: header (RFC 5322, 3.3 and 4.3, and what mail programs write instead). ERR_BAD_INPUT if
 * there is no date in it. */
int mail_date_parse(struct span value, struct mail_date *ret);

/* IMAP's date-time without its quotes: "17-Jul-1996 02:44:25 -0700"; a day of one digit with or
 * without the blank before it. ERR_BAD_INPUT else. */
int imap_date_time_parse(struct span text, struct mail_date *ret);

/* Append it, with the quotes: "17-Jul-1996 02:44:25 -0700". */
void imap_date_time_put(struct buf *out, struct mail_date d);

/* IMAP's date (SEARCH): 1-Feb-1994. Quotes are the caller's. ERR_BAD_INPUT else. */
int imap_date_parse(struct span text, struct calendar_date *ret);

#endif
