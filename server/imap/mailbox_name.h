/* mailbox_name.h: names of mailboxes: modified UTF-7 on IMAP4rev1's wire, UTF-8 in NFC inside.
 * The hierarchy delimiter is "/". Pure; any thread. */
#ifndef SERVER_IMAP_MAILBOX_NAME_H
#define SERVER_IMAP_MAILBOX_NAME_H

#include "storage/base/arena.h"
#include "storage/base/buf.h"

/* What is wrong with a name. Each is a NO [CANNOT] (TOO_LONG and TOO_DEEP: [LIMIT]), never a BAD.
 */
enum mailbox_name_fault {
	MAILBOX_NAME_GOOD = 0,
	MAILBOX_NAME_EMPTY,       /* "" or only "/" */
	MAILBOX_NAME_NOT_MUTF7,   /* 8-bit, or not canonical modified UTF-7 (RFC 3501, 5.1.3) */
	MAILBOX_NAME_EMPTY_LEVEL, /* "a//b", "/a" */
	MAILBOX_NAME_CONTROL,  /* a control character, U+0080..9F, U+2028, U+2029 or a noncharacter
				*/
	MAILBOX_NAME_TOO_LONG, /* MAILBOX_NAME_MAX_BYTES in UTF-8 */
	MAILBOX_NAME_TOO_DEEP, /* MAILBOX_LEVELS_MAX */
};

/* A sentence for the answer. */
const char *mailbox_name_fault_text(enum mailbox_name_fault f);

/* The argument of a command. */
struct mailbox_name {
	struct span utf8; /* if good: normalised: NFC, INBOX in capitals as (first level of) the
			     name, no "/" at the end */
	struct span raw;  /* as the client wrote it, unquoted */
	enum mailbox_name_fault fault;
	bool trailing_slash; /* "a/" (CREATE: inferiors are intended, RFC 3501 6.3.3) */
};

/* From the wire. Never fails: a bad name has a fault. */
void mailbox_name_from_wire(struct span raw, struct arena *a, struct mailbox_name *ret);

/* From UTF-8 (LMTP, admin, configuration). The same rules. */
void mailbox_name_from_utf8(struct span utf8, struct arena *a, struct mailbox_name *ret);

/* Append as an astring in modified UTF-7, as LIST and STATUS say it. `utf8` is a good name. */
void mailbox_name_put(struct buf *out, struct span utf8);

bool mailbox_name_is_inbox(struct span utf8);

#endif
