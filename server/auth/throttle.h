/* throttle.h: failed logins cost time, and more each time, without letting anybody lock out anybody
 * else. Nothing is ever refused; an attempt is made to wait before it is looked at, at most
 * `max_ms`, and what counts is:
 *   the pair (account, address)   doubling from the THROTTLE_PAIR_FREE-th failure on
 *   the address                   doubling from the THROTTLE_ADDRESS_FREE-th failure on
 * So a user at another address waits for nothing. This machine's own address counts in pairs only:
 * a webmail or a proxy brings everybody from there. A user who has logged in from this address
 * before does not wait for the address's failures with other accounts, and for those of the pair
 * at most THROTTLE_KNOWN_MAX_MILLISECONDS. Failures are forgotten by halves, every
 * THROTTLE_HALF_SECONDS. The table is bounded: the oldest entry of a bucket goes first.
 *
 * Thread: any (a short lock). IPv6 addresses count by their /64. */
#ifndef SERVER_AUTH_THROTTLE_H
#define SERVER_AUTH_THROTTLE_H

#include "storage/base/bytes.h"

#include <stdint.h>

struct throttle;

/* `first_ms`: the first delay; `max_ms`: the longest; `entries`: of the table. Never NULL. */
struct throttle *throttle_create(uint64_t first_ms, uint64_t max_ms, size_t entries);
/* Accepts NULL, leaves NULL. */
void throttle_free(struct throttle **t);
/* A reload. */
void throttle_set(struct throttle *t, uint64_t first_ms, uint64_t max_ms);

/* How long this attempt must wait before it is looked at. Attempts that are made at the same time
 * wait one after the other, so that many connections do not help. */
uint64_t throttle_delay_ms(struct throttle *t, struct span account, const char *address,
			   uint64_t now_ms);
void throttle_failed(struct throttle *t, struct span account, const char *address, uint64_t now_ms);
void throttle_succeeded(struct throttle *t, struct span account, const char *address,
			uint64_t now_ms);

#endif
