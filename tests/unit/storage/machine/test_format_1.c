/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first release's words and deeds: entries that it applied, and what its tables then were.
 * This release must make the same of them, byte for byte, as long as the format is not raised,
 * or nodes of both could not stand side by side. fixtures/format_1/entries: 'E' group u32,
 * index u64, length u32, entry; 'D' group u32, digest; little endian. state: its tables at the
 * end.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/schema/format.h"
#include "tests/unit/fixture.h"
#include "tests/unit/storage/lab.h"

enum { GROUPS = 4, DIGEST_SIZE = 32 };

static uint64_t number(struct bytes *rest, unsigned size)
{
    uint64_t value = 0;

    assert_true(rest->len >= size);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)rest->at[i] << 8 * i;
    *rest = bytes_skip(*rest, size);
    return value;
}

static void expect_digest(struct db *db, uint32_t group, const uint8_t *expected)
{
    struct db_txn *txn = db_read_begin(db);
    uint8_t digest[DIGEST_SIZE];

    machine_digest(txn, group, digest);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_memory_equal(digest, expected, sizeof(digest));
}

/* Applies the entries, and compares on the way; the last digests are left in `last`. */
static void replay(struct lab *lab, uint8_t last[GROUPS][DIGEST_SIZE])
{
    struct bytes all = fixture_read("format_1/entries");
    struct bytes rest = all;
    unsigned digests = 0;

    while (rest.len > 0) {
        uint8_t kind = (uint8_t)number(&rest, 1);
        uint32_t group = (uint32_t)number(&rest, 4);
        assert_true(group < GROUPS);
        if (kind == 'D') {
            expect_digest(lab->db, group, rest.at);
            memcpy(last[group], rest.at, DIGEST_SIZE);
            rest = bytes_skip(rest, DIGEST_SIZE);
            digests++;
            continue;
        }
        assert_int_equal(kind, 'E');
        lab->index = number(&rest, 8) - 1;
        size_t len = (size_t)number(&rest, 4);
        lab_apply_entry(lab, group, bytes_from(rest.at, len));
        rest = bytes_skip(rest, len);
    }
    assert_true(digests > 20);
    free((void *)(uintptr_t)all.at);
}

static void same_entries_make_the_same_tables(void **state)
{
    uint8_t last[GROUPS][DIGEST_SIZE] = {{0}};
    struct lab lab;

    (void)state;
    lab_open(&lab);
    replay(&lab, last);
    for (uint32_t group = 2; group < GROUPS; group++)
        lab_invariants(&lab, group);
    lab_close(&lab);
}

static void raise(struct lab *lab, uint32_t group)
{
    Pr__FormatRaise call = PR__FORMAT_RAISE__INIT;

    call.format = FORMAT_NEWEST;
    assert_int_equal(lab_apply(lab, group, LAB_COMMAND(format_raise, FORMAT_RAISE, &call))->err,
                     ERR_OK);
}

/* What the entries made here, and what the first release left on disk, go on alike. */
static void old_tables_can_be_used_and_raised(void **state)
{
    uint8_t last[GROUPS][DIGEST_SIZE] = {{0}};
    struct lab replayed;
    struct lab old;

    (void)state;
    lab_open(&replayed);
    replay(&replayed, last);
    lab_open(&old);
    db_close(&old.db);
    fixture_write("format_1/state", old.folder, "data.mdb");
    assert_int_equal(db_open(old.folder, 1ULL << 30, &old.db), ERR_OK);
    old.index = replayed.index;
    old.now_ms = replayed.now_ms;
    for (uint32_t group = 0; group < GROUPS; group++)
        if (group != 1)
            expect_digest(old.db, group, last[group]);
    for (uint32_t group = 2; group < GROUPS; group++) {
        raise(&replayed, group);
        raise(&old, group);
        for (uint64_t account = 100; account < 140; account++) {
            lab_deliver(&replayed, group, account, BYTES("after the upgrade"));
            lab_deliver(&old, group, account, BYTES("after the upgrade"));
        }
        lab_invariants(&old, group);
        struct db_txn *txn = db_read_begin(replayed.db);
        machine_digest(txn, group, last[group]);
        assert_int_equal(db_commit(&txn), ERR_OK);
        expect_digest(old.db, group, last[group]);
    }
    lab_close(&old);
    lab_close(&replayed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_entries_make_the_same_tables),
        cmocka_unit_test(old_tables_can_be_used_and_raised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
