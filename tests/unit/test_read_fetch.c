/* test_read_fetch.c: FETCH by a reader: what stands in the frames, put together again. */
#include "tests/unit/fake_store.h"
#include "tests/unit/mail_util.h"

#include "replication/reader.h"
#include "server/imap/fetch_items.h"
#include "server/mail/decode.h"
#include "storage/base/limits.h"

struct box {
	struct mailbox_pages *pages;
	struct store *store;
};

static void box_open(struct box *b)
{
	b->pages = pages_new((mailbox_id){ 1 }, 1);
	b->store = fake_store_new();
}

static void box_close(struct box *b)
{
	pages_drop(&b->pages);
	fake_store_free(b->store);
}

struct fetch {
	Tm__Read read;
	Tm__FetchMessages what;
	struct buf items, uids, recent;
};

static void encode_set(const char *text, struct buf *out)
{
	struct uidset s = { 0 };

	while (*text != '\0') {
		char *end;
		uint32_t lo = (uint32_t)strtoul(text, &end, 10);
		uint32_t hi = *end == ':' ? (uint32_t)strtoul(end + 1, &end, 10) : lo;

		uidset_add_range(&s, lo, hi);
		text = *end == ',' ? end + 1 : end;
	}
	uidset_encode(&s, out);
	uidset_free(&s);
}

static ProtobufCBinaryData data_of(const struct buf *b)
{
	return (ProtobufCBinaryData){ b->bytes, (uint8_t *)b->at };
}

static void fetch_make(struct fetch *f, const char *uids, const char *items)
{
	struct arena a;
	struct buf line = { 0 };
	struct fetch_items parsed;
	struct cursor c;

	memset(f, 0, sizeof(*f));
	arena_init(&a);
	tm__read__init(&f->read);
	tm__fetch_messages__init(&f->what);
	buf_printf(&line, "%s\r\n", items);
	c = cursor_of(buf_span(&line));
	ck_assert_msg(fetch_items_parse(&c, &a, &parsed) == PARSE_OK, "%s", items);
	parsed.simple |= FETCH_UID;
	fetch_items_encode(&parsed, &f->items);
	encode_set(uids, &f->uids);
	f->what.items = data_of(&f->items);
	f->what.uids = data_of(&f->uids);
	f->read.what_case = TM__READ__WHAT_FETCH;
	f->read.fetch = &f->what;
	buf_free(&line);
	arena_free(&a);
}

static void fetch_free(struct fetch *f)
{
	buf_free(&f->items);
	buf_free(&f->uids);
	buf_free(&f->recent);
}

/* Puts together "[uid: text]\n" of each message; checks first and last. A negative result is the
 * reader's. */
static int fetch_run(struct box *b, const struct fetch *f, struct buf *out, unsigned *frames)
{
	struct mailbox_pages *pin = pages_pin(b->pages);
	struct reader *r = NULL;
	Tm__ReadFrame frame;
	uint32_t open = 0;
	int more;

	ck_assert_int_eq(reader_new(&pin, &f->read, b->store, (partition_id){ 0 }, &r), OK);
	ck_assert_ptr_null(pin);
	*frames = 0;
	do {
		size_t bytes = 0;

		more = reader_next(r, &frame);
		++*frames;
		for (size_t i = 0; more >= 0 && i < frame.n_pieces; i++) {
			const Tm__FetchPiece *p = frame.pieces[i];

			ck_assert_int_eq(p->first, open == 0);
			ck_assert(open == 0 || open == p->uid);
			open = p->last ? 0 : p->uid;
			if (p->first)
				buf_printf(out, "[%u: ", p->uid);
			buf_put(out, p->text.data, p->text.len);
			if (p->last)
				buf_puts(out, "]\n");
			bytes += p->text.len;
		}
		ck_assert(more < 0 || frame.end == (more == 0));
		ck_assert_uint_le(bytes, READ_FRAME_MAX_BYTES + 4096);
	} while (more > 0);
	ck_assert(more < 0 || open == 0);
	reader_free(&r);
	reader_free(&r);
	return more;
}

static void fetch_is(struct box *b, const char *uids, const char *items, const char *want)
{
	struct fetch f;
	struct buf got = { 0 };
	unsigned frames;

	fetch_make(&f, uids, items);
	ck_assert_int_eq(fetch_run(b, &f, &got, &frames), 0);
	buf_putc(&got, '\0');
	ck_assert_str_eq(got.at, want);
	buf_free(&got);
	fetch_free(&f);
}

