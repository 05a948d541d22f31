/* search_match.h: does one message match a search program? (RFC 3501, 6.4.4.) What a criterion
 * needs of the store (shape, bytes) is read when the first one asks for it; what the pin decides
 * needs nothing of it.
 * Thread: one at a time. */
#ifndef REPLICATION_SEARCH_MATCH_H
#define REPLICATION_SEARCH_MATCH_H

#include "server/imap/search_program.h"
#include "storage/base/uidset.h"
#include "storage/pages.h"
#include "storage/store.h"

struct search_matcher; /* opaque */

struct search_context {
	const struct mailbox_pages *pin;
	struct store *store; /* NULL: no criterion needs it */
	partition_id partition;
	const struct uidset *recent;
	int64_t now; /* unix seconds, for OLDER and YOUNGER */
};

/* Decode a program. ERR_BAD_INPUT: it cannot be, or its strings are not of its charset. On 0 *ret
 * owns it: search_matcher_free(). */
int search_matcher_new(struct span program, struct search_matcher **ret);
void search_matcher_free(struct search_matcher **m); /* accepts NULL, leaves NULL */

/* True if some criterion needs the store. */
bool search_matcher_needs_store(const struct search_matcher *m);
/* Messages with a lower modseq cannot match (0: nothing is known). */
uint64_t search_matcher_least_modseq(const struct search_matcher *m);

/* What the pin alone says of a message. */
enum match { MATCH_NO, MATCH_YES, MATCH_UNKNOWN };
enum match search_matcher_glance(struct search_matcher *m, const struct search_context *c,
				 const struct page_entry *e);

/* The whole test, for what is MATCH_UNKNOWN. `info`: the message's row, which the caller has read
 * for many at once. OK and the answer in *ret; what is gone from the store does not match. */
int search_matcher_test(struct search_matcher *m, const struct search_context *c,
			const struct page_entry *e, const struct message_info *info, bool *ret);

#endif
