/* test_pages.c: random changes of a mailbox against an array, with pins that must never change;
 * keyword slots; pins read by other threads (for TSan). */
#include "tests/unit/random.h"

#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/pages.h"

#include <check.h>
#include <pthread.h>

enum { UIDS = 2000, PINS = 4, STEPS = 1500, KEYWORDS = 5 };

struct message {
	bool there;
	uint32_t system;
	uint32_t keywords; /* bits */
	uint64_t modseq;
	uint32_t size;
};

struct model {
	struct message at[UIDS + 1]; /* by uid */
	uint32_t uidnext;
	uint64_t modseq;
};

static uint32_t intern(struct mailbox_pages *p, uint32_t system, uint32_t keywords)
{
	uint16_t slots[KEYWORDS];
	struct flag_set set = { system, 0, slots };
	uint32_t number;

	for (uint16_t i = 0; i < KEYWORDS; i++)
		if (keywords & (1u << i))
			slots[set.count++] = i;
	ck_assert_int_eq(pages_intern(p, set, &number), OK);
	return number;
}

static void entry_check(const struct mailbox_pages *p, const struct page_entry *e,
			const struct model *m)
{
	const struct message *x = &m->at[e->uid];
	struct flag_set set = pages_flags(p, e);
	uint32_t keywords = 0;

	for (uint32_t i = 0; i < set.count; i++)
		keywords |= 1u << set.keywords[i];
	ck_assert(x->there);
	ck_assert_uint_eq(set.system, x->system);
	ck_assert_uint_eq(keywords, x->keywords);
	ck_assert_uint_eq(e->modseq, x->modseq);
	ck_assert_uint_eq(e->size, x->size);
}

static void walks_check(const struct mailbox_pages *p, const struct model *m, uint64_t since,
			uint32_t last)
{
	struct pages_cursor all, changed, deleted;
	const struct page_entry *e;

	pages_start(p, &all);
	pages_start(p, &changed);
	pages_start(p, &deleted);
	for (uint32_t uid = 1; uid < m->uidnext && uid <= last; uid++) {
		if (!m->at[uid].there)
			continue;
		e = pages_next(&all, last);
		ck_assert(e != NULL && e->uid == uid);
		if (m->at[uid].modseq > since) {
			e = pages_next_changed(&changed, last, since);
			ck_assert(e != NULL && e->uid == uid);
		}
		if (m->at[uid].system & FLAG_DELETED) {
			e = pages_next_deleted(&deleted, last);
			ck_assert(e != NULL && e->uid == uid);
		}
	}
	ck_assert_ptr_null(pages_next(&all, last));
	ck_assert_ptr_null(pages_next_changed(&changed, last, since));
	ck_assert_ptr_null(pages_next_deleted(&deleted, last));
}

static void set_walk_check(const struct mailbox_pages *p, const struct model *m,
			   const struct uidset *uids, uint64_t since)
{
	struct pages_walk w, changed;
	struct uidset got = { 0 }, want = { 0 }, missing = { 0 }, rest = { 0 };
	const struct page_entry *e;

	for (uint32_t uid = 1; uid < m->uidnext; uid++)
		if (m->at[uid].there && uidset_has(uids, uid))
			uidset_add(&want, uid);
	pages_walk_start(p, uids, &w);
	pages_walk_changed(p, uids, since, &changed);
	while ((e = pages_walk_next(&w)) != NULL) {
		uidset_add(&got, e->uid);
		if (e->modseq > since) {
			const struct page_entry *c = pages_walk_next(&changed);

			ck_assert_ptr_eq(e, c);
		}
	}
	ck_assert_ptr_null(pages_walk_next(&changed));
	ck_assert_ptr_null(pages_walk_next(&w));
	ck_assert(uidset_eq(&got, &want));
	pages_existing(p, uids, &got);
	ck_assert(uidset_eq(&got, &want));
	pages_missing(p, uids, &missing);
	uidset_copy(&rest, uids);
	uidset_subtract(&rest, &want);
	ck_assert(uidset_eq(&missing, &rest));
	uidset_free(&got);
	uidset_free(&want);
	uidset_free(&missing);
	uidset_free(&rest);
}

