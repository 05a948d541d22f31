/* commands.c: the table is the policy: what a command needs, and what may be told of the selected
 * mailbox while it runs, as itself and in its UID form (IMAP.md, section 3). */
#include "server/command/commands.h"

#include "server/session/session_metrics.h"

#include <glib.h>

#define SELECTED_RW (NEEDS_SELECTED | WRITES_SELECTED)

/* name, needs, tells, tells with UID, run, message_comes, message, line */
const struct command_def command_table[CMD_COUNT] = {
	[CMD_NONE] = { NULL, 0, TELLS_NOTHING, TELLS_NOTHING, NULL, NULL, NULL, NULL },
	[CMD_APPEND] = { "APPEND", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, append_run,
			 append_message_comes, append_message_bytes, NULL },
	[CMD_AUTHENTICATE] = { "AUTHENTICATE", NEEDS_NOT_AUTH, TELLS_NOTHING, TELLS_NOTHING,
			       authenticate_run, NULL, NULL, authenticate_line },
	[CMD_CAPABILITY] = { "CAPABILITY", 0, TELLS_NOTHING, TELLS_NOTHING, capability_run, NULL,
			     NULL, NULL },
	[CMD_CHECK] = { "CHECK", NEEDS_SELECTED, TELLS_ALL, TELLS_ALL, check_run, NULL, NULL,
			NULL },
	[CMD_CLOSE] = { "CLOSE", NEEDS_SELECTED, TELLS_NOTHING, TELLS_NOTHING, close_run, NULL,
			NULL, NULL },
	[CMD_COMPRESS] = { "COMPRESS", NEEDS_AUTH, TELLS_NOTHING, TELLS_NOTHING, compress_run, NULL,
			   NULL, NULL },
	[CMD_COPY] = { "COPY", NEEDS_SELECTED, TELLS_ALL, TELLS_ALL, copy_run, NULL, NULL, NULL },
	[CMD_CREATE] = { "CREATE", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, create_run, NULL, NULL, NULL },
	[CMD_DELETE] = { "DELETE", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, delete_run, NULL, NULL, NULL },
	[CMD_ENABLE] = { "ENABLE", NEEDS_AUTH, TELLS_NOTHING, TELLS_NOTHING, enable_run, NULL, NULL,
			 NULL },
	[CMD_EXAMINE] = { "EXAMINE", NEEDS_AUTH, TELLS_NOTHING, TELLS_NOTHING, examine_run, NULL,
			  NULL, NULL },
	[CMD_EXPUNGE] = { "EXPUNGE", SELECTED_RW, TELLS_ALL, TELLS_ALL, expunge_run, NULL, NULL,
			  NULL },
	[CMD_FETCH] = { "FETCH", NEEDS_SELECTED, TELLS_NO_EXPUNGE, TELLS_ALL, fetch_run, NULL, NULL,
			NULL },
	[CMD_ID] = { "ID", 0, TELLS_NOTHING, TELLS_NOTHING, id_run, NULL, NULL, NULL },
	[CMD_IDLE] = { "IDLE", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, idle_run, NULL, NULL, idle_line },
	[CMD_LIST] = { "LIST", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, list_run, NULL, NULL, NULL },
	[CMD_LOGIN] = { "LOGIN", NEEDS_NOT_AUTH, TELLS_NOTHING, TELLS_NOTHING, login_run, NULL,
			NULL, NULL },
	[CMD_LOGOUT] = { "LOGOUT", 0, TELLS_NOTHING, TELLS_NOTHING, logout_run, NULL, NULL, NULL },
	[CMD_LSUB] = { "LSUB", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, lsub_run, NULL, NULL, NULL },
	[CMD_MOVE] = { "MOVE", SELECTED_RW, TELLS_ALL, TELLS_ALL, move_run, NULL, NULL, NULL },
	[CMD_NAMESPACE] = { "NAMESPACE", NEEDS_AUTH, TELLS_NOTHING, TELLS_NOTHING, namespace_run,
			    NULL, NULL, NULL },
	[CMD_NOOP] = { "NOOP", 0, TELLS_ALL, TELLS_ALL, noop_run, NULL, NULL, NULL },
	[CMD_RENAME] = { "RENAME", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, rename_run, NULL, NULL, NULL },
	[CMD_SEARCH] = { "SEARCH", NEEDS_SELECTED, TELLS_NO_EXPUNGE, TELLS_ALL, search_run, NULL,
			 NULL, NULL },
	[CMD_SELECT] = { "SELECT", NEEDS_AUTH, TELLS_NOTHING, TELLS_NOTHING, select_run, NULL, NULL,
			 NULL },
	[CMD_STARTTLS] = { "STARTTLS", NEEDS_NOT_AUTH, TELLS_NOTHING, TELLS_NOTHING, starttls_run,
			   NULL, NULL, NULL },
	[CMD_STATUS] = { "STATUS", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, status_run, NULL, NULL, NULL },
	[CMD_STORE] = { "STORE", SELECTED_RW, TELLS_NO_EXPUNGE, TELLS_ALL, store_run, NULL, NULL,
			NULL },
	[CMD_SUBSCRIBE] = { "SUBSCRIBE", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, subscribe_run, NULL,
			    NULL, NULL },
	[CMD_UNSELECT] = { "UNSELECT", NEEDS_SELECTED, TELLS_NOTHING, TELLS_NOTHING, unselect_run,
			   NULL, NULL, NULL },
	[CMD_UNSUBSCRIBE] = { "UNSUBSCRIBE", NEEDS_AUTH, TELLS_ALL, TELLS_ALL, unsubscribe_run,
			      NULL, NULL, NULL },
};

struct imap_service *imap_service_create(struct metrics *m)
{
	struct imap_service *i = g_new0(struct imap_service, 1);

	i->commands = command_table;
	i->put_capabilities = capabilities_put;
	i->metrics = session_metrics_create(m);
	return i;
}

void imap_service_free(struct imap_service **i)
{
	if (*i == NULL)
		return;
	session_metrics_free(&(*i)->metrics);
	g_free(*i);
	*i = NULL;
}
