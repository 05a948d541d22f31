/* Shapes: what they are made of does not depend on cuts, what is stored is read back, and hostile
 * bytes and hostile mail stay within bounds. */
#include "tests/unit/mail_util.h"

#include "server/mail/bodystructure.h"
#include "server/mail/envelope.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <xxhash.h>

static struct buf encode_whole(struct span message)
{
	struct buf out = { 0 };
	struct arena a;

	arena_init(&a);
	shape_encode(mime_scan_whole(&a, message), &out);
	arena_free(&a);
	return out;
}

/* Feed slices of `cut` bytes; 0: random ones. */
static struct buf encode_cut(struct span message, size_t cut)
{
	struct buf out = { 0 };
	struct arena a;

	arena_init(&a);
	struct mime_scan *s = mime_scan_new(&a);
	while (message.bytes != 0) {
		size_t n = cut != 0 ? cut : (size_t)(rand() % 200);
		if (n > message.bytes)
			n = message.bytes;
		mime_scan_feed(s, span_of(message.at, n));
		message = span_of(message.at + n, message.bytes - n);
	}
	shape_encode(mime_scan_finish(s), &out);
	mime_scan_free(&s);
	ck_assert_ptr_null(s);
	arena_free(&a);
	return out;
}

START_TEST(the_cut_of_the_bytes_does_not_matter)
{
	glob_t g = mail_fixtures();

	srand(7);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		for (int crlf = 0; crlf < 2; crlf++) {
			struct buf m = mail_read(g.gl_pathv[i], crlf != 0);
			struct buf whole = encode_whole(buf_span(&m));
			static const size_t cuts[] = { 1, 0, 0, 4096 };
			for (size_t k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) {
				struct buf cut = encode_cut(buf_span(&m), cuts[k]);
				ck_assert_msg(span_eq(buf_span(&whole), buf_span(&cut)), "%s",
					      g.gl_pathv[i]);
				buf_free(&cut);
			}
			buf_free(&whole);
			buf_free(&m);
		}
	}
	globfree(&g);
}
END_TEST

static void check_round_trip(const char *path)
{
	struct buf m = mail_read(path, true);
	struct buf again = { 0 };
	struct arena a;
	const struct shape *s = NULL;

	struct buf stored = encode_whole(buf_span(&m));
	arena_init(&a);
	ck_assert_msg(shape_decode(buf_span(&stored), &a, &s) == OK, "%s", path);
	ck_assert_uint_eq(s->bytes, m.bytes);
	shape_encode(s, &again);
	ck_assert_msg(span_eq(buf_span(&stored), buf_span(&again)), "%s", path);
	arena_free(&a);
	buf_free(&again);
	buf_free(&stored);
	buf_free(&m);
}

START_TEST(what_is_stored_is_read_back)
{
	glob_t g = mail_fixtures();

	for (size_t i = 0; i < g.gl_pathc; i++)
		check_round_trip(g.gl_pathv[i]);
	globfree(&g);
}
END_TEST

/* Decode, and if it is a shape, use all of it. The bytes are copied so that ASan sees their end. */
static int decode_and_use(struct span bytes)
{
	char *copy = malloc(bytes.bytes == 0 ? 1 : bytes.bytes);
	struct buf out = { 0 };
	struct arena a;
	const struct shape *s = NULL;

	if (bytes.bytes != 0)
		memcpy(copy, bytes.at, bytes.bytes);
	arena_init(&a);
	int rc = shape_decode(span_of(copy, bytes.bytes), &a, &s);
	if (rc == OK) {
		envelope_put(&out, s->root->envelope);
		bodystructure_put(&out, s->root, true);
		buf_reset(&out);
		shape_encode(s, &out);
	}
	arena_free(&a);
	buf_free(&out);
	free(copy);
	return rc;
}

