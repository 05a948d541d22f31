/* LMTP's bytes: nothing a stranger sends crashes the parser, and how it is cut does not change what
 * is understood. The input is played as a session of its own: lines, and after DATA a message. */
#include "server/lmtp/lmtp_parse.h"
#include "storage/base/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct play {
	struct buf in; /* not yet taken */
	struct buf told;
	struct lmtp_data data;
	bool in_data, skipping;
	uint64_t chunk;
};

static void check_inside(struct span line, struct span part)
{
	if (part.bytes != 0 && (part.at < line.at || part.at + part.bytes > line.at + line.bytes))
		abort();
}

static void tell(struct play *p, struct span line)
{
	struct lmtp_command c;

	lmtp_parse_command(line, &c);
	check_inside(line, c.name);
	check_inside(line, c.address.whole);
	check_inside(c.address.whole, c.address.local);
	check_inside(c.address.whole, c.address.domain);
	buf_printf(&p->told, "%d %d %llu %d %d ", (int)c.verb, (int)c.fault,
		   (unsigned long long)c.size, c.last, c.utf8);
	buf_put_span(&p->told, c.address.whole);
	lmtp_put_local(&p->told, &c.address);
	buf_putc(&p->told, '\n');
	if (c.fault == LMTP_FINE && c.verb == LMTP_DATA) {
		p->data = (struct lmtp_data){ 0 };
		p->in_data = true;
	}
	if (c.fault == LMTP_FINE && c.verb == LMTP_BDAT)
		p->chunk = c.size;
}

/* How much was taken; 0: it needs more. */
static size_t take_line(struct play *p)
{
	struct span line = { 0 };
	size_t used = 0;

	if (p->skipping) {
		const char *lf = memchr(p->in.at, '\n', p->in.bytes);
		p->skipping = lf == NULL;
		return lf == NULL ? p->in.bytes : (size_t)(lf - p->in.at) + 1;
	}
	switch (lmtp_take_line(buf_span(&p->in), &line, &used)) {
	case LMTP_LINE_OK: tell(p, line); break;
	case LMTP_LINE_MORE: return 0;
	case LMTP_LINE_TOO_LONG: p->skipping = true; break;
	case LMTP_LINE_BARE_LF: buf_puts(&p->told, "bare\n"); break;
	}
	return used;
}

static size_t take(struct play *p)
{
	if (p->in.bytes == 0)
		return 0;
	if (p->in_data) {
		bool end = false;
		size_t used = lmtp_data_feed(&p->data, buf_span(&p->in), &p->told, &end);
		p->in_data = !end;
		return used;
	}
	if (p->chunk > 0) {
		size_t used = p->in.bytes < p->chunk ? p->in.bytes : (size_t)p->chunk;
		lmtp_put_text(&p->told, span_of(p->in.at, used));
		p->chunk -= used;
		return used;
	}
	return take_line(p);
}

static void feed(struct play *p, const uint8_t *at, size_t bytes)
{
	size_t used;

	buf_put(&p->in, at, bytes);
	while ((used = take(p)) > 0)
		buf_drop_front(&p->in, used);
}

static void end(struct play *p)
{
	buf_free(&p->in);
	buf_free(&p->told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct play whole = { 0 }, cut = { 0 };
	size_t at = 0;

	feed(&whole, data, bytes);
	for (size_t step = 1; at < bytes; at += step, step = 1 + data[at - 1] % 7) {
		if (step > bytes - at)
			step = bytes - at;
		feed(&cut, data + at, step);
	}
	if (!span_eq(buf_span(&whole.told), buf_span(&cut.told)) ||
	    !span_eq(buf_span(&whole.in), buf_span(&cut.in)))
		abort();
	end(&whole);
	end(&cut);
	return 0;
}
