/* test_read_changes.c: sessions with any S must end up where the mailbox is, whatever happened
 * (IMAP.md, sections 1, 2 and 5). A model client takes over the answers; its state must be the
 * mailbox's. */
#include "tests/unit/random.h"

#include "replication/read_changes.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <check.h>
#include <string.h>

enum { UIDS = 300, STEPS = 2500, CLIENTS = 6 };

struct box {
	struct mailbox_pages *pages;
	struct ring *ring;
	struct vanished *vanished;
	struct arena arena;
};

struct client {
	bool has[UIDS + 1];
	char flags[UIDS + 1][64]; /* "" until told; new messages' flags are fetched, not told */
	uint64_t modseq[UIDS + 1];
	uint64_t seen;
	uint32_t uidnext;
	uint32_t keywords_version;
};

static void box_open(struct box *b)
{
	b->pages = pages_new((mailbox_id){ 1 }, 77);
	b->ring = ring_new(1);
	b->vanished = vanished_new(0);
	arena_init(&b->arena);
}

static void box_close(struct box *b)
{
	pages_drop(&b->pages);
	ring_free(&b->ring);
	vanished_free(&b->vanished);
	arena_free(&b->arena);
}

static struct changes_source source(struct box *b)
{
	return (struct changes_source){ b->pages, b->ring, b->vanished };
}

static uint64_t box_change(struct box *b)
{
	return ++pages_writable(&b->pages)->counters.highestmodseq;
}

static void box_append(struct box *b, uint32_t n)
{
	uint64_t seq = box_change(b);
	struct mailbox_counters *c = &b->pages->counters;

	for (; n > 0 && c->uidnext <= UIDS; n--) {
		ck_assert_int_eq(pages_append(b->pages, c->uidnext++, 0, seq, 10), OK);
		c->exists++;
		c->unseen++;
	}
}

static void box_flags(struct box *b, const struct uidset *uids, uint32_t system)
{
	uint64_t seq = box_change(b);
	uint32_t set;

	ck_assert_int_eq(pages_intern(b->pages, (struct flag_set){ .system = system }, &set), OK);
	pages_set_flags_all(b->pages, uids, set, seq);
	ring_changed(b->ring, b->pages, uids, seq);
	b->pages->counters.unseen = 0; /* not looked at here */
}

static void box_expunge(struct box *b, const struct uidset *uids)
{
	uint64_t seq = box_change(b);
	struct uidset there = { 0 };
	struct buf encoded = { 0 };

	pages_existing(b->pages, uids, &there);
	pages_remove(b->pages, &there);
	b->pages->counters.exists -= (uint32_t)uidset_size(&there);
	ring_gone(b->ring, &there);
	uidset_encode(&there, &encoded);
	ck_assert_int_eq(vanished_add(b->vanished, seq, buf_span(&encoded)), OK);
	buf_free(&encoded);
	uidset_free(&there);
}

static void decoded(ProtobufCBinaryData d, struct uidset *ret)
{
	ck_assert_int_eq(uidset_decode(span_of(d.data, d.len), UINT32_MAX, ret), OK);
}

static void client_rows(struct client *c, const struct box *b, const Tm__Changes *ch)
{
	uint32_t last = 0;

	for (size_t i = 0; i < ch->n_rows; i++) {
		const Tm__ChangedRow *r = ch->rows[i];
		const struct page_entry *e = pages_find(b->pages, r->uid);

		ck_assert_uint_gt(r->uid, last);
		ck_assert_uint_lt(r->uid, c->uidnext);
		ck_assert_uint_gt(r->modseq, c->seen);
		ck_assert_ptr_nonnull(e);
		ck_assert_uint_eq(e->modseq, r->modseq);
		ck_assert_uint_lt(r->text.len, sizeof(c->flags[0]));
		memcpy(c->flags[r->uid], r->text.data, r->text.len);
		c->flags[r->uid][r->text.len] = '\0';
		c->modseq[r->uid] = r->modseq;
		last = r->uid;
	}
}

static void client_sets(struct client *c, const struct box *b, const Tm__Changes *ch)
{
	struct uidset set = { 0 };

	decoded(ch->full ? ch->all_uids : ch->vanished, &set);
	for (uint32_t uid = 1; uid < c->uidnext; uid++)
		if (uidset_has(&set, uid) != ch->full)
			c->has[uid] = false;
	decoded(ch->new_uids, &set);
	ck_assert(set.count == 0 || uidset_min(&set) >= c->uidnext);
	for (uint32_t uid = c->uidnext; uid < ch->uidnext; uid++) {
		const struct page_entry *e = pages_find(b->pages, uid);

		c->has[uid] = uidset_has(&set, uid);
		ck_assert_int_eq(e != NULL, c->has[uid]);
		if (e != NULL) /* the client fetches it */
			c->modseq[uid] = e->modseq;
		c->flags[uid][0] = '\0';
	}
	uidset_free(&set);
}

