#include "replication/peer_frame.h"

#include "replication/node.h"
#include "replication/router_loop.h"
#include "storage/base/loop.h"

#include <stdlib.h>

static void deliver(struct message *m, void *receiver)
{
	struct peer_frame *f = (struct peer_frame *)m;

	(void)receiver;
	switch (f->kind) {
	case PEER_OP:
	case PEER_READ:
	case PEER_READ_CREDIT:
	case PEER_READ_CANCEL:
	case PEER_WATCH:
	case PEER_UNWATCH: remote_take_frame(f->node, f); break;
	case PEER_OP_RESULT:
	case PEER_READ_FRAME:
	case PEER_HINT: router_take_frame(f->node->routers[f->to], f); break;
	}
	peer_frame_free(f);
}

static void drop(struct message *m)
{
	peer_frame_free((struct peer_frame *)m);
}

struct peer_frame *peer_frame_new(struct node *n, enum peer_frame_kind kind, unsigned from,
				  unsigned to, const ProtobufCMessage *m)
{
	size_t bytes = m == NULL ? 0 : protobuf_c_message_get_packed_size(m);
	struct peer_frame *f = malloc(sizeof(*f) + bytes);

	if (f == NULL)
		abort();
	*f = (struct peer_frame){
		.message = { .deliver = deliver, .drop = drop },
		.node = n,
		.kind = kind,
		.from = from,
		.to = to,
		.bytes = bytes,
	};
	if (m != NULL)
		protobuf_c_message_pack(m, f->at);
	return f;
}

bool peer_frame_send(struct peer_frame *f)
{
	return loop_send(f->node->loops[f->from], loop_inbox(f->node->loops[f->to]), &f->message) ==
	       0;
}

void peer_frame_force(struct peer_frame *f)
{
	loop_send_forced(f->node->loops[f->from], loop_inbox(f->node->loops[f->to]), &f->message);
}

void peer_frame_free(struct peer_frame *f)
{
	free(f);
}

void peer_hint(struct node *n, unsigned from, unsigned front, partition_id p, mailbox_id m,
	       modseq newest)
{
	struct peer_frame *f = peer_frame_new(n, PEER_HINT, from, front, NULL);

	f->partition = p;
	f->number = m.v;
	f->modseq = newest.v;
	if (from == front && !n->options.route_remote) {
		router_take_frame(n->routers[front], f);
		peer_frame_free(f);
	} else {
		peer_frame_force(f);
	}
}
