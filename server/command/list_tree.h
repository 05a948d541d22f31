/* list_tree.h: the names of an account as a tree, out of which LIST and LSUB choose: mailboxes,
 * subscriptions, and the parents that exist only because something is below them (IMAP.md, section
 * 6). Lives in an arena. Pure. */
#ifndef SERVER_COMMAND_LIST_TREE_H
#define SERVER_COMMAND_LIST_TREE_H

#include "proto/read.pb-c.h"
#include "storage/base/arena.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct list_node {
	struct span name;
	struct list_node *parent;         /* NULL: top level */
	const Tm__ListedMailbox *mailbox; /* NULL: it does not exist */
	bool subscribed;
	bool has_children; /* something that exists is below it */

	/* Set by list_choose(). */
	bool matches;      /* some pattern */
	bool chosen;       /* meets the selection criteria */
	bool chosen_below; /* some inferior does */
	bool hidden_below; /* some inferior does, and no pattern matches it */
};

struct list_tree {
	struct list_node **nodes; /* INBOX first, then by name, inferiors behind their parents */
	size_t count;
};

/* The names' bytes stay the list's. */
void list_tree_make(const Tm__MailboxList *list, struct arena *a, struct list_tree *ret);

#endif