static void state_check(struct mailbox_pages *p, const struct model *m, struct test_random *r)
{
	uint32_t first_unseen = 0, highest = 0, exists = 0;
	struct uidset uids = { 0 }, want = { 0 };
	uint32_t from = random_below(r, m->uidnext + 1);

	ck_assert_int_eq(pages_check(p), OK);
	for (uint32_t uid = 1; uid < m->uidnext; uid++) {
		const struct page_entry *e = pages_find(p, uid);

		ck_assert_int_eq(e != NULL, m->at[uid].there);
		if (e == NULL)
			continue;
		entry_check(p, e, m);
		if (first_unseen == 0 && !(m->at[uid].system & FLAG_SEEN))
			first_unseen = uid;
		highest = uid;
		exists++;
		ck_assert_uint_eq(pages_uid_at(p, exists), uid);
		if (uid >= from)
			uidset_add(&want, uid);
	}
	ck_assert_uint_eq(pages_first_unseen(p), first_unseen);
	ck_assert_uint_eq(pages_highest_uid(p), highest);
	ck_assert_uint_eq(pages_exists(p), exists);
	ck_assert_ptr_null(pages_find(p, m->uidnext));
	ck_assert_uint_eq(pages_uid_at(p, 0), 0);
	ck_assert_uint_eq(pages_uid_at(p, exists + 1), 0);
	pages_uids(p, from, &uids);
	ck_assert(uidset_eq(&uids, &want));
	walks_check(p, m, random_below(r, (uint32_t)m->modseq + 1), random_below(r, UIDS));
	walks_check(p, m, m->modseq - m->modseq / 8, UINT32_MAX);
	uidset_free(&uids);
	uidset_free(&want);
}

/* A set of a few ranges, some of them of UIDs that do not exist. */
static void some_uids(const struct model *m, struct test_random *r, struct uidset *ret)
{
	uint32_t span = random_below(r, 8) == 0 ? 700 : 6;

	uidset_clear(ret);
	for (uint32_t n = random_below(r, 6); n > 0; n--) {
		uint32_t lo = 1 + random_below(r, m->uidnext + 5);

		uidset_add_range(ret, lo, lo + random_below(r, span));
	}
}

static void count(struct mailbox_pages *p, const struct message *x, int more)
{
	p->counters.exists += (uint32_t)more;
	p->counters.unseen += (x->system & FLAG_SEEN) ? 0 : (uint32_t)more;
	p->counters.deleted += (x->system & FLAG_DELETED) ? (uint32_t)more : 0;
}

static void step_append(struct mailbox_pages *p, struct model *m, struct test_random *r)
{
	m->modseq++;
	for (uint32_t n = 1 + random_below(r, 20); n > 0 && m->uidnext <= UIDS; n--) {
		struct message *x = &m->at[m->uidnext];

		m->uidnext += random_below(r, 10) == 0; /* a hole */
		if (m->uidnext > UIDS)
			break;
		x = &m->at[m->uidnext];
		*x = (struct message){ true, random_below(r, FLAG_SYSTEM_ALL + 1),
				       random_below(r, 1u << KEYWORDS), m->modseq,
				       random_below(r, 100000) };
		ck_assert_int_eq(pages_append(p, m->uidnext, intern(p, x->system, x->keywords),
					      x->modseq, x->size),
				 OK);
		ck_assert_int_eq(pages_append(p, m->uidnext, 0, x->modseq, 1), ERR_CORRUPT);
		count(p, x, 1);
		m->uidnext++;
	}
	p->counters.uidnext = m->uidnext;
}