static const char hello[] = "From: a@b.example\r\nSubject: hi\r\nX-Long: one\r\n two\r\n"
			    "Message-ID: <1@x>\r\n\r\nBody.\r\n";

static struct fake_message *add_text(struct box *b, uint32_t uid, const char *text)
{
	return fake_add(b->store, b->pages, uid, span_str(text));
}

START_TEST(items)
{
	struct box b;
	struct fake_message *m;
	uint32_t set;
	uint16_t slot = 0;

	box_open(&b);
	m = add_text(&b, 3, hello);
	m->info.internaldate = 837596665;
	m->info.zone = -420;
	m->info.savedate = 837596665;
	add_text(&b, 7, hello);
	ck_assert_int_eq(pages_set_keyword(b.pages, 0, span_str("Work")), OK);
	ck_assert_int_eq(pages_intern(b.pages, (struct flag_set){ FLAG_SEEN, 1, &slot }, &set), OK);
	ck_assert_int_eq(pages_set_flags(b.pages, 7, set, 100), OK);

	fetch_is(&b, "1:100", "(FLAGS)", "[3: UID 3 FLAGS ()]\n[7: UID 7 FLAGS (\\Seen Work)]\n");
	fetch_is(&b, "7,9", "(UID MODSEQ)", "[7: UID 7 MODSEQ (100)]\n");
	fetch_is(&b, "3", "RFC822.SIZE", "[3: UID 3 RFC822.SIZE 79]\n");
	fetch_is(&b, "3", "INTERNALDATE",
		 "[3: UID 3 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\"]\n");
	fetch_is(&b, "3", "SAVEDATE", "[3: UID 3 SAVEDATE \"17-Jul-1996 09:44:25 +0000\"]\n");
	fetch_is(&b, "3", "(EMAILID THREADID)",
		 "[3: UID 3 EMAILID (M03000000000000000000000000000000) "
		 "THREADID (Tabc0000000000003)]\n");
	fetch_is(&b, "3", "BODY",
		 "[3: UID 3 BODY (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL "
		 "NIL \"7bit\" 7 1)]\n");
	fetch_is(&b, "3", "ENVELOPE",
		 "[3: UID 3 ENVELOPE (NIL \"hi\" ((NIL NIL \"a\" \"b.example\")) ((NIL NIL \"a\" "
		 "\"b.example\")) ((NIL NIL \"a\" \"b.example\")) NIL NIL NIL NIL \"<1@x>\")]\n");
	fetch_is(&b, "4:6", "FLAGS", "");
	box_close(&b);
}
END_TEST

START_TEST(parts)
{
	struct box b;

	box_open(&b);
	add_text(&b, 1, hello);
	fetch_is(&b, "1", "BODY[TEXT]", "[1: UID 1 BODY[TEXT] {7}\r\nBody.\r\n]\n");
	fetch_is(&b, "1", "BODY.PEEK[]<66.1000>",
		 "[1: UID 1 BODY[]<66> {13}\r\nx>\r\n\r\nBody.\r\n]\n");
	fetch_is(&b, "1", "BODY[TEXT]<2.3>", "[1: UID 1 BODY[TEXT]<2> {3}\r\ndy.]\n");
	fetch_is(&b, "1", "BODY[TEXT]<7.3>", "[1: UID 1 BODY[TEXT]<7> {0}\r\n]\n");
	fetch_is(&b, "1", "BODY[TEXT]<4000000000.3>",
		 "[1: UID 1 BODY[TEXT]<4000000000> {0}\r\n]\n");
	fetch_is(&b, "1", "BODY[HEADER.FIELDS (SUBJECT X-LONG)]",
		 "[1: UID 1 BODY[HEADER.FIELDS (SUBJECT X-LONG)] {34}\r\n"
		 "Subject: hi\r\nX-Long: one\r\n two\r\n\r\n]\n");
	fetch_is(&b, "1", "BODY[HEADER.FIELDS (SUBJECT)]<9.2>",
		 "[1: UID 1 BODY[HEADER.FIELDS (SUBJECT)]<9> {2}\r\nhi]\n");
	fetch_is(&b, "1", "BODY[HEADER.FIELDS.NOT (SUBJECT X-LONG MESSAGE-ID)]",
		 "[1: UID 1 BODY[HEADER.FIELDS.NOT (SUBJECT X-LONG MESSAGE-ID)] {21}\r\n"
		 "From: a@b.example\r\n\r\n]\n");
	fetch_is(&b, "1", "BODY[2]", "[1: UID 1 BODY[2] NIL]\n");
	fetch_is(&b, "1", "RFC822.TEXT", "[1: UID 1 RFC822.TEXT {7}\r\nBody.\r\n]\n");
	fetch_is(&b, "1", "(BODY[1] BODY.PEEK[TEXT])",
		 "[1: UID 1 BODY[1] {7}\r\nBody.\r\n BODY[TEXT] {7}\r\nBody.\r\n]\n");
	fetch_is(&b, "1", "(BODY[HEADER.FIELDS (NONE)] BODY[TEXT]<0.1>)",
		 "[1: UID 1 BODY[HEADER.FIELDS (NONE)] {2}\r\n\r\n BODY[TEXT]<0> {1}\r\nB]\n");
	box_close(&b);
}
END_TEST

