/* config.c: libyaml's events against the table of options.
 *
 * One reader goes over the events once, holding the path of keys it is below. It reads the example
 * first, so that every option has the default that the example shows, and then the file.
 *
 *   C1  a mistake costs one line and skips the value it is in; reading goes on, so that many
 *       mistakes are told at once. What libyaml can not parse ends it. */
#include "server/config/config.h"

#include "server/config/option.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <yaml.h>

enum { PATH_MAX_BYTES = 128, OPTIONS_MAX = 64, GROUPS_MAX = 16, SKIP_NESTING_MAX_LEVELS = 1000 };

struct reader {
	yaml_parser_t yaml;
	yaml_event_t event; /* the one looked at */
	bool has_event;
	bool broken; /* libyaml gave up: no more events */

	const char *name; /* the file */
	struct span text;
	struct config *c;
	struct buf *errors;
	size_t error_count;
	yaml_mark_t seen[OPTIONS_MAX]; /* where each option was set; line UINT_MAX: not yet */
	struct {
		char path[PATH_MAX_BYTES];
		size_t line;
	} groups[GROUPS_MAX];
	size_t group_count;
};

/* ---- mistakes ---- */

static void begin_error(struct reader *r, yaml_mark_t at)
{
	buf_printf(r->errors, "%s:%zu:%zu: ", r->name, at.line + 1, at.column + 1);
	r->error_count++;
}

static bool may_tell(const struct reader *r)
{
	return r->error_count < CONFIG_ERRORS_MAX;
}

/* What comes from a file may hold anything; a message is one line. */
static void clean(struct buf *errors, size_t from)
{
	for (size_t i = from; i < errors->bytes; i++) {
		unsigned char c = (unsigned char)errors->at[i];
		if (c < 0x20 || c == 0x7f)
			errors->at[i] = '?';
	}
}

static void tell(struct reader *r, yaml_mark_t at, const char *path, const char *what)
{
	if (!may_tell(r))
		return;
	size_t from = r->errors->bytes;
	begin_error(r, at);
	if (path[0] != '\0')
		buf_printf(r->errors, "%s: ", path);
	buf_puts(r->errors, what);
	clean(r->errors, from);
	buf_putc(r->errors, '\n');
}

static void tell_option(struct reader *r, yaml_mark_t at, const struct option *o, const char *what)
{
	struct buf line = { 0 };

	buf_printf(&line, "%s; allowed: ", what);
	option_put_allowed(o, &line);
	buf_putc(&line, '\0');
	tell(r, at, o->path, line.at);
	buf_free(&line);
}

static void tell_unknown(struct reader *r, yaml_mark_t at, const char *group, const char *path)
{
	struct buf line = { 0 };

	buf_puts(&line, "there is no such key; allowed: ");
	option_put_keys(group, &line);
	buf_putc(&line, '\0');
	tell(r, at, path, line.at);
	buf_free(&line);
}

/* libyaml names a place by line and column, or (bytes that are not UTF-8) by offset only. */
static void tell_syntax(struct reader *r)
{
	yaml_mark_t at = r->yaml.problem_mark;

	if (r->yaml.error == YAML_READER_ERROR) {
		size_t end = r->yaml.problem_offset < r->text.bytes ? r->yaml.problem_offset
								    : r->text.bytes;
		at = (yaml_mark_t){ 0 };
		for (size_t i = 0; i < end; i++) {
			at.column++;
			if (r->text.at[i] == '\n')
				at = (yaml_mark_t){ .line = at.line + 1 };
		}
	}
	struct buf line = { 0 };
	buf_printf(
		&line, "not YAML: %s%s%s", r->yaml.problem == NULL ? "too deep" : r->yaml.problem,
		r->yaml.context == NULL ? "" : " ", r->yaml.context == NULL ? "" : r->yaml.context);
	if (r->yaml.context != NULL && strstr(r->yaml.context, "alias") != NULL)
		buf_puts(&line, "; a value with * stands in quotes");
	buf_putc(&line, '\0');
	tell(r, at, "", line.at);
	buf_free(&line);
}

/* ---- events ---- */

/* Look at the next event; false if there is none any more. */
static bool peek(struct reader *r)
{
	if (r->has_event)
		return true;
	if (r->broken)
		return false;
	if (yaml_parser_parse(&r->yaml, &r->event) == 0) {
		r->broken = true;
		tell_syntax(r);
		return false;
	}
	r->has_event = true;
	return true;
}

static void drop(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = false;
}

