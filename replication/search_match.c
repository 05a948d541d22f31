#include "replication/search_match.h"

#include "server/mail/date.h"
#include "server/mail/decode.h"
#include "server/mail/shape.h"
#include "server/mail/text_match.h"
#include "storage/base/err.h"
#include "storage/base/flag_bits.h"

#include <assert.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a criterion costs; children of AND and OR are tested in this order. */
enum cost { COST_PIN, COST_ROW, COST_SHAPE, COST_HEADER, COST_BODY };

/* A node of the program with what is prepared once. */
struct test {
	const struct search_node *node;
	enum cost cost;
	struct test *children;
	size_t child_count;
	struct uidset uids;
	struct text_needle *needle;
	/* A keyword's slot in the pin that was last looked at. */
	const struct keywords *names;
	int slot;
};

struct search_matcher {
	struct arena arena; /* program and tests */
	struct search_program program;
	struct test root;

	/* The message at hand, as far as it was asked for. */
	const struct search_context *c;
	const struct page_entry *e;
	const struct message_info *info;
	bool has_shape;
	struct buf shape_bytes;
	struct arena shape_arena;
	const struct shape *shape;
};

/* ---- preparing ---- */

static const enum cost costs[SEARCH_KEY_COUNT] = {
	[SEARCH_BEFORE] = COST_ROW,        [SEARCH_ON] = COST_ROW,
	[SEARCH_SINCE] = COST_ROW,         [SEARCH_SAVED_BEFORE] = COST_ROW,
	[SEARCH_SAVED_ON] = COST_ROW,      [SEARCH_SAVED_SINCE] = COST_ROW,
	[SEARCH_OLDER] = COST_ROW,         [SEARCH_YOUNGER] = COST_ROW,
	[SEARCH_EMAILID] = COST_ROW,       [SEARCH_THREADID] = COST_ROW,
	[SEARCH_SENT_BEFORE] = COST_SHAPE, [SEARCH_SENT_ON] = COST_SHAPE,
	[SEARCH_SENT_SINCE] = COST_SHAPE,  [SEARCH_HEADER] = COST_HEADER,
	[SEARCH_BODY] = COST_BODY,         [SEARCH_TEXT] = COST_BODY,
};

static int by_cost(const void *a, const void *b)
{
	const struct test *x = a, *y = b;

	return (int)x->cost - (int)y->cost;
}

static int make_needle(struct search_matcher *m, struct test *t)
{
	struct buf utf8 = { 0 };
	struct span charset = m->program.charset;
	int rc = OK;

	if (charset.bytes == 0)
		buf_put_span(&utf8, t->node->text);
	else
		rc = decode_charset(charset, t->node->text, &utf8);
	if (rc == OK)
		rc = text_needle_new(buf_span(&utf8), &t->needle);
	buf_free(&utf8);
	return rc;
}

static int prepare(struct search_matcher *m, const struct search_node *node, struct test *t);

static int prepare_children(struct search_matcher *m, struct test *t)
{
	int rc = OK;

	for (const struct search_node *n = t->node->child; n != NULL; n = n->next)
		t->child_count++;
	t->children = arena_zalloc(&m->arena, (t->child_count + 1) * sizeof(*t->children));
	size_t i = 0;
	for (const struct search_node *n = t->node->child; rc == OK && n != NULL; n = n->next)
		rc = prepare(m, n, &t->children[i++]);
	for (i = 0; i < t->child_count; i++)
		if (t->children[i].cost > t->cost)
			t->cost = t->children[i].cost;
	/* A stable order is not needed: AND and OR do not care. */
	qsort(t->children, t->child_count, sizeof(*t->children), by_cost);
	return rc;
}

/* The depth is bounded by SEARCH_NESTING_MAX_LEVELS, which decoding checks. */
static int prepare(struct search_matcher *m, const struct search_node *node, struct test *t)
{
	t->node = node;
	t->cost = costs[node->key];
	if (node->key == SEARCH_UID)
		seq_set_resolve(&node->set, 0, &t->uids);
	if (node->key == SEARCH_HEADER || node->key == SEARCH_BODY || node->key == SEARCH_TEXT)
		return make_needle(m, t);
	return prepare_children(m, t);
}

static void test_free(struct test *t)
{
	for (size_t i = 0; i < t->child_count; i++)
		test_free(&t->children[i]);
	uidset_free(&t->uids);
	text_needle_free(&t->needle);
}