START_TEST(hostile_bytes_are_refused_or_harmless)
{
	glob_t g = mail_fixtures();

	srand(11);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf m = mail_read(g.gl_pathv[i], true);
		struct buf stored = encode_whole(buf_span(&m));

		for (size_t cut = 0; cut < stored.bytes; cut += 1 + stored.bytes / 50)
			ck_assert_int_eq(decode_and_use(span_of(stored.at, cut)), ERR_CORRUPT);
		for (int k = 0; k < 200; k++) {
			size_t at = (size_t)rand() % stored.bytes;
			char was = stored.at[at];
			stored.at[at] = (char)(rand() % 3 == 0 ? 0xff : rand() % 256);
			decode_and_use(buf_span(&stored));
			stored.at[at] = was;
		}
		buf_putc(&stored, 0); /* bytes behind the end */
		ck_assert_int_eq(decode_and_use(buf_span(&stored)), ERR_CORRUPT);
		buf_free(&stored);
		buf_free(&m);
	}
	globfree(&g);
}
END_TEST

START_TEST(formats_are_told_apart)
{
	ck_assert_int_eq(decode_and_use(span_of("", 0)), ERR_CORRUPT);
	ck_assert_int_eq(decode_and_use(span_of("\0", 1)), ERR_CORRUPT);
	ck_assert_int_eq(decode_and_use(span_of("\2", 1)), ERR_UNSUPPORTED);
}
END_TEST

/* Stored bytes that are well-formed but say what cannot be. */
START_TEST(contradictions_are_corrupt)
{
	/* format, bytes, no hashes, then flags (with an envelope: \x80\x40), gap, header, body,
	 * header lines, body lines, an empty envelope, children */
#define ENVELOPE "\0\0\0\0\0\0\0\0\0\0"
	static const struct {
		const char *at;
		size_t bytes;
		int rc;
	} stored[] = {
#define S(text, rc) { text, sizeof(text) - 1, rc }
		S("\1\2\0\0\0\x81\x40\0\1\1\0\0" ENVELOPE "\0", OK),
		S("\1\3\0\0\0\x81\x40\0\1\1\0\0" ENVELOPE "\0", ERR_CORRUPT), /* not all of it */
		S("\1\2\0\0\0\x81\x40\1\1\0\0\0" ENVELOPE "\0", ERR_CORRUPT), /* a gap in front */
		S("\1\2\0\0\0\x81\x40\0\1\2\0\0" ENVELOPE "\0", ERR_CORRUPT), /* body too long */
		S("\1\2\0\0\0\x81\x40\0\3\0\0\0" ENVELOPE "\0", ERR_CORRUPT), /* header too long */
		S("\1\2\0\0\0\x81\x40\0\1\1\2\0" ENVELOPE "\0", ERR_CORRUPT), /* too many lines */
		S("\1\2\0\0\0\x81\x40\0\1\1\0\2" ENVELOPE "\0", ERR_CORRUPT),
		S("\1\2\0\0\0\1\0\1\1\0\0\0", ERR_CORRUPT),                   /* no envelope */
		S("\1\2\0\0\0\x83\x40\0\1\1\0\0" ENVELOPE "\0", ERR_CORRUPT), /* no child */
		S("\1\2\0\0\0\x81\x40\0\1\1\0\0" ENVELOPE "\1\1\0\0\0\0\0\0", ERR_CORRUPT),
		S("\1\2\0\0\0\x82\x40\0\1\1\0\0" ENVELOPE "\1\1\0\0\0\0\0\0", OK),
		S("\1\2\0\0\0\x82\x40\0\1\1\0\0" ENVELOPE "\1\1\0\0\2\0\0\0", ERR_CORRUPT),
		S("\1\2\0\0\0\x81\x80\1\0\1\1\0\0" ENVELOPE "\0", ERR_CORRUPT), /* unknown flag */
		S("\1\2\2\0\0\x81\x40\0\1\1\0\0" ENVELOPE "\0", ERR_CORRUPT),   /* two ids */
#undef S
	};
	for (size_t i = 0; i < sizeof(stored) / sizeof(stored[0]); i++)
		ck_assert_msg(decode_and_use(span_of(stored[i].at, stored[i].bytes)) ==
				      stored[i].rc,
			      "%zu", i);
}
END_TEST

