/* response.h: answers as IMAP writes them (RFC 3501, section 7), appended to a buffer. Pure; any
 * thread. Strings out of messages are server/mail/nstring.h's. */
#ifndef SERVER_IMAP_RESPONSE_H
#define SERVER_IMAP_RESPONSE_H

#include "server/imap/seq_set.h"
#include "server/mail/nstring.h"
#include "storage/base/buf.h"
#include "storage/base/flag_bits.h"
#include "storage/base/ids.h"
#include "storage/base/uidset.h"

/* An atom if it can be one, else a quoted string or a literal. NIL is quoted. */
void response_astring(struct buf *out, struct span s);

/* "(\Seen $Forwarded)"; keywords are atoms already. `recent` adds \Recent. */
void response_flags(struct buf *out, unsigned system, const struct span *keywords, size_t count,
		    bool recent);
/* The same without parentheses; nothing if there are none. */
void response_flag_names(struct buf *out, unsigned system, const struct span *keywords,
			 size_t count, bool recent);
/* "\Drafts \Trash", in the order of the bits; nothing if there are none. */
void response_special_use(struct buf *out, unsigned special_use);

/* "1:3,5". */
void response_uids(struct buf *out, const struct uidset *s);

enum response_status { RESPONSE_OK, RESPONSE_NO, RESPONSE_BAD, RESPONSE_BYE, RESPONSE_PREAUTH };

/* "<tag> OK [CODE] text" CRLF. No tag bytes: "*". `code` without its brackets; NULL or "": none.
 * CR, LF and NUL in `text` become blanks; an empty one becomes "Done.", as a text may not be empty.
 */
void response_status(struct buf *out, struct span tag, enum response_status status,
		     const char *code, const char *text);
/* The same with a code that was built up (e.g. "MODIFIED 7,9"). */
void response_status_code(struct buf *out, struct span tag, enum response_status status,
			  struct span code, const char *text);

/* "* OK [HIGHESTMODSEQ 5] Highest" CRLF, for codes with one number. */
void response_ok_number(struct buf *out, const char *code, uint64_t number, const char *text);

/* "+ text" CRLF; text may be empty ("+ " CRLF). */
void response_continue(struct buf *out, struct span text);

/* "M" and 32 hex digits: EMAILID (RFC 8474, IMAP.md section 7). */
void response_email_id(struct buf *out, guid id);

/* "VANISHED (EARLIER) 1:3" or "VANISHED 1:3" as a whole line, nothing for the empty set. */
void response_vanished(struct buf *out, const struct uidset *uids, bool earlier);

#endif
