/* imap_dump.h: commands and parser events as text, so that tests can compare them. Shared by unit
 * tests and fuzz targets. */
#ifndef TESTS_UNIT_IMAP_DUMP_H
#define TESTS_UNIT_IMAP_DUMP_H

#include "server/imap/parser.h"
#include "server/imap/response.h"

#include <stdlib.h>

static inline void dump_quoted(struct buf *out, struct span s)
{
	buf_putc(out, '\'');
	for (size_t i = 0; i < s.bytes; i++) {
		unsigned char ch = (unsigned char)s.at[i];

		if (ch < 0x20 || ch == 0x7f)
			buf_printf(out, "<%02x>", ch);
		else
			buf_putc(out, (char)ch);
	}
	buf_putc(out, '\'');
}

static inline void dump_mailbox(struct buf *out, const struct mailbox_name *m)
{
	buf_putc(out, ' ');
	if (m->fault == MAILBOX_NAME_GOOD)
		dump_quoted(out, m->utf8);
	else
		buf_printf(out, "fault=%d", (int)m->fault);
	if (m->trailing_slash)
		buf_putc(out, '/');
}

static inline void dump_flags(struct buf *out, const struct flag_list *f)
{
	buf_putc(out, ' ');
	response_flags(out, f->system, f->keywords, f->keyword_count, false);
}

static inline void dump_set(struct buf *out, const struct seq_set *s)
{
	buf_putc(out, ' ');
	seq_set_text(s, out);
}

