/* compress.c: zlib. The inflater must keep the 32 KiB window that the client may refer to. The
 * deflater is ours to choose: a small window, and it is thrown away while a connection is idle,
 * which works because every turn's output ends on a byte boundary (Z_SYNC_FLUSH) and a new raw
 * stream may begin there. */
#include "server/net/compress.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
	DEFLATE_LEVEL = 3,
	DEFLATE_WINDOW_BITS = 13, /* 32 KiB */
	DEFLATE_MEMORY_LEVEL = 6, /* 32 KiB */
	DEFLATE_ROOM_BYTES = 4096,
};

struct compress {
	z_stream in;
	z_stream out;
	struct span left;
	bool in_more; /* the last read filled its buffer: more may come without input */
	bool in_ended;
	bool out_live; /* `out` is initialised */
};

struct compress *compress_new(void)
{
	struct compress *z = calloc(1, sizeof(*z));

	if (z == NULL || inflateInit2(&z->in, -MAX_WBITS) != Z_OK)
		abort();
	return z;
}

void compress_free(struct compress **z)
{
	if (*z == NULL)
		return;
	compress_rest(*z);
	inflateEnd(&(*z)->in);
	free(*z);
	*z = NULL;
}

void compress_feed(struct compress *z, struct span deflated)
{
	z->left = deflated;
}

struct span compress_left(const struct compress *z)
{
	return z->left;
}

bool compress_pending(const struct compress *z)
{
	return !z->in_ended && (z->left.bytes > 0 || z->in_more);
}

bool compress_has_ended(const struct compress *z)
{
	return z->in_ended;
}

enum compress_step compress_read(struct compress *z, void *at, size_t bytes, size_t *ret)
{
	assert(bytes > 0 && bytes <= UINT_MAX && z->left.bytes <= UINT_MAX);
	if (z->in_ended)
		return COMPRESS_END;
	/* zlib promises not to write through next_in, it only lacks the const. */
	z->in.next_in = (Bytef *)(uintptr_t)z->left.at;
	z->in.avail_in = (uInt)z->left.bytes;
	z->in.next_out = at;
	z->in.avail_out = (uInt)bytes;
	int rc = inflate(&z->in, Z_SYNC_FLUSH);
	z->left = span_of(z->in.next_in, z->in.avail_in);
	size_t got = bytes - z->in.avail_out;
	z->in_more = z->in.avail_out == 0;
	if (rc == Z_STREAM_END)
		z->in_ended = true;
	else if (rc != Z_OK && rc != Z_BUF_ERROR)
		return COMPRESS_BAD;
	if (got == 0)
		return z->in_ended ? COMPRESS_END : COMPRESS_MORE;
	*ret = got;
	return COMPRESS_OK;
}

void compress_write(struct compress *z, struct span plain, bool last, struct buf *out)
{
	int rc;

	assert(plain.bytes <= UINT_MAX);
	if (!z->out_live) {
		rc = deflateInit2(&z->out, DEFLATE_LEVEL, Z_DEFLATED, -DEFLATE_WINDOW_BITS,
				  DEFLATE_MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
		if (rc != Z_OK)
			abort();
		z->out_live = true;
	}
	z->out.next_in = (Bytef *)(uintptr_t)plain.at;
	z->out.avail_in = (uInt)plain.bytes;
	do {
		buf_reserve(out, DEFLATE_ROOM_BYTES);
		size_t room = out->capacity - out->bytes;
		if (room > UINT_MAX)
			room = UINT_MAX;
		z->out.next_out = (Bytef *)out->at + out->bytes;
		z->out.avail_out = (uInt)room;
		rc = deflate(&z->out, last ? Z_SYNC_FLUSH : Z_NO_FLUSH);
		assert(rc == Z_OK || rc == Z_BUF_ERROR);
		out->bytes += room - z->out.avail_out;
	} while (z->out.avail_out == 0);
	assert(z->out.avail_in == 0);
}

void compress_rest(struct compress *z)
{
	if (!z->out_live)
		return;
	deflateEnd(&z->out);
	z->out = (z_stream){ 0 };
	z->out_live = false;
}
