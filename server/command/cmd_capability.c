/* cmd_capability.c: CAPABILITY. Exactly what is offered to this session now. */
#include "server/auth/auth.h"
#include "server/command/commands.h"
#include "server/config/config.h"
#include "storage/base/limits.h"

static const char always[] =
	"IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE"
	" CONDSTORE QRESYNC ESEARCH SEARCHRES WITHIN LIST-EXTENDED LIST-STATUS SPECIAL-USE"
	" CREATE-SPECIAL-USE STATUS=SIZE MULTIAPPEND OBJECTID SAVEDATE";

static void put_before_login(const struct session *s, struct buf *out)
{
	const struct front_options *o = front_options(s->client.front);
	char address[CONN_ADDRESS_BYTES];
	struct auth_peer peer = {
		.front = s->client.front,
		.address = conn_peer_address(s->conn, address),
		.loopback = conn_is_loopback(s->conn),
		.tls = conn_tls(s->conn),
		.session = s->id,
	};

	if (o->tls != NULL && !conn_is_tls(s->conn))
		buf_puts(out, " STARTTLS");
	if (o->auth == NULL)
		return;
	auth_put_capabilities(o->auth, &peer, out);
	if (!auth_allows_plaintext(o->auth, &peer))
		buf_puts(out, " LOGINDISABLED");
}

void capabilities_put(const struct session *s, struct buf *out)
{
	const struct config *config = front_config(s->client.front);

	buf_puts(out, always);
	buf_printf(out, " APPENDLIMIT=%llu SAVELIMIT=%d",
		   (unsigned long long)(config != NULL ? config->limits.message_bytes
						       : MESSAGE_MAX_BYTES),
		   COPY_MESSAGES_MAX);
	if (s->state == SESSION_NOT_AUTH)
		put_before_login(s, out);
	else if (!conn_is_compressed(s->conn))
		buf_puts(out, " COMPRESS=DEFLATE");
}

const char *capabilities_code(struct session *s, struct command *c)
{
	struct buf *text = &session_scratch(s)->text;

	buf_reset(text);
	buf_puts(text, "CAPABILITY ");
	capabilities_put(s, text);
	return arena_strdup(&c->arena, buf_span(text));
}

void capability_run(struct session *s, struct command *c)
{
	struct buf *out = session_out(s);

	(void)c;
	buf_puts(out, "* CAPABILITY ");
	capabilities_put(s, out);
	buf_puts(out, "\r\n");
	session_answer(s, RESPONSE_OK, NULL, "CAPABILITY completed");
}
