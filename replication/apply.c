#include "replication/apply.h"

#include "replication/upload_table.h"
#include "replication/watch.h"

#include <assert.h>

/* ---- pages ---- */

static int intern(struct mailbox_pages *p, const Tm__FlagSet *f, uint32_t *ret)
{
	uint16_t slots[MAILBOX_KEYWORDS_MAX];
	static const Tm__FlagSet none = TM__FLAG_SET__INIT;

	if (f == NULL)
		f = &none;
	if (f->n_keywords > MAILBOX_KEYWORDS_MAX)
		return ERR_CORRUPT;
	for (size_t i = 0; i < f->n_keywords; i++) {
		if (f->keywords[i] >= MAILBOX_KEYWORDS_MAX)
			return ERR_CORRUPT;
		slots[i] = (uint16_t)f->keywords[i];
	}
	return pages_intern(p, (struct flag_set){ f->system, (uint32_t)f->n_keywords, slots }, ret);
}

static int add_names(struct mailbox_pages *p, Tm__KeywordName *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = pages_set_keyword(p, names[i]->slot, span_str(names[i]->name));

		if (rc != OK)
			return rc;
	}
	return OK;
}

static int finish(struct mailbox_pages *p, const Tm__CountersRow *counters)
{
	if (counters == NULL)
		return ERR_CORRUPT;
	p->counters = counters_of_row(counters);
	return OK;
}

static int add_messages(struct mailbox_pages *p, const Tm__MessagesAdded *r)
{
	int rc = add_names(p, r->new_names, r->n_new_names);

	for (size_t i = 0; rc == OK && i < r->n_messages; i++) {
		uint32_t set;

		if (r->messages[i]->row == NULL)
			return ERR_CORRUPT;
		rc = intern(p, r->messages[i]->flags, &set);
		if (rc == OK)
			rc = pages_append(p, r->first_uid + (uint32_t)i, set, r->modseq,
					  (uint32_t)r->messages[i]->row->size);
	}
	return rc == OK ? finish(p, r->counters) : rc;
}

/* One group of a flag change, or of a copy: `uids` with `sizes`, all with the same flags. */
struct group_walk {
	struct uidset_iter uids;
	struct uid_range range;
	const uint8_t *size_at, *size_end;
};

static void group_start(struct group_walk *w, const Tm__FlagGroup *g)
{
	*w = (struct group_walk){ .range = { 1, 0 },
				  .size_at = g->sizes.data,
				  .size_end = g->sizes.data + g->sizes.len };
	uidset_iter_init(&w->uids, span_of(g->uids.data, g->uids.len));
}

static bool group_next(struct group_walk *w, uint32_t *uid, uint64_t *size)
{
	if (w->range.lo > w->range.hi && !uidset_iter_next(&w->uids, &w->range))
		return false;
	*uid = w->range.lo++;
	if (w->range.lo == 0)
		w->range = (struct uid_range){ 1, 0 };
	return varint_get(&w->size_at, w->size_end, size);
}

/* The groups interleave; pages want ascending uids, so they are taken in that order. */
static int add_copies(struct mailbox_pages *p, const Tm__MessagesCopied *r)
{
	int rc = add_names(p, r->new_names, r->n_new_names);
	uint32_t expected = r->first_uid;
	struct group_walk *walks = calloc(r->n_groups + 1, sizeof(*walks));
	uint32_t *next = calloc(r->n_groups + 1, sizeof(*next));
	uint32_t *sets = calloc(r->n_groups + 1, sizeof(*sets));
	uint64_t *sizes = calloc(r->n_groups + 1, sizeof(*sizes));
	bool more = true;

	if (walks == NULL || next == NULL || sets == NULL || sizes == NULL)
		abort();
	for (size_t i = 0; rc == OK && i < r->n_groups; i++) {
		rc = intern(p, r->groups[i]->flags, &sets[i]);
		group_start(&walks[i], r->groups[i]);
		if (!group_next(&walks[i], &next[i], &sizes[i]))
			next[i] = 0;
	}
	while (rc == OK && more) {
		more = false;
		for (size_t i = 0; rc == OK && i < r->n_groups; i++) {
			while (rc == OK && next[i] == expected) {
				rc = pages_append(p, expected++, sets[i], r->modseq,
						  (uint32_t)sizes[i]);
				more = true;
				if (!group_next(&walks[i], &next[i], &sizes[i]))
					next[i] = 0;
			}
		}
	}
	for (size_t i = 0; rc == OK && i < r->n_groups; i++)
		if (next[i] != 0)
			rc = ERR_CORRUPT;
	free(walks);
	free(next);
	free(sets);
	free(sizes);
	return rc == OK ? finish(p, r->counters) : rc;
}