START_TEST(recent_and_modseq_come_with_the_request)
{
	struct box b;
	struct fetch f;
	struct buf got = { 0 };
	uint32_t set;
	unsigned frames;

	box_open(&b);
	add_text(&b, 1, hello);
	add_text(&b, 2, hello);
	add_text(&b, 3, hello);
	ck_assert_int_eq(pages_intern(b.pages, (struct flag_set){ .system = FLAG_DRAFT }, &set),
			 OK);
	ck_assert_int_eq(pages_set_flags(b.pages, 2, set, 50), OK);
	fetch_make(&f, "1:3", "FLAGS");
	encode_set("1:2", &f.recent);
	f.what.recent = data_of(&f.recent);
	f.what.with_modseq = true;
	ck_assert_int_eq(fetch_run(&b, &f, &got, &frames), 0);
	buf_putc(&got, '\0');
	ck_assert_str_eq(got.at, "[1: UID 1 FLAGS (\\Recent) MODSEQ (2)]\n"
				 "[2: UID 2 FLAGS (\\Recent \\Draft) MODSEQ (50)]\n"
				 "[3: UID 3 FLAGS () MODSEQ (4)]\n");
	buf_reset(&got);
	f.what.has_changedsince = true;
	f.what.changedsince = 3;
	ck_assert_int_eq(fetch_run(&b, &f, &got, &frames), 0);
	buf_putc(&got, '\0');
	ck_assert_str_eq(got.at, "[2: UID 2 FLAGS (\\Recent \\Draft) MODSEQ (50)]\n"
				 "[3: UID 3 FLAGS () MODSEQ (4)]\n");
	buf_free(&got);
	fetch_free(&f);
	box_close(&b);
}
END_TEST

/* Everything that can change is the pin's: expunged ones are left out whole. */
START_TEST(what_is_gone_is_left_out)
{
	struct box b;

	box_open(&b);
	for (uint32_t uid = 1; uid <= 200; uid++) {
		struct fake_message *m = add_text(&b, uid, hello);

		m->gone = uid != 5 && uid != 150 && uid != 151;
		m->no_shape = uid == 151;
	}
	fetch_is(
		&b, "1:200", "BODY[TEXT]<0.4>",
		"[5: UID 5 BODY[TEXT]<0> {4}\r\nBody]\n[150: UID 150 BODY[TEXT]<0> {4}\r\nBody]\n");
	fetch_is(&b, "1:3", "(FLAGS RFC822.SIZE)", /* asks nobody */
		 "[1: UID 1 FLAGS () RFC822.SIZE 79]\n[2: UID 2 FLAGS () RFC822.SIZE 79]\n"
		 "[3: UID 3 FLAGS () RFC822.SIZE 79]\n");
	ck_assert_uint_eq(b.store->rows_read, 200);
	box_close(&b);
}
END_TEST

static void large_body(struct buf *b, size_t bytes)
{
	buf_puts(b, "Subject: large\r\n\r\n");
	for (size_t i = 0; b->bytes < bytes; i++)
		buf_printf(b, "line %zu\r\n", i);
	b->at[b->bytes - 5] = '\0'; /* no string of IMAP holds NUL */
}

