/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RAFT_LOG_FIXTURE_H
#define TESTS_UNIT_RAFT_LOG_FIXTURE_H

#include "node/base/check.h"
#include "raft/log.h"

/* Entries of the logs in fixtures/format_2 and later: what they are follows from index and
 * term. */
enum { LOG_FIXTURE_DATA_MAX = 3000, LOG_FIXTURE_BATCH = 25, LOG_FIXTURE_CHANGE_EVERY = 90 };

#define LOG_FIXTURE_MEMBERS "members that were in force"

static inline struct entry log_fixture_entry(uint64_t index, uint64_t term, uint8_t *data)
{
    size_t len = (size_t)(index * 7919 + term * 104729) % LOG_FIXTURE_DATA_MAX;

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i / 64 + index * 31 + term);
    return (struct entry){
        .term = term,
        .type = index % LOG_FIXTURE_CHANGE_EVERY == 0 ? ENTRY_CHANGE : ENTRY_COMMAND,
        .data = bytes_from(data, len),
    };
}

#endif
