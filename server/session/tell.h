/* tell.h: what a session says unasked about its selected mailbox (RFC 3501 7.2 to 7.4; RFC 7162).
 * Appends to the output; what may be told when, the caller knows (IMAP.md, section 3).
 * Thread: the session's loop. */
#ifndef SERVER_SESSION_TELL_H
#define SERVER_SESSION_TELL_H

#include "server/session/session.h"

/* All of it, in the order that the RFCs want, as far as command->tells allows: FLAGS and
 * PERMANENTFLAGS, VANISHED or EXPUNGE, EXISTS, RECENT, the rows. The view takes over what is told;
 * what is not stays held. ERR_CORRUPT if the answer contradicts itself. */
int tell_changes(struct session *s, const Tm__Changes *changes);

/* What is held, as VANISHED or EXPUNGE; "$" and \Recent lose it. */
void tell_held(struct session *s);
/* FLAGS and PERMANENTFLAGS. */
void tell_names(struct session *s, const Tm__Changes *changes);
void tell_exists(struct session *s);
void tell_recent(struct session *s);

/* Which items a FETCH response of ours has, beside UID. */
enum tell_items { TELL_FLAGS = 1, TELL_MODSEQ = 2 };
/* "* n FETCH (UID u FLAGS (..) MODSEQ (m))" for each of `uids` that is in the view. The group's
 * flags and modseq; MODSEQ is counted as sent. */
void tell_group(struct session *s, const Tm__ResultFlags *group, const struct uidset *uids,
		unsigned items);

/* How many messages are \Recent here. */
uint32_t tell_recent_count(const struct session *s);

#endif
