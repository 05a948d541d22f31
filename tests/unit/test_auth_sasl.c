/* SASL: names, verifiers and whole exchanges, against the vectors of the RFCs and against GNU
 * SASL's own client. */
#include "server/auth/account_name.h"
#include "server/auth/base64.h"
#include "server/auth/sasl.h"
#include "server/auth/scram.h"
#include "storage/base/err.h"

#include <check.h>
#include <stdlib.h>

static Gsasl *ctx;
static struct scram_verifiers pencil;

static void setup(void)
{
	ctx = sasl_context();
	ck_assert_ptr_nonnull(ctx);
	ck_assert_int_eq(scram_make_verifiers(span_str("pencil"), 4096, &pencil), OK);
}

static void teardown(void)
{
	gsasl_done(ctx);
}

/* ---- names ---- */

static const char *normal(const char *raw)
{
	static char text[512];
	struct buf out = { 0 };

	if (account_name_normalise(span_str(raw), &out) < 0) {
		ck_assert_uint_eq(out.bytes, 0);
		buf_free(&out);
		return NULL;
	}
	buf_putc(&out, '\0');
	ck_assert_uint_le(out.bytes, sizeof(text));
	memcpy(text, out.at, out.bytes);
	buf_free(&out);
	return text;
}

START_TEST(names_have_one_spelling)
{
	ck_assert_str_eq(normal("Joe@Example.ORG"), "joe@example.org");
	ck_assert_str_eq(normal("M\xc3\x9cLLER"), "m\xc3\xbcller");
	ck_assert_str_eq(normal("mu\xcc\x88ller"), "m\xc3\xbcller");
	ck_assert_str_eq(normal("MU\xcc\x88LLER"), "m\xc3\xbcller");
	ck_assert_str_eq(normal("a+b=c,d"), "a+b=c,d");
}
END_TEST

START_TEST(names_that_are_refused)
{
	static const char *const bad[] = { "",
					   "a b",
					   "a/b",
					   "a\tb",
					   "a\x7f",
					   "a\xff",
					   "\xc3",
					   "a\xc2\xa0z",
					   "a\xe2\x80\xae z",
					   "a\xe2\x80\x8bz",
					   "a\nb",
					   NULL };
	char longest[258];

	for (size_t i = 0; bad[i] != NULL; i++)
		ck_assert_msg(normal(bad[i]) == NULL, "%zu", i);
	struct buf out = { 0 };
	ck_assert_int_eq(account_name_normalise(span_of("a\0b", 3), &out), ERR_BAD_INPUT);
	ck_assert_uint_eq(out.bytes, 0);
	buf_free(&out);
	memset(longest, 'x', sizeof(longest));
	longest[255] = '\0';
	ck_assert_ptr_nonnull(normal(longest));
	longest[255] = 'x';
	longest[256] = '\0';
	ck_assert_ptr_null(normal(longest));
}
END_TEST

