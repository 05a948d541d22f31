/* search_program.c: see search_program.h. The tree that the grammar builds is never deeper than
 * SEARCH_NESTING_MAX_LEVELS + SEARCH_EXTRA_LEVELS, so the recursions here are bounded. */
#include "server/imap/search_program.h"

#include "server/imap/wire.h"
#include "server/mail/date.h"
#include "storage/base/err.h"
#include "storage/base/flag_bits.h"
#include "storage/base/limits.h"

#include <assert.h>

/* The root, and what one word of a client stands for: NEW is AND(RECENT, NOT(FLAG)). */
enum { SEARCH_EXTRA_LEVELS = 4 };

/* What follows the name of a key. */
enum arg {
	ARG_NONE,
	ARG_STRING,
	ARG_HEADER, /* name and string */
	ARG_KEYWORD,
	ARG_DATE,
	ARG_NUMBER,
	ARG_NZ_NUMBER,
	ARG_MODSEQ,
	ARG_OBJECTID,
	ARG_UID_SET,
};

struct key_def {
	const char *name;
	enum arg arg;
	enum search_key key;
	bool negated;
	uint64_t number;    /* SEARCH_FLAG */
	const char *header; /* SEARCH_HEADER */
};

static const struct key_def key_defs[] = {
	{ .name = "ALL", .key = SEARCH_ALL },
	{ .name = "ANSWERED", .key = SEARCH_FLAG, .number = FLAG_ANSWERED },
	{ .name = "BCC", .arg = ARG_STRING, .key = SEARCH_HEADER, .header = "Bcc" },
	{ .name = "BEFORE", .arg = ARG_DATE, .key = SEARCH_BEFORE },
	{ .name = "BODY", .arg = ARG_STRING, .key = SEARCH_BODY },
	{ .name = "CC", .arg = ARG_STRING, .key = SEARCH_HEADER, .header = "Cc" },
	{ .name = "DELETED", .key = SEARCH_FLAG, .number = FLAG_DELETED },
	{ .name = "DRAFT", .key = SEARCH_FLAG, .number = FLAG_DRAFT },
	{ .name = "EMAILID", .arg = ARG_OBJECTID, .key = SEARCH_EMAILID },
	{ .name = "FLAGGED", .key = SEARCH_FLAG, .number = FLAG_FLAGGED },
	{ .name = "FROM", .arg = ARG_STRING, .key = SEARCH_HEADER, .header = "From" },
	{ .name = "HEADER", .arg = ARG_HEADER, .key = SEARCH_HEADER },
	{ .name = "KEYWORD", .arg = ARG_KEYWORD, .key = SEARCH_KEYWORD },
	{ .name = "LARGER", .arg = ARG_NUMBER, .key = SEARCH_LARGER },
	{ .name = "MODSEQ", .arg = ARG_MODSEQ, .key = SEARCH_MODSEQ },
	{ .name = "OLD", .key = SEARCH_RECENT, .negated = true },
	{ .name = "OLDER", .arg = ARG_NZ_NUMBER, .key = SEARCH_OLDER },
	{ .name = "ON", .arg = ARG_DATE, .key = SEARCH_ON },
	{ .name = "RECENT", .key = SEARCH_RECENT },
	{ .name = "SAVEDATESUPPORTED", .key = SEARCH_SAVEDATE_SUPPORTED },
	{ .name = "SAVEDBEFORE", .arg = ARG_DATE, .key = SEARCH_SAVED_BEFORE },
	{ .name = "SAVEDON", .arg = ARG_DATE, .key = SEARCH_SAVED_ON },
	{ .name = "SAVEDSINCE", .arg = ARG_DATE, .key = SEARCH_SAVED_SINCE },
	{ .name = "SEEN", .key = SEARCH_FLAG, .number = FLAG_SEEN },
	{ .name = "SENTBEFORE", .arg = ARG_DATE, .key = SEARCH_SENT_BEFORE },
	{ .name = "SENTON", .arg = ARG_DATE, .key = SEARCH_SENT_ON },
	{ .name = "SENTSINCE", .arg = ARG_DATE, .key = SEARCH_SENT_SINCE },
	{ .name = "SINCE", .arg = ARG_DATE, .key = SEARCH_SINCE },
	{ .name = "SMALLER", .arg = ARG_NUMBER, .key = SEARCH_SMALLER },
	{ .name = "SUBJECT", .arg = ARG_STRING, .key = SEARCH_HEADER, .header = "Subject" },
	{ .name = "TEXT", .arg = ARG_STRING, .key = SEARCH_TEXT },
	{ .name = "THREADID", .arg = ARG_OBJECTID, .key = SEARCH_THREADID },
	{ .name = "TO", .arg = ARG_STRING, .key = SEARCH_HEADER, .header = "To" },
	{ .name = "UID", .arg = ARG_UID_SET, .key = SEARCH_UID },
	{ .name = "UNANSWERED", .key = SEARCH_FLAG, .negated = true, .number = FLAG_ANSWERED },
	{ .name = "UNDELETED", .key = SEARCH_FLAG, .negated = true, .number = FLAG_DELETED },
	{ .name = "UNDRAFT", .key = SEARCH_FLAG, .negated = true, .number = FLAG_DRAFT },
	{ .name = "UNFLAGGED", .key = SEARCH_FLAG, .negated = true, .number = FLAG_FLAGGED },
	{ .name = "UNKEYWORD", .arg = ARG_KEYWORD, .key = SEARCH_KEYWORD, .negated = true },
	{ .name = "UNSEEN", .key = SEARCH_FLAG, .negated = true, .number = FLAG_SEEN },
	{ .name = "YOUNGER", .arg = ARG_NZ_NUMBER, .key = SEARCH_YOUNGER },
};

