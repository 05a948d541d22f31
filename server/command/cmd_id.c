/* cmd_id.c: ID (RFC 2971) and NAMESPACE (RFC 2342). */
#include "server/command/commands.h"
#include "storage/base/logfmt.h"

enum { ID_LOGGED_FIELDS = 4 }; /* name, version, os, ... whatever comes first */

/* The client says who it is: worth a line, and no more than that. */
static void log_client(const struct session *s, const struct args_id *a)
{
	struct log_field fields[ID_LOGGED_FIELDS + 2] = { LOG_SESSION(s->id) };
	static const char *const keys[] = { "name", "version", "os", "vendor" };
	size_t n = 1;

	for (uint32_t i = 0; i < a->count && n <= ID_LOGGED_FIELDS; i++)
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (span_is(a->fields[i].name, keys[k]) && a->fields[i].value.at != NULL &&
			    n <= ID_LOGGED_FIELDS)
				fields[n++] = LOG_SPAN(keys[k], a->fields[i].value);
	fields[n] = LOG_END;
	if (n > 1 && log_enabled(LOG_LEVEL_INFO))
		log_event(LOG_LEVEL_INFO, "client", fields);
}

void id_run(struct session *s, struct command *c)
{
	log_client(s, &c->imap->u.id);
	buf_puts(session_out(s), "* ID (\"name\" \"Tidemark\")\r\n");
	session_answer(s, RESPONSE_OK, NULL, "ID completed");
}

/* One personal name space, without prefix. */
void namespace_run(struct session *s, struct command *c)
{
	(void)c;
	buf_puts(session_out(s), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	session_answer(s, RESPONSE_OK, NULL, "NAMESPACE completed");
}
