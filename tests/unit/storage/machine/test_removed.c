/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directory's side: removed accounts that come back or are due, limits and who inherits
 * them, the policy. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

#define CALL(type, name, ...)                                                                  \
    (&(Pr__##type){.base = PROTOBUF_C_MESSAGE_INIT(&pr__##name##__descriptor), __VA_ARGS__})
#define TEXT(text) ((char[]){text})
#define RUN(type, name, NAME, ...)                                                             \
    lab_apply(lab, 0, LAB_COMMAND(name, NAME, CALL(type, name, __VA_ARGS__)))
#define WANT(want, outcome) assert_int_equal((outcome)->err, ERR_##want)

enum { DAY_MS = 24 * 60 * 60 * 1000 };

static struct lab the_lab;
static struct lab *const lab = &the_lab;

static uint64_t account_add(void)
{
    Pr__Outcome *outcome =
        RUN(AccountAdd, account_add, ACCOUNT_ADD, .address = TEXT("ann@acme.example"),
            .password_hash = TEXT("$argon2id$..."));

    WANT(OK, outcome);
    return outcome->id;
}

static int setup(void **state)
{
    (void)state;
    lab_open(lab);
    WANT(OK, RUN(ClusterCreate, cluster_create, CLUSTER_CREATE,
                 .cluster_id = TEXT("0123456789abcdef0123456789abcdef"), .name = TEXT("test"),
                 .mail_groups = 2, .format = FORMAT_DEPTH,
                 .node = CALL(NodeJoin, node_join, .name = TEXT("n1"),
                              .data_center = TEXT("dc1"), .raft_address = TEXT("127.0.0.1:1"),
                              .rpc_address = TEXT("127.0.0.1:2"),
                              .join_address = TEXT("127.0.0.1:3"))));
    WANT(OK, RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("acme")));
    WANT(OK, RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = TEXT("acme.example"),
                 .tenant = TEXT("acme")));
    account_add();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(lab);
    return 0;
}

static Pr__Outcome *account_remove(uint64_t keep_ms)
{
    return RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
               .address = TEXT("ann@acme.example"), .keep_ms = keep_ms);
}

static Pr__Outcome *account_restore(void)
{
    return RUN(AccountRestore, account_restore, ACCOUNT_RESTORE,
               .address = TEXT("ann@acme.example"));
}

/* The id of the account of that address; 0: none. Counts must say the same. */
static uint64_t account_id(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__AccountRecord *account = directory_account(txn, BYTES("ann@acme.example"), &lab->arena);
    Pr__DomainRecord *domain = directory_domain(txn, BYTES("acme.example"), &lab->arena);
    uint64_t accounts = 0;

    for (uint32_t group = 1; group <= 2; group++)
        accounts += directory_group(txn, group, &lab->arena)->accounts;
    db_abort(&txn);
    assert_int_equal(domain->accounts, account != NULL);
    assert_int_equal(accounts, account != NULL);
    return account != NULL ? account->id : 0;
}

/* The account whose mail is due at that time; 0: none. */
static uint64_t due_at(uint64_t now_ms)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__PurgeDueRecord *due = limits_purge_due(txn, 0, now_ms, &lab->arena);

    db_abort(&txn);
    return due != NULL ? due->account->id : 0;
}

static void test_comes_back(void **state)
{
    uint64_t id = account_id();
    uint64_t removed_ms = lab->now_ms;

    (void)state;
    WANT(EXISTS, account_restore());
    WANT(OK, account_remove(2 * (uint64_t)DAY_MS));
    assert_int_equal(account_id(), 0);
    assert_int_equal(due_at(removed_ms + 2 * (uint64_t)DAY_MS - 1), 0);
    assert_int_equal(due_at(removed_ms + 2 * (uint64_t)DAY_MS), id);
    lab->now_ms += 2 * (uint64_t)DAY_MS - 1;
    WANT(OK, account_restore());
    assert_int_equal(account_id(), id);
    assert_int_equal(due_at(UINT64_MAX), 0);
}

/* The purge may be under way by then. */
static void test_too_late(void **state)
{
    uint64_t id = account_id();

    (void)state;
    WANT(OK, account_remove(DAY_MS));
    lab->now_ms += DAY_MS;
    WANT(NOTFOUND, account_restore());
    assert_int_equal(due_at(lab->now_ms), id);
    WANT(OK, RUN(PurgeDone, purge_done, PURGE_DONE, .account_id = id));
    WANT(OK, RUN(PurgeDone, purge_done, PURGE_DONE, .account_id = id));
    assert_int_equal(due_at(UINT64_MAX), 0);
}

