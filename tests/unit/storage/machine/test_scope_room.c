/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Room for the mail of domains and tenants in a mail group: granted, refused, given back. */
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

static void what_is_not_granted_is_refused(void **state)
{
    struct lab *lab = *state;
    Pr__Outcome *outcome = scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, LIMIT));

    assert_int_equal(outcome->err, ERR_GRANT);
    assert_non_null(outcome->share);
    assert_int_equal(outcome->share->kind, OF_DOMAIN);
    assert_int_equal(outcome->share->scope_id, DOMAIN_A);
    assert_int_equal(outcome->share->group, SCOPE_GROUP);
    assert_int_equal(outcome->share->limit, LIMIT);
    assert_int_equal(outcome->share->version, 0);
    assert_int_equal(outcome->share->need_messages, 1);
    assert_int_equal(outcome->share->need_bytes, 5);
    assert_int_equal(scope_lab_rows(lab), 0); /* nothing is written, nobody enrolled */
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 1, 3, 11);
    assert_int_equal(scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, LIMIT))->err,
                     ERR_OK);
    assert_int_equal(scope_lab_append(lab, BEA, "1234567", scope_lab_in_a(lab, LIMIT))->err,
                     ERR_GRANT);
    assert_int_equal(scope_lab_append(lab, BEA, "1234", scope_lab_in_a(lab, LIMIT))->err,
                     ERR_OK);
    assert_int_equal(scope_lab_copy(lab, ANN, false, scope_lab_in_a(lab, LIMIT))->err,
                     ERR_GRANT);
    assert_int_equal(scope_lab_copy(lab, ANN, true, scope_lab_in_a(lab, LIMIT))->err, ERR_OK);
    assert_int_equal(scope_lab_append(lab, BEA, "1", scope_lab_in_a(lab, LIMIT))->err, ERR_OK);
    outcome =
        scope_lab_append(lab, BEA, "1", scope_lab_in_a(lab, LIMIT)); /* no message is left */
    assert_int_equal(outcome->err, ERR_GRANT);
    assert_int_equal(outcome->share->used_messages, 3);
    assert_int_equal(outcome->share->used_bytes, 10);
    assert_int_equal(outcome->share->granted_messages, 3);
    assert_int_equal(outcome->share->version, 1);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 3, 10);
    scope_lab_expunge(lab, BEA, INBOX, true);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 5);
    assert_int_equal(scope_lab_append(lab, ANN, "1", scope_lab_in_a(lab, LIMIT))->err, ERR_OK);
    outcome = scope_lab_undelete(lab, BEA, scope_lab_in_a(lab, LIMIT));
    assert_int_equal(outcome->err, ERR_GRANT);
    assert_int_equal(outcome->share->need_messages, 2);
    assert_int_equal(outcome->share->need_bytes, 5);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 2, SCOPE_UNLIMITED, 11);
    assert_int_equal(scope_lab_undelete(lab, BEA, scope_lab_in_a(lab, LIMIT))->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 4, 11);
}

/* All recipients of a scope need room together, for a domain and for a tenant; what comes along
 * with an account that is enrolled counts first. */
