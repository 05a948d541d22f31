#include "replication/upload_table.h"

#include "storage/base/ids.h"
#include "storage/base/limits.h"

#include <glib.h>
#include <string.h>

enum { CHUNKS_MAX = MESSAGE_MAX_BYTES / MESSAGE_CHUNK_BYTES, WORD_BITS = 64 };

struct chunk_bits {
	uint64_t words[(CHUNKS_MAX + WORD_BITS - 1) / WORD_BITS];
	uint32_t count;
};

struct open_upload {
	guid guid; /* first: the key */
	struct chunk_bits body, shape;
	int64_t when;
};

struct upload_table {
	GHashTable *by_guid;
};

static guint guid_hash(gconstpointer key)
{
	guint h;

	memcpy(&h, key, sizeof(h));
	return h;
}

static gboolean guid_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, sizeof(guid)) == 0;
}

struct upload_table *upload_table_new(void)
{
	struct upload_table *t = g_new0(struct upload_table, 1);

	t->by_guid = g_hash_table_new_full(guid_hash, guid_equal, NULL, g_free);
	return t;
}

void upload_table_free(struct upload_table **t)
{
	if (*t == NULL)
		return;
	g_hash_table_destroy((*t)->by_guid);
	g_free(*t);
	*t = NULL;
}

void upload_table_stored(struct upload_table *t, const Tm__ChunkStored *c)
{
	if (c->guid.len != sizeof(guid) || c->n >= CHUNKS_MAX)
		return;
	struct open_upload *u = g_hash_table_lookup(t->by_guid, c->guid.data);
	if (u == NULL) {
		u = g_new0(struct open_upload, 1);
		memcpy(u->guid.b, c->guid.data, sizeof(guid));
		g_hash_table_insert(t->by_guid, &u->guid, u);
	}
	struct chunk_bits *bits = c->shape ? &u->shape : &u->body;
	uint64_t bit = UINT64_C(1) << (c->n % WORD_BITS);

	if ((bits->words[c->n / WORD_BITS] & bit) == 0)
		bits->count++;
	bits->words[c->n / WORD_BITS] |= bit;
	u->when = c->when;
}

bool upload_table_complete(const struct upload_table *t, const Tm__AppendMessage *m)
{
	if (m->chunks == 0 && m->shape_chunks == 0)
		return true;
	const struct open_upload *u = g_hash_table_lookup(t->by_guid, m->guid.data);

	/* Numbers run from 0 without a gap, so counting is enough. */
	return u != NULL && u->body.count == m->chunks && u->shape.count == m->shape_chunks;
}

bool upload_table_has(const struct upload_table *t, guid g)
{
	return g_hash_table_contains(t->by_guid, &g);
}

void upload_table_forget(struct upload_table *t, ProtobufCBinaryData g)
{
	if (g.len == sizeof(guid))
		g_hash_table_remove(t->by_guid, g.data);
}

void upload_table_done(struct upload_table *t, const Tm__MessagesAdded *r)
{
	for (size_t i = 0; i < r->n_messages; i++)
		if (r->messages[i]->row->chunks > 0 || r->messages[i]->row->shape_chunks > 0)
			g_hash_table_remove(t->by_guid, r->messages[i]->row->guid.data);
}

static gboolean is_old(gpointer key, gpointer value, gpointer data)
{
	(void)key;
	return ((const struct open_upload *)value)->when < *(const int64_t *)data;
}

void upload_table_age(struct upload_table *t, int64_t when)
{
	g_hash_table_foreach_remove(t->by_guid, is_old, &when);
}
