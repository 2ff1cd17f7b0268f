/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_LOG_INDEX_H
#define RAFT_LOG_INDEX_H

#include "raft/log.h"
#include "raft/log_record.h"

/*
 * Where each retained entry of a group lies. In memory only, rebuilt when the log is opened by
 * replaying the records in the order of their sequence: one that starts at an index replaces
 * what older ones had from there on.
 */
struct log_position {
    uint64_t sequence; /* of the record, or number of the segment */
    uint64_t term;
    uint32_t offset; /* of the data, in the record or segment */
    uint32_t len;
    uint32_t check; /* of the data; journal_format.h */
    uint8_t type;
};

struct log_index {
    struct log_state state; /* last_index is right once loaded */
    uint8_t *base_members;  /* what the state's point at */
    uint64_t next;          /* loading: behind the newest entry seen, trimmed ones included */
    struct log_position *positions; /* of state.first_index, … */
    uint64_t skipped;               /* slots at the front that have been trimmed away */
    uint64_t room;
    uint64_t bytes;
};

void log_index_fini(struct log_index *index);

/* The state as it is now, with a copy of the members. */
void log_index_state(struct log_index *index, const struct log_state *state);

/* NULL when it is not there. Valid until the next change. */
const struct log_position *log_index_at(const struct log_index *index, uint64_t entry);

void log_index_append(struct log_index *index, const struct log_position *position);
/* Another place for an entry that is there. */
void log_index_set(struct log_index *index, uint64_t entry,
                   const struct log_position *position);
void log_index_truncate(struct log_index *index, uint64_t from);
void log_index_trim(struct log_index *index, uint64_t before);
/* Empty, and begins at `first`. */
void log_index_reset(struct log_index *index, uint64_t first);

/* A record found when opening. ERR_MALFORMED: something is missing before it. */
MUST_CHECK enum err log_index_load(struct log_index *index, const struct log_record *record,
                                   uint64_t sequence);

#endif