static void client_sync(struct client *c, struct box *b)
{
	struct changes_source s = source(b);
	Tm__Known known = TM__KNOWN__INIT;
	Tm__Changes *ch;
	uint32_t rest;

	known.seen = c->seen;
	known.uidnext = c->uidnext;
	known.want_rows = true;
	ch = read_changes(&s, &known, &b->arena, &rest);
	ck_assert_uint_eq(rest, 0);
	ck_assert_uint_eq(ch->exists, b->pages->counters.exists);
	ck_assert_uint_eq(ch->highestmodseq, b->pages->counters.highestmodseq);
	client_rows(c, b, ch);
	client_sets(c, b, ch);
	c->seen = ch->highestmodseq;
	c->uidnext = ch->uidnext;
	arena_reset(&b->arena);
}

static void client_check(const struct client *c, const struct box *b)
{
	struct buf want = { 0 };

	for (uint32_t uid = 1; uid < c->uidnext; uid++) {
		const struct page_entry *e = pages_find(b->pages, uid);

		ck_assert_int_eq(c->has[uid], e != NULL);
		if (e == NULL)
			continue;
		ck_assert_uint_eq(c->modseq[uid], e->modseq);
		buf_reset(&want);
		ring_text_put(b->pages, e, &want);
		if (c->flags[uid][0] != '\0')
			ck_assert(span_eq(span_str(c->flags[uid]), buf_span(&want)));
	}
	buf_free(&want);
}

static void some_uids(struct test_random *r, uint32_t most, struct uidset *ret)
{
	uidset_clear(ret);
	for (uint32_t n = 1 + random_below(r, 4); n > 0; n--) {
		uint32_t lo = 1 + random_below(r, UIDS);

		uidset_add_range(ret, lo, lo + random_below(r, most));
	}
}

/* What VANISHED (EARLIER) says must hold all that went and is asked, and nothing that exists. */
static void vanished_check(struct box *b, const struct client *c, struct test_random *r)
{
	struct changes_source s = source(b);
	Tm__Vanished v = TM__VANISHED__INIT;
	struct uidset asked = { 0 }, told = { 0 };
	struct buf encoded = { 0 };

	some_uids(r, 300, &asked);
	v.since = c->seen;
	if (random_below(r, 2) == 0) {
		uidset_encode(&asked, &encoded);
		v.uids = (ProtobufCBinaryData){ encoded.bytes, (uint8_t *)encoded.at };
	} else {
		uidset_add_range(&asked, 1, UINT32_MAX);
	}
	decoded(read_vanished(&s, &v, &b->arena), &told);
	for (uint32_t uid = 1; uid <= UIDS; uid++) {
		bool there = pages_find(b->pages, uid) != NULL;

		if (c->has[uid] && !there && uidset_has(&asked, uid))
			ck_assert(uidset_has(&told, uid));
		if (uidset_has(&told, uid))
			ck_assert(!there && uidset_has(&asked, uid));
	}
	ck_assert(told.count == 0 || uidset_max(&told) < b->pages->counters.uidnext);
	buf_free(&encoded);
	uidset_free(&asked);
	uidset_free(&told);
	arena_reset(&b->arena);
}

START_TEST(clients_end_up_where_the_mailbox_is)
{
	struct test_random r = random_start("read_changes");
	struct box b;
	struct client *clients = calloc(CLIENTS, sizeof(*clients));
	struct uidset uids = { 0 };

	box_open(&b);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){ .seen = 1, .uidnext = 1 };
	for (int i = 0; i < STEPS; i++) {
		struct client *c = &clients[random_below(&r, CLIENTS)];

		some_uids(&r, 1 + random_below(&r, 40), &uids);
		switch (random_below(&r, 10)) {
		case 0: box_append(&b, random_below(&r, 4)); break;
		case 1:
		case 2:
		case 3:
		case 4: box_flags(&b, &uids, random_below(&r, 32)); break;
		case 5: box_expunge(&b, &uids); break;
		case 6:
			if (random_below(&r, 10) == 0) { /* as when it was loaded anew */
				ring_free(&b.ring);
				b.ring = ring_new(b.pages->counters.highestmodseq);
			}
			if (random_below(&r, 40) == 0)
				vanished_prune(
					b.vanished,
					1 + random_below(
						    &r, (uint32_t)b.pages->counters.highestmodseq));
			break;
		default:
			if (random_below(&r, 3) == 0) { /* else it falls far behind */
				vanished_check(&b, c, &r);
				client_sync(c, &b);
				client_check(c, &b);
			}
			break;
		}
	}
	for (int i = 0; i < CLIENTS; i++) {
		client_sync(&clients[i], &b);
		client_check(&clients[i], &b);
	}
	free(clients);
	uidset_free(&uids);
	box_close(&b);
}
END_TEST

