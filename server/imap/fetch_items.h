/* fetch_items.h: what FETCH asks for (RFC 3501, 6.4.5), parsed, and encoded for the way to the
 * mailbox's owner (FetchMessages.items in proto/read.proto). Pure; any thread. */
#ifndef SERVER_IMAP_FETCH_ITEMS_H
#define SERVER_IMAP_FETCH_ITEMS_H

#include "server/imap/lexer.h"
#include "server/mail/section.h"
#include "storage/base/arena.h"
#include "storage/base/buf.h"

/* Items that stand for themselves: bits of fetch_items.simple. */
enum fetch_simple {
	FETCH_UID = 1 << 0,
	FETCH_FLAGS = 1 << 1,
	FETCH_INTERNALDATE = 1 << 2,
	FETCH_RFC822_SIZE = 1 << 3,
	FETCH_ENVELOPE = 1 << 4,
	FETCH_BODY = 1 << 5, /* BODY without [..]: the structure without extensions */
	FETCH_BODYSTRUCTURE = 1 << 6,
	FETCH_MODSEQ = 1 << 7,  /* RFC 7162 */
	FETCH_EMAILID = 1 << 8, /* RFC 8474 */
	FETCH_THREADID = 1 << 9,
	FETCH_SAVEDATE = 1 << 10, /* RFC 8514 */
	FETCH_SIMPLE_ALL = (1 << 11) - 1,
};

/* By which name a part of the message was asked for. */
enum fetch_form {
	FETCH_FORM_SECTION,       /* BODY[..] and BODY.PEEK[..]; answered as BODY[..] */
	FETCH_FORM_RFC822,        /* = BODY[] */
	FETCH_FORM_RFC822_HEADER, /* = BODY.PEEK[HEADER] */
	FETCH_FORM_RFC822_TEXT,   /* = BODY[TEXT] */
};

/* One part of the message's bytes. */
struct fetch_part {
	enum fetch_form form;
	bool peek;              /* does not set \Seen */
	struct section section; /* filled in for every form; arena memory */
	bool partial;           /* <offset.length> */
	uint32_t offset;
	uint32_t length; /* not 0 */
};

struct fetch_items {
	unsigned simple;          /* enum fetch_simple */
	struct fetch_part *parts; /* arena; in the client's order */
	uint32_t part_count;      /* at most FETCH_ITEMS_MAX */
};

/* fetch-att, a list of them, or ALL, FAST, FULL. */
enum parse fetch_items_parse(struct cursor *c, struct arena *a, struct fetch_items *ret);

/* Some part is asked for without PEEK. */
bool fetch_items_set_seen(const struct fetch_items *items);

/* Append "BODY[1.HEADER.FIELDS (FROM)]<0>", the name of the part in the answer. */
void fetch_part_name(const struct fetch_part *part, struct buf *out);

void fetch_items_encode(const struct fetch_items *items, struct buf *out);
/* ERR_CORRUPT if the bytes are not what encode writes. Spans point into `bytes`. */
int fetch_items_decode(struct span bytes, struct arena *a, struct fetch_items *ret);

#endif
