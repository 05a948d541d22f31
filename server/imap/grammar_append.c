/* grammar_append.c: APPEND (RFC 3501 6.3.11, MULTIAPPEND 3502), up to the bytes of a message. */
#include "server/imap/grammar.h"
#include "storage/base/limits.h"

/* Room for one more message; older ones keep their values, not their places. */
static struct append_message *add_message(struct arena *a, struct args_append *args)
{
	uint32_t n = args->count;

	if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, ...: as many fit as there are */
		struct append_message *old = args->messages;

		args->messages = arena_alloc(a, (n == 0 ? 1 : 2 * (size_t)n) * sizeof(old[0]));
		if (n != 0)
			memcpy(args->messages, old, n * sizeof(old[0]));
	}
	args->messages[n] = (struct append_message){ 0 };
	args->count++;
	return &args->messages[n];
}

static enum parse date_time(struct cursor *c, struct arena *a, struct append_message *m)
{
	struct span text = { NULL, 0 };

	TRY(lex_quoted(c, a, &text));
	if (imap_date_time_parse(text, &m->date) < 0)
		return lex_bad(c, "Invalid date");
	m->has_date = true;
	return PARSE_OK;
}

enum parse grammar_append_message(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	struct args_append *args = &cmd->u.append;
	char ch = '\0';

	if (args->count > COPY_MESSAGES_MAX)
		return lex_bad(c, "Too many messages"); /* the session has said so before */
	struct append_message *m = add_message(a, args);

	TRY(lex_space(c));
	TRY(lex_peek(c, &ch));
	if (ch == '(') {
		TRY(take_flags(c, a, false, &m->flags));
		TRY(lex_space(c));
		TRY(lex_peek(c, &ch));
	}
	if (ch == '"') {
		TRY(date_time(c, a, m));
		TRY(lex_space(c));
	}
	return lex_literal_head(c, &m->bytes, &m->waits);
}

enum parse grammar_append(struct cursor *c, struct arena *a, struct imap_command *cmd)
{
	TRY(take_mailbox(c, a, &cmd->u.append.mailbox));
	return grammar_append_message(c, a, cmd);
}
