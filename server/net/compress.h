/* compress.h: raw deflate in both directions (RFC 4978), over memory. One owner, no locks. */
#ifndef SERVER_NET_COMPRESS_H
#define SERVER_NET_COMPRESS_H

#include "storage/base/buf.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct compress;

struct compress *compress_new(void); /* never NULL */
void compress_free(struct compress **z);

enum compress_step {
	COMPRESS_OK,   /* *ret bytes; ask again */
	COMPRESS_MORE, /* needs more input */
	COMPRESS_END,  /* the peer ended its stream */
	COMPRESS_BAD,  /* not deflate */
};

/* The peer's bytes. They must stay until used up (compress_left) or another span is given. */
void compress_feed(struct compress *z, struct span deflated);
struct span compress_left(const struct compress *z);
/* Inflate at most `bytes`: a few bytes of input can be a thousand times as many of output. */
enum compress_step compress_read(struct compress *z, void *at, size_t bytes, size_t *ret);
/* compress_read() may give something without new input. */
bool compress_pending(const struct compress *z);

/* The peer ended its stream: what else it sends means nothing. */
bool compress_has_ended(const struct compress *z);

/* Deflate all of `plain` to `out`. `last`: the peer shall be able to read up to here. */
void compress_write(struct compress *z, struct span plain, bool last, struct buf *out);
/* Give the compressor's memory back, after a `last`: the next write begins without history, which
 * the peer does not notice. */
void compress_rest(struct compress *z);

#endif
