/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The simulator's tables answer as LMDB's do, and lose what a power loss may take. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/db_memory_names.h"
/* What follows means the tables in memory. */
#include "tests/sim/db_memory.h"
#undef db_play
#include "tests/unit/sim/db_play.h"

enum { SEEDS = 40, STEPS = 4000 };

static void lmdb_play(uint64_t seed, struct buffer *answers)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    char folder[] = "/tmp/postraft-db-XXXXXX";
    char path[64];

    assert_non_null(mkdtemp(folder));
    db_play(folder, seed, STEPS, answers);
    for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void answers_are_those_of_lmdb(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct buffer real = BUFFER_EMPTY;
        struct buffer memory = BUFFER_EMPTY;
        size_t same = 0;

        lmdb_play(seed, &real);
        memory_play(NULL, seed, STEPS, &memory);
        while (same < buffer_bytes(&real).len && same < buffer_bytes(&memory).len &&
               buffer_bytes(&real).at[same] == buffer_bytes(&memory).at[same])
            same++;
        if (!bytes_equal(buffer_bytes(&real), buffer_bytes(&memory)))
            fail_msg("seed %u: answers differ from byte %zu on", (unsigned)seed, same);
        assert_true(buffer_bytes(&real).len > STEPS);
        buffer_fini(&real);
        buffer_fini(&memory);
    }
}

static void number_put(struct db *db, uint8_t number)
{
    struct db_txn *txn = db_write_begin(db);

    db_put(txn, TABLE_META, BYTES("number"), bytes_from(&number, 1));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static int number_get(struct db *db)
{
    struct db_txn *txn = db_read_begin(db);
    struct bytes value;
    int number = -1;

    if (db_get(txn, TABLE_META, BYTES("number"), &value) == ERR_OK)
        number = value.at[0];
    assert_int_equal(db_commit(&txn), ERR_OK);
    return number;
}

static void the_last_commit_may_be_lost(void **state)
{
    struct db *db;

    (void)state;
    assert_int_equal(db_open(NULL, 0, &db), ERR_OK);
    number_put(db, 1);
    number_put(db, 2);
    db_memory_crash(db, false);
    assert_int_equal(number_get(db), 2);
    number_put(db, 3);
    db_memory_crash(db, true);
    assert_int_equal(number_get(db), 2);
    number_put(db, 4);
    assert_int_equal(db_sync(db), ERR_OK);
    db_memory_crash(db, true);
    assert_int_equal(number_get(db), 4);
    /* What changes nothing makes nothing durable. */
    number_put(db, 5);
    struct db_txn *txn = db_write_begin(db);
    assert_false(db_delete(txn, TABLE_META, BYTES("other")));
    assert_int_equal(db_commit(&txn), ERR_OK);
    db_memory_crash(db, true);
    assert_int_equal(number_get(db), 4);
    db_close(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_lmdb),
        cmocka_unit_test(the_last_commit_may_be_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
