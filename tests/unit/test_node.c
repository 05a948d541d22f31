/* test_node.c: a whole node below the sessions: ops through router, evaluation, log and apply; what
 * was answered is there after a restart. */
#include "tests/unit/node_fixture.h"

static void check_story(void)
{
	create_account();
	const Tm__OpResult *r = append("Subject: a\r\n\r\nbody\r\n", 0);
	ck_assert_int_eq(r->outcome, TM__OUTCOME__DONE);
	ck_assert_uint_eq(r->uids->first_uid, 1);
	ck_assert_uint_eq(r->uids->modseq, 2);
	uint64_t box = r->uids->mailbox;

	/* Two clients saw modseq 2; the first claims, the second loses with the same flag. */
	r = store(box, 1, 4, true, 2);
	ck_assert_uint_eq(r->store->modseq, 3);
	ck_assert_uint_eq(r->store->n_changed, 1);
	r = store(box, 1, 4, true, 2);
	ck_assert_uint_eq(r->store->modseq, 0);
	ck_assert_uint_eq(r->store->n_failed, 1);
	ck_assert_uint_eq(r->store->failed[0]->modseq, 3);
	/* What changes nothing changes no modseq. */
	r = store(box, 1, 4, false, 0);
	ck_assert_uint_eq(r->store->modseq, 0);
	ck_assert_uint_eq(r->store->n_same, 1);

	const Tm__Changes *c = select_inbox();
	ck_assert_uint_eq(c->highestmodseq, 3);
	ck_assert_uint_eq(c->uidnext, 2);
	ck_assert_uint_eq(c->exists, 1);
	stop();
	start();
	c = select_inbox();
	ck_assert_uint_eq(c->highestmodseq, 3);
	ck_assert_uint_eq(c->uidnext, 2);
	ck_assert_uint_eq(c->exists, 1);
	ck_assert_uint_eq(c->unseen, 1);
	/* Exactly once, over the restart: the same number gives the stored result. */
	f.number = 2;
	r = store(box, 1, 4, true, 2);
	ck_assert_uint_eq(r->store->modseq, 3);
	ck_assert_uint_eq(r->store->n_changed, 1);
}

START_TEST(answered_is_durable)
{
	setup(false);
	check_story();
	teardown();
}
END_TEST

START_TEST(answered_is_durable_remote)
{
	setup(true);
	check_story();
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("node");
	TCase *t = tcase_create("node");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, answered_is_durable);
	tcase_add_test(t, answered_is_durable_remote);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
