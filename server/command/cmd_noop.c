/* cmd_noop.c: NOOP and CHECK: what changed is told, as after any command. They do not fail when
 * the owner cannot be asked (IMAP.md, section 9). */
#include "server/command/commands.h"

void noop_run(struct session *s, struct command *c)
{
	(void)c;
	session_answer(s, RESPONSE_OK, NULL, "NOOP completed");
}

/* What was answered is durable already. */
void check_run(struct session *s, struct command *c)
{
	(void)c;
	session_answer(s, RESPONSE_OK, NULL, "CHECK completed");
}
