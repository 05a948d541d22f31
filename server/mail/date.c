#include "server/mail/date.h"

#include "storage/base/err.h"

enum { DAY_SECONDS = 24 * 3600, ZONE_MAX_MINUTES = 1439 };

static const char months[] = "jan feb mar apr may jun jul aug sep oct nov dec ";

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	c = (char)ascii_lower((unsigned char)c);
	return c >= 'a' && c <= 'z';
}

/* 1 .. 12 by the first three letters of a name in any case, 0 if it is none. */
static unsigned month_of(struct span word)
{
	for (unsigned i = 0; i < 12 && word.bytes >= 3; i++)
		if (span_eq_nocase(span_of(word.at, 3), span_of(months + (size_t)4 * i, 3)))
			return i + 1;
	return 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool is_calendar_date(unsigned year, unsigned month, unsigned day)
{
	return year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
	       day <= days_in_month(year, month);
}

/* The proleptic Gregorian calendar in eras of 400 years, which begin on 1 March. */
int64_t calendar_day(struct calendar_date d)
{
	int64_t y = d.month <= 2 ? d.year - 1 : d.year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t month_from_march = (d.month + 9) % 12;
	int64_t day_of_year = (153 * month_from_march + 2) / 5 + d.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

static struct calendar_date date_of_day(int64_t day)
{
	static const struct calendar_date first = { 1, 1, 1 };
	static const struct calendar_date last = { 9999, 12, 31 };

	if (day <= calendar_day(first))
		return first;
	if (day >= calendar_day(last))
		return last;
	day += 719468;
	int64_t era = day / 146097;
	int64_t doe = day - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	int64_t month = mp < 10 ? mp + 3 : mp - 9;
	int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);

	return (struct calendar_date){ (int16_t)year, (uint8_t)month,
				       (uint8_t)(doy - (153 * mp + 2) / 5 + 1) };
}

static int64_t floor_day(int64_t seconds)
{
	int64_t day = seconds / DAY_SECONDS;

	return seconds % DAY_SECONDS < 0 ? day - 1 : day;
}

static int64_t local_seconds(struct mail_date d)
{
	int64_t shift = (int64_t)d.zone_minutes * 60;

	if (d.unix_seconds > INT64_MAX / 2 || d.unix_seconds < INT64_MIN / 2)
		return d.unix_seconds; /* far outside of the calendar anyway */
	return d.unix_seconds + shift;
}

struct calendar_date mail_date_local(struct mail_date d)
{
	return date_of_day(floor_day(local_seconds(d)));
}

/* What was read so far; a field that is -1 was not there. */
struct fields {
	int year, month, day, hour, minute, second;
	int zone_minutes;
	bool has_zone;
};

static struct mail_date from_fields(const struct fields *f)
{
	struct calendar_date d = { (int16_t)f->year, (uint8_t)f->month, (uint8_t)f->day };
	int64_t seconds = calendar_day(d) * DAY_SECONDS + ((int64_t)f->hour * 60 + f->minute) * 60 +
			  f->second;

	return (struct mail_date){ seconds - (int64_t)f->zone_minutes * 60,
				   (int16_t)f->zone_minutes };
}

struct cursor {
	const char *at;
	const char *end;
};

static bool at_char(const struct cursor *c, char ch)
{
	return c->at < c->end && *c->at == ch;
}

static bool take_char(struct cursor *c, char ch)
{
	if (!at_char(c, ch))
		return false;
	c->at++;
	return true;
}

/* Up to `max` digits; the count of them, 0 if there are none. */
static unsigned take_number(struct cursor *c, unsigned max, int *ret)
{
	unsigned n = 0;
	int v = 0;

	for (; n < max && c->at < c->end && is_digit(*c->at); n++)
		v = v * 10 + (*c->at++ - '0');
	if (n != 0)
		*ret = v;
	return n;
}

static struct span take_word(struct cursor *c)
{
	const char *from = c->at;

	while (c->at < c->end && is_alpha(*c->at))
		c->at++;
	return span_of(from, (size_t)(c->at - from));
}

/* "(...)", nested. */
static void skip_comment(struct cursor *c)
{
	size_t level = 0;

	for (; c->at < c->end; c->at++) {
		if (*c->at == '\\' && c->at + 1 < c->end)
			c->at++;
		else if (*c->at == '(')
			level++;
		else if (*c->at == ')' && --level == 0)
			return;
	}
}

/* White space and comments. */
static void skip_blank(struct cursor *c)
{
	for (; c->at < c->end; c->at++) {
		if (*c->at == '(')
			skip_comment(c);
		else if (strchr(" \t\r\n", *c->at) == NULL || *c->at == '\0')
			return;
		if (c->at == c->end)
			return;
	}
}

/* ":mm[:ss]" behind the hour, blanks and comments between them (obs-time). A time that no clock
 * shows counts as midnight: the day is right at least. */
static void time_of_day(struct cursor *c, int hour, struct fields *f)
{
	int minute = -1;
	int second = 0;

	c->at++; /* the colon */
	skip_blank(c);
	take_number(c, 2, &minute);
	skip_blank(c);
	if (take_char(c, ':') || take_char(c, '.')) {
		skip_blank(c);
		take_number(c, 2, &second);
	}
	if (minute < 0 || hour > 23 || minute > 59 || second > 60)
		hour = minute = second = 0;
	f->hour = hour;
	f->minute = minute;
	f->second = second;
}

static bool numeric_zone(struct cursor *c, struct fields *f)
{
	int sign = *c->at == '-' ? -1 : 1;
	int hhmm = 0;
	struct cursor look = { c->at + 1, c->end };
	unsigned digits = take_number(&look, 4, &hhmm);

	if (digits == 2 && take_char(&look, ':')) { /* ISO 8601: +02:00 */
		int minutes = 0;
		digits += take_number(&look, 2, &minutes);
		hhmm = hhmm * 100 + minutes;
	} else if (digits == 2) {
		hhmm *= 100;
	}
	if (digits < 2 || (look.at < look.end && is_digit(*look.at)))
		return false;
	int minutes = hhmm / 100 * 60 + hhmm % 100;
	f->zone_minutes = minutes <= ZONE_MAX_MINUTES && hhmm % 100 < 60 ? sign * minutes : 0;
	f->has_zone = true;
	*c = look;
	return true;
}

/* RFC 5322, 4.3. Military letters were defined the wrong way round and say nothing. */
static void named_zone(struct span word, struct fields *f)
{
	static const struct {
		const char *name;
		int minutes;
	} zones[] = {
		{ "UT", 0 },     { "UTC", 0 },    { "GMT", 0 },    { "Z", 0 },      { "EST", -300 },
		{ "EDT", -240 }, { "CST", -360 }, { "CDT", -300 }, { "MST", -420 }, { "MDT", -360 },
		{ "PST", -480 }, { "PDT", -420 }, { "BST", 60 },   { "CET", 60 },   { "CEST", 120 },
		{ "MET", 60 },   { "MEST", 120 }, { "EET", 120 },  { "EEST", 180 }, { "MSK", 180 },
		{ "JST", 540 },  { "AEST", 600 }, { "AEDT", 660 },
	};

	if (f->has_zone)
		return;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (span_is(word, zones[i].name)) {
			f->zone_minutes = zones[i].minutes;
			f->has_zone = true;
		}
	}
}

