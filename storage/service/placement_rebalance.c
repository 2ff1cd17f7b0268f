/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "storage/service/placement_plan.h"

/* What groups would have, while moves are thought out; records are copies of our own. */
struct balance {
    const struct placement_view *view;
    struct arena *arena;
    Pr__GroupRecord **groups; /* of mail, settled */
    size_t group_count;
    size_t steps_left;
};

static Pr__GroupRecord *record_copy(const Pr__GroupRecord *record, struct arena *arena)
{
    Pr__GroupRecord *made = arena_alloc(arena, sizeof(*made));

    *made = *record;
    made->replicas = arena_alloc(arena, record->n_replicas * sizeof(*made->replicas));
    for (size_t i = 0; i < record->n_replicas; i++) {
        made->replicas[i] = arena_alloc(arena, sizeof(**made->replicas));
        *made->replicas[i] = *record->replicas[i];
    }
    return made;
}

static size_t replicas_on(const struct balance *balance, uint64_t node_id)
{
    size_t replicas = 0;

    for (size_t g = 0; g < balance->group_count; g++)
        for (size_t r = 0; r < balance->groups[g]->n_replicas; r++)
            replicas += balance->groups[g]->replicas[r]->node_id == node_id;
    return replicas;
}

static bool has_replica(const Pr__GroupRecord *group, uint64_t node_id)
{
    for (size_t r = 0; r < group->n_replicas; r++)
        if (group->replicas[r]->node_id == node_id)
            return true;
    return false;
}

/* How many data centers the group would stand in if `replica` were on `node_id`. */
static unsigned centers_with(const struct balance *balance, Pr__GroupRecord *group,
                             size_t replica, uint64_t node_id)
{
    uint64_t before = group->replicas[replica]->node_id;

    group->replicas[replica]->node_id = node_id;
    unsigned centers = placement_centers(balance->view, group->replicas, group->n_replicas);
    group->replicas[replica]->node_id = before;
    return centers;
}

static void move(struct balance *balance, size_t group, size_t replica, uint64_t to)
{
    CHECK(balance->steps_left > 0);
    balance->steps_left--;
    balance->groups[group]->replicas[replica]->node_id = to;
}

/* A replica that may go elsewhere: a data voter of a node that is there. */
static bool is_movable(const struct balance *balance, const Pr__Replica *replica)
{
    const struct placement_node *node = placement_node(balance->view, replica->node_id);

    return node != NULL && placement_takes_mail(node) && !replica->standby;
}

/* Moves one replica of the group to the emptiest node that makes its data centers more. */
static bool spread_group(struct balance *balance, size_t g)
{
    Pr__GroupRecord *group = balance->groups[g];
    unsigned best_centers =
        placement_centers(balance->view, group->replicas, group->n_replicas);
    size_t best_load = 0;
    size_t best_replica = 0;
    uint64_t best = 0;

    for (size_t r = 0; r < group->n_replicas; r++) {
        if (!is_movable(balance, group->replicas[r]))
            continue;
        for (size_t n = 0; n < balance->view->node_count; n++) {
            const struct placement_node *node = &balance->view->nodes[n];
            if (!placement_takes_mail(node) || has_replica(group, node->id))
                continue;
            unsigned centers = centers_with(balance, group, r, node->id);
            size_t load = replicas_on(balance, node->id);
            if (centers > best_centers ||
                (best != 0 && centers == best_centers && load < best_load)) {
                best_centers = centers;
                best_load = load;
                best_replica = r;
                best = node->id;
            }
        }
    }
    if (best == 0)
        return false;
    move(balance, g, best_replica, best);
    return true;
}

/* Moves one replica from the node to the other, if some group can be moved without standing in
 * fewer data centers. */
static bool shift(struct balance *balance, uint64_t from, uint64_t to)
{
    for (size_t g = 0; g < balance->group_count; g++) {
        Pr__GroupRecord *group = balance->groups[g];
        if (has_replica(group, to))
            continue;
        for (size_t r = 0; r < group->n_replicas; r++)
            if (group->replicas[r]->node_id == from &&
                is_movable(balance, group->replicas[r]) &&
                centers_with(balance, group, r, to) >=
                    placement_centers(balance->view, group->replicas, group->n_replicas)) {
                move(balance, g, r, to);
                return true;
            }
    }
    return false;
}

/* One move from a full node to one that has at least two replicas fewer: the greatest
 * difference that can be helped. */
static bool level(struct balance *balance)
{
    const struct placement_view *view = balance->view;
    size_t *load = arena_alloc(balance->arena, view->node_count * sizeof(*load));
    size_t most = 0;

    for (size_t n = 0; n < view->node_count; n++) {
        load[n] = replicas_on(balance, view->nodes[n].id);
        most = load[n] > most ? load[n] : most;
    }
    for (size_t difference = most; difference >= 2; difference--)
        for (size_t from = 0; from < view->node_count; from++)
            for (size_t to = 0; to < view->node_count; to++)
                if (placement_takes_mail(&view->nodes[from]) &&
                    placement_takes_mail(&view->nodes[to]) &&
                    load[from] == load[to] + difference &&
                    shift(balance, view->nodes[from].id, view->nodes[to].id))
                    return true;
    return false;
}

/* A group's moves, from what it has and what it shall have. */
static void list_moves(const Pr__GroupRecord *before, const Pr__GroupRecord *after,
                       struct placement_rebalance *result)
{
    size_t to = 0;

    for (size_t from = 0; from < before->n_replicas; from++) {
        uint64_t left = before->replicas[from]->node_id;
        if (has_replica(after, left))
            continue;
        while (has_replica(before, after->replicas[to]->node_id))
            to++;
        result->moves[result->move_count++] =
            (struct placement_move){before->group, left, after->replicas[to++]->node_id};
    }
}

struct placement_rebalance placement_rebalance(const struct placement_view *view,
                                               struct arena *arena)
{
    struct balance balance = {.view = view, .arena = arena};
    struct placement_rebalance result = {0};
    const Pr__GroupRecord **before = arena_alloc(arena, view->group_count * sizeof(*before));
    size_t replicas = 0;

    balance.groups = arena_alloc(arena, view->group_count * sizeof(*balance.groups));
    for (size_t g = 0; g < view->group_count; g++) {
        const Pr__GroupRecord *group = view->groups[g];
        if (group->group == 0 || placement_unborn(group))
            continue;
        before[balance.group_count] = group;
        balance.groups[balance.group_count++] = record_copy(group, arena);
        replicas += group->n_replicas;
    }
    /* Each step lowers what it is made for, so this ends; the bound is there all the same. */
    balance.steps_left = 8 * replicas;
    for (size_t g = 0; g < balance.group_count; g++)
        while (balance.steps_left > 0 && spread_group(&balance, g))
            ;
    while (balance.steps_left > 0 && level(&balance))
        ;
    result.moves = arena_alloc(arena, (replicas + 1) * sizeof(*result.moves));
    result.plans = arena_alloc(arena, view->group_count * sizeof(*result.plans));
    for (size_t g = 0; g < balance.group_count; g++) {
        size_t known = result.move_count;
        list_moves(before[g], balance.groups[g], &result);
        if (result.move_count > known)
            result.plans[result.plan_count++] = balance.groups[g];
    }
    return result;
}