static int change_flags(struct mailbox_pages *p, const Tm__FlagsChanged *r)
{
	int rc = add_names(p, r->new_names, r->n_new_names);

	for (size_t i = 0; rc == OK && i < r->n_groups; i++) {
		const Tm__FlagGroup *g = r->groups[i];
		struct uidset_iter it;
		struct uid_range range;
		uint32_t set;

		rc = intern(p, g->flags, &set);
		uidset_iter_init(&it, span_of(g->uids.data, g->uids.len));
		while (rc == OK && uidset_iter_next(&it, &range))
			for (uint32_t uid = range.lo; rc == OK && uid <= range.hi && uid != 0;
			     uid++)
				rc = pages_set_flags(p, uid, set, r->modseq);
		if (it.corrupt)
			rc = ERR_CORRUPT;
	}
	return rc == OK ? finish(p, r->counters) : ERR_CORRUPT;
}

static int take_out(struct mailbox_pages *p, const Tm__MessagesExpunged *r)
{
	struct uidset uids = { 0 };
	int rc = uidset_decode(span_of(r->uids.data, r->uids.len), UINT32_MAX, &uids);

	if (rc == OK && pages_remove(p, &uids) > 0)
		rc = ERR_CORRUPT;
	uidset_free(&uids);
	return rc == OK ? finish(p, r->counters) : rc;
}

/* Of a mailbox whose messages are not loaded only the names count. */
static int apply_new_names(struct mailbox_pages *p, const Tm__Record *r)
{
	if (r->what_case == TM__RECORD__WHAT_MESSAGES_ADDED)
		return add_names(p, r->messages_added->new_names, r->messages_added->n_new_names);
	if (r->what_case == TM__RECORD__WHAT_MESSAGES_COPIED)
		return add_names(p, r->messages_copied->new_names, r->messages_copied->n_new_names);
	if (r->what_case == TM__RECORD__WHAT_FLAGS_CHANGED)
		return add_names(p, r->flags_changed->new_names, r->flags_changed->n_new_names);
	return OK;
}

/* The effect of a record on the pages of mailbox `id`; none if it is about another. */
static int apply_to_pages(struct mailbox_pages *p, uint64_t id, const Tm__Record *r)
{
	switch (r->what_case) {
	case TM__RECORD__WHAT_MESSAGES_ADDED:
		return r->messages_added->mailbox == id ? add_messages(p, r->messages_added) : OK;
	case TM__RECORD__WHAT_MESSAGES_COPIED:
		return r->messages_copied->target == id ? add_copies(p, r->messages_copied) : OK;
	case TM__RECORD__WHAT_FLAGS_CHANGED:
		return r->flags_changed->mailbox == id ? change_flags(p, r->flags_changed) : OK;
	case TM__RECORD__WHAT_MESSAGES_EXPUNGED:
		return r->messages_expunged->mailbox == id ? take_out(p, r->messages_expunged) : OK;
	case TM__RECORD__WHAT_RECENT_CLAIMED:
		return r->recent_claimed->mailbox == id ? finish(p, r->recent_claimed->counters)
							: OK;
	case TM__RECORD__WHAT_CHUNK_STORED:
	case TM__RECORD__WHAT_MAILBOX_CREATED:
	case TM__RECORD__WHAT_MAILBOX_DELETED:
	case TM__RECORD__WHAT_MAILBOX_RENAMED:
	case TM__RECORD__WHAT_SUBSCRIBED:
	case TM__RECORD__WHAT_ACCOUNT_CHANGED:
	case TM__RECORD__WHAT_ACCOUNT_DELETED:
	case TM__RECORD__WHAT_MAILBOX_PURGED:
	case TM__RECORD__WHAT_BODIES_COLLECTED:
	case TM__RECORD__WHAT_DEDUP_EXPIRED: return OK;
	case TM__RECORD__WHAT__NOT_SET:
	case _TM__RECORD__WHAT__CASE_IS_INT_SIZE: break;
	}
	return ERR_CORRUPT;
}

