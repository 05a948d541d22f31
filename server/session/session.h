/* session.h: one IMAP connection: who it is, what it has selected, what it waits for.
 *
 * In the flow: conn -> parser -> [session] -> command table -> op or read -> answer -> conn.
 *
 * A session runs its commands strictly one after the other (IMAP.md, section 2). The next one is
 * not even parsed before the one at hand has been answered; what was pipelined waits, at most
 * CONN_INPUT_MAX_BYTES of it, in the connection's buffer, and travels with it at SELECT. So an idle
 * session holds no command, no arena and no buffer.
 *
 * A command's functions (server/command) use what stands here and in sync.h and tell.h. They start
 * an op or a read, return, and are called again with the answer; there is at most one of each kind
 * under way. When the connection dies they are not called any more: the session lingers until what
 * is outstanding has come back, releases the command and goes.
 *
 * Invariants (session_ok()):
 *   N1  state is SELECTED if and only if a mailbox is selected.
 *   N2  an op or read is under way only while there is a command.
 *   N3  nobody but session_move() writes state.
 *
 * Thread: the loop of the connection; the session moves with it. */
#ifndef SERVER_SESSION_SESSION_H
#define SERVER_SESSION_SESSION_H

#include "server/imap/parser.h"
#include "server/net/conn.h"
#include "server/session/command_def.h"
#include "server/session/front.h"
#include "server/session/view.h"
#include "storage/base/metrics.h"

#include <stdbool.h>
#include <stdint.h>

enum session_state {
	SESSION_NOT_AUTH,
	SESSION_AUTH,
	SESSION_SELECTED,
	SESSION_LOGOUT,
	SESSION_STATES
};

/* What the next input is. */
enum session_input {
	INPUT_COMMAND, /* the parser's */
	INPUT_LINE,    /* a line for the running command (IDLE, AUTHENTICATE) */
	INPUT_BUSY,    /* nobody looks: a command runs */
};

/* What all IMAP connections of the process share; a listener's data. Immutable. */
struct imap_service {
	const struct command_def *commands; /* by enum command_kind */
	/* Append what CAPABILITY says to this session, from "IMAP4rev1" on. */
	void (*put_capabilities)(const struct session *s, struct buf *out);
	struct session_metrics *metrics; /* may be NULL */
};

/* For listener_open(); its data is a struct imap_service. */
extern const struct conn_handler imap_handler;

struct session_metrics; /* session_metrics.h */

typedef void op_then(struct session *s, struct command *c, const Tm__OpResult *r);
typedef void read_then(struct session *s, struct command *c, const Tm__ReadFrame *f);
typedef void plain_then(struct session *s, struct command *c);

/* The selected mailbox. */
struct selected {
	mailbox_id mailbox; /* 0: none */
	char *name;         /* when it was selected; UTF-8 */
	uint32_t uidvalidity;
	bool read_only;
	struct view view;
	struct uidset recent;      /* \Recent in this session */
	uint32_t keywords_version; /* of the names that were told */
	uint64_t modseq_sent;      /* the highest MODSEQ that went out */
	bool owes_highest;         /* a lower [HIGHESTMODSEQ] went out while something was held */
};

/* How the read under way is told; sync.c. */
struct sync {
	read_then *then;
	plain_then *done; /* of sync_now() */
	/* Called once, after EXISTS and before the changed rows; NULL: nothing. */
	plain_then *before_rows;
	/* Rows of these UIDs with a modseq in (skip_above, skip_up_to] are not told, because the
	 * command answers them itself. NULL: none. */
	const struct uidset *skip;
	uint64_t skip_above, skip_up_to;
	mailbox_id mailbox; /* that is being read */
	bool read_only;
	bool selecting;         /* SELECT: there is no view yet; `then` takes the changes */
	bool claiming;          /* the read is being cut off for ClaimRecent */
	unsigned claims;        /* tries in this read */
	uint32_t claimed_up_to; /* \\Recent is settled for UIDs below it */
	uint32_t claim_from;    /* if the claim fails: these are taken as recent */
	struct uidset recent;   /* claimed and not yet in the view */
};

#define SESSION_MAGIC 0x1a9d7e55u

struct session {
	uint32_t magic;

	/* Fixed at open. */
	session_id id;
	const struct imap_service *service;

	/* The connection's loop only. */
	struct front_client client;
	struct conn *conn; /* NULL: it died; we linger */
	enum session_state state;
	enum session_input input;
	struct imap_parser parser;
	struct command *command; /* being read or run */
	size_t line_max_bytes;
	unsigned bad_commands; /* in a row */
	bool driving;
	bool moving;    /* to another loop */
	bool mid_fetch; /* a FETCH response was begun and is not finished: no BYE now */
	bool stopping;

