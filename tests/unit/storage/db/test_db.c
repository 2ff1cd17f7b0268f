/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/db/compact.h"
#include "storage/db/db.h"
#include "storage/db/key.h"

struct place {
    char folder[32];
    struct db *db;
};

static void place_open(struct place *place, uint64_t map_bytes)
{
    snprintf(place->folder, sizeof(place->folder), "/tmp/postraft-db-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    assert_int_equal(db_open(place->folder, map_bytes, &place->db), ERR_OK);
}

static void place_close(struct place *place)
{
    char path[64];

    db_close(&place->db);
    snprintf(path, sizeof(path), "%s/data.mdb", place->folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/lock.mdb", place->folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(place->folder), 0);
}

/* Keys of three groups: 1: uids 0, 2, 4 .. 98; the largest group; 3: one row. */
static void fill(struct db *db)
{
    struct db_txn *txn = db_write_begin(db);
    struct key key;

    for (uint32_t uid = 0; uid < 100; uid += 2)
        db_put(txn, TABLE_MESSAGE, key_uid(&key, 1, 5, 6, uid), bytes_from(&uid, sizeof(uid)));
    db_put(txn, TABLE_MESSAGE, key_uid(&key, 3, 5, 6, 7), BYTES("three"));
    db_put(txn, TABLE_MESSAGE, key_uid(&key, UINT32_MAX, UINT64_MAX, 6, 7), BYTES("last"));
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_null(txn);
}

static void cursor_stays_with_its_prefix(void **state)
{
    struct place place;
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes value;
    uint32_t want = 0;

    (void)state;
    place_open(&place, 1 << 24);
    fill(place.db);
    struct db_txn *txn = db_read_begin(place.db);
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_MESSAGE, key_mailbox(&prefix, 1, 5, 6));
    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value), want += 2) {
        assert_int_equal(key_last_u32(key), want);
        assert_memory_equal(value.at, &want, sizeof(want));
    }
    assert_int_equal(want, 100);
    assert_false(db_cursor_next(cursor, &key, &value));
    assert_true(db_cursor_last(cursor, &key, &value));
    assert_int_equal(key_last_u32(key), 98);
    assert_true(db_cursor_seek(cursor, key_uid(&at, 1, 5, 6, 51), &key, &value));
    assert_int_equal(key_last_u32(key), 52);
    assert_true(db_cursor_before(cursor, key_uid(&at, 1, 5, 6, 52), &key, &value));
    assert_int_equal(key_last_u32(key), 50);
    assert_true(db_cursor_before(cursor, key_uid(&at, 1, 5, 6, 51), &key, &value));
    assert_int_equal(key_last_u32(key), 50);
    assert_false(db_cursor_before(cursor, key_uid(&at, 1, 5, 6, 0), &key, &value));
    assert_false(db_cursor_seek(cursor, key_uid(&at, 1, 5, 6, 99), &key, &value));
    assert_true(db_cursor_before(cursor, key_uid(&at, 1, 5, 6, 500), &key, &value));
    assert_int_equal(key_last_u32(key), 98);
    db_cursor_close(&cursor);
    cursor = db_cursor_open(txn, TABLE_MESSAGE, key_group(&prefix, UINT32_MAX));
    assert_true(db_cursor_last(cursor, &key, &value)); /* no key lies behind the prefix */
    assert_true(bytes_equal(value, BYTES("last")));
    db_cursor_close(&cursor);
    cursor = db_cursor_open(txn, TABLE_MESSAGE, key_group(&prefix, 2));
    assert_false(db_cursor_first(cursor, &key, &value));
    assert_false(db_cursor_last(cursor, &key, &value));
    db_cursor_close(&cursor);
    assert_int_equal(db_commit(&txn), ERR_OK);
    place_close(&place);
}

