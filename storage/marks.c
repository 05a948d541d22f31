/* marks.c: two slots per partition, written in turns, each with a counter and a checksum.
 *
 * Format 1, big-endian. Header, 4096 bytes: magic (8) | format (4) | partitions (4) | zeros.
 * Slot, 64 bytes: counter (8) | version (8) | seq (8) | partition (2) | zeros | XXH64 of what is
 * before it (8). A slot never crosses a sector. */
#include "storage/marks.h"

#include "storage/base/crash_point.h"
#include "storage/base/err.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

enum { MARKS_FORMAT = 1, HEADER_BYTES = 4096, SLOT_BYTES = 64, SUM_AT = SLOT_BYTES - 8 };
static_assert(512 % SLOT_BYTES == 0 && HEADER_BYTES % 512 == 0, "a slot is within a sector");
static const uint8_t marks_magic[8] = "TMMARKS";

struct mark {
	uint64_t counter; /* of the newest slot; 0: none was ever written */
	struct log_pos pos;
	bool damaged; /* there is something, but nothing valid */
};

struct marks {
	struct marks_file file;
	unsigned partitions;
	struct mark *marks;
};

static uint64_t slot_offset(unsigned partition, uint64_t counter)
{
	return HEADER_BYTES + ((uint64_t)partition * 2 + counter % 2) * SLOT_BYTES;
}

static void slot_put(uint8_t out[static SLOT_BYTES], unsigned partition, const struct mark *m)
{
	memset(out, 0, SLOT_BYTES);
	be64_put(out, m->counter);
	be64_put(out + 8, m->pos.version);
	be64_put(out + 16, m->pos.seq.v);
	be16_put(out + 24, (uint16_t)partition);
	be64_put(out + SUM_AT, XXH64(out, SUM_AT, 0));
}

static bool slot_get(const uint8_t in[static SLOT_BYTES], unsigned partition, struct mark *ret)
{
	if (be64_get(in + SUM_AT) != XXH64(in, SUM_AT, 0) || be16_get(in + 24) != partition)
		return false;
	ret->counter = be64_get(in);
	ret->pos.version = be64_get(in + 8);
	ret->pos.seq.v = be64_get(in + 16);
	return ret->counter > 0;
}

static bool slot_is_empty(const uint8_t in[static SLOT_BYTES])
{
	static const uint8_t zeros[SLOT_BYTES];

	return memcmp(in, zeros, SLOT_BYTES) == 0;
}

static void slot_load(const uint8_t in[static SLOT_BYTES], unsigned partition, struct mark *to)
{
	struct mark one = { 0 };

	if (slot_get(in, partition, &one)) {
		if (one.counter > to->counter)
			*to = one;
	} else if (to->counter == 0 && !slot_is_empty(in)) {
		to->damaged = true;
	}
}

static int marks_load(struct marks *m)
{
	size_t bytes = (size_t)m->partitions * 2 * SLOT_BYTES;
	uint8_t *slots = malloc(bytes);

	if (slots == NULL)
		abort();
	int rc = m->file.read(m->file.data, HEADER_BYTES, slots, bytes);
	for (unsigned i = 0; rc == OK && i < 2 * m->partitions; i++)
		slot_load(slots + (size_t)i * SLOT_BYTES, i / 2, &m->marks[i / 2]);
	free(slots);
	return rc;
}

/* A new file gets its header and its size; an old one must be ours. */
static int marks_header(struct marks *m)
{
	uint8_t header[HEADER_BYTES];
	static const uint8_t zeros[HEADER_BYTES];
	uint64_t end = slot_offset(m->partitions, 0);
	int rc = m->file.read(m->file.data, 0, header, sizeof(header));

	if (rc < 0)
		return rc;
	if (memcmp(header, marks_magic, 8) == 0)
		return be32_get(header + 8) == MARKS_FORMAT &&
				       be32_get(header + 12) == m->partitions
			       ? OK
			       : ERR_CORRUPT;
	if (memcmp(header, zeros, sizeof(header)) != 0)
		return ERR_CORRUPT;
	for (uint64_t at = HEADER_BYTES; rc == OK && at < end; at += HEADER_BYTES)
		rc = m->file.write(m->file.data, at, zeros,
				   end - at < HEADER_BYTES ? (size_t)(end - at) : HEADER_BYTES);
	memcpy(header, marks_magic, 8);
	be32_put(header + 8, MARKS_FORMAT);
	be32_put(header + 12, m->partitions);
	if (rc == OK)
		rc = m->file.sync(m->file.data);
	if (rc == OK)
		rc = m->file.write(m->file.data, 0, header, sizeof(header));
	return rc < 0 ? rc : m->file.sync(m->file.data);
}

int marks_open_file(struct marks_file file, unsigned partitions, struct marks **ret)
{
	struct marks *m = calloc(1, sizeof(*m));

	if (m == NULL || (m->marks = calloc(partitions, sizeof(m->marks[0]))) == NULL)
		abort();
	m->file = file;
	m->partitions = partitions;
	int rc = marks_header(m);
	if (rc == OK)
		rc = marks_load(m);
	if (rc == OK)
		*ret = m;
	else
		marks_close(&m);
	return rc;
}

void marks_close(struct marks **m)
{
	if (*m == NULL)
		return;
	(*m)->file.close((*m)->file.data);
	free((*m)->marks);
	free(*m);
	*m = NULL;
}

struct log_pos marks_get(const struct marks *m, partition_id p)
{
	assert(p.v < m->partitions);
	return m->marks[p.v].pos;
}

bool marks_damaged(const struct marks *m, partition_id p)
{
	assert(p.v < m->partitions);
	return m->marks[p.v].damaged;
}

int marks_set(struct marks *m, partition_id p, struct log_pos pos)
{
	uint8_t slot[SLOT_BYTES];

	assert(p.v < m->partitions);
	struct mark next = { .counter = m->marks[p.v].counter + 1, .pos = pos };
	slot_put(slot, p.v, &next);
	int rc = FAULT_POINT("marks.write");
	if (rc == OK)
		rc = m->file.write(m->file.data, slot_offset(p.v, next.counter), slot,
				   sizeof(slot));
	if (rc == OK)
		m->marks[p.v] = next;
	return rc;
}

int marks_sync(struct marks *m)
{
	int rc = FAULT_POINT("marks.sync");

	return rc < 0 ? rc : m->file.sync(m->file.data);
}

/* ---- the real file ---- */

static int fd_of(void *data)
{
	return *(int *)data;
}

static int errno_err(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
}

static int fd_read(void *data, uint64_t offset, void *at, size_t bytes)
{
	uint8_t *to = at;

	while (bytes > 0) {
		ssize_t n = pread(fd_of(data), to, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno_err();
		if (n == 0) {
			memset(to, 0, bytes);
			return OK;
		}
		to += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return OK;
}

static int fd_write(void *data, uint64_t offset, const void *at, size_t bytes)
{
	const uint8_t *from = at;

	while (bytes > 0) {
		ssize_t n = pwrite(fd_of(data), from, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno_err();
		from += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return OK;
}

static int fd_sync(void *data)
{
	return fdatasync(fd_of(data)) < 0 ? errno_err() : OK;
}

static void fd_close(void *data)
{
	close(fd_of(data));
	free(data);
}

int marks_open(const char *path, unsigned partitions, struct marks **ret)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno_err();
	int *data = malloc(sizeof(*data));
	if (data == NULL)
		abort();
	*data = fd;
	return marks_open_file((struct marks_file){ fd_read, fd_write, fd_sync, fd_close, data },
			       partitions, ret);
}
