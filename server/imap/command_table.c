/* command_table.c: one row per command: its name, its kind, its grammar (STYLE.md, B8). */
#include "server/imap/command_table.h"

#include "server/imap/grammar.h"

#include <assert.h>

enum with_uid { UID_NO, UID_MAY };

static const struct command_row {
	const char *name;
	grammar_fn *grammar;
	enum with_uid uid;
} rows[CMD_COUNT] = {
	[CMD_NONE] = { "NONE", NULL, UID_NO },
	[CMD_APPEND] = { "APPEND", grammar_append, UID_NO },
	[CMD_AUTHENTICATE] = { "AUTHENTICATE", grammar_authenticate, UID_NO },
	[CMD_CAPABILITY] = { "CAPABILITY", grammar_none, UID_NO },
	[CMD_CHECK] = { "CHECK", grammar_none, UID_NO },
	[CMD_CLOSE] = { "CLOSE", grammar_none, UID_NO },
	[CMD_COMPRESS] = { "COMPRESS", grammar_compress, UID_NO },
	[CMD_COPY] = { "COPY", grammar_copy, UID_MAY },
	[CMD_CREATE] = { "CREATE", grammar_create, UID_NO },
	[CMD_DELETE] = { "DELETE", grammar_mailbox, UID_NO },
	[CMD_ENABLE] = { "ENABLE", grammar_enable, UID_NO },
	[CMD_EXAMINE] = { "EXAMINE", grammar_select, UID_NO },
	[CMD_EXPUNGE] = { "EXPUNGE", grammar_expunge, UID_MAY },
	[CMD_FETCH] = { "FETCH", grammar_fetch, UID_MAY },
	[CMD_ID] = { "ID", grammar_id, UID_NO },
	[CMD_IDLE] = { "IDLE", grammar_none, UID_NO },
	[CMD_LIST] = { "LIST", grammar_list, UID_NO },
	[CMD_LOGIN] = { "LOGIN", grammar_login, UID_NO },
	[CMD_LOGOUT] = { "LOGOUT", grammar_none, UID_NO },
	[CMD_LSUB] = { "LSUB", grammar_lsub, UID_NO },
	[CMD_MOVE] = { "MOVE", grammar_copy, UID_MAY },
	[CMD_NAMESPACE] = { "NAMESPACE", grammar_none, UID_NO },
	[CMD_NOOP] = { "NOOP", grammar_none, UID_NO },
	[CMD_RENAME] = { "RENAME", grammar_rename, UID_NO },
	[CMD_SEARCH] = { "SEARCH", grammar_search, UID_MAY },
	[CMD_SELECT] = { "SELECT", grammar_select, UID_NO },
	[CMD_STARTTLS] = { "STARTTLS", grammar_none, UID_NO },
	[CMD_STATUS] = { "STATUS", grammar_status, UID_NO },
	[CMD_STORE] = { "STORE", grammar_store, UID_MAY },
	[CMD_SUBSCRIBE] = { "SUBSCRIBE", grammar_mailbox, UID_NO },
	[CMD_UNSELECT] = { "UNSELECT", grammar_none, UID_NO },
	[CMD_UNSUBSCRIBE] = { "UNSUBSCRIBE", grammar_mailbox, UID_NO },
};

const char *command_kind_name(enum command_kind kind)
{
	assert(kind < CMD_COUNT);
	return rows[kind].name;
}

static enum command_kind find_row(struct span name, bool uid)
{
	for (enum command_kind kind = CMD_NONE + 1; kind < CMD_COUNT; kind++)
		if (span_is(name, rows[kind].name) && (!uid || rows[kind].uid == UID_MAY))
			return kind;
	return CMD_NONE;
}

/* A tag and what follows it: a blank, or the end of a line that has nothing else. */
static enum parse parse_tag(struct cursor *c, struct imap_command *ret)
{
	struct span tag = { NULL, 0 };
	char ch = '\0';

	TRY(lex_tag(c, &tag));
	TRY(lex_peek(c, &ch));
	if (ch != ' ' && ch != '\r' && ch != '\n')
		return lex_bad(c, "Invalid tag");
	ret->tag = tag;
	return ch == ' ' ? lex_space(c) : lex_bad(c, "Missing command");
}

/* ["UID" SP] name */
static enum parse parse_name(struct cursor *c, struct imap_command *ret)
{
	struct span name = { NULL, 0 };

	TRY(lex_word(c, &name));
	ret->uid = span_is(name, "UID");
	if (ret->uid) {
		TRY(lex_space(c));
		TRY(lex_word(c, &name));
	}
	ret->kind = find_row(name, ret->uid);
	ret->name = command_kind_name(ret->kind);
	return ret->kind == CMD_NONE ? lex_bad(c, "Unknown command") : PARSE_OK;
}

static enum parse parse_head(struct cursor *c, struct imap_command *ret)
{
	*ret = (struct imap_command){ .name = command_kind_name(CMD_NONE) };
	TRY(parse_tag(c, ret));
	return parse_name(c, ret);
}

void command_parse_head(struct span bytes, struct imap_command *ret)
{
	struct cursor c = cursor_of(bytes);

	(void)parse_head(&c, ret);
}

static enum parse parse_all(struct cursor *c, struct arena *a, struct imap_command *ret)
{
	TRY(parse_head(c, ret));
	TRY(rows[ret->kind].grammar(c, a, ret));
	if (ret->kind != CMD_APPEND)
		TRY(lex_end(c));
	return c->at == c->end ? PARSE_OK : lex_bad(c, "Unexpected bytes at the end");
}

enum parse command_parse(struct span bytes, struct arena *a, struct imap_command *ret,
			 const char **ret_why)
{
	struct cursor c = cursor_of(bytes);

	enum parse rc = parse_all(&c, a, ret);
	if (rc != PARSE_BAD)
		return rc;
	*ret_why = c.why;
	memset(&ret->u, 0, sizeof(ret->u)); /* half filled in: nobody shall use it */
	return PARSE_BAD;
}
