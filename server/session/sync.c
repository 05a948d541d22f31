#include "server/session/sync.h"

#include "server/session/tell.h"
#include "storage/base/err.h"
#include "storage/base/limits.h"
#include "storage/base/logfmt.h"

#include <assert.h>

enum { CLAIMS_MAX = 3 }; /* in one read; then what came since shows as not recent */

static void frame(struct session *s, struct command *c, const Tm__ReadFrame *f);

/* What is \Recent goes along with every try, as a claim may have added to it. */
static void send(struct session *s)
{
	Tm__Read *r = &s->read.read;
	struct uidset *recent = &session_scratch(s)->sync_set;
	bool search = r->what_case == TM__READ__WHAT_SEARCH;

	if (search || r->what_case == TM__READ__WHAT_FETCH) {
		uidset_copy(recent, &s->selected.recent);
		uidset_union(recent, &s->sync.recent);
		*(search ? &r->search->recent : &r->fetch->recent) =
			uidset_encode_arena(recent, &s->command->arena);
	}
	session_send_read(s, frame);
}

void sync_skip(struct session *s, const struct uidset *uids, uint64_t above, uint64_t up_to)
{
	s->sync.skip = uids;
	s->sync.skip_above = above;
	s->sync.skip_up_to = up_to;
}

/* ---- \Recent ---- */

static bool wants_claim(const struct session *s, const Tm__Changes *ch)
{
	const struct sync *y = &s->sync;
	bool any = y->selecting ? ch->exists > 0 : ch->full || ch->new_uids.len > 0;

	return any && !y->read_only && y->claims < CLAIMS_MAX && ch->uidnext > ch->recent_from &&
	       ch->uidnext > y->claimed_up_to;
}

static void on_claimed(struct session *s, struct command *c, const Tm__OpResult *r)
{
	struct sync *y = &s->sync;
	uint32_t from = y->claim_from;

	(void)c;
	if (r->outcome == TM__OUTCOME__UNKNOWN_FATE) {
		/* It may have been claimed by us or by nobody: either way it is shown. */
	} else if (r->outcome == TM__OUTCOME__DONE && r->what_case == TM__OP_RESULT__WHAT_UIDS) {
		from = r->uids->recent_from;
	}
	if (from == 0)
		from = 1;
	if (from < y->claimed_up_to)
		uidset_add_range(&y->recent, from, y->claimed_up_to - 1);
	y->claiming = false;
	send(s); /* the same again, with the same S */
}

static void claim(struct session *s)
{
	Tm__Op *op = session_op(s);
	Tm__ClaimRecent *what = arena_alloc(&s->command->arena, sizeof(*what));

	tm__claim_recent__init(what);
	what->mailbox = s->sync.mailbox.v;
	what->up_to = s->sync.claimed_up_to;
	op->what_case = TM__OP__WHAT_CLAIM_RECENT;
	op->claim_recent = what;
	session_send_op(s, on_claimed);
}

/* Cut the read off; the claim goes out when its end is here. */
static void begin_claim(struct session *s, const Tm__ReadFrame *f)
{
	struct sync *y = &s->sync;

	y->claiming = true;
	y->claims++;
	y->claim_from = f->changes->recent_from;
	y->claimed_up_to = f->changes->uidnext;
	if (y->selecting)
		y->mailbox = (mailbox_id){ f->mailbox };
	if (f->end)
		claim(s);
	else
		session_cancel_read(s);
}

/* ---- frames ---- */

static void frame(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	struct sync *y = &s->sync;

	if (y->claiming) {
		if (f->end)
			claim(s);
		return;
	}
	if (f->changes != NULL && wants_claim(s, f->changes)) {
		begin_claim(s, f);
		return;
	}
	if (f->changes != NULL && !y->selecting && tell_changes(s, f->changes) < 0) {
		log_error("changes contradict themselves", LOG_SESSION(s->id),
			  LOG_U64("mailbox", y->mailbox.v), LOG_END);
		session_bye(s, "SERVERBUG", "The server lost track of the mailbox");
		return;
	}
	if (f->end && session_ends_with(s, f->outcome, !y->selecting))
		return;
	if (!session_is_dead(s))
		y->then(s, c, f);
}

static void begin(struct session *s, read_then *then)
{
	struct sync *y = &s->sync;

	y->then = then;
	y->claiming = false;
	y->claims = 0;
	s->read.read.known = &s->known;
	send(s);
}

void sync_send_read(struct session *s, read_then *then)
{
	const struct selected *sel = &s->selected;

	assert(session_is_selected(s));
	tm__known__init(&s->known);
	s->known.seen = view_seen(&sel->view).v;
	s->known.uidnext = view_uidnext(&sel->view);
	s->known.keywords_version = sel->keywords_version;
	s->known.want_rows = true;
	s->read.read.mailbox = sel->mailbox.v;
	s->read.read.uidvalidity = sel->uidvalidity;
	s->sync.mailbox = sel->mailbox;
	s->sync.read_only = sel->read_only;
	s->sync.selecting = false;
	begin(s, then);
}

void sync_send_select(struct session *s, bool read_only, read_then *then)
{
	tm__known__init(&s->known);
	s->sync.mailbox = (mailbox_id){ 0 };
	s->sync.read_only = read_only;
	s->sync.selecting = true;
	s->sync.claimed_up_to = 0;
	uidset_clear(&s->sync.recent);
	begin(s, then);
}

static void on_changes_only(struct session *s, struct command *c, const Tm__ReadFrame *f)
{
	plain_then *done = s->sync.done;

	if (!f->end)
		return;
	c->synced = true;
	done(s, c);
}

void sync_now(struct session *s, plain_then *done)
{
	s->sync.done = done;
	(void)session_read(s);
	sync_send_read(s, on_changes_only);
}