int search_matcher_new(struct span program, struct search_matcher **ret)
{
	struct search_matcher *m = g_new0(struct search_matcher, 1);

	arena_init(&m->arena);
	arena_init(&m->shape_arena);
	int rc = search_program_decode(program, &m->arena, &m->program);
	if (rc == OK)
		rc = prepare(m, m->program.root, &m->root);
	if (rc != OK) {
		search_matcher_free(&m);
		return ERR_BAD_INPUT;
	}
	*ret = m;
	return OK;
}

void search_matcher_free(struct search_matcher **mm)
{
	struct search_matcher *m = *mm;

	if (m == NULL)
		return;
	test_free(&m->root);
	arena_free(&m->arena);
	arena_free(&m->shape_arena);
	buf_free(&m->shape_bytes);
	g_free(m);
	*mm = NULL;
}

bool search_matcher_needs_store(const struct search_matcher *m)
{
	return m->root.cost > COST_PIN;
}

uint64_t search_matcher_least_modseq(const struct search_matcher *m)
{
	uint64_t least = 0;

	if (m->root.node->key == SEARCH_MODSEQ)
		return m->root.node->number;
	if (m->root.node->key != SEARCH_AND)
		return 0;
	for (size_t i = 0; i < m->root.child_count; i++) {
		const struct search_node *n = m->root.children[i].node;

		if (n->key == SEARCH_MODSEQ && n->number > least)
			least = n->number;
	}
	return least;
}

/* ---- what the store says of the message at hand ---- */

static int need_shape(struct search_matcher *m)
{
	if (m->has_shape)
		return OK;
	buf_reset(&m->shape_bytes);
	arena_reset(&m->shape_arena);
	int rc = store_shape(m->c->store, m->c->partition, m->info, &m->shape_bytes);
	if (rc == OK)
		rc = shape_decode(buf_span(&m->shape_bytes), &m->shape_arena, &m->shape);
	m->has_shape = rc == OK;
	return rc;
}

static int read_bytes(void *data, uint64_t offset, size_t bytes, struct buf *out)
{
	struct search_matcher *m = data;

	return store_body(m->c->store, m->c->partition, m->info->guid, offset, bytes, out);
}

/* ---- criteria ---- */

static bool has_keyword(struct search_matcher *m, struct test *t)
{
	if (t->names != m->c->pin->keywords) {
		t->names = m->c->pin->keywords;
		t->slot = keywords_find(t->names, t->node->text);
	}
	return t->slot >= 0 && flag_set_has(pages_flags(m->c->pin, m->e), (uint32_t)t->slot);
}

static bool on_pin(struct search_matcher *m, struct test *t)
{
	const struct search_node *n = t->node;
	const struct page_entry *e = m->e;

	switch ((int)n->key) {
	case SEARCH_UID: return uidset_has(&t->uids, e->uid);
	case SEARCH_FLAG: return (flag_sets_system(m->c->pin->sets, e->set) & n->number) != 0;
	case SEARCH_RECENT: return uidset_has(m->c->recent, e->uid);
	case SEARCH_KEYWORD: return has_keyword(m, t);
	case SEARCH_LARGER: return e->size > n->number;
	case SEARCH_SMALLER: return e->size < n->number;
	case SEARCH_MODSEQ: return e->modseq >= n->number;
	case SEARCH_ALL:
	case SEARCH_SAVEDATE_SUPPORTED: return true;
	default: return false;
	}
}

static int64_t day_of(int64_t seconds, int32_t zone)
{
	return calendar_day(mail_date_local(
		(struct mail_date){ .unix_seconds = seconds, .zone_minutes = (int16_t)zone }));
}

static bool same_id(struct span text, char prefix, const char *hex)
{
	return text.bytes == strlen(hex) + 1 && text.at[0] == prefix &&
	       memcmp(text.at + 1, hex, text.bytes - 1) == 0;
}

static bool has_id(const struct search_matcher *m, const struct search_node *n)
{
	char hex[2 * sizeof(guid) + 1];

	if (n->key == SEARCH_THREADID) {
		(void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)m->info->thread);
		return same_id(n->text, 'T', hex);
	}
	for (size_t i = 0; i < sizeof(guid); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", m->info->guid.b[i]);
	return same_id(n->text, 'M', hex);
}

static bool on_row(const struct search_matcher *m, const struct search_node *n)
{
	int64_t internal = day_of(m->info->internaldate, m->info->zone);
	int64_t saved = day_of(m->info->savedate, 0);
	int64_t age = m->c->now - m->info->internaldate;

	switch ((int)n->key) {
	case SEARCH_BEFORE: return internal < n->day;
	case SEARCH_ON: return internal == n->day;
	case SEARCH_SINCE: return internal >= n->day;
	case SEARCH_SAVED_BEFORE: return saved < n->day;
	case SEARCH_SAVED_ON: return saved == n->day;
	case SEARCH_SAVED_SINCE: return saved >= n->day;
	/* RFC 5032, 3: the target time itself is both. */
	case SEARCH_OLDER: return age >= (int64_t)n->number;
	case SEARCH_YOUNGER: return age <= (int64_t)n->number;
	default: return has_id(m, n);
	}
}

