/* grammar_select.c: SELECT and EXAMINE (RFC 7162, 3.1.8 and 3.2.5), STATUS, CREATE. */
#include "server/imap/grammar.h"

/* ---- SELECT, EXAMINE ---- */

/* "(" known-sequence-set SP known-uid-set ")" */
static enum parse seq_match_data(struct cursor *c, struct arena *a, struct args_select *args)
{
	TRY(lex_char(c, '('));
	TRY(seq_set_parse_known(c, a, &args->match_seqs));
	TRY(lex_space(c));
	TRY(seq_set_parse_known(c, a, &args->match_uids));
	TRY(lex_char(c, ')'));
	if (seq_set_size(&args->match_seqs) != seq_set_size(&args->match_uids))
		return lex_bad(c, "Sequence match data differ in number");
	args->has_match = true;
	return PARSE_OK;
}

/* "(" uidvalidity SP modseq [SP known-uids] [SP seq-match-data] ")" */
static enum parse qresync(struct cursor *c, struct arena *a, struct args_select *args)
{
	bool more = true;
	char ch = '\0';

	if (args->qresync)
		return lex_bad(c, "QRESYNC given twice");
	args->qresync = true;
	TRY(lex_space(c));
	TRY(lex_char(c, '('));
	TRY(lex_nz_number(c, &args->uidvalidity));
	TRY(lex_space(c));
	TRY(lex_modseq(c, &args->modseq));
	TRY(lex_list_more(c, false, &more));
	if (!more)
		return PARSE_OK;
	TRY(lex_peek(c, &ch));
	if (ch != '(') {
		TRY(seq_set_parse_known(c, a, &args->known_uids));
		args->has_known_uids = true;
		TRY(lex_list_more(c, false, &more));
	}
	if (!more)
		return PARSE_OK;
	TRY(seq_match_data(c, a, args));
	return lex_char(c, ')');
}

static enum parse select_param(struct cursor *c, struct arena *a, struct args_select *args)
{
	struct span name = { NULL, 0 };

	TRY(lex_word(c, &name));
	if (span_is(name, "QRESYNC"))
		return qresync(c, a, args);
	if (!span_is(name, "CONDSTORE"))
		return lex_bad(c, "Unknown SELECT parameter");
	args->condstore = true;
	return PARSE_OK;
}

enum parse grammar_select(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_select *args = &cmd->u.select;
	bool more = false;
	char ch = '\0';

	TRY(take_mailbox(c, a, &args->mailbox));
	TRY(lex_peek(c, &ch));
	if (ch != ' ')
		return PARSE_OK;
	TRY(lex_space(c));
	TRY(lex_peek(c, &ch));
	if (ch != '(')
		return select_param(c, a, args); /* libetpan: SELECT box QRESYNC (v m) */
	TRY(lex_list_more(c, true, &more));
	if (!more)
		return lex_bad(c, "Expected a SELECT parameter");
	while (more) {
		TRY(select_param(c, a, args));
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}

/* ---- STATUS ---- */

enum parse take_status_items(struct cursor *c, unsigned *ret)
{
	static const struct word_bit items[] = {
		{ "MESSAGES", STATUS_MESSAGES },   { "RECENT", STATUS_RECENT },
		{ "UIDNEXT", STATUS_UIDNEXT },     { "UIDVALIDITY", STATUS_UIDVALIDITY },
		{ "UNSEEN", STATUS_UNSEEN },       { "HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ },
		{ "SIZE", STATUS_SIZE },           { "APPENDLIMIT", STATUS_APPENDLIMIT },
		{ "MAILBOXID", STATUS_MAILBOXID }, { NULL, 0 },
	};
	bool more = false;
	unsigned bit = 0;

	TRY(lex_list_more(c, true, &more));
	if (!more)
		return lex_bad(c, "Expected a STATUS item");
	*ret = 0;
	while (more) {
		TRY(take_word_bit(c, items, "Unknown STATUS item", &bit));
		*ret |= bit;
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}

enum parse grammar_status(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	TRY(take_mailbox(c, a, &cmd->u.status.mailbox));
	TRY(lex_space(c));
	return take_status_items(c, &cmd->u.status.items);
}

/* ---- CREATE ---- */

static void add_special_use(struct args_create *args, struct span name)
{
	static const struct word_bit uses[] = {
		{ "\\All", USE_ALL },       { "\\Archive", USE_ARCHIVE },
		{ "\\Drafts", USE_DRAFTS }, { "\\Flagged", USE_FLAGGED },
		{ "\\Junk", USE_JUNK },     { "\\Sent", USE_SENT },
		{ "\\Trash", USE_TRASH },
	};

	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		if (!span_is(name, uses[i].name))
			continue;
		args->special_use |= uses[i].bit;
		return;
	}
	args->unknown_use = true;
}

/* USE SP "(" [use-attr *(SP use-attr)] ")" (RFC 6154, 6). */
static enum parse create_param(struct cursor *c, struct args_create *args)
{
	struct span name = { NULL, 0 };
	bool more = false;

	TRY(lex_word(c, &name));
	if (!span_is(name, "USE"))
		return lex_bad(c, "Unknown CREATE parameter");
	args->has_use = true;
	TRY(lex_space(c));
	TRY(lex_list_more(c, true, &more));
	while (more) {
		TRY(lex_flag(c, &name));
		add_special_use(args, name);
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}

enum parse grammar_create(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_create *args = &cmd->u.create;
	bool more = false;
	char ch = '\0';

	TRY(take_mailbox(c, a, &args->mailbox));
	TRY(lex_peek(c, &ch));
	if (ch != ' ')
		return PARSE_OK;
	TRY(lex_space(c));
	TRY(lex_list_more(c, true, &more));
	if (!more)
		return lex_bad(c, "Expected a CREATE parameter");
	while (more) {
		TRY(create_param(c, args));
		TRY(lex_list_more(c, false, &more));
	}
	return PARSE_OK;
}
