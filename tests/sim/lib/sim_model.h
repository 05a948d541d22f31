/* sim_model.h: the ideal machine: two mailboxes of one account, and what each op must do to them.
 *
 * Ops are answered in any order and some only after a crash, but each that changes something says
 * with its modseq where it stands in its mailbox. So at a quiet moment all answered ops are put in
 * that order and applied here, one after the other; every answer must be what this machine gives,
 * and in the end nothing may be left over. An op that took effect twice, or was lost after its
 * answer, leaves a gap or a second claim to a modseq. */
#ifndef TESTS_SIM_LIB_SIM_MODEL_H
#define TESTS_SIM_LIB_SIM_MODEL_H

#include "proto/op.pb-c.h"
#include "storage/base/arena.h"
#include "storage/base/ids.h"

enum { SIM_MAILBOXES = 2, SIM_KEYWORDS = 3 };

enum sim_kind { SIM_APPEND, SIM_STORE, SIM_EXPUNGE, SIM_MOVE };

/* What was asked. */
struct sim_ask {
	enum sim_kind kind;
	unsigned mailbox; /* 0, 1: index; of a move the source */
	uint32_t lo, hi;  /* uids */
	Tm__StoreMode mode;
	uint32_t system;
	uint32_t keywords; /* bits */
	bool conditional;
	uint64_t unchangedsince;
	bool only_deleted;
	uint64_t body; /* of an append: names the guid and the text */
	uint32_t chunks;
};

struct sim_message {
	uint32_t uid;
	uint64_t modseq;
	uint32_t system;
	uint32_t keywords;
	uint64_t body;
};

struct sim_mailbox {
	uint64_t id;
	uint32_t uidnext;
	uint64_t highest;
	struct sim_message *messages; /* ascending */
	size_t count, capacity;
};

struct sim_model {
	struct sim_mailbox mailboxes[SIM_MAILBOXES];
	struct sim_answered *answered;
	size_t pending;
	uint64_t ops;  /* placed so far */
	char why[256]; /* what is wrong, if something is */
};

void sim_model_init(struct sim_model *m);
void sim_model_free(struct sim_model *m);

/* An op was answered; the result is copied. Ops that certainly did not happen are not told. */
void sim_model_answered(struct sim_model *m, const struct sim_ask *ask, const Tm__OpResult *r);
/* Put all answered ops in their places. False: m->why says what does not fit. */
bool sim_model_settle(struct sim_model *m);
bool sim_model_wrong(struct sim_model *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))); /* always false */

/* The body of an append, its size and its guid. */
size_t sim_body_bytes(uint64_t body);
void sim_body_text(uint64_t body, char *out);
guid sim_body_guid(uint64_t body);
const char *sim_keyword(unsigned i);

#endif
