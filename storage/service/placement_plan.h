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
 * over the data centers. A mail group has three voters (or five, as the policy says), or as
 * many as there are nodes, in as many data centers as can be; a new replica goes where the
 * group has the fewest in the data center, then to the node with the fewest replicas. A replica
 * that is there stays where it is, unless its node leaves, a plan moves it
 * (placement_rebalance()), or the policy's number of data centers asks for it.
 *
 * A witness votes in a mail group only where that makes an odd number of voters which data
 * nodes alone cannot give: two data nodes, or two data centers and the witness in a third.
 * Never two in one group, never as the preferred leader.
 *
 * A node that leaves keeps no mail and leads nothing; the directory stays on it, without a
 * vote, until it is removed. Few groups move at the same time.
 *
 * Each group prefers one of its voters as leader, each node about equally often, unless an
 * operator has pinned it.
 *
 * Raft's members follow one step at a time: what is missing comes first, what is too many goes
 * only when all that shall vote does, and only while a majority of the rest is there.
 */
enum {
    PLACEMENT_DIRECTORY_VOTERS = 5,
    PLACEMENT_MAIL_VOTERS = 3,    /* unless the policy says otherwise */
    PLACEMENT_MOVES_MAX = 4,      /* groups that give up a replica at the same time */
    PLACEMENT_CONTACT_MS = 1000,  /* a voter heard of since then may lead */
    PLACEMENT_LAG_ENTRIES = 16,   /* and is no further behind than this */
    PLACEMENT_STEADY_MS = 10000,  /* and both for so long */
    PLACEMENT_TRANSFER_MS = 2000, /* between transfers of one node that stays */
    PLACEMENT_RESTING_MAX = 16,   /* of a group: more are not remembered */
};

struct placement_node {
    uint64_t id;
    const char *data_center;
    bool witness;
    bool leaving;  /* drains, or is being removed */
    bool removing; /* leaves the directory too */
    uint64_t replaced_by;
};

/* As the directory has it; the name is borrowed. */
struct placement_node placement_node_of(const Pr__NodeRecord *record);

/* A group's replica on this node; beside the group's record. */
struct placement_local {
    bool present;
    struct replicator_status status;
    bool changing;           /* a membership step or transfer is under way */
    uint64_t ready_since_ms; /* since when the preferred leader could lead; 0: it cannot */
    /* Nodes that a step failed for a little while ago: left alone until they have rested. */
    uint64_t resting[PLACEMENT_RESTING_MAX];
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
    const Pr__ClusterPolicy *policy;     /* NULL: the defaults */
    const uint64_t *bytes; /* one a group: what a replica weighs; 0: not known. NULL: of none */
    unsigned members_max;  /* of one group, as all nodes can read it: placement_members_max() */
};

enum placement_kind {
    PLACEMENT_PUT,       /* `record` replaces the group's in the directory */
    PLACEMENT_JOIN,      /* begin an empty replica here */
    PLACEMENT_BOOTSTRAP, /* begin the group here */
    PLACEMENT_CHANGE,    /* one step of membership */
    PLACEMENT_TRANSFER,  /* leadership to `node_id` */
    PLACEMENT_PLACED,    /* tell the directory that members are what `record` wants */
    PLACEMENT_DROP,      /* the replica here went elsewhere */
    PLACEMENT_FORGET,    /* take `node_id` out of the directory */
};

struct placement_action {
    enum placement_kind kind;
    uint32_t group;
    size_t position; /* of the group in the view */
    uint64_t node_id;
    enum replicator_role role;
    bool remove;
    bool plan_taken;               /* of a PUT */
    const Pr__GroupRecord *record; /* of PUT and PLACED */
};

/* At most one action a group, and one PUT, one FORGET and, unless this node leaves, one
 * TRANSFER in all. Everything in `arena`. */
void placement_plan(const struct placement_view *view, struct arena *arena,
                    struct placement_action **actions, size_t *count);

/* How many members a group may have in a cluster of that format. */
unsigned placement_members_max(uint32_t format);

/* Whether the preferred leader is another node that could take over now. */
bool placement_leader_ready(const struct placement_view *view, size_t position);

/* Whether Raft's members are still on their way to what the record wants. */
bool placement_moving(const Pr__GroupRecord *record);
/* The group's first node has not begun it yet. */
bool placement_unborn(const Pr__GroupRecord *record);

/* The group's replica on that node is not wanted, and its leader has seen it go. */
bool placement_gave_up(const Pr__GroupRecord *record, uint64_t node_id);
/* A node that takes replicas of mail groups. */
bool placement_takes_mail(const struct placement_node *node);
const struct placement_node *placement_node(const struct placement_view *view,
                                            uint64_t node_id);

/* ---- its two halves: placement_want.c and placement_step.c ---- */

/* The first record that should be another, as it should be; NULL when all are right. Its
 * position in *position; *plan_taken: what was planned went into it. */
Pr__GroupRecord *placement_want(const struct placement_view *view, struct arena *arena,
                                size_t *position, bool *plan_taken);
bool placement_step(const struct placement_view *view, size_t position,
                    struct placement_action *action);

/* How many voters of which kind a mail group shall have, with the nodes that there are. */
struct placement_voters {
    size_t data;
    size_t witnesses; /* 0 or 1 */
};
struct placement_voters placement_voters(const struct placement_view *view);

/* ---- moving what is there: placement_rebalance.c ---- */

struct placement_move {
    uint32_t group;
    uint64_t from;
    uint64_t to;
    uint64_t bytes; /* that are copied; 0: not known */
};

/*
 * What to move so that groups stand in as many data centers as they can, and nodes have about
 * equally many replicas and bytes of mail; as few moves as that takes. `plans` are the records
 * of the groups concerned as they shall be. Everything in `arena`.
 */
struct placement_rebalance {
    struct placement_move *moves;
    size_t move_count;
    Pr__GroupRecord **plans;
    size_t plan_count;
};
struct placement_rebalance placement_rebalance(const struct placement_view *view,
                                               struct arena *arena);

/* How long that takes at least when each node receives `rate` bytes a second. */
uint64_t placement_rebalance_seconds(const struct placement_rebalance *plan, uint64_t rate);

/* How many data centers the group's voters stand in, as `replicas` wants them. */
unsigned placement_centers(const struct placement_view *view, Pr__Replica *const *replicas,
                           size_t count);

#endif
