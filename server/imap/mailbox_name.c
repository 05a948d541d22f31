#include "server/imap/mailbox_name.h"

#include "server/imap/mutf7.h"
#include "server/imap/response.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <glib.h>

enum { INBOX_BYTES = 5 };

const char *mailbox_name_fault_text(enum mailbox_name_fault f)
{
	switch (f) {
	case MAILBOX_NAME_GOOD: return "Mailbox name is good";
	case MAILBOX_NAME_EMPTY: return "Mailbox name is empty";
	case MAILBOX_NAME_NOT_MUTF7: return "Mailbox name is not valid modified UTF-7";
	case MAILBOX_NAME_EMPTY_LEVEL: return "Mailbox name has an empty level";
	case MAILBOX_NAME_CONTROL: return "Mailbox name has a character that is not allowed";
	case MAILBOX_NAME_TOO_LONG: return "Mailbox name is too long";
	case MAILBOX_NAME_TOO_DEEP: return "Mailbox name has too many levels";
	}
	assert(false && "a fault of unknown kind");
	return "";
}

static bool is_forbidden(gunichar ch)
{
	bool is_nonchar = (ch >= 0xfdd0 && ch <= 0xfdef) || (ch & 0xfffe) == 0xfffe;

	return ch < 0x20 || (ch >= 0x7f && ch <= 0x9f) || ch == 0x2028 || ch == 0x2029 ||
	       is_nonchar;
}

static bool has_forbidden(const char *utf8)
{
	for (const char *p = utf8; *p != '\0'; p += g_utf8_skip[(unsigned char)*p])
		if (is_forbidden(g_utf8_get_char(p)))
			return true;
	return false;
}

static enum mailbox_name_fault levels_fault(struct span name)
{
	size_t levels = 1;

	for (size_t i = 0; i < name.bytes; i++) {
		if (name.at[i] != '/')
			continue;
		levels++;
		if (i == 0 || i + 1 == name.bytes || name.at[i + 1] == '/')
			return MAILBOX_NAME_EMPTY_LEVEL;
	}
	return levels > MAILBOX_LEVELS_MAX ? MAILBOX_NAME_TOO_DEEP : MAILBOX_NAME_GOOD;
}

/* "inbox" and "inbox/..." in any case. */
static bool is_under_inbox(struct span name)
{
	return name.bytes >= INBOX_BYTES && span_is(span_of(name.at, INBOX_BYTES), "INBOX") &&
	       (name.bytes == INBOX_BYTES || name.at[INBOX_BYTES] == '/');
}

/* `nfc` is terminated; checks it and writes the good name. */
static void from_nfc(const char *nfc, struct arena *a, struct mailbox_name *ret)
{
	struct span name = span_str(nfc);

	ret->trailing_slash = name.bytes > 1 && name.at[name.bytes - 1] == '/';
	if (ret->trailing_slash)
		name.bytes--;
	if (name.bytes == 0 || span_is(name, "/"))
		ret->fault = MAILBOX_NAME_EMPTY;
	else if (name.bytes > MAILBOX_NAME_MAX_BYTES)
		ret->fault = MAILBOX_NAME_TOO_LONG;
	else if (has_forbidden(nfc))
		ret->fault = MAILBOX_NAME_CONTROL;
	else
		ret->fault = levels_fault(name);
	if (ret->fault != MAILBOX_NAME_GOOD)
		return;

	char *copy = arena_strdup(a, name);
	if (is_under_inbox(name))
		memcpy(copy, "INBOX", INBOX_BYTES);
	ret->utf8 = span_of(copy, name.bytes);
}

void mailbox_name_from_utf8(struct span utf8, struct arena *a, struct mailbox_name *ret)
{
	*ret = (struct mailbox_name){ .raw = utf8 };
	if (utf8.bytes == 0) {
		ret->fault = MAILBOX_NAME_EMPTY;
		return;
	}
	if (memchr(utf8.at, '\0', utf8.bytes) != NULL) {
		ret->fault = MAILBOX_NAME_CONTROL;
		return;
	}
	char *nfc = g_utf8_validate(utf8.at, (gssize)utf8.bytes, NULL)
			    ? g_utf8_normalize(utf8.at, (gssize)utf8.bytes, G_NORMALIZE_NFC)
			    : NULL;
	if (nfc == NULL)
		ret->fault = MAILBOX_NAME_NOT_MUTF7;
	else
		from_nfc(nfc, a, ret);
	g_free(nfc);
}

void mailbox_name_from_wire(struct span raw, struct arena *a, struct mailbox_name *ret)
{
	struct buf utf8 = { 0 };

	if (mutf7_to_utf8(raw, &utf8) < 0)
		*ret = (struct mailbox_name){ .fault = MAILBOX_NAME_NOT_MUTF7 };
	else
		mailbox_name_from_utf8(buf_span(&utf8), a, ret);
	ret->raw = raw;
	buf_free(&utf8);
}

void mailbox_name_put(struct buf *out, struct span utf8)
{
	struct buf mutf7 = { 0 };

	int rc = mutf7_from_utf8(utf8, &mutf7);
	assert(rc == OK);
	response_astring(out, buf_span(&mutf7));
	buf_free(&mutf7);
}

bool mailbox_name_is_inbox(struct span utf8)
{
	return span_is(utf8, "INBOX");
}
