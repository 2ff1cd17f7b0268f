/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_NODE_LOG_H
#define STORAGE_SERVICE_NODE_LOG_H

#include "raft/journal.h"
#include "raft/log_lmdb.h"

/*
 * The node's log, in the data folder: "journal" (raft/journal.h). Until the cluster's upgrade
 * to format 3 is finished, it is the LMDB environment "log", which the release before reads
 * too; at the first start after that it is copied into a journal and removed.
 */
#define NODE_LOG_JOURNAL "journal"
#define NODE_LOG_LMDB "log"

struct node_log { /* one of the two */
    struct journal *journal;
    struct log_lmdb *lmdb;
};

struct node_log_config {
    const char *folder;                           /* the data folder */
    uint64_t map_bytes;                           /* of an LMDB log */
    unsigned format;                              /* of the directory */
    void (*written)(void *context, enum err err); /* as in raft/journal.h */
    void *context;
};

MUST_CHECK enum err node_log_open(const struct node_log_config *config, struct node_log *log);
void node_log_close(struct node_log *log);
struct entry_log *node_log_interface(const struct node_log *log);

/* Of the running node's (replication.c). Any thread. All zero for an LMDB log. */
struct service;
void replication_log_statistics(struct service *service, struct journal_statistics *statistics);

#endif