START_TEST(large_literals_come_in_frames)
{
	struct box b;
	struct fetch f;
	struct buf body = { 0 }, got = { 0 }, want = { 0 };
	unsigned frames;

	box_open(&b);
	large_body(&body, 700 * 1024);
	fake_add(b.store, b.pages, 1, buf_span(&body));
	add_text(&b, 2, hello);
	fetch_make(&f, "1:2", "(BODY.PEEK[] BODY[TEXT]<0.4>)");
	ck_assert_int_eq(fetch_run(&b, &f, &got, &frames), 0);
	ck_assert_uint_ge(frames, 6);
	ck_assert_uint_le(frames, 8);
	buf_printf(&want, "[1: UID 1 BODY[] {%zu}\r\n", body.bytes);
	body.at[body.bytes - 5] = (char)0x80;
	buf_put_span(&want, buf_span(&body));
	buf_printf(&want, " BODY[TEXT]<0> {4}\r\nline]\n[2: UID 2 BODY[] {%zu}\r\n%s",
		   strlen(hello), hello);
	buf_puts(&want, " BODY[TEXT]<0> {4}\r\nBody]\n");
	ck_assert(span_eq(buf_span(&got), buf_span(&want)));
	fetch_free(&f);
	buf_free(&body);
	buf_free(&got);
	buf_free(&want);
	box_close(&b);
}
END_TEST

/* Each store call fails once: the reader says so, leaks nothing, and says nothing twice. */
START_TEST(any_single_store_call_may_fail)
{
	struct box b;
	struct buf body = { 0 };

	box_open(&b);
	large_body(&body, 300 * 1024);
	add_text(&b, 1, hello);
	fake_add(b.store, b.pages, 2, buf_span(&body));
	for (uint32_t nth = 1;; nth++) {
		struct fetch f;
		struct buf got = { 0 };
		unsigned frames;

		b.store->calls = 0;
		b.store->fail_at = nth;
		fetch_make(&f, "1:2", "(ENVELOPE BODY[HEADER.FIELDS (SUBJECT)] BODY[])");
		int rc = fetch_run(&b, &f, &got, &frames);
		bool all = b.store->calls < nth;

		ck_assert_int_eq(rc, all ? 0 : ERR_IO);
		fetch_free(&f);
		buf_free(&got);
		if (all)
			break;
	}
	ck_assert_uint_gt(b.store->calls, 5);
	buf_free(&body);
	box_close(&b);
}
END_TEST

