/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_LOG_LMDB_INTERNAL_H
#define RAFT_LOG_LMDB_INTERNAL_H

/* What the files of the LMDB log share. */
#include <lmdb.h>
#include <pthread.h>

#include "node/base/check.h"
#include "raft/log_groups.h"
#include "raft/log_lmdb.h"

struct log_lmdb {
    struct entry_log interface;
    struct log_lmdb_config config;
    MDB_env *env;
    MDB_dbi entries;
    MDB_dbi states;
    uint64_t next_sequence;
    struct log_groups groups;
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock; /* of what follows, and of the groups */
    pthread_cond_t wake;
    const struct log_write *writes; /* handed over; NULL: none */
    unsigned writes_count;
    bool closing;
    bool failed;
    /* the committing thread's: entries of the transaction, in the order of its writes */
    struct log_position *fresh;
    size_t fresh_count;
    size_t fresh_room;
};

/* log_lmdb.c */
/* Logs LMDB's code and translates it. */
enum err log_complain(const char *event, int code);
enum err log_err_from_lmdb(int code);

/* log_lmdb_commit.c: the writes handed over, in one transaction; then, under the lock, into the
 * index. */
MUST_CHECK enum err log_writes_commit(struct log_lmdb *log);
void log_writes_index(struct log_lmdb *log);

/* log_lmdb_load.c */
MUST_CHECK enum err log_env_open(struct log_lmdb *log);

#endif
