/* check.c: compares the arrays of a census with each other. Each function checks one relation and
 * is one sentence of check.h. */
#include "storage/check.h"

#include "storage/base/err.h"
#include "storage/base/flag_bits.h"
#include "storage/base/uidset.h"
#include "storage/census.h"
#include "storage/cut.h"

#include <stdlib.h>

typedef unsigned long long ull; /* for printf */

/* ---- finding things in sorted arrays ---- */

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_account_id(const void *a, const void *b)
{
	return compare_u64(((const struct census_account *)a)->id.v,
			   ((const struct census_account *)b)->id.v);
}

static bool has_account(const struct census *c, account_id id)
{
	struct census_account key = { .id = id };

	return c->accounts.count > 0 &&
	       bsearch(&key, c->accounts.at, c->accounts.count, sizeof(key), by_account_id) != NULL;
}

static int by_mailbox_id(const void *a, const void *b)
{
	return compare_u64(((const struct census_mailbox *)a)->id.v,
			   ((const struct census_mailbox *)b)->id.v);
}

static const struct census_mailbox *mailbox_find(const struct census *c, mailbox_id id)
{
	struct census_mailbox key = { .id = id };

	return c->mailboxes.count == 0 ? NULL
				       : bsearch(&key, c->mailboxes.at, c->mailboxes.count,
						 sizeof(key), by_mailbox_id);
}

static int by_counters_mailbox(const void *a, const void *b)
{
	return compare_u64(((const struct census_counters *)a)->mailbox.v,
			   ((const struct census_counters *)b)->mailbox.v);
}

static const struct census_counters *counters_find(const struct census *c, mailbox_id id)
{
	struct census_counters key = { .mailbox = id };

	return c->counters.count == 0 ? NULL
				      : bsearch(&key, c->counters.at, c->counters.count,
						sizeof(key), by_counters_mailbox);
}

static bool is_purged(const struct census *c, mailbox_id id)
{
	const struct census_purge *p = c->purges.at;

	for (size_t i = 0; i < c->purges.count; i++)
		if (p[i].mailbox.v == id.v)
			return true;
	return false;
}

static bool has_owner(const struct census *c, mailbox_id id)
{
	return mailbox_find(c, id) != NULL || is_purged(c, id);
}

static int by_guid(const void *a, const void *b)
{
	return memcmp(((const struct census_candidate *)a)->guid.b,
		      ((const struct census_candidate *)b)->guid.b, 16);
}

static const struct census_candidate *candidate_find(const struct census *c, guid g)
{
	struct census_candidate key = { .guid = g };

	return c->candidates.count == 0
		       ? NULL
		       : bsearch(&key, c->candidates.at, c->candidates.count, sizeof(key), by_guid);
}

static int by_message(const void *a, const void *b)
{
	const struct census_message *x = a;
	const struct census_message *y = b;
	int rc = compare_u64(x->mailbox.v, y->mailbox.v);

	return rc != 0 ? rc : compare_u64(x->uid.v, y->uid.v);
}