static void a_command_is_refused_as_a_whole(void **state)
{
    struct lab *lab = *state;
    Pr__AccountScopes *a = scope_lab_of(lab, DOMAIN_A, LIMIT, TENANT, LIMIT + 1);
    Pr__AccountScopes *b = scope_lab_of(lab, DOMAIN_B, 0, TENANT, LIMIT + 1);
    Pr__Outcome *outcome;

    scope_lab_deliver_to(lab, "123", CID, NULL);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 1, 10, 9);
    scope_lab_grant(lab, OF_TENANT, TENANT, LIMIT + 1, 2, 10, 17);
    outcome = scope_lab_deliver(lab, "12345", 2, (uint64_t[]){ANN, BEA},
                                (Pr__AccountScopes *[]){a, a});
    assert_int_equal(outcome->err, ERR_GRANT);
    assert_int_equal(outcome->share->need_messages, 2);
    assert_int_equal(outcome->share->need_bytes, 10);
    outcome = scope_lab_deliver(lab, "12345", 3, (uint64_t[]){ANN, BEA, CID},
                                (Pr__AccountScopes *[]){a, b, b});
    assert_int_equal(outcome->err, ERR_GRANT);
    assert_int_equal(outcome->share->kind, OF_TENANT);
    assert_int_equal(outcome->share->limit, LIMIT + 1);
    assert_int_equal(outcome->share->need_bytes, 15);
    assert_int_equal(outcome->share->used_bytes, 3);
    assert_int_equal(outcome->share->used_messages, 1);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 0, 0);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_B, 0, 0);
    scope_lab_grant(lab, OF_TENANT, TENANT, LIMIT + 1, 3, 10, 18);
    outcome = scope_lab_deliver(lab, "12345", 3, (uint64_t[]){ANN, BEA, CID},
                                (Pr__AccountScopes *[]){a, b, b});
    assert_int_equal(outcome->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 5);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_B, 3, 13);
    scope_lab_expect(lab, OF_TENANT, TENANT, 4, 18);
}

/* What an account holds comes along once, however often it is written to. */
static void an_account_comes_along_once(void **state)
{
    struct lab *lab = *state;
    Pr__AccountScopes *a = scope_lab_in_a(lab, LIMIT);
    Pr__Outcome *outcome;

    scope_lab_deliver_to(lab, "1234567", ANN, NULL);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 1, 10, 16);
    outcome = scope_lab_deliver(lab, "12345", 2, (uint64_t[]){ANN, ANN},
                                (Pr__AccountScopes *[]){a, a});
    assert_int_equal(outcome->err, ERR_GRANT);
    assert_int_equal(outcome->share->used_bytes, 7);
    assert_int_equal(outcome->share->need_bytes, 10);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 2, 10, 17);
    outcome = scope_lab_deliver(lab, "12345", 2, (uint64_t[]){ANN, ANN},
                                (Pr__AccountScopes *[]){a, a});
    assert_int_equal(outcome->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 3, 17);
}

/* The newer number of a limit counts, whoever knows it. */
static void limits_have_numbers(void **state)
{
    struct lab *lab = *state;
    Pr__Outcome *outcome;

    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 7, 100, 5);
    assert_int_equal(scope_lab_deliver_to(lab, "123456", ANN, scope_lab_in_a(lab, 0))->err,
                     ERR_GRANT);
    assert_int_equal(
        scope_lab_deliver_to(lab, "123456", ANN, scope_lab_in_a(lab, LIMIT - 1))->err,
        ERR_GRANT);
    assert_int_equal(scope_lab_deliver_to(lab, "123", ANN, scope_lab_in_a(lab, LIMIT - 1))->err,
                     ERR_OK);
    outcome = scope_lab_deliver_to(
        lab, "1", ANN, scope_lab_in_a(lab, LIMIT + 1)); /* granted under an older one */
    assert_int_equal(outcome->err, ERR_GRANT);
    assert_int_equal(outcome->share->limit, LIMIT + 1);
    assert_int_equal(outcome->share->version, 0);
    assert_int_equal(outcome->share->granted_bytes, 0);
    assert_int_equal(outcome->share->used_bytes, 3);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT + 1, 1, 100, 4);
    assert_int_equal(scope_lab_deliver_to(lab, "1", ANN, scope_lab_in_a(lab, LIMIT + 1))->err,
                     ERR_OK);
    /* Promised is promised: a hand-over comes without, and is counted. */
    assert_int_equal(scope_lab_deliver_to(lab, "12345678", ANN, NULL)->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 3, 12);
}

