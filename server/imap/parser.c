/* parser.c: finds where commands end, and lets the grammar look at them.
 *
 * Framing and grammar are two passes. Framing needs only line ends and the literals announced there
 * (RFC 7888, 3), so it can go on byte by byte from where it stood, whatever the grammar thinks, and
 * can find the end of a command that is rubbish. The grammar then sees contiguous bytes, copied
 * into the command's arena; it looks before the end is there only where a client waits for an
 * answer (or an APPEND may have reached its message), and never twice at less than double the
 * bytes, so that many small literals do not cost their square.
 *
 * Invariants:
 *   P1  every decision depends on the bytes up to a line end or a bound, never on where the input
 *       was cut.
 *   P2  `scanned` is more than the input has only while an argument literal is coming.
 *   P3  `command` is not NULL in every state but READING, and belongs to the command's arena. */
#include "server/imap/parser.h"

#include "server/imap/command_table.h"
#include "server/imap/grammar.h"
#include "storage/base/limits.h"

#include <assert.h>

enum state {
	READING,          /* a command, or nothing yet */
	ASKED_LITERAL,    /* IMAP_LITERAL was said */
	ASKED_MESSAGE,    /* IMAP_MESSAGE was said */
	MESSAGE,          /* its bytes come: `left` of them */
	BEHIND_MESSAGE,   /* the line behind it: another message, or the end */
	SKIPPING_LITERAL, /* `left` bytes of it */
	SKIPPING_LINE,
	SKIPPED, /* the bad or rejected command has ended */
	LOST,
};

/* ---- lines ---- */

static const char command_too_long[] = "Command too long";

enum line_end { LINE_OPEN, LINE_ENDS, LINE_LITERAL };

enum scan_state { IN_TEXT, AT_BRACE, IN_DIGITS, AT_PLUS, AT_CLOSE, AT_CR };

/* What a byte other than LF means for "{" digits ["+"] "}" [CR] LF. */
static enum scan_state scan_next(struct imap_line_scan *s, char ch)
{
	bool digit = ch >= '0' && ch <= '9';

	if (ch == '{') {
		s->bytes = 0;
		s->waits = true;
		return AT_BRACE;
	}
	switch ((enum scan_state)s->state) {
	case AT_BRACE:
	case IN_DIGITS:
		if (digit)
			s->bytes = s->bytes > UINT32_MAX ? UINT64_MAX
							 : s->bytes * 10 + (uint64_t)(ch - '0');
		if (digit || s->state == AT_BRACE)
			return digit ? IN_DIGITS : IN_TEXT;
		s->waits = ch != '+';
		return ch == '+' ? AT_PLUS : ch == '}' ? AT_CLOSE : IN_TEXT;
	case AT_PLUS: return ch == '}' ? AT_CLOSE : IN_TEXT;
	case AT_CLOSE: return ch == '\r' ? AT_CR : IN_TEXT;
	case IN_TEXT:
	case AT_CR: break;
	}
	return IN_TEXT;
}

/* From *at to behind the next line end, or to the end of the bytes. */
static enum line_end scan_line(struct imap_line_scan *s, struct span in, size_t *at)
{
	while (*at < in.bytes) {
		char ch = in.at[(*at)++];

		if (ch == '\n') {
			bool literal = s->state == AT_CLOSE || s->state == AT_CR;

			s->state = IN_TEXT;
			return literal ? LINE_LITERAL : LINE_ENDS;
		}
		s->state = (uint8_t)scan_next(s, ch);
	}
	return LINE_OPEN;
}

/* ---- states ---- */

void imap_parser_init(struct imap_parser *p)
{
	*p = (struct imap_parser){
		.literal_max_bytes = SESSION_LITERAL_MAX_BYTES,
		.skip_max_bytes = MESSAGE_MAX_BYTES,
	};
}

/* The next byte belongs to a new command. */
static void restart(struct imap_parser *p)
{
	*p = (struct imap_parser){
		.literal_max_bytes = p->literal_max_bytes,
		.skip_max_bytes = p->skip_max_bytes,
	};
}

