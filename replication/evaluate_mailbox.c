/* evaluate_mailbox.c: mailbox names: create, delete, rename, subscribe (IMAP.md, section 6).
 *
 * An op of these is the last of its account in a batch (eval_touch_account with names): the names
 * in memory change only when the record is committed. */
#include "replication/evaluate.h"

#include <assert.h>
#include <string.h>

enum { NAMES_RECORD_MAX_BYTES = LOG_ENTRY_MAX_BYTES / 2 };

/* Unique in the partition for ever, and above what a gone mailbox of that name had. */
static uint32_t new_uidvalidity(struct evaluation *e, const struct account *a, const char *name)
{
	struct partition_values *v = &e->partition->work;
	uint32_t last = v->last_uidvalidity;
	uint32_t gone = account_tombstone(a, name);

	if (gone > last)
		last = gone;
	v->last_uidvalidity = e->now > (int64_t)last ? (uint32_t)e->now : last + 1;
	return v->last_uidvalidity;
}

Tm__PartitionRow *eval_partition_row(struct evaluation *e)
{
	const struct partition_values *v = &e->partition->work;
	Tm__PartitionRow *row = arena_alloc(e->arena, sizeof(*row));

	tm__partition_row__init(row);
	row->last_uidvalidity = v->last_uidvalidity;
	row->next_mailbox = v->next_mailbox;
	row->next_account = v->next_account;
	return row;
}

static Tm__UsageRow *next_listseq(struct evaluation *e, struct account *a)
{
	struct usage u = account_usage_now(a);

	u.listseq++;
	return eval_usage(e, &u);
}

static enum evaluated mailbox_result(struct evaluation *e, uint64_t id, uint32_t uidvalidity)
{
	Tm__MailboxResult *m = arena_alloc(e->arena, sizeof(*m));

	tm__mailbox_result__init(m);
	m->mailbox = id;
	m->uidvalidity = uidvalidity;
	e->result->what_case = TM__OP_RESULT__WHAT_MAILBOX;
	e->result->mailbox = m;
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}

uint64_t eval_create(struct evaluation *e, struct account *a, const char *name,
		     uint32_t special_use)
{
	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_MAILBOX_CREATED);
	Tm__MailboxCreated *c = r->mailbox_created;
	struct mailbox_counters counters = { .uidnext = 1, .highestmodseq = 1, .recent_from = 1 };

	c->row = arena_alloc(e->arena, sizeof(*c->row));
	tm__mailbox_row__init(c->row);
	c->account = a->id.v;
	c->row->id = e->partition->work.next_mailbox++;
	c->row->name = eval_strdup(e, name);
	c->row->uidvalidity = new_uidvalidity(e, a, name);
	c->row->special_use = special_use;
	c->row->created = e->now;
	c->counters = eval_counters(e, &counters);
	c->usage = next_listseq(e, a);
	c->partition = eval_partition_row(e);
	eval_touch_account(e, a, true);
	eval_add(e, r);
	(void)mailbox_result(e, c->row->id, c->row->uidvalidity);
	return c->row->id;
}

static bool special_use_is_taken(const struct account *a, uint32_t use)
{
	GHashTableIter it;
	gpointer value;

	g_hash_table_iter_init(&it, a->by_id);
	while (g_hash_table_iter_next(&it, NULL, &value))
		if ((((const struct mailbox *)value)->special_use & use) != 0)
			return true;
	return false;
}

enum evaluated evaluate_create_mailbox(struct evaluation *e, const Tm__CreateMailbox *op)
{
	struct account *a;
	enum evaluated rc = eval_account(e, &a);

	if (a == NULL)
		return rc;
	if (account_mailbox_named(a, op->name) != NULL)
		return evaluated(e, TM__OUTCOME__NAME_EXISTS, "Mailbox already exists");
	if (g_hash_table_size(a->by_id) >= MAILBOXES_PER_ACCOUNT_MAX)
		return evaluated(e, TM__OUTCOME__LIMIT, "Too many mailboxes");
	if (op->special_use != 0 && special_use_is_taken(a, op->special_use))
		return evaluated(e, TM__OUTCOME__USE_ATTR,
				 "A mailbox with this special use exists already");
	eval_create(e, a, op->name, op->special_use);
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}

