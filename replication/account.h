/* account.h: what the owner of a partition keeps in memory of an account and its mailboxes.
 *
 * In the flow: rows of state/ -> load.c -> [account, mailbox] -> evaluate_*.c reads, apply.c
 * changes. An account is loaded whole (names, counters, keyword names: small rows); a mailbox's
 * pages only when an op or a read needs them, and dropped under a budget.
 *
 * A mailbox has two states of its pages: `pages`, which is committed and may be pinned, and, while
 * a batch that changes it is evaluated or in flight, `work`, a copy that shares all unchanged
 * pages. A batch that commits makes `work` the new `pages`; one that does not is simply dropped,
 * so there is nothing to roll back. The same goes for `usage`.
 *
 * Thread: the partition's loop, for everything here. */
#ifndef REPLICATION_ACCOUNT_H
#define REPLICATION_ACCOUNT_H

#include "proto/row.pb-c.h"
#include "storage/base/ids.h"
#include "storage/pages.h"
#include "storage/ring.h"
#include "storage/vanished.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct account;

struct mailbox {
	mailbox_id id;
	struct account *account;
	char *name;
	uint32_t uidvalidity;
	uint32_t special_use;
	int64_t created;
	bool deleted; /* takes no ops and no reads any more (S12) */

	struct mailbox_pages *pages;  /* never NULL; without messages unless `loaded` */
	struct mailbox_pages *work;   /* of the batch in evaluation or in flight, else NULL */
	struct ring *ring;            /* NULL while the messages are not loaded */
	struct vanished *vanished;    /* likewise */
	bool loaded;                  /* the messages are there */
	bool loading;                 /* a reader is at it */
	uint64_t used_ms;             /* boot time of the last use; for the budget */
	struct mailbox *next_touched; /* list of the batch */
};

struct usage {
	uint64_t bytes;
	uint64_t messages;
	uint64_t listseq;
};

enum account_state {
	ACCOUNT_LOADING, /* ops and reads are parked */
	ACCOUNT_LOADED,
	ACCOUNT_ABSENT, /* there is no such account (kept for a while: strangers may ask) */
};

struct account {
	char *name; /* lower case, NFC */
	enum account_state state;
	account_id id;
	Tm__AccountRow *row; /* malloc'ed by protobuf-c; NULL unless loaded */
	struct usage usage;
	struct usage work_usage; /* valid while has_work */
	bool has_work;
	bool names_in_flight; /* a batch that changes names is in flight: nothing else meanwhile */
	GTree *by_name;       /* char * -> struct mailbox *; owns them */
	GHashTable *by_id;    /* uint64_t * -> struct mailbox * */
	GTree *subscriptions; /* char * -> char *; owns them */
	GHashTable *tombstones; /* char * -> uidvalidity of a gone name */
	uint64_t used_ms;
	struct account *next_touched;
	bool touched;
};

struct account *account_new(const char *name);
void account_free(struct account **a);
/* There is no such account (any more): everything goes, pins that are out stay valid. */
void account_set_absent(struct account *a);
/* Forget everything, to be loaded anew. */
void account_unload(struct account *a);

/* NULL if there is none (or it is deleted). */
struct mailbox *account_mailbox(const struct account *a, mailbox_id id);
struct mailbox *account_mailbox_named(const struct account *a, const char *name);
/* Does any mailbox have a name below "name/"? */
bool account_has_inferiors(const struct account *a, const char *name);
/* The last uidvalidity that a gone mailbox of this name had; 0: none. */
uint32_t account_tombstone(const struct account *a, const char *name);

/* Put a mailbox in; facts from `row`, counters into its (not loaded) pages. */
struct mailbox *account_add_mailbox(struct account *a, const Tm__MailboxRow *row,
				    const Tm__CountersRow *counters);
void account_rename_mailbox(struct account *a, struct mailbox *m, const Tm__MailboxRow *row);
/* Its messages are known: from a reader (takes the three over), or none, if it is new. */
void mailbox_set_loaded(struct mailbox *m, struct mailbox_pages **pages,
			struct vanished **vanished);
void mailbox_set_loaded_empty(struct mailbox *m);
/* Forget the messages, keep counters and keyword names. Not while there is work. */
void mailbox_unload(struct mailbox *m);
/* Takes it out and frees it; pins stay valid. */
void account_remove_mailbox(struct account *a, struct mailbox *m);
void account_set_tombstone(struct account *a, const char *name, uint32_t uidvalidity);
void account_set_row(struct account *a, const Tm__AccountRow *row);
void account_subscribe(struct account *a, const char *name, bool on);

/* The usage that the next op has to start from. */
struct usage account_usage_now(const struct account *a);
/* The pages that the next op has to start from: work, if there is one. */
struct mailbox_pages *mailbox_now(const struct mailbox *m);

#endif
