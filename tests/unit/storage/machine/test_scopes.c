/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What domains and tenants hold in a mail group: counted by every command. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "tests/unit/storage/machine/scope_lab.h"

static int setup(void **state)
{
    static struct lab lab;

    lab_open(&lab);
    scope_lab_format(&lab, SCOPE_GROUP, FORMAT_SCOPES);
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, SCOPE_GROUP);
    lab_close(*state);
    return 0;
}

static void every_command_counts(void **state)
{
    struct lab *lab = *state;
    Pr__MailboxDelete gone = PR__MAILBOX_DELETE__INIT;
    Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;

    assert_int_equal(scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, 0))->err,
                     ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 5);
    assert_int_equal(scope_lab_append(lab, ANN, "123", NULL)->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 2, 8);
    assert_int_equal(scope_lab_append(lab, BEA, "1234567", scope_lab_in_a(lab, 0))->err,
                     ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 3, 15);
    assert_int_equal(scope_lab_copy(lab, ANN, false, NULL)->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 5, 23);
    assert_int_equal(scope_lab_copy(lab, ANN, true, NULL)->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 5, 23);
    scope_lab_expunge(lab, ANN, TRASH, true); /* what can be brought back is not counted */
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 7);
    assert_int_equal(scope_lab_undelete(lab, ANN, NULL)->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 5, 23);
    scope_lab_expect(lab, OF_TENANT, TENANT, 5, 23);
    gone.account_id = ANN;
    gone.mailbox_id = TRASH;
    gone.keep = true;
    assert_int_equal(
        lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(mailbox_delete, MAILBOX_DELETE, &gone))->err,
        ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 7);
    scope_lab_expunge(lab, BEA, INBOX, false);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 0, 0);
    assert_int_equal(scope_lab_rows(lab), 0);
    assert_int_equal(scope_lab_append(lab, BEA, "1234567", NULL)->err,
                     ERR_OK); /* the row knows */
    assert_int_equal(scope_lab_append(lab, ANN, "12", NULL)->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 2, 9);
    purge.account_id = BEA;
    purge.limit = 1; /* its rows go later */
    assert_int_equal(
        lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &purge))->err,
        ERR_CONFLICT);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 2);
    scope_lab_expect(lab, OF_TENANT, TENANT, 1, 2);
}

/* Two mailboxes of an account, two accounts, two domains in one delivery. */
static void several_recipients_are_counted(void **state)
{
    struct lab *lab = *state;
    Pr__AccountScopes *b = scope_lab_of(lab, DOMAIN_B, 0, TENANT, 0);

    assert_int_equal(scope_lab_deliver(lab, "1234", 3, (uint64_t[]){ANN, BEA, CID},
                                       (Pr__AccountScopes *[]){scope_lab_in_a(lab, 0),
                                                               scope_lab_in_a(lab, 0), b})
                         ->err,
                     ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 2, 8);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_B, 1, 4);
    scope_lab_expect(lab, OF_TENANT, TENANT, 3, 12);
}

/* What an account holds comes along when somebody knows at last where it is counted, and goes
 * along when it is counted elsewhere. */
static void accounts_are_enrolled(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(scope_lab_deliver_to(lab, "12345", ANN, NULL)->err, ERR_OK);
    assert_int_equal(scope_lab_rows(lab), 0);
    assert_int_equal(
        scope_lab_deliver_to(lab, "12", ANN, scope_lab_of(lab, 0, 0, TENANT, 0))->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 0, 0);
    scope_lab_expect(lab, OF_TENANT, TENANT, 2, 7);
    assert_int_equal(
        scope_lab_deliver_to(lab, "1", ANN, scope_lab_of(lab, DOMAIN_A, 0, 0, 0))->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 3, 8);
    scope_lab_expect(lab, OF_TENANT, TENANT, 3, 8);
    /* The domain was removed and made anew, for another tenant. */
    assert_int_equal(
        scope_lab_copy(lab, ANN, true, scope_lab_of(lab, DOMAIN_B, 0, TENANT + 1, 0))->err,
        ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 0, 0);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_B, 3, 8);
    scope_lab_expect(lab, OF_TENANT, TENANT, 0, 0);
    scope_lab_expect(lab, OF_TENANT, TENANT + 1, 3, 8);
    /* Who has not heard of that yet. */
    assert_int_equal(scope_lab_deliver_to(lab, "1", ANN, scope_lab_in_a(lab, 0))->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_B, 4, 9);
    scope_lab_expect(lab, OF_TENANT, TENANT + 1, 4, 9);
    assert_int_equal(scope_lab_rows(lab), 2);
}