static inline void dump_fetch_items(struct buf *out, const struct fetch_items *items)
{
	static const char *const names[] = { "UID",      "FLAGS",    "INTERNALDATE", "SIZE",
					     "ENVELOPE", "BODY",     "STRUCTURE",    "MODSEQ",
					     "EMAILID",  "THREADID", "SAVEDATE" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((items->simple & 1u << i) != 0)
			buf_printf(out, " %s", names[i]);
	for (uint32_t i = 0; i < items->part_count; i++) {
		const struct fetch_part *part = &items->parts[i];

		buf_putc(out, ' ');
		fetch_part_name(part, out);
		if (part->partial)
			buf_printf(out, "+%u", part->length);
		if (part->peek)
			buf_puts(out, "~");
	}
}

static inline void dump_search(struct buf *out, const struct search_node *n)
{
	static const char *const names[SEARCH_KEY_COUNT] = {
		"and",      "or",          "not",         "all",     "seq",        "uid",
		"flag",     "recent",      "keyword",     "larger",  "smaller",    "before",
		"on",       "since",       "sent_before", "sent_on", "sent_since", "saved_before",
		"saved_on", "saved_since", "savedate?",   "older",   "younger",    "modseq",
		"header",   "body",        "text",        "emailid", "threadid"
	};

	buf_puts(out, names[n->key]);
	if (n->key == SEARCH_SEQ || n->key == SEARCH_UID)
		dump_set(out, &n->set);
	if (n->number != 0 || n->key == SEARCH_MODSEQ)
		buf_printf(out, " %llu", (unsigned long long)n->number);
	if (n->day != 0)
		buf_printf(out, " day%lld", (long long)n->day);
	if (n->name.bytes != 0)
		dump_quoted(out, n->name);
	if (n->text.bytes != 0)
		dump_quoted(out, n->text);
	if (n->child == NULL)
		return;
	buf_putc(out, '(');
	for (const struct search_node *child = n->child; child != NULL; child = child->next) {
		if (child != n->child)
			buf_putc(out, ' ');
		dump_search(out, child);
	}
	buf_putc(out, ')');
}

static inline void dump_select(struct buf *out, const struct args_select *args)
{
	dump_mailbox(out, &args->mailbox);
	if (args->condstore)
		buf_puts(out, " condstore");
	if (args->qresync)
		buf_printf(out, " qresync %u %llu", args->uidvalidity,
			   (unsigned long long)args->modseq.v);
	if (args->has_known_uids) {
		buf_puts(out, " known");
		dump_set(out, &args->known_uids);
	}
	if (args->has_match) {
		buf_puts(out, " match");
		dump_set(out, &args->match_seqs);
		dump_set(out, &args->match_uids);
	}
}

static inline void dump_list(struct buf *out, const struct args_list *args)
{
	if (args->extended)
		buf_printf(out, " extended select=%u return=%u status=%u", args->select, args->ret,
			   args->status_items);
	buf_putc(out, ' ');
	dump_quoted(out, args->reference);
	for (uint32_t i = 0; i < args->pattern_count; i++) {
		buf_putc(out, ' ');
		dump_quoted(out, args->patterns[i]);
	}
}

static inline void dump_store(struct buf *out, const struct args_store *args)
{
	dump_set(out, &args->set);
	buf_puts(out, args->mode == STORE_ADD ? " +" : args->mode == STORE_REMOVE ? " -" : " =");
	if (args->silent)
		buf_puts(out, "silent");
	if (args->conditional)
		buf_printf(out, " if<=%llu", (unsigned long long)args->unchangedsince.v);
	dump_flags(out, &args->flags);
}

static inline void dump_fetch(struct buf *out, const struct args_fetch *args)
{
	dump_set(out, &args->set);
	dump_fetch_items(out, &args->items);
	if (args->has_changedsince)
		buf_printf(out, " since=%llu", (unsigned long long)args->changedsince.v);
	if (args->vanished)
		buf_puts(out, " vanished");
}

static inline void dump_append_message(struct buf *out, const struct append_message *m)
{
	dump_flags(out, &m->flags);
	if (m->has_date)
		buf_printf(out, " %lld%+d", (long long)m->date.unix_seconds, m->date.zone_minutes);
	buf_printf(out, " %llu%s", (unsigned long long)m->bytes, m->waits ? "" : "+");
}

static inline void dump_id(struct buf *out, const struct args_id *args)
{
	for (uint32_t i = 0; i < args->count; i++) {
		buf_putc(out, ' ');
		dump_quoted(out, args->fields[i].name);
		if (args->fields[i].value.at == NULL)
			buf_puts(out, "=nil");
		else
			dump_quoted(out, args->fields[i].value);
	}
}

static inline void dump_enable(struct buf *out, const struct args_enable *args)
{
	for (uint32_t i = 0; i < args->count; i++) {
		buf_putc(out, ' ');
		dump_quoted(out, args->names[i]);
	}
}

static inline void dump_append(struct buf *out, const struct args_append *args)
{
	dump_mailbox(out, &args->mailbox);
	for (uint32_t i = 0; i < args->count; i++)
		dump_append_message(out, &args->messages[i]);
}

static inline void dump_args_search(struct buf *out, const struct args_search *args)
{
	if (args->extended)
		buf_printf(out, " return=%u", args->want);
	buf_putc(out, ' ');
	dump_quoted(out, args->program.charset);
	buf_putc(out, ' ');
	if (args->program.root != NULL) /* NULL: it was rejected before it was read */
		dump_search(out, args->program.root);
}

/* Commands whose arguments are one or two words or names. */
static inline void dump_few_arguments(struct buf *out, const struct imap_command *c)
{
	if (c->kind == CMD_AUTHENTICATE) {
		buf_putc(out, ' ');
		dump_quoted(out, c->u.authenticate.mechanism);
		if (c->u.authenticate.has_initial)
			dump_quoted(out, c->u.authenticate.initial);
	} else if (c->kind == CMD_LOGIN) {
		buf_putc(out, ' ');
		dump_quoted(out, c->u.login.user);
		dump_quoted(out, c->u.login.password);
	} else if (c->kind == CMD_COMPRESS) {
		dump_quoted(out, c->u.compress.algorithm);
	} else if (c->kind == CMD_COPY || c->kind == CMD_MOVE) {
		dump_set(out, &c->u.copy.set);
		dump_mailbox(out, &c->u.copy.mailbox);
	} else if (c->kind == CMD_CREATE) {
		dump_mailbox(out, &c->u.create.mailbox);
		if (c->u.create.has_use)
			buf_printf(out, " use=%u%s", c->u.create.special_use,
				   c->u.create.unknown_use ? "?" : "");
	} else if (c->kind == CMD_RENAME) {
		dump_mailbox(out, &c->u.rename.from);
		dump_mailbox(out, &c->u.rename.to);
	} else if (c->kind == CMD_STATUS) {
		dump_mailbox(out, &c->u.status.mailbox);
		buf_printf(out, " items=%u", c->u.status.items);
	} else if (c->kind == CMD_EXPUNGE && c->uid) {
		dump_set(out, &c->u.expunge.set);
	}
}

static inline void dump_arguments(struct buf *out, const struct imap_command *c)
{
	switch (c->kind) {
	case CMD_APPEND: dump_append(out, &c->u.append); return;
	case CMD_DELETE:
	case CMD_SUBSCRIBE:
	case CMD_UNSUBSCRIBE: dump_mailbox(out, &c->u.mailbox.mailbox); return;
	case CMD_ENABLE: dump_enable(out, &c->u.enable); return;
	case CMD_EXAMINE:
	case CMD_SELECT: dump_select(out, &c->u.select); return;
	case CMD_FETCH: dump_fetch(out, &c->u.fetch); return;
	case CMD_ID: dump_id(out, &c->u.id); return;
	case CMD_LIST:
	case CMD_LSUB: dump_list(out, &c->u.list); return;
	case CMD_SEARCH: dump_args_search(out, &c->u.search); return;
	case CMD_STORE: dump_store(out, &c->u.store); return;
	case CMD_AUTHENTICATE:
	case CMD_CAPABILITY:
	case CMD_CHECK:
	case CMD_CLOSE:
	case CMD_COMPRESS:
	case CMD_COPY:
	case CMD_COUNT:
	case CMD_CREATE:
	case CMD_EXPUNGE:
	case CMD_IDLE:
	case CMD_LOGIN:
	case CMD_LOGOUT:
	case CMD_MOVE:
	case CMD_NAMESPACE:
	case CMD_NONE:
	case CMD_NOOP:
	case CMD_RENAME:
	case CMD_STARTTLS:
	case CMD_STATUS:
	case CMD_UNSELECT: dump_few_arguments(out, c); return;
	}
}

static inline void dump_command(struct buf *out, const struct imap_command *c)
{
	buf_put_span(out, c->tag);
	buf_puts(out, c->uid ? " UID " : " ");
	buf_puts(out, c->name);
	dump_arguments(out, c);
}

/* ---- a whole conversation ---- */

/* How the imagined session behaves. */
struct dump_policy {
	unsigned reject; /* the n-th question (from 1) is answered no; 0: none */
	size_t skip_max; /* 0: as it is */
};

struct dump_run {
	struct imap_parser p;
	struct arena arena;
	struct dump_policy policy;
	unsigned questions;
	bool lost;
};

static inline void dump_answer(struct dump_run *r)
{
	if (++r->questions == r->policy.reject)
		imap_parser_reject(&r->p);
	else
		imap_parser_accept(&r->p);
}

static inline void dump_event(struct dump_run *r, enum imap_event e, const struct imap_input *in,
			      struct buf *out)
{
	switch (e) {
	case IMAP_MORE: return;
	case IMAP_MESSAGE_BYTES:
		buf_put_span(out, in->message);
		buf_puts(out, in->message_end ? "|\n" : "");
		return;
	case IMAP_COMMAND: buf_puts(out, "OK "); break;
	case IMAP_BAD: buf_printf(out, "BAD (%s) ", in->why); break;
	case IMAP_LITERAL:
		buf_printf(out, "LITERAL %llu ", (unsigned long long)in->bytes_awaited);
		break;
	case IMAP_MESSAGE: buf_puts(out, "MESSAGE "); break;
	case IMAP_REJECTED: buf_puts(out, "REJECTED "); break;
	case IMAP_LOST: buf_printf(out, "LOST (%s) ", in->why); break;
	}
	if (e == IMAP_LITERAL || e == IMAP_BAD || e == IMAP_LOST) {
		buf_put_span(out, in->command->tag);
		buf_printf(out, " %s", in->command->name);
	} else {
		dump_command(out, in->command);
	}
	buf_putc(out, '\n');
	r->lost = e == IMAP_LOST;
	if (e == IMAP_LITERAL || e == IMAP_MESSAGE)
		dump_answer(r);
	if (e == IMAP_COMMAND || e == IMAP_BAD || e == IMAP_REJECTED)
		arena_reset(&r->arena);
}

/* All bytes of `in` in slices that `next_cut` chooses (given the bytes that are left, at least 1);
 * what happens is appended to `out`. Each look at the input is made at a copy without anything
 * behind it, so that ASan sees a parser that looks too far. */
static inline void dump_stream(struct span in, size_t (*next_cut)(void *data, size_t left),
			       void *data, struct dump_policy policy, struct buf *out)
{
	struct dump_run r = { .policy = policy };
	size_t from = 0, to = 0;

	imap_parser_init(&r.p);
	arena_init(&r.arena);
	if (policy.skip_max != 0)
		r.p.skip_max_bytes = policy.skip_max;
	while (to < in.bytes && !r.lost) {
		to += next_cut(data, in.bytes - to);
		char *seen = malloc(to == from ? 1 : to - from);
		memcpy(seen, in.at + from, to - from);
		size_t at = 0;
		for (enum imap_event e = IMAP_BAD; e != IMAP_MORE && !r.lost;) {
			struct imap_input got;

			e = imap_parser_next(&r.p, span_of(seen + at, to - from - at), &r.arena,
					     &got);
			dump_event(&r, e, &got, out);
			at += got.consumed;
		}
		from += at;
		free(seen);
	}
	arena_free(&r.arena);
}

#endif
