/* command_table.h: a complete command's bytes become an imap_command. Private to server/imap. */
#ifndef SERVER_IMAP_COMMAND_TABLE_H
#define SERVER_IMAP_COMMAND_TABLE_H

#include "server/imap/command.h"

/* Tag, name and kind only; what could not be read stays empty. The tag is kept only if it is one.
 */
void command_parse_head(struct span bytes, struct imap_command *ret);

/* All of a command with its line end. An APPEND ends behind the head of its first message literal.
 * Spans point into `bytes`. MORE: it is the beginning of one. BAD: *ret_why says why; *ret has what
 * command_parse_head() gives. */
enum parse command_parse(struct span bytes, struct arena *a, struct imap_command *ret,
			 const char **ret_why);

#endif
