#include "replication/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static gint compare_names(gconstpointer a, gconstpointer b, gpointer data)
{
	(void)data;
	return strcmp(a, b);
}

static void mailbox_free(gpointer data)
{
	struct mailbox *m = data;

	pages_drop(&m->pages);
	pages_drop(&m->work);
	ring_free(&m->ring);
	vanished_free(&m->vanished);
	g_free(m->name);
	g_free(m);
}

static void make_tables(struct account *a)
{
	a->by_name = g_tree_new_full(compare_names, NULL, NULL, mailbox_free);
	a->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
	a->subscriptions = g_tree_new_full(compare_names, NULL, g_free, NULL);
	a->tombstones = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void free_tables(struct account *a)
{
	g_hash_table_destroy(a->by_id);
	g_tree_destroy(a->by_name);
	g_tree_destroy(a->subscriptions);
	g_hash_table_destroy(a->tombstones);
	if (a->row != NULL)
		tm__account_row__free_unpacked(a->row, NULL);
	a->row = NULL;
}

struct account *account_new(const char *name)
{
	struct account *a = g_new0(struct account, 1);

	a->name = g_strdup(name);
	a->state = ACCOUNT_LOADING;
	make_tables(a);
	return a;
}

void account_free(struct account **a)
{
	if (*a == NULL)
		return;
	free_tables(*a);
	g_free((*a)->name);
	g_free(*a);
	*a = NULL;
}

static void empty(struct account *a, enum account_state state)
{
	free_tables(a);
	make_tables(a);
	a->id.v = 0;
	a->usage = (struct usage){ 0 };
	a->state = state;
}

void account_set_absent(struct account *a)
{
	empty(a, ACCOUNT_ABSENT);
}

void account_unload(struct account *a)
{
	empty(a, ACCOUNT_LOADING);
}

struct mailbox *account_mailbox(const struct account *a, mailbox_id id)
{
	return g_hash_table_lookup(a->by_id, &id.v);
}

struct mailbox *account_mailbox_named(const struct account *a, const char *name)
{
	return g_tree_lookup(a->by_name, name);
}

bool account_has_inferiors(const struct account *a, const char *name)
{
	/* "name/" sorts directly before everything below it. */
	char *below = g_strconcat(name, "/", NULL);
	GTreeNode *first = g_tree_lower_bound(a->by_name, below);
	bool has = first != NULL && g_str_has_prefix(g_tree_node_key(first), below);

	g_free(below);
	return has;
}

uint32_t account_tombstone(const struct account *a, const char *name)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(a->tombstones, name));
}

static void take_row(struct mailbox *m, const Tm__MailboxRow *row)
{
	m->uidvalidity = row->uidvalidity;
	m->special_use = row->special_use;
	m->created = row->created;
	m->name = g_strdup(row->name);
}

struct mailbox *account_add_mailbox(struct account *a, const Tm__MailboxRow *row,
				    const Tm__CountersRow *counters)
{
	struct mailbox *m = g_new0(struct mailbox, 1);

	m->id.v = row->id;
	m->account = a;
	take_row(m, row);
	m->pages = pages_new(m->id, m->uidvalidity);
	m->pages->counters = counters_of_row(counters);
	g_tree_replace(a->by_name, m->name, m);
	g_hash_table_insert(a->by_id, &m->id.v, m);
	return m;
}

void account_rename_mailbox(struct account *a, struct mailbox *m, const Tm__MailboxRow *row)
{
	char *old = m->name;

	g_tree_steal(a->by_name, old);
	take_row(m, row);
	g_tree_replace(a->by_name, m->name, m);
	g_free(old);
	if (m->pages->uidvalidity != m->uidvalidity)
		pages_writable(&m->pages)->uidvalidity = m->uidvalidity;
}

void mailbox_set_loaded(struct mailbox *m, struct mailbox_pages **pages, struct vanished **vanished)
{
	assert(!m->loaded && m->work == NULL);
	pages_drop(&m->pages);
	m->pages = *pages;
	m->vanished = *vanished;
	*pages = NULL;
	*vanished = NULL;
	m->ring = ring_new(m->pages->counters.highestmodseq);
	m->loaded = true;
}

void mailbox_set_loaded_empty(struct mailbox *m)
{
	m->vanished = vanished_new(m->pages->counters.horizon);
	m->ring = ring_new(m->pages->counters.highestmodseq);
	m->loaded = true;
}

void mailbox_unload(struct mailbox *m)
{
	struct mailbox_pages *bare = pages_new(m->id, m->uidvalidity);

	assert(m->work == NULL);
	bare->counters = m->pages->counters;
	keywords_unref(&bare->keywords);
	bare->keywords = keywords_ref(m->pages->keywords);
	pages_drop(&m->pages);
	m->pages = bare;
	ring_free(&m->ring);
	vanished_free(&m->vanished);
	m->loaded = false;
}

void account_remove_mailbox(struct account *a, struct mailbox *m)
{
	g_hash_table_remove(a->by_id, &m->id.v);
	g_tree_remove(a->by_name, m->name);
}

void account_set_tombstone(struct account *a, const char *name, uint32_t uidvalidity)
{
	if (uidvalidity > account_tombstone(a, name))
		g_hash_table_replace(a->tombstones, g_strdup(name), GUINT_TO_POINTER(uidvalidity));
}

void account_set_row(struct account *a, const Tm__AccountRow *row)
{
	size_t bytes = tm__account_row__get_packed_size(row);
	uint8_t *packed = g_malloc(bytes + 1);

	tm__account_row__pack(row, packed);
	if (a->row != NULL)
		tm__account_row__free_unpacked(a->row, NULL);
	a->row = tm__account_row__unpack(NULL, bytes, packed);
	assert(a->row != NULL);
	g_free(packed);
	a->id.v = row->id;
	a->state = ACCOUNT_LOADED;
}

void account_subscribe(struct account *a, const char *name, bool on)
{
	if (on) {
		char *copy = g_strdup(name);

		g_tree_replace(a->subscriptions, copy, copy);
	} else {
		g_tree_remove(a->subscriptions, name);
	}
}

struct usage account_usage_now(const struct account *a)
{
	return a->has_work ? a->work_usage : a->usage;
}

struct mailbox_pages *mailbox_now(const struct mailbox *m)
{
	return m->work != NULL ? m->work : m->pages;
}