static enum imap_event lost(struct imap_parser *p, struct imap_input *ret, const char *why)
{
	p->state = LOST;
	p->why = why;
	ret->why = why;
	ret->command = p->command;
	return IMAP_LOST;
}

/* From now on everything up to the end of the command is thrown away; `scanned` bytes of the input
 * are the first of it, and `end` is what stands at their end. A client that waits for "+" gets its
 * tagged answer instead and sends no more: then they are all. */
static void start_skipping(struct imap_parser *p, enum line_end end)
{
	bool comes = end == LINE_LITERAL && !p->scan.waits;

	p->left = comes ? p->scan.bytes : 0;
	if (p->left != 0)
		p->state = SKIPPING_LITERAL;
	else
		p->state = comes || end == LINE_OPEN ? SKIPPING_LINE : SKIPPED;
}

/* The command at hand, whose bytes up to `scanned` are `bytes`, is bad. */
static void found_bad(struct imap_parser *p, struct span bytes, struct arena *a, enum line_end end,
		      const char *why)
{
	if (p->command == NULL) {
		p->command = arena_zalloc(a, sizeof(*p->command));
		command_parse_head(bytes, p->command);
		p->command->tag = arena_copy(a, p->command->tag);
	}
	p->why = why;
	start_skipping(p, end);
}

static bool too_much(const struct imap_parser *p)
{
	return p->line_bytes > SESSION_LINE_MAX_BYTES || p->scanned > SESSION_COMMAND_MAX_BYTES;
}

/* Let the grammar look at the bytes up to `scanned`. */
static enum parse look(struct imap_parser *p, struct span bytes, struct arena *a,
		       struct imap_command **ret, const char **ret_why)
{
	struct imap_command *cmd = arena_zalloc(a, sizeof(*cmd));

	p->tried = p->scanned;
	enum parse rc = command_parse(arena_copy(a, bytes), a, cmd, ret_why);
	if (rc != PARSE_BAD && a->used_bytes > SESSION_COMMAND_ARENA_MAX_BYTES) {
		*ret_why = "Command too complex";
		rc = PARSE_BAD;
	}
	*ret = cmd;
	return rc;
}

/* ---- a command ---- */

static enum imap_event end_of_command(struct imap_parser *p, struct span bytes, struct arena *a,
				      struct imap_input *ret)
{
	const char *why = "Incomplete command";
	struct imap_command *cmd = NULL;

	if (look(p, bytes, a, &cmd, &why) == PARSE_OK && cmd->kind != CMD_APPEND) {
		ret->command = cmd;
		ret->consumed = p->scanned;
		restart(p);
		return IMAP_COMMAND;
	}
	p->command = cmd;
	found_bad(p, bytes, a, LINE_ENDS, why);
	return IMAP_BAD;
}

static enum imap_event ask_message(struct imap_parser *p, struct imap_input *ret)
{
	p->state = ASKED_MESSAGE;
	ret->command = p->command;
	ret->consumed = p->scanned;
	p->scanned = p->line_bytes = 0;
	return IMAP_MESSAGE;
}

static const char *literal_too_large(const struct imap_parser *p)
{
	if (p->scan.bytes > p->literal_max_bytes)
		return "Literal too large";
	if (p->scan.bytes > SESSION_COMMAND_MAX_BYTES - p->scanned)
		return command_too_long;
	return NULL;
}

/* A literal is announced. Answers IMAP_BAD if the command is bad, IMAP_COMMAND if it may go on. */
static enum imap_event literal_in_command(struct imap_parser *p, struct span bytes, struct arena *a,
					  struct imap_input *ret)
{
	struct imap_command head, *cmd = NULL;
	const char *why = NULL;

