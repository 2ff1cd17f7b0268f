/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#include "storage/query/scopes.h"
#include "storage/schema/entry.h"
#include "tests/unit/storage/model.h"

enum { SEEDS = 4, STEPS = 1500 };

static void commands_match(bool newest)
{
    struct model *model = malloc(sizeof(*model));

    assert_non_null(model);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        printf("seed %llu\n", (unsigned long long)seed);
        model_open(model, seed);
        if (newest)
            model_newest(model);
        for (unsigned step = 0; step < STEPS; step++) {
            model_step(model);
            if (step % 5 == 0)
                model_compare(model, &model->accounts[step / 5 % MODEL_ACCOUNTS],
                              lab_random(&model->seed, 4) == 0);
            if (step % 25 == 0)
                lab_invariants(&model->lab, MODEL_GROUP);
            if (step % 400 == 0)
                lab_reopen(&model->lab);
        }
        for (unsigned i = 0; i < MODEL_ACCOUNTS; i++)
            model_compare(model, &model->accounts[i], false);
        lab_invariants(&model->lab, MODEL_GROUP);
        model_close(model);
    }
    free(model);
}

static void random_commands_match_the_model(void **state)
{
    (void)state;
    commands_match(false);
}

static void so_they_do_in_the_newest_format(void **state)
{
    (void)state;
    commands_match(true);
}

static unsigned scopes_count(struct lab *lab)
{
    struct scopes_difference difference;
    struct db_txn *txn = db_read_begin(lab->db);

    assert_int_equal(scopes_recount(txn, MODEL_GROUP, UINT64_MAX, &difference), ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return (unsigned)difference.scopes;
}

static void digest(struct lab *lab, uint8_t digest[32])
{
    struct db_txn *txn = db_read_begin(lab->db);

    machine_digest(txn, MODEL_GROUP, digest);
    assert_int_equal(db_commit(&txn), ERR_OK);
}

/* The same entries in other transactions give the same tables, byte for byte. */
static void batches_do_not_matter(void **state)
{
    struct model *model = malloc(sizeof(*model));
    struct lab other;
    uint64_t seed = 77;
    uint8_t one[32];
    uint8_t two[32];

    (void)state;
    assert_non_null(model);
    model_open(model, 5);
    model_newest(model);
    for (unsigned step = 0; step < STEPS; step++)
        model_step(model);
    lab_open(&other);
    for (size_t i = 0; i < model->lab.entry_count;) {
        uint32_t batch = 1 + lab_random(&seed, 128);
        other.txn = db_write_begin(other.db);
        for (; batch > 0 && i < model->lab.entry_count; batch--, i++)
            lab_apply_entry(&other, MODEL_GROUP, model->lab.entries[i].entry);
        assert_int_equal(db_commit(&other.txn), ERR_OK);
    }
    assert_true(scopes_count(&other) > 1);
    digest(&model->lab, one);
    digest(&other, two);
    assert_memory_equal(one, two, sizeof(one));
    lab_deliver(&other, MODEL_GROUP, 100, BYTES("one more"));
    digest(&other, two);
    assert_true(memcmp(one, two, sizeof(one)) != 0);
    lab_close(&other);
    model_close(model);
    free(model);
}

/* Entries with bytes changed, left out and doubled: whatever they do, the state stays sound. */
static void hostile_entries_keep_the_state_sound(void **state)
{
    struct model *model = malloc(sizeof(*model));
    struct lab other;
    uint64_t seed = 99;
    unsigned refused = 0;

    (void)state;
    assert_non_null(model);
    model_open(model, 6);
    model_newest(model);
    for (unsigned step = 0; step < STEPS; step++)
        model_step(model);
    lab_open(&other);
    for (size_t i = 0; i < model->lab.entry_count; i++) {
        struct bytes entry = model->lab.entries[i].entry;
        size_t len = entry.len < 200 ? entry.len : 200;
        if (i == 0)
            lab_apply_entry(&other, MODEL_GROUP, entry); /* the format */
        uint8_t *copy = malloc(entry.len + 1);

        assert_non_null(copy);
        memcpy(copy, entry.at, entry.len);
        for (uint32_t changes = lab_random(&seed, 4); changes > 0; changes--)
            copy[lab_random(&seed, (uint32_t)len)] = (uint8_t)lab_random(&seed, 256);
        if (lab_random(&seed, 10) == 0)
            entry.len = lab_random(&seed, (uint32_t)entry.len);
        if (entry.len > 0)
            refused += lab_apply_entry(&other, MODEL_GROUP, bytes_from(copy, entry.len))->err !=
                       ERR_OK;
        free(copy);
        if (i % 50 == 0)
            lab_invariants(&other, MODEL_GROUP);
    }
    assert_true(refused > 100);
    lab_invariants(&other, MODEL_GROUP);
    lab_close(&other);
    model_close(model);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_commands_match_the_model),
        cmocka_unit_test(so_they_do_in_the_newest_format),
        cmocka_unit_test(batches_do_not_matter),
        cmocka_unit_test(hostile_entries_keep_the_state_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
