/* grammar_store.c: STORE and UID STORE (RFC 3501 6.4.6; UNCHANGEDSINCE: RFC 7162 3.1.3).
 *
 * Two clients write the modifier wrongly, and a conditional STORE must never be taken for an
 * unconditional one (IMAP.md, section 10): libetpan leaves the blank before the parenthesis away,
 * node-imap leaves the parentheses away. Both are understood as what they mean. */
#include "server/imap/grammar.h"

static enum parse modifier(struct cursor *c, struct args_store *args)
{
	struct span name = { NULL, 0 };

	TRY(lex_word(c, &name));
	if (!span_is(name, "UNCHANGEDSINCE"))
		return lex_bad(c, "Unknown STORE modifier");
	if (args->conditional)
		return lex_bad(c, "UNCHANGEDSINCE given twice");
	args->conditional = true;
	TRY(lex_space(c));
	return lex_modseq(c, &args->unchangedsince);
}

static enum parse modifiers(struct cursor *c, struct args_store *args)
{
	bool more = false;

	TRY(lex_list_more(c, true, &more));
	if (!more)
		return lex_bad(c, "Expected a STORE modifier");
	while (more) {
		TRY(modifier(c, args));
		TRY(lex_list_more(c, false, &more));
	}
	return lex_space(c);
}

/* What stands between the set and +FLAGS, blanks included. */
static enum parse condition(struct cursor *c, struct args_store *args)
{
	char ch = '\0';

	TRY(lex_peek(c, &ch));
	if (ch != '(') {
		TRY(lex_space(c));
		TRY(lex_peek(c, &ch));
	}
	if (ch == '(')
		return modifiers(c, args);
	if (ascii_lower((unsigned char)ch) != 'u')
		return PARSE_OK;
	TRY(modifier(c, args));
	return lex_space(c);
}

/* ["+" / "-"] "FLAGS" [".SILENT"] */
static enum parse what(struct cursor *c, struct args_store *args)
{
	struct span name = { NULL, 0 };
	bool add = false, remove = false;

	TRY(lex_if_char(c, '+', &add));
	if (!add)
		TRY(lex_if_char(c, '-', &remove));
	args->mode = add ? STORE_ADD : remove ? STORE_REMOVE : STORE_REPLACE;
	TRY(lex_word(c, &name));
	args->silent = span_is(name, "FLAGS.SILENT");
	return args->silent || span_is(name, "FLAGS") ? PARSE_OK : lex_bad(c, "Unknown STORE item");
}

enum parse grammar_store(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_store *args = &cmd->u.store;

	TRY(take_set(c, a, &args->set));
	TRY(condition(c, args));
	TRY(what(c, args));
	TRY(lex_space(c));
	return take_flags(c, a, true, &args->flags);
}