	command_parse_head(bytes, &head);
	if (head.kind == CMD_APPEND || (p->scan.waits && p->scanned / 2 >= p->tried)) {
		enum parse rc = look(p, bytes, a, &cmd, &why);

		if (rc == PARSE_OK) { /* only an APPEND is OK before its line ends */
			p->command = cmd;
			return ask_message(p, ret);
		}
		if (rc == PARSE_BAD)
			p->command = cmd;
	}
	if (why == NULL)
		why = literal_too_large(p);
	if (why != NULL) {
		found_bad(p, bytes, a, LINE_LITERAL, why);
		return IMAP_BAD;
	}
	if (!p->scan.waits) {
		p->scanned += p->scan.bytes;
		return IMAP_COMMAND;
	}
	p->command = arena_zalloc(a, sizeof(*p->command));
	*p->command = head;
	p->command->tag = arena_copy(a, head.tag);
	p->state = ASKED_LITERAL;
	ret->command = p->command;
	ret->bytes_awaited = p->scan.bytes;
	return IMAP_LITERAL;
}

/* The line behind a message is complete or announces the next one. */
static enum imap_event line_behind_message(struct imap_parser *p, struct span bytes,
					   struct arena *a, enum line_end end,
					   struct imap_input *ret)
{
	struct cursor c = cursor_of(arena_copy(a, bytes));
	enum parse rc = end == LINE_ENDS ? lex_end(&c) : grammar_append_message(&c, a, p->command);

	if (rc == PARSE_OK && c.at != c.end)
		rc = lex_bad(&c, "Unexpected bytes at the end");
	if (rc == PARSE_OK && a->used_bytes > SESSION_COMMAND_ARENA_MAX_BYTES)
		rc = lex_bad(&c, "Command too complex");
	if (rc != PARSE_OK) {
		found_bad(p, bytes, a, end, c.why == NULL ? "Incomplete command" : c.why);
		return IMAP_BAD;
	}
	if (end == LINE_LITERAL)
		return ask_message(p, ret);
	ret->command = p->command;
	ret->consumed = p->scanned;
	restart(p);
	return IMAP_COMMAND;
}

/* READING and BEHIND_MESSAGE. IMAP_BAD: the state has changed to one of skipping. */
static enum imap_event read_lines(struct imap_parser *p, struct span in, struct arena *a,
				  struct imap_input *ret)
{
	while (p->scanned < in.bytes) {
		size_t before = p->scanned;
		enum line_end end = scan_line(&p->scan, in, &p->scanned);
		struct span bytes = span_of(in.at, p->scanned);

		p->line_bytes += p->scanned - before;
		if (too_much(p)) {
			found_bad(p, bytes, a, end, command_too_long);
			return IMAP_BAD;
		}
		if (end == LINE_OPEN)
			break;
		if (p->state == BEHIND_MESSAGE)
			return line_behind_message(p, bytes, a, end, ret);
		if (end == LINE_ENDS)
			return end_of_command(p, bytes, a, ret);
		enum imap_event e = literal_in_command(p, bytes, a, ret);
		if (e != IMAP_COMMAND)
			return e;
	}
	return IMAP_MORE;
}

/* ---- messages ---- */

static enum imap_event message_bytes(struct imap_parser *p, struct span in, struct imap_input *ret)
{
	size_t n = in.bytes < p->left ? in.bytes : (size_t)p->left;

	ret->command = p->command;
	if (n == 0 && p->left != 0)
		return IMAP_MORE;
	p->left -= n;
	ret->message = span_of(in.at, n);
	ret->message_end = p->left == 0;
	ret->consumed = n;
	if (p->left == 0)
		p->state = BEHIND_MESSAGE;
	return IMAP_MESSAGE_BYTES;
}

/* ---- skipping ---- */

/* Would n bytes more be too many to throw away? */
static bool skips_too_much(const struct imap_parser *p, uint64_t n)
{
	return p->skipped > p->skip_max_bytes || n > p->skip_max_bytes - p->skipped;
}

