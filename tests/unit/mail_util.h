/* mail_util.h: what the tests of server/mail share. */
#ifndef TESTS_UNIT_MAIL_UTIL_H
#define TESTS_UNIT_MAIL_UTIL_H

#include "server/mail/mime_scan.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

/* A fixture as it arrives: line ends are CRLF on the wire, LF in the repository. */
static inline struct buf mail_read(const char *path, bool crlf)
{
	struct buf b = { 0 };
	FILE *f = fopen(path, "rb");
	int before = 0;

	ck_assert_msg(f != NULL, "%s", path);
	for (int c = getc(f); c != EOF; before = c, c = getc(f)) {
		if (crlf && c == '\n' && before != '\r')
			buf_putc(&b, '\r');
		buf_putc(&b, (char)c);
	}
	fclose(f);
	return b;
}

/* Text with LF as a message with CRLF. */
static inline struct buf mail_text(const char *text)
{
	struct buf b = { 0 };

	for (; *text != '\0'; text++) {
		if (*text == '\n')
			buf_putc(&b, '\r');
		buf_putc(&b, *text);
	}
	return b;
}

static inline bool buf_is(const struct buf *b, const char *text)
{
	return span_eq(buf_span(b), span_str(text));
}

static inline const char *buf_z(struct buf *b)
{
	buf_putc(b, '\0');
	b->bytes--;
	return b->at;
}

/* All mails of tests/mail, in a fixed order; globfree() it. */
static inline glob_t mail_fixtures(void)
{
	glob_t g;

	ck_assert_int_eq(glob("tests/mail/*/*.eml", 0, NULL, &g), 0);
	ck_assert_uint_gt(g.gl_pathc, 100);
	return g;
}

static inline int mail_run(Suite *s)
{
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}

#endif
