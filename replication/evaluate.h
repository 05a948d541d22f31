/* evaluate.h: what an op turns out to do, decided against the newest state (DESIGN.md, section 3).
 *
 * In the flow: op -> [evaluate_op] -> change records and a result, in the batch. The records are
 * applied to the `work` states at once, so the next op of the batch sees them (apply.h). Rights,
 * limits, uids, modseqs, dates and uidvalidities are decided here and nowhere else.
 *
 * Thread: the partition's loop. */
#ifndef REPLICATION_EVALUATE_H
#define REPLICATION_EVALUATE_H

#include "proto/op.pb-c.h"
#include "proto/record.pb-c.h"
#include "replication/account.h"
#include "replication/batch.h"
#include "replication/partition.h"

enum evaluated {
	EVALUATED,     /* the result is complete; there may be records */
	NEEDS_ACCOUNT, /* e->needs_account has to be loaded */
	NEEDS_MAILBOX, /* e->needs_mailbox's pages have to be loaded */
	NEXT_BATCH,    /* it must not be in this batch, or does not fit */
};

enum { EVALUATION_RECORDS_MAX = 4 };

struct evaluation {
	struct partition *partition;
	struct batch *batch;
	struct arena *arena; /* the batch's */
	int64_t now;         /* unix seconds */
	const Tm__Op *op;
	Tm__OpResult *result;
	Tm__Record *records[EVALUATION_RECORDS_MAX];
	unsigned record_count;
	const char *needs_account;
	struct mailbox *needs_mailbox;
};

/* Evaluate e->op; fills e->result (initialised here). */
enum evaluated evaluate_op(struct evaluation *e);

/* ---- for evaluate_*.c ---- */

/* One function per op, in the file of its family. */
enum evaluated evaluate_store_flags(struct evaluation *e, const Tm__StoreFlags *op);
enum evaluated evaluate_append(struct evaluation *e, const Tm__Append *op);
enum evaluated evaluate_put_chunk(struct evaluation *e, const Tm__PutChunk *op);
enum evaluated evaluate_copy(struct evaluation *e, const Tm__Copy *op);
enum evaluated evaluate_expunge(struct evaluation *e, const Tm__Expunge *op);
enum evaluated evaluate_claim_recent(struct evaluation *e, const Tm__ClaimRecent *op);
enum evaluated evaluate_create_mailbox(struct evaluation *e, const Tm__CreateMailbox *op);
enum evaluated evaluate_delete_mailbox(struct evaluation *e, const Tm__DeleteMailbox *op);
enum evaluated evaluate_rename_mailbox(struct evaluation *e, const Tm__RenameMailbox *op);
enum evaluated evaluate_subscribe(struct evaluation *e, const Tm__Subscribe *op);
enum evaluated evaluate_create_account(struct evaluation *e, const Tm__CreateAccount *op);
enum evaluated evaluate_change_account(struct evaluation *e, const Tm__ChangeAccount *op);
enum evaluated evaluate_delete_account(struct evaluation *e);

/* A new mailbox, as a record; its name is free. Returns its id. */
uint64_t eval_create(struct evaluation *e, struct account *a, const char *name,
		     uint32_t special_use);
/* Expunge messages that exist, as a record; at least one. */
void eval_take_out(struct evaluation *e, struct account *a, struct mailbox *m,
		   const struct uidset *uids);
Tm__PartitionRow *eval_partition_row(struct evaluation *e);

/* The answer is known: say it. */
enum evaluated evaluated(struct evaluation *e, Tm__Outcome outcome, const char *text);
/* The op's account, loaded and there; otherwise *ret is NULL and the return value is what
 * evaluate_*() has to return. */
enum evaluated eval_account(struct evaluation *e, struct account **ret);
/* A mailbox by id, with its pages loaded. */
enum evaluated eval_mailbox(struct evaluation *e, struct account *a, uint64_t id,
			    struct mailbox **ret);
enum evaluated eval_pages(struct evaluation *e, struct mailbox *m);
/* A record of one kind, zeroed and initialised, in the arena. */
Tm__Record *eval_record(struct evaluation *e, Tm__Record__WhatCase what);
/* Take the record into the change and apply it to the work states. */
void eval_add(struct evaluation *e, Tm__Record *r);
/* The work state of a mailbox: made now if it is the first change in this batch. */
struct mailbox_pages *eval_work(struct evaluation *e, struct mailbox *m);
/* The batch changes the account's usage or names. */
void eval_touch_account(struct evaluation *e, struct account *a, bool names);

Tm__CountersRow *eval_counters(struct evaluation *e, const struct mailbox_counters *c);
Tm__UsageRow *eval_usage(struct evaluation *e, const struct usage *u);
Tm__FlagSet *eval_flag_set(struct evaluation *e, struct flag_set set);
ProtobufCBinaryData eval_copy_bytes(struct evaluation *e, struct span s);
char *eval_strdup(struct evaluation *e, const char *z);

/* Keyword names of an op -> slots of the mailbox's table, ascending, no slot twice; names that are
 * new get a slot in the work state and stand in *new_names. False: the table is full. `create`
 * false: unknown names are left out. */
struct slots {
	uint16_t *at;
	uint32_t count;
	Tm__KeywordName **new_names;
	size_t new_count;
};
bool eval_keywords(struct evaluation *e, struct mailbox *m, char **names, size_t count, bool create,
		   struct slots *ret);

#endif
