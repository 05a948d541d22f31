/* logfmt.c: lines are put together on the stack and leave in one write, so lines of different
 * threads never mix. Level and descriptor are the process's, as stderr is: the one thing besides
 * crash points that is not handed around as an argument. */
#include "storage/base/logfmt.h"

#include "storage/base/clock.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_level_now = LOG_LEVEL_INFO;
static _Atomic int log_fd = STDERR_FILENO;

struct line {
	size_t bytes;
	char at[LOG_LINE_MAX_BYTES];
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

void log_set_level(enum log_level level)
{
	atomic_store(&log_level_now, (int)level);
}

void log_set_fd(int fd)
{
	atomic_store(&log_fd, fd);
}

bool log_level_parse(struct span text, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++)
		if (span_is(text, level_names[i])) {
			*ret = (enum log_level)i;
			return true;
		}
	return false;
}

/* One byte is always left for the newline. */
static void line_put(struct line *l, const void *at, size_t bytes)
{
	size_t room = sizeof(l->at) - 1 - l->bytes;

	if (bytes > room)
		bytes = room;
	memcpy(l->at + l->bytes, at, bytes);
	l->bytes += bytes;
}

static void line_puts(struct line *l, const char *z)
{
	line_put(l, z, strlen(z));
}

static void line_put_hex(struct line *l, struct span s)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < s.bytes && i < LOG_VALUE_MAX_BYTES; i++) {
		unsigned char c = (unsigned char)s.at[i];

		line_put(l, &digits[c >> 4], 1);
		line_put(l, &digits[c & 15], 1);
	}
}

/* How many bytes of well-formed UTF-8 beyond ASCII start here that a terminal may be shown; 0: it
 * is not such. Leaves out C1 controls, line separators and direction overrides. */
static size_t utf8_shown(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.at;
	size_t n = p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
	static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 };

	if (n == 0 || n > s.bytes || p[0] > 0xf4)
		return 0;
	uint32_t c = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	bool odd = c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ||
		   (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
		   (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
	return odd ? 0 : n;
}

static void line_put_escaped(struct line *l, struct span s)
{
	for (size_t i = 0; i < s.bytes;) {
		unsigned char c = (unsigned char)s.at[i];
		size_t shown = utf8_shown(span_of(s.at + i, s.bytes - i));

		if (c == '"' || c == '\\') {
			line_put(l, "\\", 1);
			line_put(l, &s.at[i], 1);
		} else if (c == '\n') {
			line_puts(l, "\\n");
		} else if (c == '\r') {
			line_puts(l, "\\r");
		} else if (c == '\t') {
			line_puts(l, "\\t");
		} else if (c >= 0x20 && c < 0x7f) {
			line_put(l, &s.at[i], 1);
		} else if (shown > 0) {
			line_put(l, s.at + i, shown);
			i += shown - 1;
		} else {
			line_puts(l, "\\x");
			line_put_hex(l, span_of(s.at + i, 1));
		}
		i++;
	}
}

static bool is_bare(struct span s)
{
	for (size_t i = 0; i < s.bytes; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return s.bytes > 0;
}

static void line_put_value(struct line *l, struct span s)
{
	bool cut = s.bytes > LOG_VALUE_MAX_BYTES;

	if (cut)
		s.bytes = LOG_VALUE_MAX_BYTES;
	if (!cut && is_bare(s)) {
		line_put(l, s.at, s.bytes);
		return;
	}
	line_puts(l, "\"");
	line_put_escaped(l, s);
	line_puts(l, cut ? "...\"" : "\"");
}

static void line_put_field(struct line *l, const struct log_field *f)
{
	char digits[24];

	line_puts(l, " ");
	line_puts(l, f->key);
	line_puts(l, "=");
	switch (f->kind) {
	case LOG_KIND_END: break;
	case LOG_KIND_SPAN: line_put_value(l, f->text); break;
	case LOG_KIND_HEX: line_put_hex(l, f->text); break;
	case LOG_KIND_U64:
		(void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)f->number);
		line_puts(l, digits);
		break;
	case LOG_KIND_I64:
		(void)snprintf(digits, sizeof(digits), "%lld", (long long)f->number);
		line_puts(l, digits);
		break;
	}
}

static void line_put_time(struct line *l)
{
	uint64_t us = clock_real_us();
	time_t seconds = (time_t)(us / 1000000u);
	struct tm tm;
	char text[64];

	gmtime_r(&seconds, &tm);
	size_t n = strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	line_put(l, text, n);
	(void)snprintf(text, sizeof(text), ".%06uZ", (unsigned)(us % 1000000u));
	line_puts(l, text);
}

void log_event(enum log_level level, const char *msg, const struct log_field *fields)
{
	struct line l;
	ssize_t n;

	l.bytes = 0;
	line_put_time(&l);
	line_puts(&l, " level=");
	line_puts(&l, level_names[level]);
	line_puts(&l, " msg=\"");
	line_put_escaped(&l, span_str(msg));
	line_puts(&l, "\"");
	for (; fields->kind != LOG_KIND_END; fields++)
		line_put_field(&l, fields);
	assert(l.bytes < sizeof(l.at));
	l.at[l.bytes++] = '\n';
	do
		n = write(atomic_load(&log_fd), l.at, l.bytes);
	while (n < 0 && errno == EINTR); /* any other failure: there is nowhere to say so */
}

struct log_field log_field_str(const char *key, const char *z)
{
	return (struct log_field){ LOG_KIND_SPAN, key, span_str(z == NULL ? "" : z), 0 };
}

struct log_field log_field_err(int err)
{
	return log_field_str("error", err_name(err));
}

struct log_field log_field_errno(int errnum)
{
	const char *text = strerrordesc_np(errnum);

	return log_field_str("error", text == NULL ? "unknown" : text);
}
