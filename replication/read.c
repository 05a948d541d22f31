#include "replication/read.h"

#include "replication/load.h"
#include "replication/node.h"
#include "replication/owner.h"
#include "replication/read_changes.h"
#include "replication/reader.h"
#include "storage/base/logfmt.h"
#include "storage/base/loop.h"
#include "storage/base/workpool.h"

#include <assert.h>

enum {
	INLINE_MESSAGES_MAX = 2000, /* more are a reader's work */
};

/* A reader under way: it runs on a thread for one frame, comes back with it, and waits here for
 * the next credit. */
struct read_run {
	struct job job;
	struct message message;
	struct owner *owner;
	struct read_job *read_job; /* NULL: cancelled and answered */
	struct reader *reader;
	Tm__ReadFrame frame;
	int more;
	bool running; /* on a reader thread, or its frame is being told */
};

static void end_read(struct read_job *j, Tm__Outcome outcome, const char *text)
{
	Tm__ReadFrame f = TM__READ_FRAME__INIT;
	char copy[128];

	g_strlcpy(copy, text, sizeof(copy));
	f.request = j->read->request;
	f.end = true;
	f.outcome = outcome;
	f.text = copy;
	j->reply(j, &f);
}

static void end_unreadable(struct read_job *j, int rc)
{
	log_error("the message store cannot be read", LOG_STR("account", j->read->account),
		  LOG_STR("mailbox", j->read->name), LOG_ERR(rc));
	end_read(j, TM__OUTCOME__UNAVAILABLE, "The message store cannot be read");
}

/* ---- readers ---- */

static void run_free(struct read_run **rr)
{
	struct read_run *r = *rr;

	if (r == NULL)
		return;
	reader_free(&r->reader);
	g_free(r);
	*rr = NULL;
}

static void run_on_thread(struct job *job, unsigned worker)
{
	struct read_run *r = (struct read_run *)job;

	(void)worker;
	r->more = reader_next(r->reader, &r->frame);
	inbox_force_one(loop_inbox(r->owner->loop), &r->message);
}

static void start_next(struct read_run *r)
{
	assert(!r->running && r->read_job != NULL);
	r->running = true;
	if (workpool_offer(r->owner->node->readers, &r->job) == OK)
		return;
	r->running = false;
	struct read_job *j = r->read_job;

	j->run = NULL;
	run_free(&r);
	end_read(j, TM__OUTCOME__UNAVAILABLE, "Too much to read at once");
}

static void send_frame(struct read_job *j, Tm__ReadFrame *f)
{
	f->request = j->read->request;
	if (j->credits > 0)
		j->credits--;
	j->reply(j, f);
}

static void frame_is_there(struct message *message, void *receiver)
{
	struct read_run *r =
		(struct read_run *)((char *)message - offsetof(struct read_run, message));
	struct read_job *j = r->read_job;

	(void)receiver;
	if (r->more > 0 && !j->cancelled) {
		send_frame(j,
			   &r->frame); /* it may give credit or cancel, but needs the frame yet */
		r->running = false;
		if (!j->cancelled) {
			if (j->credits > 0)
				start_next(r);
			return;
		}
	}
	r->running = false;
	/* The end, whatever it is. The job is its owner's again after the reply. */
	j->run = NULL;
	if (r->more == 0 && !j->cancelled)
		send_frame(j, &r->frame);
	else if (r->more >= 0)
		end_read(j, TM__OUTCOME__DONE, "Cancelled");
	else
		end_unreadable(j, r->more);
	run_free(&r);
}

static void drop_frame(struct message *message)
{
	struct read_run *r =
		(struct read_run *)((char *)message - offsetof(struct read_run, message));

	run_free(&r);
}

static void drop_job(struct job *job)
{
	struct read_run *r = (struct read_run *)job;

	run_free(&r);
}

static void begin_run(struct partition *p, struct read_job *j, struct reader *reader)
{
	struct read_run *r = g_new0(struct read_run, 1);

	r->job.run = run_on_thread;
	r->job.drop = drop_job;
	r->message.deliver = frame_is_there;
	r->message.drop = drop_frame;
	r->owner = p->owner;
	r->read_job = j;
	r->reader = reader;
	j->run = r;
	if (j->credits > 0)
		start_next(r);
}

/* Short and without the store: all frames here and now. */
static void run_inline(struct read_job *j, struct reader *reader)
{
	Tm__ReadFrame f;
	int more;

	do {
		more = reader_next(reader, &f);
		if (more < 0)
			end_unreadable(j, more);
		else
			send_frame(j, &f);
	} while (more > 0);
	reader_free(&reader);
}

void read_credit(struct partition *p, struct read_job *j, unsigned frames)
{
	(void)p;
	j->credits += frames;
	if (j->run != NULL && !j->run->running && !j->cancelled)
		start_next(j->run);
}

