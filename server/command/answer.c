#include "server/command/answer.h"

static const struct {
	const char *code;
	const char *text;
} outcomes[] = {
	[TM__OUTCOME__DONE] = { NULL, "Done" },
	[TM__OUTCOME__NO_ACCOUNT] = { "NONEXISTENT", "There is no such account" },
	[TM__OUTCOME__NO_MAILBOX] = { "NONEXISTENT", "There is no such mailbox" },
	[TM__OUTCOME__NAME_EXISTS] = { "ALREADYEXISTS", "There is a mailbox of this name" },
	[TM__OUTCOME__HAS_CHILDREN] = { "HASCHILDREN", "The mailbox has inferiors" },
	[TM__OUTCOME__CANNOT] = { "CANNOT", "This cannot be done with this mailbox" },
	[TM__OUTCOME__LIMIT] = { "LIMIT", "A limit of the server was reached" },
	[TM__OUTCOME__OVER_QUOTA] = { "OVERQUOTA", "The quota does not suffice" },
	[TM__OUTCOME__GONE] = { "EXPUNGEISSUED",
				"Some of the messages are gone; nothing was done" },
	[TM__OUTCOME__CHUNKS_MISSING] = { "UNAVAILABLE", "The message was lost on its way" },
	[TM__OUTCOME__TOO_BIG] = { "TOOBIG", "The message is too big" },
	[TM__OUTCOME__TOO_MANY] = { "LIMIT", "Too many messages at once" },
	[TM__OUTCOME__UNAVAILABLE] = { "UNAVAILABLE", "Not now; nothing was done" },
	[TM__OUTCOME__UNKNOWN_FATE] = { "UNAVAILABLE", "What became of it is not known" },
	[TM__OUTCOME__WITHDRAWN] = { "UNAVAILABLE", "Not now; nothing was done" },
	[TM__OUTCOME__USE_ATTR] = { "USEATTR", "This special use is taken or not supported" },
};

static size_t index_of(Tm__Outcome outcome)
{
	size_t i = (size_t)outcome;

	return i < sizeof(outcomes) / sizeof(outcomes[0]) ? i : TM__OUTCOME__UNAVAILABLE;
}

const char *answer_code(Tm__Outcome outcome, enum answer_about about)
{
	if (outcome == TM__OUTCOME__NO_MAILBOX && about == ABOUT_TARGET)
		return "TRYCREATE";
	return outcomes[index_of(outcome)].code;
}

const char *answer_text(Tm__Outcome outcome)
{
	return outcomes[index_of(outcome)].text;
}

void answer_failed(struct session *s, Tm__Outcome outcome, const char *text,
		   enum answer_about about)
{
	bool ours = text == NULL || *text == '\0';

	session_answer(s, RESPONSE_NO, answer_code(outcome, about),
		       ours ? answer_text(outcome) : command_text(s->command, "%s", text));
}

const char *answer_name_code(const struct mailbox_name *name)
{
	bool limit = name->fault == MAILBOX_NAME_TOO_LONG || name->fault == MAILBOX_NAME_TOO_DEEP;

	return limit ? "LIMIT" : "CANNOT";
}

void answer_bad_name(struct session *s, const struct mailbox_name *name)
{
	session_answer(s, RESPONSE_NO, answer_name_code(name),
		       mailbox_name_fault_text(name->fault));
}

void answer_put_mailbox_id(const struct session *s, struct buf *out, uint64_t mailbox)
{
	partition_id p = router_partition(front_router(s->client.front), s->account);

	buf_printf(out, "F%u-%llu", p.v, (unsigned long long)mailbox);
}

const char *answer_keep(struct command *c, const struct buf *b)
{
	return arena_strdup(&c->arena, buf_span(b));
}