struct build {
	struct arena *a;
	uint32_t nodes;
};

static struct search_node *new_node(struct build *b, enum search_key key)
{
	struct search_node *n = arena_zalloc(b->a, sizeof(*n));

	n->key = key;
	b->nodes++;
	return n;
}

static enum parse one_key(struct cursor *c, struct build *b, unsigned level,
			  struct search_node **ret);

/* ---- arguments ---- */

static enum parse date_arg(struct cursor *c, struct build *b, struct search_node *n)
{
	struct calendar_date date = { 0 };
	struct span text = { NULL, 0 };
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	TRY(ch == '"' ? lex_quoted(c, b->a, &text) : lex_atom(c, &text));
	if (imap_date_parse(text, &date) < 0)
		return lex_bad(c, "Invalid date");
	n->day = calendar_day(date);
	return PARSE_OK;
}

/* [entry-name SP entry-type-req SP] mod-sequence-valzer: with one modseq per message the entry does
 * not matter (RFC 7162, 3.1.5), but it must be one. */
static enum parse modseq_arg(struct cursor *c, struct build *b, struct search_node *n)
{
	static const char prefix[] = "/flags/";
	struct span entry = { NULL, 0 }, type = { NULL, 0 };
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	if (ch == '"') {
		TRY(lex_quoted(c, b->a, &entry));
		if (entry.bytes < sizeof(prefix) ||
		    !span_is(span_of(entry.at, sizeof(prefix) - 1), prefix))
			return lex_bad(c, "Unknown MODSEQ entry");
		TRY(lex_space(c));
		TRY(lex_word(c, &type));
		if (!span_is(type, "all") && !span_is(type, "priv") && !span_is(type, "shared"))
			return lex_bad(c, "MODSEQ entry type is not all, priv or shared");
		TRY(lex_space(c));
	}
	return lex_number64(c, &n->number);
}

static enum parse objectid_arg(struct cursor *c, struct search_node *n)
{
	TRY(lex_atom(c, &n->text));
	bool good = n->text.bytes <= 255;
	for (size_t i = 0; good && i < n->text.bytes; i++) {
		unsigned char ch = (unsigned char)n->text.at[i];
		unsigned char low = ascii_lower(ch);

		good = (low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') || ch == '_' ||
		       ch == '-';
	}
	return good ? PARSE_OK : lex_bad(c, "Invalid object id");
}

static enum parse argument(struct cursor *c, struct build *b, enum arg arg, struct search_node *n)
{
	uint32_t number = 0;