static void test_address_is_used_again(void **state)
{
    uint64_t first = account_id();
    uint64_t second;

    (void)state;
    WANT(OK, account_remove(DAY_MS));
    second = account_add();
    assert_int_not_equal(first, second);
    WANT(EXISTS, account_restore());
    WANT(OK, account_remove(DAY_MS));
    WANT(OK, account_restore()); /* the last one removed */
    assert_int_equal(account_id(), second);
    assert_int_equal(due_at(UINT64_MAX), first);
}

static void test_purged_now(void **state)
{
    uint64_t id = account_id();

    (void)state;
    WANT(NOTFOUND, RUN(PurgeNow, purge_now, PURGE_NOW, .address = TEXT("ann@acme.example")));
    WANT(OK, account_remove(DAY_MS));
    WANT(OK, RUN(PurgeNow, purge_now, PURGE_NOW, .address = TEXT("ann@acme.example")));
    assert_int_equal(due_at(lab->now_ms), id);
    WANT(NOTFOUND, account_restore());
}

static void test_domain_is_gone(void **state)
{
    (void)state;
    WANT(OK, account_remove(DAY_MS));
    WANT(OK, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("acme.example")));
    WANT(INVALID, account_restore());
}

/* The bytes that the account may hold; UINT64_MAX: nobody has said anything. */
static uint64_t limit(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__AccountRecord *account = directory_account(txn, BYTES("ann@acme.example"), &lab->arena);
    Pr__AccountQuota *quota = limits_quota_by_id(txn, account->id, &lab->arena);

    db_abort(&txn);
    return quota != NULL ? quota->bytes : UINT64_MAX;
}

#define QUOTA(amount) .quota = CALL(AccountQuota, account_quota, .bytes = (amount))

static void test_limits_are_inherited(void **state)
{
    (void)state;
    assert_int_equal(limit(), UINT64_MAX);
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET, .tenant = TEXT("acme"), QUOTA(100)));
    assert_int_equal(limit(), 100);
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET, .domain = TEXT("acme.example"), QUOTA(200)));
    assert_int_equal(limit(), 200);
    WANT(OK,
         RUN(QuotaSet, quota_set, QUOTA_SET, .address = TEXT("ann@acme.example"), QUOTA(0)));
    assert_int_equal(limit(), 0); /* it has none, whatever the domain says */
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET, .address = TEXT("ann@acme.example")));
    assert_int_equal(limit(), 200);
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET, .domain = TEXT("acme.example")));
    assert_int_equal(limit(), 100);
    WANT(INVALID, RUN(QuotaSet, quota_set, QUOTA_SET, .domain = TEXT("acme.example"),
                      .tenant = TEXT("acme"), QUOTA(1)));
    WANT(INVALID, RUN(QuotaSet, quota_set, QUOTA_SET, QUOTA(1)));
    WANT(NOTFOUND, RUN(QuotaSet, quota_set, QUOTA_SET, .tenant = TEXT("other"), QUOTA(1)));
    assert_int_equal(limit(), 100);
}

static void test_policy(void **state)
{
    struct db_txn *txn;

    (void)state;
    WANT(INVALID, RUN(PolicySet, policy_set, POLICY_SET, .policy = NULL));
    WANT(INVALID, RUN(PolicySet, policy_set, POLICY_SET,
                      .policy = CALL(MailPolicy, mail_policy, .undelete_days = 3651)));
    txn = db_read_begin(lab->db);
    assert_int_equal(limits_policy(txn, &lab->arena)->undelete_days, POLICY_UNDELETE_DAYS);
    db_abort(&txn);
    WANT(OK, RUN(PolicySet, policy_set, POLICY_SET,
                 .policy = CALL(MailPolicy, mail_policy, .over_quota_permanent = true)));
    txn = db_read_begin(lab->db);
    assert_int_equal(limits_policy(txn, &lab->arena)->undelete_days, 0);
    assert_true(limits_policy(txn, &lab->arena)->over_quota_permanent);
    db_abort(&txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_address_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_purged_now, setup, teardown),
        cmocka_unit_test_setup_teardown(test_domain_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_are_inherited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
