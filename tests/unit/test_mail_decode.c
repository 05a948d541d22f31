/* Headers, parameters, charsets and text parts as UTF-8. */
#include "tests/unit/mail_util.h"

#include "server/mail/decode.h"
#include "storage/base/err.h"

#include <pthread.h>

static const struct {
	const char *raw;
	const char *text;
} headers[] = {
	{ "plain", "plain" },
	{ "a =?utf-8?q?b=C3=A9?= c", "a b\303\251 c" },
	{ "=?utf-8?q?a?= =?utf-8?q?b?=", "ab" },
	{ "=?utf-8?q?a?=\r\n =?utf-8?b?w6k=?=", "a\303\251" },
	{ "=?iso-8859-1?Q?caf=E9?=", "caf\303\251" },
	{ "=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=", "\343\203\206\343\202\271\343\203\210" },
	{ "=?windows-1252?q?=80?=", "\342\202\254" },
	{ "caf\351", "caf\303\251" },
	{ "caf\303\251", "caf\303\251" },
	{ "folded\r\n\tonce\n twice", "folded\tonce twice" },
	{ "=?utf-8?q?broken", "=?utf-8?q?broken" },
	{ "=?nonsense?q?abc?=", "abc" },
	{ "", "" },
};

START_TEST(headers_become_utf8)
{
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct buf out = { 0 };
		decode_header(span_str(headers[i].raw), &out);
		ck_assert_msg(buf_is(&out, headers[i].text), "%s -> %s", headers[i].raw,
			      buf_z(&out));
		buf_free(&out);
	}
}
END_TEST

START_TEST(nul_and_bare_cr_in_a_header_are_blanks)
{
	struct buf out = { 0 };

	decode_header(span_of("a\0b\rc\351", 6), &out);
	ck_assert(buf_is(&out, "a b c\303\251"));
	buf_free(&out);
}
END_TEST

static const struct {
	const char *type;
	const char *value; /* of the parameter name */
} params[] = {
	{ "a/b; name=x", "x" },
	{ "a/b; name=\"=?utf-8?q?=C3=A9?=\"", "\303\251" },
	{ "a/b; name*=utf-8'en'%C3%A9%", "\303\251%" },
	{ "a/b; name*=iso-8859-1''%E9", "\303\251" },
	{ "a/b; name*0*=utf-8''%C3; name*1*=%A9; name*2=\"%zz\"", "\303\251%zz" },
	{ "a/b; name*1=d; name*0=c", "cd" },
	{ "a/b; name*=x%41", "xA" },
	{ "a/b; name*=unknown''%E9", "\303\251" },
	{ "a/b; other=x", NULL },
};

START_TEST(parameters_become_utf8)
{
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		struct buf m = { 0 };
		struct buf out = { 0 };
		struct arena a;

		arena_init(&a);
		buf_printf(&m, "Content-Type: %s\r\n\r\n", params[i].type);
		const struct shape *s = mime_scan_whole(&a, buf_span(&m));
		bool there = decode_param(&s->root->params, "name", &out);
		ck_assert(there == (params[i].value != NULL));
		if (there)
			ck_assert_msg(buf_is(&out, params[i].value), "%s -> %s", params[i].type,
				      buf_z(&out));
		buf_free(&out);
		buf_free(&m);
		arena_free(&a);
	}
}
END_TEST

START_TEST(charsets)
{
	static const char *const known[] = { "UTF-8",        "us-ascii",    "ISO-8859-1",
					     "iso-8859-15",  "iso-8859-16", "KOI8-R",
					     "Big5",         "shift_jis",   "gb18030",
					     "windows-1251", "UTF-7",       "\"utf-8\"" };
	static const char *const unknown[] = {
		"", "nonsense", "UTF-8//IGNORE", "utf 8",
		"a-name-that-is-longer-than-any-charset-has-ever-been-called-by-anybody"
	};
	struct buf out = { 0 };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		ck_assert_msg(decode_charset_known(span_str(known[i])), "%s", known[i]);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		ck_assert_msg(!decode_charset_known(span_str(unknown[i])), "%s", unknown[i]);

	ck_assert_int_eq(decode_charset(span_str("iso-8859-1"), span_str("\351"), &out), OK);
	ck_assert_int_eq(decode_charset(span_str("iso-8859-5"), span_str("\320"), &out), OK);
	ck_assert(buf_is(&out, "\303\251\320\260"));
	ck_assert_int_eq(decode_charset(span_str("x"), span_str("a"), &out), ERR_UNSUPPORTED);
	ck_assert_int_eq(decode_charset(span_str("utf-8"), span_str("\351"), &out), ERR_BAD_INPUT);
	ck_assert_int_eq(decode_charset(span_str("utf-8"), span_str("\303"), &out), ERR_BAD_INPUT);
	ck_assert_int_eq(decode_charset(span_str("us-ascii"), span_str("\303"), &out),
			 ERR_BAD_INPUT);
	ck_assert(buf_is(&out, "\303\251\320\260"));
	ck_assert_int_eq(decode_charset(span_str("utf-8"), (struct span){ NULL, 0 }, &out), OK);
	buf_free(&out);
}
END_TEST