	if (arg != ARG_NONE)
		TRY(lex_space(c));
	switch (arg) {
	case ARG_NONE: return PARSE_OK;
	case ARG_HEADER:
		TRY(lex_astring(c, b->a, &n->name));
		TRY(lex_space(c));
		return lex_astring(c, b->a, &n->text);
	case ARG_STRING: return lex_astring(c, b->a, &n->text);
	case ARG_KEYWORD: return lex_atom(c, &n->text);
	case ARG_DATE: return date_arg(c, b, n);
	case ARG_NUMBER: return lex_number64(c, &n->number);
	case ARG_NZ_NUMBER:
		TRY(lex_nz_number(c, &number));
		n->number = number;
		return PARSE_OK;
	case ARG_MODSEQ: return modseq_arg(c, b, n);
	case ARG_OBJECTID: return objectid_arg(c, n);
	case ARG_UID_SET: return seq_set_parse(c, b->a, &n->set);
	}
	assert(false && "an argument of unknown kind");
	return PARSE_BAD;
}

/* ---- keys ---- */

/* *(SP key) as children of *parent, up to ")" or the end of the line. */
static enum parse key_list(struct cursor *c, struct build *b, unsigned level,
			   struct search_node *parent)
{
	struct search_node **tail = &parent->child;
	char ch = '\0';

	for (;;) {
		TRY(one_key(c, b, level, tail));
		tail = &(*tail)->next;
		TRY(lex_peek(c, &ch));
		if (ch != ' ')
			return PARSE_OK;
		TRY(lex_space(c));
	}
}

static enum parse in_parentheses(struct cursor *c, struct build *b, unsigned level,
				 struct search_node **ret)
{
	TRY(lex_char(c, '('));
	*ret = new_node(b, SEARCH_AND);
	TRY(key_list(c, b, level + 1, *ret));
	return lex_char(c, ')');
}

/* If the next word is OR, take it. */
static enum parse take_or(struct cursor *c, bool *ret)
{
	struct cursor in = *c;
	struct span word = { NULL, 0 };

	enum parse rc = lex_word(&in, &word);
	if (rc == PARSE_MORE)
		return PARSE_MORE;
	*ret = rc == PARSE_OK && span_is(word, "OR");
	if (*ret)
		c->at = in.at;
	return PARSE_OK;
}

/* Behind OR. "OR a OR b OR c d", as clients write long lists, is one node with four children and
 * not three levels. */
static enum parse alternatives(struct cursor *c, struct build *b, unsigned level,
			       struct search_node **ret)
{
	bool again = true;

	*ret = new_node(b, SEARCH_OR);
	struct search_node **tail = &(*ret)->child;
	while (again) {
		TRY(lex_space(c));
		TRY(one_key(c, b, level + 1, tail));
		tail = &(*tail)->next;
		TRY(lex_space(c));
		TRY(take_or(c, &again));
	}
	return one_key(c, b, level + 1, tail);
}

static struct search_node *negate(struct build *b, struct search_node *child)
{
	struct search_node *n = new_node(b, SEARCH_NOT);

	n->child = child;
	return n;
}

/* NEW is (RECENT UNSEEN). */
static struct search_node *new_messages(struct build *b)
{
	struct search_node *seen = new_node(b, SEARCH_FLAG);
	struct search_node *both = new_node(b, SEARCH_AND);

	seen->number = FLAG_SEEN;
	both->child = new_node(b, SEARCH_RECENT);
	both->child->next = negate(b, seen);
	return both;
}

static enum parse named_key(struct cursor *c, struct build *b, struct span name,
			    struct search_node **ret)
{
	for (size_t i = 0; i < sizeof(key_defs) / sizeof(key_defs[0]); i++) {
		const struct key_def *def = &key_defs[i];

		if (!span_is(name, def->name))
			continue;
		struct search_node *n = new_node(b, def->key);
		n->number = def->number;
		if (def->header != NULL)
			n->name = span_str(def->header);
		TRY(argument(c, b, def->arg, n));
		*ret = def->negated ? negate(b, n) : n;
		return PARSE_OK;
	}
	return lex_bad(c, "Unknown search key");
}

static enum parse one_key(struct cursor *c, struct build *b, unsigned level,
			  struct search_node **ret)
{
	struct span name = { NULL, 0 };
	char ch = '\0';