/* Whose mailbox, and which, a record's messages are in; 0, 0 if it has none. */
static uint64_t record_mailbox(const Tm__Record *r, uint64_t *account)
{
#define IN(field, mailbox_field) (*account = r->field->account, r->field->mailbox_field)
	if (r->what_case == TM__RECORD__WHAT_MESSAGES_ADDED)
		return IN(messages_added, mailbox);
	if (r->what_case == TM__RECORD__WHAT_MESSAGES_COPIED)
		return IN(messages_copied, target);
	if (r->what_case == TM__RECORD__WHAT_FLAGS_CHANGED)
		return IN(flags_changed, mailbox);
	if (r->what_case == TM__RECORD__WHAT_MESSAGES_EXPUNGED)
		return IN(messages_expunged, mailbox);
	if (r->what_case == TM__RECORD__WHAT_RECENT_CLAIMED)
		return IN(recent_claimed, mailbox);
#undef IN
	*account = 0;
	return 0;
}

static const Tm__CountersRow *record_counters(const Tm__Record *r)
{
	switch ((int)r->what_case) {
	case TM__RECORD__WHAT_MESSAGES_ADDED: return r->messages_added->counters;
	case TM__RECORD__WHAT_MESSAGES_COPIED: return r->messages_copied->counters;
	case TM__RECORD__WHAT_FLAGS_CHANGED: return r->flags_changed->counters;
	case TM__RECORD__WHAT_MESSAGES_EXPUNGED: return r->messages_expunged->counters;
	case TM__RECORD__WHAT_RECENT_CLAIMED: return r->recent_claimed->counters;
	default: return NULL;
	}
}

static const Tm__UsageRow *record_usage(const Tm__Record *r)
{
	switch ((int)r->what_case) {
	case TM__RECORD__WHAT_MESSAGES_ADDED: return r->messages_added->usage;
	case TM__RECORD__WHAT_MESSAGES_COPIED: return r->messages_copied->usage;
	case TM__RECORD__WHAT_MESSAGES_EXPUNGED: return r->messages_expunged->usage;
	case TM__RECORD__WHAT_MAILBOX_CREATED: return r->mailbox_created->usage;
	case TM__RECORD__WHAT_MAILBOX_DELETED: return r->mailbox_deleted->usage;
	case TM__RECORD__WHAT_MAILBOX_RENAMED: return r->mailbox_renamed->usage;
	case TM__RECORD__WHAT_SUBSCRIBED: return r->subscribed->usage;
	case TM__RECORD__WHAT_ACCOUNT_CHANGED: return r->account_changed->usage;
	default: return NULL;
	}
}

static void take_usage(struct usage *to, const Tm__UsageRow *row)
{
	if (row != NULL)
		*to = (struct usage){ row->bytes, row->messages, row->listseq };
}

int apply_to_work(struct evaluation *e, const Tm__Record *r)
{
	uint64_t account, id = record_mailbox(r, &account);
	struct account *a = partition_account(e->partition, e->op->account);

	if (a->has_work)
		take_usage(&a->work_usage, record_usage(r));
	if (id == 0)
		return OK;
	struct mailbox *m = account_mailbox(a, (mailbox_id){ id });
	return m == NULL ? ERR_CORRUPT : apply_to_pages(eval_work(e, m), id, r);
}

/* ---- names ---- */

static int create_mailbox(struct account *a, const Tm__MailboxCreated *r)
{
	if (r->row == NULL || r->counters == NULL || account_mailbox_named(a, r->row->name) != NULL)
		return ERR_CORRUPT;
	account_add_mailbox(a, r->row, r->counters);
	return OK;
}

static int delete_mailbox(struct account *a, const Tm__MailboxDeleted *r)
{
	struct mailbox *m = account_mailbox(a, (mailbox_id){ r->mailbox });

	if (m == NULL)
		return ERR_CORRUPT;
	if (r->tombstone != NULL)
		account_set_tombstone(a, r->name, r->tombstone->uidvalidity);
	account_remove_mailbox(a, m);
	return OK;
}

