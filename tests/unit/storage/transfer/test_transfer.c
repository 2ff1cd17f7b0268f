/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#include "storage/db/key.h"
#include "storage/machine/local.h"
#include "storage/transfer/forget.h"
#include "tests/unit/storage/model.h"
#include "tests/unit/storage/transfer/copying.h"

enum { SEEDS = 6, STEPS_BEFORE = 400, OTHER_GROUP = 3 };

/* A model with something in it, and an empty place that another group lives in too. */
struct place {
    struct model *model;
    struct lab to;
    uint64_t seed;
    uint8_t other[32];
};

static void place_open(struct place *place, uint64_t seed)
{
    printf("seed %llu\n", (unsigned long long)seed);
    place->model = malloc(sizeof(*place->model));
    assert_non_null(place->model);
    place->seed = seed * 1000;
    model_open(place->model, seed);
    if (seed % 3 != 0) /* else as before an upgrade */
        model_newest(place->model);
    for (unsigned step = 0; step < STEPS_BEFORE; step++)
        model_step(place->model);
    lab_open(&place->to);
    lab_deliver(&place->to, OTHER_GROUP, 1, BYTES("of nobody's business"));
    lab_deliver(&place->to, MODEL_GROUP - 1, 1, BYTES("neither this"));
    copying_digest(place->to.db, OTHER_GROUP, place->other);
}

static void place_close(struct place *place)
{
    uint8_t other[32];

    copying_digest(place->to.db, OTHER_GROUP, other);
    assert_memory_equal(other, place->other, sizeof(other));
    lab_close(&place->to);
    model_close(place->model);
    free(place->model);
}

/* A random command at the source now and then: a copy ends only where it is faster than what it
 * copies. */
static void go_on(struct place *place)
{
    if (lab_random(&place->seed, 4) == 0)
        model_step(place->model);
}

static void an_empty_place_becomes_equal_while_mail_flows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct place place;
        struct copying copying;

        place_open(&place, seed);
        copying_open(&copying, place.model->lab.db, place.to.db, MODEL_GROUP, NULL,
                     &place.seed);
        while (copying_step(&copying))
            go_on(&place);
        copying_check(&copying);
        assert_true(copying.index > STEPS_BEFORE);
        copying_close(&copying);
        place_close(&place);
    }
}

/* Either side dies again and again, at any step; the state comes from another replica at times.
 */
static void an_interrupted_copy_begins_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct place place;
        struct copying copying;
        uint32_t interruptions = 0;
        bool done = false;

        place_open(&place, seed);
        while (!done) {
            uint32_t steps = 1 + lab_random(&place.seed, 10 + 20 * interruptions);
            copying_open(&copying, place.model->lab.db, place.to.db, MODEL_GROUP,
                         &copying_small, &place.seed);
            while (steps > 0 && !done) {
                steps--;
                done = !copying_step(&copying);
                go_on(&place);
            }
            if (done)
                copying_check(&copying);
            copying_close(&copying);
            interruptions++;
            if (lab_random(&place.seed, 3) == 0)
                lab_reopen(&place.to);
            if (lab_random(&place.seed, 3) == 0)
                lab_reopen(&place.model->lab);
        }
        assert_true(interruptions > 3);
        place_close(&place);
    }
}

