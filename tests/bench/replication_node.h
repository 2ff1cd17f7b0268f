/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_REPLICATION_NODE_H
#define TESTS_BENCH_REPLICATION_NODE_H

#include "node/runtime/loop.h"
#include "raft/replicator.h"

/*
 * A node that only replicates: the product's log, transport and replicator over a machine that
 * keeps nothing. Nodes are numbered from 1; each has the folder FOLDER/N, and listens on
 * 127.0.0.1, port BASE + N.
 */
enum { NODES_MAX = 5 };

struct node_options {
    uint64_t node_id;
    unsigned nodes;
    unsigned groups;
    unsigned port;
    unsigned delay_ms; /* one way, added to what this node sends */
    uint64_t retain_bytes;
    const char *folder; /* with the credentials that credentials_make() wrote */
};

struct node;

void credentials_make(const char *folder, unsigned nodes);

struct node *node_open(const struct node_options *options);
void node_close(struct node **node);
struct loop *node_loop(struct node *node);
struct replicator *node_replicator(struct node *node);

#endif
