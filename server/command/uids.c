#include "server/command/uids.h"

#include "storage/base/err.h"

#include <assert.h>

struct span uids_span(ProtobufCBinaryData d)
{
	return span_of(d.data, d.len);
}

struct span uids_all(const Tm__Changes *ch)
{
	return uids_span(ch->full ? ch->all_uids : ch->new_uids);
}

static bool by_number(struct session *s, const struct seq_set *set, struct uidset *ret)
{
	if (view_resolve_seqnos(&s->selected.view, set, ret) == OK)
		return true;
	session_answer(s, RESPONSE_BAD, NULL, "There is no message of this number");
	return false;
}

bool uids_of_set(struct session *s, const struct seq_set *set, struct uidset *ret)
{
	const struct view *v = &s->selected.view;

	if (set->saved) {
		uidset_copy(ret, &s->saved);
		return true;
	}
	if (!s->command->imap->uid)
		return by_number(s, set, ret);
	seq_set_resolve(set, view_highest_uid(v), ret);
	view_intersect(v, ret);
	return true;
}

bool uids_want_news(const struct session *s, const struct seq_set *set)
{
	uint32_t next = view_uidnext(&s->selected.view);

	if (set->saved || !s->command->imap->uid)
		return false;
	for (uint32_t i = 0; i < set->count; i++)
		if (set->at[i].lo == SEQ_STAR || set->at[i].hi == SEQ_STAR || set->at[i].hi >= next)
			return true;
	return false;
}

void uids_to_seqnos(const struct session *s, const struct uidset *uids, struct uidset *ret)
{
	seqno n;

	uidset_clear(ret);
	for (uint32_t r = 0; r < uids->count; r++)
		for (uint64_t uid = uids->at[r].lo; uid <= uids->at[r].hi; uid++)
			if (view_seqno_of(&s->selected.view, (msg_uid){ (uint32_t)uid }, &n))
				uidset_add(ret, n.v);
}

void uids_put(struct session *s, const struct uidset *uids, struct buf *out)
{
	struct uidset *numbers = &session_scratch(s)->set2;

	if (s->command->imap->uid) {
		response_uids(out, uids);
		return;
	}
	uids_to_seqnos(s, uids, numbers);
	response_uids(out, numbers);
}

char **uids_keywords(struct command *c, const struct flag_list *flags)
{
	char **at = arena_alloc(&c->arena, (flags->keyword_count + 1) * sizeof(*at));

	for (uint32_t i = 0; i < flags->keyword_count; i++)
		at[i] = arena_strdup(&c->arena, flags->keywords[i]);
	return at;
}