/* Rows of the receiver that are of an older state, damaged, missing, or never were. */
static void damage(struct place *place, struct db *db)
{
    struct db_txn *txn = db_write_begin(db);
    struct key prefix;
    struct bytes key;
    struct bytes value;

    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        if (table == TABLE_LOCAL)
            continue;
        struct db_cursor *cursor =
            db_cursor_open(txn, (enum db_table)table, key_group(&prefix, MODEL_GROUP));
        for (bool more = db_cursor_first(cursor, &key, &value); more;
             more = db_cursor_next(cursor, &key, &value)) {
            struct key changed = {.len = key.len};
            memcpy(changed.at, key.at, key.len);
            switch (lab_random(&place->seed, 40)) {
            case 0:
                db_cursor_delete(cursor);
                break;
            case 1:
                db_put(txn, (enum db_table)table, bytes_from(changed.at, changed.len),
                       BYTES("damaged"));
                break;
            case 2:
                changed.at[changed.len++] = (uint8_t)lab_random(&place->seed, 256);
                db_put(txn, (enum db_table)table, bytes_from(changed.at, changed.len),
                       BYTES("never was"));
                db_cursor_seek(cursor, bytes_from(changed.at, changed.len), &key, &value);
                break;
            default:
                break;
            }
        }
        db_cursor_close(&cursor);
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static void what_is_here_is_of_use_but_not_trusted(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct place place;
        struct copying copying;
        struct lab *from;

        place_open(&place, seed);
        from = &place.model->lab;
        for (size_t i = 0; i < from->entry_count * 3 / 4; i++)
            lab_apply_entry(&place.to, MODEL_GROUP, from->entries[i].entry);
        damage(&place, place.to.db);
        copying_open(&copying, from->db, place.to.db, MODEL_GROUP, NULL, &place.seed);
        while (copying_step(&copying))
            go_on(&place);
        copying_check(&copying);
        copying_close(&copying);
        place_close(&place);
    }
}

static void rows_that_are_equal_do_not_travel(void **state)
{
    struct place place;
    struct copying copying;
    struct transfer_sink_progress first;
    struct transfer_sink_progress second;
    (void)state;

    place_open(&place, 1);
    for (unsigned i = 0; i < 300; i++) {
        uint8_t body[3000];
        memset(body, (int)i, sizeof(body));
        lab_deliver(&place.model->lab, MODEL_GROUP, 100, bytes_from(body, sizeof(body)));
    }
    copying_open(&copying, place.model->lab.db, place.to.db, MODEL_GROUP, NULL, &place.seed);
    while (copying_step(&copying))
        continue;
    transfer_sink_progress(copying.sink, &first);
    copying_close(&copying);
    assert_true(first.bytes_received > 300 * 3000);
    lab_deliver(&place.model->lab, MODEL_GROUP, 100, BYTES("one more"));

    copying_open(&copying, place.model->lab.db, place.to.db, MODEL_GROUP, &copying_small,
                 &place.seed);
    while (copying_step(&copying))
        continue;
    copying_check(&copying);
    transfer_sink_progress(copying.sink, &second);
    copying_close(&copying);
    printf("%llu bytes at first, then %llu\n", (unsigned long long)first.bytes_received,
           (unsigned long long)second.bytes_received);
    assert_true(second.bytes_received < 400 * 1000);
    place_close(&place);
}

static void memory_for_changes_is_bounded(void **state)
{
    struct place place;
    struct copying copying;
    (void)state;

    place_open(&place, 2);
    copying_open(&copying, place.model->lab.db, place.to.db, MODEL_GROUP, &copying_small,
                 &place.seed);
    copying_step(&copying);
    copying_step(&copying);
    for (unsigned i = 0; i < 64; i++) {
        struct db_txn *txn = db_write_begin(place.model->lab.db);
        struct key key;
        for (uint64_t k = 0; k < 1000; k++)
            db_put(txn, TABLE_DEDUPE, key_number(&key, MODEL_GROUP, i * 1000 + k), BYTES("x"));
        db_abort(&txn); /* noted all the same */
    }
    assert_int_equal(transfer_source_answer(copying.source, buffer_bytes(&copying.question),
                                            &copying.answer),
                     ERR_TOOBIG);
    copying_close(&copying);
    place_close(&place);
}

