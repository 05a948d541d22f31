/* lmtp_delivery.h: one message on its way to its recipients: one upload per partition, then one
 * Append per recipient under a client id of its own, and an answer for each, in their order
 * (IMAP.md, section 8). The connection may go away meanwhile: what was begun is then ended alone.
 * Private to server/lmtp. Thread: the connection's loop. */
#ifndef SERVER_LMTP_LMTP_DELIVERY_H
#define SERVER_LMTP_LMTP_DELIVERY_H

#include "proto/op.pb-c.h"
#include "server/session/front.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lmtp_delivery;

/* Somebody whose mail it is. */
struct lmtp_recipient; /* opaque */

/* `address`: as the client wrote it; `account`: normalised; `folder`: NULL for INBOX. All copied.
 */
struct lmtp_recipient *lmtp_recipient_new(struct span address, const char *account,
					  const char *folder);
void lmtp_recipient_free(struct lmtp_recipient *r);
const char *lmtp_recipient_address(const struct lmtp_recipient *r);
const char *lmtp_recipient_account(const struct lmtp_recipient *r);

struct lmtp_delivery_owner {
	void *data;
	/* A full window has room again: go on reading. */
	void (*ready)(void *data);
	/* How it ended for the next recipient. Valid during the call only. */
	void (*answer)(void *data, const struct lmtp_recipient *r, Tm__Outcome outcome);
	/* All were answered; the delivery is gone. */
	void (*done)(void *data);
};

struct lmtp_delivery_options {
	struct front *front;
	struct lmtp_recipient **recipients; /* taken over, the array (malloc) as well */
	size_t count;                       /* at least one */
	struct span head;                   /* what stands before the message */
	uint64_t max_bytes;                 /* of the message itself */
	struct lmtp_delivery_owner owner;
};

/* Never NULL. */
struct lmtp_delivery *lmtp_delivery_begin(const struct lmtp_delivery_options *o);
/* The next bytes of the message. False: wait for owner.ready (they were taken all the same). */
bool lmtp_delivery_put(struct lmtp_delivery *d, struct span bytes);
uint64_t lmtp_delivery_bytes(const struct lmtp_delivery *d);
bool lmtp_delivery_is_too_big(const struct lmtp_delivery *d);
/* That was all: answers and done() follow, never from within this call. */
void lmtp_delivery_finish(struct lmtp_delivery *d);
/* The client is gone, or thinks better of it: no more calls to the owner. Before finish nothing
 * remains of the message. Accepts NULL, leaves NULL. */
void lmtp_delivery_drop(struct lmtp_delivery **d);

#endif
