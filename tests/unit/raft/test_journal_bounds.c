/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much the log takes: groups that are seldom written to, beside one that always is; with
 * another thread that reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "node/base/check.h"
#include "raft/frame.h"
#include "raft/journal.h"
#include "tests/unit/raft/disk.h"
#include "tests/unit/raft/log_model.h"

enum {
    SEGMENT = 64 * 1024,
    IDLE = 1,
    BUSY = 2,
    IDLE_ENTRIES = 20,
    DATA = 1500,
    KEPT = 40,
    WRITES = 200 * SEGMENT / DATA,
    SEGMENTS_MAX = 12,
};

struct fixture {
    char folder[64];
    struct journal *journal;
    struct log_waiter waiter;
    atomic_bool closing;
    unsigned most;
    atomic_uint idle; /* entries of that group */
    /* of the chain of writes */
    uint64_t last;
    struct log_write write;
    struct entry entry;
    uint8_t data[DATA];
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool ended;
};

static void fill(uint32_t group, uint64_t index, uint8_t *data)
{
    model_data(group * 1000000 + index, data, DATA);
}

static void opened(struct fixture *fixture, void (*written)(void *context, enum err err),
                   void *context)
{
    struct journal_config config = {.folder = fixture->folder,
                                    .segment_bytes = SEGMENT,
                                    .written = written,
                                    .context = context};
    CHECK(journal_open(&config, &fixture->journal) == ERR_OK);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    CHECK(fixture != NULL);
    fixture->waiter = (struct log_waiter)LOG_WAITER_INIT;
    fixture->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    fixture->done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/test_journal_bounds.XXXXXX");
    CHECK(mkdtemp(fixture->folder) != NULL);
    opened(fixture, log_waiter_written, &fixture->waiter);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    journal_close(&fixture->journal);
    folder_remove(fixture->folder);
    free(fixture);
    return disk_faults_get().open_files == 0 ? 0 : -1;
}

/* The next write of one entry; some trim. */
static const struct log_write *next_write(struct fixture *fixture, uint32_t group,
                                          uint64_t index)
{
    fill(group, index, fixture->data);
    fixture->entry = (struct entry){
        .term = 1, .type = ENTRY_COMMAND, .data = bytes_from(fixture->data, DATA)};
    fixture->write = (struct log_write){.group = group,
                                        .create = index == 1,
                                        .from = index,
                                        .entries = &fixture->entry,
                                        .count = 1};
    if (group == BUSY && index > 2 * KEPT && index % KEPT == 0) {
        fixture->write.trim_before = index - KEPT;
        fixture->write.base_term = 1;
    }
    return &fixture->write;
}

static void idle_write(struct fixture *fixture, uint64_t last)
{
    for (uint64_t index = fixture->idle + 1; index <= last; index++) {
        assert_int_equal(log_waiter_write(&fixture->waiter, journal_interface(fixture->journal),
                                          next_write(fixture, IDLE, index), 1),
                         ERR_OK);
        fixture->idle++;
    }
}

static bool is_right(struct fixture *fixture, uint32_t group, uint64_t index, bool must)
{
    struct entry_log *log = journal_interface(fixture->journal);
    uint8_t data[DATA];
    struct entry entry;

    if (log->ops->read(log, group, index, 1, 1, &entry) != 1)
        return !must;
    fill(group, index, data);
    bool right = bytes_equal(entry.data, bytes_from(data, DATA));
    frame_unref(entry.owner);
    return right;
}

static void bounds_check(struct fixture *fixture)
{
    struct journal_statistics statistics;

    journal_statistics(fixture->journal, &statistics);
    if (statistics.segments > fixture->most)
        fixture->most = statistics.segments;
    for (uint64_t index = 1; index <= fixture->idle; index++)
        CHECK(is_right(fixture, IDLE, index, true));
}

static void end_check(struct fixture *fixture)
{
    assert_true(fixture->most <= SEGMENTS_MAX);
    journal_close(&fixture->journal);
    opened(fixture, log_waiter_written, &fixture->waiter);
    bounds_check(fixture);
    assert_true(fixture->most <= SEGMENTS_MAX);
    for (uint64_t index = WRITES - KEPT; index <= WRITES; index++)
        assert_true(is_right(fixture, BUSY, index, true));
}

