/* grammar_simple.c: pieces that many commands share, and commands with few arguments. */
#include "server/imap/grammar.h"
#include "storage/base/limits.h"

#include <assert.h>

enum parse grammar_none(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	(void)c;
	(void)a;
	(void)cmd;
	return PARSE_OK;
}

enum parse take_mailbox(struct cursor *c, struct arena *a, struct mailbox_name *ret)
{
	struct span raw = { NULL, 0 };

	TRY(lex_space(c));
	TRY(lex_astring(c, a, &raw));
	mailbox_name_from_wire(raw, a, ret);
	return PARSE_OK;
}

enum parse take_set(struct cursor *c, struct arena *a, struct seq_set *ret)
{
	TRY(lex_space(c));
	return seq_set_parse(c, a, ret);
}

enum parse take_word_bit(struct cursor *c, const struct word_bit *table, const char *why,
			 unsigned *ret)
{
	struct span word = { NULL, 0 };

	TRY(lex_word(c, &word));
	for (; table->name != NULL; table++) {
		if (!span_is(word, table->name))
			continue;
		*ret = table->bit;
		return PARSE_OK;
	}
	return lex_bad(c, why);
}

/* ---- flags ---- */

static bool system_flag_of(struct span name, unsigned *ret)
{
	static const struct word_bit names[] = {
		{ "\\Seen", FLAG_SEEN },       { "\\Answered", FLAG_ANSWERED },
		{ "\\Flagged", FLAG_FLAGGED }, { "\\Deleted", FLAG_DELETED },
		{ "\\Draft", FLAG_DRAFT },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!span_is(name, names[i].name))
			continue;
		*ret = names[i].bit;
		return true;
	}
	return false;
}

struct flags_build {
	struct flag_list *list;
	uint32_t capacity;
};

static enum parse add_keyword(struct cursor *c, struct arena *a, struct flags_build *b,
			      struct span name)
{
	struct flag_list *list = b->list;

	if (name.bytes > KEYWORD_MAX_BYTES)
		return lex_bad(c, "Keyword too long");
	for (uint32_t i = 0; i < list->keyword_count; i++)
		if (span_eq_nocase(list->keywords[i], name))
			return PARSE_OK;
	if (list->keyword_count == FLAGS_PER_COMMAND_MAX)
		return lex_bad(c, "Too many keywords");
	if (list->keyword_count == b->capacity) {
		struct span *old = list->keywords;

		b->capacity = b->capacity == 0 ? 8 : 2 * b->capacity;
		list->keywords = arena_alloc(a, b->capacity * sizeof(name));
		if (old != NULL)
			memcpy(list->keywords, old, list->keyword_count * sizeof(name));
	}
	list->keywords[list->keyword_count++] = name;
	return PARSE_OK;
}

static enum parse one_flag(struct cursor *c, struct arena *a, struct flags_build *b)
{
	struct span name = { NULL, 0 };
	unsigned bit = 0;
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	if (ch != '\\') {
		TRY(lex_atom(c, &name));
		return add_keyword(c, a, b, name);
	}
	TRY(lex_flag(c, &name));
	if (!system_flag_of(name, &bit))
		return lex_bad(c, "Flag is not one that a client can set");
	b->list->system |= bit;
	return PARSE_OK;
}

/* flag *(SP flag), to the end of the line. */
static enum parse bare_flags(struct cursor *c, struct arena *a, struct flags_build *b)
{
	char ch = '\0';

	for (;;) {
		TRY(one_flag(c, a, b));
		TRY(lex_peek(c, &ch));
		if (ch != ' ')
			return PARSE_OK;
		TRY(lex_space(c));
	}
}

enum parse take_flags(struct cursor *c, struct arena *a, bool bare, struct flag_list *ret)
{
	struct flags_build b = { ret, 0 };
	bool more = false;
	char ch = '\0';

	*ret = (struct flag_list){ 0 };
	TRY(lex_peek(c, &ch));
	if (bare && ch != '(')
		return bare_flags(c, a, &b);
	TRY(lex_list_more(c, true, &more));
	while (more) {
		TRY(one_flag(c, a, &b));
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}

/* ---- commands ---- */

enum parse grammar_mailbox(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	return take_mailbox(c, a, &cmd->u.mailbox.mailbox);
}

enum parse grammar_rename(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	TRY(take_mailbox(c, a, &cmd->u.rename.from));
	return take_mailbox(c, a, &cmd->u.rename.to);
}

enum parse grammar_copy(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	TRY(take_set(c, a, &cmd->u.copy.set));
	return take_mailbox(c, a, &cmd->u.copy.mailbox);
}

enum parse grammar_expunge(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	return cmd->uid ? take_set(c, a, &cmd->u.expunge.set) : PARSE_OK;
}

enum parse grammar_login(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	TRY(lex_space(c));
	TRY(lex_astring(c, a, &cmd->u.login.user));
	TRY(lex_space(c));
	return lex_astring(c, a, &cmd->u.login.password);
}

enum parse grammar_authenticate(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_authenticate *args = &cmd->u.authenticate;

	(void)a;
	TRY(lex_space(c));
	TRY(lex_atom(c, &args->mechanism));
	TRY(lex_if_char(c, ' ', &args->has_initial));
	if (!args->has_initial)
		return PARSE_OK;
	TRY(lex_atom(c, &args->initial));
	if (span_is(args->initial, "="))
		args->initial.bytes = 0;
	return PARSE_OK;
}

enum parse grammar_compress(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	(void)a;
	TRY(lex_space(c));
	return lex_atom(c, &cmd->u.compress.algorithm);
}

enum parse grammar_enable(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_enable *args = &cmd->u.enable;
	uint32_t capacity = 0;
	char ch = '\0';

	do {
		if (args->count == capacity) {
			struct span *old = args->names;

			capacity = capacity == 0 ? 8 : 2 * capacity;
			args->names = arena_alloc(a, capacity * sizeof(old[0]));
			if (old != NULL)
				memcpy(args->names, old, args->count * sizeof(old[0]));
		}
		TRY(lex_space(c));
		TRY(lex_atom(c, &args->names[args->count++]));
		TRY(lex_peek(c, &ch));
	} while (ch == ' ');
	return PARSE_OK;
}

static enum parse id_fields(struct cursor *c, struct arena *a, struct args_id *args)
{
	bool more = false;

	TRY(lex_list_more(c, true, &more));
	args->fields = more ? arena_alloc(a, ID_FIELDS_MAX * sizeof(args->fields[0])) : NULL;
	while (more) {
		if (args->count == ID_FIELDS_MAX)
			return lex_bad(c, "Too many ID fields");
		struct id_field *field = &args->fields[args->count++];

		TRY(lex_string(c, a, &field->name));
		TRY(lex_space(c));
		TRY(lex_nstring(c, a, &field->value));
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}

enum parse grammar_id(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct span nil = { NULL, 0 };
	char ch = '\0';

	TRY(lex_space(c));
	TRY(lex_peek(c, &ch));
	if (ch == '(')
		return id_fields(c, a, &cmd->u.id);
	TRY(lex_atom(c, &nil));
	return span_is(nil, "NIL") ? PARSE_OK : lex_bad(c, "Expected ( or NIL");
}