/* Rows may come and go between a deletion and the next step. */
static void deleting_goes_on_behind(void **state)
{
    struct place place;
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes value;
    unsigned deleted = 0;

    (void)state;
    place_open(&place, 1 << 24);
    fill(place.db);
    struct db_txn *txn = db_write_begin(place.db);
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_MESSAGE, key_group(&prefix, 1));
    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value)) {
        uint32_t uid = key_last_u32(key);
        assert_int_equal(uid % 4, 0);
        db_cursor_delete(cursor);
        assert_true(db_delete(txn, TABLE_MESSAGE, key_uid(&at, 1, 5, 6, uid + 2)));
        assert_false(db_delete(txn, TABLE_MESSAGE, key_uid(&at, 1, 5, 6, uid)));
        for (uint32_t other = 0; other < 20; other++)
            db_put(txn, TABLE_MESSAGE, key_uid(&at, 2, uid, other, other), BYTES("other"));
        deleted++;
    }
    db_cursor_close(&cursor);
    assert_int_equal(deleted, 25);
    assert_int_equal(db_get(txn, TABLE_MESSAGE, key_uid(&at, 3, 5, 6, 7), &value), ERR_OK);
    assert_int_equal(db_get(txn, TABLE_MESSAGE, key_uid(&at, 1, 5, 6, 8), &value),
                     ERR_NOTFOUND);
    assert_int_equal(db_commit(&txn), ERR_OK);
    place_close(&place);
}

static void first_error_sticks(void **state)
{
    static uint8_t large[100000];
    struct place place;
    struct key key;
    struct bytes value;

    (void)state;
    place_open(&place, 512 * 1024);
    fill(place.db);
    struct db_txn *txn = db_write_begin(place.db);
    db_put(txn, TABLE_BLOB, key_number(&key, 1, 1), BYTES("small"));
    assert_int_equal(db_get(txn, TABLE_BLOB, key_number(&key, 1, 9), &value), ERR_NOTFOUND);
    assert_int_equal(db_error(txn), ERR_OK); /* an answer, no error */
    for (uint64_t i = 0; i < 10; i++)
        db_put(txn, TABLE_BLOB, key_number(&key, 2, i), bytes_from(large, sizeof(large)));
    assert_int_equal(db_error(txn), ERR_FULL);
    assert_int_equal(db_get(txn, TABLE_BLOB, key_number(&key, 1, 1), &value), ERR_FULL);
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_BLOB, key_group(&key, 1));
    struct bytes at;
    assert_false(db_cursor_first(cursor, &at, &value));
    db_cursor_close(&cursor);
    db_fail(txn, ERR_IO); /* comes too late */
    assert_int_equal(db_commit(&txn), ERR_FULL);
    txn = db_read_begin(place.db);
    assert_int_equal(db_get(txn, TABLE_BLOB, key_number(&key, 1, 1), &value), ERR_NOTFOUND);
    assert_int_equal(db_get(txn, TABLE_MESSAGE, key_uid(&key, 3, 5, 6, 7), &value), ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    place_close(&place);
}

static void numbers_sort(void **state)
{
    static const uint64_t numbers[] = {0, 1, 255, 256, 65535, 1u << 31, 1ull << 40, UINT64_MAX};
    struct key keys[2];

    (void)state;
    for (size_t i = 1; i < sizeof(numbers) / sizeof(*numbers); i++) {
        struct bytes low = key_number(&keys[0], 7, numbers[i - 1]);
        struct bytes high = key_number(&keys[1], 7, numbers[i]);
        assert_int_equal(low.len, high.len);
        assert_true(memcmp(low.at, high.at, low.len) < 0);
        assert_int_equal(key_last_u64(high), numbers[i]);
    }
    assert_int_equal(key_last_u64(BYTES("short")), 0);
    key_address(&keys[0], 0, BYTES("user"), BYTES("a.example"));
    key_address(&keys[1], 0, BYTES(""), BYTES("a.example"));
    assert_memory_equal(keys[0].at, keys[1].at, keys[1].len);
}

static void folder_that_cannot_be_made(void **state)
{
    struct db *db;

    (void)state;
    assert_int_not_equal(db_open("/proc/no/such", 1 << 20, &db), ERR_OK);
    assert_null(db);
}

struct reading {
    struct db *db;
    atomic_bool stop;
    atomic_uint reads;
};