static void a_partial_state_is_no_source(void **state)
{
    struct place place;
    struct copying copying;
    struct local_copy mark;
    struct db_txn *txn;
    (void)state;

    place_open(&place, 3);
    copying_open(&copying, place.model->lab.db, place.to.db, MODEL_GROUP, NULL, &place.seed);
    for (unsigned i = 0; i < 4; i++)
        copying_step(&copying);
    txn = db_read_begin(place.to.db);
    assert_true(local_partial(txn, MODEL_GROUP, &mark));
    assert_int_equal(mark.source, 7);
    assert_false(local_partial(txn, OTHER_GROUP, NULL));
    db_abort(&txn);
    struct buffer names = BUFFER_EMPTY;
    struct transfer_tables tables;
    struct transfer_source *source = NULL;
    transfer_tables_own(&tables);
    transfer_tables_encode(&tables, &names);
    struct transfer_source_config config = {
        .db = place.to.db, .group = MODEL_GROUP, .tables = buffer_bytes(&names)};
    assert_int_equal(transfer_source_new(&config, &source), ERR_NOTFOUND);
    config.group = 99;
    assert_int_equal(transfer_source_new(&config, &source), ERR_NOTFOUND);
    /* A receiver of a release without the table of messages. */
    config.db = place.model->lab.db;
    config.group = MODEL_GROUP;
    for (unsigned i = 0; i < tables.count; i++)
        if (tables.at[i] == TABLE_MESSAGE)
            tables.at[i] = tables.at[--tables.count];
    buffer_clear(&names);
    transfer_tables_encode(&tables, &names);
    config.tables = buffer_bytes(&names);
    assert_int_equal(transfer_source_new(&config, &source), ERR_UNSUPPORTED);
    config.tables = bytes_from(config.tables.at, config.tables.len - 1);
    assert_int_equal(transfer_source_new(&config, &source), ERR_MALFORMED);
    buffer_fini(&names);
    copying_close(&copying);
    place_close(&place);
}

static unsigned rows_left(struct db *db, uint32_t group)
{
    struct db_txn *txn = db_read_begin(db);
    unsigned rows = 0;

    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        struct key prefix;
        struct bytes key;
        struct bytes value;
        struct db_cursor *cursor =
            db_cursor_open(txn, (enum db_table)table, key_group(&prefix, group));
        for (bool more = db_cursor_first(cursor, &key, &value); more;
             more = db_cursor_next(cursor, &key, &value))
            rows++;
        db_cursor_close(&cursor);
    }
    db_abort(&txn);
    return rows;
}

/* And of no other group; after a crash in the midst of it the rest is no state. */
static void a_forgotten_group_leaves_nothing(void **state)
{
    struct place place;
    struct copying copying;
    struct db_txn *txn;
    unsigned steps = 0;
    bool more = true;
    (void)state;

    place_open(&place, 4);
    copying_open(&copying, place.model->lab.db, place.to.db, MODEL_GROUP, NULL, &place.seed);
    while (copying_step(&copying))
        continue;
    copying_close(&copying);
    assert_true(rows_left(place.to.db, MODEL_GROUP) > 500);
    assert_int_equal(transfer_forget_begin(place.to.db, MODEL_GROUP, 1), ERR_OK);
    for (; more; steps++) {
        txn = db_read_begin(place.to.db);
        assert_true(local_partial(txn, MODEL_GROUP, NULL));
        db_abort(&txn);
        assert_int_equal(transfer_forget_step(place.to.db, MODEL_GROUP, 100, &more), ERR_OK);
        if (steps == 3)
            lab_reopen(&place.to);
    }
    assert_true(steps > 5);
    assert_int_equal(rows_left(place.to.db, MODEL_GROUP), 0);
    place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_place_becomes_equal_while_mail_flows),
        cmocka_unit_test(an_interrupted_copy_begins_again),
        cmocka_unit_test(what_is_here_is_of_use_but_not_trusted),
        cmocka_unit_test(rows_that_are_equal_do_not_travel),
        cmocka_unit_test(memory_for_changes_is_bounded),
        cmocka_unit_test(a_partial_state_is_no_source),
        cmocka_unit_test(a_forgotten_group_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
