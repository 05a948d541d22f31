/* upload.h: a message on its way from a client into a partition (IMAP.md, sections 8 and 9). Up to
 * MESSAGE_INLINE_MAX_BYTES stays here and goes into the Append; what is larger goes ahead in
 * chunks while it still arrives, at most UPLOAD_WINDOW_CHUNKS unacknowledged. The MIME scanner
 * (server/mail/mime_scan.h) runs over the same bytes, once.
 * Thread: the loop of the session that uploads. */
#ifndef REPLICATION_UPLOAD_H
#define REPLICATION_UPLOAD_H

#include "proto/op.pb-c.h"
#include "replication/router.h"

struct upload; /* opaque */

struct upload_owner {
	void *data;
	/* A window that was full has room again: read the socket on. */
	void (*ready)(void *data);
	/* After upload_finish(): all chunks are durable, the message may be appended (outcome
	 * DONE), or it cannot be (UNAVAILABLE, ...). */
	void (*stored)(void *data, Tm__Outcome outcome);
};

/* Begin a message of `bytes` (0: not known yet, LMTP) for `account`. `in_chunks` forces chunks
 * also for a small body and shape (an Append of several messages that would not fit one entry).
 * Never fails.*/
struct upload *upload_begin(struct router *r, const char *account, uint64_t bytes, bool in_chunks,
			    const struct upload_owner *owner);
/* The next bytes. False: the window is full; they were taken all the same, but do not read the
 * socket on before owner->ready. */
bool upload_put(struct upload *u, struct span bytes);
/* All bytes came. owner->stored is called once; from within this call if nothing is outstanding. */
void upload_finish(struct upload *u);
/* Fill guid, size, body or chunks, shape and thread hashes of `m`, allocated from `a` or owned by
 * the upload, which must live until the Append was answered. Only after stored(DONE). */
void upload_fill(struct upload *u, struct arena *a, Tm__AppendMessage *m);
/* Forget it; chunks that were stored are collected. Accepts NULL, leaves NULL. Safe at any time. */
void upload_drop(struct upload **u);

/* How the sink tells an upload's PutChunk results from a session's: front.c calls this first, and
 * goes on with its own clients only if it returns false. */
bool upload_op_done(struct op_call *c, const Tm__OpResult *result);

#endif