static void grants_are_taken_in_their_order(void **state)
{
    struct lab *lab = *state;
    const Pr__ScopeShare *share;

    share = scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 7, 10, 10)->share;
    assert_int_equal(share->granted_bytes, 10);
    share = scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 7, 20, 20)->share;
    assert_int_equal(share->granted_bytes, 10);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 6, 20, 20);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT - 1, 9, 20, 20);
    share = scope_lab_share(lab, OF_DOMAIN, DOMAIN_A);
    assert_int_equal(share->granted_bytes, 10);
    assert_int_equal(share->version, 7);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT + 1, 1, 3, 30);
    share = scope_lab_share(lab, OF_DOMAIN, DOMAIN_A);
    assert_int_equal(share->granted_bytes, 30);
    assert_int_equal(share->granted_messages, 3);
    assert_int_equal(share->limit, LIMIT + 1);
    assert_int_equal(scope_lab_grant(lab, 3, DOMAIN_A, 1, 1, 1, 1)->err, ERR_INVALID);
    assert_int_equal(scope_lab_grant(lab, OF_DOMAIN, 0, 1, 1, 1, 1)->err, ERR_INVALID);
    assert_int_equal(scope_lab_grant(lab, OF_DOMAIN, 5, 0, 1, 1, 1)->err, ERR_INVALID);
}

static Pr__Outcome *give_back(struct lab *lab, uint64_t limit, uint64_t version,
                              uint64_t messages, uint64_t bytes)
{
    Pr__ScopeReturn call = PR__SCOPE_RETURN__INIT;

    call.kind = OF_DOMAIN;
    call.scope_id = DOMAIN_A;
    call.limit = limit;
    call.version = version;
    call.keep_messages = messages;
    call.keep_bytes = bytes;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(scope_return, SCOPE_RETURN, &call));
}

/* And a row that knows which grants are old stays, even if it has nothing. */
static void what_is_not_used_is_given_back(void **state)
{
    struct lab *lab = *state;
    Pr__Outcome *outcome;

    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 7, 10, 100);
    scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, LIMIT));
    assert_int_equal(give_back(lab, LIMIT, 6, 0, 0)->err, ERR_CONFLICT);
    outcome = give_back(lab, LIMIT - 1, 7, 0, 0);
    assert_int_equal(outcome->err, ERR_CONFLICT);
    assert_int_equal(outcome->share->version, 7);
    outcome = give_back(lab, LIMIT, 7, UINT64_MAX, 20);
    assert_int_equal(outcome->err, ERR_OK);
    assert_int_equal(outcome->share->granted_messages, 10);
    assert_int_equal(outcome->share->granted_bytes, 25);
    assert_int_equal(outcome->share->used_bytes, 5);
    outcome = give_back(lab, LIMIT, 7, 50, 50); /* never more than it was */
    assert_int_equal(outcome->share->granted_bytes, 25);
    scope_lab_expunge(lab, ANN, INBOX, false);
    outcome = give_back(lab, LIMIT, 7, 0, 0);
    assert_int_equal(outcome->share->granted_bytes, 0);
    assert_int_equal(scope_lab_rows(lab), 1);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 7, 10, 100); /* a late copy */
    assert_int_equal(scope_lab_share(lab, OF_DOMAIN, DOMAIN_A)->granted_bytes, 0);
    lab_invariants(lab, SCOPE_GROUP);
}

static void limits_end(void **state)
{
    struct lab *lab = *state;

    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 7, 10, 5);
    assert_int_equal(scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, LIMIT))->err,
                     ERR_OK);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, SCOPE_ENDED, 0, 0);
    assert_int_equal(scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, 0))->err,
                     ERR_OK);
    assert_int_equal(scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, LIMIT))->err,
                     ERR_OK);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 8, 10, 5); /* late */
    assert_int_equal(scope_lab_deliver_to(lab, "12345", ANN, scope_lab_in_a(lab, 0))->err,
                     ERR_OK);
    assert_int_equal(give_back(lab, LIMIT, SCOPE_ENDED, 0, 0)->err, ERR_CONFLICT);
    assert_int_equal(scope_lab_deliver_to(lab, "1", ANN, scope_lab_in_a(lab, LIMIT + 1))->err,
                     ERR_GRANT);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 4, 20);
    scope_lab_expunge(lab, ANN, INBOX, false);
    assert_int_equal(scope_lab_rows(lab), 0);
}

/* ---- requests and formats ---- */

