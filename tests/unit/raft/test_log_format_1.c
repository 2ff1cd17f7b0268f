/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log that the first release wrote (fixtures/format_1/log) is read, and goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "raft/frame.h"
#include "raft/log_lmdb.h"
#include "tests/unit/fixture.h"

enum { PATTERN_MAX = 9000 };

/* Entry `index` of term `term` as it was made then: its length and bytes follow from both. */
static size_t pattern(uint64_t index, uint64_t term, uint8_t *data)
{
    size_t len = 1 + (size_t)(index * 7919 + term * 104729) % PATTERN_MAX;

    memset(data, (int)(index * 31 + term), len);
    return len;
}

static void expect_entries(struct entry_log *log, uint32_t group, uint64_t from, uint64_t to,
                           uint64_t term)
{
    uint8_t expected[PATTERN_MAX + 1];

    for (uint64_t index = from; index <= to; index++) {
        struct entry entry;
        assert_int_equal(log->ops->read(log, group, index, 1, 1, &entry), 1);
        assert_int_equal(entry.term, term);
        assert_int_equal(entry.type, ENTRY_COMMAND);
        assert_int_equal(entry.data.len, pattern(index, term, expected));
        assert_memory_equal(entry.data.at, expected, entry.data.len);
        frame_unref(entry.owner);
    }
}

static void expect_groups(struct entry_log *log)
{
    struct log_state states[4];

    assert_int_equal(log->ops->groups(log, states, 4), 3);
    assert_int_equal(states[0].group, 1);
    assert_int_equal(states[0].term, 9);
    assert_int_equal(states[0].vote, 3);
    assert_int_equal(states[0].last_index, 300);
    assert_int_equal(states[1].group, 2);
    assert_int_equal(states[1].term, 5);
    assert_int_equal(states[1].last_index, 60);
    assert_int_equal(states[2].group, 7);
    assert_int_equal(states[2].first_index, 400);
    assert_int_equal(states[2].last_index, 700);
    assert_int_equal(states[2].base_term, 3);
    assert_int_equal(states[2].base_members_index, 1);
    assert_int_equal(states[2].base_members.len, 10);
    expect_entries(log, 1, 1, 300, 2);
    expect_entries(log, 2, 1, 29, 2);
    expect_entries(log, 2, 30, 60, 5);
    expect_entries(log, 7, 400, 700, 3);
}

static void ignore_written(void *context, enum err err)
{
    (void)context;
    assert_int_equal(err, ERR_OK);
}

static void old_log_is_read(void **state)
{
    char folder[] = "/tmp/test_log_format_1.XXXXXX";
    char command[100];
    struct log_lmdb *log;
    struct log_lmdb_config config = {
        .folder = folder, .map_bytes = 64 << 20, .written = ignore_written};

    (void)state;
    assert_non_null(mkdtemp(folder));
    fixture_write("format_1/log", folder, "data.mdb");
    assert_int_equal(log_lmdb_open(&config, &log), ERR_OK);
    expect_groups(log_lmdb_interface(log));
    /* Closing waits for what is written, so the second opening sees it. */
    struct log_write write = {.group = 1, .set_term = true, .term = 9, .vote = 3};
    log_lmdb_interface(log)->ops->write(log_lmdb_interface(log), &write, 1);
    log_lmdb_close(&log);
    assert_int_equal(log_lmdb_open(&config, &log), ERR_OK);
    expect_groups(log_lmdb_interface(log));
    log_lmdb_close(&log);
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_log_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
