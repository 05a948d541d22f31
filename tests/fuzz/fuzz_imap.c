/* fuzz_imap.c: the bytes of a client. How they are cut does not change what they mean; what was
 * parsed can be sent on and means the same there; what cannot be decoded is refused. The first byte
 * chooses the property, the second the cuts or the answers. */
#include "tests/unit/imap_dump.h"

#include "server/imap/list_match.h"
#include "server/imap/mutf7.h"
#include "storage/base/err.h"

#include <stdlib.h>

static size_t cut_never(void *data, size_t left)
{
	(void)data;
	return left;
}

/* 1 to 128 bytes, small and large, as a row of numbers that begins at *data says. */
static size_t cut_often(void *data, size_t left)
{
	uint32_t *state = data;

	*state = *state * 1664525 + 1013904223;
	size_t n = (size_t)1 << (*state >> 24) % 8;
	return n < left ? n : left;
}

static void check_cuts(struct span in, uint8_t choice)
{
	struct dump_policy policy = { .reject = choice % 4, .skip_max = choice % 8 < 4 ? 0 : 300 };
	struct buf whole = { 0 }, cut = { 0 };
	uint32_t state = choice;

	dump_stream(in, cut_never, NULL, policy, &whole);
	dump_stream(in, cut_often, &state, policy, &cut);
	if (!span_eq(buf_span(&whole), buf_span(&cut)))
		abort();
	buf_free(&whole);
	buf_free(&cut);
}

static void resolve(void *data, struct search_node *node)
{
	struct uidset uids = { 0 };

	if (!node->set.saved)
		seq_set_resolve(&node->set, 1000, &uids);
	node->key = SEARCH_UID;
	seq_set_from_uids(&uids, data, &node->set);
	uidset_free(&uids);
}

static void check_search(struct span in, struct arena *a)
{
	struct search_program p = { 0 }, again;
	struct buf bytes = { 0 }, twice = { 0 };
	struct cursor c = cursor_of(in);

	if (search_program_parse(&c, a, &p) == PARSE_OK) {
		search_program_each_set(&p, resolve, a);
		search_program_encode(&p, &bytes);
		if (search_program_decode(buf_span(&bytes), a, &again) != OK)
			abort();
		search_program_encode(&again, &twice);
		if (!span_eq(buf_span(&bytes), buf_span(&twice)))
			abort();
	}
	buf_reset(&bytes);
	if (search_program_decode(in, a, &p) == OK)
		search_program_encode(&p, &bytes);
	buf_free(&bytes);
	buf_free(&twice);
}

static void check_fetch(struct span in, struct arena *a)
{
	struct fetch_items items = { 0 }, again;
	struct buf bytes = { 0 }, twice = { 0 };
	struct cursor c = cursor_of(in);

	if (fetch_items_parse(&c, a, &items) == PARSE_OK) {
		fetch_items_encode(&items, &bytes);
		if (fetch_items_decode(buf_span(&bytes), a, &again) != OK)
			abort();
		fetch_items_encode(&again, &twice);
		if (!span_eq(buf_span(&bytes), buf_span(&twice)))
			abort();
	}
	buf_reset(&bytes);
	if (fetch_items_decode(in, a, &items) == OK)
		dump_fetch_items(&bytes, &items);
	buf_free(&bytes);
	buf_free(&twice);
}

static void check_set(struct span in, struct arena *a)
{
	struct seq_set once, twice;
	struct buf first = { 0 }, second = { 0 };
	struct cursor c = cursor_of(in);

	if (seq_set_parse(&c, a, &once) == PARSE_OK) {
		seq_set_text(&once, &first);
		buf_putc(&first, ' ');
		c = cursor_of(buf_span(&first));
		if (seq_set_parse(&c, a, &twice) != PARSE_OK)
			abort();
		seq_set_text(&twice, &second);
		buf_putc(&second, ' ');
		if (!span_eq(buf_span(&first), buf_span(&second)))
			abort();
	}
	buf_free(&first);
	buf_free(&second);
}

static void check_name(struct span in, struct arena *a)
{
	struct mailbox_name m, again;
	struct buf wire = { 0 };

	mailbox_name_from_wire(in, a, &m);
	if (m.fault == MAILBOX_NAME_GOOD) {
		if (mutf7_from_utf8(m.utf8, &wire) != OK)
			abort();
		mailbox_name_from_wire(buf_span(&wire), a, &again);
		if (again.fault != MAILBOX_NAME_GOOD || !span_eq(m.utf8, again.utf8))
			abort();
	}
	buf_free(&wire);
}

/* Pattern, LF, name. */
static void check_pattern(struct span in, struct arena *a)
{
	const char *lf = in.bytes == 0 ? NULL : memchr(in.at, '\n', in.bytes);

	if (lf == NULL)
		return;
	size_t bytes = (size_t)(lf - in.at);
	const struct list_pattern *p = list_pattern_make(span_of("", 0), span_of(in.at, bytes), a);
	(void)list_pattern_match(p, span_of(lf + 1, in.bytes - bytes - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;

	if (size < 2)
		return 0;
	struct span in = span_of(data + 2, size - 2);
	arena_init(&a);
	switch (data[0] % 8) {
	case 0: check_search(in, &a); break;
	case 1: check_fetch(in, &a); break;
	case 2: check_set(in, &a); break;
	case 3: check_name(in, &a); break;
	case 4: check_pattern(in, &a); break;
	default: check_cuts(in, data[1]); break;
	}
	arena_free(&a);
	return 0;
}
