/* read_changes.h: what changed in a mailbox after S, and what vanished after M, from one state
 * (IMAP.md, sections 1, 2 and 5; RFC 7162, 3.2). Pure; thread: the owner's loop. */
#ifndef REPLICATION_READ_CHANGES_H
#define REPLICATION_READ_CHANGES_H

#include "proto/read.pb-c.h"
#include "storage/base/arena.h"
#include "storage/pages.h"
#include "storage/ring.h"
#include "storage/vanished.h"

struct changes_source {
	const struct mailbox_pages *pages;
	struct ring *ring;
	const struct vanished *vanished;
};

/* Never NULL; in arena memory, and what it points to is valid as long as the source does not
 * change. known.seen == 0: everything that SELECT tells.
 *
 * Of rows there are at most about READ_FRAME_MAX_BYTES. *rest is 0 if these were all; else the UID
 * from which on read_more_rows() has to tell them, from the same state, and `highestmodseq` is
 * known.seen until it has told the last: who is cut off in the middle asks with the same S again.
 */
Tm__Changes *read_changes(const struct changes_source *s, const Tm__Known *known, struct arena *a,
			  uint32_t *rest);

/* The next rows from *rest on, which moves on, and becomes 0 with the last. Thread: any (from a
 * pin). */
Tm__Changes *read_more_rows(const struct mailbox_pages *p, const Tm__Known *known, struct arena *a,
			    uint32_t *rest);

/* The UIDs (encoded, in arena memory) that are gone since v->since: exact if it is not below the
 * horizon; else every UID of the set below uidnext that does not exist, without those that the
 * sequence match data show to be known (3.2.5.2). */
ProtobufCBinaryData read_vanished(const struct changes_source *s, const Tm__Vanished *v,
				  struct arena *a);

#endif