/* Refused for want of a grant, the same request is done when there is one. */
static void a_request_goes_on_after_a_grant(void **state)
{
    struct lab *lab = *state;
    Pr__Append call = PR__APPEND__INIT;
    Pr__Command *command = LAB_COMMAND(append, APPEND, &call);

    call.account_id = ANN;
    call.mailbox_id = INBOX;
    call.body = lab_body(lab, BYTES("123"), 3);
    call.scopes = scope_lab_in_a(lab, LIMIT);
    command->request_id = lab_id(lab);
    assert_int_equal(lab_apply(lab, SCOPE_GROUP, command)->err, ERR_GRANT);
    assert_int_equal(lab_apply(lab, SCOPE_GROUP, command)->err, ERR_GRANT);
    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 1, 1, 3);
    assert_int_equal(lab_apply(lab, SCOPE_GROUP, command)->err, ERR_OK);
    assert_int_equal(lab_apply(lab, SCOPE_GROUP, command)->err, ERR_OK);
    scope_lab_expect(lab, OF_DOMAIN, DOMAIN_A, 1, 3);
}

/* Below the format nothing is known of all this, and nothing written. */
static void older_formats_do_not_count(void **state)
{
    struct lab labs[2];
    uint8_t digests[2][32];
    struct scopes_account account;
    unsigned count;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct lab *lab = &labs[i];
        lab_open(lab);
        scope_lab_format(lab, SCOPE_GROUP, FORMAT_DEPTH);
        assert_int_equal(
            scope_lab_deliver_to(lab, "12345", ANN, i == 0 ? NULL : scope_lab_in_a(lab, LIMIT))
                ->err,
            ERR_OK);
        assert_int_equal(
            scope_lab_append(lab, ANN, "12345", i == 0 ? NULL : scope_lab_in_a(lab, LIMIT))
                ->err,
            ERR_OK);
        assert_int_equal(
            scope_lab_copy(lab, ANN, false, i == 0 ? NULL : scope_lab_in_a(lab, LIMIT))->err,
            ERR_OK);
        scope_lab_expunge(lab, ANN, INBOX, true);
        assert_int_equal(
            scope_lab_undelete(lab, ANN, i == 0 ? NULL : scope_lab_in_a(lab, LIMIT))->err,
            ERR_OK);
        assert_int_equal(scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 1, 1, 1)->err,
                         ERR_UNSUPPORTED);
        struct db_txn *txn = db_read_begin(lab->db);
        machine_digest(txn, SCOPE_GROUP, digests[i]);
        scopes_accounts(txn, SCOPE_GROUP, 0, 1, &account, 1, &count);
        assert_int_equal(db_commit(&txn), ERR_OK);
        assert_int_equal(account.domain_id, 0);
        assert_int_equal(scope_lab_rows(lab), 0);
        lab_close(lab);
    }
    assert_memory_equal(digests[0], digests[1], sizeof(digests[0]));
}

/* The digest of a group covers what it was granted. */
static void grants_are_in_the_digest(void **state)
{
    struct lab *lab = *state;
    uint8_t digests[2][32];

    scope_lab_grant(lab, OF_DOMAIN, DOMAIN_A, LIMIT, 1, 1, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct db_txn *txn = db_write_begin(lab->db);
        struct scope_name name = {OF_DOMAIN, DOMAIN_A};
        struct scope_record scope;

        assert_true(scope_load(txn, SCOPE_GROUP, name, &scope));
        scope.granted_bytes += i;
        scope_store(txn, SCOPE_GROUP, name, &scope);
        machine_digest(txn, SCOPE_GROUP, digests[i]);
        db_abort(&txn);
    }
    assert_true(memcmp(digests[0], digests[1], sizeof(digests[0])) != 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_granted_is_refused),
        TEST(a_command_is_refused_as_a_whole),
        TEST(an_account_comes_along_once),
        TEST(limits_have_numbers),
        TEST(grants_are_taken_in_their_order),
        TEST(what_is_not_used_is_given_back),
        TEST(limits_end),
        TEST(a_request_goes_on_after_a_grant),
        TEST(grants_are_in_the_digest),
        cmocka_unit_test(older_formats_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
