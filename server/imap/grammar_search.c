/* grammar_search.c: SEARCH and UID SEARCH (RFC 3501 6.4.4, 4466 2.6, ESEARCH 4731, SEARCHRES 5182).
 * The keys are search_program.c's. */
#include "server/imap/grammar.h"

static enum parse return_options(struct cursor *c, struct args_search *args)
{
	static const struct word_bit options[] = {
		{ "MIN", SEARCH_RETURN_MIN },   { "MAX", SEARCH_RETURN_MAX },
		{ "ALL", SEARCH_RETURN_ALL },   { "COUNT", SEARCH_RETURN_COUNT },
		{ "SAVE", SEARCH_RETURN_SAVE }, { NULL, 0 },
	};
	bool more = false;
	unsigned bit = 0;

	args->extended = true;
	TRY(lex_space(c));
	TRY(lex_list_more(c, true, &more));
	if (!more)
		args->want = SEARCH_RETURN_ALL; /* RFC 4731, 3.1 */
	while (more) {
		TRY(take_word_bit(c, options, "Unknown SEARCH return option", &bit));
		args->want |= bit;
		TRY(lex_list_more(c, false, &more));
	}
	return lex_space(c);
}

/* If the next word is `want`, take it. */
static enum parse take_if_word(struct cursor *c, const char *want, bool *ret)
{
	struct cursor in = *c;
	struct span word = { NULL, 0 };

	enum parse rc = lex_word(&in, &word);
	if (rc == PARSE_MORE)
		return PARSE_MORE;
	*ret = rc == PARSE_OK && span_is(word, want);
	if (*ret)
		c->at = in.at;
	return PARSE_OK;
}

enum parse grammar_search(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_search *args = &cmd->u.search;
	bool taken = false;

	TRY(lex_space(c));
	TRY(take_if_word(c, "RETURN", &taken));
	if (taken)
		TRY(return_options(c, args));
	TRY(take_if_word(c, "CHARSET", &taken));
	if (taken) {
		TRY(lex_space(c));
		TRY(lex_astring(c, a, &args->program.charset));
		TRY(lex_space(c));
	}
	return search_program_parse(c, a, &args->program);
}