static void model_flags(struct mailbox_pages *p, struct model *m, uint32_t uid, uint32_t system,
			uint32_t keywords)
{
	struct message *x = &m->at[uid];

	count(p, x, -1);
	x->system = system;
	x->keywords = keywords;
	x->modseq = m->modseq;
	count(p, x, 1);
}

static void step_flags(struct mailbox_pages *p, struct model *m, struct test_random *r)
{
	uint32_t system = random_below(r, FLAG_SYSTEM_ALL + 1);
	uint32_t keywords = random_below(r, 1u << KEYWORDS);
	uint32_t set = intern(p, system, keywords);
	struct uidset uids = { 0 };
	uint64_t missing = 0;

	m->modseq++;
	some_uids(m, r, &uids);
	for (uint32_t i = 0; i < uids.count; i++) {
		for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++) {
			bool there = uid <= UIDS && m->at[uid].there;

			missing += !there;
			if (there)
				model_flags(p, m, uid, system, keywords);
		}
	}
	set_walk_check(p, m, &uids, 0);
	ck_assert_uint_eq(pages_set_flags_all(p, &uids, set, m->modseq), missing);
	set_walk_check(p, m, &uids, m->modseq - 3);
	uidset_free(&uids);
}

static void step_one(struct mailbox_pages *p, struct model *m, struct test_random *r)
{
	uint32_t uid = 1 + random_below(r, m->uidnext);
	uint32_t system = random_below(r, FLAG_SYSTEM_ALL + 1);
	int want = uid <= UIDS && m->at[uid].there ? OK : ERR_NOT_FOUND;

	m->modseq++;
	if (random_below(r, 4) == 0) {
		ck_assert_int_eq(pages_touch(p, uid, m->modseq), want);
		if (want == OK)
			m->at[uid].modseq = m->modseq;
		return;
	}
	ck_assert_int_eq(pages_set_flags(p, uid, intern(p, system, 1), m->modseq), want);
	if (want == OK)
		model_flags(p, m, uid, system, 1);
}

static void step_remove(struct mailbox_pages *p, struct model *m, struct test_random *r)
{
	struct uidset uids = { 0 };
	uint64_t missing = 0;

	m->modseq++;
	some_uids(m, r, &uids);
	for (uint32_t i = 0; i < uids.count; i++) {
		for (uint32_t uid = uids.at[i].lo; uid <= uids.at[i].hi; uid++) {
			if (uid > UIDS || !m->at[uid].there) {
				missing++;
				continue;
			}
			count(p, &m->at[uid], -1);
			m->at[uid].there = false;
		}
	}
	ck_assert_uint_eq(pages_remove(p, &uids), missing);
	uidset_free(&uids);
}

/* What a pin must go on showing. */
struct pinned {
	struct mailbox_pages *pin;
	struct model model;
};

static void step_pin(struct pinned *pins, struct mailbox_pages *p, const struct model *m,
		     struct test_random *r)
{
	struct pinned *pin = &pins[random_below(r, PINS)];

	if (pin->pin != NULL)
		state_check(pin->pin, &pin->model, r);
	pages_drop(&pin->pin);
	if (random_below(r, 2) == 0) {
		pin->pin = pages_pin(p);
		pin->model = *m;
	}
}

static void names(struct mailbox_pages *p)
{
	for (uint32_t i = 0; i < KEYWORDS; i++) {
		char name[8];

		snprintf(name, sizeof(name), "kw%u", i);
		ck_assert_int_eq(pages_set_keyword(p, i, span_str(name)), OK);
	}
}

