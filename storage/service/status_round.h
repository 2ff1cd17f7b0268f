/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_STATUS_ROUND_H
#define STORAGE_SERVICE_STATUS_ROUND_H

#include "storage/service/placement_plan.h"
#include "storage/service/status.h"

/*
 * One round of questions to all nodes, for one call: what the directory here says, and what
 * each node says of its replicas, within STATUS_PEER_MS. Nothing of it needs a majority.
 */
struct status_round {
    struct service_call *call;
    void (*answer)(struct status_round *round); /* ends the call, at once or later; takes what
                                                   it needs later out of the round */
    unsigned format;                            /* of the directory */
    struct arena arena;
    Pr__ClusterRecord *cluster;
    Pr__NodeRecord **nodes;
    size_t node_count;
    Pr__GroupRecord **records;
    size_t record_count;
    struct status_answer *answers; /* one a node */
    Pr__GroupStatus **groups;      /* merged, one a record */
    struct status_round_peer *peers;
    unsigned waiting;
};

/* The round is freed when `answer` returns. */
void status_round_start(struct service_call *call, void (*answer)(struct status_round *round));

/* As placement_want() and others look at it; no local replicas. In the round's arena. */
struct placement_view status_round_view(struct status_round *round);

/* By name, any case, or by number; its position, or -1 with the call refused by a text that
 * names those there are. */
int status_round_node(struct status_round *round, const char *named);
/* status.c: the nodes as they are listed. */
Pr__NodeStatus **status_round_nodes(struct status_round *round);
bool status_round_reachable(const struct status_round *round, uint64_t node_id);

#endif