START_TEST(base64_is_strict)
{
	struct buf out = { 0 };
	static const char *const good[] = { "",         "Zg==",     "Zm8=",    "Zm9v",
					    "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	static const char *const bad[] = { "Z",    "Zg",       "Zg=",   "Zh==",   "Zm9=", "=m9v",
					   "Z===", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-v" };

	for (size_t i = 0; i < 7; i++) {
		buf_reset(&out);
		ck_assert_int_eq(base64_take(span_str(good[i]), &out), OK);
		ck_assert(span_eq(buf_span(&out), span_of("foobar", i)));
		struct buf back = { 0 };
		base64_put(&back, buf_span(&out));
		ck_assert(span_eq(buf_span(&back), span_str(good[i])));
		buf_free(&back);
	}
	buf_reset(&out);
	for (size_t i = 0; i < 11; i++)
		ck_assert_msg(base64_take(span_str(bad[i]), &out) < 0 && out.bytes == 0, "%s",
			      bad[i]);
	buf_free(&out);
}
END_TEST

/* ---- verifiers ---- */

static void check_hex(const uint8_t *at, size_t n, const char *base64)
{
	struct buf text = { 0 };

	base64_put(&text, span_of(at, n));
	buf_putc(&text, '\0');
	ck_assert_str_eq(text.at, base64);
	buf_free(&text);
}

START_TEST(verifiers_are_those_of_the_rfcs)
{
	struct scram_verifier v;
	struct buf salt = { 0 };

	/* RFC 5802, section 5; the keys follow from its exchange. */
	ck_assert_int_eq(base64_take(span_str("QSXCR+Q6sek8bf92"), &salt), OK);
	ck_assert_int_eq(
		scram_make_verifier(SCRAM_SHA_1, span_str("pencil"), buf_span(&salt), 4096, &v),
		OK);
	check_hex(v.stored_key, 20, "6dlGYMOdZcOPutkcNY8U2g7vK9Y=");
	check_hex(v.server_key, 20, "D+CSWLOshSulAsxiupA+qs2/fTE=");
	/* RFC 7677, section 3. */
	buf_reset(&salt);
	ck_assert_int_eq(base64_take(span_str("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt), OK);
	ck_assert_int_eq(
		scram_make_verifier(SCRAM_SHA_256, span_str("pencil"), buf_span(&salt), 4096, &v),
		OK);
	check_hex(v.stored_key, 32, "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
	check_hex(v.server_key, 32, "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
	buf_free(&salt);
}
END_TEST

START_TEST(passwords_are_checked)
{
	struct scram_verifiers v;

	for (enum scram_hash h = 0; h < SCRAM_HASHES; h++) {
		ck_assert(scram_check_password(&pencil.at[h], span_str("pencil")));
		ck_assert(!scram_check_password(&pencil.at[h], span_str("Pencil")));
		ck_assert(!scram_check_password(&pencil.at[h], span_str("")));
		ck_assert(!scram_check_password(&pencil.at[h], span_of("pencil\0x", 8)));
		ck_assert(!scram_check_password(&pencil.at[h], span_str("pencil\xff")));
	}
	/* SASLprep: I and roman numeral nine; a character that Unicode 3.2 did not have. */
	ck_assert_int_eq(scram_make_verifiers(span_str("I\xc2\xadX"), 4096, &v), OK);
	ck_assert(scram_check_password(&v.at[SCRAM_SHA_256], span_str("\xe2\x85\xa8")));
	ck_assert_int_eq(scram_make_verifiers(span_str("p\xf0\x9f\x98\x80"), 4096, &v), OK);
	ck_assert(scram_check_password(&v.at[SCRAM_SHA_256], span_str("p\xf0\x9f\x98\x80")));
	ck_assert_int_eq(scram_make_verifiers(span_str(""), 4096, &v), ERR_BAD_INPUT);
	ck_assert_int_eq(scram_make_verifiers(span_str("a\nb"), 4096, &v), ERR_BAD_INPUT);
	ck_assert_int_eq(scram_make_verifiers(span_str("\xff"), 4096, &v), ERR_BAD_INPUT);
	ck_assert_int_eq(scram_make_verifiers(span_of("a\0b", 3), 4096, &v), ERR_BAD_INPUT);
	char longest[1025];
	memset(longest, 'a', sizeof(longest));
	ck_assert_int_eq(scram_make_verifiers(span_of(longest, 1025), 4096, &v), ERR_BAD_INPUT);
	ck_assert_int_eq(scram_make_verifiers(span_of(longest, 1024), 4096, &v), OK);
}
END_TEST

START_TEST(a_row_gives_its_verifiers_back)
{
	Tm__AccountRow row = TM__ACCOUNT_ROW__INIT;
	Tm__Verifier at[SCRAM_HASHES];
	Tm__Verifier *pointers[SCRAM_HASHES];
	struct scram_verifier v;

	scram_to_messages(&pencil, at, pointers);
	row.verifiers = pointers;
	row.n_verifiers = SCRAM_HASHES;
	for (enum scram_hash h = 0; h < SCRAM_HASHES; h++) {
		ck_assert_int_eq(scram_from_row(&row, h, &v), OK);
		ck_assert(scram_check_password(&v, span_str("pencil")));
	}
	at[SCRAM_SHA_256].stored_key.len = 31;
	ck_assert_int_eq(scram_from_row(&row, SCRAM_SHA_256, &v), ERR_CORRUPT);
	row.n_verifiers = 1;
	ck_assert_int_eq(scram_from_row(&row, SCRAM_SHA_256, &v), ERR_NOT_FOUND);
}
END_TEST

START_TEST(unknown_accounts_have_one_salt_each)
{
	struct scram_verifier a, b, c;
	struct span secret = span_str("0123456789abcdef0123456789abcdef");

	scram_unknown(SCRAM_SHA_256, secret, span_str("joe"), 4096, &a);
	scram_unknown(SCRAM_SHA_256, secret, span_str("joe"), 4096, &b);
	scram_unknown(SCRAM_SHA_256, secret, span_str("jim"), 4096, &c);
	ck_assert_mem_eq(a.salt, b.salt, SCRAM_SALT_BYTES);
	ck_assert_mem_ne(a.salt, c.salt, SCRAM_SALT_BYTES);
	ck_assert_mem_ne(a.stored_key, b.stored_key, 32);
	ck_assert_uint_eq(a.salt_bytes, pencil.at[SCRAM_SHA_256].salt_bytes);
}
END_TEST

/* ---- names in messages ---- */

static struct sasl *open_sasl(const struct sasl_options *o)
{
	struct sasl *s = NULL;

	ck_assert_int_eq(sasl_open(ctx, o, &s), OK);
	return s;
}

/* The result of sasl_name() in a fresh exchange; *name is what it found. */
static int name_in(const struct sasl_options *o, struct span response, struct buf *name)
{
	struct sasl *s = open_sasl(o);

	buf_reset(name);
	int rc = sasl_name(s, response, name);
	sasl_close(&s);
	return rc;
}

#define LITERAL(z) span_of((z), sizeof(z) - 1)

START_TEST(plain_names)
{
	struct sasl_options o = { .mechanism = AUTH_PLAIN };
	struct buf name = { 0 };

	ck_assert_int_eq(name_in(&o, LITERAL("\0joe\0pencil"), &name), OK);
	ck_assert(span_eq(buf_span(&name), span_str("joe")));
	ck_assert_int_eq(name_in(&o, LITERAL("JOE\0joe\0pencil"), &name), OK);
	ck_assert_int_eq(name_in(&o, LITERAL("root\0joe\0pencil"), &name), ERR_DENIED);
	ck_assert_int_eq(name_in(&o, LITERAL(""), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("joe"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("\0joe"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("\0joe\0"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("\0\0pencil"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("\0joe\0pen\0cil"), &name), ERR_BAD_INPUT);
	buf_free(&name);
}
END_TEST

START_TEST(scram_names)
{
	struct sasl_options o = { .mechanism = AUTH_SCRAM_SHA_256 };
	struct sasl_options plus = { .mechanism = AUTH_SCRAM_SHA_256_PLUS };
	struct buf name = { 0 };

	ck_assert_int_eq(name_in(&o, LITERAL("n,,n=a=2Cb=3Dc,r=x"), &name), OK);
	ck_assert(span_eq(buf_span(&name), span_str("a,b=c")));
	ck_assert_int_eq(name_in(&o, LITERAL("y,a=JOE,n=joe,r=x"), &name), OK);
	ck_assert_int_eq(name_in(&o, LITERAL("n,a=root,n=joe,r=x"), &name), ERR_DENIED);
	ck_assert_int_eq(name_in(&o, LITERAL("n,,n=a=2Db,r=x"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("n,,n=a=,r=x"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("n,,n=,r=x"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("n,,m=ext,n=joe,r=x"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("n,,n=joe"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("n,joe,n=joe,r=x"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("n,,n=jo\0e,r=x"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&o, LITERAL("p=tls-exporter,,n=joe,r=x"), &name), ERR_BAD_INPUT);
	ck_assert_int_eq(name_in(&plus, LITERAL("p=tls-exporter,,n=joe,r=x"), &name), OK);
	ck_assert_int_eq(name_in(&plus, LITERAL("n,,n=joe,r=x"), &name), ERR_BAD_INPUT);
	/* "y" says that we did not offer PLUS; if we did, somebody hid it. */
	o.plus_offered = true;
	ck_assert_int_eq(name_in(&o, LITERAL("y,,n=joe,r=x"), &name), ERR_DENIED);
	ck_assert_int_eq(name_in(&o, LITERAL("n,,n=joe,r=x"), &name), OK);
	o.mechanism = AUTH_SCRAM_SHA_1; /* of which there is no PLUS */
	ck_assert_int_eq(name_in(&o, LITERAL("y,,n=joe,r=x"), &name), OK);
	buf_free(&name);
}
END_TEST

START_TEST(external_names)
{
	struct sasl_options o = { .mechanism = AUTH_EXTERNAL, .identity = "joe@example.org" };
	struct buf name = { 0 };

	ck_assert_int_eq(name_in(&o, LITERAL(""), &name), OK);
	ck_assert(span_eq(buf_span(&name), span_str("joe@example.org")));
	ck_assert_int_eq(name_in(&o, LITERAL("Joe@Example.org"), &name), OK);
	ck_assert_int_eq(name_in(&o, LITERAL("jim"), &name), ERR_DENIED);
	ck_assert_int_eq(name_in(&o, LITERAL("joe@example.org\0"), &name), ERR_BAD_INPUT);
	buf_free(&name);
}
END_TEST

/* ---- whole exchanges with GNU SASL's client ---- */

struct client {
	const char *mechanism;
	const char *name;
	const char *password;
	const char *binding; /* tls-exporter, base64; NULL: none */
};

/* One response through the server's side; gives the verifiers as auth.c would. */
static enum sasl_result serve(struct sasl *s, bool *named, struct span response, bool accept,
			      struct buf *out)
{
	struct buf name = { 0 };

	if (!*named) {
		int rc = sasl_name(s, response, &name);
		buf_free(&name);
		if (rc < 0 && rc != ERR_MISSING)
			return rc == ERR_BAD_INPUT ? SASL_MALFORMED : SASL_FAILED;
		*named = rc == OK;
		if (*named)
			sasl_set_verifier(s, &pencil.at[sasl_hash(s)], accept);
	}
	buf_reset(out);
	return sasl_step(s, response, out);
}

static enum sasl_result talk(const struct sasl_options *o, const struct client *who, bool accept)
{
	struct sasl *s = open_sasl(o);
	Gsasl_session *c = NULL;
	struct buf to_client = { 0 };
	enum sasl_result r = SASL_MORE;
	bool named = false;

	ck_assert_int_eq(gsasl_client_start(ctx, who->mechanism, &c), GSASL_OK);
	(void)gsasl_property_set(c, GSASL_AUTHID, who->name);
	(void)gsasl_property_set(c, GSASL_PASSWORD, who->password);
	if (who->binding != NULL)
		(void)gsasl_property_set(c, GSASL_CB_TLS_EXPORTER, who->binding);
	if (sasl_server_first(s))
		r = serve(s, &named, LITERAL(""), accept, &to_client);
	while (r == SASL_MORE) {
		char *out = NULL;
		size_t n = 0;
		int rc = gsasl_step(c, to_client.at, to_client.bytes, &out, &n);
		if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
			r = SASL_FAILED; /* the client did not believe the server */
			break;
		}
		r = serve(s, &named, span_of(out, n), accept, &to_client);
		gsasl_free(out);
	}
	if (r == SASL_DONE && to_client.bytes != 0) { /* the client checks the server */
		char *out = NULL;
		size_t n = 0;
		ck_assert_int_eq(gsasl_step(c, to_client.at, to_client.bytes, &out, &n), GSASL_OK);
		gsasl_free(out);
	}
	buf_free(&to_client);
	gsasl_finish(c);
	sasl_close(&s);
	return r;
}

static const struct {
	const char *name;
	enum auth_mechanism mechanism;
} with_password[] = { { "PLAIN", AUTH_PLAIN },
		      { "LOGIN", AUTH_LOGIN },
		      { "SCRAM-SHA-1", AUTH_SCRAM_SHA_1 },
		      { "SCRAM-SHA-256", AUTH_SCRAM_SHA_256 } };

START_TEST(the_right_password_only)
{
	struct sasl_options o = { .mechanism = with_password[_i].mechanism };
	struct client right = { with_password[_i].name, "joe", "pencil", NULL };
	struct client wrong = { with_password[_i].name, "joe", "pencils", NULL };

	ck_assert_int_eq(talk(&o, &right, true), SASL_DONE);
	ck_assert_int_eq(talk(&o, &wrong, true), SASL_FAILED);
	ck_assert_int_ne(talk(&o, &right, false) == SASL_DONE && _i < 2, true);
}
END_TEST

START_TEST(the_channel_must_be_the_same)
{
	struct sasl_options o = { .mechanism = AUTH_SCRAM_SHA_256_PLUS,
				  .exporter = "VGhpcyBjaGFubmVs" };
	struct client same = { "SCRAM-SHA-256-PLUS", "joe", "pencil", "VGhpcyBjaGFubmVs" };
	struct client other = { "SCRAM-SHA-256-PLUS", "joe", "pencil", "QW5vdGhlciBvbmUh" };

	ck_assert_int_eq(talk(&o, &same, true), SASL_DONE);
	ck_assert_int_eq(talk(&o, &other, true), SASL_FAILED);
}
END_TEST

START_TEST(rubbish_is_malformed)
{
	static const struct {
		enum auth_mechanism mechanism;
		const char *first;
		const char *second;
	} cases[] = {
		{ AUTH_SCRAM_SHA_256, "n,,n=joe,r=", NULL },
		{ AUTH_SCRAM_SHA_256, "n,,n=joe,r=abc", "" },
		{ AUTH_SCRAM_SHA_256, "n,,n=joe,r=abc", "c=biws" },
		{ AUTH_SCRAM_SHA_256, "n,,n=joe,r=abc", "c=biws,r=abc,p=????" },
		{ AUTH_SCRAM_SHA_256, "n,,n=joe,r=abc", "c=biws,r=abc,p=AAAA" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sasl_options o = { .mechanism = cases[i].mechanism };
		struct sasl *s = open_sasl(&o);
		struct buf out = { 0 };
		bool named = false;
		enum sasl_result r = serve(s, &named, span_str(cases[i].first), true, &out);
		if (r == SASL_MORE && cases[i].second != NULL)
			r = serve(s, &named, span_str(cases[i].second), true, &out);
		ck_assert_msg(r == SASL_MALFORMED || r == SASL_FAILED, "%zu: %d", i, (int)r);
		buf_free(&out);
		sasl_close(&s);
	}
}
END_TEST

START_TEST(external_needs_an_account_that_is_there)
{
	struct sasl_options o = { .mechanism = AUTH_EXTERNAL, .identity = "joe" };

	for (int accept = 0; accept < 2; accept++) {
		struct sasl *s = open_sasl(&o);
		struct buf out = { 0 };
		bool named = false;
		ck_assert_int_eq(serve(s, &named, LITERAL(""), accept == 1, &out),
				 accept == 1 ? SASL_DONE : SASL_FAILED);
		buf_free(&out);
		sasl_close(&s);
	}
}
END_TEST

START_TEST(passwords_beyond_unicode_3_2_work_with_plain)
{
	struct sasl_options o = { .mechanism = AUTH_PLAIN };
	struct scram_verifiers v;
	struct buf name = { 0 }, out = { 0 };
	struct span response = LITERAL("\0joe\0p\xf0\x9f\x98\x80");
	struct sasl *s = open_sasl(&o);

	ck_assert_int_eq(scram_make_verifiers(span_str("p\xf0\x9f\x98\x80"), 4096, &v), OK);
	ck_assert_int_eq(sasl_name(s, response, &name), OK);
	sasl_set_verifier(s, &v.at[SCRAM_SHA_256], true);
	ck_assert_int_eq(sasl_step(s, response, &out), SASL_DONE);
	sasl_close(&s);

	o.mechanism = AUTH_LOGIN;
	s = open_sasl(&o);
	ck_assert_int_eq(sasl_step(s, LITERAL(""), &out), SASL_MORE);
	ck_assert_int_eq(sasl_name(s, LITERAL("joe"), &name), OK);
	sasl_set_verifier(s, &v.at[SCRAM_SHA_256], true);
	ck_assert_int_eq(sasl_step(s, LITERAL("joe"), &out), SASL_MORE);
	ck_assert_int_eq(sasl_step(s, LITERAL("p\xf0\x9f\x98\x80"), &out), SASL_DONE);
	sasl_close(&s);
	buf_free(&name);
	buf_free(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("auth");
	TCase *t = tcase_create("sasl");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, names_have_one_spelling);
	tcase_add_test(t, names_that_are_refused);
	tcase_add_test(t, base64_is_strict);
	tcase_add_test(t, verifiers_are_those_of_the_rfcs);
	tcase_add_test(t, passwords_are_checked);
	tcase_add_test(t, a_row_gives_its_verifiers_back);
	tcase_add_test(t, unknown_accounts_have_one_salt_each);
	tcase_add_test(t, plain_names);
	tcase_add_test(t, scram_names);
	tcase_add_test(t, external_names);
	tcase_add_loop_test(t, the_right_password_only, 0, 4);
	tcase_add_test(t, the_channel_must_be_the_same);
	tcase_add_test(t, rubbish_is_malformed);
	tcase_add_test(t, external_needs_an_account_that_is_there);
	tcase_add_test(t, passwords_beyond_unicode_3_2_work_with_plain);
	suite_add_tcase(suite, t);
	SRunner *r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
