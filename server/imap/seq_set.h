/* seq_set.h: a sequence-set as a client writes it (RFC 3501, section 9; "$": RFC 5182). Message
 * numbers or UIDs; which, the command knows. Pure; any thread. */
#ifndef SERVER_IMAP_SEQ_SET_H
#define SERVER_IMAP_SEQ_SET_H

#include "server/imap/lexer.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"
#include "storage/base/uidset.h"

/* "*", the highest number in use. Not a number that a client can write. */
enum { SEQ_STAR = 0 };

/* lo <= hi if neither is SEQ_STAR; "5:*" and "*:5" are {5, SEQ_STAR}, "*" is {SEQ_STAR, SEQ_STAR}.
 */
struct seq_range {
	uint32_t lo, hi;
};

/* Normalised: first the ranges without "*", ascending, disjoint and not adjacent; then at most one
 * with "*", which stands for all of them (2:*,7:* names what 2:* names). So 1:4294967295 is one
 * range, and 5:2,1 is 1:5. */
struct seq_set {
	struct seq_range *at; /* arena */
	uint32_t count;
	bool saved; /* "$": the saved search result; count is 0 */
};

/* At most UID_SET_MAX_RANGES ranges as written, else BAD. */
enum parse seq_set_parse(struct cursor *c, struct arena *a, struct seq_set *ret);

/* The same without "*" and "$", as QRESYNC's known-uids and sequence match data are (RFC 7162, 7).
 */
enum parse seq_set_parse_known(struct cursor *c, struct arena *a, struct seq_set *ret);

bool seq_set_has_star(const struct seq_set *s);
/* How many numbers. Only without "*" and "$" (asserted). */
uint64_t seq_set_size(const struct seq_set *s);

/* The numbers meant, where `star` is the highest in use (0: there is none, and "*" adds nothing):
 * "7:*" is `star` alone if that is below 7. Other numbers above `star` are kept: cut them with what
 * exists. *ret is replaced. Not for "$" (asserted). */
void seq_set_resolve(const struct seq_set *s, uint32_t star, struct uidset *ret);

/* A set of given UIDs, in arena memory. */
void seq_set_from_uids(const struct uidset *from, struct arena *a, struct seq_set *ret);

/* "1:3,5,7:*", or "$". */
void seq_set_text(const struct seq_set *s, struct buf *out);

#endif
