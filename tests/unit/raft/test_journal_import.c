/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A journal made from an LMDB log in any state has all that it had. TEST_SEED, TEST_SEEDS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "node/base/check.h"
#include "raft/journal.h"
#include "raft/log_lmdb.h"
#include "tests/unit/raft/disk.h"
#include "tests/unit/raft/log_model.h"

enum { SEEDS = 20, STEPS = 60, INTERRUPTIONS = 12 };

#define MAP_BYTES (UINT64_C(64) << 20)

static struct log_waiter waiter = LOG_WAITER_INIT;

static void lmdb_write(const char *folder, struct model *model, struct model_random *random,
                       unsigned steps)
{
    struct log_lmdb_config config = {.folder = folder,
                                     .map_bytes = MAP_BYTES,
                                     .written = log_waiter_written,
                                     .context = &waiter};
    struct model_writes *writes = calloc(1, sizeof(*writes));
    struct log_lmdb *log = NULL;

    CHECK(writes != NULL && log_lmdb_open(&config, &log) == ERR_OK);
    for (unsigned i = 0; i < steps; i++) {
        model_writes_make(model, random, writes);
        assert_int_equal(
            log_waiter_write(&waiter, log_lmdb_interface(log), writes->writes, writes->count),
            ERR_OK);
        model_apply(model, writes);
        model_writes_free(writes);
    }
    const char *what = model_differs(model, log_lmdb_interface(log), random);
    log_lmdb_close(&log);
    free(writes);
    if (what != NULL)
        fail_msg("the LMDB log: %s", what);
}

static void expect(const char *folder, const struct model *model, struct model_random *random)
{
    struct journal_config config = {
        .folder = folder, .written = log_waiter_written, .context = &waiter};
    struct journal *journal = NULL;

    assert_int_equal(journal_open(&config, &journal), ERR_OK);
    const char *what = model_differs(model, journal_interface(journal), random);
    journal_close(&journal);
    if (what != NULL)
        fail_msg("%s", what);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* `fails`: so many attempts end with an error before one is left to itself. */
static void run(uint64_t seed, unsigned steps, unsigned fails)
{
    struct model *model = calloc(1, sizeof(*model));
    struct model_random random = {.state = seed, .large_of = 100};
    char folder[] = "/tmp/test_journal_import.XXXXXX";
    char made[60];
    char half[64];

    CHECK(model != NULL && mkdtemp(folder) != NULL);
    snprintf(made, sizeof(made), "%s.made", folder);
    snprintf(half, sizeof(half), "%s.tmp", made);
    lmdb_write(folder, model, &random, steps);
    for (unsigned i = 0; i < fails; i++) {
        disk_faults_set(&(struct disk_faults){
            .flush_fails_at = 1 + (unsigned)model_random(&random, 20), .code = EIO});
        assert_int_not_equal(journal_import(made, folder, MAP_BYTES), ERR_OK);
        disk_faults_set(&(struct disk_faults){0});
        lmdb_write(folder, model, &random, 0);
    }
    enum err err = journal_import(made, folder, MAP_BYTES);
    if (err != ERR_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err_name(err));
    expect(made, model, &random);
    lmdb_write(folder, model, &random, 0);
    folder_remove(folder);
    folder_remove(made);
    folder_remove(half);
    free(model);
}

static void test_import(void **state)
{
    uint64_t first = number_of("TEST_SEED", 1);
    uint64_t count = number_of("TEST_SEEDS", SEEDS);

    (void)state;
    printf("seeds %llu..%llu\n", (unsigned long long)first,
           (unsigned long long)(first + count - 1));
    for (uint64_t seed = first; seed < first + count; seed++)
        run(seed, STEPS, 0);
}

static void test_nothing(void **state)
{
    (void)state;
    run(1, 0, 0);
}

static void test_interrupted(void **state)
{
    (void)state;
    run(5, STEPS, INTERRUPTIONS);
    assert_int_equal(disk_faults_get().open_files, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