static bool is(struct reader *r, yaml_event_type_t type)
{
	return peek(r) && r->event.type == type;
}

static yaml_mark_t mark(const struct reader *r)
{
	return r->event.start_mark;
}

/* Go over one node, whatever it is. */
static void skip(struct reader *r)
{
	size_t depth = 0;

	do {
		if (!peek(r))
			return;
		yaml_event_type_t t = r->event.type;
		if (t == YAML_MAPPING_START_EVENT || t == YAML_SEQUENCE_START_EVENT)
			depth++;
		if (t == YAML_MAPPING_END_EVENT || t == YAML_SEQUENCE_END_EVENT)
			depth--;
		drop(r);
	} while (depth > 0);
}

static struct span scalar(const struct reader *r)
{
	return span_of(r->event.data.scalar.value, r->event.data.scalar.length);
}

static bool is_plain(const struct reader *r)
{
	return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(struct reader *r)
{
	if (!is(r, YAML_SCALAR_EVENT) || !is_plain(r))
		return false;
	struct span s = scalar(r);
	return s.bytes == 0 || span_is(s, "~") || span_is(s, "null");
}

/* An alias can only be a star that should have been in quotes; tags change no meaning here. */
static bool is_odd(struct reader *r, const char *path)
{
	if (is(r, YAML_ALIAS_EVENT)) {
		tell(r, mark(r), path,
		     "aliases are not used here; a value with * stands in quotes");
		drop(r);
		return true;
	}
	return false;
}

/* ---- values ---- */

static void take(struct reader *r, const struct option *o)
{
	struct buf why = { 0 };

	if (option_take(o, scalar(r), is_plain(r), r->c, &why) < 0) {
		buf_putc(&why, '\0');
		tell_option(r, mark(r), o, why.at);
	}
	buf_free(&why);
	drop(r);
}

static void take_certificate_field(struct reader *r, const struct option *o, const char **to)
{
	if (is(r, YAML_SCALAR_EVENT) && scalar(r).bytes != 0 && !is_null(r)) {
		*to = arena_strdup(&r->c->arena, scalar(r));
	} else if (peek(r)) {
		tell_option(r, mark(r), o, "is not the name of a file");
	}
	skip(r);
}

/* {certificate: FILE, key: FILE} */
static void take_certificate(struct reader *r, const struct option *o)
{
	struct config_certificate one = { 0 };
	yaml_mark_t at = mark(r);
	size_t before = r->error_count;

	drop(r);
	while (is(r, YAML_SCALAR_EVENT)) {
		bool cert = span_eq(scalar(r), span_str("certificate"));
		const char **to = cert ? &one.certificate : &one.key;
		if (!cert && !span_eq(scalar(r), span_str("key")))
			tell_option(r, mark(r), o, "has another key than these");
		else if (*to != NULL)
			tell_option(r, mark(r), o, "says it twice");
		drop(r);
		take_certificate_field(r, o, to);
	}
	if (is(r, YAML_MAPPING_END_EVENT))
		drop(r);
	if (one.certificate == NULL || one.key == NULL) {
		if (before == r->error_count && !r->broken)
			tell_option(r, at, o, "lacks the certificate or the key");
		return;
	}
	if (r->c->tls.certificate_count >= o->max) {
		tell_option(r, at, o, "is one too many");
		return;
	}
	r->c->tls.certificates[r->c->tls.certificate_count++] = one;
}

static void take_certificates(struct reader *r, const struct option *o)
{
	bool list = is(r, YAML_SEQUENCE_START_EVENT);

	r->c->tls.certificates =
		arena_alloc(&r->c->arena, o->max * sizeof(*r->c->tls.certificates));
	r->c->tls.certificate_count = 0;
	if (list)
		drop(r);
	while (peek(r) && !(list && r->event.type == YAML_SEQUENCE_END_EVENT)) {
		if (r->event.type == YAML_MAPPING_START_EVENT) {
			take_certificate(r, o);
		} else {
			tell_option(r, mark(r), o, "is not a list of certificates");
			skip(r);
		}
		if (!list)
			return;
	}
	drop(r);
}

/* A scalar, or a list of scalars. */
static void take_list(struct reader *r, const struct option *o)
{
	if (o->type == OPTION_SET)
		*(uint64_t *)option_at(o, r->c) = 0;
	else
		((struct config_listens *)option_at(o, r->c))->count = 0;
	if (is(r, YAML_SCALAR_EVENT)) {
		take(r, o);
		return;
	}
	drop(r);
	while (peek(r) && r->event.type != YAML_SEQUENCE_END_EVENT) {
		if (is_odd(r, o->path))
			continue;
		if (r->event.type == YAML_SCALAR_EVENT) {
			take(r, o);
		} else {
			tell_option(r, mark(r), o, "has something else than a value in its list");
			skip(r);
		}
	}
	drop(r);
}

static void read_value(struct reader *r, const struct option *o)
{
	bool list = o->type == OPTION_SET || o->type == OPTION_LISTENS;

	if (!peek(r) || is_odd(r, o->path))
		return;
	if (o->type == OPTION_CERTIFICATES) {
		take_certificates(r, o);
	} else if (list && (r->event.type == YAML_SCALAR_EVENT ||
			    r->event.type == YAML_SEQUENCE_START_EVENT)) {
		take_list(r, o);
	} else if (r->event.type == YAML_SCALAR_EVENT) {
		take(r, o);
	} else {
		tell_option(r, mark(r), o,
			    r->event.type == YAML_MAPPING_START_EVENT
				    ? "has keys below it, but is a value"
				    : "is a list, but must be one value");
		skip(r);
	}
}

/* ---- keys ---- */

static void tell_twice(struct reader *r, const char *path, size_t line)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "is there twice; first on line %zu", line + 1);
	tell(r, mark(r), path, text);
}

