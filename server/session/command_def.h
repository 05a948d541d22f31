/* command_def.h: a command under way, and the table that says what each kind may do. The table
 * itself stands in server/command/commands.c; the session reaches it by pointer only. */
#ifndef SERVER_SESSION_COMMAND_DEF_H
#define SERVER_SESSION_COMMAND_DEF_H

#include "server/imap/command.h"
#include "server/imap/response.h"
#include "storage/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct command;

/* What the state must be before run(). Checked by the dispatcher. */
enum cmd_needs {
	NEEDS_NOT_AUTH = 1 << 0, /* before login only */
	NEEDS_AUTH = 1 << 1,
	NEEDS_SELECTED = 1 << 2,
	WRITES_SELECTED = 1 << 3, /* not after EXAMINE */
};

/* What may be told of the selected mailbox while it runs (IMAP.md, section 3). */
enum cmd_tells { TELLS_NOTHING, TELLS_NO_EXPUNGE, TELLS_ALL };

/* One row per enum command_kind. */
struct command_def {
	const char *name; /* NULL: there is no such command */
	unsigned needs;   /* enum cmd_needs */
	enum cmd_tells tells;
	enum cmd_tells uid_tells; /* of its UID form */

	/* The command is complete. Ends, then or later, with session_answer(). */
	void (*run)(struct session *s, struct command *c);
	/* APPEND: may the message of `bytes` come (RFC 3501 4.3)? Ends, then or later, with
	 * session_take_literal() or session_refuse_literal(). */
	void (*message_comes)(struct session *s, struct command *c, uint64_t bytes);
	/* APPEND: a piece of the message, the last one with `end`. */
	void (*message)(struct session *s, struct command *c, struct span bytes, bool end);
	/* A line that the running command asked for with session_want_line(). */
	void (*line)(struct session *s, struct command *c, struct span line);
};

/* The end of a command. The code without brackets; no bytes: none. */
struct answer {
	enum response_status status;
	struct span code;
	const char *text; /* a constant, or in the command's arena */
};

/* From the first byte of its line to its tag (STYLE.md, B9). From the loop's pool. */
struct command {
	struct command *next; /* in the pool */
	struct arena arena;   /* all of it dies with the tag */
	const struct command_def *def;
	struct imap_command *imap;
	enum cmd_tells tells;
	uint64_t began_ns;
	bool synced;        /* all that it may tell has been told: no closing read */
	bool tells_highest; /* its tag carries [HIGHESTMODSEQ T] */
	bool ending;        /* session_answer() was called */
	bool refused;       /* its literal was refused: `answer` is for its end */
	bool literal_waits; /* for "+" */
	struct answer answer;
	void *state; /* the command's own, in the arena */
	/* Frees what is not in the arena; called once, also when the connection died. May be
	 * NULL. */
	void (*release)(struct session *s, struct command *c);
};

#endif