static int rename_mailboxes(struct account *a, const Tm__MailboxRenamed *r)
{
	for (size_t i = 0; i < r->n_mailboxes; i++) {
		const Tm__RenamedMailbox *one = r->mailboxes[i];
		struct mailbox *m =
			one->row == NULL ? NULL : account_mailbox(a, (mailbox_id){ one->row->id });

		if (m == NULL)
			return ERR_CORRUPT;
		if (one->tombstone != NULL)
			account_set_tombstone(a, one->old_name, one->tombstone->uidvalidity);
		account_rename_mailbox(a, m, one->row);
	}
	return OK;
}

/* The effect on the names of a loaded account. */
static int apply_names(struct account *a, const Tm__Record *r)
{
	take_usage(&a->usage, record_usage(r));
	switch ((int)r->what_case) {
	case TM__RECORD__WHAT_MAILBOX_CREATED: return create_mailbox(a, r->mailbox_created);
	case TM__RECORD__WHAT_MAILBOX_DELETED: return delete_mailbox(a, r->mailbox_deleted);
	case TM__RECORD__WHAT_MAILBOX_RENAMED: return rename_mailboxes(a, r->mailbox_renamed);
	case TM__RECORD__WHAT_SUBSCRIBED:
		account_subscribe(a, r->subscribed->name, r->subscribed->on);
		return OK;
	default: return OK;
	}
}

/* Which account a record is about; 0: none. */
static uint64_t record_account(const Tm__Record *r)
{
	uint64_t account;

	if (record_mailbox(r, &account) != 0)
		return account;
	switch ((int)r->what_case) {
	case TM__RECORD__WHAT_MAILBOX_CREATED: return r->mailbox_created->account;
	case TM__RECORD__WHAT_MAILBOX_DELETED: return r->mailbox_deleted->account;
	case TM__RECORD__WHAT_MAILBOX_RENAMED: return r->mailbox_renamed->account;
	case TM__RECORD__WHAT_SUBSCRIBED: return r->subscribed->account;
	default: return 0;
	}
}

static void take_values(struct partition *p, const Tm__PartitionRow *row)
{
	if (row == NULL)
		return;
	p->values.last_uidvalidity = row->last_uidvalidity;
	p->values.next_mailbox = row->next_mailbox;
	p->values.next_account = row->next_account;
}

static void apply_values(struct partition *p, const Tm__Record *r)
{
	if (r->what_case == TM__RECORD__WHAT_MAILBOX_CREATED)
		take_values(p, r->mailbox_created->partition);
	else if (r->what_case == TM__RECORD__WHAT_MAILBOX_RENAMED)
		take_values(p, r->mailbox_renamed->partition);
	else if (r->what_case == TM__RECORD__WHAT_ACCOUNT_CHANGED)
		take_values(p, r->account_changed->partition);
}

/* ---- what follows from a change that is committed ---- */

static void tell_ring(struct mailbox *m, const Tm__Record *r)
{
	struct uidset uids = { 0 };

	if (r->what_case == TM__RECORD__WHAT_FLAGS_CHANGED) {
		const Tm__FlagsChanged *c = r->flags_changed;

		for (size_t i = 0; i < c->n_groups; i++)
			if (uidset_decode(span_of(c->groups[i]->uids.data, c->groups[i]->uids.len),
					  UINT32_MAX, &uids) == OK)
				ring_changed(m->ring, m->pages, &uids, c->modseq);
	} else if (r->what_case == TM__RECORD__WHAT_MESSAGES_EXPUNGED) {
		const Tm__MessagesExpunged *x = r->messages_expunged;

		if (uidset_decode(span_of(x->uids.data, x->uids.len), UINT32_MAX, &uids) == OK)
			ring_gone(m->ring, &uids);
	}
	uidset_free(&uids);
}

static int add_vanished(struct mailbox *m, const Tm__MessagesExpunged *x)
{
	if (x->prune_to != 0)
		vanished_prune(m->vanished, x->prune_to);
	return vanished_add(m->vanished, x->modseq, span_of(x->uids.data, x->uids.len));
}

static int after_commit(struct partition *p, struct account *a, const Tm__Record *r)
{
	uint64_t account, id = record_mailbox(r, &account);
	struct mailbox *m = id == 0 ? NULL : account_mailbox(a, (mailbox_id){ id });

	if (m == NULL)
		return OK;
	watch_changed(p->watches, m->id, (modseq){ m->pages->counters.highestmodseq });
	if (!m->loaded)
		return OK;
	tell_ring(m, r);
	if (r->what_case == TM__RECORD__WHAT_MESSAGES_EXPUNGED)
		return add_vanished(m, r->messages_expunged);
	return OK;
}

