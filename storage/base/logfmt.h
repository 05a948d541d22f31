/* logfmt.h: the log of the process: one event, one line, one write(2) to stderr.
 *
 *	log_info("mailbox selected", LOG_SESSION(s->id), LOG_SPAN("mailbox", name),
 *		 LOG_U64("messages", n), LOG_END);
 *	ts=2025-01-31T12:00:00.123456Z level=info msg="mailbox selected" session=17 mailbox=INBOX
 *...
 *
 * The list of fields always ends with LOG_END. Values from outside may hold any bytes: what could
 * break a line or a field is escaped, and a value is cut after LOG_VALUE_MAX_BYTES. Never log a
 * password or mail content. Only main, server/ and the threads' top functions log; low floors
 * return errors. Thread: any. */
#ifndef STORAGE_BASE_LOGFMT_H
#define STORAGE_BASE_LOGFMT_H

#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_kind { LOG_KIND_END, LOG_KIND_SPAN, LOG_KIND_U64, LOG_KIND_I64, LOG_KIND_HEX };

struct log_field {
	enum log_kind kind;
	const char *key;  /* a constant: letters, digits, '_' and '.' */
	struct span text; /* SPAN, HEX */
	uint64_t number;  /* U64; I64 as its bits */
};

/* `v`: a NUL-terminated string, or NULL (written as an empty value). */
#define LOG_STR(k, v)     log_field_str((k), (v))
#define LOG_SPAN(k, v)    ((struct log_field){ LOG_KIND_SPAN, (k), (v), 0 })
#define LOG_U64(k, v)     ((struct log_field){ LOG_KIND_U64, (k), { 0 }, (v) })
#define LOG_I64(k, v)     ((struct log_field){ LOG_KIND_I64, (k), { 0 }, (uint64_t)(int64_t)(v) })
#define LOG_HEX(k, at, n) ((struct log_field){ LOG_KIND_HEX, (k), { (const char *)(at), (n) }, 0 })
#define LOG_ERR(e)        log_field_err(e)           /* error=no-space, from enum err */
#define LOG_ERRNO(e)      log_field_errno(e)         /* error="Connection reset by peer" */
#define LOG_SESSION(id)   LOG_U64("session", (id).v) /* session_id; in every client's line */
#define LOG_PARTITION(id) LOG_U64("partition", (uint64_t)(id).v)
#define LOG_END           ((struct log_field){ LOG_KIND_END, "", { 0 }, 0 })

#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

enum { LOG_FIELDS_MAX = 15 };

/* The fields are not even evaluated below the level. What is not given is LOG_END. */
#define log_at(level, msg, ...) \
	do { \
		if (log_enabled(level)) \
			log_event((level), (msg), \
				  (const struct log_field[LOG_FIELDS_MAX + 1]){ __VA_ARGS__ }); \
	} while (0)

bool log_enabled(enum log_level level);
void log_event(enum log_level level, const char *msg, const struct log_field *fields);

/* May be called at any time by any thread. Default: LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error"; false if it is none of them. */
bool log_level_parse(struct span text, enum log_level *ret);
/* Where lines go instead of stderr (tests). Before threads start. */
void log_set_fd(int fd);

struct log_field log_field_str(const char *key, const char *z);
struct log_field log_field_err(int err);
struct log_field log_field_errno(int errnum);

#endif
