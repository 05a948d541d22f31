#include "server/mail/envelope.h"

#include "server/mail/nstring.h"

static void addresses_put(struct buf *out, const struct address_list *list)
{
	if (list->count == 0) {
		buf_puts(out, "NIL ");
		return;
	}
	buf_putc(out, '(');
	for (size_t i = 0; i < list->count; i++) {
		const struct mail_address *a = &list->at[i];

		buf_putc(out, '(');
		nstring_put(out, a->name);
		buf_putc(out, ' ');
		nstring_put(out, a->route);
		buf_putc(out, ' ');
		nstring_put(out, a->mailbox);
		buf_putc(out, ' ');
		nstring_put(out, a->host);
		buf_putc(out, ')');
	}
	buf_puts(out, ") ");
}

void envelope_put(struct buf *out, const struct shape_envelope *env)
{
	buf_putc(out, '(');
	nstring_put(out, env->date);
	buf_putc(out, ' ');
	nstring_put(out, env->subject);
	buf_putc(out, ' ');
	addresses_put(out, &env->from);
	addresses_put(out, env->sender.count != 0 ? &env->sender : &env->from);
	addresses_put(out, env->reply_to.count != 0 ? &env->reply_to : &env->from);
	addresses_put(out, &env->to);
	addresses_put(out, &env->cc);
	addresses_put(out, &env->bcc);
	nstring_put(out, env->in_reply_to);
	buf_putc(out, ' ');
	nstring_put(out, env->message_id);
	buf_putc(out, ')');
}
