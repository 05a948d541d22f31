/* budget.h: what the owner keeps in memory of accounts and mailboxes that nobody uses.
 * Thread: the owner's loop. */
#ifndef REPLICATION_BUDGET_H
#define REPLICATION_BUDGET_H

#include "replication/owner.h"

/* Forget accounts that were not used for a while, and, while all loaded mailboxes together are
 * above the budget, the messages of those used longest ago. Looks at every mailbox in memory once.
 */
void budget_keep(struct owner *o, uint64_t now_ms);

#endif
