/* view.h: what one session has been told of its selected mailbox (IMAP.md, section 1). Pure: no
 * sockets, no clock, no store.
 *
 * Invariants, checked by view_check():
 *   V1  held is a part of uids; uids are below uidnext.
 *   V2  told (T) <= seen (S), and T = S if nothing is held.
 *   V3  T never falls between two view_reset().
 *
 * Thread: the session's loop. */
#ifndef SERVER_SESSION_VIEW_H
#define SERVER_SESSION_VIEW_H

#include "server/imap/seq_set.h"
#include "storage/base/ids.h"
#include "storage/base/uidset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct roaring_bitmap_s;

struct view {
	/* Private to view.c. */
	struct roaring_bitmap_s *uids; /* NULL: nothing */
	struct uidset held;            /* vanished in the store, not yet told */
	uint64_t held_from;            /* nothing held vanished before this modseq */
	uint64_t seen;                 /* S */
	uint32_t uidnext;
	uint32_t exists; /* of uids, held ones included */
};

/* {0} is a valid empty view. */
void view_free(struct view *v); /* leaves an empty view */

/* SELECT: the mailbox as it is now is what the client knows. */
void view_reset(struct view *v, const struct uidset *all, uint32_t uidnext, modseq seen);

static inline uint32_t view_exists(const struct view *v)
{
	return v->exists;
}

static inline uint32_t view_uidnext(const struct view *v)
{
	return v->uidnext;
}

static inline modseq view_seen(const struct view *v)
{
	return (modseq){ v->seen };
}

/* T: the one function that computes [HIGHESTMODSEQ]. */
modseq view_told(const struct view *v);
bool view_holds(const struct view *v); /* is something held? */
/* What is held, a part of the view. */
static inline const struct uidset *view_held(const struct view *v)
{
	return &v->held;
}

/* The one place where a position becomes a UID; false if the view is shorter. */
bool view_uid_at(const struct view *v, seqno n, msg_uid *ret);
/* False if the message is not in the view. */
bool view_seqno_of(const struct view *v, msg_uid uid, seqno *ret);
bool view_has(const struct view *v, msg_uid uid);
/* All of it. *ret is replaced. */
void view_uids(const struct view *v, struct uidset *ret);
uint32_t view_highest_uid(const struct view *v); /* 0: empty */
/* Those of `s` that are in the view. */
void view_intersect(const struct view *v, struct uidset *s);

/* Sequence numbers -> UIDs, as the view is now. ERR_BAD_INPUT if a number is beyond EXISTS, also
 * "*" in an empty mailbox (BAD; RFC 9051, 9: seq-number). *ret is replaced. Not for "$". UIDs that
 * a client gives are resolved by seq_set_resolve(). */
int view_resolve_seqnos(const struct view *v, const struct seq_set *seqnos, struct uidset *ret);

/* ---- taking over what a read or an op answered ---- */

/* These vanished in the store, after view_seen(). Those in the view are held until they are told.
 * Before view_advance(). */
void view_hold(struct view *v, const struct uidset *vanished);
/* The full answer: everything in the view that is not in `all` vanished. */
void view_hold_missing(struct view *v, const struct uidset *all);
/* New messages; those below view_uidnext() are left out: they were told, or are gone. True: tell
 * EXISTS. */
bool view_add(struct view *v, const struct uidset *new_uids);
/* S and the mailbox's uidnext rise to those of the answer. Lower values change nothing. */
void view_advance(struct view *v, modseq seen, uint32_t uidnext);

/* ---- telling ---- */

/* Tell what is held as VANISHED: it leaves the view and is put into *gone (replaced). */
void view_tell_vanished(struct view *v, struct uidset *gone);
/* Tell what is held as EXPUNGE: tell() is called with each sequence number, in the order in which
 * they must be sent (descending, so that none shifts another). *gone as above. */
void view_tell_expunge(struct view *v, void (*tell)(void *data, seqno n), void *data,
		       struct uidset *gone);

size_t view_bytes(const struct view *v);
bool view_check(const struct view *v);

#endif