	/* Who. */
	char *account; /* NULL before login; lower case, NFC */
	bool aware;    /* CONDSTORE (RFC 7162 3.1) */
	bool qresync;

	/* What is selected. */
	struct selected selected;
	struct uidset saved; /* "$" */

	/* What is under way. */
	struct op_call op;
	op_then *op_then;
	struct read_call read;
	Tm__Known known;
	read_then *read_then;
	unsigned owed_credits; /* frames that were told while the output was full */
	struct sync sync;
	plain_then *changed_then; /* IDLE: the watched mailbox has changed, or there is room */
	plain_then *moved_then;
	struct loop *loop; /* of the connection, or where it died */
};

/* What the sessions of a loop share. */
struct session_loop {
	struct command *free;
	unsigned free_count;
	struct uidset sync_set;  /* sync.c, tell.c */
	struct uidset set, set2; /* a command's, within one call */
	struct buf text;         /* within one call */
};
struct session_loop *session_loop_of(struct loop *l);

/* ---- for commands ---- */

/* Append to it; it leaves at the end of the turn. Good until the callback returns. */
struct buf *session_out(struct session *s);
struct session_loop *session_scratch(struct session *s);
/* In the arena of the command. */
char *command_text(struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The command is done. If it may tell something and has not yet, the selected mailbox is asked
 * first (sync.c); then comes the tag, and the next command. `code`: NULL, a constant, or arena. */
void session_answer(struct session *s, enum response_status status, const char *code,
		    const char *text);
/* The same without telling anything. */
void session_answer_now(struct session *s, enum response_status status, const char *code,
			const char *text);
/* "* BYE [code] text", then the connection is closed; the command gets no tag. */
void session_bye(struct session *s, const char *code, const char *text);

/* The op to send: with the account, without a what. One at a time. */
Tm__Op *session_op(struct session *s);
void session_send_op(struct session *s, op_then *then);
/* The read to send: with the account, without mailbox and what. One at a time. */
Tm__Read *session_read(struct session *s);
/* `then` is called for each frame; the next ones come by themselves, unless the client is slow. */
void session_send_read(struct session *s, read_then *then);
void session_cancel_read(struct session *s);
bool session_is_reading(const struct session *s);

/* The next line goes to def->line(). */
void session_want_line(struct session *s, size_t max_bytes);
/* Answers to def->message_comes(). */
void session_take_literal(struct session *s);
void session_refuse_literal(struct session *s, enum response_status status, const char *code,
			    const char *text);
/* While the message's bytes cannot be taken. */
void session_pause_input(struct session *s);
void session_resume_input(struct session *s);

/* Log in. */
void session_enter_account(struct session *s, struct span account);
/* Take the connection, all of the session with it, to the loop that owns the account, if it is
 * another loop of this node; `then` is called there (or at once, here). */
void session_go_home(struct session *s, plain_then *then);
void session_select(struct session *s, mailbox_id m, struct span name, bool read_only);
/* Back to AUTH; nothing is selected. */
void session_unselect(struct session *s);
/* CONDSTORE is on for the rest of the connection (RFC 7162 3.1). */
void session_become_aware(struct session *s);
/* An Outcome that ends the session (UNKNOWN_FATE; of the selected mailbox: NO_MAILBOX). True if it
 * did. */
bool session_ends_with(struct session *s, Tm__Outcome outcome, bool of_selected);

/* Nobody listens any more: nothing is begun or said. */
static inline bool session_is_dead(const struct session *s)
{
	return s->conn == NULL || s->state == SESSION_LOGOUT;
}

static inline bool session_is_selected(const struct session *s)
{
	return s->selected.mailbox.v != 0;
}

/* ---- between session.c and pipeline.c ---- */

void session_move(struct session *s, enum session_state to);
bool session_ok(const struct session *s);
/* Answers of the front; calls.c. */
extern const struct front_client_ops session_client_ops;
void session_give_owed_credits(struct session *s);
void session_on_stop(struct front_client *k);

/* Go on reading and running as long as there is something to do. */
void session_drive(struct session *s);
void session_set_deadline(struct session *s);
/* The command is over: release it. */
void session_drop_command(struct session *s);
struct command *command_take(struct session_loop *l);
void command_give(struct session_loop *l, struct command *c);
/* The connection died and nothing is outstanding any more: free it. */
void session_free_if_done(struct session *s);

#endif
