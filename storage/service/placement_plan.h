/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PLACEMENT_PLAN_H
#define STORAGE_SERVICE_PLACEMENT_PLAN_H

#include "node/base/arena.h"
#include "raft/replicator.h"
#include "record.pb-c.h"

/*
 * Where replicas shall be, and the next steps there: decisions alone, from what is known now.
 *
 * Rules. The directory (group 0) has a replica on every node, of which up to five vote, spread
 * over the data centers. A mail group has three voters, or as many as there are nodes, in as
 * many data centers as can be; a new replica goes where the group has the fewest in the data
 * center, then to the node with the fewest replicas. A replica that is there stays where it is.
 * Each group prefers one of its voters as leader, each node about equally often.
 *
 * Raft's members follow one step at a time: what is missing comes first, what is too many goes
 * only when all that shall vote does.
 */
enum {
    PLACEMENT_DIRECTORY_VOTERS = 5,
    PLACEMENT_MAIL_VOTERS = 3,
    PLACEMENT_CONTACT_MS = 1000, /* a voter heard of since then may lead */
    PLACEMENT_LAG_ENTRIES = 16,  /* and is no further behind than this */
    PLACEMENT_STEADY_MS = 10000, /* and both for so long */
    PLACEMENT_TRANSFER_MS = 2000 /* between transfers of one node */
};

struct placement_node {
    uint64_t id;
    const char *data_center;
};

/* A group's replica on this node; beside the group's record. */
struct placement_local {
    bool present;
    struct replicator_status status;
    bool changing;           /* a membership step or transfer is under way */
    uint64_t ready_since_ms; /* since when the preferred leader could lead; 0: it cannot */
    /* Nodes that a step failed for a little while ago: left alone until they have rested. */
    uint64_t resting[REPLICATOR_MEMBERS_MAX];
    unsigned resting_count;
};

struct placement_view {
    uint64_t self;
    uint64_t now_ms;
    uint64_t transferred_ms;            /* the last one; 0: none yet */
    const struct placement_node *nodes; /* by id */
    size_t node_count;
    Pr__GroupRecord *const *groups; /* by number */
    size_t group_count;
    const struct placement_local *local; /* one a group */
};

enum placement_kind {
    PLACEMENT_PUT,      /* `record` replaces the group's in the directory */
    PLACEMENT_JOIN,     /* begin an empty replica here */
    PLACEMENT_CHANGE,   /* one step of membership */
    PLACEMENT_TRANSFER, /* leadership to `node_id` */
};

struct placement_action {
    enum placement_kind kind;
    uint32_t group;
    size_t position; /* of the group in the view */
    uint64_t node_id;
    enum replicator_role role;
    bool remove;
    Pr__GroupRecord *record;
};

/* At most one action a group, and one PUT and one TRANSFER in all. Everything in `arena`. */
void placement_plan(const struct placement_view *view, struct arena *arena,
                    struct placement_action **actions, size_t *count);

/* Whether the preferred leader is another node that could take over now. */
bool placement_leader_ready(const struct placement_view *view, size_t position);

/* ---- its two halves: placement_want.c and placement_plan.c ---- */

/* The first record that should be another, as it should be; NULL when all are right. Its
 * position in *position. */
Pr__GroupRecord *placement_want(const struct placement_view *view, struct arena *arena,
                                size_t *position);
bool placement_step(const struct placement_view *view, size_t position,
                    struct placement_action *action);

#endif
