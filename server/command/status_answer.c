#include "server/command/status_answer.h"

#include "server/command/answer.h"
#include "server/command/uids.h"
#include "server/config/config.h"
#include "server/session/tell.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"

static bool is_selected_one(const struct session *s, const Tm__ListedMailbox *m)
{
	return session_is_selected(s) && m->row->id == s->selected.mailbox.v;
}

void status_facts_fill(const struct session *s, const Tm__ListedMailbox *m,
		       struct status_facts *ret)
{
	const Tm__CountersRow *n = m->counters;

	*ret = (struct status_facts){
		.mailbox = m->row->id,
		.uidvalidity = m->row->uidvalidity,
		.messages = n->exists,
		.uidnext = n->uidnext,
		.unseen = n->unseen,
		.highestmodseq = n->highestmodseq,
		.bytes = n->bytes,
	};
	if (!is_selected_one(s, m))
		return;
	ret->messages = view_exists(&s->selected.view);
	ret->recent = tell_recent_count(s);
	ret->uidnext = view_uidnext(&s->selected.view);
	ret->highestmodseq = view_told(&s->selected.view).v;
}

bool status_must_count_recent(const struct session *s, const Tm__ListedMailbox *m, unsigned items)
{
	return (items & STATUS_RECENT) != 0 && !is_selected_one(s, m) && m->counters->exists > 0 &&
	       m->counters->recent_from < m->counters->uidnext;
}

uint32_t status_count_recent(const Tm__Changes *ch)
{
	struct uidset all = { 0 };
	uint32_t n = 0;

	if (uidset_decode(uids_all(ch), UINT32_MAX, &all) == OK) {
		if (ch->recent_from > 1)
			uidset_remove_range(&all, 1, ch->recent_from - 1);
		n = (uint32_t)uidset_size(&all);
	}
	uidset_free(&all);
	return n;
}

static void put_item(struct buf *out, const char *name, uint64_t v)
{
	if (out->at[out->bytes - 1] != '(')
		buf_putc(out, ' ');
	buf_puts(out, name);
	buf_putc(out, ' ');
	buf_put_u64(out, v);
}

static void put_mailbox_id(struct session *s, struct buf *out, uint64_t mailbox)
{
	if (out->at[out->bytes - 1] != '(')
		buf_putc(out, ' ');
	buf_puts(out, "MAILBOXID (");
	answer_put_mailbox_id(s, out, mailbox);
	buf_putc(out, ')');
}

static uint64_t append_limit(const struct session *s)
{
	const struct config *config = front_config(s->client.front);

	return config != NULL ? config->limits.message_bytes : MESSAGE_MAX_BYTES;
}

void status_put(struct session *s, struct span name, unsigned items,
		const struct status_facts *facts)
{
	const struct {
		unsigned item;
		const char *name;
		uint64_t v;
	} numbers[] = {
		{ STATUS_MESSAGES, "MESSAGES", facts->messages },
		{ STATUS_RECENT, "RECENT", facts->recent },
		{ STATUS_UIDNEXT, "UIDNEXT", facts->uidnext },
		{ STATUS_UIDVALIDITY, "UIDVALIDITY", facts->uidvalidity },
		{ STATUS_UNSEEN, "UNSEEN", facts->unseen },
		{ STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ", facts->highestmodseq },
		{ STATUS_SIZE, "SIZE", facts->bytes },
		{ STATUS_APPENDLIMIT, "APPENDLIMIT", append_limit(s) },
	};
	struct buf *out = session_out(s);

	buf_puts(out, "* STATUS ");
	mailbox_name_put(out, name);
	buf_puts(out, " (");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if ((items & numbers[i].item) != 0)
			put_item(out, numbers[i].name, numbers[i].v);
	if ((items & STATUS_MAILBOXID) != 0)
		put_mailbox_id(s, out, facts->mailbox);
	buf_puts(out, ")\r\n");
}
