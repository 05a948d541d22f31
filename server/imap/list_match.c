/* list_match.c: the pattern as a row of states, each waiting at one of its bytes; a name's bytes
 * move all of them at once, so nothing is ever tried twice.
 *
 * Invariant L1: the last reached "*" makes all states before it needless, because it takes any byte
 * and stays: `low` is where the row begins. */
#include "server/imap/list_match.h"

#include "server/imap/mutf7.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <glib.h>

struct list_pattern {
	char *at; /* UTF-8, NFC, terminated; no two wildcards in a row */
	size_t bytes;
};

/* More could not match any name: at most every other byte is a wildcard. */
enum { PATTERN_MAX_BYTES = 2 * MAILBOX_NAME_MAX_BYTES + 1 };

static bool is_wildcard(char ch)
{
	return ch == '*' || ch == '%';
}

/* "*%" and "**" are "*", "%%" is "%". Returns the bytes left. */
static size_t collapse_wildcards(char *at, size_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (n == 0 || !is_wildcard(at[i]) || !is_wildcard(at[n - 1]))
			at[n++] = at[i];
		else if (at[i] == '*')
			at[n - 1] = '*';
	}
	return n;
}

const struct list_pattern *list_pattern_make(struct span reference, struct span pattern,
					     struct arena *a)
{
	struct buf utf8 = { 0 };
	struct list_pattern *p = NULL;
	bool absolute = pattern.bytes != 0 && pattern.at[0] == '/';

	int rc = absolute ? OK : mutf7_to_utf8(reference, &utf8);
	if (rc == OK)
		rc = mutf7_to_utf8(pattern, &utf8);
	buf_putc(&utf8, '\0'); /* never empty: at is not NULL */
	char *nfc = rc == OK ? g_utf8_normalize(utf8.at, -1, G_NORMALIZE_NFC) : NULL;
	size_t bytes = nfc == NULL ? 0 : collapse_wildcards(nfc, strlen(nfc));
	if (nfc != NULL && bytes <= PATTERN_MAX_BYTES) {
		p = arena_alloc(a, sizeof(*p));
		p->at = arena_strdup(a, span_of(nfc, bytes));
		p->bytes = bytes;
	}
	g_free(nfc);
	buf_free(&utf8);
	return p;
}

/* The states of one match: bit i of the row: the pattern's bytes before i are used up. */
struct row {
	const struct list_pattern *p;
	size_t low, high; /* only states in low .. high can be set */
	bool set[PATTERN_MAX_BYTES + 1];
};

/* Enter state i, and the one behind a wildcard, which may stand for nothing. */
static void row_enter(struct row *r, size_t i)
{
	for (;; i++) {
		r->set[i] = true;
		if (i > r->high)
			r->high = i;
		if (i == r->p->bytes || !is_wildcard(r->p->at[i]))
			return;
		if (r->p->at[i] == '*')
			r->low = i; /* L1 */
	}
}

static void row_init(struct row *r, const struct list_pattern *p)
{
	r->p = p;
	r->low = r->high = 0;
	memset(r->set, 0, p->bytes + 1);
	row_enter(r, 0);
}

/* Take one byte of the name. From high to low, as a state moves to the next one only. */
static void row_take(struct row *r, char ch, bool no_case)
{
	size_t low = r->low;

	for (size_t i = r->high + 1; i-- > low;) {
		if (!r->set[i] || i < r->low)
			continue;
		char want = r->p->at[i]; /* NUL at the end */

		if (want == '*' || (want == '%' && ch != '/'))
			continue; /* stays; what lies behind it was entered with it, and is moved */
		r->set[i] = false;
		if (i == r->p->bytes || want == '%')
			continue;
		bool same =
			no_case ? ascii_lower((unsigned char)want) == ascii_lower((unsigned char)ch)
				: want == ch;
		if (same)
			row_enter(r, i + 1);
	}
	/* A wildcard that stayed may stand for nothing more: what is behind it is open again. */
	for (size_t i = r->low; i <= r->high && i < r->p->bytes; i++)
		if (r->set[i] && is_wildcard(r->p->at[i]))
			row_enter(r, i + 1);
}

static bool row_any(const struct row *r, size_t below)
{
	for (size_t i = r->low; i <= r->high && i < below; i++)
		if (r->set[i])
			return true;
	return false;
}

enum list_match list_pattern_match(const struct list_pattern *p, struct span utf8)
{
	static const char inbox[] = "INBOX";
	size_t no_case = sizeof(inbox) - 1;
	struct row r;

	if (p == NULL)
		return LIST_NO;
	if (utf8.bytes < no_case || memcmp(utf8.at, inbox, no_case) != 0 ||
	    (utf8.bytes > no_case && utf8.at[no_case] != '/'))
		no_case = 0;
	row_init(&r, p);
	for (size_t i = 0; i < utf8.bytes && row_any(&r, SIZE_MAX); i++)
		row_take(&r, utf8.at[i], i < no_case);
	if (r.set[p->bytes] && r.low <= p->bytes)
		return LIST_MATCH;
	row_take(&r, '/', false);
	return row_any(&r, p->bytes) ? LIST_BELOW : LIST_NO;
}