static void word(struct cursor *c, struct fields *f)
{
	struct span w = take_word(c);
	unsigned month = month_of(w);

	if (month != 0 && f->month < 0)
		f->month = (int)month;
	else if (f->hour >= 0 && span_is(w, "pm") && f->hour < 12)
		f->hour += 12;
	else if (f->hour == 12 && span_is(w, "am"))
		f->hour = 0;
	else if (f->hour >= 0)
		named_zone(w, f);
}

static int full_year(int year, unsigned digits)
{
	if (digits >= 4)
		return year;
	if (digits == 3)
		return year + 1900;
	return year < 50 ? year + 2000 : year + 1900;
}

/* "-mm-dd" behind a year of four digits. */
static bool iso_month_day(struct cursor *c, struct fields *f)
{
	struct cursor look = *c;
	int month = 0;
	int day = 0;

	if (!take_char(&look, '-') || take_number(&look, 2, &month) == 0 ||
	    !take_char(&look, '-') || take_number(&look, 2, &day) == 0)
		return false;
	f->month = month;
	f->day = day;
	*c = look;
	take_char(c, 'T');
	return true;
}

static void number(struct cursor *c, struct fields *f)
{
	int n = 0;
	unsigned digits = take_number(c, 9, &n);

	skip_blank(c);
	if (at_char(c, ':') && digits <= 2) {
		if (f->hour < 0)
			time_of_day(c, n, f);
	} else if (digits == 4 && f->year < 0 && f->day < 0 && iso_month_day(c, f)) {
		f->year = n;
	} else if (digits <= 2 && f->day < 0) {
		f->day = n;
	} else if (f->year < 0 && digits <= 4) {
		f->year = full_year(n, digits);
	}
}