/* The scan of a message of `n` times `text` behind `head`: it must fit what is stored. */
static unsigned count_levels(const struct shape_part *p)
{
	unsigned deepest = 0;

	for (const struct shape_part *c = p->child; c != NULL; c = c->next) {
		unsigned n = 1 + count_levels(c);
		if (n > deepest)
			deepest = n;
	}
	return deepest;
}

static struct buf repeat(const char *head, const char *text, int n, const char *tail)
{
	struct buf b = { 0 };

	buf_puts(&b, head);
	for (int i = 0; i < n; i++) {
		for (const char *c = text; *c != '\0'; c++) {
			if (*c == '#')
				buf_put_u64(&b, (uint64_t)i);
			else
				buf_putc(&b, *c);
		}
	}
	buf_puts(&b, tail);
	return b;
}

static void check_bounded(struct buf *m)
{
	struct buf stored = encode_whole(buf_span(m));

	ck_assert_uint_le(stored.bytes, SHAPE_MAX_BYTES);
	ck_assert_int_eq(decode_and_use(buf_span(&stored)), OK);
	struct buf cut = encode_cut(buf_span(m), 1000);
	ck_assert(span_eq(buf_span(&stored), buf_span(&cut)));
	buf_free(&cut);
	buf_free(&stored);
	buf_free(m);
}

START_TEST(hostile_mail_stays_within_bounds)
{
	static const struct {
		const char *head, *text;
		int times;
		const char *tail;
	} mails[] = {
		{ "", "Content-Type: message/rfc822\r\n\r\n", 1000, "x" },
		{ "", "Content-Type: multipart/mixed; boundary=b#\r\n\r\n--b#\r\n", 1000, "\r\nx" },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n", 30000,
		  "--b--\r\n" },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n", 30000,
		  "--b--\r\n" },
		{ "Content-Type: multipart/digest; boundary=b\r\n\r\n",
		  "--b\r\n\r\nSubject: s#\r\nTo: a@b\r\n\r\nx\r\n", 9000, "--b--\r\n" },
		{ "Content-Type: multipart/digest; boundary=b\r\n\r\n", "--b\r\n", 9000,
		  "--b--\r\n" },
		{ "To: ", "person number # <n#@example.org>,\r\n ", 30000, "last@x\r\n\r\nbody" },
		{ "To: group:", "n#@example.org,", 30000, "last@x;\r\n\r\nbody" },
		{ "To: ", "group #: a@b, c@d;, ", 30000, "last@x\r\n\r\nbody" },
		{ "", "To: n#@example.org\r\n", 30000, "\r\nbody" },
		{ "Subject: ", "long long ", 60000, "\r\n\r\nbody" },
		{ "", "Subject: number #\r\nMessage-ID: <#@x>\r\n", 30000, "\r\nbody" },
		{ "Content-Type: text/plain", "; p#=\"value\"", 30000, "\r\n\r\nbody" },
		{ "Content-Type: text/plain", "; p*#=value", 30000, "\r\n\r\nbody" },
		{ "Content-Language: en", ", l#", 30000, "\r\n\r\nbody" },
		{ "References: ", "<#@x>\r\n ", 30000, "\r\n\r\nbody" },
		{ "", "header#: without end\r\n ", 90000, "\r\n" },
		{ "", "(", 90000, "" },
		{ "From: ", "(", 90000, "" },
		{ "From: ", "a:", 90000, "" },
		{ "From: ", "\"", 90000, "" },
		{ "From: \"", "\\\"", 90000, "\" <a@b>\r\n\r\n" },
		{ "From: <", "@a,", 90000, ":b@c>\r\n\r\n" },
	};
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		struct buf m = repeat(mails[i].head, mails[i].text, mails[i].times, mails[i].tail);
		check_bounded(&m);
	}
}
END_TEST

