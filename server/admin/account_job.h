/* account_job.h: one change of one account, from the admin thread to a loop and back. Private to
 * server/admin.
 *
 *	admin thread -> (pool: verifiers) -> loop: front_op() -> the router -> done() on the loop */
#ifndef SERVER_ADMIN_ACCOUNT_JOB_H
#define SERVER_ADMIN_ACCOUNT_JOB_H

#include "proto/op.pb-c.h"
#include "server/auth/auth.h"
#include "storage/base/loop.h"

enum account_change { ACCOUNT_CREATE, ACCOUNT_CHANGE, ACCOUNT_DELETE };

struct account_job_options {
	enum account_change change;
	const char *name;     /* normalised; copied */
	struct span password; /* not for DELETE; copied and wiped */
	struct auth *auth;
	struct loop *loop;
	/* Exactly once. `err` 0: `outcome` is how the op ended. ERR_BAD_INPUT: the password will
	 * not do. ERR_BUSY, ERR_CLOSED: not now. Thread: any. */
	void (*done)(void *data, int err, Tm__Outcome outcome);
	void *data;
};

/* Starts it; done() comes later, or from within this call if it can not be started. Thread: any. */
void account_job_start(const struct account_job_options *o);

#endif
