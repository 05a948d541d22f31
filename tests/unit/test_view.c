/* test_view.c: random courses of a session's view against a plain list of messages. */
#include "tests/unit/random.h"

#include "server/session/view.h"
#include "storage/base/err.h"

#include <check.h>

enum { UIDS = 400, STEPS = 4000 };

/* The client's side: what it was told, as a list; and the store's side. */
struct model {
	uint32_t list[UIDS];
	uint32_t count;
	bool held[UIDS + 1];
	bool exists[UIDS + 1]; /* in the store */
	uint32_t store_next;   /* the store's uidnext */
	uint32_t next;         /* the view's */
	uint64_t store_seq;
	uint64_t told;
};

static bool anything_held(const struct model *m)
{
	for (uint32_t i = 1; i <= UIDS; i++)
		if (m->held[i])
			return true;
	return false;
}

static void view_is(const struct view *v, struct model *m)
{
	struct uidset uids = { 0 };
	uint32_t n = 0;
	msg_uid uid;
	seqno at;

	ck_assert(view_check(v));
	ck_assert_uint_eq(view_exists(v), m->count);
	ck_assert_uint_eq(view_uidnext(v), m->next);
	ck_assert_int_eq(view_holds(v), anything_held(m));
	ck_assert_uint_ge(view_told(v).v, m->told); /* V3 */
	ck_assert_uint_le(view_told(v).v, view_seen(v).v);
	if (!view_holds(v))
		ck_assert_uint_eq(view_told(v).v, view_seen(v).v);
	m->told = view_told(v).v;
	for (uint32_t u = 1; u <= UIDS; u++) {
		bool there = n < m->count && m->list[n] == u;

		ck_assert_int_eq(view_has(v, (msg_uid){ u }), there);
		ck_assert_int_eq(view_seqno_of(v, (msg_uid){ u }, &at), there);
		if (!there)
			continue;
		ck_assert_uint_eq(at.v, ++n);
		ck_assert(view_uid_at(v, at, &uid));
		ck_assert_uint_eq(uid.v, u);
		uidset_add(&uids, u);
	}
	ck_assert(!view_uid_at(v, (seqno){ 0 }, &uid));
	ck_assert(!view_uid_at(v, (seqno){ m->count + 1 }, &uid));
	ck_assert_uint_eq(view_highest_uid(v), m->count == 0 ? 0 : m->list[m->count - 1]);
	struct uidset all = { 0 };
	view_uids(v, &all);
	ck_assert(uidset_eq(&all, &uids));
	uidset_free(&all);
	uidset_free(&uids);
}

static void store_uids(const struct model *m, uint32_t from, struct uidset *ret)
{
	uidset_clear(ret);
	for (uint32_t u = from; u < m->store_next; u++)
		if (m->exists[u])
			uidset_add(ret, u);
}

/* SELECT. */
static void step_reset(struct view *v, struct model *m)
{
	struct uidset all = { 0 };

	store_uids(m, 1, &all);
	view_reset(v, &all, m->store_next, (modseq){ m->store_seq });
	m->count = 0;
	for (uint32_t u = 1; u < m->store_next; u++)
		if (m->exists[u])
			m->list[m->count++] = u;
	memset(m->held, 0, sizeof(m->held));
	m->next = m->store_next;
	m->told = m->store_seq;
	uidset_free(&all);
}

static void step_append(struct model *m, struct test_random *r)
{
	m->store_seq++;
	for (uint32_t n = random_below(r, 8); n > 0 && m->store_next <= UIDS; n--)
		m->exists[m->store_next++] = random_below(r, 4) > 0;
}

static void step_expunge(struct model *m, struct test_random *r)
{
	m->store_seq++;
	for (uint32_t n = random_below(r, 5); n > 0; n--)
		m->exists[1 + random_below(r, UIDS)] = false;
}

