/* option.h: the one table of options: what config.c reads, what the example prints, what a reload
 * compares. Private to server/config. */
#ifndef SERVER_CONFIG_OPTION_H
#define SERVER_CONFIG_OPTION_H

#include "server/config/config.h"
#include "storage/base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_STRING,       /* const char * */
	OPTION_BOOL,         /* bool */
	OPTION_NUMBER,       /* uint64_t */
	OPTION_SIZE,         /* uint64_t, bytes; 64M */
	OPTION_DURATION,     /* uint64_t, ms; 30s */
	OPTION_CHOICE,       /* uint64_t, the position in choices */
	OPTION_SET,          /* uint64_t, a bit per position in choices */
	OPTION_LISTENS,      /* struct config_listens, at most max */
	OPTION_CERTIFICATES, /* tls.certificates and its count */
};

struct option {
	const char *path; /* "auth.iterations" */
	enum option_type type;
	size_t offset; /* in struct config */
	uint64_t min, max;
	const char *const *choices; /* NULL-terminated */
	const char *preset;         /* the default, as one would write it; NULL: none */
	const char *example;        /* what the example says, if there is no default */
	bool required;
	bool reloadable;
	const char *doc; /* sentences */
};

extern const struct option options[];
extern const size_t option_count;

/* The option of exactly this path; NULL if there is none. */
const struct option *option_find(const char *path);
/* Is it the beginning of options' paths ("auth")? */
bool option_is_group(const char *path);
/* Append the keys that may stand below `group` ("" for the top), separated by ", ". */
void option_put_keys(const char *group, struct buf *out);

/* ---- values (option_value.c) ---- */

/* Take one scalar. `plain`: it was written without quotes. For SET, LISTENS the value is added to
 * what is there. ERR_BAD_INPUT: `why` says what is wrong with it. */
int option_take(const struct option *o, struct span text, bool plain, struct config *c,
		struct buf *why);
/* "a number from 1 to 64" */
void option_put_allowed(const struct option *o, struct buf *out);
/* The value as one would write it on one line. */
void option_put_value(const struct option *o, const struct config *c, struct buf *out);

static inline void *option_at(const struct option *o, struct config *c)
{
	return (char *)c + o->offset;
}

static inline const void *option_at_const(const struct option *o, const struct config *c)
{
	return (const char *)c + o->offset;
}

#endif