void read_cancel(struct partition *p, struct read_job *j)
{
	(void)p;
	j->cancelled = true;
	if (j->run == NULL || j->run->running)
		return;
	struct read_run *r = j->run;

	j->run = NULL;
	run_free(&r);
	end_read(j, TM__OUTCOME__DONE, "Cancelled");
}

/* ---- reads of a mailbox ---- */

static uint64_t messages_concerned(const struct mailbox *m, const Tm__Read *read)
{
	struct uidset_iter it;
	struct uid_range r;
	uint64_t n = 0;
	const ProtobufCBinaryData *uids =
		read->what_case == TM__READ__WHAT_FETCH ? &read->fetch->uids : &read->search->uids;

	uidset_iter_init(&it, span_of(uids->data, uids->len));
	while (uidset_iter_next(&it, &r))
		n += r.hi - r.lo + 1;
	return n < m->pages->counters.exists ? n : m->pages->counters.exists;
}

static bool asks_messages(const struct read_job *j)
{
	return j->read->what_case == TM__READ__WHAT_FETCH ||
	       j->read->what_case == TM__READ__WHAT_SEARCH;
}

/* What comes after the first frame: the rows from `rest` on (0: none), then the messages. */
static void read_on(struct partition *p, struct mailbox *m, struct read_job *j, uint32_t rest)
{
	struct reader *reader = NULL;
	bool long_work = rest != 0;
	int rc = OK;

	if (asks_messages(j)) {
		struct mailbox_pages *pin = pages_pin(m->pages);
		bool needs_store = false;

		rc = reader_new(&pin, j->read, p->owner->node->db->store, p->id, &reader);
		if (rc == OK)
			rc = reader_needs_store(j->read, &needs_store);
		long_work = long_work || needs_store ||
			    messages_concerned(m, j->read) > INLINE_MESSAGES_MAX;
	}
	if (rc != OK) {
		reader_free(&reader);
		end_read(j, TM__OUTCOME__CANNOT, "The request cannot be read");
		return;
	}
	if (rest != 0) {
		struct mailbox_pages *pin = pages_pin(m->pages);

		reader = rows_reader_new(&pin, j->read->known, rest, &reader);
	}
	if (long_work)
		begin_run(p, j, reader);
	else
		run_inline(j, reader);
}

/* Changes S..S' and what vanished, from the same state that the data come from. */
static void read_mailbox(struct partition *p, struct mailbox *m, struct read_job *j)
{
	Tm__ReadFrame f = TM__READ_FRAME__INIT;
	struct arena *a = &p->owner->arena;
	uint32_t rest = 0;
	struct changes_source source = { .pages = m->pages,
					 .ring = m->ring,
					 .vanished = m->vanished };

	f.mailbox = m->id.v;
	if (j->read->known != NULL)
		f.changes = read_changes(&source, j->read->known, a, &rest);
	bool renumbered = j->read->uidvalidity != 0 && j->read->uidvalidity != m->uidvalidity;

	if (f.changes != NULL && j->read->known->seen != 0)
		f.changes->renumbered = renumbered;
	if (j->read->vanished != NULL && !renumbered) {
		f.has_vanished = true;
		f.vanished = read_vanished(&source, j->read->vanished, a);
	}
	f.end = !asks_messages(j) && rest == 0;
	bool more = !f.end;

	if (f.end || f.changes != NULL || f.has_vanished) {
		j->credits++; /* the first frame is free */
		send_frame(j, &f);
	}
	arena_reset(a);
	if (more)
		read_on(p, m, j, rest);
}

/* ---- reads of an account ---- */

struct listing {
	struct arena *arena;
	Tm__MailboxList *list;
	const Tm__ListMailboxes *request;
};

static gboolean list_mailbox(gpointer key, gpointer value, gpointer data)
{
	struct listing *l = data;
	const struct mailbox *m = value;

	if (l->request->only != NULL && l->request->only[0] != '\0' &&
	    strcmp(l->request->only, key) != 0)
		return FALSE;
	Tm__ListedMailbox *out = arena_alloc(l->arena, sizeof(*out));

	tm__listed_mailbox__init(out);
	out->row = arena_alloc(l->arena, sizeof(*out->row));
	tm__mailbox_row__init(out->row);
	out->row->id = m->id.v;
	out->row->name = m->name;
	out->row->uidvalidity = m->uidvalidity;
	out->row->special_use = m->special_use;
	out->row->created = m->created;
	if (l->request->status) {
		out->counters = arena_alloc(l->arena, sizeof(*out->counters));
		counters_to_row(&m->pages->counters, out->counters);
	}
	l->list->mailboxes[l->list->n_mailboxes++] = out;
	return FALSE;
}

static gboolean list_subscription(gpointer key, gpointer value, gpointer data)
{
	Tm__MailboxList *list = data;

	(void)value;
	list->subscriptions[list->n_subscriptions++] = key;
	return FALSE;
}

