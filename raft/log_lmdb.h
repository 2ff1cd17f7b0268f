/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_LOG_LMDB_H
#define RAFT_LOG_LMDB_H

#include "raft/log.h"

/*
 * The log in an LMDB environment of its own (default sync; never NOSYNC or NOMETASYNC): entries
 * under a node-wide ascending sequence (MDB_APPEND), an index per group in memory that is
 * rebuilt at start, one committing thread.
 */
struct log_lmdb;

struct log_lmdb_config {
    const char *folder; /* made if missing, 0700 */
    uint64_t map_bytes;
    /* Called from the committing thread when a write is durable or failed; post it to the
     * replicator's thread. */
    void (*written)(void *context, enum err err);
    void *context;
};

MUST_CHECK enum err log_lmdb_open(const struct log_lmdb_config *config, struct log_lmdb **log);
/* Waits for a write under way. */
void log_lmdb_close(struct log_lmdb **log);
struct entry_log *log_lmdb_interface(struct log_lmdb *log);

#endif
