/* evaluate_account.c: accounts. A new account gets its INBOX in the same change. */
#include "replication/evaluate.h"
#include "replication/owner.h"

static Tm__AccountRow *account_row(struct evaluation *e, uint64_t id, const char *name,
				   int64_t created)
{
	Tm__AccountRow *row = arena_alloc(e->arena, sizeof(*row));

	tm__account_row__init(row);
	row->id = id;
	row->name = eval_strdup(e, name);
	row->created = created;
	return row;
}

enum evaluated evaluate_create_account(struct evaluation *e, const Tm__CreateAccount *op)
{
	struct account *a = partition_account(e->partition, e->op->account);

	if (a->state == ACCOUNT_LOADING) {
		e->needs_account = e->op->account;
		return NEEDS_ACCOUNT;
	}
	if (a->names_in_flight)
		return NEXT_BATCH;
	if (a->state == ACCOUNT_LOADED)
		return evaluated(e, TM__OUTCOME__NAME_EXISTS, "The account exists already");

	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_ACCOUNT_CHANGED);
	Tm__AccountChanged *c = r->account_changed;
	struct usage none = { 0 };

	a->id.v = e->partition->work.next_account++;
	a->usage = none;
	c->row = account_row(e, a->id.v, a->name, e->now);
	c->row->n_verifiers = op->n_verifiers;
	c->row->verifiers = op->verifiers;
	c->usage = eval_usage(e, &none);
	eval_touch_account(e, a, true);
	c->partition = eval_partition_row(e);
	eval_add(e, r);
	eval_create(e, a, "INBOX", 0);
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}

enum evaluated evaluate_change_account(struct evaluation *e, const Tm__ChangeAccount *op)
{
	struct account *a;
	enum evaluated rc = eval_account(e, &a);

	if (a == NULL)
		return rc;
	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_ACCOUNT_CHANGED);
	Tm__AccountChanged *c = r->account_changed;

	c->row = account_row(e, a->id.v, a->name, a->row->created);
	c->row->disabled = a->row->disabled;
	c->row->n_verifiers = op->n_verifiers;
	c->row->verifiers = op->verifiers;
	eval_touch_account(e, a, true);
	eval_add(e, r);
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}

enum evaluated evaluate_delete_account(struct evaluation *e)
{
	struct account *a;
	enum evaluated rc = eval_account(e, &a);

	if (a == NULL)
		return rc;
	Tm__Record *r = eval_record(e, TM__RECORD__WHAT_ACCOUNT_DELETED);

	r->account_deleted->account = a->id.v;
	r->account_deleted->name = eval_strdup(e, a->name);
	eval_touch_account(e, a, true);
	eval_add(e, r);
	return evaluated(e, TM__OUTCOME__DONE, NULL);
}
