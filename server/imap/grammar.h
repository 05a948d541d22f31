/* grammar.h: the arguments of each command (RFC 3501, section 9, and its extensions). Private to
 * server/imap; command_table.c names them.
 *
 * A grammar_ function takes what stands behind the command's name, up to the end of the line, which
 * it leaves. It may fill in `cmd` and move the cursor although it answers MORE or BAD: what it was
 * given is then of no use, and the parser begins anew. */
#ifndef SERVER_IMAP_GRAMMAR_H
#define SERVER_IMAP_GRAMMAR_H

#include "server/imap/command.h"

typedef enum parse grammar_fn(struct cursor *c, struct arena *a, struct imap_command *cmd);

grammar_fn grammar_none; /* no arguments */
grammar_fn grammar_append;
grammar_fn grammar_authenticate;
grammar_fn grammar_compress;
grammar_fn grammar_copy;
grammar_fn grammar_create;
grammar_fn grammar_enable;
grammar_fn grammar_expunge;
grammar_fn grammar_fetch;
grammar_fn grammar_id;
grammar_fn grammar_list;
grammar_fn grammar_login;
grammar_fn grammar_lsub;
grammar_fn grammar_mailbox; /* SP mailbox */
grammar_fn grammar_rename;
grammar_fn grammar_search;
grammar_fn grammar_select;
grammar_fn grammar_status;
grammar_fn grammar_store;

/* APPEND's next message, from the blank before it to the end of its literal's head. It is added to
 * cmd->u.append. */
grammar_fn grammar_append_message;

/* ---- shared pieces ---- */

/* SP mailbox. */
enum parse take_mailbox(struct cursor *c, struct arena *a, struct mailbox_name *ret);
/* SP sequence-set. */
enum parse take_set(struct cursor *c, struct arena *a, struct seq_set *ret);
/* "(" [flag *(SP flag)] ")", or with `bare` also flag *(SP flag). */
enum parse take_flags(struct cursor *c, struct arena *a, bool bare, struct flag_list *ret);
/* "(" status-att *(SP status-att) ")" as bits of enum status_item. */
enum parse take_status_items(struct cursor *c, unsigned *ret);

/* A word out of a table that ends with a NULL name; BAD with `why` if it is in none. */
struct word_bit {
	const char *name;
	unsigned bit;
};
enum parse take_word_bit(struct cursor *c, const struct word_bit *table, const char *why,
			 unsigned *ret);

#endif