static bool on_sent_date(const struct search_matcher *m, const struct search_node *n)
{
	struct mail_date d;

	if (mail_date_parse(m->shape->root->envelope->date, &d) != OK)
		return false;
	int64_t day = calendar_day(mail_date_local(d));
	if (n->key == SEARCH_SENT_BEFORE)
		return day < n->day;
	return n->key == SEARCH_SENT_ON ? day == n->day : day >= n->day;
}

static int on_text(struct search_matcher *m, const struct test *t, bool *ret)
{
	struct mail_source source = { m->shape, read_bytes, m };

	if (t->node->key == SEARCH_HEADER)
		return mail_search_header(&source, t->node->name, t->needle, ret);
	if (t->node->key == SEARCH_BODY)
		return mail_search_body(&source, t->needle, ret);
	return mail_search_text(&source, t->needle, ret);
}

static int test_leaf(struct search_matcher *m, struct test *t, bool *ret)
{
	int rc = OK;

	switch (t->cost) {
	case COST_PIN: *ret = on_pin(m, t); return OK;
	case COST_ROW: *ret = on_row(m, t->node); return OK;
	case COST_SHAPE:
		rc = need_shape(m);
		if (rc == OK)
			*ret = on_sent_date(m, t->node);
		return rc;
	case COST_HEADER:
	case COST_BODY: rc = need_shape(m); return rc == OK ? on_text(m, t, ret) : rc;
	}
	return ERR_CORRUPT;
}

static int test_node(struct search_matcher *m, struct test *t, bool *ret)
{
	bool one = false;

	switch ((int)t->node->key) {
	case SEARCH_AND:
	case SEARCH_OR:
		/* Ends with the first that decides. */
		*ret = t->node->key == SEARCH_AND;
		for (size_t i = 0; i < t->child_count; i++) {
			int rc = test_node(m, &t->children[i], &one);

			if (rc != OK)
				return rc;
			if (one != *ret) {
				*ret = one;
				return OK;
			}
		}
		return OK;
	case SEARCH_NOT: {
		int rc = test_node(m, &t->children[0], &one);

		*ret = !one;
		return rc;
	}
	default: return test_leaf(m, t, ret);
	}
}

static enum match glance_at(struct search_matcher *m, struct test *t);

static enum match glance_at_children(struct search_matcher *m, struct test *t)
{
	enum match decides = t->node->key == SEARCH_AND ? MATCH_NO : MATCH_YES;
	bool unknown = false;

	for (size_t i = 0; i < t->child_count; i++) {
		enum match one = glance_at(m, &t->children[i]);

		if (one == decides)
			return decides;
		unknown = unknown || one == MATCH_UNKNOWN;
	}
	if (unknown)
		return MATCH_UNKNOWN;
	return decides == MATCH_NO ? MATCH_YES : MATCH_NO;
}

static enum match glance_at(struct search_matcher *m, struct test *t)
{
	enum match one;

	switch ((int)t->node->key) {
	case SEARCH_AND:
	case SEARCH_OR: return glance_at_children(m, t);
	case SEARCH_NOT:
		one = glance_at(m, &t->children[0]);
		if (one == MATCH_UNKNOWN)
			return one;
		return one == MATCH_NO ? MATCH_YES : MATCH_NO;
	default:
		if (t->cost > COST_PIN)
			return MATCH_UNKNOWN;
		return on_pin(m, t) ? MATCH_YES : MATCH_NO;
	}
}

static void look_at(struct search_matcher *m, const struct search_context *c,
		    const struct page_entry *e, const struct message_info *info)
{
	m->c = c;
	m->e = e;
	m->info = info;
	m->has_shape = false;
}

enum match search_matcher_glance(struct search_matcher *m, const struct search_context *c,
				 const struct page_entry *e)
{
	look_at(m, c, e, NULL);
	return glance_at(m, &m->root);
}

int search_matcher_test(struct search_matcher *m, const struct search_context *c,
			const struct page_entry *e, const struct message_info *info, bool *ret)
{
	look_at(m, c, e, info);
	int rc = test_node(m, &m->root, ret);
	if (rc == ERR_NOT_FOUND) {
		*ret = false;
		return OK;
	}
	return rc;
}
