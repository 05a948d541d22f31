/* uids.h: from a client's sequence set to UIDs (IMAP.md, section 2: as the view was told when the
 * command starts), and to what ops and arrays of protobuf want.
 * Thread: the session's loop. */
#ifndef SERVER_COMMAND_UIDS_H
#define SERVER_COMMAND_UIDS_H

#include "server/session/session.h"

/* Message numbers, UIDs ("*" is the highest UID told) or "$" -> those UIDs that are in the view.
 * *ret is replaced. False: a number is beyond EXISTS, and the command was answered BAD. */
bool uids_of_set(struct session *s, const struct seq_set *set, struct uidset *ret);

/* A set of UIDs that may reach beyond what was told: then news are to be asked for first, so that
 * "*" and UIDs that the client has from elsewhere mean what is there. */
bool uids_want_news(const struct session *s, const struct seq_set *set);

/* As message numbers of the view; *ret is replaced. */
void uids_to_seqnos(const struct session *s, const struct uidset *uids, struct uidset *ret);

/* What the client shall see in a code: UIDs for a UID command, else message numbers. */
void uids_put(struct session *s, const struct uidset *uids, struct buf *out);

/* Keywords for an op, in the arena. */
char **uids_keywords(struct command *c, const struct flag_list *flags);

struct span uids_span(ProtobufCBinaryData d);
/* All UIDs of the mailbox, encoded: of a read with known.seen 0. */
struct span uids_all(const Tm__Changes *ch);

#endif