/* Headers and a body; the text. */
static const struct {
	const char *header;
	const char *body;
	const char *text;
} texts[] = {
	{ "", "plain", "plain" },
	{ "", "caf\351 caf\303\251", "caf\303\251 caf\303\251" },
	{ "", "cut\303", "cut\303\203" },
	{ "Content-Type: text/plain; charset=utf-8\n", "\342\202\254 \342\202",
	  "\342\202\254 \303\242\302\202" },
	{ "Content-Type: text/plain; charset=iso-8859-1\n", "caf\351", "caf\303\251" },
	{ "Content-Type: text/plain; charset=\"iso-8859-2\"\n", "\261", "\304\205" },
	{ "Content-Type: text/plain; charset=x-nonsense\n", "caf\351", "caf\303\251" },
	{ "Content-Type: text/plain; charset=ISO-2022-JP\n", "\033$B%F%9%H\033(B.",
	  "\343\203\206\343\202\271\343\203\210." },
	{ "Content-Type: text/plain; charset=shift_jis\n", "\203e\203X\203g",
	  "\343\203\206\343\202\271\343\203\210" },
	{ "Content-Type: text/plain; charset=euc-kr\n", "a\300\377b\300",
	  "a\357\277\275\357\277\275b\357\277\275" },
	{ "Content-Transfer-Encoding: base64\n", "aGVsbG8g\nd29ybGQ=\n", "hello world" },
	{ "Content-Transfer-Encoding: BASE64\n", "aGVsbG8", "hello" },
	{ "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n",
	  "w6k=", "\303\251" },
	{ "Content-Transfer-Encoding: quoted-printable\n", "a=3Db =\nc=C3=A9=\n", "a=b c\303\251" },
	{ "Content-Transfer-Encoding: quoted-printable\n", "a=zz=", "a=zz" },
	{ "Content-Transfer-Encoding: x-uuencode\n", "junk\nbegin 644 f\n#:&D*\n`\nend\nmore\n",
	  "hi\n" },
	{ "Content-Transfer-Encoding: x-uuencode\n", "nothing here", "" },
	{ "Content-Transfer-Encoding: 8bit\n", "a=3D", "a=3D" },
	{ "Content-Transfer-Encoding: nonsense\n", "a=3D", "a=3D" },
};

static void check_text(const char *header, const char *body, const char *text)
{
	struct buf m = { 0 };
	struct arena a;

	arena_init(&a);
	buf_printf(&m, "%s\n%s", header, body);
	const struct shape *s = mime_scan_whole(&a, buf_span(&m));
	for (size_t cut = 1; cut < 9; cut++) {
		struct text_decoder *d = text_decoder_new(s->root);
		struct buf out = { 0 };

		for (size_t at = 0; at < strlen(body); at += cut) {
			size_t left = strlen(body) - at;
			text_decoder_feed(d, span_of(body + at, left < cut ? left : cut), &out);
		}
		text_decoder_finish(d, &out);
		text_decoder_free(&d);
		ck_assert_ptr_null(d);
		ck_assert_msg(buf_is(&out, text), "%s\n%s by %zu -> %s", header, body, cut,
			      buf_z(&out));
		buf_free(&out);
	}
	buf_free(&m);
	arena_free(&a);
}

START_TEST(texts_become_utf8_however_they_are_cut)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_text(texts[i].header, texts[i].body, texts[i].text);
}
END_TEST

START_TEST(nul_in_a_text_stays)
{
	struct shape_part p = { .kind = SHAPE_TEXT };
	struct text_decoder *d = text_decoder_new(&p);
	struct buf out = { 0 };

	text_decoder_feed(d, span_of("a\0\303\251\0", 5), &out);
	text_decoder_finish(d, &out);
	ck_assert(span_eq(buf_span(&out), span_of("a\0\303\251\0", 5)));
	text_decoder_free(&d);
	text_decoder_free(&d);
	buf_reset(&out);

	d = text_decoder_new(&p); /* and does not look like the end of the text */
	text_decoder_feed(d, span_of("\342\0this is longer than any character", 35), &out);
	text_decoder_finish(d, &out);
	ck_assert_uint_eq(out.bytes, 36);
	text_decoder_free(&d);
	buf_free(&out);
}
END_TEST

static void *decode_much(void *data)
{
	(void)data;
	for (int i = 0; i < 300; i++) {
		struct buf out = { 0 };
		decode_header(span_str("=?iso-8859-1?q?caf=E9?= =?iso-2022-jp?b?GyRCJUYbKEI=?="),
			      &out);
		ck_assert(buf_is(&out, "caf\303\251\343\203\206"));
		buf_free(&out);
		ck_assert(decode_charset_known(span_str("koi8-r")));
	}
	return NULL;
}

/* Reader threads decode at the same time. */
START_TEST(threads_do_not_disturb_each_other)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, decode_much, NULL), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_decode");
	TCase *t = tcase_create("decode");

	mail_init();
	tcase_add_test(t, headers_become_utf8);
	tcase_add_test(t, nul_and_bare_cr_in_a_header_are_blanks);
	tcase_add_test(t, parameters_become_utf8);
	tcase_add_test(t, charsets);
	tcase_add_test(t, texts_become_utf8_however_they_are_cut);
	tcase_add_test(t, nul_in_a_text_stays);
	tcase_add_test(t, threads_do_not_disturb_each_other);
	suite_add_tcase(s, t);
	return mail_run(s);
}
