/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power goes at each flush of the log. Whatever mixture of sectors and names the disk has then,
 * the log opens, and is as before the write that was under way, or as after it. TEST_SEED,
 * TEST_SEEDS: the first seed and how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "node/base/check.h"
#include "raft/journal.h"
#include "tests/unit/raft/disk.h"
#include "tests/unit/raft/log_model.h"

enum { SEEDS = 12, STEPS = 40, SEGMENT = 64 * 1024, GOES_ON = 6 };

struct world {
    uint64_t seed;
    char folder[64];
    char lost[80];
    struct model before; /* what is promised */
    struct model after;  /* with what is under way */
    struct model lost_model;
    struct model_random random; /* of the disks */
    struct log_waiter waiter;
    struct log_waiter lost_waiter;
    unsigned flushes;
    unsigned disks;
    char what[300]; /* went wrong */
};

static enum err opened(const char *folder, struct log_waiter *waiter, struct journal **journal)
{
    struct journal_config config = {.folder = folder,
                                    .segment_bytes = SEGMENT,
                                    .written = log_waiter_written,
                                    .context = waiter};
    return journal_open(&config, journal);
}

static bool complain(struct world *world, enum disk_loss loss, const char *what)
{
    if (world->what[0] == 0)
        snprintf(world->what, sizeof(world->what), "seed %llu, flush %u, loss %d: %s",
                 (unsigned long long)world->seed, world->flushes, loss, what);
    return false;
}

/* What was found is written to, lost or not, and found again. */
static const char *go_on(struct world *world, struct journal **journal)
{
    struct model_writes *writes = calloc(1, sizeof(*writes));
    const char *what = NULL;

    CHECK(writes != NULL);
    world->random.stamps = world->random.stamps % 100000 + 1000000;
    for (unsigned i = 0; i < GOES_ON && what == NULL; i++) {
        model_writes_make(&world->lost_model, &world->random, writes);
        if (log_waiter_write(&world->lost_waiter, journal_interface(*journal), writes->writes,
                             writes->count) != ERR_OK)
            what = "does not go on";
        model_apply(&world->lost_model, writes);
        model_writes_free(writes);
    }
    free(writes);
    journal_close(journal);
    if (what == NULL && opened(world->lost, &world->lost_waiter, journal) != ERR_OK)
        what = "does not open after going on";
    return what != NULL
               ? what
               : model_differs(&world->lost_model, journal_interface(*journal), &world->random);
}

static bool lost_disk_check(struct world *world, enum disk_loss loss)
{
    struct journal *journal = NULL;
    const char *before;
    const char *after = NULL;
    char text[250];

    folder_remove(world->lost);
    CHECK(mkdir(world->lost, 0700) == 0);
    disk_lose(loss, model_random(&world->random, UINT32_MAX), world->lost);
    world->disks++;
    enum err err = opened(world->lost, &world->lost_waiter, &journal);
    if (err != ERR_OK)
        return complain(world, loss, err_name(err));
    struct entry_log *log = journal_interface(journal);
    before = model_differs(&world->before, log, &world->random);
    if (before != NULL) {
        snprintf(text, sizeof(text), "%s", before);
        after = model_differs(&world->after, log, &world->random);
    }
    if (before != NULL && after != NULL) {
        journal_close(&journal);
        return complain(world, loss, text);
    }
    const char *what = NULL;
    if (model_random(&world->random, 5) == 0) {
        world->lost_model = before == NULL ? world->before : world->after;
        what = go_on(world, &journal);
    }
    journal_close(&journal);
    return what == NULL || complain(world, loss, what);
}

static void on_flush(void *context)
{
    struct world *world = context;

    world->flushes++;
    for (unsigned loss = 0; loss < DISK_LOSSES && world->what[0] == 0; loss++)
        lost_disk_check(world, (enum disk_loss)loss);
    if (world->what[0] == 0)
        lost_disk_check(world, DISK_RANDOM);
}

static struct journal *log_open(struct world *world)
{
    struct journal *journal = NULL;
    enum err err = opened(world->folder, &world->waiter, &journal);

    if (err != ERR_OK)
        fail_msg("seed %llu: does not open: %s", (unsigned long long)world->seed,
                 err_name(err));
    return journal;
}

static void run(struct world *world, unsigned steps)
{
    struct model_random random = {.state = world->seed, .large_of = 150};
    struct model_writes *writes = calloc(1, sizeof(*writes));
    disk_watch(world->folder, on_flush, world);
    struct journal *journal = log_open(world);

    CHECK(writes != NULL);
    for (unsigned step = 0; step < steps && world->what[0] == 0; step++) {
        model_writes_make(&world->before, &random, writes);
        disk_lock();
        model_apply(&world->after, writes);
        disk_unlock();
        assert_int_equal(log_waiter_write(&world->waiter, journal_interface(journal),
                                          writes->writes, writes->count),
                         ERR_OK);
        disk_lock();
        world->before = world->after;
        disk_unlock();
        model_writes_free(writes);
        if (model_random(&random, 12) == 0) {
            journal_close(&journal);
            journal = log_open(world);
        }
    }
    journal_close(&journal);
    disk_unwatch();
    free(writes);
    if (world->what[0] != 0)
        fail_msg("%s", world->what);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void test_power_goes(void **state)
{
    uint64_t first = number_of("TEST_SEED", 1);
    uint64_t count = number_of("TEST_SEEDS", SEEDS);
    unsigned disks = 0;

    (void)state;
    printf("seeds %llu..%llu\n", (unsigned long long)first,
           (unsigned long long)(first + count - 1));
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct world *world = calloc(1, sizeof(*world));
        CHECK(world != NULL);
        world->seed = world->random.state = seed;
        world->waiter = world->lost_waiter = (struct log_waiter)LOG_WAITER_INIT;
        snprintf(world->folder, sizeof(world->folder), "/tmp/test_journal_crash.XXXXXX");
        CHECK(mkdtemp(world->folder) != NULL);
        snprintf(world->lost, sizeof(world->lost), "%s.lost", world->folder);
        run(world, STEPS);
        disks += world->disks;
        folder_remove(world->folder);
        folder_remove(world->lost);
        free(world);
    }
    printf("%u disks\n", disks);
    assert_true(disks > count * STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
