/* What the scanner finds in messages, as ENVELOPE and BODYSTRUCTURE show it, against two files:
 * tests/mail/odd.txt (made-up messages with their answers) and tests/mail/shapes.txt (the answers
 * for the mails beside it). Both were compared with Dovecot's answers by hand; where they differ,
 * the RFC or common sense decided. TIDEMARK_REWRITE=1 writes them anew: read the diff. */
#include "tests/unit/mail_util.h"

#include "server/mail/bodystructure.h"
#include "server/mail/envelope.h"

/* One line: CR, LF, 8-bit and backslashes as \xNN. */
static void put_escaped(struct buf *out, const struct buf *in)
{
	for (size_t i = 0; i < in->bytes; i++) {
		unsigned char c = (unsigned char)in->at[i];

		if (c < ' ' || c >= 0x7f || (c == '\\' && in->at[i + 1] == 'x'))
			buf_printf(out, "\\x%02x", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '\n');
}

/* "=> ENVELOPE ...", "=> BODY ..." and "=> BODYSTRUCTURE ..." */
static void put_answer(struct buf *out, struct span message)
{
	struct buf b = { 0 };
	struct arena a;

	arena_init(&a);
	const struct shape *s = mime_scan_whole(&a, message);
	envelope_put(&b, s->root->envelope);
	buf_puts(out, "=> ENVELOPE ");
	put_escaped(out, &b);
	buf_reset(&b);
	bodystructure_put(&b, s->root, true);
	buf_puts(out, "=> BODYSTRUCTURE ");
	put_escaped(out, &b);
	buf_free(&b);
	arena_free(&a);
}

static void compare_file(const char *path, struct buf *now)
{
	struct buf was = mail_read(path, false);

	if (getenv("TIDEMARK_REWRITE") != NULL) {
		FILE *f = fopen(path, "wb");
		ck_assert_ptr_nonnull(f);
		ck_assert_uint_eq(fwrite(now->at, 1, now->bytes, f), now->bytes);
		ck_assert_int_eq(fclose(f), 0);
	}
	const char *w = buf_z(&was);
	const char *n = buf_z(now);
	while (*n != '\0') { /* line by line: the first difference is readable */
		size_t wl = strcspn(w, "\n");
		size_t nl = strcspn(n, "\n");
		ck_assert_msg(wl == nl && memcmp(w, n, wl) == 0,
			      "%s\n  is:       %.*s\n  expected: %.*s", path, (int)nl, n, (int)wl,
			      w);
		w += wl + (w[wl] == '\n');
		n += nl + (n[nl] == '\n');
	}
	ck_assert_uint_eq(was.bytes, now->bytes);
	buf_free(&was);
}

START_TEST(the_mails_of_others)
{
	glob_t g = mail_fixtures();
	struct buf now = { 0 };

	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf m = mail_read(g.gl_pathv[i], true);

		buf_printf(&now, "## %s\n", g.gl_pathv[i]);
		put_answer(&now, buf_span(&m));
		buf_free(&m);
	}
	compare_file("tests/mail/shapes.txt", &now);
	buf_free(&now);
	globfree(&g);
}
END_TEST

/* The message in [at, end) of odd.txt as it is on the wire. */
static struct buf odd_message(const char *at, const char *end)
{
	struct buf m = { 0 };

	if (end - at >= 2 && end[-2] == '\\')
		end -= 2;
	for (; at < end; at++) {
		if (*at == '\n')
			buf_putc(&m, '\r');
		buf_putc(&m, *at);
	}
	return m;
}

START_TEST(odd_messages)
{
	const char *path = "tests/mail/odd.txt";
	struct buf file = mail_read(path, false);
	struct buf now = { 0 };
	const char *at = strstr(buf_z(&file), "\n## ") + 1;

	buf_put(&now, file.at, (size_t)(at - file.at));
	while (*at != '\0') {
		const char *message = strchr(at, '\n') + 1;
		const char *end = *message == '=' ? message : strstr(message, "\n=>") + 1;

		struct buf m = odd_message(message, end);
		buf_put(&now, at, (size_t)(end - at));
		put_answer(&now, buf_span(&m));
		buf_free(&m);
		at = strstr(end, "\n## ");
		at = at == NULL ? "" : at + 1;
	}
	compare_file(path, &now);
	buf_free(&now);
	buf_free(&file);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_mime");
	TCase *t = tcase_create("mime");

	tcase_add_test(t, the_mails_of_others);
	tcase_add_test(t, odd_messages);
	suite_add_tcase(s, t);
	return mail_run(s);
}
