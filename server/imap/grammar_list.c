/* grammar_list.c: LIST (RFC 3501 6.3.8, LIST-EXTENDED 5258, LIST-STATUS 5819, SPECIAL-USE 6154) and
 * LSUB. */
#include "server/imap/grammar.h"

static enum parse select_options(struct cursor *c, struct args_list *args)
{
	static const struct word_bit options[] = {
		{ "SUBSCRIBED", LIST_SELECT_SUBSCRIBED },
		{ "REMOTE", LIST_SELECT_REMOTE },
		{ "RECURSIVEMATCH", LIST_SELECT_RECURSIVEMATCH },
		{ "SPECIAL-USE", LIST_SELECT_SPECIAL_USE },
		{ NULL, 0 },
	};
	bool more = false;
	unsigned bit = 0;

	TRY(lex_list_more(c, true, &more));
	while (more) {
		TRY(take_word_bit(c, options, "Unknown LIST selection option", &bit));
		args->select |= bit;
		TRY(lex_list_more(c, false, &more));
	}
	/* list-select-mod-opt needs a list-select-base-opt (RFC 5258, 6). */
	if ((args->select & LIST_SELECT_RECURSIVEMATCH) != 0 &&
	    (args->select & LIST_SELECT_SUBSCRIBED) == 0)
		return lex_bad(c, "RECURSIVEMATCH needs SUBSCRIBED");
	return PARSE_OK;
}

static enum parse return_options(struct cursor *c, struct args_list *args)
{
	static const struct word_bit options[] = {
		{ "SUBSCRIBED", LIST_RETURN_SUBSCRIBED },
		{ "CHILDREN", LIST_RETURN_CHILDREN },
		{ "SPECIAL-USE", LIST_RETURN_SPECIAL_USE },
		{ "STATUS", LIST_RETURN_STATUS },
		{ NULL, 0 },
	};
	struct span word = { NULL, 0 };
	bool more = false;
	unsigned bit = 0;

	TRY(lex_word(c, &word));
	if (!span_is(word, "RETURN"))
		return lex_bad(c, "Expected RETURN");
	TRY(lex_space(c));
	TRY(lex_list_more(c, true, &more));
	while (more) {
		TRY(take_word_bit(c, options, "Unknown LIST return option", &bit));
		args->ret |= bit;
		if (bit == LIST_RETURN_STATUS) {
			TRY(lex_space(c));
			TRY(take_status_items(c, &args->status_items));
		}
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}

static enum parse add_pattern(struct cursor *c, struct arena *a, struct args_list *args,
			      uint32_t *capacity)
{
	if (args->pattern_count == *capacity) {
		struct span *old = args->patterns;

		*capacity = *capacity == 0 ? 1 : 2 * *capacity;
		args->patterns = arena_alloc(a, *capacity * sizeof(old[0]));
		if (old != NULL)
			memcpy(args->patterns, old, args->pattern_count * sizeof(old[0]));
	}
	return lex_list_mailbox(c, a, &args->patterns[args->pattern_count++]);
}

/* mbox-or-pat */
static enum parse patterns(struct cursor *c, struct arena *a, struct args_list *args)
{
	uint32_t capacity = 0;
	bool more = false;
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	if (ch != '(')
		return add_pattern(c, a, args, &capacity);
	args->extended = true;
	TRY(lex_list_more(c, true, &more));
	if (!more)
		return lex_bad(c, "Expected a pattern");
	while (more) {
		TRY(add_pattern(c, a, args, &capacity));
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}

enum parse grammar_list(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_list *args = &cmd->u.list;
	char ch = '\0';

	TRY(lex_space(c));
	TRY(lex_peek(c, &ch));
	if (ch == '(') {
		args->extended = true;
		TRY(select_options(c, args));
		TRY(lex_space(c));
	}
	TRY(lex_astring(c, a, &args->reference));
	TRY(lex_space(c));
	TRY(patterns(c, a, args));
	TRY(lex_peek(c, &ch));
	if (ch != ' ')
		return PARSE_OK;
	TRY(lex_space(c));
	args->extended = true;
	return return_options(c, args);
}

enum parse grammar_lsub(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_list *args = &cmd->u.list;
	uint32_t capacity = 0;

	TRY(lex_space(c));
	TRY(lex_astring(c, a, &args->reference));
	TRY(lex_space(c));
	return add_pattern(c, a, args, &capacity);
}
