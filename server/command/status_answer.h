/* status_answer.h: "* STATUS" lines, for STATUS and for LIST RETURN (STATUS ...).
 * Thread: the session's loop. */
#ifndef SERVER_COMMAND_STATUS_ANSWER_H
#define SERVER_COMMAND_STATUS_ANSWER_H

#include "server/session/session.h"

struct status_facts {
	uint64_t mailbox;
	uint32_t messages;
	uint32_t recent;
	uint32_t uidnext;
	uint32_t uidvalidity;
	uint32_t unseen;
	uint64_t highestmodseq;
	uint64_t bytes;
};

/* From the rows; `recent` is not in them. Of the selected mailbox what this session was told
 * (HIGHESTMODSEQ is T), but for UNSEEN and SIZE. */
void status_facts_fill(const struct session *s, const Tm__ListedMailbox *m,
		       struct status_facts *ret);

/* Are there messages that may be \Recent? Then their number has to be counted. */
bool status_must_count_recent(const struct session *s, const Tm__ListedMailbox *m, unsigned items);
/* From a read of the mailbox by name with known.seen 0. */
uint32_t status_count_recent(const Tm__Changes *ch);

/* The whole line. `items`: enum status_item. */
void status_put(struct session *s, struct span name, unsigned items,
		const struct status_facts *facts);

#endif
