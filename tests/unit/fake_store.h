/* fake_store.h: the four questions that readers ask of storage/store.h, answered from memory, so
 * that a test says what is there and which call fails. Include it in one .c file of a program that
 * does not open a real store. */
#ifndef TESTS_UNIT_FAKE_STORE_H
#define TESTS_UNIT_FAKE_STORE_H

#include "server/mail/mime_scan.h"
#include "storage/base/err.h"
#include "storage/pages.h"
#include "storage/store.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_MESSAGES_MAX = 2000 };

struct fake_message {
	struct message_info info;
	struct buf body;
	struct buf shape;
	bool gone;     /* expunged: no row */
	bool no_shape; /* collected between row and shape */
};

struct store {
	struct fake_message at[FAKE_MESSAGES_MAX + 1]; /* by uid */
	uint32_t calls;
	uint32_t fail_at; /* the n-th call fails with ERR_IO; 0: none */
	uint32_t rows_read, bodies_read;
};

static inline struct store *fake_store_new(void)
{
	return calloc(1, sizeof(struct store));
}

static inline void fake_store_free(struct store *s)
{
	for (uint32_t i = 0; i <= FAKE_MESSAGES_MAX; i++) {
		buf_free(&s->at[i].body);
		buf_free(&s->at[i].shape);
	}
	free(s);
}

/* A message with these bytes, also in the pages (no flags, modseq = uid + 1). Its guid is its
 * uid. */
static inline struct fake_message *fake_add(struct store *s, struct mailbox_pages *p, uint32_t uid,
					    struct span bytes)
{
	struct fake_message *m = &s->at[uid];
	struct arena a;

	arena_init(&a);
	buf_put_span(&m->body, bytes);
	shape_encode(mime_scan_whole(&a, bytes), &m->shape);
	arena_free(&a);
	memcpy(m->info.guid.b, &uid, sizeof(uid));
	m->info.size = bytes.bytes;
	m->info.thread = 0xabc0000000000000u + uid;
	ck_assert_int_eq(pages_append(p, uid, 0, uid + 1, (uint32_t)bytes.bytes), OK);
	p->counters.uidnext = uid + 1;
	p->counters.exists++;
	return m;
}

static inline bool fake_fails(struct store *s)
{
	return ++s->calls == s->fail_at;
}

static inline struct fake_message *fake_of(struct store *s, guid g)
{
	uint32_t uid;

	memcpy(&uid, g.b, sizeof(uid));
	return &s->at[uid];
}

int store_messages(struct store *s, partition_id p, mailbox_id m, const msg_uid *uids, size_t count,
		   int (*fn)(void *data, msg_uid uid, const struct message_info *info), void *data)
{
	(void)p;
	(void)m;
	if (fake_fails(s))
		return ERR_IO;
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			ck_assert_uint_lt(uids[i - 1].v, uids[i].v);
		s->rows_read++;
		if (s->at[uids[i].v].gone)
			continue;
		int rc = fn(data, uids[i], &s->at[uids[i].v].info);
		if (rc != OK)
			return rc;
	}
	return OK;
}

int store_body(struct store *s, partition_id p, guid g, uint64_t offset, size_t length,
	       struct buf *out)
{
	struct fake_message *m = fake_of(s, g);

	(void)p;
	if (fake_fails(s))
		return ERR_IO;
	s->bodies_read++;
	ck_assert_uint_le(offset + length, m->body.bytes);
	buf_put(out, m->body.at + offset, length);
	return OK;
}

int store_shape(struct store *s, partition_id p, const struct message_info *info, struct buf *out)
{
	struct fake_message *m = fake_of(s, info->guid);

	(void)p;
	if (fake_fails(s))
		return ERR_IO;
	if (m->no_shape)
		return ERR_NOT_FOUND;
	buf_put_span(out, buf_span(&m->shape));
	return OK;
}

#endif
