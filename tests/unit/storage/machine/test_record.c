/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The versions of rows: the oldest that holds what there is, read by all that came later. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "storage/machine/record.h"

/* The record as it is read is written alike. */
static void expect_again(const struct record *record, struct account_record *read)
{
    struct record again;

    assert_true(account_decode(record_bytes(record), read));
    account_encode(read, &again);
    assert_int_equal(again.len, record->len);
    assert_memory_equal(again.at, record->at, again.len);
}

/* What an account's row is in each version, field by field. */
static void account_row_versions(void **state)
{
    static const uint8_t first[] = {1, 0,                   /* not gone */
                                    0, 0, 0, 0, 0, 0, 0, 9, /* modseq */
                                    0, 0, 0, 6,             /* mailboxes */
                                    0, 0, 0, 1,             /* inbox */
                                    0, 0, 0, 7,             /* names */
                                    0, 0, 0, 0, 0, 0, 1, 2, /* messages */
                                    0, 0, 0, 0, 0, 3, 4, 5 /* size */};
    static const uint8_t second[] = {0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 8};
    static const uint8_t third[] = {1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5};
    static const uint8_t fourth[] = {0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 3};
    struct account_record account = {
        .modseq = 9, .mailboxes = 6, .inbox = 1, .names = 7, .messages = 258, .size = 197637};
    struct account_record read;
    struct record record;
    size_t len = sizeof(first);

    (void)state;
    account_encode(&account, &record);
    assert_int_equal(record.len, len);
    assert_memory_equal(record.at, first, len);
    account.expunged = 2;
    account.expunged_size = 8;
    account_encode(&account, &record);
    assert_int_equal(record.at[0], 2);
    assert_memory_equal(record.at + len, second, sizeof(second));
    assert_int_equal(record.len, len += sizeof(second));
    account.place = PLACE_FROZEN;
    account.peer = 4;
    account.attempt = 5;
    account_encode(&account, &record);
    assert_int_equal(record.at[0], 3);
    assert_memory_equal(record.at + len, third, sizeof(third));
    assert_int_equal(record.len, len += sizeof(third));
    account.domain_id = 11;
    account.tenant_id = 3;
    account_encode(&account, &record);
    assert_int_equal(record.at[0], 4);
    assert_memory_equal(record.at + len, fourth, sizeof(fourth));
    assert_int_equal(record.len, len += sizeof(fourth));
    expect_again(&record, &read);
    assert_int_equal(read.domain_id, 11);
    assert_int_equal(read.tenant_id, 3);
    assert_int_equal(read.attempt, 5);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(account_decode(bytes_from(record.at, cut), &read));
    assert_false(account_decode(bytes_from(record.at, len + 1), &read));
    record.at[0] = 5;
    assert_false(account_decode(record_bytes(&record), &read));
}

/* One number is enough for the newest version, and nothing of a row before it is lost. */
static void a_scope_makes_an_account_row_the_newest(void **state)
{
    struct account_record account = {.modseq = 1, .mailboxes = 6, .inbox = 1, .names = 6};
    struct account_record read;
    struct record record;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        account.domain_id = i == 0 ? 7 : 0;
        account.tenant_id = i == 0 ? 0 : 8;
        account_encode(&account, &record);
        assert_int_equal(record.at[0], 4);
        expect_again(&record, &read);
        assert_int_equal(read.domain_id, account.domain_id);
        assert_int_equal(read.tenant_id, account.tenant_id);
    }
    account.tenant_id = 0;
    account_encode(&account, &record);
    assert_int_equal(record.at[0], 1);
    assert_true(account_decode(record_bytes(&record), &read));
    assert_int_equal(read.domain_id, 0);
    assert_int_equal(read.tenant_id, 0);
}

static void scope_row(void **state)
{
    const struct scope_record scope = {1, 2, UINT64_MAX, 4, 5, 6};
    struct scope_record read;
    struct record record;

    (void)state;
    scope_encode(&scope, &record);
    assert_int_equal(record.len, 1 + 6 * 8);
    assert_int_equal(record.at[0], 1);
    assert_int_equal(record.at[8], 1);
    assert_int_equal(record.at[17], 0xff);
    assert_int_equal(record.at[48], 6);
    assert_true(scope_decode(record_bytes(&record), &read));
    assert_memory_equal(&read, &scope, sizeof(read));
    for (size_t cut = 0; cut < record.len; cut++)
        assert_false(scope_decode(bytes_from(record.at, cut), &read));
    assert_false(scope_decode(bytes_from(record.at, record.len + 1), &read));
    record.at[0] = 2;
    assert_false(scope_decode(record_bytes(&record), &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(account_row_versions),
        cmocka_unit_test(a_scope_makes_an_account_row_the_newest),
        cmocka_unit_test(scope_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
