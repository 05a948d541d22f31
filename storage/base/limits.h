/* limits.h: every bound the server has, so that "how much can a client make us hold?" has one
 * answer. Units last in the name. */
#ifndef STORAGE_BASE_LIMITS_H
#define STORAGE_BASE_LIMITS_H

#include <assert.h>

enum {
	/* One session. */
	SESSION_LINE_MAX_BYTES = 64 * 1024,     /* a command without its literals' bytes */
	SESSION_LITERAL_MAX_BYTES = 64 * 1024,  /* a literal that is an argument, not a message */
	SESSION_COMMAND_MAX_BYTES = 256 * 1024, /* a command with its argument literals */
	SESSION_COMMAND_ARENA_MAX_BYTES =
		2 * 1024 * 1024,                   /* what parsing and running it may take */
	SESSION_LOGIN_INPUT_MAX_BYTES = 32 * 1024, /* before login: unread input */
	SESSION_LOGIN_LITERAL_MAX_BYTES = 8 * 1024,
	SESSION_BAD_COMMANDS_MAX = 20,          /* in a row; then BYE */
	SESSION_OUTPUT_HIGH_BYTES = 256 * 1024, /* above: producers pause, commands are not run */
	SESSION_OUTPUT_LOW_BYTES = 64 * 1024,
	SESSION_AUTH_IDLE_MAX_SECONDS = 60,      /* before login */
	SESSION_IDLE_MAX_SECONDS = 31 * 60,      /* after login (RFC 3501 5.4: at least 30 min) */
	SESSION_WRITE_STALL_MAX_SECONDS = 300,   /* a client that reads nothing */
	SESSION_LITERAL_STALL_MAX_SECONDS = 300, /* a client that stops in the middle of one */
	SESSION_OP_DEADLINE_SECONDS = 30,

	/* Connections. */
	CONNECTIONS_MAX = 20000,
	CONNECTIONS_PER_ADDRESS_MAX = 15000, /* default; loopback tests open 10,000 */

	CONN_READ_BYTES = 64 * 1024,        /* one read(2); shared by a loop's connections */
	CONN_INPUT_MAX_BYTES = 320 * 1024,  /* default of what a handler leaves unread */
	CONN_WIRE_SLICE_BYTES = 128 * 1024, /* encrypted or compressed at a time */
	CONN_PUMP_MAX_BYTES = 256 * 1024,   /* inflated per connection and turn */
	CONN_LINGER_SECONDS = 2,            /* reads on after our close, so no RST eats it */
	CONN_LINGER_MAX_BYTES = 1024 * 1024,
	CONN_DEFLATE_IDLE_SECONDS = 10, /* then an idle compressor is thrown away */
	TLS_HANDSHAKE_MAX_SECONDS = 30,
	LISTEN_BACKLOG = 4096,
	ACCEPT_BATCH_MAX = 64,           /* per listener and turn */
	ACCEPT_PAUSE_MILLISECONDS = 100, /* when there are no descriptors left */
	LOG_VALUE_MAX_BYTES = 512,
	LOG_LINE_MAX_BYTES = 8 * 1024,

	/* Grammar. */
	SEARCH_NESTING_MAX_LEVELS = 50,
	SEARCH_KEYS_MAX = 2000,
	FETCH_ITEMS_MAX = 200,
	UID_SET_MAX_RANGES = 20000,
	QRESYNC_MATCH_MAX_PAIRS = 20000, /* of sequence match data; the rest is ignored */
	FLAGS_PER_COMMAND_MAX = 1100,
	KEYWORD_MAX_BYTES = 250,
	ID_FIELDS_MAX = 30,

	/* Mailboxes. */
	MAILBOX_NAME_MAX_BYTES = 1000,
	MAILBOX_LEVELS_MAX = 100,
	MAILBOXES_PER_ACCOUNT_MAX = 100000,
	SUBSCRIPTIONS_PER_ACCOUNT_MAX = 100000,
	MAILBOX_KEYWORDS_MAX = 1024,
	VANISHED_MAX_ROWS = 10000,
	VANISHED_MEMORY_MAX_BYTES = 4 * 1024 * 1024, /* per mailbox in use */

	/* Messages. */
	MESSAGE_MAX_BYTES = 64 * 1024 * 1024,
	MESSAGE_INLINE_MAX_BYTES = 64 * 1024, /* larger bodies go ahead in chunks */
	MESSAGE_CHUNK_BYTES = 128 * 1024,
	UPLOAD_WINDOW_CHUNKS = 8,
	SHAPE_INLINE_MAX_BYTES = 4 * 1024,
	SHAPE_MAX_BYTES = 256 * 1024,
	MIME_NESTING_MAX_LEVELS = 100,
	MIME_PARTS_MAX = 10000,
	HEADER_MAX_BYTES = 1024 * 1024,
	MIME_FIELD_MAX_BYTES = 256 * 1024, /* of one header field; the rest of it is ignored */
	MIME_BOUNDARY_MAX_BYTES = 80,      /* RFC 2046: 70; the rest of it is ignored */
	MIME_PARAMS_MAX = 100,             /* of one Content-Type or -Disposition */
	THREAD_IDS_MAX = 100,              /* of one References or In-Reply-To */

