/* fake_conn.h: connections without sockets: a test puts bytes in and looks at what came out. Stands
 * in for server/net/conn.c at link time. */
#ifndef TESTS_UNIT_FAKE_CONN_H
#define TESTS_UNIT_FAKE_CONN_H

#include "server/net/conn.h"

struct conn *fake_conn_open(struct loop *l, const struct conn_handler *h, void *data);
/* Bytes from the client; on_input() unless it is paused. */
void fake_conn_send(struct conn *c, struct span bytes);
void fake_conn_eof(struct conn *c);
/* What the server said since the last call; NUL-terminated, valid until the next call. */
const char *fake_conn_take(struct conn *c);
bool fake_conn_is_closed(const struct conn *c); /* conn_close() or conn_abort() was called */
bool fake_conn_is_paused(const struct conn *c);
/* As if the output could not be sent: conn_is_full() is true. Off: on_drained(). */
void fake_conn_set_full(struct conn *c, bool full);
void fake_conn_deadline(struct conn *c);
uint64_t fake_conn_deadline_ms(const struct conn *c);
/* The connection dies: on_closed(). The struct stays for the test until fake_conn_free(). */
void fake_conn_die(struct conn *c);
void fake_conn_free(struct conn *c);
/* conn_move() was called: finish it. */
bool fake_conn_is_moving(const struct conn *c);
void fake_conn_arrive(struct conn *c);

#endif