enum evaluated evaluate_delete_mailbox(struct evaluation *e, const Tm__DeleteMailbox *op)
{
	struct account *a;
	enum evaluated rc = eval_account(e, &a);

	if (a == NULL)
		return rc;
	struct mailbox *m = account_mailbox_named(a, op->name);
	if (m == NULL && account_has_inferiors(a, op->name))
		return evaluated(e, TM__OUTCOME__HAS_CHILDREN,
				 "It is only the parent of other mailboxes");
	if (m == NULL)
		return evaluated(e, TM__OUTCOME__NO_MAILBOX, "No such mailbox");
	if (strcmp(m->name, "INBOX") == 0)
		return evaluated(e, TM__OUTCOME__CANNOT, "INBOX cannot be deleted");

	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_MAILBOX_DELETED);
	Tm__MailboxDeleted *d = r->mailbox_deleted;
	const struct mailbox_counters *c = &mailbox_now(m)->counters;
	struct usage u = account_usage_now(a);

	u.listseq++;
	u.bytes -= c->bytes;
	u.messages -= c->exists;
	d->account = a->id.v;
	d->mailbox = m->id.v;
	d->name = eval_strdup(e, m->name);
	d->tombstone = arena_alloc(e->arena, sizeof(*d->tombstone));
	tm__tombstone_row__init(d->tombstone);
	d->tombstone->uidvalidity = m->uidvalidity;
	d->usage = eval_usage(e, &u);
	eval_touch_account(e, a, true);
	eval_add(e, r);
	return mailbox_result(e, m->id.v, m->uidvalidity);
}

/* ---- rename ---- */

struct rename {
	struct evaluation *e;
	struct account *account;
	const char *from, *to;
	size_t from_bytes;
	GPtrArray *moved; /* struct mailbox *: the mailbox itself, if it exists, and all below it */
	size_t bytes;
	bool clash;
};

static gboolean collect_moved(gpointer key, gpointer value, gpointer data)
{
	struct rename *r = data;
	const char *name = key;

	if (strncmp(name, r->from, r->from_bytes) != 0 ||
	    (name[r->from_bytes] != '\0' && name[r->from_bytes] != '/'))
		return FALSE;
	g_ptr_array_add(r->moved, value);
	r->bytes += 2 * strlen(name) + strlen(r->to) + 96;
	return FALSE;
}

static char *new_name(const struct rename *r, const struct mailbox *m)
{
	const char *rest = m->name + r->from_bytes;
	size_t to_bytes = strlen(r->to);
	char *name = arena_alloc(r->e->arena, to_bytes + strlen(rest) + 1);

	memcpy(name, r->to, to_bytes);
	strcpy(name + to_bytes, rest);
	return name;
}

static Tm__RenamedMailbox *renamed(struct rename *r, const struct mailbox *m)
{
	struct arena *arena = r->e->arena;
	Tm__RenamedMailbox *out = arena_alloc(arena, sizeof(*out));
	char *name = new_name(r, m);

	tm__renamed_mailbox__init(out);
	out->old_name = eval_strdup(r->e, m->name);
	out->row = arena_alloc(arena, sizeof(*out->row));
	tm__mailbox_row__init(out->row);
	out->row->id = m->id.v;
	out->row->name = name;
	out->row->special_use = m->special_use;
	out->row->created = m->created;
	out->row->uidvalidity = account_tombstone(r->account, name) >= m->uidvalidity
					? new_uidvalidity(r->e, r->account, name)
					: m->uidvalidity;
	out->tombstone = arena_alloc(arena, sizeof(*out->tombstone));
	tm__tombstone_row__init(out->tombstone);
	out->tombstone->uidvalidity = m->uidvalidity;
	return out;
}