static void test_idle_group(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t index = 1; index <= WRITES; index++) {
        assert_int_equal(log_waiter_write(&fixture->waiter, journal_interface(fixture->journal),
                                          next_write(fixture, BUSY, index), 1),
                         ERR_OK);
        /* Each keeps a segment, if nobody moves it. */
        idle_write(fixture, index * IDLE_ENTRIES / WRITES);
        if (index % 50 == 0)
            bounds_check(fixture);
    }
    end_check(fixture);
}

/* ---- a write is always there when one ends, and others read meanwhile ---- */

static void chain_written(void *context, enum err err)
{
    struct fixture *fixture = context;

    CHECK(err == ERR_OK);
    pthread_mutex_lock(&fixture->lock);
    if (fixture->last == WRITES)
        fixture->ended = true;
    else
        fixture->last++;
    bool ended = fixture->ended;
    pthread_cond_signal(&fixture->done);
    pthread_mutex_unlock(&fixture->lock);
    if (!ended) {
        struct entry_log *log = journal_interface(fixture->journal);
        log->ops->write(log, next_write(fixture, BUSY, fixture->last), 1);
    }
}

static void *reading_thread(void *context)
{
    struct fixture *fixture = context;
    struct entry_log *log = journal_interface(fixture->journal);
    struct model_random random = {.state = 1};

    while (!atomic_load(&fixture->closing)) {
        struct log_state states[4];
        struct entry entries[10];
        unsigned count = log->ops->groups(log, states, 4);
        for (unsigned i = 0; i < count; i++) {
            uint64_t kept = states[i].last_index + 1 - states[i].first_index;
            uint64_t index = states[i].first_index + model_random(&random, kept + 1);
            CHECK(is_right(fixture, states[i].group, index, false));
            log->ops->bytes(log, states[i].group);
            unsigned got = log->ops->scan(log, states[i].group, index, 10, entries);
            for (unsigned j = 0; j < got; j++)
                frame_unref(entries[j].owner);
        }
        bounds_check(fixture);
    }
    return NULL;
}

static void test_no_pause(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;

    idle_write(fixture, IDLE_ENTRIES);
    journal_close(&fixture->journal);
    opened(fixture, chain_written, fixture);
    struct entry_log *log = journal_interface(fixture->journal);
    CHECK(pthread_create(&thread, NULL, reading_thread, fixture) == 0);
    fixture->last = 1;
    log->ops->write(log, next_write(fixture, BUSY, 1), 1);
    pthread_mutex_lock(&fixture->lock);
    while (!fixture->ended)
        pthread_cond_wait(&fixture->done, &fixture->lock);
    pthread_mutex_unlock(&fixture->lock);
    atomic_store(&fixture->closing, true);
    pthread_join(thread, NULL);
    end_check(fixture);
}

/* Entries without data cost more in the files than they are worth: the cleaner still ends. */
static void test_cleaning_ends(void **state)
{
    struct fixture *fixture = *state;
    struct entry_log *log = journal_interface(fixture->journal);
    struct entry entries[100];
    unsigned writes;

    for (unsigned i = 0; i < 100; i++)
        entries[i] = (struct entry){.term = 1, .type = ENTRY_BARRIER};
    for (uint64_t index = 1; index < 30000; index += 100) {
        struct log_write write = {
            .group = 1, .create = index == 1, .from = index, .entries = entries, .count = 100};
        assert_int_equal(log_waiter_write(&fixture->waiter, log, &write, 1), ERR_OK);
        if (index % 1000 == 1) {
            struct log_write one = {.group = 2,
                                    .create = true,
                                    .from = index / 1000 + 1,
                                    .entries = entries,
                                    .count = 1};
            assert_int_equal(log_waiter_write(&fixture->waiter, log, &one, 1), ERR_OK);
        }
    }
    /* Until nothing is written any more; a cleaner that goes round and round goes beyond. */
    writes = disk_faults_get().writes;
    for (unsigned calm = 0, before = writes; calm < 20; calm++) {
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
        unsigned now = disk_faults_get().writes;
        calm = now != before ? 0 : calm;
        before = now;
        assert_true(now - writes < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cleaning_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
