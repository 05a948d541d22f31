/* commands.h: the table of commands and the functions behind it, one file per family. Each cmd_*.c
 * file says what its commands do beyond their RFC.
 * Thread: the session's loop. */
#ifndef SERVER_COMMAND_COMMANDS_H
#define SERVER_COMMAND_COMMANDS_H

#include "server/session/session.h"

/* By enum command_kind. */
extern const struct command_def command_table[CMD_COUNT];

/* What main hands to the IMAP listeners as data, with imap_handler. Never NULL. Thread: main. */
struct imap_service *imap_service_create(struct metrics *m);
/* After the loops ended. Accepts NULL, leaves NULL. */
void imap_service_free(struct imap_service **i);

/* Append "IMAP4rev1 ...", as it is for this session now (cmd_capability.c). */
void capabilities_put(const struct session *s, struct buf *out);
/* "CAPABILITY ..." in the command's arena: a response code. */
const char *capabilities_code(struct session *s, struct command *c);

void append_run(struct session *s, struct command *c);
void append_message_comes(struct session *s, struct command *c, uint64_t bytes);
void append_message_bytes(struct session *s, struct command *c, struct span bytes, bool end);
void authenticate_run(struct session *s, struct command *c);
void authenticate_line(struct session *s, struct command *c, struct span line);
void capability_run(struct session *s, struct command *c);
void check_run(struct session *s, struct command *c);
void close_run(struct session *s, struct command *c);
void compress_run(struct session *s, struct command *c);
void copy_run(struct session *s, struct command *c);
void create_run(struct session *s, struct command *c);
void delete_run(struct session *s, struct command *c);
void enable_run(struct session *s, struct command *c);
void examine_run(struct session *s, struct command *c);
void expunge_run(struct session *s, struct command *c);
void fetch_run(struct session *s, struct command *c);
void id_run(struct session *s, struct command *c);
void idle_run(struct session *s, struct command *c);
void idle_line(struct session *s, struct command *c, struct span line);
void list_run(struct session *s, struct command *c);
void login_run(struct session *s, struct command *c);
void logout_run(struct session *s, struct command *c);
void lsub_run(struct session *s, struct command *c);
void move_run(struct session *s, struct command *c);
void namespace_run(struct session *s, struct command *c);
void noop_run(struct session *s, struct command *c);
void rename_run(struct session *s, struct command *c);
void search_run(struct session *s, struct command *c);
void select_run(struct session *s, struct command *c);
void starttls_run(struct session *s, struct command *c);
void status_run(struct session *s, struct command *c);
void store_run(struct session *s, struct command *c);
void subscribe_run(struct session *s, struct command *c);
void unselect_run(struct session *s, struct command *c);
void unsubscribe_run(struct session *s, struct command *c);

#endif
