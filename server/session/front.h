/* front.h: the role of a loop towards its own connections: who asked what, and whom an answer is
 * for. One struct front per loop; main makes it, then the loop's router with front_sink(), then
 * front_set_router().
 *
 *	struct lmtp_session {
 *		struct front_client client; // first or not, its own choice
 *		struct op_call append;
 *	};
 *	front_client_init(&s->client, front, &lmtp_client_ops, client_id_draw());
 *	tm__op__init(&s->append.op); ... what, account
 *	front_op(&s->client, &s->append);           -> ops->op_done(&s->client, &s->append, result)
 *
 * A client must outlive its outstanding calls: after the connection died it lingers until
 * front_client_is_busy() is false. Answers never come from within the call that asked.
 *
 * Thread: the loop's; a client may go to another loop's front while
 * nothing of it is outstanding or watched (front_client_leave(), front_client_enter()). */
#ifndef SERVER_SESSION_FRONT_H
#define SERVER_SESSION_FRONT_H

#include "replication/change_sink.h"
#include "replication/router.h"
#include "storage/base/ids.h"
#include "storage/base/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct auth;
struct config;
struct front;
struct front_client;
struct metrics;
struct tls;

/* What the loops of a process share; immutable while they run, but for what is said. */
struct front_options {
	const struct config *config; /* the present one: front_set_config() */
	struct auth *auth;           /* may be NULL where nobody logs in */
	struct tls *tls;             /* STARTTLS; NULL: not offered */
	struct metrics *metrics;     /* may be NULL */
	struct loop *const *loops;   /* all of them, by index */
	unsigned loop_count;
};

struct front_client_ops {
	/* Exactly once per front_op(). `r` is valid during the call only. */
	void (*op_done)(struct front_client *k, struct op_call *c, const Tm__OpResult *r);
	/* Its deadline is long over and its fate is unknown: give up on the command. op_done still
	 * comes, and until then `c` must stay. NULL: just wait. */
	void (*op_late)(struct front_client *k, struct op_call *c);
	/* The last one has `end`, exactly once per front_read(). Valid during the call only. */
	void (*read_frame)(struct front_client *k, struct read_call *c, const Tm__ReadFrame *f);
	/* The watched mailbox has changed, or is gone (newest.v == 0). May come for nothing. */
	void (*mailbox_changed)(struct front_client *k, modseq newest);
	/* Names, subscriptions or rights of a watched account changed. NULL: not interested. */
	void (*list_changed)(struct front_client *k, uint64_t listseq);
	/* The server stops: say good-bye soon. NULL: not interested. */
	void (*stop)(struct front_client *k);
};

/* Embedded in whoever asks: an IMAP session, an LMTP session, an authentication, an admin job. */
struct front_client {
	struct front *front;
	const struct front_client_ops *ops;
	client_id id;
	uint64_t last_number;                         /* of the ops */
	unsigned outstanding;                         /* ops and reads */
	struct front_client *prev, *next;             /* of the front */
	struct front_client *watch_prev, *watch_next; /* of the same mailbox */
	struct watched *watched;                      /* NULL: nothing */
};

struct front *front_create(struct loop *l, const struct front_options *o); /* never NULL */
/* The front is what the sink's functions get as `front`. */
const struct change_sink *front_sink(void);
void front_set_router(struct front *f, struct router *r);
/* After a reload. Thread: the loop's. */
void front_set_config(struct front *f, const struct config *config);
/* Tell all clients to stop; those that come later are told at once. */
void front_stop(struct front *f);
/* All clients are gone. Accepts NULL, leaves NULL. */
void front_free(struct front **f);

struct loop *front_loop(const struct front *f);
struct router *front_router(const struct front *f);
const struct config *front_config(const struct front *f);
const struct front_options *front_options(const struct front *f);
bool front_is_stopping(const struct front *f);
/* The front of a loop (it is kept in LOOP_SLOT_SESSION). Thread: the loop's. */
struct front *front_of(const struct loop *l);
/* Unique in the process. */
session_id front_draw_session_id(struct front *f);
/* How many clients there are. */
uint32_t front_clients(const struct front *f);

/* 128 random bits. */
client_id client_id_draw(void);

void front_client_init(struct front_client *k, struct front *f, const struct front_client_ops *ops,
		       client_id id);
/* Nothing is outstanding any more. Unwatches. */
void front_client_done(struct front_client *k);
/* On the new loop: from now on it belongs to `to`. Before, on the old one: front_client_leave(). */
void front_client_leave(struct front_client *k);
void front_client_enter(struct front_client *k, struct front *to);
bool front_client_is_busy(const struct front_client *k);

/* Send c->op; the caller has filled account and what, client and number are filled in here. */
void front_op(struct front_client *k, struct op_call *c);
/* Send c->read; the caller has filled account, mailbox or name, known and what. */
void front_read(struct front_client *k, struct read_call *c);
void front_read_credit(struct front_client *k, struct read_call *c, unsigned frames);
void front_read_cancel(struct front_client *k, struct read_call *c);

/* Watch one mailbox: ops->mailbox_changed is called when it has changed beyond `known`. Register
 * first, ask afterwards. A client watches at most one; a second call replaces the first. */
void front_watch(struct front_client *k, const char *account, mailbox_id m, modseq known);
void front_unwatch(struct front_client *k);

#endif