START_TEST(beyond_the_levels_is_a_leaf)
{
	struct buf m = repeat("", "Content-Type: message/rfc822\r\n\r\n", 1000, "x");
	struct arena a;

	arena_init(&a);
	const struct shape *s = mime_scan_whole(&a, buf_span(&m));
	ck_assert_uint_eq(count_levels(s->root), MIME_NESTING_MAX_LEVELS);
	const struct shape_part *p = s->root;
	while (p->child != NULL)
		p = p->child;
	ck_assert_int_eq(p->kind, SHAPE_LEAF);
	ck_assert(span_is(shape_type(p), "application"));
	ck_assert_uint_eq(shape_body_at(p) + p->body_bytes, m.bytes);
	arena_free(&a);
	buf_free(&m);
}
END_TEST

START_TEST(a_long_list_of_people_leaves_room_for_the_parts)
{
	struct buf m = repeat("Content-Type: multipart/mixed; boundary=b\r\nTo: ",
			      "person number # <n#@example.org>, ", 7000,
			      "\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n");
	struct arena a;

	arena_init(&a);
	const struct shape *s = mime_scan_whole(&a, buf_span(&m));
	ck_assert_uint_gt(s->root->envelope->to.count, 2000);
	ck_assert_ptr_nonnull(s->root->child);
	ck_assert_ptr_nonnull(s->root->child->next);
	ck_assert_uint_eq(s->root->child->next->body_bytes, 3);
	arena_free(&a);
	buf_free(&m);
}
END_TEST

static uint64_t hash(const char *id)
{
	return XXH64(id, strlen(id), 0);
}

START_TEST(threads_are_found_by_hashes)
{
	struct buf m = mail_text("Message-ID: <a@b> (c)\nIn-Reply-To: Your mail of today <c@d>\n"
				 "References: <1@x>\n <2@\n y> junk <3@z> <broken\n\n");
	struct arena a;

	arena_init(&a);
	const struct shape *s = mime_scan_whole(&a, buf_span(&m));
	ck_assert_uint_eq(s->message_id.count, 1);
	ck_assert(s->message_id.at[0] == hash("a@b"));
	ck_assert_uint_eq(s->in_reply_to.count, 1);
	ck_assert(s->in_reply_to.at[0] == hash("c@d"));
	ck_assert_uint_eq(s->references.count, 3);
	ck_assert(s->references.at[0] == hash("1@x"));
	ck_assert(s->references.at[1] == hash("2@y"));
	ck_assert(s->references.at[2] == hash("3@z"));
	arena_free(&a);
	buf_free(&m);
}
END_TEST

START_TEST(ids_without_brackets)
{
	struct buf m = mail_text("Message-ID: a@b\nIn-Reply-To: c@d\n\n");
	struct buf none = mail_text("Message-ID:\n\n");
	struct arena a;

	arena_init(&a);
	const struct shape *s = mime_scan_whole(&a, buf_span(&m));
	ck_assert_uint_eq(s->message_id.count, 1);
	ck_assert(s->message_id.at[0] == hash("a@b"));
	ck_assert_uint_eq(s->in_reply_to.count, 0);
	ck_assert_uint_eq(mime_scan_whole(&a, buf_span(&none))->message_id.count, 0);
	arena_free(&a);
	buf_free(&m);
	buf_free(&none);
}
END_TEST

START_TEST(releases_accept_null)
{
	struct mime_scan *s = NULL;

	mime_scan_free(&s);
	ck_assert_ptr_null(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_shape");
	TCase *t = tcase_create("shape");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, the_cut_of_the_bytes_does_not_matter);
	tcase_add_test(t, what_is_stored_is_read_back);
	tcase_add_test(t, hostile_bytes_are_refused_or_harmless);
	tcase_add_test(t, formats_are_told_apart);
	tcase_add_test(t, contradictions_are_corrupt);
	tcase_add_test(t, hostile_mail_stays_within_bounds);
	tcase_add_test(t, beyond_the_levels_is_a_leaf);
	tcase_add_test(t, a_long_list_of_people_leaves_room_for_the_parts);
	tcase_add_test(t, threads_are_found_by_hashes);
	tcase_add_test(t, ids_without_brackets);
	tcase_add_test(t, releases_accept_null);
	suite_add_tcase(s, t);
	return mail_run(s);
}
