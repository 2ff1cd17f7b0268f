/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_PLACEMENT_WORLD_H
#define TESTS_UNIT_STORAGE_SERVICE_PLACEMENT_WORLD_H

#include <stdio.h>
#include <string.h>

#include "node/base/check.h"
#include "storage/service/placement_plan.h"

/*
 * Clusters written as text. Nodes: "1a 2b 3c" are nodes 1, 2, 3 in data centers a, b, c; "w"
 * behind one: a witness; "d": it drains; "r4": it is being removed, and node 4 takes over.
 * A record: "1v 2v 3s >2": nodes 1 and 2 vote, 3 stands by, 2 is preferred.
 * A status: "1v 2v 3s": Raft's members; "!" behind one: not heard of lately; "~": far behind.
 */
enum { GROUPS_MAX = 65, NODES_MAX = REPLICATOR_MEMBERS_MAX + 8 };

struct world {
    struct arena arena;
    struct placement_view view;
    struct placement_node nodes[NODES_MAX];
    char centers[NODES_MAX][2];
    Pr__ClusterPolicy policy;
    Pr__GroupRecord *groups[GROUPS_MAX];
    struct placement_local local[GROUPS_MAX];
};

static inline void world_init(struct world *world, const char *nodes)
{
    memset(world, 0, sizeof(*world));
    arena_init(&world->arena);
    world->view = (struct placement_view){
        .self = 1,
        .now_ms = 100000,
        .nodes = world->nodes,
        .groups = world->groups,
        .local = world->local,
        .policy = &world->policy,
        .members_max = REPLICATOR_MEMBERS_MAX,
    };
    pr__cluster_policy__init(&world->policy);
    for (const char *at = nodes; *at != '\0'; at += *at == ' ') {
        size_t n = world->view.node_count++;
        struct placement_node *node = &world->nodes[n];
        CHECK(n < NODES_MAX);
        for (; *at >= '0' && *at <= '9'; at++)
            node->id = 10 * node->id + (uint64_t)(*at - '0');
        world->centers[n][0] = *at++;
        node->data_center = world->centers[n];
        node->witness = *at == 'w';
        at += node->witness;
        node->removing = *at == 'r';
        node->leaving = *at == 'd' || node->removing;
        at += node->leaving;
        for (; *at >= '0' && *at <= '9'; at++)
            node->replaced_by = 10 * node->replaced_by + (uint64_t)(*at - '0');
    }
}

static inline Pr__GroupRecord *read_record(struct arena *arena, uint32_t group,
                                           const char *text)
{
    Pr__GroupRecord *record = arena_alloc(arena, sizeof(*record));
    unsigned id = 0;
    char role = 0;
    int used = 0;

    pr__group_record__init(record);
    record->group = group;
    record->replicas = arena_alloc(arena, NODES_MAX * sizeof(*record->replicas));
    for (const char *at = text; sscanf(at, "%u%c%n", &id, &role, &used) == 2; at += used) {
        Pr__Replica *replica = arena_alloc(arena, sizeof(*replica));
        pr__replica__init(replica);
        replica->node_id = id;
        replica->standby = role == 's';
        record->replicas[record->n_replicas++] = replica;
    }
    const char *preferred = strchr(text, '>');
    if (preferred != NULL && sscanf(preferred, ">%u", &id) == 1)
        record->preferred_leader = id;
    return record;
}

static inline void add_group(struct world *world, const char *record)
{
    size_t g = world->view.group_count++;

    CHECK(g < GROUPS_MAX);
    world->groups[g] = read_record(&world->arena, (uint32_t)g, record);
}

/* The local replica of the last group, led by this node. */
static inline struct placement_local *lead(struct world *world, const char *members)
{
    struct placement_local *local = &world->local[world->view.group_count - 1];
    struct replicator_member *raft = arena_alloc(&world->arena, NODES_MAX * sizeof(*raft));
    uint64_t *match = arena_alloc(&world->arena, NODES_MAX * sizeof(*match));
    uint64_t *contact_ms = arena_alloc(&world->arena, NODES_MAX * sizeof(*contact_ms));
    unsigned id = 0;
    char role = 0;
    int used = 0;

    local->present = true;
    local->status.state = REPLICATOR_LEADER;
    local->status.leader = world->view.self;
    local->status.last_index = 1000;
    local->status.members = raft;
    local->status.match = match;
    local->status.last_contact_ms = contact_ms;
    for (const char *at = members; sscanf(at, "%u%c%n", &id, &role, &used) == 2; at += used) {
        unsigned m = local->status.member_count++;
        raft[m].node_id = id;
        raft[m].role = role == 'v' ? REPLICATOR_VOTER : REPLICATOR_STANDBY;
        match[m] = at[used] == '~' ? 900 : 1000;
        contact_ms[m] = at[used] == '!' ? 5000 : 100;
        if (at[used] == '~' || at[used] == '!')
            at++;
    }
    return local;
}

static inline const char *action_text(const struct placement_action *action, char text[64])
{
    switch (action->kind) {
    case PLACEMENT_JOIN:
        snprintf(text, 64, "join");
        break;
    case PLACEMENT_CHANGE:
        snprintf(text, 64, "%s %u",
                 action->remove                     ? "remove"
                 : action->role == REPLICATOR_VOTER ? "voter"
                                                    : "standby",
                 (unsigned)action->node_id);
        break;
    case PLACEMENT_TRANSFER:
        snprintf(text, 64, "transfer %u", (unsigned)action->node_id);
        break;
    case PLACEMENT_PUT:
        snprintf(text, 64, "put");
        break;
    case PLACEMENT_BOOTSTRAP:
        snprintf(text, 64, "begin");
        break;
    case PLACEMENT_DROP:
        snprintf(text, 64, "drop");
        break;
    case PLACEMENT_PLACED:
        snprintf(text, 64, "placed");
        break;
    case PLACEMENT_FORGET:
        snprintf(text, 64, "forget %u", (unsigned)action->node_id);
        break;
    }
    return text;
}

static inline Pr__GroupRecord *want(struct world *world, size_t *position)
{
    bool plan_taken = false;

    return placement_want(&world->view, &world->arena, position, &plan_taken);
}

#endif
