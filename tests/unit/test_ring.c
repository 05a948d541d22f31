/* test_ring.c: the ring of newest changes and the vanished rows against a full history. */
#include "tests/unit/random.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/ring.h"
#include "storage/vanished.h"

#include <check.h>

enum { UIDS = 300, STEPS = 2000 };

struct model {
	uint64_t flags_at[UIDS + 1]; /* modseq of the last flag change; 0: none */
	uint64_t gone_at[UIDS + 1];
	uint64_t now;
	uint32_t uidnext;
};

static struct mailbox_pages *make(uint32_t n)
{
	struct mailbox_pages *p = pages_new((mailbox_id){ 1 }, 1);

	for (uint32_t uid = 1; uid <= n; uid++)
		ck_assert_int_eq(pages_append(p, uid, 0, 1, 100), OK);
	return p;
}

static void change_check(const struct mailbox_pages *p, const struct ring_change *c)
{
	const struct page_entry *e = pages_find(p, c->uid);
	struct buf want = { 0 };

	ck_assert_ptr_nonnull(e);
	ck_assert_uint_eq(c->modseq, e->modseq);
	ring_text_put(p, e, &want);
	if (c->text_bytes > 0)
		ck_assert(span_eq(span_of(c->text, c->text_bytes), buf_span(&want)));
	else
		ck_assert_uint_gt(want.bytes + 5, RING_TEXT_BYTES - 10);
	buf_free(&want);
}

static void ring_check(struct ring *r, const struct mailbox_pages *p, const struct model *m,
		       uint64_t since, uint32_t below)
{
	const struct ring_change *const *got;
	size_t count;
	size_t n = 0;

	if (!ring_reaches(r, since))
		return;
	got = ring_after(r, since, below, &count);
	for (uint32_t uid = 1; uid <= UIDS && uid < below; uid++) {
		if (m->gone_at[uid] != 0 || m->flags_at[uid] <= since)
			continue;
		ck_assert_uint_lt(n, count);
		ck_assert_uint_eq(got[n]->uid, uid);
		change_check(p, got[n]);
		n++;
	}
	ck_assert_uint_eq(n, count);
}

static void vanished_check(const struct vanished *v, const struct model *m, uint64_t since)
{
	struct uidset got = { 0 }, want = { 0 };

	if (!vanished_reaches(v, since))
		return;
	vanished_after(v, since, m->now, &got);
	for (uint32_t uid = 1; uid <= UIDS; uid++)
		if (m->gone_at[uid] > since)
			uidset_add(&want, uid);
	ck_assert(uidset_eq(&got, &want));
	vanished_after(v, since, since, &got);
	ck_assert_uint_eq(got.count, 0);
	uidset_free(&got);
	uidset_free(&want);
}

static void some_uids(struct test_random *r, uint32_t n, const struct mailbox_pages *p,
		      struct uidset *ret)
{
	struct uidset any = { 0 };

	while (n-- > 0)
		uidset_add(&any, 1 + random_below(r, UIDS));
	pages_existing(p, &any, ret);
	uidset_free(&any);
}

static void step_flags(struct ring *ring, struct mailbox_pages *p, struct model *m,
		       struct test_random *r)
{
	struct uidset uids = { 0 };
	uint16_t slot = (uint16_t)random_below(r, 2);
	uint32_t set;

	some_uids(r, 1 + random_below(r, 12), p, &uids);
	ck_assert_int_eq(
		pages_intern(p, (struct flag_set){ random_below(r, 32), random_below(r, 2), &slot },
			     &set),
		OK);
	m->now++;
	pages_set_flags_all(p, &uids, set, m->now);
	for (uint32_t i = 0; i < uids.count; i++)
		for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++)
			m->flags_at[uid] = m->now;
	ring_changed(ring, p, &uids, m->now);
	uidset_free(&uids);
}

static void step_gone(struct ring *ring, struct vanished *v, struct mailbox_pages *p,
		      struct model *m, struct test_random *r)
{
	struct uidset uids = { 0 };
	struct buf encoded = { 0 };

