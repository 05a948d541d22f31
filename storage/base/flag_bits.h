/* flag_bits.h: the system flags and special uses as bits, the same in memory, in ops, records and
 * rows. */
#ifndef STORAGE_BASE_FLAG_BITS_H
#define STORAGE_BASE_FLAG_BITS_H

/* RFC 3501 2.3.2, without \Recent, which is a session's. */
enum system_flag {
	FLAG_SEEN = 1 << 0,
	FLAG_ANSWERED = 1 << 1,
	FLAG_FLAGGED = 1 << 2,
	FLAG_DELETED = 1 << 3,
	FLAG_DRAFT = 1 << 4,
	FLAG_SYSTEM_ALL = (1 << 5) - 1,
};

/* RFC 6154. */
enum special_use {
	USE_ALL = 1 << 0,
	USE_ARCHIVE = 1 << 1,
	USE_DRAFTS = 1 << 2,
	USE_FLAGGED = 1 << 3,
	USE_JUNK = 1 << 4,
	USE_SENT = 1 << 5,
	USE_TRASH = 1 << 6,
};

#endif
