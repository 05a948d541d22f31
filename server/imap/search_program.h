/* search_program.h: what SEARCH asks for (RFC 3501, 6.4.4), as a tree of few kinds of nodes, and
 * encoded for the way to the mailbox's owner (SearchMessages.program in proto/read.proto). Pure;
 * any thread. */
#ifndef SERVER_IMAP_SEARCH_PROGRAM_H
#define SERVER_IMAP_SEARCH_PROGRAM_H

#include "server/imap/lexer.h"
#include "server/imap/seq_set.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"

/* The client's many keys come down to these: UNSEEN is NOT FLAG \Seen, NEW is AND(RECENT, NOT FLAG
 * \Seen), FROM "x" is HEADER "From" "x", OR has two children or more, an AND of none is ALL. */
enum search_key {
	SEARCH_AND, /* all children */
	SEARCH_OR,  /* at least one child */
	SEARCH_NOT, /* not its one child */
	SEARCH_ALL,
	SEARCH_SEQ,  /* .set: message numbers; never sent on: resolve first */
	SEARCH_UID,  /* .set */
	SEARCH_FLAG, /* .number: one enum system_flag */
	SEARCH_RECENT,
	SEARCH_KEYWORD, /* .text */
	SEARCH_LARGER,  /* .number, octets; strictly */
	SEARCH_SMALLER,
	SEARCH_BEFORE, /* .day: internal date, in its own zone */
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_SENT_BEFORE, /* .day: Date: header */
	SEARCH_SENT_ON,
	SEARCH_SENT_SINCE,
	SEARCH_SAVED_BEFORE, /* .day: save date (RFC 8514) */
	SEARCH_SAVED_ON,
	SEARCH_SAVED_SINCE,
	SEARCH_SAVEDATE_SUPPORTED,
	SEARCH_OLDER, /* .number, seconds (RFC 5032), from 1 */
	SEARCH_YOUNGER,
	SEARCH_MODSEQ, /* .number: modseq >= it; entry names do not matter (one per message) */
	SEARCH_HEADER, /* .name, .text */
	SEARCH_BODY,   /* .text */
	SEARCH_TEXT,
	SEARCH_EMAILID, /* .text (RFC 8474) */
	SEARCH_THREADID,
	SEARCH_KEY_COUNT
};

struct search_node {
	enum search_key key;
	struct search_node *child; /* first of AND, OR, NOT */
	struct search_node *next;  /* sibling */
	struct seq_set set;
	uint64_t number;
	int64_t day;      /* calendar_day() (server/mail/date.h) */
	struct span text; /* raw, in the program's charset */
	struct span name; /* header field, as the client wrote it */
};

/* ESEARCH's RETURN (...) (RFC 4731, 5182), bits of search_program.want. */
enum search_return {
	SEARCH_RETURN_MIN = 1 << 0,
	SEARCH_RETURN_MAX = 1 << 1,
	SEARCH_RETURN_ALL = 1 << 2,
	SEARCH_RETURN_COUNT = 1 << 3,
	SEARCH_RETURN_SAVE = 1 << 4,
	SEARCH_RETURN_EVERY = (1 << 5) - 1,
};

struct search_program {
	struct search_node
		*root; /* arena; at most SEARCH_KEYS_MAX nodes, SEARCH_NESTING_MAX_LEVELS deep */
	struct span charset; /* as written, e.g. "UTF-8"; no bytes: none was given (US-ASCII) */
};

/* 1*(search-key), each after a blank that was already taken, up to a byte that begins none. */
enum parse search_program_parse(struct cursor *c, struct arena *a, struct search_program *ret);

/* Is there a node with this key? */
bool search_program_has(const struct search_program *p, enum search_key key);
/* Is there a "$"? */
bool search_program_has_saved(const struct search_program *p);
/* Are there message numbers (IMAP.md, section 3)? "$" is none: it is a set of UIDs. */
bool search_program_has_seqnos(const struct search_program *p);

/* Calls fn for every set (SEARCH_SEQ, SEARCH_UID), which may replace node->set and node->key: this
 * is how message numbers, "*" and "$" become UIDs before the program is encoded. */
typedef void search_set_fn(void *data, struct search_node *node);
void search_program_each_set(struct search_program *p, search_set_fn *fn, void *data);

/* Sets must be resolved: SEARCH_UID without "*" and "$" only (asserted). */
void search_program_encode(const struct search_program *p, struct buf *out);
/* ERR_CORRUPT if the bytes are not what encode writes; the same bounds hold. Spans point into
 * `bytes`. */
int search_program_decode(struct span bytes, struct arena *a, struct search_program *ret);

#endif
