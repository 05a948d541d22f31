/* command.h: a command as values: what the parser makes and server/command runs. Pure.
 *
 * Everything in it lives in the command's arena. Names of mailboxes are decoded and checked here;
 * a bad one has a fault, which the command answers with NO. What depends on the session (is QRESYNC
 * enabled? is there a saved result?) is not looked at here. */
#ifndef SERVER_IMAP_COMMAND_H
#define SERVER_IMAP_COMMAND_H

#include "server/imap/fetch_items.h"
#include "server/imap/lexer.h"
#include "server/imap/mailbox_name.h"
#include "server/imap/search_program.h"
#include "server/imap/seq_set.h"
#include "server/mail/date.h"
#include "storage/base/arena.h"
#include "storage/base/flag_bits.h"
#include "storage/base/ids.h"

enum command_kind {
	CMD_NONE, /* not known (yet) */
	CMD_APPEND,
	CMD_AUTHENTICATE,
	CMD_CAPABILITY,
	CMD_CHECK,
	CMD_CLOSE,
	CMD_COMPRESS,
	CMD_COPY,
	CMD_CREATE,
	CMD_DELETE,
	CMD_ENABLE,
	CMD_EXAMINE,
	CMD_EXPUNGE,
	CMD_FETCH,
	CMD_ID,
	CMD_IDLE,
	CMD_LIST,
	CMD_LOGIN,
	CMD_LOGOUT,
	CMD_LSUB,
	CMD_MOVE,
	CMD_NAMESPACE,
	CMD_NOOP,
	CMD_RENAME,
	CMD_SEARCH,
	CMD_SELECT,
	CMD_STARTTLS,
	CMD_STATUS,
	CMD_STORE,
	CMD_SUBSCRIBE,
	CMD_UNSELECT,
	CMD_UNSUBSCRIBE,
	CMD_COUNT
};

/* Flags of STORE and APPEND. \Recent and unknown \Flags are BAD: no client can set them. */
struct flag_list {
	unsigned system;       /* enum system_flag */
	struct span *keywords; /* as written, each once (without regard to case) */
	uint32_t keyword_count;
};

/* AUTHENTICATE (RFC 3501 6.2.2, SASL-IR 4959). */
struct args_authenticate {
	struct span mechanism;
	bool has_initial;
	struct span initial; /* base64; no bytes: "=", the empty response */
};

struct args_login {
	struct span user;
	struct span password;
};

/* ENABLE (RFC 5161): names as written. */
struct args_enable {
	struct span *names;
	uint32_t count;
};

/* ID (RFC 2971): nil is no field. */
struct id_field {
	struct span name;
	struct span value; /* .at NULL: NIL */
};
struct args_id {
	struct id_field *fields;
	uint32_t count;
};

/* SELECT and EXAMINE with their parameters (RFC 7162). */
struct args_select {
	struct mailbox_name mailbox;
	bool condstore;
	bool qresync;
	uint32_t uidvalidity; /* the rest: only with qresync */
	modseq modseq;
	bool has_known_uids;
	struct seq_set known_uids; /* without "*" */
	bool has_match; /* sequence match data: without "*", the same number of numbers */
	struct seq_set match_seqs;
	struct seq_set match_uids;
};

/* CREATE (USE: RFC 6154). */
struct args_create {
	struct mailbox_name mailbox;
	bool has_use;
	unsigned special_use; /* enum special_use */
	bool unknown_use;     /* an attribute that we do not know: NO [USEATTR] */
};

/* DELETE, SUBSCRIBE, UNSUBSCRIBE. */
struct args_mailbox {
	struct mailbox_name mailbox;
};

struct args_rename {
	struct mailbox_name from;
	struct mailbox_name to;
};