static enum evaluated rename_all(struct rename *r)
{
	struct evaluation *e = r->e;
	Tm__Record *rec = eval_record(e, TM__RECORD__WHAT_MAILBOX_RENAMED);
	Tm__MailboxRenamed *out = rec->mailbox_renamed;
	const struct mailbox *first = g_ptr_array_index(r->moved, 0);

	for (guint i = 0; i < r->moved->len; i++) {
		const struct mailbox *m = g_ptr_array_index(r->moved, i);
		const char *name = new_name(r, m);

		if (strlen(name) > MAILBOX_NAME_MAX_BYTES)
			return evaluated(e, TM__OUTCOME__CANNOT, "A name would become too long");
		if (account_mailbox_named(r->account, name) != NULL)
			return evaluated(e, TM__OUTCOME__NAME_EXISTS, "Mailbox already exists");
	}
	out->account = r->account->id.v;
	out->n_mailboxes = r->moved->len;
	out->mailboxes = arena_alloc(e->arena, out->n_mailboxes * sizeof(*out->mailboxes));
	for (guint i = 0; i < r->moved->len; i++)
		out->mailboxes[i] = renamed(r, g_ptr_array_index(r->moved, i));
	out->usage = next_listseq(e, r->account);
	out->partition = eval_partition_row(e);
	eval_touch_account(e, r->account, true);
	eval_add(e, rec);
	return mailbox_result(e, first->id.v, out->mailboxes[0]->row->uidvalidity);
}

static enum evaluated rename_collected(struct rename *r)
{
	if (r->moved->len == 0)
		return evaluated(r->e, TM__OUTCOME__NO_MAILBOX, "No such mailbox");
	if (r->bytes > NAMES_RECORD_MAX_BYTES)
		return evaluated(r->e, TM__OUTCOME__LIMIT,
				 "Too many mailboxes to rename in one command");
	if (r->bytes > batch_room(r->e->batch))
		return NEXT_BATCH;
	return rename_all(r);
}

enum evaluated evaluate_rename_mailbox(struct evaluation *e, const Tm__RenameMailbox *op)
{
	struct rename r = { .e = e, .from = op->from, .to = op->to };
	enum evaluated rc = eval_account(e, &r.account);

	if (r.account == NULL)
		return rc;
	if (account_mailbox_named(r.account, op->to) != NULL)
		return evaluated(e, TM__OUTCOME__NAME_EXISTS, "Mailbox already exists");
	if (strcmp(op->from, "INBOX") == 0) {
		/* INBOX stays; the front end moves its messages (RFC 3501 6.3.5). */
		eval_create(e, r.account, op->to, 0);
		return evaluated(e, TM__OUTCOME__DONE, NULL);
	}
	r.from_bytes = strlen(op->from);
	if (strncmp(op->to, op->from, r.from_bytes) == 0 && op->to[r.from_bytes] == '/')
		return evaluated(e, TM__OUTCOME__CANNOT, "A mailbox cannot move below itself");

	r.moved = g_ptr_array_new();
	g_tree_foreach(r.account->by_name, collect_moved, &r);
	rc = rename_collected(&r);
	g_ptr_array_free(r.moved, TRUE);
	return rc;
}

enum evaluated evaluate_subscribe(struct evaluation *e, const Tm__Subscribe *op)
{
	struct account *a;
	enum evaluated rc = eval_account(e, &a);

	if (a == NULL)
		return rc;
	bool is_on = g_tree_lookup(a->subscriptions, op->name) != NULL;
	if (is_on == (op->on != 0))
		return evaluated(e, TM__OUTCOME__DONE, NULL);
	if (op->on && g_tree_nnodes(a->subscriptions) >= SUBSCRIPTIONS_PER_ACCOUNT_MAX)
		return evaluated(e, TM__OUTCOME__LIMIT, "Too many subscriptions");

	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_SUBSCRIBED);
	r->subscribed->account = a->id.v;
	r->subscribed->name = eval_strdup(e, op->name);
	r->subscribed->on = op->on;
	r->subscribed->usage = next_listseq(e, a);
	eval_touch_account(e, a, true);
	eval_add(e, r);
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}