START_TEST(model)
{
	struct test_random r = random_start("pages");
	struct mailbox_pages *p = pages_new((mailbox_id){ 7 }, 99);
	struct pinned *pins = calloc(PINS, sizeof(*pins));
	struct model *m = calloc(1, sizeof(*m));

	names(p);
	m->uidnext = 1;
	m->modseq = 1;
	for (int i = 0; i < STEPS; i++) {
		bool alone = atomic_load(&p->refs) == 1;
		struct mailbox_pages *before = p;

		pages_writable(&p);
		ck_assert_int_eq(alone, p == before);
		switch (random_below(&r, m->uidnext < UIDS ? 12 : 30)) {
		case 0:
		case 1:
		case 2: step_append(p, m, &r); break;
		case 3:
		case 4:
		case 5: step_flags(p, m, &r); break;
		case 6:
		case 7:
		case 8: step_one(p, m, &r); break;
		case 9: step_pin(pins, p, m, &r); break;
		default: step_remove(p, m, &r); break;
		}
		if (i % 32 == 0 || pages_exists(p) < 20)
			state_check(p, m, &r);
		if (m->uidnext > UIDS && pages_exists(p) == 0)
			break;
	}
	state_check(p, m, &r);
	ck_assert_uint_gt(pages_bytes(p), sizeof(*p));
	pages_drop(&p);
	for (int i = 0; i < PINS; i++) {
		if (pins[i].pin != NULL)
			state_check(pins[i].pin, &pins[i].model, &r);
		pages_drop(&pins[i].pin);
	}
	free(pins);
	free(m);
}
END_TEST

/* ---- size ---- */

static struct mailbox_pages *make(uint32_t n)
{
	struct mailbox_pages *p = pages_new((mailbox_id){ 1 }, 1);

	for (uint32_t uid = 1; uid <= n; uid++)
		ck_assert_int_eq(pages_append(p, uid, 0, uid + 1, 100), OK);
	p->counters.uidnext = n + 1;
	p->counters.exists = p->counters.unseen = n;
	p->counters.highestmodseq = n + 1;
	return p;
}

START_TEST(sparse_pages_are_joined)
{
	struct mailbox_pages *p = make(100000);
	uint32_t full = p->page_count;
	struct uidset most = { 0 };

	for (uint32_t uid = 1; uid <= 100000; uid++)
		if (uid % 100 != 0)
			uidset_add(&most, uid);
	ck_assert_uint_eq(pages_remove(p, &most), 0);
	p->counters.exists = p->counters.unseen = 1000;
	ck_assert_int_eq(pages_check(p), OK);
	ck_assert_uint_eq(pages_exists(p), 1000);
	ck_assert_uint_lt(p->page_count, full / 40);
	ck_assert_uint_le(p->dir_count, 2);
	pages_drop(&p);
	uidset_free(&most);
}
END_TEST

START_TEST(small_mailboxes_are_small)
{
	struct mailbox_pages *p = make(3);

	ck_assert_uint_lt(pages_bytes(p), 2048);
	pages_drop(&p);
	pages_drop(&p); /* NULL is fine */
}
END_TEST

START_TEST(a_change_under_a_pin_copies_little)
{
	struct mailbox_pages *p = make(100000);
	struct mailbox_pages *pin = pages_pin(p);
	uint32_t others = 0;

	pages_writable(&p);
	ck_assert_int_eq(pages_set_flags(p, 50000, 0, 200000), OK);
	for (uint32_t i = 0; i < p->dir_count; i++)
		others += p->dirs[i].at.dir != pin->dirs[i].at.dir;
	ck_assert_uint_eq(others, 1);
	ck_assert_uint_eq(pages_find(pin, 50000)->modseq, 50001);
	ck_assert_uint_eq(pages_find(p, 50000)->modseq, 200000);
	ck_assert_ptr_eq(pages_find(pin, 1), pages_find(p, 1));
	pages_drop(&pin);
	pages_drop(&p);
}
END_TEST

START_TEST(check_finds_wrong_counters)
{
	struct mailbox_pages *p = make(10);

	ck_assert_int_eq(pages_check(p), OK);
	p->counters.unseen--;
	ck_assert_int_eq(pages_check(p), ERR_CORRUPT);
	p->counters.unseen++;
	p->dirs[0].deleted++;
	ck_assert_int_eq(pages_check(p), ERR_CORRUPT);
	pages_drop(&p);
}
END_TEST

