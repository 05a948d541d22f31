/* test_uidset.c: uid sets against an array of booleans, over a small universe at both ends of the
 * number range. */
#include "tests/unit/random.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/uidset.h"

#include <check.h>

enum { UNIVERSE = 90, SETS = 4, STEPS = 5000 };

/* Index i of the universe is uid base + i. */
struct model {
	bool has[UNIVERSE];
};

static uint32_t base;

static void set_check(const struct uidset *s, const struct model *m)
{
	uint64_t size = 0;
	uint32_t min = 0;
	uint32_t max = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		ck_assert_uint_le(s->at[i].lo, s->at[i].hi);
		if (i > 0)
			ck_assert_uint_gt(s->at[i].lo - s->at[i - 1].hi, 1);
	}
	for (uint32_t i = 0; i < UNIVERSE; i++) {
		ck_assert_int_eq(uidset_has(s, base + i), m->has[i]);
		if (!m->has[i])
			continue;
		ck_assert_uint_eq(uidset_nth(s, size), base + i);
		size++;
		min = min == 0 ? base + i : min;
		max = base + i;
	}
	ck_assert_uint_eq(uidset_size(s), size);
	ck_assert_uint_eq(uidset_min(s), min);
	ck_assert_uint_eq(uidset_max(s), max);
}

static void bytes_check(const struct uidset *s)
{
	struct buf out = { 0 };
	struct arena a;
	struct uidset back = { 0 };
	ProtobufCBinaryData d;

	uidset_encode(s, &out);
	ck_assert_int_eq(uidset_decode(buf_span(&out), UID_SET_MAX_RANGES, &back), OK);
	ck_assert(uidset_eq(s, &back));
	if (s->count > 1)
		ck_assert_int_eq(uidset_decode(buf_span(&out), s->count - 1, &back), ERR_CORRUPT);
	for (size_t cut = 1; cut < out.bytes; cut++)
		ck_assert_int_eq(uidset_decode(span_of(out.at, cut), 1000, &back), ERR_CORRUPT);
	arena_init(&a);
	d = uidset_encode_arena(s, &a);
	ck_assert_uint_eq(d.len, out.bytes);
	ck_assert(d.len == 0 || memcmp(d.data, out.at, d.len) == 0);
	arena_free(&a);
	uidset_free(&back);
	buf_free(&out);
}

static void model_range(struct model *m, uint32_t from, uint32_t to, bool on)
{
	for (uint32_t i = from; i <= to; i++)
		m->has[i] = on;
}

static void step_two(struct uidset *s, struct model *m, uint32_t op, uint32_t a, uint32_t b)
{
	if (op == 0)
		uidset_union(&s[a], &s[b]);
	else if (op == 1)
		uidset_intersect(&s[a], &s[b]);
	else if (a != b)
		uidset_subtract(&s[a], &s[b]);
	else
		return;
	for (uint32_t i = 0; i < UNIVERSE; i++) {
		bool x = m[a].has[i];
		bool y = m[b].has[i];

		m[a].has[i] = op == 0 ? x || y : op == 1 ? x && y : x && !y;
	}
}

static void step_take(struct uidset *s, struct model *m, uint32_t a, uint32_t n)
{
	struct uidset first = { 0 };
	struct model taken = { 0 };

	uidset_take_first(&s[a], n, &first);
	for (uint32_t i = 0; i < UNIVERSE && n > 0; i++) {
		if (m[a].has[i]) {
			taken.has[i] = true;
			m[a].has[i] = false;
			n--;
		}
	}
	set_check(&first, &taken);
	uidset_free(&first);
}

static void step_raw(struct uidset *s, struct model *m, struct test_random *r)
{
	uidset_clear(s);
	*m = (struct model){ 0 };
	for (uint32_t n = random_below(r, 12); n > 0; n--) {
		uint32_t lo = random_below(r, UNIVERSE);
		uint32_t hi = lo + random_below(r, UNIVERSE - lo);

		uidset_append_raw(s, base + lo, base + hi);
		model_range(m, lo, hi, true);
	}
	uidset_normalise(s);
}

