#include "server/auth/account_name.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <glib.h>

enum spelling { SPELLING_ASCII, SPELLING_OTHER, SPELLING_BAD };

/* ASCII needs no tables, and almost every name is ASCII. */
static enum spelling look_at(struct span raw)
{
	enum spelling found = SPELLING_ASCII;

	for (size_t i = 0; i < raw.bytes; i++) {
		unsigned char c = (unsigned char)raw.at[i];
		if (c <= ' ' || c == 0x7f || c == '/')
			return SPELLING_BAD;
		if (c >= 0x80)
			found = SPELLING_OTHER;
	}
	return found;
}

/* Invisible characters would make two names look the same. */
static bool allowed(gunichar c)
{
	GUnicodeType type = g_unichar_type(c);

	return c != '/' && !g_unichar_isspace(c) && type != G_UNICODE_CONTROL &&
	       type != G_UNICODE_FORMAT && type != G_UNICODE_LINE_SEPARATOR &&
	       type != G_UNICODE_PARAGRAPH_SEPARATOR && type != G_UNICODE_SPACE_SEPARATOR;
}

/* NFC, lower case, and NFC again, because lower case may leave something to compose. */
static char *fold(struct span raw)
{
	char *nfc = g_utf8_normalize(raw.at, (gssize)raw.bytes, G_NORMALIZE_NFC);
	char *lower = g_utf8_strdown(nfc, -1);
	char *again = g_utf8_normalize(lower, -1, G_NORMALIZE_NFC);

	g_free(nfc);
	g_free(lower);
	return again;
}

static int put_folded(struct span raw, struct buf *out)
{
	if (!g_utf8_validate(raw.at, (gssize)raw.bytes, NULL))
		return ERR_BAD_INPUT;
	char *name = fold(raw);
	int rc = strlen(name) <= ACCOUNT_NAME_MAX_BYTES ? OK : ERR_BAD_INPUT;
	for (const char *p = name; rc == OK && *p != '\0'; p = g_utf8_next_char(p))
		if (!allowed(g_utf8_get_char(p)))
			rc = ERR_BAD_INPUT;
	if (rc == OK)
		buf_puts(out, name);
	g_free(name);
	return rc;
}

int account_name_normalise(struct span raw, struct buf *out)
{
	if (raw.bytes == 0 || raw.bytes > ACCOUNT_NAME_MAX_BYTES)
		return ERR_BAD_INPUT;
	switch (look_at(raw)) {
	case SPELLING_ASCII:
		for (size_t i = 0; i < raw.bytes; i++)
			buf_putc(out, (char)ascii_lower((unsigned char)raw.at[i]));
		return OK;
	case SPELLING_OTHER: return put_folded(raw, out);
	case SPELLING_BAD: break;
	}
	return ERR_BAD_INPUT;
}
