/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/service/placement_balance.h"

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

static bool has_replica(const Pr__GroupRecord *group, uint64_t node_id)
{
    for (size_t r = 0; r < group->n_replicas; r++)
        if (group->replicas[r]->node_id == node_id)
            return true;
    return false;
}

/* Where the node stands in the view; the count when it is not there. */
static size_t position_of(const struct balance *balance, uint64_t node_id)
{
    const struct placement_node *node = placement_node(balance->view, node_id);

    return node != NULL ? (size_t)(node - balance->view->nodes) : balance->view->node_count;
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

static void held_add(struct balance *balance, size_t node, size_t group)
{
    struct held *held = &balance->held[node];

    if (held->count == held->room) {
        size_t *groups = arena_alloc(balance->arena, (2 * held->room + 8) * sizeof(*groups));
        if (held->count > 0)
            memcpy(groups, held->groups, held->count * sizeof(*groups));
        held->groups = groups;
        held->room = 2 * held->room + 8;
    }
    held->groups[held->count++] = group;
    held->bytes += balance->bytes[group];
}

static void held_take(struct balance *balance, size_t node, size_t group)
{
    struct held *held = &balance->held[node];
    size_t at = 0;

    while (held->groups[at] != group)
        at++;
    for (held->count--; at < held->count; at++)
        held->groups[at] = held->groups[at + 1];
    held->bytes -= balance->bytes[group];
}

/* What could not be moved off these nodes may be now. */
static void try_again(struct balance *balance, const Pr__GroupRecord *group)
{
    size_t nodes = balance->view->node_count;

    for (size_t r = 0; r < group->n_replicas; r++) {
        size_t node = position_of(balance, group->replicas[r]->node_id);
        if (node < nodes)
            memset(balance->stuck + node * nodes, 0, nodes);
    }
}

void balance_move(struct balance *balance, size_t g, size_t replica, size_t to)
{
    Pr__GroupRecord *group = balance->groups[g];
    size_t from = position_of(balance, group->replicas[replica]->node_id);

    CHECK(balance->steps_left > 0);
    balance->steps_left--;
    if (from < balance->view->node_count)
        held_take(balance, from, g);
    held_add(balance, to, g);
    group->replicas[replica]->node_id = balance->view->nodes[to].id;
    try_again(balance, group);
}

/* A replica that may go elsewhere: a data voter of a node that is there. */
static bool is_movable(const struct balance *balance, const Pr__Replica *replica)
{
    const struct placement_node *node = placement_node(balance->view, replica->node_id);

    return node != NULL && placement_takes_mail(node) && !replica->standby;
}

size_t balance_movable(struct balance *balance, size_t g, size_t from, size_t to)
{
    Pr__GroupRecord *group = balance->groups[g];
    uint64_t from_id = balance->view->nodes[from].id;
    uint64_t to_id = balance->view->nodes[to].id;
    size_t r = 0;

    if (balance->tries_left == 0 || has_replica(group, to_id))
        return group->n_replicas;
    balance->tries_left--;
    while (group->replicas[r]->node_id != from_id)
        r++;
    bool good = is_movable(balance, group->replicas[r]) &&
                centers_with(balance, group, r, to_id) >=
                    placement_centers(balance->view, group->replicas, group->n_replicas);
    return good ? r : group->n_replicas;
}

/* Moves one replica of the group to the emptiest node that makes its data centers more. */
static bool spread_group(struct balance *balance, size_t g)
{
    Pr__GroupRecord *group = balance->groups[g];
    unsigned best_centers =
        placement_centers(balance->view, group->replicas, group->n_replicas);
    size_t best_load = 0;
    size_t best_replica = 0;
    size_t best = balance->view->node_count;

    if (best_centers >= balance->centers)
        return false;
    for (size_t r = 0; r < group->n_replicas; r++) {
        if (!is_movable(balance, group->replicas[r]))
            continue;
        for (size_t n = 0; n < balance->view->node_count && balance->tries_left > 0; n++) {
            const struct placement_node *node = &balance->view->nodes[n];
            if (!placement_takes_mail(node) || has_replica(group, node->id))
                continue;
            balance->tries_left--;
            unsigned centers = centers_with(balance, group, r, node->id);
            size_t load = balance->held[n].count;
            if (centers > best_centers || (best != balance->view->node_count &&
                                           centers == best_centers && load < best_load)) {
                best_centers = centers;
                best_load = load;
                best_replica = r;
                best = n;
            }
        }
    }
    if (best == balance->view->node_count)
        return false;
    balance_move(balance, g, best_replica, best);
    return true;
}

/* How far from each other two nodes are when so much of what is between them has moved. */
static uint64_t left_between(int64_t difference, uint64_t bytes)
{
    return (uint64_t)llabs(difference - 2 * (int64_t)bytes);
}

/* Moves one replica from the node to the other, if some group can be moved without standing in
 * fewer data centers: the one that leaves their bytes most alike. */
static bool shift(struct balance *balance, size_t from, size_t to)
{
    const struct held *held = &balance->held[from];
    int64_t difference = (int64_t)held->bytes - (int64_t)balance->held[to].bytes;
    size_t best = 0;
    size_t best_replica = SIZE_MAX;
    uint64_t best_left = 0;

    for (size_t i = 0; i < held->count; i++) {
        size_t g = held->groups[i];
        uint64_t left = left_between(difference, balance->bytes[g]);
        if (best_replica != SIZE_MAX && left >= best_left)
            continue;
        size_t replica = balance_movable(balance, g, from, to);
        if (replica == balance->groups[g]->n_replicas)
            continue;
        best = g;
        best_replica = replica;
        best_left = left;
    }
    if (best_replica == SIZE_MAX)
        return false;
    balance_move(balance, best, best_replica, to);
    return true;
}

/* One move from a full node to one that has at least two replicas fewer: the greatest
 * difference that can be helped. */
static bool level(struct balance *balance)
{
    const struct placement_view *view = balance->view;
    size_t most = 0;

    for (size_t n = 0; n < view->node_count; n++)
        most = balance->held[n].count > most ? balance->held[n].count : most;
    for (size_t difference = most; difference >= 2; difference--)
        for (size_t from = 0; from < view->node_count; from++) {
            if (balance->held[from].count < difference ||
                !placement_takes_mail(&view->nodes[from]))
                continue;
            for (size_t to = 0; to < view->node_count; to++) {
                uint8_t *stuck = &balance->stuck[from * view->node_count + to];
                if (balance->held[from].count != balance->held[to].count + difference ||
                    *stuck || !placement_takes_mail(&view->nodes[to]))
                    continue;
                if (shift(balance, from, to))
                    return true;
                *stuck = 1;
            }
        }
    return false;
}

/* A group's moves, from what it has and what it shall have. */
static void list_moves(const Pr__GroupRecord *before, const Pr__GroupRecord *after,
                       uint64_t bytes, struct placement_rebalance *result)
{
    size_t to = 0;

    for (size_t from = 0; from < before->n_replicas; from++) {
        uint64_t left = before->replicas[from]->node_id;
        if (has_replica(after, left))
            continue;
        while (has_replica(before, after->replicas[to]->node_id))
            to++;
        result->moves[result->move_count++] =
            (struct placement_move){before->group, left, after->replicas[to++]->node_id, bytes};
    }
}

/* As many data centers as take mail. */
static unsigned count_centers(const struct placement_view *view)
{
    unsigned centers = 0;

    for (size_t i = 0; i < view->node_count; i++) {
        bool fresh = placement_takes_mail(&view->nodes[i]);
        for (size_t j = 0; j < i && fresh; j++)
            fresh = !placement_takes_mail(&view->nodes[j]) ||
                    strcmp(view->nodes[j].data_center, view->nodes[i].data_center) != 0;
        centers += fresh;
    }
    return centers;
}

/* The groups that can be moved; *before: as they are now. Returns how many replicas they have.
 */
static size_t balance_fill(struct balance *balance, const Pr__GroupRecord **before)
{
    const struct placement_view *view = balance->view;
    size_t replicas = 0;

    for (size_t g = 0; g < view->group_count; g++) {
        const Pr__GroupRecord *group = view->groups[g];
        if (group->group == 0 || placement_unborn(group))
            continue;
        size_t at = balance->group_count++;
        before[at] = group;
        balance->groups[at] = record_copy(group, balance->arena);
        balance->bytes[at] = view->bytes != NULL ? view->bytes[g] : 0;
        replicas += group->n_replicas;
        for (size_t r = 0; r < group->n_replicas; r++) {
            size_t node = position_of(balance, group->replicas[r]->node_id);
            if (node < view->node_count)
                held_add(balance, node, at);
        }
    }
    return replicas;
}

struct placement_rebalance placement_rebalance(const struct placement_view *view,
                                               struct arena *arena)
{
    size_t nodes = view->node_count;
    struct balance balance = {
        .view = view, .arena = arena, .centers = count_centers(view), .tries_left = TRIES_MAX};
    struct placement_rebalance result = {0};
    const Pr__GroupRecord **before = arena_alloc(arena, view->group_count * sizeof(*before));

    balance.groups = arena_alloc(arena, view->group_count * sizeof(*balance.groups));
    balance.bytes = arena_alloc(arena, view->group_count * sizeof(*balance.bytes));
    balance.held = arena_alloc(arena, nodes * sizeof(*balance.held));
    memset(balance.held, 0, nodes * sizeof(*balance.held));
    balance.stuck = arena_alloc(arena, nodes * nodes);
    memset(balance.stuck, 0, nodes * nodes);
    size_t replicas = balance_fill(&balance, before);
    /* Each step lowers what it is made for, so this ends; the bound is there all the same. */
    balance.steps_left = 8 * replicas;
    for (size_t g = 0; g < balance.group_count; g++)
        while (balance.steps_left > 0 && spread_group(&balance, g))
            ;
    while (balance.steps_left > 0 && level(&balance))
        ;
    while (balance.steps_left > 1 && balance_level_bytes(&balance))
        ;
    result.moves = arena_alloc(arena, (replicas + 1) * sizeof(*result.moves));
    result.plans = arena_alloc(arena, (view->group_count + 1) * sizeof(*result.plans));
    for (size_t g = 0; g < balance.group_count; g++) {
        size_t known = result.move_count;
        list_moves(before[g], balance.groups[g], balance.bytes[g], &result);
        if (result.move_count > known)
            result.plans[result.plan_count++] = balance.groups[g];
    }
    return result;
}
