/* config_print.c: the commented example, and what a configuration says. */
#include "server/config/config.h"
#include "server/config/option.h"

enum { EXAMPLE_WIDTH = 96 };

/* "auth" of "auth.iterations"; empty for a key at the top. */
static struct span group_of(const struct option *o)
{
	const char *dot = strchr(o->path, '.');

	return dot == NULL ? span_of(o->path, 0) : span_of(o->path, (size_t)(dot - o->path));
}

/* `text` as comment lines of at most EXAMPLE_WIDTH columns. */
static void put_comment(struct buf *out, const char *indent, const char *text)
{
	while (*text != '\0') {
		size_t room = EXAMPLE_WIDTH - strlen(indent) - 2;
		size_t n = strlen(text);
		if (n > room) {
			n = room;
			while (n > 0 && text[n] != ' ')
				n--;
		}
		buf_printf(out, "%s# %.*s\n", indent, (int)n, text);
		text += n;
		while (*text == ' ')
			text++;
	}
}

static void put_option(struct buf *out, const struct option *o, struct span group)
{
	const char *indent = group.bytes == 0 ? "" : "  ";
	const char *key = group.bytes == 0 ? o->path : o->path + group.bytes + 1;
	struct buf facts = { 0 };

	put_comment(out, indent, o->doc);
	buf_puts(&facts, "Allowed: ");
	option_put_allowed(o, &facts);
	buf_puts(&facts, o->required     ? ". Required."
			 : o->reloadable ? ". Reloaded by SIGHUP."
					 : ".");
	buf_putc(&facts, '\0');
	put_comment(out, indent, facts.at);
	buf_free(&facts);
	if (o->preset != NULL)
		buf_printf(out, "%s%s: %s\n\n", indent, key, o->preset);
	else
		buf_printf(out, "%s%s%s: %s\n\n", indent, o->required ? "" : "#", key, o->example);
}

void config_print_example(struct buf *out)
{
	struct span last = { 0 };

	put_comment(out, "",
		    "The configuration of tidemarkd, in YAML: every option, its default, and "
		    "what is allowed. Only `data` must be given. Sizes have the units K, M, "
		    "G, T (powers of 1024), durations ms, s, m, h, d. `tidemarkd --config "
		    "FILE --check` says whether a file is right.");
	buf_putc(out, '\n');
	for (size_t i = 0; i < option_count; i++) {
		struct span group = group_of(&options[i]);
		if (group.bytes != 0 && !span_eq(group, last))
			buf_printf(out, "%.*s:\n", (int)group.bytes, group.at);
		last = group;
		put_option(out, &options[i], group);
	}
}

void config_print(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < option_count; i++) {
		buf_printf(out, "%s=", options[i].path);
		option_put_value(&options[i], c, out);
		buf_putc(out, '\n');
	}
}

size_t config_reload_check(const struct config *now, const struct config *next, struct buf *lines)
{
	size_t count = 0;

	for (size_t i = 0; i < option_count; i++) {
		struct buf a = { 0 }, b = { 0 };
		if (!options[i].reloadable) {
			option_put_value(&options[i], now, &a);
			option_put_value(&options[i], next, &b);
		}
		if (!span_eq(buf_span(&a), buf_span(&b))) {
			buf_printf(lines, "%s: is changed by a restart only\n", options[i].path);
			count++;
		}
		buf_free(&a);
		buf_free(&b);
	}
	return count;
}