/* The answer of a read: vanished (or all), new ones, S. */
static void step_sync(struct view *v, struct model *m, struct test_random *r)
{
	struct uidset set = { 0 };
	bool more = false;

	if (random_below(r, 3) == 0) {
		store_uids(m, 1, &set);
		view_hold_missing(v, &set);
	} else {
		for (uint32_t u = 1; u < m->store_next; u++)
			if (!m->exists[u]) /* also ones that the session never saw */
				uidset_add(&set, u);
		view_hold(v, &set);
	}
	for (uint32_t i = 0; i < m->count; i++)
		m->held[m->list[i]] = !m->exists[m->list[i]];
	store_uids(m, random_below(r, 2) == 0 ? 1 : m->next, &set); /* old ones are left out */
	for (uint32_t u = m->next; u < m->store_next; u++) {
		if (!m->exists[u])
			continue;
		m->list[m->count++] = u;
		more = true;
	}
	ck_assert_int_eq(view_add(v, &set), more);
	view_advance(v, (modseq){ m->store_seq }, m->store_next);
	view_advance(v, (modseq){ 0 }, 0);
	m->next = m->store_next;
	ck_assert_uint_eq(view_seen(v).v, m->store_seq);
	uidset_free(&set);
}

/* What a client does with "* n EXPUNGE". */
static void client_expunge(void *data, seqno n)
{
	struct model *m = data;

	ck_assert(n.v >= 1 && n.v <= m->count);
	ck_assert(m->held[m->list[n.v - 1]]);
	m->held[m->list[n.v - 1]] = false;
	memmove(&m->list[n.v - 1], &m->list[n.v], (m->count - n.v) * sizeof(m->list[0]));
	m->count--;
}

static void step_tell(struct view *v, struct model *m, struct test_random *r)
{
	struct uidset want = { 0 }, gone = { 0 };
	uint32_t n = 0;

	for (uint32_t u = 1; u <= UIDS; u++)
		if (m->held[u])
			uidset_add(&want, u);
	if (random_below(r, 2) == 0) {
		view_tell_expunge(v, client_expunge, m, &gone);
	} else {
		view_tell_vanished(v, &gone);
		for (uint32_t i = 0; i < m->count; i++)
			if (!uidset_has(&gone, m->list[i]))
				m->list[n++] = m->list[i];
		m->count = n;
		memset(m->held, 0, sizeof(m->held));
	}
	ck_assert(uidset_eq(&want, &gone));
	ck_assert(!anything_held(m));
	uidset_free(&want);
	uidset_free(&gone);
}

static void step_resolve(const struct view *v, const struct model *m, struct test_random *r)
{
	uint32_t top = m->count + (random_below(r, 4) == 0 ? 2 : 0);
	struct seq_range at[2];
	struct seq_set set = { at, 0, false };
	struct uidset got = { 0 }, want = { 0 };
	bool bad = false;

	if (top == 0)
		return;
	at[0].lo = 1 + random_below(r, top);
	at[0].hi = at[0].lo + random_below(r, top - at[0].lo + 1);
	set.count = 1;
	if (random_below(r, 3) == 0)
		at[set.count++] = (struct seq_range){
			random_below(r, 2) == 0 ? SEQ_STAR : 1 + random_below(r, top), SEQ_STAR
		};
	for (uint32_t i = 0; i < set.count; i++) {
		uint32_t lo = at[i].lo == SEQ_STAR ? m->count : at[i].lo;
		uint32_t hi = at[i].hi == SEQ_STAR ? m->count : at[i].hi;

		bad = bad || lo > m->count || hi > m->count || m->count == 0;
		for (uint32_t n = lo; n <= hi && !bad; n++)
			uidset_add(&want, m->list[n - 1]);
	}
	ck_assert_int_eq(view_resolve_seqnos(v, &set, &got), bad ? ERR_BAD_INPUT : OK);
	if (!bad)
		ck_assert(uidset_eq(&got, &want));
	uidset_free(&got);
	uidset_free(&want);
}

static void step_intersect(const struct view *v, const struct model *m, struct test_random *r)
{
	struct uidset s = { 0 }, want = { 0 };
	uint32_t lo = 1 + random_below(r, UIDS);

	uidset_add_range(&s, lo, lo + random_below(r, 50));
	uidset_add_range(&s, UIDS, UINT32_MAX);
	for (uint32_t i = 0; i < m->count; i++)
		if (uidset_has(&s, m->list[i]))
			uidset_add(&want, m->list[i]);
	view_intersect(v, &s);
	ck_assert(uidset_eq(&s, &want));
	uidset_free(&s);
	uidset_free(&want);
}