/* Both rows are written together, so a reader sees them equal. */
static void *read_many(void *context)
{
    struct reading *reading = context;

    while (!atomic_load(&reading->stop)) {
        struct db_txn *txn = db_read_begin(reading->db);
        struct key key;
        struct bytes one;
        struct bytes two;
        if (db_get(txn, TABLE_BLOB, key_number(&key, 1, 1), &one) == ERR_OK &&
            db_get(txn, TABLE_BLOB, key_number(&key, 1, 2), &two) == ERR_OK)
            assert_true(bytes_equal(one, two));
        assert_int_equal(db_commit(&txn), ERR_OK);
        atomic_fetch_add(&reading->reads, 1);
    }
    return NULL;
}

static void readers_see_whole_transactions(void **state)
{
    struct place place;
    struct reading reading = {.stop = false};
    pthread_t threads[3];
    struct db_statistics statistics;

    (void)state;
    place_open(&place, 1 << 24);
    reading.db = place.db;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, &reading), 0);
    for (uint64_t i = 0; i < 200 || atomic_load(&reading.reads) < 200; i++) {
        struct db_txn *txn = db_write_begin(place.db);
        struct key key;
        db_put(txn, TABLE_BLOB, key_number(&key, 1, 1), bytes_from(&i, sizeof(i)));
        db_put(txn, TABLE_BLOB, key_number(&key, 1, 2), bytes_from(&i, sizeof(i)));
        assert_int_equal(db_commit(&txn), ERR_OK);
    }
    atomic_store(&reading.stop, true);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(db_sync(place.db), ERR_OK);
    db_statistics(place.db, &statistics);
    assert_int_equal(statistics.map_bytes, 1 << 24);
    assert_true(statistics.used_bytes > 4096 && statistics.used_bytes < 1 << 20);
    assert_true(statistics.readers <= 4); /* slots are used again */
    place_close(&place);
}

/* Much is written and deleted: the file shrinks, and what was left is there. */
static void compacting_keeps_the_rows(void **state)
{
    struct place place;
    struct key key;
    struct bytes value;
    uint64_t before;
    uint64_t after;
    static const uint8_t large[4000];

    (void)state;
    place_open(&place, 1 << 26);
    fill(place.db);
    for (uint32_t round = 0; round < 2; round++) {
        struct db_txn *txn = db_write_begin(place.db);
        for (uint32_t uid = 0; uid < 4000; uid++) {
            if (round == 0)
                db_put(txn, TABLE_BLOCK, key_uid(&key, 9, 5, 6, uid), bytes_from(large, 4000));
            else
                assert_true(db_delete(txn, TABLE_BLOCK, key_uid(&key, 9, 5, 6, uid)));
        }
        assert_int_equal(db_commit(&txn), ERR_OK);
    }
    db_close(&place.db);
    assert_int_equal(db_compact(place.folder, &before, &after), ERR_OK);
    assert_true(before > 16000000 && after < before / 10);
    assert_int_equal(db_open(place.folder, 1 << 26, &place.db), ERR_OK);
    struct db_txn *txn = db_read_begin(place.db);
    assert_int_equal(db_get(txn, TABLE_MESSAGE, key_uid(&key, 3, 5, 6, 7), &value), ERR_OK);
    assert_true(bytes_equal(value, BYTES("three")));
    for (uint32_t uid = 0; uid < 100; uid++)
        assert_int_equal(db_get(txn, TABLE_MESSAGE, key_uid(&key, 1, 5, 6, uid), &value),
                         uid % 2 == 0 ? ERR_OK : ERR_NOTFOUND);
    assert_int_equal(db_commit(&txn), ERR_OK);
    place_close(&place);
    assert_int_equal(db_compact("/tmp/postraft-db-none", &before, &after), ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compacting_keeps_the_rows),
        cmocka_unit_test(cursor_stays_with_its_prefix),
        cmocka_unit_test(deleting_goes_on_behind),
        cmocka_unit_test(first_error_sticks),
        cmocka_unit_test(numbers_sort),
        cmocka_unit_test(folder_that_cannot_be_made),
        cmocka_unit_test(readers_see_whole_transactions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
