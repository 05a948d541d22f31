/* sync.h: what changed in the selected mailbox after S? The one question by which a session keeps
 * up (DESIGN.md section 3; IMAP.md sections 1 to 3). Every read of the selected mailbox carries it
 * and is first answered with the changes, from the same pin as its data.
 *
 * If new messages came to a session that may claim \Recent, the read is cut off after that news,
 * the claim is made, and the read is sent again: so what is told in front of EXISTS and in the data
 * is right (IMAP.md, section 6). Nothing has been told by then.
 *
 * Thread: the session's loop. */
#ifndef SERVER_SESSION_SYNC_H
#define SERVER_SESSION_SYNC_H

#include "server/session/session.h"

/* session_read() has been filled in, but for mailbox and known. What may be told (command->tells)
 * is told when the first frame comes, then `then` gets each frame. If the mailbox is gone, the
 * session ends and `then` is not called. */
void sync_send_read(struct session *s, read_then *then);

/* The same without data. `done` is called when all is told, or could not be learnt now. */
void sync_now(struct session *s, plain_then *done);

/* SELECT: session_read() has been filled in, with the name instead of a mailbox. `then` gets all
 * frames, the first with the changes, after \Recent was claimed if `read_only` is false; the
 * claimed UIDs are in s->sync.recent. */
void sync_send_select(struct session *s, bool read_only, read_then *then);

/* A row of the changes shall not be told for these UIDs, because the command tells them itself, if
 * its modseq is in (above, up_to]. `uids` must live until the command ends. */
void sync_skip(struct session *s, const struct uidset *uids, uint64_t above, uint64_t up_to);

#endif
