/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_LOG_RECORD_H
#define RAFT_LOG_RECORD_H

#include "raft/log.h"

/*
 * How entries and the groups' states lie in the log's environment. A record holds consecutive
 * entries of one group; its head says where each lies, so that opening the log reads no data.
 */
enum {
    LOG_RECORD_DATA_MAX =
        256 * 1024, /* entries are packed up to this; one alone may be larger */
    LOG_RECORD_HEAD_SIZE = 24,
    LOG_RECORD_ENTRY_SIZE = 16,
    LOG_STATE_SIZE_MAX = 72 + LOG_MEMBERS_SIZE_MAX,
};

/* How many of `entries` go into one record, and how large that is. */
unsigned log_record_plan(const struct entry *entries, unsigned count, size_t *size);
void log_record_write(uint8_t *at, uint32_t group, uint64_t first, const struct entry *entries,
                      unsigned count);

struct log_record {
    uint32_t group;
    uint64_t first;
    unsigned count;
    struct bytes heads;
    size_t data_offset; /* of the first entry's data */
};

/* ERR_MALFORMED when it is not a record of this version. Borrows `value`. */
MUST_CHECK enum err log_record_read(struct bytes value, struct log_record *record);

struct log_record_entry {
    uint64_t term;
    uint32_t len;
    uint8_t type;
};
struct log_record_entry log_record_entry(const struct log_record *record, unsigned at);

size_t log_state_write(uint8_t *at, const struct log_state *state);
/* The members are borrowed from `value`. */
MUST_CHECK enum err log_state_read(struct bytes value, struct log_state *state);

#endif
