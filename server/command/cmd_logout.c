#include "server/command/commands.h"
#include "storage/base/logfmt.h"

void logout_run(struct session *s, struct command *c)
{
	struct buf *out = session_out(s);
	struct conn *conn = s->conn;

	(void)c;
	response_status(out, (struct span){ 0 }, RESPONSE_BYE, NULL, "Good-bye");
	if (session_is_selected(s))
		session_unselect(s);
	session_answer_now(s, RESPONSE_OK, NULL, "LOGOUT completed");
	if (session_is_dead(s))
		return;
	log_debug("logged out", LOG_SESSION(s->id), LOG_END);
	session_move(s, SESSION_LOGOUT);
	conn_close(conn);
}