/* Index of the first message of mailbox m with a uid >= uid. */
static size_t message_from(const struct census *c, mailbox_id m, uint32_t uid)
{
	const struct census_message *at = c->messages.at;
	struct census_message key = { .mailbox = m, .uid = { uid } };
	size_t lo = 0;
	size_t hi = c->messages.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_message(&at[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- accounts and mailboxes ---- */

static void check_accounts(struct census *c)
{
	const struct census_account *a = c->accounts.at;

	if (c->accounts.count > 0)
		qsort(c->accounts.at, c->accounts.count, sizeof(*a), by_account_id);
	for (size_t i = 0; i < c->accounts.count; i++) {
		if (a[i].id.v >= c->partition.next_account)
			census_say(c, "account %s has id %llu, but the next is %llu", a[i].name.at,
				   (ull)a[i].id.v, (ull)c->partition.next_account);
		if (i > 0 && a[i].id.v == a[i - 1].id.v)
			census_say(c, "accounts %s and %s have the same id", a[i - 1].name.at,
				   a[i].name.at);
	}
	const struct census_owned *o = c->owned.at;
	for (size_t i = 0; i < c->owned.count; i++)
		if (!has_account(c, o[i].account))
			census_say(c, "a row of table %s belongs to account %llu, which is gone",
				   table_name(o[i].table), (ull)o[i].account.v);
}

static int by_account_and_name(const void *a, const void *b)
{
	const struct census_mailbox *x = a;
	const struct census_mailbox *y = b;
	int rc = compare_u64(x->account.v, y->account.v);

	return rc != 0 ? rc : strcmp(x->name.at, y->name.at);
}

static void check_names(struct census *c)
{
	const struct census_mailbox *m = c->mailboxes.at;

	if (c->mailboxes.count > 0)
		qsort(c->mailboxes.at, c->mailboxes.count, sizeof(*m), by_account_and_name);
	for (size_t i = 1; i < c->mailboxes.count; i++)
		if (by_account_and_name(&m[i - 1], &m[i]) == 0)
			census_say(c, "account %llu has two mailboxes %s", (ull)m[i].account.v,
				   m[i].name.at);
}

static void check_mailboxes(struct census *c)
{
	const struct census_mailbox *m = c->mailboxes.at;

	check_names(c);
	if (c->mailboxes.count > 0)
		qsort(c->mailboxes.at, c->mailboxes.count, sizeof(*m), by_mailbox_id);
	if (c->counters.count > 0)
		qsort(c->counters.at, c->counters.count, sizeof(struct census_counters),
		      by_counters_mailbox);
	for (size_t i = 0; i < c->mailboxes.count; i++) {
		const struct census_counters *n = counters_find(c, m[i].id);

		if (i > 0 && m[i].id.v == m[i - 1].id.v)
			census_say(c, "two mailboxes have id %llu", (ull)m[i].id.v);
		if (m[i].id.v >= c->partition.next_mailbox)
			census_say(c, "mailbox %s has id %llu, but the next is %llu", m[i].name.at,
				   (ull)m[i].id.v, (ull)c->partition.next_mailbox);
		if (m[i].uidvalidity == 0 || m[i].uidvalidity > c->partition.last_uidvalidity)
			census_say(c, "mailbox %s has uidvalidity %u, but the last given is %u",
				   m[i].name.at, m[i].uidvalidity, c->partition.last_uidvalidity);
		if (!has_account(c, m[i].account))
			census_say(c, "mailbox %s belongs to account %llu, which is gone",
				   m[i].name.at, (ull)m[i].account.v);
		if (n == NULL || n->account.v != m[i].account.v)
			census_say(c, "mailbox %s has no counters", m[i].name.at);
		if (is_purged(c, m[i].id))
			census_say(c, "mailbox %s is to be purged but exists", m[i].name.at);
	}
	if (c->counters.count != c->mailboxes.count)
		census_say(c, "%zu mailboxes have %zu rows of counters", c->mailboxes.count,
			   c->counters.count);
}

/* Usage and counters are both in the order of accounts. */
static void check_usage(struct census *c)
{
	const struct census_usage *u = c->usages.at;
	const struct census_counters *n = c->counters.at;
	size_t j = 0;

	for (size_t i = 0; i < c->usages.count; i++) {
		uint64_t bytes = 0;
		uint64_t messages = 0;

		while (j < c->counters.count && n[j].account.v < u[i].account.v)
			j++;
		for (; j < c->counters.count && n[j].account.v == u[i].account.v; j++) {
			bytes += n[j].row->bytes;
			messages += n[j].row->exists;
		}
		if (!has_account(c, u[i].account))
			census_say(c, "usage of account %llu, which is gone", (ull)u[i].account.v);
		if (bytes != u[i].bytes || messages != u[i].messages)
			census_say(c,
				   "account %llu: usage says %llu messages, %llu bytes; its "
				   "mailboxes have %llu, %llu",
				   (ull)u[i].account.v, (ull)u[i].messages, (ull)u[i].bytes,
				   (ull)messages, (ull)bytes);
	}
	if (c->usages.count != c->accounts.count)
		census_say(c, "%zu accounts have %zu rows of usage", c->accounts.count,
			   c->usages.count);
}

/* ---- messages and flags ---- */

/* What the rows of one mailbox add up to. */
struct sums {
	mailbox_id mailbox;
	uint32_t exists, unseen, deleted;
	uint64_t bytes, deleted_bytes;
	uint64_t highest;
	uint32_t uid;
};

static void compare_number(struct census *c, const struct sums *s, const char *what, uint64_t said,
			   uint64_t is)
{
	if (said != is)
		census_say(c, "mailbox %llu: %s is %llu, its rows say %llu", (ull)s->mailbox.v,
			   what, (ull)said, (ull)is);
}

static void compare_sums(struct census *c, const struct sums *s)
{
	const struct census_counters *n = counters_find(c, s->mailbox);

	if (n == NULL)
		return; /* told already, or being purged */
	compare_number(c, s, "exists", n->row->exists, s->exists);
	compare_number(c, s, "unseen", n->row->unseen, s->unseen);
	compare_number(c, s, "deleted", n->row->deleted, s->deleted);
	compare_number(c, s, "bytes", n->row->bytes, s->bytes);
	compare_number(c, s, "deleted_bytes", n->row->deleted_bytes, s->deleted_bytes);
	if (s->uid >= n->row->uidnext)
		census_say(c, "mailbox %llu: uidnext is %u, but there is uid %u", (ull)s->mailbox.v,
			   n->row->uidnext, s->uid);
	if (s->highest > n->row->highestmodseq)
		census_say(c, "mailbox %llu: highestmodseq is %llu, but a message has %llu",
			   (ull)s->mailbox.v, (ull)n->row->highestmodseq, (ull)s->highest);
	if (n->row->recent_from == 0 || n->row->recent_from > n->row->uidnext)
		census_say(c, "mailbox %llu: recent_from is %u, uidnext %u", (ull)s->mailbox.v,
			   n->row->recent_from, n->row->uidnext);
}

static void sum_up(struct sums *s, const struct census_flags *f)
{
	bool deleted = (f->system & FLAG_DELETED) != 0;

	s->exists++;
	s->unseen += (f->system & FLAG_SEEN) == 0;
	s->deleted += deleted;
	s->bytes += f->size;
	s->deleted_bytes += deleted ? f->size : 0;
	s->highest = f->modseq > s->highest ? f->modseq : s->highest;
	s->uid = f->uid.v;
}

/* Mailboxes and flags rows in the same order: by mailbox id. */
static void check_counters(struct census *c)
{
	const struct census_mailbox *m = c->mailboxes.at;
	const struct census_flags *f = c->flags.at;
	size_t at = 0;

	for (size_t i = 0; i < c->mailboxes.count; i++) {
		struct sums s = { .mailbox = m[i].id };

		while (at < c->flags.count && f[at].mailbox.v < m[i].id.v)
			at++;
		for (; at < c->flags.count && f[at].mailbox.v == m[i].id.v; at++)
			sum_up(&s, &f[at]);
		compare_sums(c, &s);
	}
}

/* Every message has a flags row with its size, and the other way round. */
static void check_pairs(struct census *c)
{
	const struct census_message *m = c->messages.at;
	const struct census_flags *f = c->flags.at;
	size_t j = 0;

	for (size_t i = 0; i < c->messages.count || j < c->flags.count;) {
		struct census_message other = { 0 };

		if (j < c->flags.count)
			other = (struct census_message){ .mailbox = f[j].mailbox, .uid = f[j].uid };
		int order = i == c->messages.count ? 1
			    : j == c->flags.count  ? -1
						   : by_message(&m[i], &other);
		if (order != 0)
			census_say(c, "mailbox %llu, uid %u: there is only a row of %s",
				   (ull)(order < 0 ? m[i].mailbox.v : other.mailbox.v),
				   order < 0 ? m[i].uid.v : other.uid.v,
				   order < 0 ? "message" : "flags");
		else if (m[i].info.size != f[j].size)
			census_say(c,
				   "mailbox %llu, uid %u: its size is %llu in message, %u in flags",
				   (ull)m[i].mailbox.v, m[i].uid.v, (ull)m[i].info.size, f[j].size);
		if (order <= 0 && !has_owner(c, m[i].mailbox) &&
		    (i == 0 || m[i - 1].mailbox.v != m[i].mailbox.v))
			census_say(c, "messages of mailbox %llu, which is gone",
				   (ull)m[i].mailbox.v);
		i += order <= 0;
		j += order >= 0;
	}
}

static int by_slot(const void *a, const void *b)
{
	const struct census_slot *x = a;
	const struct census_keyword *y = b;
	int rc = compare_u64(x->mailbox.v, y->mailbox.v);

	return rc != 0 ? rc : (x->slot > y->slot) - (x->slot < y->slot);
}

static void check_keywords(struct census *c)
{
	const struct census_keyword *k = c->keywords.at;
	const struct census_slot *s = c->slots.at;

	for (size_t i = 0; i < c->keywords.count; i++)
		if (!has_owner(c, k[i].mailbox))
			census_say(c, "a keyword of mailbox %llu, which is gone",
				   (ull)k[i].mailbox.v);
	for (size_t i = 0; i < c->slots.count; i++) {
		bool named = c->keywords.count > 0 &&
			     bsearch(&s[i], k, c->keywords.count, sizeof(*k), by_slot) != NULL;

		if (!named && !is_purged(c, s[i].mailbox))
			census_say(c, "mailbox %llu: keyword slot %u is in use and has no name",
				   (ull)s[i].mailbox.v, s[i].slot);
	}
}

/* ---- vanished ---- */

static void check_gone(struct census *c, const struct census_vanished *v)
{
	const struct census_message *m = c->messages.at;
	struct uidset_iter it;
	struct uid_range range = { 0, 0 };
	const struct census_counters *n = counters_find(c, v->mailbox);

	uidset_iter_init(&it, v->uids);
	while (uidset_iter_next(&it, &range)) {
		size_t i = message_from(c, v->mailbox, range.lo);

		if (i < c->messages.count && m[i].mailbox.v == v->mailbox.v &&
		    m[i].uid.v <= range.hi)
			census_say(c, "mailbox %llu: uid %u has vanished but exists",
				   (ull)v->mailbox.v, m[i].uid.v);
	}
	if (it.corrupt || range.lo == 0)
		census_say(c, "mailbox %llu: the vanished row of modseq %llu is damaged",
			   (ull)v->mailbox.v, (ull)v->modseq.v);
	if (n != NULL && (range.hi >= n->row->uidnext || v->modseq.v > n->row->highestmodseq ||
			  v->modseq.v <= n->row->horizon))
		census_say(c,
			   "mailbox %llu: vanished row of modseq %llu, up to uid %u, with horizon "
			   "%llu, highestmodseq %llu, uidnext %u",
			   (ull)v->mailbox.v, (ull)v->modseq.v, range.hi, (ull)n->row->horizon,
			   (ull)n->row->highestmodseq, n->row->uidnext);
}

static void check_vanished(struct census *c)
{
	const struct census_vanished *v = c->vanished.at;
	const struct census_counters *n = c->counters.at;

	for (size_t i = 0; i < c->vanished.count; i++) {
		if (!has_owner(c, v[i].mailbox))
			census_say(c, "a vanished row of mailbox %llu, which is gone",
				   (ull)v[i].mailbox.v);
		check_gone(c, &v[i]);
	}
	for (size_t i = 0, at = 0; i < c->counters.count; i++) {
		uint32_t rows = 0;

		while (at < c->vanished.count && v[at].mailbox.v < n[i].mailbox.v)
			at++;
		for (; at < c->vanished.count && v[at].mailbox.v == n[i].mailbox.v; at++)
			rows++;
		if (rows != n[i].row->vanished_rows)
			census_say(c, "mailbox %llu: %u vanished rows, the counters say %u",
				   (ull)n[i].mailbox.v, rows, n[i].row->vanished_rows);
	}
}

/* ---- bodies ---- */

static int by_body(const void *a, const void *b)
{
	const struct census_message *x = a;
	const struct census_message *y = b;
	int rc = memcmp(x->info.guid.b, y->info.guid.b, 16);

	return rc != 0 ? rc : by_message(a, b);
}

/* From here on messages are in the order of their bodies. */
static void check_bodyrefs(struct census *c)
{
	const struct census_message *m = c->messages.at;
	const struct census_bodyref *r = c->bodyrefs.at;
	size_t j = 0;

	if (c->messages.count > 0)
		qsort(c->messages.at, c->messages.count, sizeof(*m), by_body);
	for (size_t i = 0; i < c->messages.count || j < c->bodyrefs.count;) {
		struct census_message other = { 0 };

		if (j < c->bodyrefs.count)
			other = (struct census_message){ .mailbox = r[j].mailbox,
							 .uid = r[j].uid,
							 .info.guid = r[j].guid };
		int order = i == c->messages.count   ? 1
			    : j == c->bodyrefs.count ? -1
						     : by_body(&m[i], &other);
		if (order != 0)
			census_say(c, "mailbox %llu, uid %u: %s",
				   (ull)(order < 0 ? m[i].mailbox.v : other.mailbox.v),
				   order < 0 ? m[i].uid.v : other.uid.v,
				   order < 0 ? "no reference to its body"
					     : "a reference to a body, but no message");
		i += order <= 0;
		j += order >= 0;
	}
}

static int by_guid_of_message(const void *key, const void *at)
{
	return memcmp(((const guid *)key)->b, ((const struct census_message *)at)->info.guid.b, 16);
}

static bool is_referenced(const struct census *c, guid g)
{
	return c->messages.count > 0 &&
	       bsearch(&g, c->messages.at, c->messages.count, sizeof(struct census_message),
		       by_guid_of_message) != NULL;
}

static int by_guid_of_body(const void *key, const void *at)
{
	return memcmp(((const guid *)key)->b, ((const struct census_body *)at)->guid.b, 16);
}

static bool body_fits(const struct census_body *b, uint32_t chunks, bool shape, uint64_t size)
{
	uint32_t want = chunks == 0 ? 1 : chunks;

	return b->chunks == want && !b->gap && !b->short_chunk && (shape || b->bytes == size);
}

/* The body (or shape) of each message is there, whole, and no candidate. */
static void check_bodies(struct census *c, const struct census_list *list, bool shape)
{
	const char *what = shape ? "shape" : "body";
	const struct census_message *m = c->messages.at;

	for (size_t i = 0; i < c->messages.count; i++) {
		const struct message_info *info = &m[i].info;
		const struct census_body *b = list->count == 0
						      ? NULL
						      : bsearch(&info->guid, list->at, list->count,
								sizeof(*b), by_guid_of_body);

		if (b == NULL && (shape || info->size > 0))
			census_say(c, "mailbox %llu, uid %u: its %s is not there",
				   (ull)m[i].mailbox.v, m[i].uid.v, what);
		else if (b != NULL && !body_fits(b, shape ? info->shape_chunks : info->chunks,
						 shape, info->size))
			census_say(c, "mailbox %llu, uid %u: its %s is incomplete",
				   (ull)m[i].mailbox.v, m[i].uid.v, what);
		if (!shape && candidate_find(c, info->guid) != NULL)
			census_say(c, "mailbox %llu, uid %u: its body is a candidate",
				   (ull)m[i].mailbox.v, m[i].uid.v);
	}
}

/* Every other body (or shape) is a candidate, which knows of all its chunks. */
static void check_unreferenced(struct census *c, const struct census_list *list, bool shape)
{
	const struct census_body *b = list->at;

	for (size_t i = 0; i < list->count; i++) {
		const struct census_candidate *k = candidate_find(c, b[i].guid);

		if (!is_referenced(c, b[i].guid) &&
		    (k == NULL || b[i].chunks > (shape ? k->row.shape_chunks : k->row.chunks)))
			census_say(c,
				   "a %s of %llu bytes belongs to no message and is no candidate",
				   shape ? "shape" : "body", (ull)b[i].bytes);
	}
}

/* ---- the log ---- */

struct log_check {
	struct census *c;
	struct cut *cut;
	uint64_t applied, version, entries;
	bool stopped;
};

static int log_entry_check(void *data, struct log_entry **e)
{
	struct log_check *l = data;

	l->entries++;
	if ((*e)->version < l->version)
		census_say(l->c, "log: seq %llu has version %llu after %llu", (ull)(*e)->seq.v,
			   (ull)(*e)->version, (ull)l->version);
	l->version = (*e)->version;
	if ((*e)->seq.v <= l->applied || l->stopped)
		return OK;
	int rc = cut_add(l->cut, *e); /* never written */
	if (rc != ERR_CORRUPT)
		return rc;
	census_say(l->c, "log: seq %llu does not fit what is stored", (ull)(*e)->seq.v);
	l->stopped = true;
	return OK;
}

static int check_entries(struct db *db, struct census *c, const struct db_partition *part,
			 uint64_t *entries)
{
	struct log_check l = { .c = c,
			       .cut = cut_new(db->state_kv),
			       .applied = part->applied.seq.v };
	int rc = cut_begin(l.cut, c->p);

	if (rc == OK)
		rc = log_read(db->log, c->p.partition, (log_seq){ part->log.base.seq.v + 1 },
			      log_entry_check, &l);
	if (rc == ERR_CORRUPT || rc == ERR_NOT_FOUND) {
		census_say(c, "log: a gap or a damaged row after %llu entries", (ull)l.entries);
		rc = OK;
	}
	*entries += l.entries;
	cut_free(&l.cut);
	return rc;
}

static int check_log(struct db *db, struct census *c, uint64_t *entries)
{
	struct db_partition part;
	int rc = db_partition(db, c->p.partition, &part);

	if (rc == ERR_CORRUPT) {
		census_say(c, "its row, or what it says of the log, is damaged");
		return OK;
	}
	if (rc < 0)
		return rc;
	if (part.seam == SEAM_DAMAGED)
		census_say(c, "log %llu..%llu does not join the state at %llu",
			   (ull)part.log.base.seq.v, (ull)part.log.last.seq.v,
			   (ull)part.applied.seq.v);
	if (part.short_of_mark)
		census_say(c,
			   "log ends at %llu (version %llu), but %llu (version %llu) was "
			   "acknowledged",
			   (ull)part.log.last.seq.v, (ull)part.log.last.version,
			   (ull)part.mark.seq.v, (ull)part.mark.version);
	return check_entries(db, c, &part, entries);
}

/* ---- all of it ---- */

static void check_census(struct census *c)
{
	check_accounts(c);
	check_usage(c);
	check_mailboxes(c);
	check_counters(c);
	check_pairs(c);
	check_keywords(c);
	check_vanished(c);
	check_bodyrefs(c);
	check_bodies(c, &c->bodies, false);
	check_bodies(c, &c->shapes, true);
	check_unreferenced(c, &c->bodies, false);
	check_unreferenced(c, &c->shapes, true);
}

static void add_up(const struct census *c, struct check_result *to)
{
	const struct census_flags *f = c->flags.at;

	to->findings += c->findings;
	to->accounts += c->accounts.count;
	to->mailboxes += c->mailboxes.count;
	to->messages += c->messages.count;
	to->bodies += c->bodies.count;
	for (size_t i = 0; i < c->flags.count; i++)
		to->message_bytes += f[i].size;
}

struct strangers {
	void (*finding)(void *data, const char *text);
	void *data;
	uint64_t count;
};

static int stranger(void *data, struct span key, struct span value)
{
	struct strangers *s = data;

	(void)key;
	(void)value;
	s->finding(s->data, "a row belongs to a partition that does not exist");
	s->count++;
	return OK;
}

/* Nothing may stand behind the last partition. */
static int check_strangers(struct db *db, struct strangers *s)
{
	static const uint8_t end[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t lo[2];
	int rc = OK;

	be16_put(lo, (uint16_t)db->identity.partitions);
	for (int f = 0; rc == OK && f < KV_FAMILIES; f++)
		rc = kv_iterate(db->state_kv, NULL, (enum kv_family)f,
				(struct kv_range){ span_of(lo, 2), span_of(end, sizeof(end)) },
				stranger, s);
	return rc;
}

static int check_partition(struct db *db, partition_id p, struct strangers *s,
			   struct check_result *r)
{
	struct census c;
	int rc = census_read(db->state_kv, store_pgen(db->store, p), s->finding, s->data, &c);

	if (rc == ERR_CORRUPT) {
		s->finding(s->data, "a block of state/ is damaged: a partition cannot be read");
		r->findings++;
		return OK;
	}
	if (rc < 0)
		return rc;
	check_census(&c);
	rc = check_log(db, &c, &r->log_entries);
	add_up(&c, r);
	census_free(&c);
	return rc;
}

int check_db(struct db *db, void (*finding)(void *data, const char *text), void *data,
	     struct check_result *ret)
{
	struct check_result r = { 0 };
	struct strangers s = { finding, data, 0 };
	int rc = check_strangers(db, &s);

	r.findings = s.count;
	for (unsigned p = 0; rc == OK && p < db->identity.partitions; p++)
		rc = check_partition(db, (partition_id){ (uint16_t)p }, &s, &r);
	if (rc == OK)
		*ret = r;
	return rc;
}
