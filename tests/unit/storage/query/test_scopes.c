/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What domains and tenants hold, read page by page, and counted again. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "tests/unit/storage/machine/scope_lab.h"

enum { ACCOUNTS = 7 };

static int setup(void **state)
{
    static struct lab lab;

    lab_open(&lab);
    scope_lab_format(&lab, SCOPE_GROUP, FORMAT_SCOPES);
    for (uint64_t i = 0; i < ACCOUNTS; i++)
        scope_lab_deliver_to(&lab, "12345", ANN + i,
                             scope_lab_of(&lab, DOMAIN_A + i / 2, 0, TENANT, 0));
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_close(*state);
    return 0;
}

/* Four domains, then the tenant. */
static void pages(void **state)
{
    struct lab *lab = *state;

    for (unsigned limit = 1; limit <= 6; limit++) {
        struct scopes_place after = {PR__SCOPE_KIND__SCOPE_NONE, 0};
        struct db_txn *txn = db_read_begin(lab->db);
        Pr__ScopeShare **shares;
        unsigned seen = 0;
        size_t count;
        bool more;

        do {
            more = scopes_shares(txn, SCOPE_GROUP, after, limit, &lab->arena, &shares, &count);
            assert_true(count <= limit && (!more || count == limit));
            for (size_t i = 0; i < count; i++, seen++) {
                assert_int_equal(shares[i]->kind, seen < 4 ? OF_DOMAIN : OF_TENANT);
                assert_int_equal(shares[i]->scope_id, seen < 4 ? DOMAIN_A + seen : TENANT);
                assert_int_equal(shares[i]->used_messages, seen < 3    ? 2
                                                           : seen == 3 ? 1
                                                                       : ACCOUNTS);
                assert_int_equal(shares[i]->group, SCOPE_GROUP);
                after = (struct scopes_place){shares[i]->kind, shares[i]->scope_id};
            }
        } while (more);
        assert_int_equal(seen, 5);
        assert_false(scopes_shares(txn, SCOPE_GROUP + 1, (struct scopes_place){0}, limit,
                                   &lab->arena, &shares, &count)); /* another group's */
        assert_int_equal(count, 0);
        db_abort(&txn);
    }
}

static struct scopes_difference recount(struct db_txn *txn)
{
    struct scopes_difference difference;

    assert_int_equal(scopes_recount(txn, SCOPE_GROUP, ACCOUNTS, &difference), ERR_OK);
    assert_int_equal(difference.accounts, ACCOUNTS);
    return difference;
}

/* A row that says something else, one that is missing, one too many. */
static void counting_again_finds_what_is_wrong(void **state)
{
    struct lab *lab = *state;
    struct scope_name second = {OF_DOMAIN, DOMAIN_A + 1};
    struct scope_name tenant = {OF_TENANT, TENANT};
    struct scope_name nobody = {OF_DOMAIN, DOMAIN_A + 50};
    struct scopes_difference difference;
    struct scope_record scope;
    struct scope_record right;
    struct db_txn *txn = db_write_begin(lab->db);

    difference = recount(txn);
    assert_int_equal(difference.different, 0);
    assert_int_equal(difference.scopes, 5);
    assert_true(scope_load(txn, SCOPE_GROUP, second, &right));
    scope = right;
    scope.used_bytes++;
    scope_store(txn, SCOPE_GROUP, second, &scope);
    difference = recount(txn);
    assert_int_equal(difference.different, 1);
    assert_int_equal(difference.first.id, second.id);
    assert_int_equal(difference.first.kind, OF_DOMAIN);
    assert_int_equal(difference.row_bytes, 11);
    assert_int_equal(difference.counted_bytes, 10);
    assert_int_equal(difference.row_messages, 2);
    assert_int_equal(difference.counted_messages, 2);
    scope_store(txn, SCOPE_GROUP, second, &(struct scope_record){0});
    scope_store(txn, SCOPE_GROUP, tenant, &(struct scope_record){0});
    difference = recount(txn);
    assert_int_equal(difference.different, 2);
    assert_int_equal(difference.row_messages, 0);
    scope_store(txn, SCOPE_GROUP, second, &right);
    scope_store(txn, SCOPE_GROUP, tenant,
                &(struct scope_record){.used_messages = ACCOUNTS, .used_bytes = 5 * ACCOUNTS});
    assert_int_equal(recount(txn).different, 0);
    scope_store(txn, SCOPE_GROUP, nobody, &(struct scope_record){.used_messages = 1});
    assert_int_equal(recount(txn).different, 1);
    /* A row of nothing, but under a limit, may be there. */
    scope_store(txn, SCOPE_GROUP, nobody, &(struct scope_record){.limit = 1, .version = 1});
    assert_int_equal(recount(txn).different, 0);
    db_abort(&txn);
}

static void counting_has_a_bound(void **state)
{
    struct lab *lab = *state;
    struct scopes_difference difference;
    struct db_txn *txn = db_read_begin(lab->db);

    assert_int_equal(scopes_recount(txn, SCOPE_GROUP, ACCOUNTS - 1, &difference), ERR_TOOBIG);
    assert_int_equal(scopes_recount(txn, SCOPE_GROUP + 1, 0, &difference), ERR_OK);
    db_abort(&txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages, setup, teardown),
        cmocka_unit_test_setup_teardown(counting_again_finds_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(counting_has_a_bound, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