	if (level > SEARCH_NESTING_MAX_LEVELS)
		return lex_bad(c, "Search is nested too deep");
	if (b->nodes >= SEARCH_KEYS_MAX)
		return lex_bad(c, "Too many search keys");
	TRY(lex_peek(c, &ch));
	if (ch == '(')
		return in_parentheses(c, b, level, ret);
	if ((ch >= '0' && ch <= '9') || ch == '*' || ch == '$') {
		*ret = new_node(b, SEARCH_SEQ);
		return seq_set_parse(c, b->a, &(*ret)->set);
	}
	TRY(lex_word(c, &name));
	if (span_is(name, "NOT")) {
		struct search_node *child = NULL;

		TRY(lex_space(c));
		TRY(one_key(c, b, level + 1, &child));
		*ret = negate(b, child);
		return PARSE_OK;
	}
	if (span_is(name, "OR"))
		return alternatives(c, b, level, ret);
	if (span_is(name, "NEW")) {
		*ret = new_messages(b);
		return PARSE_OK;
	}
	return named_key(c, b, name, ret);
}

enum parse search_program_parse(struct cursor *c, struct arena *a, struct search_program *ret)
{
	struct build b = { a, 0 };
	struct search_node *root = new_node(&b, SEARCH_AND);

	TRY(key_list(c, &b, 0, root));
	ret->root = root;
	return PARSE_OK;
}

/* ---- questions about a program ---- */

typedef bool node_fn(const struct search_node *n, enum search_key key);

static bool any_node(const struct search_node *n, node_fn *is, enum search_key key)
{
	for (; n != NULL; n = n->next)
		if (is(n, key) || any_node(n->child, is, key))
			return true;
	return false;
}

static bool has_key(const struct search_node *n, enum search_key key)
{
	return n->key == key;
}

static bool has_set(const struct search_node *n)
{
	return n->key == SEARCH_SEQ || n->key == SEARCH_UID;
}

static bool has_saved(const struct search_node *n, enum search_key key)
{
	(void)key;
	return has_set(n) && n->set.saved;
}

static bool has_seqnos(const struct search_node *n, enum search_key key)
{
	return n->key == key && !n->set.saved;
}

bool search_program_has(const struct search_program *p, enum search_key key)
{
	return any_node(p->root, has_key, key);
}

bool search_program_has_saved(const struct search_program *p)
{
	return any_node(p->root, has_saved, SEARCH_SEQ);
}

bool search_program_has_seqnos(const struct search_program *p)
{
	return any_node(p->root, has_seqnos, SEARCH_SEQ);
}

static void each_set(struct search_node *n, search_set_fn *fn, void *data)
{
	for (; n != NULL; n = n->next) {
		if (has_set(n))
			fn(data, n);
		each_set(n->child, fn, data);
	}
}

void search_program_each_set(struct search_program *p, search_set_fn *fn, void *data)
{
	each_set(p->root, fn, data);
}

/* ---- encoded ---- */

/* Format 1: charset | the root. A node: varint key, then by key: AND, OR, NOT: varint children,
 * each; UID: encoded uid set; FLAG, LARGER, ...: varint; dates: varint day, zigzag; HEADER: name,
 * text; others with a text: text. Names, texts and sets have their length before them. */

enum node_form {
	FORM_EMPTY,
	FORM_CHILDREN,
	FORM_SET,
	FORM_NUMBER,
	FORM_DAY,
	FORM_TEXT,
	FORM_NAMED
};

static enum node_form node_form(enum search_key key)
{
	switch (key) {
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_NOT: return FORM_CHILDREN;
	case SEARCH_ALL:
	case SEARCH_RECENT:
	case SEARCH_SAVEDATE_SUPPORTED: return FORM_EMPTY;
	case SEARCH_SEQ:
	case SEARCH_UID: return FORM_SET;
	case SEARCH_FLAG:
	case SEARCH_LARGER:
	case SEARCH_SMALLER:
	case SEARCH_OLDER:
	case SEARCH_YOUNGER:
	case SEARCH_MODSEQ: return FORM_NUMBER;
	case SEARCH_BEFORE:
	case SEARCH_ON:
	case SEARCH_SINCE:
	case SEARCH_SENT_BEFORE:
	case SEARCH_SENT_ON:
	case SEARCH_SENT_SINCE:
	case SEARCH_SAVED_BEFORE:
	case SEARCH_SAVED_ON:
	case SEARCH_SAVED_SINCE: return FORM_DAY;
	case SEARCH_KEYWORD:
	case SEARCH_BODY:
	case SEARCH_TEXT:
	case SEARCH_EMAILID:
	case SEARCH_THREADID: return FORM_TEXT;
	case SEARCH_HEADER: return FORM_NAMED;
	case SEARCH_KEY_COUNT: break;
	}
	assert(false && "a search key of unknown kind");
	return FORM_EMPTY;
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void encode_set(const struct seq_set *s, struct buf *out)
{
	struct uidset uids = { 0 };
	struct buf bytes = { 0 };

	assert(!s->saved && !seq_set_has_star(s));
	seq_set_resolve(s, 0, &uids);
	uidset_encode(&uids, &bytes);
	wire_put_bytes(out, buf_span(&bytes));
	buf_free(&bytes);
	uidset_free(&uids);
}

static uint64_t count_children(const struct search_node *n)
{
	uint64_t count = 0;

	for (const struct search_node *child = n->child; child != NULL; child = child->next)
		count++;
	return count;
}

static void encode_node(const struct search_node *n, struct buf *out)
{
	assert(n->key != SEARCH_SEQ); /* message numbers mean nothing to others */
	buf_put_varint(out, n->key);
	switch (node_form(n->key)) {
	case FORM_EMPTY: return;
	case FORM_CHILDREN:
		buf_put_varint(out, count_children(n));
		for (const struct search_node *child = n->child; child != NULL; child = child->next)
			encode_node(child, out);
		return;
	case FORM_SET: encode_set(&n->set, out); return;
	case FORM_NUMBER: buf_put_varint(out, n->number); return;
	case FORM_DAY: buf_put_varint(out, zigzag(n->day)); return;
	case FORM_NAMED: wire_put_bytes(out, n->name); break;
	case FORM_TEXT: break;
	}
	wire_put_bytes(out, n->text);
}

void search_program_encode(const struct search_program *p, struct buf *out)
{
	wire_put_bytes(out, p->charset);
	encode_node(p->root, out);
}

static void decode_set(struct wire *w, struct arena *a, struct seq_set *ret)
{
	struct uidset uids = { 0 };

	if (uidset_decode(wire_bytes(w), UINT32_MAX, &uids) < 0)
		w->bad = true;
	else
		seq_set_from_uids(&uids, a, ret);
	uidset_free(&uids);
}

static struct search_node *decode_node(struct wire *w, struct build *b, unsigned level);

static void decode_children(struct wire *w, struct build *b, unsigned level, struct search_node *n)
{
	uint32_t count = wire_count(w, SEARCH_KEYS_MAX);
	struct search_node **tail = &n->child;

	if ((n->key == SEARCH_NOT && count != 1) || (n->key == SEARCH_OR && count < 2))
		w->bad = true;
	for (uint32_t i = 0; i < count && !w->bad; i++) {
		*tail = decode_node(w, b, level + 1);
		tail = &(*tail)->next;
	}
}

static bool number_is_good(const struct search_node *n)
{
	if (n->key == SEARCH_FLAG)
		return (n->number & (n->number - 1)) == 0 && n->number != 0 &&
		       n->number <= FLAG_SYSTEM_ALL;
	return n->number <= INT64_MAX;
}

static struct search_node *decode_node(struct wire *w, struct build *b, unsigned level)
{
	enum search_key key = (enum search_key)wire_number(w, SEARCH_KEY_COUNT - 1);
	struct search_node *n = new_node(b, key);

