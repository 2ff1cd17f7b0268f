/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RAFT_LOG_EXPECT_H
#define TESTS_UNIT_RAFT_LOG_EXPECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "raft/frame.h"
#include "tests/unit/raft/log_fixture.h"

/* What fixtures/make_log.c wrote is in a log. */
enum { LOG_EXPECT_GROUPS = 5 };

static inline void log_expect_entries(struct entry_log *log, uint32_t group, uint64_t from,
                                      uint64_t to, uint64_t term)
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

static inline void log_expect_state(const struct log_state *state,
                                    const struct log_state *expected)
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

static inline void log_expect_groups(struct entry_log *log)
{
    static const struct log_state expected[LOG_EXPECT_GROUPS] = {
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
    struct log_state states[LOG_EXPECT_GROUPS];

    assert_int_equal(log->ops->groups(log, states, LOG_EXPECT_GROUPS), LOG_EXPECT_GROUPS);
    for (unsigned i = 0; i < LOG_EXPECT_GROUPS; i++)
        log_expect_state(&states[i], &expected[i]);
    log_expect_entries(log, 1, 1, 300, 2);
    log_expect_entries(log, 2, 1, 29, 2);
    log_expect_entries(log, 2, 30, 60, 5);
    log_expect_entries(log, 3, 400, 700, 3);
    log_expect_entries(log, 5, 1001, 1010, 7);
}

#endif
