#include "server/command/list_tree.h"

#include <glib.h>
#include <stdlib.h>

struct making {
	struct arena *arena;
	GHashTable *by_name; /* struct span * -> struct list_node * */
	struct list_tree *tree;
	size_t capacity;
};

static guint span_hash(gconstpointer v)
{
	const struct span *s = v;
	guint h = 5381;

	for (size_t i = 0; i < s->bytes; i++)
		h = h * 33 + (unsigned char)s->at[i];
	return h;
}

static gboolean span_equal(gconstpointer a, gconstpointer b)
{
	return span_eq(*(const struct span *)a, *(const struct span *)b);
}

static void add(struct making *m, struct list_node *n)
{
	struct list_tree *t = m->tree;

	if (t->count == m->capacity) {
		size_t capacity = m->capacity > 0 ? 2 * m->capacity : 64;
		struct list_node **grown = arena_alloc(m->arena, capacity * sizeof(*grown));

		if (t->count > 0)
			memcpy(grown, t->nodes, t->count * sizeof(*grown));
		t->nodes = grown;
		m->capacity = capacity;
	}
	t->nodes[t->count++] = n;
	g_hash_table_insert(m->by_name, &n->name, n);
}

static struct span parent_name(struct span name)
{
	for (size_t i = name.bytes; i > 0; i--)
		if (name.at[i - 1] == '/')
			return span_of(name.at, i - 1);
	return (struct span){ 0 };
}

/* The node of a name, made with all its parents if it is new. MAILBOX_LEVELS_MAX bounds the loop.
 */
static struct list_node *node_of(struct making *m, struct span name)
{
	struct list_node *first = NULL, *below = NULL;

	for (;;) {
		struct list_node *n = g_hash_table_lookup(m->by_name, &name);
		bool known = n != NULL;

		if (!known) {
			n = arena_zalloc(m->arena, sizeof(*n));
			n->name = name;
			add(m, n);
		}
		if (below != NULL)
			below->parent = n;
		if (first == NULL)
			first = n;
		name = parent_name(name);
		if (known || name.bytes == 0)
			return first;
		below = n;
	}
}

/* "/" sorts below everything, so that inferiors follow their parent directly. */
static int by_name(const void *va, const void *vb)
{
	const struct list_node *a = *(const struct list_node *const *)va;
	const struct list_node *b = *(const struct list_node *const *)vb;
	size_t n = a->name.bytes < b->name.bytes ? a->name.bytes : b->name.bytes;
	bool a_inbox = span_eq(a->name, span_str("INBOX"));
	bool b_inbox = span_eq(b->name, span_str("INBOX"));

	if (a_inbox != b_inbox)
		return a_inbox ? -1 : 1;
	for (size_t i = 0; i < n; i++) {
		int ca = a->name.at[i] == '/' ? 0 : (unsigned char)a->name.at[i];
		int cb = b->name.at[i] == '/' ? 0 : (unsigned char)b->name.at[i];

		if (ca != cb)
			return ca - cb;
	}
	return a->name.bytes < b->name.bytes ? -1 : a->name.bytes > b->name.bytes;
}

void list_tree_make(const Tm__MailboxList *list, struct arena *a, struct list_tree *ret)
{
	struct making m = { .arena = a, .tree = ret };

	*ret = (struct list_tree){ 0 };
	m.by_name = g_hash_table_new(span_hash, span_equal);
	for (size_t i = 0; i < list->n_mailboxes; i++) {
		struct list_node *n = node_of(&m, span_str(list->mailboxes[i]->row->name));

		n->mailbox = list->mailboxes[i];
		for (n = n->parent; n != NULL && !n->has_children; n = n->parent)
			n->has_children = true;
	}
	for (size_t i = 0; i < list->n_subscriptions; i++)
		node_of(&m, span_str(list->subscriptions[i]))->subscribed = true;
	g_hash_table_destroy(m.by_name);
	if (ret->count > 0)
		qsort(ret->nodes, ret->count, sizeof(ret->nodes[0]), by_name);
}
