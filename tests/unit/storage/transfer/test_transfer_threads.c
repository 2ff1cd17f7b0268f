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

#include "tests/unit/storage/model.h"
#include "tests/unit/storage/transfer/copying.h"

enum { ENTRIES_BEFORE = 300, ENTRIES = 3000, SEEDS = 4 };

/* A thread that applies what a model has made, as a lane does, while the copy runs. */
struct writer {
    const struct lab *made;
    struct db *db;
    size_t at;
    uint64_t seed;
    _Atomic bool enough;
};

static void apply_some(struct writer *writer, size_t count)
{
    struct machine_events events = {0};
    struct arena arena;
    struct bytes reply;
    struct db_txn *txn = db_write_begin(writer->db);

    arena_init(&arena);
    for (; count > 0 && writer->at < writer->made->entry_count; count--) {
        struct bytes entry = writer->made->entries[writer->at++].entry;
        machine_apply(txn, MODEL_GROUP, writer->at, 1, entry, &arena, &reply, &events);
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
    arena_fini(&arena);
}

static void *write_on(void *context)
{
    struct writer *writer = context;

    while (!atomic_load(&writer->enough) && writer->at < writer->made->entry_count)
        apply_some(writer, 1 + lab_random(&writer->seed, 3));
    return NULL;
}

static void check_against_replay(struct writer *writer, struct copying *copying)
{
    struct lab replay;
    struct writer again = {.made = writer->made};
    uint8_t want[32];
    uint8_t got[32];

    lab_open(&replay);
    again.db = replay.db;
    apply_some(&again, copying->index);
    copying_digest(replay.db, MODEL_GROUP, want);
    copying_digest(copying->to, MODEL_GROUP, got);
    assert_memory_equal(want, got, sizeof(want));
    lab_close(&replay);
}

static void the_copy_is_what_the_machine_was_at_its_index(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct model *model = malloc(sizeof(*model));
        struct lab from;
        struct lab to;
        struct copying copying;
        uint64_t random = seed;
        pthread_t thread;

        assert_non_null(model);
        model_open(model, seed);
        for (unsigned step = 0; step < ENTRIES; step++)
            model_step(model);
        lab_open(&from);
        lab_open(&to);
        struct writer writer = {.made = &model->lab, .db = from.db, .seed = seed};
        apply_some(&writer, ENTRIES_BEFORE);
        assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
        copying_open(&copying, from.db, to.db, MODEL_GROUP, NULL, &random);
        while (copying_step(&copying))
            continue;
        atomic_store(&writer.enough, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        printf("seed %llu: %llu of %zu entries, copy of %llu\n", (unsigned long long)seed,
               (unsigned long long)writer.at, model->lab.entry_count,
               (unsigned long long)copying.index);
        check_against_replay(&writer, &copying);
        copying_close(&copying);
        lab_close(&from);
        lab_close(&to);
        model_close(model);
        free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_is_what_the_machine_was_at_its_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
