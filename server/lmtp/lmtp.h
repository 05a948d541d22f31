/* lmtp.h: mail comes in (RFC 2033: as SMTP, but LHLO, and after the message one answer for each
 * recipient that was accepted). PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES and
 * CHUNKING; BINARYMIME is not offered.
 *
 * In the flow: conn -> lmtp_parse (pure) -> [session] -> account by router_read() at RCPT -> one
 * upload per partition -> one Append per recipient -> 250 when it is durable. */
#ifndef SERVER_LMTP_LMTP_H
#define SERVER_LMTP_LMTP_H

#include "server/net/conn.h"
#include "storage/base/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct lmtp;

struct lmtp_options {
	const char *hostname;   /* in the greeting and in Received */
	uint64_t message_bytes; /* SIZE */
	bool whole_address; /* an account is a whole address only; else its local part will do */
	struct tls *tls;    /* STARTTLS is offered; NULL: it is not */
	struct metrics *metrics; /* may be NULL */
};

/* What all LMTP connections of the process share. Never NULL. Thread: main. */
struct lmtp *lmtp_create(const struct lmtp_options *o);
/* After the loops ended. Accepts NULL, leaves NULL. */
void lmtp_free(struct lmtp **l);

/* For listener_open(); its data is the struct lmtp. Each loop has a front (front_of()). When the
 * front stops, sessions say 421, after the mail that they are delivering. */
extern const struct conn_handler lmtp_handler;

#endif
