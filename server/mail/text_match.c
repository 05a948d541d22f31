/* text_match.c: substrings of folded text.
 *
 * Text and needle are brought into one form: compatibility decomposition (NFKD), then full case
 * folding, as i;unicode-casemap (RFC 5051) does in spirit. ASCII, most of all mail, is folded
 * without GLib. Text that comes in slices is folded run by run; of a run that is not ASCII the end
 * is held back up to its last starter, because the order of combining marks is decided only when
 * the next starter is seen. So the answer does not depend on the cuts. */
#include "server/mail/text_match.h"

#include "storage/base/err.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>

enum { HELD_MAX_BYTES = 1024 }; /* more combining marks on one character are not text */

struct text_needle {
	struct buf folded;
};

static bool is_ascii(char c)
{
	return (unsigned char)c < 0x80;
}

/* A run without ASCII, with whole characters. */
static void fold_run(const char *at, size_t bytes, struct buf *out)
{
	char *normal = g_utf8_normalize(at, (gssize)bytes, G_NORMALIZE_ALL);
	if (normal == NULL)
		return; /* not UTF-8: matches nothing */

	char *folded = g_utf8_casefold(normal, -1);
	buf_puts(out, folded);
	g_free(folded);
	g_free(normal);
}

static size_t run_bytes(const char *at, const char *end, bool ascii)
{
	const char *from = at;

	while (at < end && is_ascii(*at) == ascii)
		at++;
	return (size_t)(at - from);
}

static void fold_ascii(const char *at, size_t bytes, struct buf *out)
{
	buf_reserve(out, bytes);
	for (size_t i = 0; i < bytes; i++)
		out->at[out->bytes++] = (char)ascii_lower((unsigned char)at[i]);
}

/* Complete text. */
static void fold(struct span s, struct buf *out)
{
	const char *end = s.bytes == 0 ? s.at : s.at + s.bytes;

	for (const char *at = s.at; at < end;) {
		bool ascii = is_ascii(*at);
		size_t n = run_bytes(at, end, ascii);

		if (ascii)
			fold_ascii(at, n, out);
		else
			fold_run(at, n, out);
		at += n;
	}
}

int text_needle_new(struct span utf8, struct text_needle **ret)
{
	if (utf8.bytes != 0 && !g_utf8_validate(utf8.at, (gssize)utf8.bytes, NULL))
		return ERR_BAD_INPUT;

	struct text_needle *n = calloc(1, sizeof(*n));
	if (n == NULL)
		abort();
	fold(utf8, &n->folded);
	*ret = n;
	return OK;
}

void text_needle_free(struct text_needle **n)
{
	if (*n == NULL)
		return;
	buf_free(&(*n)->folded);
	free(*n);
	*n = NULL;
}

bool text_needle_is_empty(const struct text_needle *n)
{
	return n->folded.bytes == 0;
}

static bool contains(const struct buf *text, const struct buf *needle)
{
	return needle->bytes == 0 ||
	       (text->bytes >= needle->bytes &&
		memmem(text->at, text->bytes, needle->at, needle->bytes) != NULL);
}

bool text_needle_in(const struct text_needle *n, struct span utf8)
{
	struct buf folded = { 0 };

	fold(utf8, &folded);
	bool found = contains(&folded, &n->folded);
	buf_free(&folded);
	return found;
}

struct text_match {
	const struct text_needle *needle;
	struct buf text; /* folded; what a match may still begin in */
	struct buf held; /* the end of a run that is not ASCII */
	bool found;
};

struct text_match *text_match_new(const struct text_needle *n)
{
	struct text_match *m = calloc(1, sizeof(*m));
	if (m == NULL)
		abort();

	m->needle = n;
	m->found = n->folded.bytes == 0;
	return m;
}

/* How much of `held` can be folded: up to its last starter, or all if it is too much. */
static size_t foldable(const struct buf *held)
{
	const char *end = held->at + held->bytes;
	const char *at = end;

	if (held->bytes > HELD_MAX_BYTES)
		return held->bytes;
	while (at > held->at) {
		at = g_utf8_prev_char(at);
		if (g_unichar_combining_class(g_utf8_get_char(at)) == 0)
			return (size_t)(at - held->at);
	}
	return 0;
}

static void release_held(struct text_match *m, size_t bytes)
{
	if (bytes == 0)
		return;
	fold_run(m->held.at, bytes, &m->text);
	buf_drop_front(&m->held, bytes);
}

/* Look, and keep only what may be the beginning of a match. */
static void look(struct text_match *m)
{
	size_t keep = m->needle->folded.bytes - 1;

	m->found = contains(&m->text, &m->needle->folded);
	if (m->text.bytes > keep)
		buf_drop_front(&m->text, m->text.bytes - keep);
}

bool text_match_feed(struct text_match *m, struct span utf8)
{
	const char *end = utf8.bytes == 0 ? utf8.at : utf8.at + utf8.bytes;

	if (m->found)
		return true;
	for (const char *at = utf8.at; at < end;) {
		bool ascii = is_ascii(*at);
		size_t n = run_bytes(at, end, ascii);

		if (ascii) {
			release_held(m, m->held.bytes);
			fold_ascii(at, n, &m->text);
		} else if (g_utf8_validate(at, (gssize)n, NULL)) {
			buf_put(&m->held, at, n);
			release_held(m, foldable(&m->held));
		}
		at += n;
	}
	look(m);
	return m->found;
}

bool text_match_finish(struct text_match *m)
{
	if (!m->found) {
		release_held(m, m->held.bytes);
		look(m);
	}
	return m->found;
}

void text_match_free(struct text_match **m)
{
	if (*m == NULL)
		return;
	buf_free(&(*m)->text);
	buf_free(&(*m)->held);
	free(*m);
	*m = NULL;
}