	some_uids(r, 1 + random_below(r, 2), p, &uids);
	m->now++;
	ck_assert_uint_eq(pages_remove(p, &uids), 0);
	for (uint32_t i = 0; i < uids.count; i++)
		for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++)
			m->gone_at[uid] = m->now;
	ring_gone(ring, &uids);
	uidset_encode(&uids, &encoded);
	ck_assert_int_eq(vanished_add(v, m->now, buf_span(&encoded)), OK);
	buf_free(&encoded);
	uidset_free(&uids);
}

START_TEST(model)
{
	struct test_random r = random_start("ring");
	struct mailbox_pages *p = make(UIDS);
	struct ring *ring = ring_new(1);
	struct vanished *v = vanished_new(1);
	struct model *m = calloc(1, sizeof(*m));
	char longest[KEYWORD_MAX_BYTES + 1];

	memset(longest, 'x', KEYWORD_MAX_BYTES);
	ck_assert_int_eq(pages_set_keyword(p, 0, span_str("short")), OK);
	ck_assert_int_eq(pages_set_keyword(p, 1, span_of(longest, KEYWORD_MAX_BYTES)), OK);
	m->now = 1;
	for (int i = 0; i < STEPS; i++) {
		if (random_below(&r, 20) == 0 && pages_exists(p) > 5)
			step_gone(ring, v, p, m, &r);
		else
			step_flags(ring, p, m, &r);
		ring_check(ring, p, m, m->now - random_below(&r, 4), UINT32_MAX);
		ring_check(ring, p, m, random_below(&r, (uint32_t)m->now),
			   1 + random_below(&r, UIDS));
		ck_assert(ring_reaches(ring, m->now));
		vanished_check(v, m, random_below(&r, (uint32_t)m->now));
	}
	ck_assert(!ring_reaches(ring, 0));
	ck_assert_uint_lt(ring_bytes(ring), 200 * 1024);
	ring_free(&ring);
	ring_free(&ring);
	vanished_free(&v);
	pages_drop(&p);
	free(m);
}
END_TEST

START_TEST(more_than_it_holds_raises_the_floor)
{
	struct mailbox_pages *p = make(RING_MAX_CHANGES + 100);
	struct ring *r = ring_new(1);
	struct uidset uids = { 0 };
	size_t n;

	uidset_add_range(&uids, 1, 10);
	pages_set_flags_all(p, &uids, 0, 2);
	ring_changed(r, p, &uids, 2);
	ck_assert(ring_reaches(r, 1));
	uidset_clear(&uids);
	uidset_add_range(&uids, 1, RING_MAX_CHANGES + 100);
	pages_set_flags_all(p, &uids, 0, 3);
	ring_changed(r, p, &uids, 3);
	ck_assert(!ring_reaches(r, 2));
	ck_assert(ring_reaches(r, 3));
	ring_after(r, 3, UINT32_MAX, &n);
	ck_assert_uint_eq(n, 0);
	uidset_clear(&uids);
	uidset_add_range(&uids, 1, RING_MAX_CHANGES);
	pages_set_flags_all(p, &uids, 0, 4);
	ring_changed(r, p, &uids, 4);
	ck_assert(ring_reaches(r, 3));
	ring_after(r, 3, UINT32_MAX, &n);
	ck_assert_uint_eq(n, RING_MAX_CHANGES);
	ring_free(&r);
	pages_drop(&p);
	uidset_free(&uids);
}
END_TEST