static void step(struct uidset *s, struct model *m, struct test_random *r)
{
	uint32_t a = random_below(r, SETS);
	uint32_t b = random_below(r, SETS);
	uint32_t lo = random_below(r, UNIVERSE);
	uint32_t hi = lo + random_below(r, UNIVERSE - lo < 9 ? UNIVERSE - lo : 9);

	switch (random_below(r, 12)) {
	case 0:
	case 1:
	case 2:
		uidset_add_range(&s[a], base + lo, base + hi);
		model_range(&m[a], lo, hi, true);
		break;
	case 3:
	case 4:
		uidset_add(&s[a], base + lo);
		model_range(&m[a], lo, lo, true);
		break;
	case 5:
	case 6:
		uidset_remove_range(&s[a], base + lo, base + hi);
		model_range(&m[a], lo, hi, false);
		break;
	case 7:
	case 8: step_two(s, m, random_below(r, 3), a, b); break;
	case 9: step_take(s, m, a, random_below(r, 20)); break;
	case 10:
		if (a != b) {
			uidset_copy(&s[a], &s[b]);
			m[a] = m[b];
		}
		ck_assert_int_eq(uidset_eq(&s[a], &s[b]), memcmp(&m[a], &m[b], sizeof(*m)) == 0);
		break;
	default: step_raw(&s[a], &m[a], r); break;
	}
	set_check(&s[a], &m[a]);
	set_check(&s[b], &m[b]);
	bytes_check(&s[a]);
}

static void run(uint32_t at)
{
	struct test_random r = random_start("uidset");
	struct uidset s[SETS] = { { 0 } };
	struct model m[SETS] = { { { 0 } } };

	base = at;
	for (int i = 0; i < STEPS; i++)
		step(s, m, &r);
	for (int i = 0; i < SETS; i++)
		uidset_free(&s[i]);
}

START_TEST(model_low)
{
	run(1);
}
END_TEST

START_TEST(model_high)
{
	run(UINT32_MAX - UNIVERSE + 1);
}
END_TEST

static int decode(const char *bytes, size_t n)
{
	struct uidset s = { 0 };
	int rc = uidset_decode(span_of(bytes, n), UID_SET_MAX_RANGES, &s);

	uidset_free(&s);
	return rc;
}

START_TEST(decode_refuses_what_is_not_canonical)
{
	ck_assert_int_eq(decode("", 0), OK);
	ck_assert_int_eq(decode("\x01\x00\x00", 3), OK);              /* 1 */
	ck_assert_int_eq(decode("\x00", 1), ERR_CORRUPT);             /* empty, but with a byte */
	ck_assert_int_eq(decode("\x01\x00\x00\x00", 4), ERR_CORRUPT); /* a byte too many */
	ck_assert_int_eq(decode("\x02\x00\x00", 3), ERR_CORRUPT);     /* a range missing */
	ck_assert_int_eq(decode("\x01\x80\x00\x00", 4), ERR_CORRUPT); /* a longer zero */
	ck_assert_int_eq(decode("\x81\x00\x00\x00", 4), ERR_CORRUPT);
	/* 4294967295, then one more UID; and a range that ends above it */
	ck_assert_int_eq(decode("\x01\xfe\xff\xff\xff\x0f\x00", 7), OK);
	ck_assert_int_eq(decode("\x02\xfe\xff\xff\xff\x0f\x00\x00\x00", 9), ERR_CORRUPT);
	ck_assert_int_eq(decode("\x01\xfe\xff\xff\xff\x0f\x01", 7), ERR_CORRUPT);
	ck_assert_int_eq(decode("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10), ERR_CORRUPT);
}
END_TEST

START_TEST(the_whole_range)
{
	struct uidset s = { 0 };

	uidset_add_range(&s, 2, UINT32_MAX);
	uidset_add(&s, 1);
	ck_assert_uint_eq(s.count, 1);
	ck_assert_uint_eq(uidset_size(&s), UINT32_MAX);
	bytes_check(&s);
	uidset_remove_range(&s, UINT32_MAX, UINT32_MAX);
	uidset_remove_range(&s, 1, 1);
	ck_assert_uint_eq(uidset_max(&s), UINT32_MAX - 1);
	uidset_remove_range(&s, 1, UINT32_MAX);
	ck_assert_uint_eq(s.count, 0);
	uidset_free(&s);
}
END_TEST

START_TEST(text)
{
	struct uidset s = { 0 };
	struct buf out = { 0 };

	uidset_text(&s, &out);
	ck_assert_uint_eq(out.bytes, 0);
	uidset_add(&s, 5);
	uidset_add_range(&s, 1, 3);
	uidset_add_range(&s, 7, 8);
	uidset_text(&s, &out);
	ck_assert(span_eq(buf_span(&out), span_str("1:3,5,7:8")));
	buf_free(&out);
	uidset_free(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uidset");
	TCase *t = tcase_create("uidset");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, model_low);
	tcase_add_test(t, model_high);
	tcase_add_test(t, decode_refuses_what_is_not_canonical);
	tcase_add_test(t, the_whole_range);
	tcase_add_test(t, text);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
