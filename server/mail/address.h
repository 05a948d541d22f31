/* address.h: RFC 5322 address lists, as IMAP's ENVELOPE shows them (RFC 3501, 7.4.2). Pure; any
 * thread. As tolerant as mail is broken: every input gives a list. */
#ifndef SERVER_MAIL_ADDRESS_H
#define SERVER_MAIL_ADDRESS_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"

#include <stddef.h>

/* One address, or one edge of a group. A span whose `at` is NULL is IMAP's NIL.
 *   address      host is not NIL; a domain that is missing is "MISSING_DOMAIN", a local part
 *                that is missing is "MISSING_MAILBOX" (NIL would mean a group)
 *   group begins host NIL, mailbox is the group's name
 *   group ends   host and mailbox are NIL
 * Bytes are those of the header, quotes and backslashes resolved, RFC 2047 words untouched. */
struct mail_address {
	struct span name;
	struct span route; /* "@a,@b", the obsolete source route */
	struct span mailbox;
	struct span host;
};

struct address_list {
	struct mail_address *at;
	size_t count;
};

/* Parse the value of an address header (unfolded or not) and append to *list what fits into
 * `max_bytes` (text plus ADDRESS_OVERHEAD_BYTES each; a list is cut between addresses and the cut
 * closes an open group). Everything lives in `a`. Returns the bytes used. */
size_t address_parse(struct arena *a, struct span value, size_t max_bytes,
		     struct address_list *list);

enum { ADDRESS_OVERHEAD_BYTES = 21 }; /* what shape_encode() adds to the text, at most */

#endif