/* Not a grammar: the pieces are told apart by what they look like, in whatever order they come.
 * So "Fri, 21 Nov 1997 09:55:06 -0600", "Nov 21 09:55:06 1997" and "21-Nov-97" all do. */
int mail_date_parse(struct span value, struct mail_date *ret)
{
	struct cursor c = { value.at, value.at + value.bytes };
	struct fields f = { -1, -1, -1, -1, -1, -1, 0, false };

	for (skip_blank(&c); c.at < c.end; skip_blank(&c)) {
		if (is_digit(*c.at))
			number(&c, &f);
		else if (is_alpha(*c.at))
			word(&c, &f);
		else if (f.hour < 0 || f.has_zone || strchr("+-", *c.at) == NULL ||
			 !numeric_zone(&c, &f))
			c.at++;
	}
	if (f.year < 0 || f.month < 0 || f.day < 0 ||
	    !is_calendar_date((unsigned)f.year, (unsigned)f.month, (unsigned)f.day))
		return ERR_BAD_INPUT;
	if (f.hour < 0)
		f.hour = f.minute = f.second = 0;
	*ret = from_fields(&f);
	return OK;
}

/* d-Mmm-yyyy */
static bool take_imap_date(struct cursor *c, struct fields *f)
{
	if (take_number(c, 2, &f->day) == 0 || !take_char(c, '-'))
		return false;
	struct span name = take_word(c);
	f->month = name.bytes == 3 ? (int)month_of(name) : 0;
	return take_char(c, '-') && take_number(c, 4, &f->year) == 4 &&
	       is_calendar_date((unsigned)f->year, (unsigned)f->month, (unsigned)f->day);
}

int imap_date_parse(struct span text, struct calendar_date *ret)
{
	struct cursor c = { text.at, text.at + text.bytes };
	struct fields f = { 0 };

	if (!take_imap_date(&c, &f) || c.at != c.end)
		return ERR_BAD_INPUT;
	*ret = (struct calendar_date){ (int16_t)f.year, (uint8_t)f.month, (uint8_t)f.day };
	return OK;
}

static bool take_imap_time(struct cursor *c, struct fields *f)
{
	return take_number(c, 2, &f->hour) == 2 && f->hour < 24 && take_char(c, ':') &&
	       take_number(c, 2, &f->minute) == 2 && f->minute < 60 && take_char(c, ':') &&
	       take_number(c, 2, &f->second) == 2 && f->second <= 60;
}

static bool take_imap_zone(struct cursor *c, struct fields *f)
{
	int hhmm = 0;
	bool west = at_char(c, '-');

	if ((!west && !at_char(c, '+')) || c->end - c->at != 5)
		return false;
	c->at++;
	if (take_number(c, 4, &hhmm) != 4 || hhmm / 100 > 23 || hhmm % 100 > 59)
		return false;
	f->zone_minutes = hhmm / 100 * 60 + hhmm % 100;
	if (west)
		f->zone_minutes = -f->zone_minutes;
	return true;
}

int imap_date_time_parse(struct span text, struct mail_date *ret)
{
	struct cursor c = { text.at, text.at + text.bytes };
	struct fields f = { 0 };

	take_char(&c, ' ');
	if (!take_imap_date(&c, &f) || !take_char(&c, ' ') || !take_imap_time(&c, &f) ||
	    !take_char(&c, ' ') || !take_imap_zone(&c, &f) || c.at != c.end)
		return ERR_BAD_INPUT;
	*ret = from_fields(&f);
	return OK;
}

void imap_date_time_put(struct buf *out, struct mail_date d)
{
	struct calendar_date day = mail_date_local(d);
	int64_t local = local_seconds(d);
	int64_t second = local - floor_day(local) * DAY_SECONDS;
	int zone = d.zone_minutes < 0 ? -d.zone_minutes : d.zone_minutes;
	const char *month = months + (size_t)4 * (day.month - 1U);

	buf_printf(out, "\"%02d-%c%.2s-%04d %02d:%02d:%02d %c%02d%02d\"", day.day,
		   *month - 'a' + 'A', month + 1, day.year, (int)(second / 3600),
		   (int)(second / 60 % 60), (int)(second % 60), d.zone_minutes < 0 ? '-' : '+',
		   zone / 60, zone % 60);
}
