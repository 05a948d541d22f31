/* parser.h: the bytes of a connection become commands, one by one.
 *
 * In the flow: net/conn -> [parser] -> session. The parser keeps no bytes: it looks at the input
 * that nobody consumed yet, and says how much of it is done with. An incomplete command stays in
 * the connection's buffer, so that waiting costs the parser nothing; bodies of messages are handed
 * out as they come and are never buffered.
 *
 * The same bytes in any slicing give the same events, but for how message bytes are cut.
 *
 * How a session uses it, one event after the other:
 *
 *	for (;;) {
 *		struct imap_input in;
 *		enum imap_event e = imap_parser_next(&p, conn_input(c), &arena, &in);
 *		... act on e ...
 *		conn_consume(c, in.consumed);
 *		if (e == IMAP_MORE) break;
 *	}
 *
 * `arena` is the arena of the command that is being read; it must be the same until IMAP_COMMAND,
 * IMAP_BAD or IMAP_REJECTED ends that command, and a fresh one from then on.
 *
 * Pure; one parser belongs to one session, on its thread. */
#ifndef SERVER_IMAP_PARSER_H
#define SERVER_IMAP_PARSER_H

#include "server/imap/command.h"
#include "storage/base/arena.h"
#include "storage/base/bytes.h"

enum imap_event {
	/* Nothing to do before more bytes have come. `consumed` may still be more than 0. */
	IMAP_MORE,

	/* in.command is complete and well formed. */
	IMAP_COMMAND,

	/* A command was malformed and has been skipped to its end; in.command has the tag (and, if
	 * it got that far, the kind), and no arguments unless a message of it was asked about. Say
	 * "<tag> BAD <why>", or "* BAD <why>" if the tag is empty. */
	IMAP_BAD,

	/* The client waits for "+" before it sends an argument of in.bytes_awaited bytes, which is
	 * within bounds; in.command has tag, kind and uid, nothing else. Call imap_parser_accept()
	 * and send "+", or imap_parser_reject(). */
	IMAP_LITERAL,

	/* APPEND: the message in.command->u.append.messages[count - 1], with its mailbox, flags and
	 * date, comes next. Call imap_parser_accept() (and, if the message `waits`, send "+") or
	 * imap_parser_reject(). Its size is not limited here, its content not looked at. */
	IMAP_MESSAGE,

	/* in.message is the next piece of that message; it points into the input. in.message_end
	 * with its last piece (a message of 0 bytes has one, of 0 bytes). */
	IMAP_MESSAGE_BYTES,

	/* The command that was rejected has come to its end: answer it. */
	IMAP_REJECTED,

	/* The way back to a command cannot be found: answer in.command, if it is not NULL, as for
	 * IMAP_BAD (or as it was rejected), say "* BYE <why>", close. Comes again if asked again.
	 */
	IMAP_LOST,
};

struct imap_input {
	size_t consumed;              /* bytes of the input that are done with; consume them */
	struct imap_command *command; /* arena memory */
	const char *why;              /* IMAP_BAD, IMAP_LOST: a constant text for people */
	uint64_t bytes_awaited;       /* IMAP_LITERAL */
	struct span message;          /* IMAP_MESSAGE_BYTES */
	bool message_end;
};

/* Finds the ends of lines and the literals that are announced there, byte by byte. */
struct imap_line_scan {
	uint8_t state;
	bool waits;     /* {n}, not {n+} */
	uint64_t bytes; /* n; UINT64_MAX if it has too many digits */
};

struct imap_parser {
	/* May be changed between two commands; imap_parser_init() sets the bounds of limits.h. */
	uint64_t literal_max_bytes; /* of an argument */
	uint64_t skip_max_bytes;    /* of what is thrown away to find the end of one bad command */

	/* Private. */
	uint8_t state;
	struct imap_line_scan scan;
	size_t scanned; /* input bytes of this command that were looked at, or will be literals */
	size_t line_bytes; /* of them, those outside of literals */
	size_t tried;      /* `scanned` when the grammar last looked at an incomplete command */
	uint64_t left;     /* bytes of a message or of a skipped literal that are still to come */
	uint64_t skipped;
	struct imap_command *command;
	const char *why; /* the command is bad */
};

void imap_parser_init(struct imap_parser *p);

/* See above. `in` begins with the first byte that was not consumed. */
enum imap_event imap_parser_next(struct imap_parser *p, struct span in, struct arena *a,
				 struct imap_input *ret);

/* The literal or message that was asked about may come. */
void imap_parser_accept(struct imap_parser *p);

/* It may not. If the client waits, its command ends here; otherwise the rest of the command is
 * thrown away as it comes. Then imap_parser_next() says IMAP_REJECTED. Also allowed between the
 * pieces of a message (disk full, quota), whose rest is then thrown away. */
void imap_parser_reject(struct imap_parser *p);

/* Instead of a command: a line as it is, for AUTHENTICATE's responses and IDLE's DONE. Only between
 * commands. IMAP_MORE, IMAP_LITERAL never; IMAP_COMMAND: *ret is the line without its CRLF, and
 * `*consumed` bytes are done with; IMAP_LOST: longer than `max_bytes`. */
enum imap_event imap_parser_line(struct imap_parser *p, struct span in, size_t max_bytes,
				 struct span *ret, size_t *consumed);

/* Nothing of a command has been read: it is a good moment to move, to go idle, to say BYE. */
bool imap_parser_is_idle(const struct imap_parser *p);

#endif
