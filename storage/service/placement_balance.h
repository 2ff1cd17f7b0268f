/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PLACEMENT_BALANCE_H
#define STORAGE_SERVICE_PLACEMENT_BALANCE_H

#include "storage/service/placement_plan.h"

/* What the two files of the rebalance share: placement_rebalance.c levels the nodes' replicas,
 * placement_bytes.c their bytes. */

enum {
    /* Moves that are thought of in one plan, so that the loop does not wait for long: a plan
     * that is not finished is a good beginning, and the next one goes on. */
    TRIES_MAX = 1000000,
};

/* What lies on a node. */
struct held {
    size_t *groups;
    size_t count;
    size_t room;
    uint64_t bytes;
};

/* What groups would have, while moves are thought out; records are copies of our own. */
struct balance {
    const struct placement_view *view;
    struct arena *arena;
    Pr__GroupRecord **groups; /* of mail, settled */
    uint64_t *bytes;          /* that a replica of each weighs */
    size_t group_count;
    struct held *held; /* by the nodes' positions */
    uint8_t *stuck;    /* from, to: nothing can be moved, because of data centers */
    unsigned centers;  /* data centers that take mail */
    size_t steps_left;
    size_t tries_left;
};

/* Which replica of the group, that lies on `from`, may go to the node `to`, so that the group
 * stands in as many data centers as before; their count: none. */
size_t balance_movable(struct balance *balance, size_t group, size_t from, size_t to);
void balance_move(struct balance *balance, size_t group, size_t replica, size_t to);

/* One move, or two against each other, from a heavy node to a light one; numbers of replicas
 * stay as level as they are. False when nothing is worth it. */
bool balance_level_bytes(struct balance *balance);

#endif
