/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_LOG_GROUPS_H
#define RAFT_LOG_GROUPS_H

#include "raft/log_index.h"

/* The groups of a log, ascending by number: what its implementations have in common. */
struct log_groups {
    struct log_index **items;
    unsigned count;
};

void log_groups_fini(struct log_groups *groups);
/* NULL when the log has no such group. */
struct log_index *log_groups_find(const struct log_groups *groups, uint32_t group);
/* Must not be there yet. Empty. */
struct log_index *log_groups_add(struct log_groups *groups, const struct log_state *state);

/* A group's state behind a write; last_index is not looked at. Borrows the write's members. */
struct log_state log_state_after(const struct log_state *before, const struct log_write *write);

/*
 * A write that is on disk goes into the index. `positions`: of its entries. Returns the group's
 * index, which is made if it has to be.
 */
struct log_index *log_groups_write(struct log_groups *groups, const struct log_write *write,
                                   const struct log_position *positions);

#endif
