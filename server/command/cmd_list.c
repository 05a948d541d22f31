/* cmd_list.c: LIST and LSUB (RFC 3501 6.3.8, 6.3.9; LIST-EXTENDED 5258, LIST-STATUS 5819,
 * SPECIAL-USE 6154, CHILDREN 3348). The owner gives all names of the account; what matches is
 * computed here. */
#include "server/command/answer.h"
#include "server/command/commands.h"
#include "server/command/list_tree.h"
#include "server/command/status_answer.h"
#include "server/imap/list_match.h"

/* A mailbox whose \Recent messages have to be counted before its STATUS can be said. */
struct list_counted {
	struct list_counted *next;
	const char *name;
	struct status_facts facts;
};

struct list_state {
	const struct list_pattern **patterns;
	Tm__ListMailboxes list;
	Tm__Known known;
	struct list_counted *first, **last;
};

/* ---- choosing ---- */

static bool is_matched(const struct command *c, struct span name)
{
	const struct list_state *st = c->state;

	for (uint32_t i = 0; i < c->imap->u.list.pattern_count; i++)
		if (st->patterns[i] != NULL &&
		    list_pattern_match(st->patterns[i], name) == LIST_MATCH)
			return true;
	return false;
}

static unsigned use_of(const struct list_node *n)
{
	return n->mailbox != NULL ? n->mailbox->row->special_use : 0;
}

/* The selection options; without any: what exists, or has something below it that does. */
static bool is_chosen(const struct list_node *n, unsigned select)
{
	if ((select & (LIST_SELECT_SUBSCRIBED | LIST_SELECT_SPECIAL_USE)) == 0)
		return n->mailbox != NULL || n->has_children;
	if ((select & LIST_SELECT_SUBSCRIBED) != 0 && !n->subscribed)
		return false;
	return (select & LIST_SELECT_SPECIAL_USE) == 0 || use_of(n) != 0;
}

static void choose(const struct command *c, struct list_tree *t, unsigned select)
{
	for (size_t i = 0; i < t->count; i++) {
		t->nodes[i]->matches = is_matched(c, t->nodes[i]->name);
		t->nodes[i]->chosen = is_chosen(t->nodes[i], select);
	}
	for (size_t i = 0; i < t->count; i++) {
		bool hidden = !t->nodes[i]->matches;

		if (!t->nodes[i]->chosen)
			continue;
		for (struct list_node *p = t->nodes[i]->parent; p != NULL; p = p->parent) {
			if (p->chosen_below && (p->hidden_below || !hidden))
				break; /* so are those above it */
			p->chosen_below = true;
			p->hidden_below = p->hidden_below || hidden;
		}
	}
}

/* ---- LIST ---- */

static void put_attribute(struct buf *out, const char *name)
{
	if (out->at[out->bytes - 1] != '(')
		buf_putc(out, ' ');
	buf_puts(out, name);
}