static void accounts_that_nobody_writes_to_are_enrolled(void **state)
{
    struct lab *lab = *state;
    Pr__ScopeEnrolment enrolments[] = {PR__SCOPE_ENROLMENT__INIT, PR__SCOPE_ENROLMENT__INIT,
                                       PR__SCOPE_ENROLMENT__INIT};
    Pr__ScopeEnrolment *list[] = {&enrolments[0], &enrolments[1], &enrolments[2]};
    Pr__ScopeEnrol enrol = PR__SCOPE_ENROL__INIT;
    struct scopes_account accounts[4];
    unsigned count;
    struct db_txn *txn;

    scope_lab_deliver_to(lab, "12345", ANN, NULL);
    scope_lab_deliver_to(lab, "12345", BEA, NULL);
    enrolments[0].account_id = ANN;
    enrolments[1].account_id = BEA;
    enrolments[2].account_id = CID; /* nothing was ever written to it: it is not made */
    for (unsigned i = 0; i < 3; i++)
        enrolments[i].scopes = scope_lab_in_a(lab, 99);
    enrol.accounts = list;
    enrol.n_accounts = 3;
    assert_int_equal(
        lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(scope_enrol, SCOPE_ENROL, &enrol))->id, 2);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 2, 10);
    assert_int_equal(
        lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(scope_enrol, SCOPE_ENROL, &enrol))->id, 0);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 2, 10);
    assert_int_equal(scope_lab_share(lab, OF_DOMAIN, DOMAIN_A)->limit, 0);
    txn = db_read_begin(lab->db);
    assert_int_equal(scopes_accounts(txn, SCOPE_GROUP, 0, 10, accounts, 1, &count), BEA);
    assert_int_equal(count, 1);
    assert_int_equal(scopes_accounts(txn, SCOPE_GROUP, BEA, 10, accounts, 4, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(accounts[0].account_id, BEA);
    assert_int_equal(accounts[0].domain_id, DOMAIN_A);
    assert_int_equal(accounts[0].tenant_id, TENANT);
    assert_int_equal(scopes_accounts(txn, SCOPE_GROUP, 0, 1, accounts, 4, &count), BEA);
    assert_int_equal(db_commit(&txn), ERR_OK);
    enrol.n_accounts = SCOPE_ENROL_MAX + 1;
    enrol.accounts = arena_alloc(&lab->arena, enrol.n_accounts * sizeof(*enrol.accounts));
    for (size_t i = 0; i < enrol.n_accounts; i++)
        enrol.accounts[i] = &enrolments[0];
    assert_int_equal(
        lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(scope_enrol, SCOPE_ENROL, &enrol))->err,
        ERR_TOOBIG);
}

/* A move that is given up, and one that is not: frozen accounts count, tombstones do not. */
static void accounts_that_move_are_counted_once(void **state)
{
    struct lab *lab = *state;
    Pr__MoveStart start = PR__MOVE_START__INIT;
    Pr__MoveFreeze freeze = PR__MOVE_FREEZE__INIT;
    Pr__MoveEnd end = PR__MOVE_END__INIT;
    Pr__ScopeEnrolment enrolment = PR__SCOPE_ENROLMENT__INIT;
    Pr__ScopeEnrolment *list[] = {&enrolment};
    Pr__ScopeEnrol enrol = PR__SCOPE_ENROL__INIT;

    scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, 0));
    start.account_id = freeze.account_id = end.account_id = enrolment.account_id = ANN;
    start.to = 2;
    for (uint64_t attempt = 1; attempt <= 2; attempt++) {
        start.attempt = freeze.attempt = end.attempt = attempt;
        assert_int_equal(
            lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(move_start, MOVE_START, &start))->err,
            ERR_OK);
        assert_int_equal(
            lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(move_freeze, MOVE_FREEZE, &freeze))->err,
            ERR_OK);
        scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 5);
        enrolment.scopes = scope_lab_of(lab, DOMAIN_B, 0, TENANT, 0);
        enrol.accounts = list;
        enrol.n_accounts = 1;
        lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(scope_enrol, SCOPE_ENROL, &enrol));
        scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 5); /* it stands still */
        end.moved = attempt == 2;
        assert_int_equal(
            lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(move_end, MOVE_END, &end))->err, ERR_OK);
        scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, attempt == 2 ? 0 : 1, attempt == 2 ? 0 : 5);
    }
    assert_int_equal(scope_lab_rows(lab), 0);
}