	/* Ops and the log. */
	OP_MESSAGES_MAX = 10000,
	COPY_MESSAGES_MAX = 1000, /* SAVELIMIT (RFC 9738) */
	LOG_ENTRY_MAX_BYTES = 192 * 1024,
	BATCH_OPS_MAX = 512,
	INBOX_MAX_MESSAGES = 65536,
	PARTITION_WAITING_MAX_OPS = 32768,
	PENDING_MAX_BYTES = 64 * 1024 * 1024,
	FLUSH_BYTES = 8 * 1024 * 1024,
	FLUSH_MILLISECONDS = 1000,
	LOG_RETRY_MILLISECONDS = 500, /* on a full disk */
	MARKS_SYNC_MILLISECONDS = 1000,
	PERSIST_CHECK_MILLISECONDS = 5000, /* how often truncation looks at the disk */
	LOG_UNFLUSHED_MAX_BYTES = 256 * 1024 * 1024,
	LOG_UNFLUSHED_MAX_ENTRIES = 200000,
	LOG_UNFLUSHED_MAX_SECONDS = 300,
	RING_MAX_CHANGES = 1024,
	READ_FRAME_MAX_BYTES = 128 * 1024,
	READ_CREDIT_FRAMES = 4,
	DEDUP_KEEP_SECONDS = 24 * 3600,
	BODY_COLLECT_SECONDS = 3600,
	JANITOR_INTERVAL_MILLISECONDS = 60 * 1000,
	JANITOR_RESULTS_INTERVAL_MILLISECONDS = 3600 * 1000,
	JANITOR_BODIES_MAX = 1000, /* in one round of a partition */
	JANITOR_CHUNKS_MAX = 4096, /* of these bodies, about */
	JANITOR_RESULTS_MAX = 1000,
	JANITOR_PURGES_MAX = 8,        /* mailboxes */
	JANITOR_PURGE_MESSAGES = 1000, /* of each */

	/* Configuration. */
	CONFIG_FILE_MAX_BYTES = 1024 * 1024,
	CONFIG_ERRORS_MAX = 20, /* told at once */
	CONFIG_LIST_MAX = 64,   /* listeners of a service, certificates */

	/* Accounts and authentication. */
	ACCOUNT_NAME_MAX_BYTES = 255,
	PASSWORD_MAX_BYTES = 1024,
	AUTH_LINE_MAX_BYTES = 12288,   /* a response of AUTHENTICATE (RFC 4422 4) */
	AUTH_MECHANISM_MAX_BYTES = 20, /* RFC 4422 3.1 */
	AUTH_STEPS_MAX = 8,            /* responses in one exchange */
	AUTH_WAITING_MAX = 8192,       /* steps that wait for the pool */
	SCRAM_ITERATIONS_MIN = 4096,   /* RFC 7677 4 */
	SCRAM_ITERATIONS_MAX = 1000000,
	THROTTLE_ENTRIES = 16384,
	THROTTLE_PAIR_FREE = 3, /* failures that cost nothing */
	THROTTLE_ADDRESS_FREE = 20,
	THROTTLE_KNOWN_MAX_MILLISECONDS = 2000,
	THROTTLE_HALF_SECONDS = 120,

	/* Admin. */
	ADMIN_BODY_MAX_BYTES = 16 * 1024,
	ADMIN_CONNECTIONS_MAX = 64,
	ADMIN_IDLE_MAX_SECONDS = 30,

	/* LMTP. */
	LMTP_LINE_MAX_BYTES = 4096,
	LMTP_ADDRESS_MAX_BYTES = 1024,
	LMTP_RECIPIENTS_MAX = 1000,
	LMTP_APPENDS_MAX = 32,         /* of one message at a time */
	LMTP_IDLE_MAX_SECONDS = 300,   /* RFC 5321 4.5.3.2.7 */
	LMTP_BAD_COMMANDS_MAX = 20,    /* in a row; then 421 */
	LMTP_CHUNK_STALL_SECONDS = 30, /* a partition that takes nothing: 451 */
};
static_assert(SESSION_LINE_MAX_BYTES < SESSION_COMMAND_ARENA_MAX_BYTES, "a line fits its arena");
static_assert(SESSION_COMMAND_MAX_BYTES < SESSION_COMMAND_ARENA_MAX_BYTES, "so does a command");
static_assert(AUTH_LINE_MAX_BYTES < SESSION_LOGIN_INPUT_MAX_BYTES, "a response can be read");
static_assert(SESSION_COMMAND_MAX_BYTES < CONN_INPUT_MAX_BYTES, "a command fits its connection");
static_assert(MESSAGE_INLINE_MAX_BYTES + SHAPE_INLINE_MAX_BYTES < LOG_ENTRY_MAX_BYTES, "fits");
static_assert(MESSAGE_CHUNK_BYTES + 1024 < LOG_ENTRY_MAX_BYTES, "a chunk fits an entry");

#endif