static void skip_piece(struct imap_parser *p, struct span in, size_t *at)
{
	size_t before = *at;

	if (p->state == SKIPPING_LINE) {
		enum line_end end = scan_line(&p->scan, in, at);

		if (end != LINE_OPEN)
			start_skipping(p, end);
	} else {
		size_t n = in.bytes - *at < p->left ? in.bytes - *at : (size_t)p->left;

		*at += n;
		p->left -= n;
		if (p->left == 0)
			p->state = SKIPPING_LINE;
	}
	p->skipped += *at - before;
}

static enum imap_event skip(struct imap_parser *p, struct span in, struct imap_input *ret)
{
	size_t at = p->scanned;

	p->skipped += at;
	p->scanned = 0;
	for (;;) {
		ret->consumed = at;
		if (p->state != SKIPPED && skips_too_much(p, p->left))
			return lost(p, ret, "Too much to be thrown away");
		if (p->state == SKIPPED || at == in.bytes)
			break;
		skip_piece(p, in, &at);
	}
	if (p->state != SKIPPED)
		return IMAP_MORE;
	ret->command = p->command;
	ret->why = p->why;
	restart(p);
	return ret->why == NULL ? IMAP_REJECTED : IMAP_BAD;
}

/* ---- what a session calls ---- */

enum imap_event imap_parser_next(struct imap_parser *p, struct span in, struct arena *a,
				 struct imap_input *ret)
{
	enum imap_event e = IMAP_MORE;

	*ret = (struct imap_input){ 0 };
	switch ((enum state)p->state) {
	case READING:
	case BEHIND_MESSAGE:
		e = read_lines(p, in, a, ret);
		return e == IMAP_BAD ? skip(p, in, ret) : e;
	case ASKED_LITERAL:
	case ASKED_MESSAGE: break; /* accept or reject first */
	case MESSAGE: return message_bytes(p, in, ret);
	case SKIPPING_LITERAL:
	case SKIPPING_LINE:
	case SKIPPED: return skip(p, in, ret);
	case LOST: return lost(p, ret, p->why);
	}
	assert(false && "a question of the parser was not answered");
	return IMAP_LOST;
}

void imap_parser_accept(struct imap_parser *p)
{
	assert(p->state == ASKED_LITERAL || p->state == ASKED_MESSAGE);
	if (p->state == ASKED_LITERAL) {
		p->state = READING;
		p->command = NULL; /* read again when it is complete */
		p->scanned += p->scan.bytes;
		return;
	}
	const struct args_append *args = &p->command->u.append;
	p->state = MESSAGE;
	p->left = args->messages[args->count - 1].bytes;
}

void imap_parser_reject(struct imap_parser *p)
{
	assert(p->state == ASKED_LITERAL || p->state == ASKED_MESSAGE || p->state == MESSAGE ||
	       p->state == BEHIND_MESSAGE);
	p->why = NULL;
	if (p->state == ASKED_LITERAL || p->state == ASKED_MESSAGE)
		start_skipping(p, LINE_LITERAL);
	else
		p->state = p->state == MESSAGE && p->left != 0 ? SKIPPING_LITERAL : SKIPPING_LINE;
}

enum imap_event imap_parser_line(struct imap_parser *p, struct span in, size_t max_bytes,
				 struct span *ret, size_t *consumed)
{
	assert(p->state == READING && p->command == NULL);
	const char *lf = p->scanned < in.bytes
				 ? memchr(in.at + p->scanned, '\n', in.bytes - p->scanned)
				 : NULL;
	size_t bytes = lf == NULL ? in.bytes : (size_t)(lf - in.at);

	*consumed = 0;
	if (bytes > max_bytes + 1) { /* 1: its CR */
		p->state = LOST;
		p->why = "Line too long";
		*consumed = in.bytes;
		return IMAP_LOST;
	}
	p->scanned = in.bytes;
	if (lf == NULL)
		return IMAP_MORE;
	*consumed = bytes + 1;
	if (bytes != 0 && in.at[bytes - 1] == '\r')
		bytes--;
	*ret = span_of(in.at, bytes);
	p->scanned = 0;
	return IMAP_COMMAND;
}

bool imap_parser_is_idle(const struct imap_parser *p)
{
	return p->state == READING && p->scanned == 0;
}