START_TEST(select_is_told_everything)
{
	struct box b;
	struct changes_source s;
	Tm__Known known = TM__KNOWN__INIT;
	Tm__Changes *ch;
	struct uidset uids = { 0 };
	uint32_t rest;

	box_open(&b);
	box_append(&b, 5);
	ck_assert_int_eq(pages_set_keyword(b.pages, 0, span_str("one")), OK);
	ck_assert_int_eq(pages_set_keyword(b.pages, 1, span_str("two")), OK);
	uidset_add_range(&uids, 1, 2);
	box_flags(&b, &uids, FLAG_SEEN);
	b.pages->counters.unseen = 3;
	b.pages->counters.recent_from = 4;
	b.pages->counters.keywords_version = 2;
	s = source(&b);
	ch = read_changes(&s, &known, &b.arena, &rest);
	ck_assert_uint_eq(ch->exists, 5);
	ck_assert_uint_eq(ch->uidnext, 6);
	ck_assert_uint_eq(ch->uidvalidity, 77);
	ck_assert_uint_eq(ch->unseen, 3);
	ck_assert_uint_eq(ch->first_unseen_uid, 3);
	ck_assert_uint_eq(ch->recent_from, 4);
	ck_assert_uint_eq(ch->n_keywords, 2);
	ck_assert_str_eq(ch->keywords[1], "two");
	ck_assert(!ch->keywords_full && !ch->full);
	decoded(ch->new_uids, &uids);
	ck_assert_uint_eq(uidset_size(&uids), 5);
	ck_assert_uint_eq(ch->n_rows, 0);
	/* Knows all: nothing is said again, names neither. */
	known.seen = ch->highestmodseq;
	known.uidnext = 6;
	known.keywords_version = 2;
	known.want_rows = true;
	ch = read_changes(&s, &known, &b.arena, &rest);
	ck_assert_uint_eq(ch->n_rows + ch->n_keywords + ch->new_uids.len + ch->vanished.len, 0);
	known.keywords_version = 1;
	ch = read_changes(&s, &known, &b.arena, &rest);
	ck_assert_uint_eq(ch->n_keywords, 2);
	uidset_free(&uids);
	box_close(&b);
}
END_TEST

/* More rows than a frame holds: S rises with the last of them only. */
START_TEST(many_rows_come_in_parts)
{
	struct box b;
	struct changes_source s;
	Tm__Known known = TM__KNOWN__INIT;
	struct arena more;
	struct uidset all = { 0 }, told = { 0 };
	uint32_t rest, parts = 1, n = 20000;
	Tm__Changes *ch;

	box_open(&b);
	arena_init(&more);
	for (uint32_t uid = 1; uid <= n; uid++)
		ck_assert_int_eq(pages_append(b.pages, uid, 0, 2, 1), OK);
	b.pages->counters.uidnext = n + 1;
	b.pages->counters.highestmodseq = 2;
	uidset_add_range(&all, 1, n);
	box_flags(&b, &all, FLAG_SEEN);
	known.seen = 2;
	known.uidnext = n; /* the last one is new */
	known.want_rows = true;
	s = source(&b);
	ch = read_changes(&s, &known, &b.arena, &rest);
	ck_assert_uint_gt(ch->new_uids.len, 0);
	for (;; parts++) {
		size_t bytes = 0;

		for (size_t i = 0; i < ch->n_rows; i++) {
			ck_assert_uint_gt(ch->rows[i]->uid, uidset_max(&told));
			uidset_add(&told, ch->rows[i]->uid);
			bytes += ch->rows[i]->text.len;
		}
		ck_assert_uint_lt(bytes, READ_FRAME_MAX_BYTES + 100);
		ck_assert_uint_eq(ch->highestmodseq, rest == 0 ? 3 : 2);
		if (rest == 0)
			break;
		arena_reset(&more);
		ch = read_more_rows(b.pages, &known, &more, &rest);
		ck_assert_uint_eq(ch->new_uids.len + ch->vanished.len + ch->n_keywords, 0);
	}
	ck_assert_uint_gt(parts, 3);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_uint_eq(uidset_max(&told), n - 1);
	arena_free(&more);
	uidset_free(&all);
	uidset_free(&told);
	box_close(&b);
}
END_TEST

