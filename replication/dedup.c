#include "replication/dedup.h"

#include <glib.h>
#include <stdlib.h>

enum { DEDUP_RESULT_INLINE_BYTES = 48 };

struct dedup_row {
	client_id client; /* first: the key */
	uint64_t number;
	int64_t when;
	uint32_t result_bytes;
	bool withdrawn;
	char inline_result[DEDUP_RESULT_INLINE_BYTES];
	char *result; /* inline_result or of its own */
};

struct dedup {
	GHashTable *rows; /* client id -> struct dedup_row */
};

static guint client_hash(gconstpointer key)
{
	guint h;

	memcpy(&h, key, sizeof(h)); /* the bits are random */
	return h;
}

static gboolean client_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, sizeof(client_id)) == 0;
}

static void row_drop_result(struct dedup_row *row)
{
	if (row->result != row->inline_result)
		free(row->result);
	row->result = row->inline_result;
	row->result_bytes = 0;
}

static void row_free(gpointer data)
{
	struct dedup_row *row = data;

	row_drop_result(row);
	free(row);
}

struct dedup *dedup_new(void)
{
	struct dedup *d = g_new0(struct dedup, 1);

	d->rows = g_hash_table_new_full(client_hash, client_equal, NULL, row_free);
	return d;
}

void dedup_free(struct dedup **d)
{
	if (*d == NULL)
		return;
	g_hash_table_destroy((*d)->rows);
	g_free(*d);
	*d = NULL;
}

enum dedup_answer dedup_look(const struct dedup *d, client_id c, uint64_t number,
			     struct span *result)
{
	const struct dedup_row *row = g_hash_table_lookup(d->rows, &c);

	if (row == NULL)
		return DEDUP_UNKNOWN;
	if (number > row->number)
		return DEDUP_NEWER;
	if (number < row->number)
		return DEDUP_OLDER;
	if (row->withdrawn)
		return DEDUP_WITHDRAWN;
	*result = span_of(row->result, row->result_bytes);
	return DEDUP_SAME;
}

static struct dedup_row *row_for(struct dedup *d, client_id c)
{
	struct dedup_row *row = g_hash_table_lookup(d->rows, &c);

	if (row != NULL)
		return row;
	row = calloc(1, sizeof(*row));
	if (row == NULL)
		abort();
	row->client = c;
	row->result = row->inline_result;
	g_hash_table_insert(d->rows, &row->client, row);
	return row;
}

void dedup_put(struct dedup *d, client_id c, uint64_t number, struct span result, bool withdrawn,
	       int64_t when)
{
	struct dedup_row *row = row_for(d, c);

	if (number < row->number)
		return;
	row->number = number;
	row->when = when;
	row->withdrawn = withdrawn;
	row_drop_result(row);
	if (result.bytes > sizeof(row->inline_result)) {
		row->result = malloc(result.bytes);
		if (row->result == NULL)
			abort();
	}
	if (result.bytes > 0)
		memcpy(row->result, result.at, result.bytes);
	row->result_bytes = (uint32_t)result.bytes;
}

void dedup_put_none(struct dedup *d, client_id c, int64_t when)
{
	struct dedup_row *row = row_for(d, c);

	row->when = when;
}

static gboolean row_is_old(gpointer key, gpointer value, gpointer data)
{
	const struct dedup_row *row = value;
	const int64_t *when = data;

	(void)key;
	return row->when < *when;
}

void dedup_age(struct dedup *d, int64_t when)
{
	g_hash_table_foreach_remove(d->rows, row_is_old, &when);
}

size_t dedup_count(const struct dedup *d)
{
	return g_hash_table_size(d->rows);
}
