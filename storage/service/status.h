/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_STATUS_H
#define STORAGE_SERVICE_STATUS_H

#include "storage/service/service.h"

/*
 * What the cluster looks like from here: this node's own replicas, and what its peers say of
 * theirs, put together per group from what the group's leader says.
 */
void cluster_status_call(struct service_call *call);
void node_list_call(struct service_call *call);
void group_list_call(struct service_call *call);

enum {
    STATUS_PEER_MS = 1000,    /* a peer that takes longer is not reachable */
    STATUS_CONTACT_MS = 5000, /* a member that the leader has not heard of for longer is away */
};

/* The replicas on this node, for PeerStatus; in `arena`. */
void status_local(struct service *service, struct arena *arena, Pr__GroupStatus ***groups,
                  size_t *count);

/* One peer's answer, or NULL for a peer that did not answer. */
struct status_answer {
    uint64_t node_id;
    bool reachable;
    Pr__GroupStatus **groups;
    size_t group_count;
    const char *problem; /* NULL or empty: none */
};

/*
 * Pure. Per group of the directory the words of whoever leads it (of two that say so the one
 * with the higher term); a group without leader gets the words of the replica that has applied
 * most. Everything in `arena`.
 */
void status_merge(Pr__GroupRecord **records, size_t record_count,
                  const struct status_answer *answers, size_t answer_count, struct arena *arena,
                  Pr__GroupStatus ***groups);
/* Whether each group has a leader, and each wanted replica is a member in its role that the
 * leader hears of. */
bool status_healthy(Pr__GroupStatus **groups, size_t count);

#endif
