/* ids.h: numbers that must not be mixed are types that cannot be mixed (DESIGN.md, section 1). */
#ifndef STORAGE_BASE_IDS_H
#define STORAGE_BASE_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ID_TYPE(name, rep) \
	typedef struct name { \
		rep v; \
	} name

ID_TYPE(partition_id, uint16_t); /* 0 .. P-1 */
ID_TYPE(account_id, uint64_t);   /* within its partition, from 1, never reused */
ID_TYPE(mailbox_id, uint64_t);   /* within its partition, from 1, never reused */
ID_TYPE(seqno, uint32_t);        /* 1-based position in one session's view */
ID_TYPE(msg_uid, uint32_t);      /* stable within one uidvalidity, from 1 */
ID_TYPE(modseq, uint64_t);       /* per mailbox, from 1, never reused, below 2^53 */
ID_TYPE(log_seq, uint64_t);      /* position in a partition's log, from 1 */
ID_TYPE(op_number, uint64_t);    /* per client id, rising, from 1 */
ID_TYPE(session_id, uint64_t);   /* within one process; names a session across threads */

/* 128 random bits: a message body's name; drawn by the front end. */
typedef struct guid {
	uint8_t b[16];
} guid;

/* 128 random bits per session: who asks (exactly-once, DESIGN.md section 3). */
typedef struct client_id {
	uint8_t b[16];
} client_id;

static inline bool guid_eq(guid a, guid b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

static inline bool client_id_eq(client_id a, client_id b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

#endif
