/* Raw deflate over memory: any cut of the bytes, a compressor that was thrown away in between, and
 * what is not deflate. */
#include "server/net/compress.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char *const lines[] = { "* 1 FETCH (UID 17 FLAGS (\\Seen) MODSEQ (42))\r\n",
				     "* 2 FETCH (UID 18 FLAGS () MODSEQ (43))\r\n",
				     "a OK FETCH done\r\n", "" };

/* All that one inflater makes of `deflated`, fed `cut` bytes at a time, read `room` at a time. */
static struct buf inflate_all(struct compress *z, struct span deflated, size_t cut, size_t room)
{
	struct buf got = { 0 };
	char at[4096];

	for (size_t i = 0; i < deflated.bytes; i += cut) {
		size_t n = cut < deflated.bytes - i ? cut : deflated.bytes - i;
		size_t m;

		compress_feed(z, span_of(deflated.at + i, n));
		while (compress_read(z, at, room, &m) == COMPRESS_OK)
			buf_put(&got, at, m);
		ck_assert_uint_eq(compress_left(z).bytes, 0);
		ck_assert(!compress_pending(z));
	}
	return got;
}

START_TEST(resting_is_not_noticed)
{
	struct compress *ours = compress_new();
	struct buf deflated = { 0 }, plain = { 0 };

	for (unsigned i = 0; i < 300; i++) {
		struct span s = span_str(lines[i % 4]);

		buf_put_span(&plain, s);
		compress_write(ours, s, true, &deflated);
		if (i % 7 == 0)
			compress_rest(ours);
	}
	for (size_t cut = 1; cut < 2000; cut = cut * 3 + 1)
		for (size_t room = 1; room <= 4096; room *= 16) {
			struct compress *theirs = compress_new();
			struct buf got = inflate_all(theirs, buf_span(&deflated), cut, room);

			ck_assert(span_eq(buf_span(&got), buf_span(&plain)));
			buf_free(&got);
			compress_free(&theirs);
		}
	buf_free(&deflated);
	buf_free(&plain);
	compress_free(&ours);
	ck_assert_ptr_null(ours);
}
END_TEST

START_TEST(slices_are_one_stream)
{
	static char big[300 * 1000];
	struct compress *ours = compress_new(), *theirs = compress_new();
	struct buf deflated = { 0 };

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * i >> 7);
	compress_write(ours, span_of(big, 100000), false, &deflated);
	compress_write(ours, span_of(big + 100000, 100000), false, &deflated);
	compress_write(ours, span_of(big + 200000, 100000), true, &deflated);
	struct buf got = inflate_all(theirs, buf_span(&deflated), 1000, 4096);
	ck_assert(span_eq(buf_span(&got), span_of(big, sizeof(big))));
	buf_free(&got);
	buf_free(&deflated);
	compress_free(&ours);
	compress_free(&theirs);
}
END_TEST

START_TEST(ends_and_rubbish)
{
	struct compress *z = compress_new();
	unsigned char deflated[64];
	z_stream s = { 0 };
	char at[16];
	size_t n;

	/* A stream that the client ends, with something behind it. */
	ck_assert_int_eq(deflateInit2(&s, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	s.next_in = (Bytef *)(uintptr_t) "hello";
	s.avail_in = 5;
	s.next_out = deflated;
	s.avail_out = sizeof(deflated);
	ck_assert_int_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
	compress_feed(z, span_of(deflated, sizeof(deflated)));
	deflateEnd(&s);
	ck_assert_int_eq(compress_read(z, at, sizeof(at), &n), COMPRESS_OK);
	ck_assert(span_eq(span_of(at, n), span_str("hello")));
	ck_assert_int_eq(compress_read(z, at, sizeof(at), &n), COMPRESS_END);
	ck_assert(!compress_pending(z));
	compress_free(&z);

	z = compress_new();
	compress_feed(z, span_of("\xff\xff\xff", 3)); /* a block type that does not exist */
	ck_assert_int_eq(compress_read(z, at, sizeof(at), &n), COMPRESS_BAD);
	compress_free(&z);
	compress_free(&z);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net_compress");
	TCase *t = tcase_create("net_compress");

	tcase_add_test(t, resting_is_not_noticed);
	tcase_add_test(t, slices_are_one_stream);
	tcase_add_test(t, ends_and_rubbish);
	suite_add_tcase(s, t);

	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