static void read_list(struct partition *p, struct account *a, struct read_job *j)
{
	Tm__ReadFrame f = TM__READ_FRAME__INIT;
	Tm__MailboxList list = TM__MAILBOX_LIST__INIT;
	struct arena *arena = &p->owner->arena;
	struct listing l = { arena, &list, j->read->list };

	list.mailboxes =
		arena_alloc(arena, (g_hash_table_size(a->by_id) + 1) * sizeof(*list.mailboxes));
	list.subscriptions = arena_alloc(arena, ((size_t)g_tree_nnodes(a->subscriptions) + 1) *
							sizeof(*list.subscriptions));
	g_tree_foreach(a->by_name, list_mailbox, &l);
	g_tree_foreach(a->subscriptions, list_subscription, &list);
	list.listseq = a->usage.listseq;
	f.list = &list;
	f.end = true;
	send_frame(j, &f);
	arena_reset(arena);
}

static void read_account(struct account *a, struct read_job *j)
{
	Tm__ReadFrame f = TM__READ_FRAME__INIT;

	f.account = a->row;
	f.end = true;
	send_frame(j, &f);
}

/* ---- which of them ---- */

static bool find_mailbox(struct partition *p, struct account *a, struct read_job *j)
{
	struct mailbox *m = j->read->mailbox != 0
				    ? account_mailbox(a, (mailbox_id){ j->read->mailbox })
				    : account_mailbox_named(a, j->read->name);

	if (m == NULL) {
		end_read(j, TM__OUTCOME__NO_MAILBOX, "No such mailbox");
		return true;
	}
	m->used_ms = owner_now_ms(p->owner);
	if (!m->loaded) {
		load_mailbox(p, m);
		return false;
	}
	read_mailbox(p, m, j);
	return true;
}

/* False: it has to wait for a load. */
static bool answer(struct partition *p, struct read_job *j)
{
	struct account *a;

	if (j->cancelled) {
		end_read(j, TM__OUTCOME__DONE, "Cancelled");
		return true;
	}
	a = partition_account(p, j->read->account);
	switch (a->state) {
	case ACCOUNT_LOADING: load_account(p, a); return false;
	case ACCOUNT_ABSENT: end_read(j, TM__OUTCOME__NO_ACCOUNT, "No such account"); return true;
	case ACCOUNT_LOADED: break;
	}
	switch ((int)j->read->what_case) {
	case TM__READ__WHAT_LIST: read_list(p, a, j); return true;
	case TM__READ__WHAT_ACCOUNT_ROW: read_account(a, j); return true;
	default: return find_mailbox(p, a, j);
	}
}

static void push(struct partition *p, struct read_job *j)
{
	j->next = NULL;
	if (p->reads_first == NULL)
		p->reads_first = j;
	else
		p->reads_last->next = j;
	p->reads_last = j;
}

int partition_offer_read(struct partition *p, struct read_job *j)
{
	if (p->reads_waiting >= PARTITION_WAITING_MAX_OPS)
		return ERR_BUSY;
	p->reads_waiting++;
	j->run = NULL;
	push(p, j);
	owner_ready(p->owner, p);
	return OK;
}

void read_turn(struct partition *p)
{
	struct read_job *list = p->reads_first;

	if (p->stopped) {
		p->reads_first = NULL;
		while (list != NULL) {
			struct read_job *j = list;

			list = j->next;
			p->reads_waiting--;
			end_read(j, TM__OUTCOME__UNAVAILABLE, "The mailbox store is damaged");
		}
		return;
	}
	if (!partition_recovered(p))
		return;
	p->reads_first = NULL;
	while (list != NULL) {
		struct read_job *j = list;

		list = j->next;
		p->reads_waiting--;
		if (!answer(p, j)) {
			p->reads_waiting++;
			j->next = p->parked_reads;
			p->parked_reads = j;
		}
	}
}

void read_unpark(struct partition *p)
{
	while (p->parked_reads != NULL) {
		struct read_job *j = p->parked_reads;

		p->parked_reads = j->next;
		push(p, j);
	}
}

static void take_expired(struct read_job **first, uint64_t now_ms, struct read_job **expired)
{
	for (struct read_job **at = first; *at != NULL;) {
		struct read_job *j = *at;

		if (j->expires_ms > now_ms && !j->cancelled) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		j->next = *expired;
		*expired = j;
	}
}

void read_expire(struct partition *p, uint64_t now_ms)
{
	struct read_job *expired = NULL;

	take_expired(&p->parked_reads, now_ms, &expired);
	take_expired(&p->reads_first, now_ms, &expired);
	for (p->reads_last = p->reads_first; p->reads_last != NULL && p->reads_last->next != NULL;)
		p->reads_last = p->reads_last->next;
	while (expired != NULL) {
		struct read_job *j = expired;

		expired = j->next;
		p->reads_waiting--;
		end_read(j, j->cancelled ? TM__OUTCOME__DONE : TM__OUTCOME__UNAVAILABLE,
			 "No answer in time");
	}
}
