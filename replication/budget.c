#include "replication/budget.h"

#include "replication/account.h"
#include "replication/node.h"
#include "replication/partition.h"

enum {
	ACCOUNT_IDLE_MILLISECONDS = 10 * 60 * 1000,
	ABSENT_IDLE_MILLISECONDS = 10 * 1000, /* strangers may ask for any name */
	MAILBOX_BYTES_FIXED = 1024,
};

/* ---- accounts ---- */

static bool is_busy(const struct partition *p, const struct account *a)
{
	GHashTableIter it;
	gpointer value;

	if (a->has_work || a->names_in_flight || p->loads != NULL || a->state == ACCOUNT_LOADING)
		return true;
	g_hash_table_iter_init(&it, a->by_id);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		const struct mailbox *m = value;

		if (m->loading || m->work != NULL)
			return true;
	}
	return false;
}

static bool is_idle(const struct account *a, uint64_t now_ms)
{
	uint64_t idle_ms =
		a->state == ACCOUNT_ABSENT ? ABSENT_IDLE_MILLISECONDS : ACCOUNT_IDLE_MILLISECONDS;

	return a->used_ms + idle_ms < now_ms;
}

static void forget_idle_accounts(struct partition *p, uint64_t now_ms)
{
	GHashTableIter it;
	gpointer value;

	g_hash_table_iter_init(&it, p->accounts);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct account *a = value;

		if (!is_idle(a, now_ms) || is_busy(p, a))
			continue;
		if (a->state == ACCOUNT_LOADED)
			partition_unindex_account(p, a);
		g_hash_table_iter_remove(&it);
		account_free(&a);
	}
}

/* ---- mailboxes ---- */

static size_t mailbox_bytes(const struct mailbox *m)
{
	return pages_bytes(m->pages) + ring_bytes(m->ring) + vanished_bytes(m->vanished) +
	       MAILBOX_BYTES_FIXED;
}

/* Count what is loaded and put what may be unloaded into `idle`. */
static size_t count_mailboxes(const struct account *a, GPtrArray *idle)
{
	GHashTableIter it;
	gpointer value;
	size_t bytes = 0;

	g_hash_table_iter_init(&it, a->by_id);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct mailbox *m = value;

		if (!m->loaded)
			continue;
		if (m->work == NULL) {
			pages_tidy(&m->pages);
			g_ptr_array_add(idle, m);
		}
		bytes += mailbox_bytes(m);
	}
	return bytes;
}

static gint longest_unused_first(gconstpointer a, gconstpointer b)
{
	const struct mailbox *x = *(struct mailbox *const *)a;
	const struct mailbox *y = *(struct mailbox *const *)b;

	return (x->used_ms > y->used_ms) - (x->used_ms < y->used_ms);
}

/* Returns the bytes that are still loaded. */
static size_t unload_down_to(size_t budget, size_t bytes, GPtrArray *idle)
{
	if (bytes <= budget)
		return bytes;
	g_ptr_array_sort(idle, longest_unused_first);
	for (guint i = 0; i < idle->len && bytes > budget; i++) {
		struct mailbox *m = g_ptr_array_index(idle, i);

		bytes -= mailbox_bytes(m);
		mailbox_unload(m);
	}
	return bytes;
}

void budget_keep(struct owner *o, uint64_t now_ms)
{
	const struct node *n = o->node;
	GPtrArray *idle = g_ptr_array_new();
	size_t bytes = 0;

	for (unsigned i = o->index; i < n->partition_count; i += n->loop_count) {
		struct partition *p = o->partitions[i];
		GHashTableIter it;
		gpointer account;

		forget_idle_accounts(p, now_ms);
		g_hash_table_iter_init(&it, p->accounts);
		while (g_hash_table_iter_next(&it, NULL, &account))
			bytes += count_mailboxes(account, idle);
	}
	o->pages_bytes = unload_down_to(n->options.pages_bytes / n->loop_count, bytes, idle);
	g_ptr_array_free(idle, TRUE);
}
