/* grammar_fetch.c: FETCH and UID FETCH with modifiers (RFC 4466 2.4; RFC 7162 3.1.4.1, 3.2.6). */
#include "server/imap/grammar.h"

static enum parse modifier(struct cursor *c, struct args_fetch *args)
{
	struct span name = { NULL, 0 };

	TRY(lex_word(c, &name));
	if (span_is(name, "VANISHED") && !args->vanished) {
		args->vanished = true;
		return PARSE_OK;
	}
	if (!span_is(name, "CHANGEDSINCE"))
		return lex_bad(c, "Unknown FETCH modifier");
	if (args->has_changedsince)
		return lex_bad(c, "CHANGEDSINCE given twice");
	args->has_changedsince = true;
	TRY(lex_space(c));
	return lex_modseq(c, &args->changedsince);
}

static enum parse modifiers(struct cursor *c, struct args_fetch *args, bool uid)
{
	bool more = false;

	TRY(lex_list_more(c, true, &more));
	if (!more)
		return lex_bad(c, "Expected a FETCH modifier");
	while (more) {
		TRY(modifier(c, args));
		TRY(lex_list_more(c, false, &more));
	}
	if (args->vanished && !(uid && args->has_changedsince))
		return lex_bad(c, "VANISHED is only allowed in UID FETCH with CHANGEDSINCE");
	return PARSE_OK;
}

enum parse grammar_fetch(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_fetch *args = &cmd->u.fetch;
	char ch = '\0';

	TRY(take_set(c, a, &args->set));
	TRY(lex_space(c));
	TRY(fetch_items_parse(c, a, &args->items));
	TRY(lex_peek(c, &ch));
	if (ch != ' ')
		return PARSE_OK;
	TRY(lex_space(c));
	return modifiers(c, args, cmd->uid);
}
