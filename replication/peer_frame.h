/* peer_frame.h: what loops (and, through the transport, nodes) say to each other about ops, reads
 * and watches. Everything in a frame is encoded: what comes from another loop is treated as what
 * comes from another node would be.
 *
 * In the flow: router.c -> [frame] -> remote.c at the owner -> partition -> remote.c -> [frame] ->
 * router.c. Thread: any may send; a frame is delivered on the loop it was sent to. */
#ifndef REPLICATION_PEER_FRAME_H
#define REPLICATION_PEER_FRAME_H

#include "storage/base/bytes.h"
#include "storage/base/ids.h"
#include "storage/base/inbox.h"

#include <protobuf-c/protobuf-c.h>

struct node;

enum peer_frame_kind {
	/* To an owner. */
	PEER_OP,          /* Tm__Op */
	PEER_READ,        /* Tm__Read */
	PEER_READ_CREDIT, /* number: frames */
	PEER_READ_CANCEL,
	PEER_WATCH, /* number: mailbox */
	PEER_UNWATCH,
	/* To a front end. */
	PEER_OP_RESULT,  /* Tm__OpResult */
	PEER_READ_FRAME, /* Tm__ReadFrame */
	PEER_HINT,       /* number: mailbox, modseq: newest, 0: gone */
};

struct peer_frame {
	struct message message;
	struct node *node;
	enum peer_frame_kind kind;
	unsigned from, to; /* loops */
	partition_id partition;
	uint64_t request; /* of the front end `from` or `to` */
	uint64_t number;
	uint64_t modseq;
	size_t bytes;
	uint8_t at[];
};

/* A frame with `m` packed in it, or nothing (NULL). */
struct peer_frame *peer_frame_new(struct node *n, enum peer_frame_kind kind, unsigned from,
				  unsigned to, const ProtobufCMessage *m);
/* Send it; taken over. False: the receiver's inbox is full, and the caller keeps it. Answers and
 * what is bounded otherwise are forced. Thread: loop `from`. */
bool peer_frame_send(struct peer_frame *f);
void peer_frame_force(struct peer_frame *f);
void peer_frame_free(struct peer_frame *f);

/* A watched mailbox changed: tell the router of loop `front`, directly if it is this one. */
void peer_hint(struct node *n, unsigned from, unsigned front, partition_id p, mailbox_id m,
	       modseq newest);

/* ---- the owner's side (remote.c) ---- */

struct remote_table; /* the jobs of one loop that came in frames */
struct remote_table *remote_table_new(void);
void remote_table_free(struct remote_table **t);
/* A frame for the owner side has come. Thread: the loop's. */
void remote_take_frame(struct node *n, struct peer_frame *f);

#endif
