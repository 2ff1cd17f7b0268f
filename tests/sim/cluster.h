/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

/*
 * Real processes: replicator, LMDB log and nng transport, with a machine in memory. Parent and
 * nodes talk through shared memory; a node is killed like any process.
 */
#include <stdatomic.h>

#include "node/runtime/tls.h"
#include "raft/replicator.h"

enum { CLUSTER_NODES = 3, CLUSTER_GROUPS_MAX = 16, LATENCIES_MAX = 1 << 20 };

struct shared_group {
    _Atomic uint64_t applied;
    _Atomic uint64_t hash; /* of all commands, in order */
    _Atomic uint64_t commands;
    _Atomic uint64_t leader;
    _Atomic unsigned voters;
    _Atomic uint64_t acknowledged;
};

struct shared_node {
    struct shared_group groups[CLUSTER_GROUPS_MAX];
    _Atomic uint64_t acknowledged;
    _Atomic uint64_t unknown;
    _Atomic uint64_t doubled; /* commands applied twice */
    _Atomic uint64_t reads;
    _Atomic uint64_t latencies_count;
    uint32_t latencies_us[LATENCIES_MAX];
};

struct shared {
    _Atomic bool load;
    _Atomic uint64_t next_id;
    struct shared_node nodes[CLUSTER_NODES];
};

struct cluster_options {
    unsigned groups;
    unsigned depth; /* proposals under way for each group */
    size_t size;
    unsigned seconds;
    bool bench;
    const char *folder;
    unsigned port;
};

struct cluster {
    struct cluster_options options;
    struct shared *shared;
    struct tls_credentials credentials[CLUSTER_NODES];
};

/* The process of node `number` (0..): never returns. */
_Noreturn void cluster_node_run(struct cluster *cluster, unsigned number);

#endif
