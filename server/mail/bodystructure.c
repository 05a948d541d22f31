#include "server/mail/bodystructure.h"

#include "server/mail/envelope.h"
#include "server/mail/nstring.h"

static bool has_param(const struct shape_params *params, const char *name)
{
	return shape_param(params, name).at != NULL;
}

/* A text part without a charset is US-ASCII (RFC 2045, 5.2), and says so. */
static void params_put(struct buf *out, const struct shape_params *params, bool text)
{
	bool ascii = text && !has_param(params, "charset") && !has_param(params, "charset*");

	if (params->count == 0 && !ascii) {
		buf_puts(out, "NIL");
		return;
	}
	buf_putc(out, '(');
	for (size_t i = 0; i < params->count; i++) {
		if (i != 0)
			buf_putc(out, ' ');
		string_put(out, params->at[i].name);
		buf_putc(out, ' ');
		string_put(out, params->at[i].value);
	}
	if (ascii)
		buf_puts(out, params->count != 0 ? " \"charset\" \"us-ascii\""
						 : "\"charset\" \"us-ascii\"");
	buf_putc(out, ')');
}

static void disposition_put(struct buf *out, const struct shape_part *p)
{
	if (p->disposition.at == NULL) {
		buf_puts(out, "NIL");
		return;
	}
	buf_putc(out, '(');
	string_put(out, p->disposition);
	buf_putc(out, ' ');
	params_put(out, &p->disposition_params, false);
	buf_putc(out, ')');
}

static void languages_put(struct buf *out, const struct shape_part *p)
{
	if (p->language_count == 0) {
		buf_puts(out, "NIL");
		return;
	}
	buf_putc(out, '(');
	for (size_t i = 0; i < p->language_count; i++) {
		if (i != 0)
			buf_putc(out, ' ');
		string_put(out, p->languages[i]);
	}
	buf_putc(out, ')');
}

/* What body-ext-1part and body-ext-mpart have in common. */
static void extension_put(struct buf *out, const struct shape_part *p)
{
	buf_putc(out, ' ');
	disposition_put(out, p);
	buf_putc(out, ' ');
	languages_put(out, p);
	buf_putc(out, ' ');
	nstring_put(out, p->location);
}

static void multipart_put(struct buf *out, const struct shape_part *p, bool extended)
{
	for (const struct shape_part *c = p->child; c != NULL; c = c->next)
		bodystructure_put(out, c, extended);
	if (p->child == NULL) /* the grammar wants one: an empty text */
		buf_puts(out, extended ? "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
					 "\"7bit\" 0 0 NIL NIL NIL NIL)"
				       : "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
					 "\"7bit\" 0 0)");
	buf_putc(out, ' ');
	string_put(out, shape_subtype(p));
	if (!extended)
		return;
	buf_putc(out, ' ');
	params_put(out, &p->params, false);
	extension_put(out, p);
}

static void fields_put(struct buf *out, const struct shape_part *p)
{
	string_put(out, shape_type(p));
	buf_putc(out, ' ');
	string_put(out, shape_subtype(p));
	buf_putc(out, ' ');
	params_put(out, &p->params, p->kind == SHAPE_TEXT);
	buf_putc(out, ' ');
	nstring_put(out, p->id);
	buf_putc(out, ' ');
	nstring_put(out, p->description);
	buf_putc(out, ' ');
	string_put(out, p->encoding.at != NULL ? p->encoding : span_str("7bit"));
	buf_putc(out, ' ');
	buf_put_u64(out, p->body_bytes);
}

static void single_put(struct buf *out, const struct shape_part *p, bool extended)
{
	fields_put(out, p);
	if (p->kind == SHAPE_MESSAGE) {
		buf_putc(out, ' ');
		envelope_put(out, p->child->envelope);
		buf_putc(out, ' ');
		bodystructure_put(out, p->child, extended);
	}
	if (p->kind == SHAPE_MESSAGE || p->kind == SHAPE_TEXT) {
		buf_putc(out, ' ');
		buf_put_u64(out, p->body_lines);
	}
	if (!extended)
		return;
	buf_putc(out, ' ');
	nstring_put(out, p->md5);
	extension_put(out, p);
}

void bodystructure_put(struct buf *out, const struct shape_part *part, bool extended)
{
	buf_putc(out, '(');
	if (part->kind == SHAPE_MULTIPART)
		multipart_put(out, part, extended);
	else
		single_put(out, part, extended);
	buf_putc(out, ')');
}