static void put_attributes(struct buf *out, const struct list_node *n, const struct args_list *a)
{
	bool children = !a->extended || (a->ret & LIST_RETURN_CHILDREN) != 0;
	bool uses = !a->extended || (a->ret & LIST_RETURN_SPECIAL_USE) != 0 ||
		    (a->select & LIST_SELECT_SPECIAL_USE) != 0;
	bool subscribed =
		(a->ret & LIST_RETURN_SUBSCRIBED) != 0 || (a->select & LIST_SELECT_SUBSCRIBED) != 0;

	if (n->mailbox == NULL) {
		put_attribute(out, "\\NonExistent");
		put_attribute(out, "\\Noselect");
	}
	if (subscribed && n->subscribed)
		put_attribute(out, "\\Subscribed");
	if (children || (n->mailbox == NULL && n->has_children))
		put_attribute(out, n->has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (uses && use_of(n) != 0) {
		put_attribute(out, "");
		response_special_use(out, use_of(n));
	}
}

static void put_child_info(struct buf *out, unsigned select)
{
	buf_puts(out, " (\"CHILDINFO\" (");
	if ((select & LIST_SELECT_SUBSCRIBED) != 0)
		buf_puts(out, "\"SUBSCRIBED\"");
	if ((select & LIST_SELECT_SPECIAL_USE) != 0)
		buf_puts(out, (select & LIST_SELECT_SUBSCRIBED) != 0 ? " \"SPECIAL-USE\""
								     : "\"SPECIAL-USE\"");
	buf_puts(out, "))");
}

static void put_status(struct session *s, struct command *c, const struct list_node *n)
{
	const struct args_list *a = &c->imap->u.list;
	struct list_state *st = c->state;
	struct list_counted *later;
	struct status_facts facts;

	if ((a->ret & LIST_RETURN_STATUS) == 0 || n->mailbox == NULL ||
	    n->mailbox->counters == NULL)
		return;
	status_facts_fill(s, n->mailbox, &facts);
	if (!status_must_count_recent(s, n->mailbox, a->status_items)) {
		status_put(s, n->name, a->status_items, &facts);
		return;
	}
	later = arena_zalloc(&c->arena, sizeof(*later));
	later->name = arena_strdup(&c->arena, n->name);
	later->facts = facts;
	*st->last = later;
	st->last = &later->next;
}

/* RFC 5258 3.5: a name that is not chosen itself is shown for an inferior that is not shown. */
static bool is_shown(const struct list_node *n, unsigned select)
{
	bool recursive = (select & LIST_SELECT_RECURSIVEMATCH) != 0;

	return n->matches && (n->chosen || (recursive && n->hidden_below));
}

static void put_list(struct session *s, struct command *c, const struct list_tree *t)
{
	const struct args_list *a = &c->imap->u.list;
	struct buf *out = session_out(s);

	for (size_t i = 0; i < t->count; i++) {
		const struct list_node *n = t->nodes[i];

		if (!is_shown(n, a->select))
			continue;
		buf_puts(out, "* LIST (");
		put_attributes(out, n, a);
		buf_puts(out, ") \"/\" ");
		mailbox_name_put(out, n->name);
		if ((a->select & LIST_SELECT_RECURSIVEMATCH) != 0 && n->chosen_below)
			put_child_info(out, a->select);
		buf_puts(out, "\r\n");
		put_status(s, c, n);
	}
}

/* ---- LSUB ---- */

/* A name that is not subscribed is shown, \Noselect, for an inferior that is and that "%" hides. */
static void put_lsub(struct session *s, const struct list_tree *t)
{
	struct buf *out = session_out(s);

	for (size_t i = 0; i < t->count; i++) {
		const struct list_node *n = t->nodes[i];

		if (!n->matches || !(n->chosen || n->hidden_below))
			continue;
		buf_puts(out, n->chosen ? "* LSUB () \"/\" " : "* LSUB (\\Noselect) \"/\" ");
		mailbox_name_put(out, n->name);
		buf_puts(out, "\r\n");
	}
}

/* ---- the course ---- */

static void count_next(struct session *s, struct command *c);

static void on_uids(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct list_state *st = c->state;

	if (f->changes != NULL)
		st->first->facts.recent = status_count_recent(f->changes);
	if (!f->end)
		return;
	if (f->outcome == TM__OUTCOME__DONE)
		status_put(s, span_str(st->first->name), c->imap->u.list.status_items,
			   &st->first->facts);
	st->first = st->first->next;
	count_next(s, c);
}

static void end(struct session *s, const struct command *c)
{
	session_answer(s, RESPONSE_OK, NULL,
		       c->imap->kind == CMD_LSUB ? "LSUB completed" : "LIST completed");
}

static void count_next(struct session *s, struct command *c)
{
	struct list_state *st = c->state;
	Tm__Read *r;

	if (st->first == NULL) {
		end(s, c);
		return;
	}
	r = session_read(s);
	tm__known__init(&st->known);
	r->name = (char *)(uintptr_t)st->first->name;
	r->known = &st->known;
	session_send_read(s, on_uids);
}

static void on_names(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct list_tree tree = { 0 };

	if (f->list != NULL) {
		list_tree_make(f->list, &c->arena, &tree);
		if (c->imap->kind == CMD_LSUB) {
			choose(c, &tree, LIST_SELECT_SUBSCRIBED);
			put_lsub(s, &tree);
		} else {
			choose(c, &tree, c->imap->u.list.select);
			put_list(s, c, &tree);
		}
	}
	if (!f->end)
		return;
	if (f->outcome != TM__OUTCOME__DONE)
		answer_failed(s, f->outcome, f->text, ABOUT_MAILBOX);
	else
		count_next(s, c);
}

/* LIST "" "": what is the delimiter (RFC 3501 6.3.8)? The root of any reference is "". */
static bool asks_delimiter(const struct args_list *a)
{
	return !a->extended && a->pattern_count == 1 && a->patterns[0].bytes == 0;
}

static void list_or_lsub(struct session *s, struct command *c)
{
	const struct args_list *a = &c->imap->u.list;
	struct list_state *st = arena_zalloc(&c->arena, sizeof(*st));
	Tm__Read *r;

	if (asks_delimiter(a)) {
		buf_puts(session_out(s), c->imap->kind == CMD_LSUB
						 ? "* LSUB (\\Noselect) \"/\" \"\"\r\n"
						 : "* LIST (\\Noselect) \"/\" \"\"\r\n");
		end(s, c);
		return;
	}
	if ((a->ret & LIST_RETURN_STATUS) != 0 && (a->status_items & STATUS_HIGHESTMODSEQ) != 0)
		session_become_aware(s);
	c->state = st;
	st->last = &st->first;
	st->patterns = arena_alloc(&c->arena, a->pattern_count * sizeof(*st->patterns));
	for (uint32_t i = 0; i < a->pattern_count; i++)
		st->patterns[i] = list_pattern_make(a->reference, a->patterns[i], &c->arena);
	tm__list_mailboxes__init(&st->list);
	st->list.status = (a->ret & LIST_RETURN_STATUS) != 0;
	r = session_read(s);
	r->what_case = TM__READ__WHAT_LIST;
	r->list = &st->list;
	session_send_read(s, on_names);
}

void list_run(struct session *s, struct command *c)
{
	list_or_lsub(s, c);
}

void lsub_run(struct session *s, struct command *c)
{
	list_or_lsub(s, c);
}