/* All the odd mails: the parts are where the scanner says. */
START_TEST(odd_mails)
{
	struct box b;
	struct fetch f;
	struct buf got = { 0 }, want = { 0 };
	glob_t found = { 0 };
	uint32_t uid = 0;
	unsigned frames;

	box_open(&b);
	ck_assert_int_eq(glob("tests/mail/*/*.eml", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc && uid < FAKE_MESSAGES_MAX; i++) {
		struct buf mail = mail_read(found.gl_pathv[i], true);

		fake_add(b.store, b.pages, ++uid, buf_span(&mail));
		buf_printf(&want, "[%u: UID %u BODY[] {%zu}\r\n", uid, uid, mail.bytes);
		for (size_t k = 0; k < mail.bytes; k++)
			buf_putc(&want, mail.at[k] == '\0' ? (char)0x80 : mail.at[k]);
		buf_puts(&want, "]\n");
		buf_free(&mail);
	}
	fetch_make(&f, "1:2000", "BODY.PEEK[]");
	ck_assert_int_eq(fetch_run(&b, &f, &got, &frames), 0);
	ck_assert(span_eq(buf_span(&got), buf_span(&want)));
	fetch_free(&f);
	fetch_make(
		&f, "1:2000",
		"(ENVELOPE BODY BODYSTRUCTURE BODY[1] BODY[2.MIME] BODY[1.1.HEADER] BODY[HEADER] "
		"BODY[2.HEADER.FIELDS.NOT (SUBJECT)] RFC822)");
	ck_assert_int_eq(fetch_run(&b, &f, &got, &frames), 0);
	fetch_free(&f);
	globfree(&found);
	buf_free(&got);
	buf_free(&want);
	box_close(&b);
}
END_TEST

/* What a session missed comes before the data, if it does not fit the first frame. */
START_TEST(the_rest_of_the_rows_comes_first)
{
	struct box b;
	struct fetch f;
	struct reader *r = NULL;
	Tm__Known known = TM__KNOWN__INIT;
	Tm__ReadFrame frame;
	uint32_t rows = 0;

	box_open(&b);
	for (uint32_t uid = 1; uid <= FAKE_MESSAGES_MAX; uid++)
		ck_assert_int_eq(pages_append(b.pages, uid, 0, 2, 1), OK);
	b.pages->counters.uidnext = FAKE_MESSAGES_MAX + 1;
	b.pages->counters.highestmodseq = 2;
	known.seen = 1;
	known.uidnext = FAKE_MESSAGES_MAX + 1;
	fetch_make(&f, "5", "FLAGS");
	for (int with = 0; with < 2; with++) {
		struct mailbox_pages *pin = pages_pin(b.pages);

		if (with)
			ck_assert_int_eq(reader_new(&pin, &f.read, NULL, (partition_id){ 0 }, &r),
					 OK);
		else
			pages_drop(&pin);
		pin = pages_pin(b.pages);
		r = rows_reader_new(&pin, &known, 1001, &r);
		rows = 0;
		ck_assert_int_eq(reader_next(r, &frame), with);
		for (size_t i = 0; i < frame.changes->n_rows; i++)
			ck_assert_uint_eq(frame.changes->rows[i]->uid, 1001 + rows++);
		ck_assert_uint_eq(rows, FAKE_MESSAGES_MAX - 1000);
		ck_assert_uint_eq(frame.changes->highestmodseq, 2);
		ck_assert_int_eq(frame.end, !with);
		if (with) {
			ck_assert_int_eq(reader_next(r, &frame), 0);
			ck_assert_uint_eq(frame.n_pieces, 1);
			ck_assert_ptr_null(frame.changes);
		}
		reader_free(&r);
	}
	ck_assert_uint_eq(atomic_load(&b.pages->refs), 1);
	fetch_free(&f);
	box_close(&b);
}
END_TEST

START_TEST(what_needs_the_store)
{
	static const struct {
		const char *items;
		bool needs;
	} cases[] = {
		{ "(UID FLAGS MODSEQ RFC822.SIZE)", false },
		{ "FAST", true },
		{ "INTERNALDATE", true },
		{ "ENVELOPE", true },
		{ "BODY[]", true },
		{ "EMAILID", true },
		{ "FLAGS", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetch f;
		bool needs = !cases[i].needs;

		fetch_make(&f, "1", cases[i].items);
		ck_assert_int_eq(reader_needs_store(&f.read, &needs), OK);
		ck_assert_int_eq(needs, cases[i].needs);
		fetch_free(&f);
	}
}
END_TEST

START_TEST(bad_bytes_are_refused)
{
	struct box b;
	struct fetch f;
	struct reader *r = NULL;
	struct mailbox_pages *pin;
	uint8_t rubbish[] = { 0xff, 0xff, 0xff };
	bool needs;

	box_open(&b);
	for (int i = 0; i < 3; i++) {
		fetch_make(&f, "1", "FLAGS");
		ProtobufCBinaryData *d[] = { &f.what.items, &f.what.uids, &f.what.recent };

		*d[i] = (ProtobufCBinaryData){ sizeof(rubbish), rubbish };
		pin = pages_pin(b.pages);
		ck_assert_int_eq(reader_new(&pin, &f.read, b.store, (partition_id){ 0 }, &r),
				 ERR_BAD_INPUT);
		ck_assert_ptr_null(pin);
		if (i == 0)
			ck_assert_int_eq(reader_needs_store(&f.read, &needs), ERR_BAD_INPUT);
		fetch_free(&f);
	}
	tm__read__init(&f.read);
	pin = pages_pin(b.pages);
	ck_assert_int_eq(reader_new(&pin, &f.read, b.store, (partition_id){ 0 }, &r),
			 ERR_BAD_INPUT);
	ck_assert_int_eq(reader_needs_store(&f.read, &needs), ERR_BAD_INPUT);
	ck_assert_uint_eq(atomic_load(&b.pages->refs), 1);
	box_close(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("read_fetch");
	TCase *t = tcase_create("read_fetch");
	SRunner *r;
	int failed;

	mail_init();
	tcase_set_timeout(t, 60);
	tcase_add_test(t, items);
	tcase_add_test(t, parts);
	tcase_add_test(t, recent_and_modseq_come_with_the_request);
	tcase_add_test(t, what_is_gone_is_left_out);
	tcase_add_test(t, large_literals_come_in_frames);
	tcase_add_test(t, any_single_store_call_may_fail);
	tcase_add_test(t, odd_mails);
	tcase_add_test(t, the_rest_of_the_rows_comes_first);
	tcase_add_test(t, what_needs_the_store);
	tcase_add_test(t, bad_bytes_are_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