	if (key == SEARCH_SEQ || level > SEARCH_NESTING_MAX_LEVELS + SEARCH_EXTRA_LEVELS ||
	    b->nodes > SEARCH_KEYS_MAX + SEARCH_EXTRA_LEVELS)
		w->bad = true;
	switch (node_form(key)) {
	case FORM_EMPTY: break;
	case FORM_CHILDREN: decode_children(w, b, level, n); break;
	case FORM_SET: decode_set(w, b->a, &n->set); break;
	case FORM_NUMBER:
		n->number = wire_number(w, UINT64_MAX);
		w->bad = w->bad || !number_is_good(n);
		break;
	case FORM_DAY: n->day = unzigzag(wire_number(w, UINT64_MAX)); break;
	case FORM_NAMED:
		n->name = wire_bytes(w);
		n->text = wire_bytes(w);
		break;
	case FORM_TEXT: n->text = wire_bytes(w); break;
	}
	return n;
}

int search_program_decode(struct span bytes, struct arena *a, struct search_program *ret)
{
	struct wire w = wire_of(bytes);
	struct build b = { a, 0 };
	struct search_program p = { .charset = wire_bytes(&w) };

	p.root = decode_node(&w, &b, 0);
	if (w.bad || w.at != w.end)
		return ERR_CORRUPT;
	*ret = p;
	return OK;
}