static enum err move_ends(struct lab *lab, bool moved, Pr__ScopeShare **shares, size_t count)
{
    Pr__MoveStart start = PR__MOVE_START__INIT;
    Pr__MoveFreeze freeze = PR__MOVE_FREEZE__INIT;
    Pr__MoveEnd end = PR__MOVE_END__INIT;
    static uint64_t attempt = 100;

    start.account_id = freeze.account_id = end.account_id = ANN;
    start.to = 2;
    start.attempt = freeze.attempt = end.attempt = ++attempt;
    end.moved = moved;
    end.shares = shares;
    end.n_shares = count;
    lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(move_start, MOVE_START, &start));
    lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(move_freeze, MOVE_FREEZE, &freeze));
    return (enum err)lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(move_end, MOVE_END, &end))->err;
}

/*
 * The room that an account takes goes along with it, in the entry that uncounts it: nobody in
 * its old group may fill it again, also when a grant from before comes late.
 */
static void a_grant_goes_along_with_what_it_was_for(void **state)
{
    struct lab *lab = *state;
    Pr__ScopeShare left = PR__SCOPE_SHARE__INIT;
    Pr__ScopeShare *shares[] = {&left, &left, &left};
    const Pr__ScopeShare *share;

    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 1, UINT64_MAX, 12);
    scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, LIMIT));
    scope_lab_deliver_to(lab, "1234", BEA, scope_lab_in_a(lab, LIMIT));
    left.kind = OF_DOMAIN;
    left.scope_id = DOMAIN_A;
    left.limit = LIMIT;
    left.version = 3;
    left.granted_messages = UINT64_MAX;
    left.granted_bytes = 7;
    assert_int_equal(move_ends(lab, false, shares, 1), ERR_OK); /* it stays */
    assert_int_equal(scope_lab_share(lab, OF_DOMAIN, DOMAIN_A)->granted_bytes, 12);
    assert_int_equal(move_ends(lab, true, shares, 3), ERR_INVALID);
    left.limit = 0;
    assert_int_equal(move_ends(lab, true, shares, 1), ERR_INVALID);
    left.limit = LIMIT;
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 2, 9); /* nothing has changed */
    assert_int_equal(move_ends(lab, true, shares, 1), ERR_OK);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 2, UINT64_MAX, 12); /* late */
    share = scope_lab_share(lab, OF_DOMAIN, DOMAIN_A);
    assert_int_equal(share->granted_bytes, 7);
    assert_int_equal(share->granted_messages, UINT64_MAX);
    assert_int_equal(share->used_bytes, 4);
    assert_int_equal(share->version, 3);
    assert_int_equal(scope_lab_deliver_to(lab, "1234", BEA, scope_lab_in_a(lab, LIMIT))->err,
                     ERR_GRANT);
    assert_int_equal(scope_lab_deliver_to(lab, "123", BEA, scope_lab_in_a(lab, LIMIT))->err,
                     ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_command_counts),
        TEST(several_recipients_are_counted),
        TEST(accounts_are_enrolled),
        TEST(accounts_that_nobody_writes_to_are_enrolled),
        TEST(accounts_that_move_are_counted_once),
        TEST(a_grant_goes_along_with_what_it_was_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
