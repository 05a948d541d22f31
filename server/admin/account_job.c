#include "server/admin/account_job.h"

#include "server/auth/scram.h"
#include "server/session/front.h"
#include "storage/base/err.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#define JOB_MAGIC 0xacc0417bu

struct account_job {
	uint32_t magic;
	struct account_job_options options;
	char *name;
	struct message to_loop;

	/* The loop's. */
	struct scram_verifiers verifiers;
	struct front_client client;
	struct op_call call;
	Tm__Verifier messages[SCRAM_HASHES];
	Tm__Verifier *pointers[SCRAM_HASHES];
	Tm__CreateAccount create;
	Tm__ChangeAccount change;
	Tm__DeleteAccount remove;
};

static void job_end(struct account_job *j, int err, Tm__Outcome outcome)
{
	assert(j->magic == JOB_MAGIC);
	j->options.done(j->options.data, err, outcome);
	free(j->name);
	OPENSSL_cleanse(j, sizeof(*j));
	free(j);
}

static void on_op_done(struct front_client *k, struct op_call *c, const Tm__OpResult *result)
{
	struct account_job *j =
		(struct account_job *)((char *)k - offsetof(struct account_job, client));
	(void)c;

	front_client_done(&j->client);
	job_end(j, OK, result->outcome);
}

static const struct front_client_ops job_ops = { .op_done = on_op_done };

static void fill_op(struct account_job *j)
{
	Tm__Op *op = &j->call.op;

	tm__op__init(op);
	op->account = j->name;
	scram_to_messages(&j->verifiers, j->messages, j->pointers);
	switch (j->options.change) {
	case ACCOUNT_CREATE:
		tm__create_account__init(&j->create);
		j->create.verifiers = j->pointers;
		j->create.n_verifiers = SCRAM_HASHES;
		op->what_case = TM__OP__WHAT_CREATE_ACCOUNT;
		op->create_account = &j->create;
		return;
	case ACCOUNT_CHANGE:
		tm__change_account__init(&j->change);
		j->change.verifiers = j->pointers;
		j->change.n_verifiers = SCRAM_HASHES;
		op->what_case = TM__OP__WHAT_CHANGE_ACCOUNT;
		op->change_account = &j->change;
		return;
	case ACCOUNT_DELETE:
		tm__delete_account__init(&j->remove);
		op->what_case = TM__OP__WHAT_DELETE_ACCOUNT;
		op->delete_account = &j->remove;
		return;
	}
}

static struct account_job *job_of(struct message *m)
{
	struct account_job *j =
		(struct account_job *)((char *)m - offsetof(struct account_job, to_loop));

	assert(j->magic == JOB_MAGIC);
	return j;
}

static void on_loop(struct message *m, void *receiver)
{
	struct account_job *j = job_of(m);
	struct front *front = front_of(receiver);

	fill_op(j);
	front_client_init(&j->client, front, &job_ops, client_id_draw());
	front_op(&j->client, &j->call);
}

static void loop_gone(struct message *m)
{
	job_end(job_of(m), ERR_CLOSED, TM__OUTCOME__UNAVAILABLE);
}

static void go_to_loop(struct account_job *j)
{
	j->to_loop = (struct message){ .deliver = on_loop, .drop = loop_gone };
	if (loop_post_one(j->options.loop, &j->to_loop) < 0)
		job_end(j, ERR_BUSY, TM__OUTCOME__UNAVAILABLE);
}

/* On the pool's thread. */
static void on_verifiers(void *data, int err, const struct scram_verifiers *v)
{
	struct account_job *j = data;

	if (err < 0) {
		job_end(j, err, TM__OUTCOME__UNAVAILABLE);
		return;
	}
	j->verifiers = *v;
	go_to_loop(j);
}

void account_job_start(const struct account_job_options *o)
{
	struct account_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	j->magic = JOB_MAGIC;
	j->options = *o;
	j->options.password = span_of(NULL, 0);
	j->name = strdup(o->name);
	if (j->name == NULL)
		abort();
	if (o->change == ACCOUNT_DELETE) {
		go_to_loop(j);
		return;
	}
	int rc = auth_make_verifiers(o->auth, o->password, on_verifiers, j);
	if (rc < 0)
		job_end(j, rc, TM__OUTCOME__UNAVAILABLE);
}
