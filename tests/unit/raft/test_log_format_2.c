/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log that a release of format 2 wrote (fixtures/format_2/log, fixtures/make_log.c) is read,
 * and goes on. */
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
#include "tests/unit/raft/log_fixture.h"

enum { GROUPS = 5 };

static void expect_entries(struct entry_log *log, uint32_t group, uint64_t from, uint64_t to,
                           uint64_t term)
{
    static uint8_t data[LOG_FIXTURE_DATA_MAX];

    for (uint64_t index = from; index <= to; index++) {
        struct entry expected = log_fixture_entry(index, term, data);
        struct entry entry;
        assert_int_equal(log->ops->read(log, group, index, 1, 1, &entry), 1);
        assert_int_equal(entry.term, expected.term);
        assert_int_equal(entry.type, expected.type);
        assert_int_equal(entry.data.len, expected.data.len);
        if (entry.data.len > 0)
            assert_memory_equal(entry.data.at, expected.data.at, entry.data.len);
        frame_unref(entry.owner);
    }
}

static void expect_state(const struct log_state *state, const struct log_state *expected)
{
    assert_int_equal(state->group, expected->group);
    assert_int_equal(state->term, expected->term);
    assert_int_equal(state->vote, expected->vote);
    assert_int_equal(state->dropped, expected->dropped);
    assert_int_equal(state->promised_term, expected->promised_term);
    assert_int_equal(state->promised_index, expected->promised_index);
    if (expected->dropped)
        return;
    assert_int_equal(state->first_index, expected->first_index);
    assert_int_equal(state->last_index, expected->last_index);
    assert_int_equal(state->base_term, expected->base_term);
    assert_int_equal(state->base_members_index, expected->base_members_index);
    struct bytes members = state->base_term > 0 ? BYTES(LOG_FIXTURE_MEMBERS) : BYTES("");
    assert_true(bytes_equal(state->base_members, members));
}

static void expect_groups(struct entry_log *log)
{
    static const struct log_state expected[GROUPS] = {
        {.group = 1, .term = 9, .vote = 3, .first_index = 1, .last_index = 300},
        {.group = 2, .term = 5, .first_index = 1, .last_index = 60},
        {.group = 3,
         .term = 3,
         .vote = 2,
         .first_index = 400,
         .last_index = 700,
         .base_term = 3,
         .base_members_index = 10},
        {.group = 4,
         .term = 8,
         .vote = 1,
         .dropped = true,
         .promised_term = 6,
         .promised_index = 20},
        {.group = 5,
         .term = 7,
         .first_index = 1001,
         .last_index = 1010,
         .base_term = 7,
         .base_members_index = 900},
    };
    struct log_state states[GROUPS];

    assert_int_equal(log->ops->groups(log, states, GROUPS), GROUPS);
    for (unsigned i = 0; i < GROUPS; i++)
        expect_state(&states[i], &expected[i]);
    expect_entries(log, 1, 1, 300, 2);
    expect_entries(log, 2, 1, 29, 2);
    expect_entries(log, 2, 30, 60, 5);
    expect_entries(log, 3, 400, 700, 3);
    expect_entries(log, 5, 1001, 1010, 7);
}

static void ignore_written(void *context, enum err err)
{
    (void)context;
    assert_int_equal(err, ERR_OK);
}

static void old_log_is_read(void **state)
{
    char folder[] = "/tmp/test_log_format_2.XXXXXX";
    char command[100];
    struct log_lmdb *log;
    struct log_lmdb_config config = {
        .folder = folder, .map_bytes = 64 << 20, .written = ignore_written};

    (void)state;
    assert_non_null(mkdtemp(folder));
    fixture_write("format_2/log", folder, "data.mdb");
    assert_int_equal(log_lmdb_open(&config, &log), ERR_OK);
    expect_groups(log_lmdb_interface(log));
    /* Closing waits for what is written, so the second opening sees it. */
    uint8_t data[LOG_FIXTURE_DATA_MAX];
    struct entry entry = log_fixture_entry(61, 5, data);
    struct log_write write = {.group = 2, .from = 61, .entries = &entry, .count = 1};
    log_lmdb_interface(log)->ops->write(log_lmdb_interface(log), &write, 1);
    log_lmdb_close(&log);
    assert_int_equal(log_lmdb_open(&config, &log), ERR_OK);
    expect_entries(log_lmdb_interface(log), 2, 30, 61, 5);
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
