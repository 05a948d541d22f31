/* cmd_starttls.c: STARTTLS and COMPRESS: the connection becomes another one after the tag. Nothing
 * that was pipelined behind STARTTLS survives it (conn_start_tls()). */
#include "server/command/commands.h"

void starttls_run(struct session *s, struct command *c)
{
	const struct front_options *o = front_options(s->client.front);

	(void)c;
	if (o->tls == NULL) {
		session_answer(s, RESPONSE_BAD, NULL, "STARTTLS is not offered");
		return;
	}
	if (conn_is_tls(s->conn)) {
		session_answer(s, RESPONSE_BAD, NULL, "TLS is on already");
		return;
	}
	session_answer(s, RESPONSE_OK, NULL, "Begin TLS negotiation now");
	if (!session_is_dead(s))
		conn_start_tls(s->conn, o->tls);
}

void compress_run(struct session *s, struct command *c)
{
	if (!span_is(c->imap->u.compress.algorithm, "DEFLATE")) {
		session_answer(s, RESPONSE_BAD, NULL, "Only DEFLATE is offered");
		return;
	}
	if (conn_is_compressed(s->conn)) {
		session_answer(s, RESPONSE_NO, "COMPRESSIONACTIVE", "DEFLATE is active already");
		return;
	}
	session_answer(s, RESPONSE_OK, NULL, "DEFLATE active");
	if (!session_is_dead(s))
		conn_start_compress(s->conn);
}