static int apply_account(struct partition *p, const Tm__Record *r)
{
	if (r->what_case == TM__RECORD__WHAT_ACCOUNT_CHANGED) {
		const Tm__AccountChanged *c = r->account_changed;

		if (c->row == NULL)
			return ERR_CORRUPT;
		struct account *a = partition_find_account(p, c->row->name);
		if (a == NULL || a->state == ACCOUNT_LOADING)
			return OK; /* the loader will see it */
		account_set_row(a, c->row);
		partition_index_account(p, a);
		take_usage(&a->usage, c->usage);
		return OK;
	}
	struct account *a = partition_find_account(p, r->account_deleted->name);
	if (a != NULL && a->state == ACCOUNT_LOADED) {
		partition_unindex_account(p, a);
		account_set_absent(a);
	}
	return OK;
}

int apply_committed(struct partition *p, const Tm__Record *r)
{
	apply_values(p, r);
	if (r->what_case == TM__RECORD__WHAT_ACCOUNT_CHANGED ||
	    r->what_case == TM__RECORD__WHAT_ACCOUNT_DELETED)
		return apply_account(p, r);
	if (r->what_case == TM__RECORD__WHAT_CHUNK_STORED) {
		upload_table_stored(p->uploads, r->chunk_stored);
		return OK;
	}
	if (r->what_case == TM__RECORD__WHAT_BODIES_COLLECTED) {
		for (size_t i = 0; i < r->bodies_collected->n_guids; i++)
			upload_table_forget(p->uploads, r->bodies_collected->guids[i]);
		return OK;
	}

	if (r->what_case == TM__RECORD__WHAT_MAILBOX_DELETED)
		watch_changed(p->watches, (mailbox_id){ r->mailbox_deleted->mailbox },
			      (modseq){ 0 });
	struct account *a = partition_account_by_id(p, (account_id){ record_account(r) });
	if (a == NULL || a->state != ACCOUNT_LOADED)
		return OK;
	int rc = apply_names(a, r);
	if (rc == OK && r->what_case == TM__RECORD__WHAT_MAILBOX_CREATED)
		mailbox_set_loaded_empty(
			account_mailbox(a, (mailbox_id){ r->mailbox_created->row->id }));
	return rc == OK ? after_commit(p, a, r) : rc;
}

/* ---- what a reader loaded, brought up to date ---- */

int apply_loaded_account(struct account *a, const Tm__Record *r)
{
	uint64_t account, id = record_mailbox(r, &account);

	if (r->what_case == TM__RECORD__WHAT_ACCOUNT_CHANGED) {
		if (r->account_changed->row != NULL &&
		    strcmp(r->account_changed->row->name, a->name) == 0) {
			account_set_row(a, r->account_changed->row);
			take_usage(&a->usage, r->account_changed->usage);
		}
		return OK;
	}
	if (r->what_case == TM__RECORD__WHAT_ACCOUNT_DELETED) {
		if (strcmp(r->account_deleted->name, a->name) == 0)
			account_set_absent(a);
		return OK;
	}
	if (a->state == ACCOUNT_ABSENT || record_account(r) != a->id.v)
		return OK;
	if (id == 0)
		return apply_names(a, r);

	take_usage(&a->usage, record_usage(r));
	struct mailbox *m = account_mailbox(a, (mailbox_id){ id });
	if (m == NULL || record_counters(r) == NULL)
		return ERR_CORRUPT;
	m->pages->counters = counters_of_row(record_counters(r));
	return apply_new_names(m->pages, r);
}

int apply_loaded_mailbox(struct mailbox *m, const Tm__Record *r)
{
	uint64_t account, id = record_mailbox(r, &account);

	if (id != m->id.v || account != m->account->id.v)
		return OK;
	int rc = apply_to_pages(m->pages, id, r);
	if (rc == OK && r->what_case == TM__RECORD__WHAT_MESSAGES_EXPUNGED)
		rc = add_vanished(m, r->messages_expunged);
	return rc;
}
