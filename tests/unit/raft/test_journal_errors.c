/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes, flushes and reads that fail, and a disk that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>

#include "node/base/check.h"
#include "raft/frame.h"
#include "raft/journal.h"
#include "tests/unit/raft/disk.h"
#include "tests/unit/raft/log_model.h"

enum { SEGMENT = 64 * 1024, DATA = 3000, DEADLINE_MS = 20000 };

struct fixture {
    char folder[64];
    struct journal *journal;
    struct log_waiter waiter;
    uint64_t last;
};

static enum err log_open(struct fixture *fixture)
{
    struct journal_config config = {.folder = fixture->folder,
                                    .segment_bytes = SEGMENT,
                                    .written = log_waiter_written,
                                    .context = &fixture->waiter};
    return journal_open(&config, &fixture->journal);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    CHECK(fixture != NULL);
    fixture->waiter = (struct log_waiter)LOG_WAITER_INIT;
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/test_journal_errors.XXXXXX");
    CHECK(mkdtemp(fixture->folder) != NULL);
    disk_faults_set(&(struct disk_faults){0});
    CHECK(log_open(fixture) == ERR_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    disk_faults_set(&(struct disk_faults){0});
    journal_close(&fixture->journal);
    folder_remove(fixture->folder);
    free(fixture);
    return disk_faults_get().open_files == 0 ? 0 : -1;
}

static enum err append(struct fixture *fixture)
{
    uint8_t data[DATA];
    struct entry entry = {.term = 1, .type = ENTRY_COMMAND, .data = {data, sizeof(data)}};
    struct log_write write = {.group = 1,
                              .create = fixture->last == 0,
                              .from = fixture->last + 1,
                              .entries = &entry,
                              .count = 1};

    model_data(fixture->last + 1, data, sizeof(data));
    enum err err =
        log_waiter_write(&fixture->waiter, journal_interface(fixture->journal), &write, 1);
    fixture->last += err == ERR_OK;
    return err;
}

/* All that was promised, and `more` entries at most. */
static void expect(struct fixture *fixture, unsigned more)
{
    struct entry_log *log = journal_interface(fixture->journal);
    struct log_state state;
    uint8_t data[DATA];

    assert_int_equal(log->ops->groups(log, &state, 1), 1);
    assert_true(state.last_index >= fixture->last && state.last_index <= fixture->last + more);
    for (uint64_t at = 1; at <= state.last_index; at++) {
        struct entry entry;
        assert_int_equal(log->ops->read(log, 1, at, 1, 1, &entry), 1);
        model_data(at, data, sizeof(data));
        assert_true(bytes_equal(entry.data, bytes_from(data, sizeof(data))));
        frame_unref(entry.owner);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until the next segment is there. */
static void ahead_wait(struct fixture *fixture)
{
    struct journal_statistics statistics;
    uint64_t end = now_ms() + DEADLINE_MS;

    do {
        journal_statistics(fixture->journal, &statistics);
        assert_true(now_ms() < end);
    } while (statistics.file_bytes < (uint64_t)(statistics.segments + 1) * SEGMENT);
}

static void fault_check(struct fixture *fixture, const struct disk_faults *faults,
                        enum err expected)
{
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(append(fixture), ERR_OK);
    ahead_wait(fixture);
    disk_faults_set(faults);
    assert_int_equal(append(fixture), expected);
    struct disk_faults before = disk_faults_get();
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(append(fixture), ERR_IO);
    assert_int_equal(disk_faults_get().writes, before.writes);
    assert_int_equal(disk_faults_get().flushes, before.flushes);
    disk_faults_set(&(struct disk_faults){0});
    journal_close(&fixture->journal);
    assert_int_equal(log_open(fixture), ERR_OK);
    expect(fixture, 1);
}

static void test_write_fails(void **state)
{
    fault_check(*state, &(struct disk_faults){.write_fails_at = 1, .code = EIO, .once = true},
                ERR_IO);
}

static void test_second_write_fails(void **state)
{
    fault_check(*state, &(struct disk_faults){.write_fails_at = 2, .code = EIO, .once = true},
                ERR_IO);
}

static void test_write_finds_no_room(void **state)
{
    fault_check(*state,
                &(struct disk_faults){.write_fails_at = 1, .code = ENOSPC, .once = true},
                ERR_FULL);
}

static void test_flush_fails(void **state)
{
    fault_check(*state, &(struct disk_faults){.flush_fails_at = 1, .code = EIO, .once = true},
                ERR_IO);
}

static void test_short_writes(void **state)
{
    struct fixture *fixture = *state;

    disk_faults_set(&(struct disk_faults){.short_writes = true});
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(append(fixture), ERR_OK);
    expect(fixture, 0);
    journal_close(&fixture->journal);
    assert_int_equal(log_open(fixture), ERR_OK);
    expect(fixture, 0);
}

/* What was made ahead is used up; then it is full for good. */
static void test_disk_full(void **state)
{
    struct fixture *fixture = *state;
    enum err err = ERR_OK;

    ahead_wait(fixture);
    disk_faults_set(&(struct disk_faults){.room_is_limit = true});
    while (err == ERR_OK && fixture->last < 1000)
        err = append(fixture);
    assert_int_equal(err, ERR_FULL);
    assert_true(fixture->last * (DATA + 100) > 2 * SEGMENT - 4 * (DATA + 4096));
    assert_int_equal(append(fixture), ERR_IO);
    disk_faults_set(&(struct disk_faults){0});
    journal_close(&fixture->journal);
    assert_int_equal(log_open(fixture), ERR_OK);
    expect(fixture, 0);
    assert_int_equal(append(fixture), ERR_OK);
}

/* The next segment could not be made, and there is room again before it is needed. */
static void test_room_again(void **state)
{
    struct fixture *fixture = *state;
    struct journal_statistics statistics;
    uint64_t end = now_ms() + DEADLINE_MS;

    unsigned appended = 0;

    ahead_wait(fixture);
    disk_faults_set(&(struct disk_faults){.room_is_limit = true});
    do {
        assert_int_equal(append(fixture), ERR_OK);
        appended++;
        journal_statistics(fixture->journal, &statistics);
    } while (statistics.segments < 2);
    /* Two for each, a seal, the state of all groups, and the one that finds no room. */
    while (disk_faults_get().writes < 2 * appended + 3)
        assert_true(now_ms() < end);
    disk_faults_set(&(struct disk_faults){0});
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(append(fixture), ERR_OK);
    expect(fixture, 0);
}

/* What cannot be read when opening is not the end of the log. */
static void test_reads_fail(void **state)
{
    struct fixture *fixture = *state;
    unsigned failed = 0;
    bool all = false;

    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(append(fixture), ERR_OK);
    for (unsigned at = 1; !all; at++) {
        journal_close(&fixture->journal);
        disk_faults_set(&(struct disk_faults){.read_fails_at = at, .code = EIO, .once = true});
        enum err err = log_open(fixture);
        all = disk_faults_get().reads < at;
        disk_faults_set(&(struct disk_faults){0});
        failed += err != ERR_OK;
        assert_true(err == ERR_OK || err == ERR_IO || err == ERR_MALFORMED);
        if (err == ERR_OK)
            expect(fixture, 0);
    }
    assert_true(failed > 30);
    assert_int_equal(append(fixture), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_write_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_finds_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