/* The ring's texts can be long, too. */
START_TEST(long_rows_of_the_ring_come_in_parts)
{
	struct box b;
	struct changes_source s;
	Tm__Known known = TM__KNOWN__INIT;
	struct uidset all = { 0 };
	uint16_t slots[20];
	uint32_t rest, set;
	char name[KEYWORD_MAX_BYTES + 1];
	Tm__Changes *ch;

	box_open(&b);
	box_append(&b, UIDS);
	for (uint16_t i = 0; i < 20; i++) {
		memset(name, 'a' + i, KEYWORD_MAX_BYTES);
		ck_assert_int_eq(pages_set_keyword(b.pages, i, span_of(name, KEYWORD_MAX_BYTES)),
				 OK);
		slots[i] = i;
	}
	ck_assert_int_eq(pages_intern(b.pages, (struct flag_set){ 0, 20, slots }, &set), OK);
	uidset_add_range(&all, 1, UIDS);
	known.seen = b.pages->counters.highestmodseq;
	known.uidnext = UIDS + 1;
	known.want_rows = true;
	pages_set_flags_all(b.pages, &all, set, box_change(&b));
	ring_changed(b.ring, b.pages, &all, known.seen + 1);
	s = source(&b);
	ck_assert(ring_reaches(b.ring, known.seen));
	ch = read_changes(&s, &known, &b.arena, &rest);
	ck_assert_uint_lt(ch->n_rows, 30);
	ck_assert_uint_eq(rest, ch->n_rows + 1);
	uidset_free(&all);
	box_close(&b);
}
END_TEST

/* RFC 7162, 3.2.5.2: pairs that are still true spare the client what is below them. */
static void match_check(struct box *b, const char *seqnos, const char *uids, const char *want)
{
	struct changes_source s = source(b);
	Tm__Vanished v = TM__VANISHED__INIT;
	struct uidset set = { 0 };
	struct buf text = { 0 }, pairs[2] = { { 0 } };
	const char *given[] = { seqnos, uids };

	for (int i = 0; i < 2; i++) {
		uidset_clear(&set);
		for (const char *at = given[i]; *at != '\0';
		     at += strcspn(at, ",") + (strchr(at, ',') != NULL))
			uidset_add(&set, (uint32_t)strtoul(at, NULL, 10));
		uidset_encode(&set, &pairs[i]);
	}
	v.since = 1; /* below the horizon */
	v.match_seqnos = (ProtobufCBinaryData){ pairs[0].bytes, (uint8_t *)pairs[0].at };
	v.match_uids = (ProtobufCBinaryData){ pairs[1].bytes, (uint8_t *)pairs[1].at };
	decoded(read_vanished(&s, &v, &b->arena), &set);
	uidset_text(&set, &text);
	buf_putc(&text, '\0');
	ck_assert_str_eq(text.at, want);
	buf_free(&text);
	buf_free(&pairs[0]);
	buf_free(&pairs[1]);
	uidset_free(&set);
}

START_TEST(sequence_match_data)
{
	struct box b;
	struct uidset gone = { 0 };

	box_open(&b);
	box_append(&b, 20);
	uidset_add(&gone, 3);
	uidset_add_range(&gone, 10, 12);
	uidset_add(&gone, 20);
	box_expunge(&b, &gone);
	vanished_prune(b.vanished, b.pages->counters.highestmodseq);
	/* left: 1 2 4-9 (3-8) 13-19 (9-15) */
	match_check(&b, "", "", "3,10:12,20");
	match_check(&b, "1,2", "1,2", "3,10:12,20");
	match_check(&b, "2,4", "2,5", "10:12,20");
	match_check(&b, "2,5", "2,5", "3,10:12,20"); /* it knew 3 */
	match_check(&b, "3,9", "4,13", "20");
	match_check(&b, "1,15", "1,19", "20");
	match_check(&b, "1,16", "1,20", "3,10:12,20");
	match_check(&b, "1,2,3", "1,2", "3,10:12,20");
	uidset_free(&gone);
	box_close(&b);
}
END_TEST

START_TEST(the_highest_uid_is_not_missed)
{
	struct box b;
	struct changes_source s;
	Tm__Vanished v = TM__VANISHED__INIT;
	struct uidset set = { 0 };

	box_open(&b);
	box_append(&b, 5);
	v.since = b.pages->counters.highestmodseq;
	uidset_add(&set, 5);
	box_expunge(&b, &set);
	s = source(&b);
	decoded(read_vanished(&s, &v, &b.arena), &set);
	ck_assert_uint_eq(uidset_size(&set), 1);
	ck_assert_uint_eq(uidset_max(&set), 5);
	uidset_free(&set);
	box_close(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("read_changes");
	TCase *t = tcase_create("read_changes");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, clients_end_up_where_the_mailbox_is);
	tcase_add_test(t, select_is_told_everything);
	tcase_add_test(t, many_rows_come_in_parts);
	tcase_add_test(t, long_rows_of_the_ring_come_in_parts);
	tcase_add_test(t, sequence_match_data);
	tcase_add_test(t, the_highest_uid_is_not_missed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
