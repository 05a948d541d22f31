/* answer.h: how an op ended -> the tagged response, with the codes of RFC 3501, 5530 and friends.
 * Thread: the session's loop. */
#ifndef SERVER_COMMAND_ANSWER_H
#define SERVER_COMMAND_ANSWER_H

#include "server/session/session.h"

/* What NO_MAILBOX is about: the mailbox that was named (NONEXISTENT), or one that would have been
 * made on demand (TRYCREATE). */
enum answer_about { ABOUT_MAILBOX, ABOUT_TARGET };

/* Answer a command that failed; `outcome` is not DONE and does not end the session
 * (session_ends_with()). `text` may be empty: a sentence of ours is used then. */
void answer_failed(struct session *s, Tm__Outcome outcome, const char *text,
		   enum answer_about about);
/* A name with a fault: NO [CANNOT] or [LIMIT]. */
void answer_bad_name(struct session *s, const struct mailbox_name *name);

/* The code alone ("NONEXISTENT"), for answers that are not at a command's end; NULL: none. */
const char *answer_code(Tm__Outcome outcome, enum answer_about about);
const char *answer_text(Tm__Outcome outcome);
const char *answer_name_code(const struct mailbox_name *name);

/* Append a MAILBOXID: "F", the partition, "-", the id in it (RFC 8474). */
void answer_put_mailbox_id(const struct session *s, struct buf *out, uint64_t mailbox);

/* In the arena: a NUL-terminated copy of what was built up. */
const char *answer_keep(struct command *c, const struct buf *b);

#endif