/* False, and told, if the option was set before. */
static bool first_time(struct reader *r, const struct option *o, yaml_mark_t at)
{
	yaml_mark_t *seen = &r->seen[o - options];

	if (seen->line != SIZE_MAX) {
		tell_twice(r, o->path, seen->line);
		return false;
	}
	*seen = at;
	return true;
}

static bool first_group(struct reader *r, const char *path)
{
	for (size_t i = 0; i < r->group_count; i++) {
		if (strcmp(r->groups[i].path, path) != 0)
			continue;
		tell_twice(r, path, r->groups[i].line);
		return false;
	}
	assert(r->group_count < GROUPS_MAX);
	(void)snprintf(r->groups[r->group_count].path, PATH_MAX_BYTES, "%s", path);
	r->groups[r->group_count++].line = mark(r).line;
	return true;
}

static void read_group(struct reader *r, const char *group);

/* The key is the present event; its value follows. */
static void read_key(struct reader *r, const char *group)
{
	char path[PATH_MAX_BYTES];
	struct span key = scalar(r);
	int n = snprintf(path, sizeof(path), "%s%s%.*s", group, group[0] == '\0' ? "" : ".",
			 (int)(key.bytes < 64 ? key.bytes : 64), key.at);
	assert(n >= 0 && n < PATH_MAX_BYTES);
	bool dotted = memchr(key.at, '.', key.bytes) != NULL;
	const struct option *o = dotted ? NULL : option_find(path);

	if (o != NULL && first_time(r, o, mark(r))) {
		drop(r);
		read_value(r, o);
		return;
	}
	if (o == NULL && !dotted && option_is_group(path)) {
		bool first = first_group(r, path);
		drop(r);
		if (first)
			read_group(r, path);
		else
			skip(r);
		return;
	}
	if (o == NULL)
		tell_unknown(r, mark(r), group, path);
	drop(r);
	skip(r);
}

/* A mapping of keys below `group`. */
static void read_group(struct reader *r, const char *group)
{
	if (!peek(r) || is_odd(r, group))
		return;
	if (is_null(r)) { /* "tls:" and nothing behind it */
		drop(r);
		return;
	}
	if (r->event.type != YAML_MAPPING_START_EVENT) {
		struct buf line = { 0 };
		buf_puts(&line, "is not a mapping; allowed below it: ");
		option_put_keys(group, &line);
		buf_putc(&line, '\0');
		tell(r, mark(r), group, line.at);
		buf_free(&line);
		skip(r);
		return;
	}
	drop(r);
	while (peek(r) && r->event.type != YAML_MAPPING_END_EVENT) {
		if (r->event.type == YAML_SCALAR_EVENT) {
			read_key(r, group);
			continue;
		}
		tell(r, mark(r), group, "a key must be a word");
		skip(r);
		skip(r);
	}
	drop(r);
}

