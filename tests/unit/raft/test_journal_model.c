/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random writes to the log, and to a model of it; TEST_SEED is the first seed, TEST_SEEDS how
 * many there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/check.h"
#include "raft/journal.h"
#include "tests/unit/raft/log_model.h"

enum { SEEDS = 200, STEPS = 60, SEGMENT = 64 * 1024 };

static struct log_waiter waiter = LOG_WAITER_INIT;

static struct journal *opened(const char *folder, uint64_t segment_bytes)
{
    struct journal_config config = {.folder = folder,
                                    .segment_bytes = segment_bytes,
                                    .written = log_waiter_written,
                                    .context = &waiter};
    struct journal *journal = NULL;
    enum err err = journal_open(&config, &journal);

    if (err != ERR_OK)
        fail_msg("does not open: %s", err_name(err));
    return journal;
}

static void run(uint64_t seed, unsigned steps, unsigned large_of, const char *folder)
{
    struct model *model = calloc(1, sizeof(*model));
    struct model_writes *writes = calloc(1, sizeof(*writes));
    struct model_random random = {.state = seed, .large_of = large_of};
    struct journal *journal = opened(folder, SEGMENT);

    CHECK(model != NULL && writes != NULL);
    for (unsigned step = 0; step < steps; step++) {
        struct entry_log *log = journal_interface(journal);
        const char *what = NULL;
        model_writes_make(model, &random, writes);
        assert_int_equal(log_waiter_write(&waiter, log, writes->writes, writes->count), ERR_OK);
        model_apply(model, writes);
        model_writes_free(writes);
        bool reopened = false;
        if (model_random(&random, 8) == 0)
            what = model_differs(model, log, &random);
        if (what == NULL && model_random(&random, 16) == 0) {
            reopened = true;
            journal_close(&journal);
            journal = opened(folder, SEGMENT + 4096 * model_random(&random, 2));
            what = model_differs(model, journal_interface(journal), &random);
        }
        if (what != NULL)
            fail_msg("seed %llu, step %u%s: %s", (unsigned long long)seed, step,
                     reopened ? ", reopened" : "", what);
    }
    journal_close(&journal);
    free(model);
    free(writes);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void seeds_run(unsigned count, unsigned steps, unsigned large_of)
{
    uint64_t first = number_of("TEST_SEED", 1);

    count = (unsigned)number_of("TEST_SEEDS", count);
    printf("seeds %llu..%llu\n", (unsigned long long)first,
           (unsigned long long)(first + count - 1));
    for (uint64_t seed = first; seed < first + count; seed++) {
        char folder[] = "/tmp/test_journal_model.XXXXXX";
        CHECK(mkdtemp(folder) != NULL);
        run(seed, steps, large_of, folder);
        folder_remove(folder);
    }
}

static void test_short(void **state)
{
    (void)state;
    seeds_run(SEEDS, STEPS, 400);
}

static void test_long(void **state)
{
    (void)state;
    seeds_run(2, STEPS * 40, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