START_TEST(counters_to_row_and_back)
{
	struct mailbox_counters c = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	Tm__CountersRow row;
	struct mailbox_counters back;

	counters_to_row(&c, &row);
	back = counters_of_row(&row);
	ck_assert_uint_eq(back.uidnext, 1);
	ck_assert_uint_eq(back.highestmodseq, 2);
	ck_assert_uint_eq(back.exists, 3);
	ck_assert_uint_eq(back.unseen, 4);
	ck_assert_uint_eq(back.deleted, 5);
	ck_assert_uint_eq(back.bytes, 6);
	ck_assert_uint_eq(back.deleted_bytes, 7);
	ck_assert_uint_eq(back.horizon, 8);
	ck_assert_uint_eq(back.vanished_rows, 9);
	ck_assert_uint_eq(back.recent_from, 10);
	ck_assert_uint_eq(back.keywords_version, 11);
}
END_TEST

/* ---- flag sets and keywords ---- */

static void text_is(const struct mailbox_pages *p, uint32_t set, const char *want)
{
	struct span got = flag_sets_text(p->sets, set);

	ck_assert_msg(span_eq(got, span_str(want)), "%.*s", (int)got.bytes, got.at);
}

START_TEST(flag_texts)
{
	struct mailbox_pages *p = make(0);

	names(p);
	text_is(p, FLAG_SET_EMPTY, "FLAGS ()");
	text_is(p, intern(p, FLAG_SEEN, 0), "FLAGS (\\Seen)");
	text_is(p, intern(p, FLAG_SYSTEM_ALL, 5),
		"FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft kw0 kw2)");
	text_is(p, intern(p, 0, 2), "FLAGS (kw1)");
	ck_assert_uint_eq(intern(p, 0, 0), FLAG_SET_EMPTY);
	ck_assert_uint_eq(intern(p, FLAG_SEEN, 3), intern(p, FLAG_SEEN, 3));
	ck_assert_uint_ne(intern(p, FLAG_SEEN, 3), intern(p, FLAG_SEEN, 1));
	pages_drop(&p);
}
END_TEST

START_TEST(what_contradicts_the_names_is_refused)
{
	struct mailbox_pages *p = make(0);
	uint16_t twice[] = { 1, 1 }, none[] = { 9 };
	uint32_t n;

	names(p);
	ck_assert_int_eq(pages_intern(p, (struct flag_set){ 64, 0, NULL }, &n), ERR_CORRUPT);
	ck_assert_int_eq(pages_intern(p, (struct flag_set){ 0, 2, twice }, &n), ERR_CORRUPT);
	ck_assert_int_eq(pages_intern(p, (struct flag_set){ 0, 1, none }, &n), ERR_CORRUPT);
	ck_assert_int_eq(pages_set_keyword(p, 9, span_str("KW1")), ERR_CORRUPT); /* has a slot */
	ck_assert_int_eq(pages_set_keyword(p, 1, span_str("KW1")), OK);
	ck_assert(span_eq(keywords_name(p->keywords, 1), span_str("kw1"))); /* first spelling */
	ck_assert_int_eq(pages_set_keyword(p, MAILBOX_KEYWORDS_MAX, span_str("x")), ERR_CORRUPT);
	ck_assert_int_eq(pages_set_keyword(p, 8, span_str("")), ERR_CORRUPT);
	ck_assert_int_eq(pages_set_keyword(p, 8, span_str("eight")), OK);
	ck_assert_uint_eq(keywords_count(p->keywords), KEYWORDS + 1);
	ck_assert_uint_eq(keywords_top(p->keywords), 9);
	ck_assert_int_eq(keywords_find(p->keywords, span_str("EIGHT")), 8);
	ck_assert_int_eq(keywords_find(p->keywords, span_str("seven")), -1);
	ck_assert_ptr_null(keywords_name(p->keywords, 7).at);
	pages_drop(&p);
}
END_TEST