/* STATUS (RFC 3501 6.3.10, 7162, 8438, 7889, 8474): bits of `items`. */
enum status_item {
	STATUS_MESSAGES = 1 << 0,
	STATUS_RECENT = 1 << 1,
	STATUS_UIDNEXT = 1 << 2,
	STATUS_UIDVALIDITY = 1 << 3,
	STATUS_UNSEEN = 1 << 4,
	STATUS_HIGHESTMODSEQ = 1 << 5,
	STATUS_SIZE = 1 << 6,
	STATUS_APPENDLIMIT = 1 << 7,
	STATUS_MAILBOXID = 1 << 8,
};
struct args_status {
	struct mailbox_name mailbox;
	unsigned items;
};

/* LIST (RFC 3501 6.3.8; LIST-EXTENDED 5258; LIST-STATUS 5819; SPECIAL-USE 6154) and LSUB. */
enum list_select {
	LIST_SELECT_SUBSCRIBED = 1 << 0,
	LIST_SELECT_REMOTE = 1 << 1,
	LIST_SELECT_RECURSIVEMATCH = 1 << 2, /* never without SUBSCRIBED */
	LIST_SELECT_SPECIAL_USE = 1 << 3,
};
enum list_return {
	LIST_RETURN_SUBSCRIBED = 1 << 0,
	LIST_RETURN_CHILDREN = 1 << 1,
	LIST_RETURN_SPECIAL_USE = 1 << 2,
	LIST_RETURN_STATUS = 1 << 3, /* status_items */
};
struct args_list {
	bool extended; /* selection options, a list of patterns or RETURN were given */
	unsigned select;
	unsigned ret;
	unsigned status_items;
	struct span reference; /* raw; list_pattern_make() takes both */
	struct span *patterns; /* raw; at least one */
	uint32_t pattern_count;
};

/* APPEND (RFC 3501 6.3.11, MULTIAPPEND 3502). The bytes of the messages are not here: the parser
 * hands them out as they come (parser.h). */
struct append_message {
	struct flag_list flags;
	bool has_date;
	struct mail_date date;
	uint64_t bytes;
	bool waits; /* a synchronising literal: the client waits for "+" */
};
struct args_append {
	struct mailbox_name mailbox;
	struct append_message *messages;
	uint32_t count;
};

struct args_search {
	bool extended; /* RETURN (...) was given: ESEARCH */
	unsigned want; /* enum search_return; RETURN () is ALL */
	struct search_program program;
};

struct args_fetch {
	struct seq_set set;
	struct fetch_items items;
	bool has_changedsince;
	modseq changedsince;
	bool vanished; /* only with uid and CHANGEDSINCE */
};

enum store_mode { STORE_REPLACE, STORE_ADD, STORE_REMOVE };
struct args_store {
	struct seq_set set;
	enum store_mode mode;
	bool silent;
	struct flag_list flags;
	bool conditional;
	modseq unchangedsince;
};

/* COPY, MOVE (RFC 6851). */
struct args_copy {
	struct seq_set set;
	struct mailbox_name mailbox;
};

/* EXPUNGE: no set. UID EXPUNGE (RFC 4315): a set of UIDs. */
struct args_expunge {
	struct seq_set set;
};

/* COMPRESS (RFC 4978). */
struct args_compress {
	struct span algorithm;
};

struct imap_command {
	enum command_kind kind;
	bool uid; /* UID COPY, EXPUNGE, FETCH, MOVE, SEARCH, STORE */
	struct span tag;
	const char *name; /* "FETCH", constant; for logs and metrics */
	union {
		struct args_append append;
		struct args_authenticate authenticate;
		struct args_compress compress;
		struct args_copy copy; /* MOVE too */
		struct args_create create;
		struct args_enable enable;
		struct args_expunge expunge;
		struct args_fetch fetch;
		struct args_id id;
		struct args_list list; /* LSUB too */
		struct args_login login;
		struct args_mailbox mailbox;
		struct args_rename rename;
		struct args_search search;
		struct args_select select; /* EXAMINE too */
		struct args_status status;
		struct args_store store;
	} u;
};

/* Its name without "UID", e.g. "FETCH"; "NONE". Thread: any. */
const char *command_kind_name(enum command_kind kind);

#endif
