/* cmd_enable.c: ENABLE (RFC 5161), also while a mailbox is selected (IMAP.md, section 5). What is
 * not known is ignored. */
#include "server/command/commands.h"

void enable_run(struct session *s, struct command *c)
{
	const struct args_enable *a = &c->imap->u.enable;
	struct buf *out = session_out(s);
	bool condstore = false, qresync = false;

	for (uint32_t i = 0; i < a->count; i++) {
		condstore = condstore || span_is(a->names[i], "CONDSTORE");
		qresync = qresync || span_is(a->names[i], "QRESYNC");
	}
	buf_puts(out, "* ENABLED");
	if (condstore)
		buf_puts(out, " CONDSTORE");
	if (qresync)
		buf_puts(out, " QRESYNC");
	buf_puts(out, "\r\n");
	if (condstore || qresync)
		session_become_aware(s);
	s->qresync = s->qresync || qresync;
	session_answer(s, RESPONSE_OK, NULL, "ENABLE completed");
}