START_TEST(a_full_table_gives_slots_that_nobody_carries)
{
	struct mailbox_pages *p = make(3);
	struct mailbox_pages *pin;
	uint16_t slot = 17;
	uint32_t foo, bar;

	for (uint32_t i = 0; i < MAILBOX_KEYWORDS_MAX; i++) {
		uint16_t s = (uint16_t)i;
		char name[8];

		ck_assert_int_eq(pages_free_slot(p, 0), (int)i);
		snprintf(name, sizeof(name), "k%u", i);
		ck_assert_int_eq(pages_set_keyword(p, i, span_str(name)), OK);
		ck_assert_int_eq(pages_intern(p, (struct flag_set){ 0, 1, &s }, &foo), OK);
		ck_assert_int_eq(pages_append(p, 4 + i, foo, 10 + i, 1), OK);
	}
	ck_assert_int_eq(pages_free_slot(p, 0), -1);
	ck_assert_uint_eq(pages_free_slots(p, 1), 0);
	ck_assert_int_eq(pages_set_keyword(p, 17, span_str("bar")), ERR_CORRUPT);
	foo = pages_find(p, 4 + 17)->set;
	pin = pages_pin(p);
	pages_writable(&p);
	ck_assert_int_eq(pages_set_flags(p, 4 + 17, 0, 5000), OK);
	ck_assert_int_eq(pages_set_flags(p, 4 + 20, 0, 5001), OK);
	ck_assert_uint_eq(pages_free_slots(p, 5), 2);
	ck_assert_uint_eq(pages_free_slots(p, 1), 1);
	ck_assert_int_eq(pages_free_slot(p, 0), 17);
	ck_assert_int_eq(pages_free_slot(p, 18), 20);
	ck_assert_int_eq(pages_free_slot(p, 21), 17);
	ck_assert_int_eq(pages_set_keyword(p, 17, span_str("bar")), OK);
	ck_assert_int_eq(pages_intern(p, (struct flag_set){ 0, 1, &slot }, &bar), OK);
	ck_assert_uint_ne(foo, bar);
	text_is(p, bar, "FLAGS (bar)");
	text_is(pin, pages_find(pin, 4 + 17)->set, "FLAGS (k17)");
	ck_assert(span_eq(keywords_name(pin->keywords, 17), span_str("k17")));
	pages_drop(&p);
	/* A change that is given up (the pin's names are the state again) leaves nothing behind. */
	pages_writable(&pin);
	ck_assert_int_eq(pages_intern(pin, (struct flag_set){ 0, 1, &slot }, &bar), OK);
	ck_assert_uint_eq(foo, bar);
	pages_drop(&pin);
}
END_TEST

START_TEST(tidy_forgets_unused_sets)
{
	struct mailbox_pages *p = make(10);
	struct mailbox_pages *pin;
	uint32_t set = 0;

	for (uint32_t i = 0; i < 12; i++) {
		char name[8];

		snprintf(name, sizeof(name), "k%u", i);
		ck_assert_int_eq(pages_set_keyword(p, i, span_str(name)), OK);
	}
	for (uint32_t bits = 0; bits < 1u << 12; bits++) {
		uint16_t slots[12];
		struct flag_set s = { FLAG_SEEN, 0, slots };

		for (uint16_t i = 0; i < 12; i++)
			if (bits & (1u << i))
				slots[s.count++] = i;
		ck_assert_int_eq(pages_intern(p, s, &set), OK);
		if (bits % 500 == 1)
			ck_assert_int_eq(pages_set_flags(p, 1 + bits / 500, set, 20), OK);
	}
	ck_assert_uint_gt(flag_sets_numbers(p->sets), 4000);
	pin = pages_pin(p);
	pages_tidy(&p);
	ck_assert_uint_le(flag_sets_numbers(p->sets), 11);
	for (uint32_t uid = 1; uid <= 10; uid++)
		ck_assert(span_eq(flag_sets_text(p->sets, pages_find(p, uid)->set),
				  flag_sets_text(pin->sets, pages_find(pin, uid)->set)));
	ck_assert_uint_lt(flag_sets_bytes(p->sets), flag_sets_bytes(pin->sets));
	pages_tidy(&p); /* nothing to do any more */
	pages_drop(&pin);
	pages_drop(&p);
}
END_TEST