static void read_document(struct reader *r)
{
	while (is(r, YAML_STREAM_START_EVENT) || is(r, YAML_DOCUMENT_START_EVENT))
		drop(r);
	if (!is(r, YAML_STREAM_END_EVENT))
		read_group(r, "");
	if (is(r, YAML_DOCUMENT_END_EVENT))
		drop(r);
	if (peek(r) && r->event.type != YAML_STREAM_END_EVENT)
		tell(r, mark(r), "", "a second document; one is read");
	drop(r);
}

static void read_text(struct reader *r, struct span text, const char *name)
{
	r->name = name;
	r->text = text;
	r->has_event = false;
	r->broken = false;
	r->group_count = 0;
	for (size_t i = 0; i < option_count; i++)
		r->seen[i].line = SIZE_MAX;
	if (yaml_parser_initialize(&r->yaml) == 0)
		abort(); /* out of memory */
	yaml_parser_set_encoding(&r->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->yaml, (const unsigned char *)text.at, text.bytes);
	read_document(r);
	yaml_parser_delete(&r->yaml);
}

/* ---- the whole ---- */

/* What no single value can get wrong. */
static void check_together(struct reader *r)
{
	const struct config *c = r->c;

	for (size_t i = 0; i < option_count; i++)
		if (options[i].required && r->seen[i].line == SIZE_MAX && !r->broken)
			tell_option(r, (yaml_mark_t){ 0 }, &options[i], "is required");
	if (c->auth.failure_delay_ms > c->auth.failure_delay_max_ms) {
		const struct option *o = option_find("auth.failure_delay");
		yaml_mark_t at = r->seen[o - options];
		if (at.line == SIZE_MAX)
			at = r->seen[option_find("auth.failure_delay_max") - options];
		tell(r, at, o->path, "is more than auth.failure_delay_max; allowed: at most that");
	}
}

static void set_hostname(struct config *c)
{
	char name[256];

	if (c->hostname != NULL)
		return;
	if (gethostname(name, sizeof(name)) < 0 || name[0] == '\0')
		(void)snprintf(name, sizeof(name), "localhost");
	name[sizeof(name) - 1] = '\0';
	c->hostname = arena_strdup(&c->arena, span_str(name));
}

int config_parse(struct span text, const char *name, struct config *ret, struct buf *errors)
{
	struct config *c = calloc(1, sizeof(*c));
	struct buf example = { 0 };
	struct reader r = { .errors = errors };

	static_assert(OPTIONS_MAX >= 64, "each option has a place");
	assert(option_count <= OPTIONS_MAX);
	if (c == NULL)
		abort();
	arena_init(&c->arena);
	r.c = c;
	config_print_example(&example);
	read_text(&r, buf_span(&example), "example");
	assert(r.error_count == 0); /* the example is a valid configuration */
	buf_free(&example);
	read_text(&r, text, name);
	check_together(&r);
	if (r.error_count == 0) {
		set_hostname(c);
		*ret = *c;
		ret->arena.pb.allocator_data = &ret->arena;
	} else {
		arena_free(&c->arena);
	}
	free(c);
	return r.error_count == 0 ? OK : ERR_BAD_INPUT;
}

static int read_file(const char *file, struct buf *out, struct buf *errors)
{
	FILE *f = fopen(file, "re");
	size_t n = 0;

	if (f == NULL) {
		buf_printf(errors, "%s:1:1: can not be opened: %s\n", file, strerrordesc_np(errno));
		return ERR_BAD_INPUT;
	}
	do {
		buf_reserve(out, 4096);
		n = fread(out->at + out->bytes, 1, 4096, f);
		out->bytes += n;
	} while (n != 0 && out->bytes <= CONFIG_FILE_MAX_BYTES);
	int rc = ferror(f) != 0 ? ERR_IO : OK;
	if (rc < 0)
		buf_printf(errors, "%s:1:1: can not be read: %s\n", file, strerrordesc_np(errno));
	(void)fclose(f);
	if (rc == OK && out->bytes > CONFIG_FILE_MAX_BYTES) {
		buf_printf(errors, "%s:1:1: is larger than %d bytes\n", file,
			   CONFIG_FILE_MAX_BYTES);
		rc = ERR_BAD_INPUT;
	}
	return rc < 0 ? ERR_BAD_INPUT : OK;
}

int config_load(const char *file, struct config *ret, struct buf *errors)
{
	struct buf text = { 0 };
	int rc = read_file(file, &text, errors);

	if (rc == OK)
		rc = config_parse(buf_span(&text), file, ret, errors);
	buf_free(&text);
	return rc;
}

void config_free(struct config *c)
{
	arena_free(&c->arena);
	*c = (struct config){ 0 };
}
