/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <limits.h>

#include "storage/machine/local.h"
#include "storage/query/limits.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

static unsigned days_kept(struct lab *lab, enum err failure)
{
    struct db_txn *txn = db_read_begin(lab->db);

    if (failure != ERR_OK)
        db_fail(txn, failure);
    unsigned days = limits_days_kept(txn);
    db_abort(&txn);
    return days;
}

static void cluster_create(struct lab *lab)
{
    char id[] = "0123456789abcdef0123456789abcdef";
    char name[] = "test";
    char address[] = "127.0.0.1:1";
    Pr__NodeJoin node = PR__NODE_JOIN__INIT;
    Pr__ClusterCreate create = PR__CLUSTER_CREATE__INIT;

    node.name = node.data_center = name;
    node.raft_address = node.rpc_address = node.join_address = address;
    create.cluster_id = id;
    create.name = name;
    create.mail_groups = 1;
    create.format = FORMAT_DEPTH;
    create.node = &node;
    assert_int_equal(
        lab_apply(lab, 0, LAB_COMMAND(cluster_create, CLUSTER_CREATE, &create))->err, ERR_OK);
}

/* What is freed does not come back: only what the operator has surely said may be. */
static void test_what_nobody_can_say_keeps_all(void **state)
{
    const struct local_copy copy = {.source = 2, .begun_ms = 1};
    Pr__MailPolicy policy = PR__MAIL_POLICY__INIT;
    Pr__PolicySet set = PR__POLICY_SET__INIT;
    struct lab lab;

    (void)state;
    lab_open(&lab);
    assert_int_equal(days_kept(&lab, ERR_OK), UINT_MAX);
    cluster_create(&lab);
    assert_int_equal(days_kept(&lab, ERR_OK), POLICY_UNDELETE_DAYS);
    policy.undelete_days = 90;
    set.policy = &policy;
    assert_int_equal(lab_apply(&lab, 0, LAB_COMMAND(policy_set, POLICY_SET, &set))->err,
                     ERR_OK);
    assert_int_equal(days_kept(&lab, ERR_OK), 90);
    assert_int_equal(days_kept(&lab, ERR_BUSY), UINT_MAX);
    struct db_txn *txn = db_write_begin(lab.db);
    local_partial_set(txn, 0, &copy);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(days_kept(&lab, ERR_OK), UINT_MAX);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_nobody_can_say_keeps_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