/* All records of a batch are applied before the ring hears of the first. */
START_TEST(a_batch_is_told_after_all_of_it_was_applied)
{
	struct mailbox_pages *p = make(5);
	struct ring *r = ring_new(1);
	struct uidset first = { 0 }, second = { 0 }, third = { 0 };
	const struct ring_change *const *got;
	size_t n;

	uidset_add_range(&first, 1, 3);
	uidset_add(&second, 1);
	uidset_add(&third, 2);
	pages_set_flags_all(p, &first, 0, 2);
	pages_set_flags_all(p, &second, 0, 3);
	pages_remove(p, &third);
	ring_changed(r, p, &first, 2);
	ring_changed(r, p, &second, 3);
	ring_gone(r, &third);
	got = ring_after(r, 1, UINT32_MAX, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(got[0]->uid, 1);
	ck_assert_uint_eq(got[0]->modseq, 3);
	ck_assert_uint_eq(got[1]->uid, 3);
	ck_assert_uint_eq(got[1]->modseq, 2);
	got = ring_after(r, 2, UINT32_MAX, &n);
	ck_assert_uint_eq(n, 1);
	ring_free(&r);
	pages_drop(&p);
	uidset_free(&first);
	uidset_free(&second);
	uidset_free(&third);
}
END_TEST

static int add(struct vanished *v, uint64_t seq, uint32_t lo, uint32_t ranges)
{
	struct uidset s = { 0 };
	struct buf encoded = { 0 };
	int rc;

	for (uint32_t i = 0; i < ranges; i++)
		uidset_add(&s, lo + 2 * i);
	uidset_encode(&s, &encoded);
	rc = vanished_add(v, seq, buf_span(&encoded));
	buf_free(&encoded);
	uidset_free(&s);
	return rc;
}

START_TEST(pruned_rows_raise_the_floor)
{
	struct vanished *v = vanished_new(10);
	struct uidset got = { 0 };
	uint32_t rows;

	ck_assert_uint_eq(vanished_oldest(v, 3, &rows), 0);
	ck_assert_uint_eq(rows, 0);
	ck_assert(!vanished_reaches(v, 9));
	ck_assert(vanished_reaches(v, 10));
	ck_assert_int_eq(add(v, 10, 1, 1), ERR_CORRUPT); /* not above the floor */
	ck_assert_int_eq(vanished_add(v, 11, span_of("\x00", 1)), ERR_CORRUPT);
	for (uint32_t i = 0; i < 100; i++)
		ck_assert_int_eq(add(v, 11 + i, 1 + i, 1), OK);
	ck_assert_int_eq(add(v, 110, 1, 1), ERR_CORRUPT); /* does not rise */
	ck_assert_uint_eq(vanished_oldest(v, 25, &rows), 35);
	ck_assert_uint_eq(rows, 25);
	ck_assert_uint_eq(vanished_oldest(v, 1000, &rows), 110);
	ck_assert_uint_eq(rows, 100);
	vanished_prune(v, 90);
	ck_assert(!vanished_reaches(v, 89));
	vanished_after(v, 90, UINT64_MAX, &got);
	ck_assert_uint_eq(uidset_size(&got), 20);
	for (uint32_t i = 0; i < 200; i++) /* the array is used from its beginning again */
		ck_assert_int_eq(add(v, 111 + i, 101 + i, 1), OK);
	vanished_after(v, 90, UINT64_MAX, &got);
	ck_assert_uint_eq(uidset_size(&got), 220);
	ck_assert_uint_eq(got.count, 1);
	vanished_prune(v, 1000);
	ck_assert(!vanished_reaches(v, 999));
	vanished_free(&v);
	vanished_free(&v);
	uidset_free(&got);
}
END_TEST

START_TEST(large_sets_are_forgotten_but_their_rows_counted)
{
	struct vanished *v = vanished_new(0);
	uint32_t rows;

	for (uint32_t i = 1; i <= 600; i++)
		ck_assert_int_eq(add(v, i, 1 + 10000 * i, 5000), OK);
	ck_assert_uint_lt(vanished_bytes(v), VANISHED_MEMORY_MAX_BYTES + 32 * 1024);
	ck_assert(!vanished_reaches(v, 0));
	ck_assert(vanished_reaches(v, 590));
	ck_assert_uint_eq(vanished_oldest(v, 100, &rows), 100);
	ck_assert_uint_eq(rows, 100);
	vanished_prune(v, 100);
	ck_assert_uint_eq(vanished_oldest(v, 1, &rows), 101);
	vanished_free(&v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, model);
	tcase_add_test(t, more_than_it_holds_raises_the_floor);
	tcase_add_test(t, a_batch_is_told_after_all_of_it_was_applied);
	tcase_add_test(t, pruned_rows_raise_the_floor);
	tcase_add_test(t, large_sets_are_forgotten_but_their_rows_counted);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
