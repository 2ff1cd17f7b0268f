/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a group weighs, estimated from samples: held against what was put there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/check.h"
#include "storage/db/key.h"
#include "storage/machine/record.h"
#include "storage/service/weight_estimate.h"

enum { FEW = 15000, MANY = 100000, PERCENT = 100 };

struct fixture {
    char folder[64];
    struct db *db;
    uint64_t random;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    CHECK(fixture != NULL);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/test_weight.XXXXXX");
    CHECK(mkdtemp(fixture->folder) != NULL);
    CHECK(db_open(fixture->folder, (uint64_t)1 << 30, &fixture->db) == ERR_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[100];

    db_close(&fixture->db);
    snprintf(command, sizeof(command), "rm -r '%s'", fixture->folder);
    int code = system(command);
    free(fixture);
    return code;
}

static uint64_t some(struct fixture *fixture, uint64_t below)
{
    fixture->random = fixture->random * 6364136223846793005U + 1442695040888963407U;
    return (fixture->random >> 33) % below;
}

/* Most mail is small, some is large: 2 KB to 30 MB, the larger the fewer. */
static uint64_t mail_size(struct fixture *fixture)
{
    uint64_t size = 2000 + some(fixture, 20000);

    while (some(fixture, 5) == 0 && size < 30000000)
        size *= 3;
    return size;
}

static void put_body(struct db_txn *txn, uint32_t group, uint64_t blob, uint64_t size)
{
    struct blob_record record = {.references = 1, .size = size, .blocks = 1};
    struct record row;
    struct key key;

    blob_encode(&record, &row);
    db_put(txn, TABLE_BLOB, key_number(&key, group, blob), record_bytes(&row));
}

/* Bodies of a group, of which runs and single ones are gone again. */
static struct weight fill(struct fixture *fixture, uint32_t group, unsigned count)
{
    struct db_txn *txn = db_write_begin(fixture->db);
    struct weight weight = {0};
    uint64_t blob = 1;

    for (unsigned i = 0; i < count; i++) {
        uint64_t size = mail_size(fixture);
        put_body(txn, group, blob, size);
        weight.bodies++;
        weight.bytes += size + WEIGHT_ROW_BYTES;
        blob += 1 + (some(fixture, 3) == 0 ? some(fixture, 4) : 0) +
                (some(fixture, 1000) == 0 ? some(fixture, 3000) : 0);
    }
    CHECK(db_commit(&txn) == ERR_OK);
    return weight;
}

static struct weight estimate(struct fixture *fixture, uint32_t group)
{
    struct db_txn *txn = db_read_begin(fixture->db);
    struct weight weight = weight_estimate(txn, group);

    assert_int_equal(db_error(txn), ERR_OK);
    db_abort(&txn);
    return weight;
}

static void test_empty(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture, 6, 10);
    fill(fixture, 8, 10);
    struct weight weight = estimate(fixture, 7);
    assert_int_equal(weight.bodies, 0);
    assert_int_equal(weight.bytes, 0);
}

/* So few are counted. */
static void test_few(void **state)
{
    struct fixture *fixture = *state;
    static const unsigned counts[] = {1, 2, 127, 128, 129, 1000};

    for (uint32_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct weight truth = fill(fixture, 10 + i, counts[i]);
        fill(fixture, 100 + i, 7);
        struct weight weight = estimate(fixture, 10 + i);
        assert_int_equal(weight.bodies, truth.bodies);
        assert_int_equal(weight.bytes, truth.bytes);
    }
}

static unsigned percent_off(uint64_t estimated, uint64_t true_one)
{
    uint64_t off = estimated > true_one ? estimated - true_one : true_one - estimated;

    return (unsigned)(off * PERCENT / true_one);
}

static void test_many(void **state)
{
    struct fixture *fixture = *state;
    unsigned within_a_tenth = 0;
    enum { GROUPS = 12 };

    for (uint32_t group = 1; group <= GROUPS; group++) {
        struct weight truth = fill(fixture, group, group % 3 == 0 ? FEW : MANY);
        struct weight weight = estimate(fixture, group);
        assert_in_range(percent_off(weight.bodies, truth.bodies), 0, 12);
        assert_in_range(percent_off(weight.bytes, truth.bytes), 0, 30);
        within_a_tenth += percent_off(weight.bytes, truth.bytes) <= 10;
    }
    assert_in_range(within_a_tenth, GROUPS * 3 / 4, GROUPS);
}

/* The groups of a database share out all of its pages, and nothing of the directory's. */
static void test_shares(void **state)
{
    struct fixture *fixture = *state;
    struct db_txn *txn = db_write_begin(fixture->db);
    struct key key;
    uint8_t block[4080] = {1};
    uint8_t account[300] = {1};

    for (uint64_t blob = 1; blob <= 300; blob++) {
        uint32_t group = blob <= 100 ? 1 : 2;
        put_body(txn, group, blob, 3056);
        db_put(txn, TABLE_BLOCK, key_block(&key, group, blob, 0, 0),
               bytes_from(block, sizeof(block)));
    }
    for (uint64_t id = 0; id < 1000; id++)
        db_put(txn, TABLE_ACCOUNT, key_number(&key, 0, id), bytes_from(account, 300));
    CHECK(db_commit(&txn) == ERR_OK);
    struct weight_pages pages = weight_pages(fixture->db);
    assert_in_range(pages.directory, 300000, 450000);
    assert_in_range(pages.mail, 300 * 4096, 350 * 4096);
    uint64_t first = estimate(fixture, 1).bytes;
    uint64_t second = estimate(fixture, 2).bytes;
    assert_int_equal(weight_share(pages.mail, first, first + second), pages.mail / 3);
    assert_int_equal(weight_share(pages.mail, second, first + second), pages.mail * 2 / 3);
    assert_int_equal(weight_share(pages.mail, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_few, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shares, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
