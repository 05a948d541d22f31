#include "replication/watch.h"

#include <glib.h>

struct watch {
	mailbox_id id;  /* first: the key */
	GArray *fronts; /* struct watching_front */
	modseq newest;
	bool gone;
	bool queued;
	struct watch *next_queued;
};

struct watching_front {
	unsigned front;
	unsigned count;
};

struct watches {
	GHashTable *by_mailbox;
	struct watch *queued;
};

static void watch_free(gpointer data)
{
	struct watch *w = data;

	g_array_free(w->fronts, TRUE);
	g_free(w);
}

struct watches *watches_new(void)
{
	struct watches *w = g_new0(struct watches, 1);

	w->by_mailbox = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, watch_free);
	return w;
}

void watches_free(struct watches **w)
{
	if (*w == NULL)
		return;
	g_hash_table_destroy((*w)->by_mailbox);
	g_free(*w);
	*w = NULL;
}

static struct watching_front *find_front(struct watch *w, unsigned front, guint *index)
{
	for (guint i = 0; i < w->fronts->len; i++) {
		struct watching_front *f = &g_array_index(w->fronts, struct watching_front, i);

		if (f->front == front) {
			*index = i;
			return f;
		}
	}
	return NULL;
}

void watch_add(struct watches *ws, mailbox_id m, unsigned front)
{
	struct watch *w = g_hash_table_lookup(ws->by_mailbox, &m.v);
	guint index;

	if (w == NULL) {
		w = g_new0(struct watch, 1);
		w->id = m;
		w->fronts = g_array_new(FALSE, FALSE, sizeof(struct watching_front));
		g_hash_table_insert(ws->by_mailbox, &w->id.v, w);
	}
	struct watching_front *f = find_front(w, front, &index);
	if (f != NULL) {
		f->count++;
		return;
	}
	struct watching_front new = { front, 1 };
	g_array_append_val(w->fronts, new);
}

void watch_remove(struct watches *ws, mailbox_id m, unsigned front)
{
	struct watch *w = g_hash_table_lookup(ws->by_mailbox, &m.v);
	guint index;
	struct watching_front *f = w == NULL ? NULL : find_front(w, front, &index);

	if (f == NULL || --f->count > 0)
		return;
	g_array_remove_index_fast(w->fronts, index);
	/* One that is queued is freed by watch_tell(). */
	if (w->fronts->len == 0 && !w->queued)
		g_hash_table_remove(ws->by_mailbox, &m.v);
}

void watch_changed(struct watches *ws, mailbox_id m, modseq newest)
{
	struct watch *w = g_hash_table_lookup(ws->by_mailbox, &m.v);

	if (w == NULL)
		return;
	w->newest = newest;
	w->gone = w->gone || newest.v == 0;
	if (w->queued)
		return;
	w->queued = true;
	w->next_queued = ws->queued;
	ws->queued = w;
}

bool watch_pending(const struct watches *ws)
{
	return ws->queued != NULL;
}

void watch_tell(struct watches *ws,
		void (*fn)(void *data, unsigned front, mailbox_id m, modseq newest), void *data)
{
	while (ws->queued != NULL) {
		struct watch *w = ws->queued;
		modseq newest = w->gone ? (modseq){ 0 } : w->newest;

		ws->queued = w->next_queued;
		for (guint i = w->fronts->len; i > 0; i--)
			fn(data, g_array_index(w->fronts, struct watching_front, i - 1).front,
			   w->id, newest);
		w->queued = false;
		if (w->fronts->len == 0)
			g_hash_table_remove(ws->by_mailbox, &w->id.v);
	}
}
