/* list_match.h: does a mailbox name match a LIST pattern (RFC 3501, 6.3.8)? "*" stands for
 * anything, "%" for anything without "/". UTF-8; INBOX as first level is compared without case.
 * Pure; any thread. Time is at most (bytes of pattern) x (bytes of name) steps, whatever they are.
 */
#ifndef SERVER_IMAP_LIST_MATCH_H
#define SERVER_IMAP_LIST_MATCH_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"

enum list_match {
	LIST_NO,    /* neither the name nor anything below it can match */
	LIST_BELOW, /* the name does not, but an inferior of it could */
	LIST_MATCH, /* the name matches */
};

struct list_pattern; /* compiled; arena memory; immutable */

/* `reference` and `pattern` in modified UTF-7, as they came. The pattern is joined to the reference
 * as it is, unless the pattern begins with "/" (Dovecot does the same). NULL if nothing can match,
 * because it is not modified UTF-7. */
const struct list_pattern *list_pattern_make(struct span reference, struct span pattern,
					     struct arena *a);

/* Of a normalised name. */
enum list_match list_pattern_match(const struct list_pattern *p, struct span utf8);

#endif
