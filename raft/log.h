/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_LOG_H
#define RAFT_LOG_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * The durable log of all groups of a node: entries, and of each group its term, vote and first
 * index. One write at a time is under way (group commit: what gathers meanwhile goes into the
 * next); the log calls replicator_log_written() in the replicator's thread when it is on disk.
 * Implementations: raft/journal.h; raft/log_lmdb.h, until the upgrade to format 3; and the
 * simulator's in tests/sim.
 */
struct frame;

enum { LOG_MEMBERS_SIZE_MAX = 16 * 1024 };

struct entry {
    uint64_t term;
    uint8_t type;        /* enum entry_type */
    struct bytes data;   /* borrowed from `owner` */
    struct frame *owner; /* reference-counted memory, raft/frame.h; NULL when empty */
};

/* As libraft numbers them; persisted. */
enum entry_type { ENTRY_COMMAND = 1, ENTRY_BARRIER = 2, ENTRY_CHANGE = 3 };

/* What changes of one group. In this order: reset, term and vote, truncate, append, trim. */
struct log_write {
    uint32_t group;
    bool create; /* the group comes into being, perhaps again after a drop */
    bool set_term;
    uint64_t term;
    uint64_t vote;
    uint64_t from; /* append at this index, dropping what was there and behind; 0: nothing */
    const struct entry *entries;
    unsigned count;
    bool reset;                  /* all entries go, the log begins at trim_before */
    bool drop;                   /* the entries go for good. Alone; with it: */
    uint64_t promised_term;      /* what it had: it votes for nobody who has less, */
    uint64_t promised_index;     /* even when the group comes back here */
    uint64_t trim_before;        /* entries below this index may go; 0: nothing. With it: */
    uint64_t base_term;          /* the term of entry trim_before - 1 */
    struct bytes base_members;   /* the membership in force there, as its CHANGE entry has it */
    uint64_t base_members_index; /* and where that entry lay */
};

struct log_state {
    uint32_t group;
    uint64_t term;
    uint64_t vote;
    uint64_t first_index; /* 1 when nothing was trimmed */
    uint64_t last_index;  /* first_index - 1 when empty */
    uint64_t base_term;   /* term of entry first_index - 1; 0 when that is 0 */
    /* As log_write's, of the last trim; empty when nothing was trimmed. The log's memory: valid
     * until the next write of the group is handed over. */
    uint64_t base_members_index;
    struct bytes base_members;
    bool dropped; /* no group: what is left of one. Term and vote stand; and as log_write's: */
    uint64_t promised_term;
    uint64_t promised_index;
};

struct entry_log {
    const struct entry_log_ops *ops;
};

struct entry_log_ops {
    /* `writes` and all it points to stay valid until replicator_log_written(). Only one at a
     * time. */
    void (*write)(struct entry_log *log, const struct log_write *writes, unsigned count);
    /* Groups found at start, and what is left of dropped ones. Returns how many there are;
     * fills at most `max`. */
    unsigned (*groups)(struct entry_log *log, struct log_state *states, unsigned max);
    /*
     * Reads written entries first..first+count-1, in order, until `bytes_max` is passed (at
     * least one). The caller releases each entry's owner. Returns how many; 0 when `first` is
     * not there.
     */
    unsigned (*read)(struct entry_log *log, uint32_t group, uint64_t first, unsigned count,
                     size_t bytes_max, struct entry *entries);
    /* Term and type alone, for starting; data only for CHANGE entries. As read() otherwise,
     * without limit of bytes. */
    unsigned (*scan)(struct entry_log *log, uint32_t group, uint64_t first, unsigned count,
                     struct entry *entries);
    /* Bytes of entries kept for a group, over all entries. */
    uint64_t (*bytes)(struct entry_log *log, uint32_t group);
};

#endif
