/* fetch_answer.h: FETCH responses out of the pieces of a read, for FETCH and for SELECT with
 * QRESYNC. Thread: the session's loop. */
#ifndef SERVER_COMMAND_FETCH_ANSWER_H
#define SERVER_COMMAND_FETCH_ANSWER_H

#include "server/session/session.h"

/* VANISHED (EARLIER) and the pieces of a frame, after its changes were told; only of messages in
 * `uids`, if it is not NULL. Returns how many messages were finished in it. */
uint32_t fetch_answer_put(struct session *s, const Tm__ReadFrame *f, const struct uidset *uids);

#endif
