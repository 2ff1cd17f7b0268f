/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group's format: rows and answers stay those of the release before until it is raised. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/db/key.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ACCOUNT = 41, ROW_FIRST_SIZE = 1 + 6 * 8 };

static unsigned format(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    unsigned format = machine_format(txn, GROUP);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return format;
}

/* Version and length of the group's row. */
static void group_row(struct lab *lab, uint8_t *version, size_t *len)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct key key;
    struct bytes row;

    assert_int_equal(db_get(txn, TABLE_META, key_group(&key, GROUP), &row), ERR_OK);
    *version = row.at[0];
    *len = row.len;
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static Pr__Outcome *raise(struct lab *lab, uint32_t to)
{
    Pr__FormatRaise call = PR__FORMAT_RAISE__INIT;

    call.format = to;
    return lab_apply(lab, GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &call));
}

static void row_changes_only_when_raised(void **state)
{
    struct lab lab;
    uint8_t version;
    size_t len;

    (void)state;
    lab_open(&lab);
    lab_deliver(&lab, GROUP, ACCOUNT, BYTES("text"));
    assert_int_equal(format(&lab), FORMAT_FIRST);
    group_row(&lab, &version, &len);
    assert_int_equal(version, 1);
    assert_int_equal(len, ROW_FIRST_SIZE);
    assert_int_equal(raise(&lab, FORMAT_DEPTH)->err, ERR_OK);
    assert_int_equal(format(&lab), FORMAT_DEPTH);
    group_row(&lab, &version, &len);
    assert_int_equal(version, 2);
    lab_reopen(&lab);
    assert_int_equal(format(&lab), FORMAT_DEPTH);
    lab_close(&lab);
}

static void never_lowered_and_never_beyond_what_is_known(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    assert_int_equal(raise(&lab, FORMAT_NEWEST + 1)->err, ERR_UNSUPPORTED);
    assert_int_equal(format(&lab), FORMAT_FIRST);
    assert_int_equal(raise(&lab, FORMAT_DEPTH)->err, ERR_OK);
    assert_int_equal(raise(&lab, FORMAT_FIRST)->err, ERR_OK);
    assert_int_equal(format(&lab), FORMAT_DEPTH);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_changes_only_when_raised),
        cmocka_unit_test(never_lowered_and_never_beyond_what_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