START_TEST(model)
{
	struct test_random r = random_start("view");
	struct view v = { 0 };
	struct model *m = calloc(1, sizeof(*m));

	m->store_next = m->next = 1;
	m->store_seq = 1;
	step_reset(&v, m);
	for (int i = 0; i < STEPS; i++) {
		switch (random_below(&r, 12)) {
		case 0:
		case 1: step_append(m, &r); break;
		case 2:
		case 3: step_expunge(m, &r); break;
		case 4:
		case 5:
		case 6: step_sync(&v, m, &r); break;
		case 7:
		case 8: step_tell(&v, m, &r); break;
		case 9:
		case 10: step_resolve(&v, m, &r); break;
		default: step_intersect(&v, m, &r); break;
		}
		if (i % 16 == 0)
			view_is(&v, m);
		if (random_below(&r, 200) == 0) {
			if (m->store_next > UIDS / 2) { /* another mailbox */
				memset(m, 0, sizeof(*m));
				m->store_next = 1 + random_below(&r, 3);
			}
			step_reset(&v, m);
		}
	}
	view_free(&v);
	free(m);
}
END_TEST

/* RFC 7162, 3.2: HIGHESTMODSEQ stays below an expunge that is not told. */
START_TEST(told_stays_below_what_is_held)
{
	struct view v = { 0 };
	struct uidset all = { 0 }, gone = { 0 };

	uidset_add_range(&all, 1, 10);
	view_reset(&v, &all, 11, (modseq){ 50 });
	ck_assert_uint_eq(view_told(&v).v, 50);
	uidset_add(&gone, 3);
	view_hold(&v, &gone);
	view_advance(&v, (modseq){ 60 }, 11);
	ck_assert_uint_eq(view_told(&v).v, 50);
	uidset_add(&gone, 4);
	view_hold(&v, &gone); /* a later one changes nothing */
	view_advance(&v, (modseq){ 70 }, 11);
	ck_assert_uint_eq(view_told(&v).v, 50);
	ck_assert_uint_eq(view_exists(&v), 10);
	view_tell_vanished(&v, &gone);
	ck_assert_uint_eq(uidset_size(&gone), 2);
	ck_assert_uint_eq(view_told(&v).v, 70);
	ck_assert_uint_eq(view_exists(&v), 8);
	uidset_free(&all);
	uidset_free(&gone);
	view_free(&v);
}
END_TEST

START_TEST(nothing_resolves_in_an_empty_mailbox)
{
	struct view v = { 0 };
	struct seq_range star = { SEQ_STAR, SEQ_STAR };
	struct seq_set set = { &star, 1, false };
	struct uidset got = { 0 };

	ck_assert_int_eq(view_resolve_seqnos(&v, &set, &got), ERR_BAD_INPUT);
	star = (struct seq_range){ 1, SEQ_STAR };
	ck_assert_int_eq(view_resolve_seqnos(&v, &set, &got), ERR_BAD_INPUT);
	view_uids(&v, &got);
	ck_assert_uint_eq(got.count, 0);
	ck_assert_uint_eq(view_highest_uid(&v), 0);
	view_tell_vanished(&v, &got);
	ck_assert_uint_eq(got.count, 0);
	ck_assert(view_check(&v));
	view_free(&v);
}
END_TEST

START_TEST(views_are_small)
{
	struct view v = { 0 };
	struct uidset all = { 0 };

	uidset_add_range(&all, 1, 100);
	view_reset(&v, &all, 101, (modseq){ 1 });
	ck_assert_uint_lt(view_bytes(&v), 200);
	uidset_clear(&all);
	for (uint32_t u = 1; u < 2000000; u += 2)
		uidset_add(&all, u);
	view_reset(&v, &all, 2000000, (modseq){ 1 });
	ck_assert_uint_eq(view_exists(&v), 1000000);
	ck_assert_uint_lt(view_bytes(&v), 300 * 1024);
	view_free(&v);
	uidset_free(&all);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("view");
	TCase *t = tcase_create("view");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, model);
	tcase_add_test(t, told_stays_below_what_is_held);
	tcase_add_test(t, nothing_resolves_in_an_empty_mailbox);
	tcase_add_test(t, views_are_small);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