/* ---- threads ---- */

struct shared {
	pthread_mutex_t lock;
	struct mailbox_pages *offered; /* a pin for whoever takes it */
	bool stop;
};

/* In each state all messages have the same modseq: what a torn read would not show. */
static void *read_pins(void *data)
{
	struct shared *s = data;

	for (;;) {
		struct mailbox_pages *pin;
		struct pages_cursor c;
		const struct page_entry *e;
		bool stop;

		pthread_mutex_lock(&s->lock);
		pin = s->offered;
		s->offered = NULL;
		stop = s->stop;
		pthread_mutex_unlock(&s->lock);
		if (stop) {
			pages_drop(&pin);
			return NULL;
		}
		if (pin == NULL)
			continue;
		pages_start(pin, &c);
		while ((e = pages_next(&c, UINT32_MAX)) != NULL) {
			ck_assert_uint_eq(e->modseq, pin->counters.highestmodseq);
			ck_assert_uint_gt(flag_sets_text(pin->sets, e->set).bytes, 0);
			ck_assert(pages_flags(pin, e).count == 0 ||
				  keywords_name(pin->keywords, 0).at != NULL);
		}
		pages_drop(&pin);
	}
}

START_TEST(pins_are_read_by_other_threads)
{
	struct shared s = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct mailbox_pages *p = make(400);
	struct uidset all = { 0 };
	pthread_t readers[2];

	uidset_add_range(&all, 1, 400);
	pages_set_flags_all(p, &all, 0, 1001);
	for (int i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, read_pins, &s);
	for (uint32_t i = 0; i < 300; i++) {
		uint64_t seq = 2000 + i;
		uint32_t set;
		char name[12];
		uint16_t slot = (uint16_t)i;

		pages_writable(&p);
		snprintf(name, sizeof(name), "k%u", i);
		ck_assert_int_eq(pages_set_keyword(p, i, span_str(name)), OK);
		ck_assert_int_eq(pages_intern(p, (struct flag_set){ 0, 1, &slot }, &set), OK);
		pages_set_flags_all(p, &all, set, seq);
		p->counters.highestmodseq = seq;
		pthread_mutex_lock(&s.lock);
		if (s.offered == NULL)
			s.offered = pages_pin(p);
		pthread_mutex_unlock(&s.lock);
	}
	pthread_mutex_lock(&s.lock);
	s.stop = true;
	pthread_mutex_unlock(&s.lock);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	pages_drop(&s.offered);
	pages_drop(&p);
	uidset_free(&all);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pages");
	TCase *t = tcase_create("pages");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, model);
	tcase_add_test(t, sparse_pages_are_joined);
	tcase_add_test(t, small_mailboxes_are_small);
	tcase_add_test(t, a_change_under_a_pin_copies_little);
	tcase_add_test(t, check_finds_wrong_counters);
	tcase_add_test(t, counters_to_row_and_back);
	tcase_add_test(t, flag_texts);
	tcase_add_test(t, what_contradicts_the_names_is_refused);
	tcase_add_test(t, a_full_table_gives_slots_that_nobody_carries);
	tcase_add_test(t, tidy_forgets_unused_sets);
	tcase_add_test(t, pins_are_read_by_other_threads);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
