/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What operators do: replicas taken away and brought back, nodes that are told to promise
 * nothing, and what is left of a cluster put together again when a data center burns down.
 */
#include <stdlib.h>

#include "tests/sim/sim.h"

enum { OPERATOR_MS = 400, UNWILLING_MS = 1500, RECOVERY_WAIT_MS = 50 };

struct order {
    struct world *world;
    unsigned node;
    uint64_t life;
    unsigned group;
};

static struct order *order_new(const struct node *node, unsigned group)
{
    struct order *order = malloc(sizeof(*order));
    CHECK(order != NULL);
    *order = (struct order){node->world, node->number, node->life, group};
    return order;
}

static void rejoin(struct world *world, struct event *event)
{
    struct order *order = event->data;
    struct node *node = &world->nodes[order->node];
    enum err err = replicator_group_join(node->replicator, order->group);
    if (err != ERR_OK)
        sim_fail(world, "node %u cannot join again: %s", node->number + 1, err_text(err));
    node_wake(node);
}

static void taken_away(void *context, enum err err)
{
    struct order *order = context;
    struct world *world = order->world;
    const struct node *node = &world->nodes[order->node];
    if (err == ERR_OK && node->up && node->life == order->life) {
        world->stats->removals++;
        if (!world->nodes[order->node].disk.groups[order->group].state.dropped)
            sim_fail(world, "node %u: the log of group %u is still there", order->node + 1,
                     order->group);
        sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, 300),
                                     .run = rejoin,
                                     .node = order->node,
                                     .life = order->life,
                                     .data = order,
                                     .drop = free});
        return;
    }
    if (err != ERR_OK && err != ERR_CLOSED && err != ERR_NOTFOUND && err != ERR_BUSY)
        sim_fail(world, "removal ends with %s", err_text(err));
    free(order);
}

/* The leader has said that it is no member any more. */
static void removed(void *context, enum err err)
{
    struct order *order = context;
    struct node *node = &order->world->nodes[order->node];
    if (err == ERR_OK && node->up) {
        order->life = node->life;
        replicator_group_remove(node->replicator, order->group, true, taken_away, order);
        node_wake(node);
        return;
    }
    free(order);
}

static void take_away(struct world *world)
{
    unsigned group = (unsigned)sim_below(world, world->plan.groups);
    unsigned victim = (unsigned)sim_below(world, world->plan.nodes);
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *leader = &world->nodes[i];
        if (!leader->up || replicator_leader(leader->replicator, group) != i + 1)
            continue;
        replicator_change(leader->replicator, group, victim + 1, REPLICATOR_SPARE, true,
                          removed, order_new(&world->nodes[victim], group));
        node_wake(leader);
        return;
    }
}

static void willing_again(struct world *world, struct event *event)
{
    replicator_quiesce(world->nodes[event->node].replicator, false);
}

static void quiesce(struct world *world)
{
    struct node *node = &world->nodes[sim_below(world, world->plan.nodes)];
    if (!node->up)
        return;
    world->stats->quiesced++;
    replicator_quiesce(node->replicator, true);
    node_wake(node);
    sim_at(world, (struct event){.at_ms = world->now_ms + sim_below(world, UNWILLING_MS),
                                 .run = willing_again,
                                 .node = node->number,
                                 .life = node->life});
}

static void operate(struct world *world, struct event *event)
{
    (void)event;
    if (world->calm)
        return;
    if (world->plan.churn && sim_below(world, 2) == 0)
        take_away(world);
    else if (world->plan.quiesce)
        quiesce(world);
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, OPERATOR_MS),
                                 .run = operate});
}

void operator_setup(struct world *world)
{
    sim_at(world, (struct event){.at_ms = world->now_ms + 2000, .run = operate});
}

/* Only what the survivor has is true from now on. */
static void truth_compare(struct world *world, const struct node *node, unsigned group)
{
    const struct truth *truth = &world->truths[group];
    const struct disk_group *disk = &node->disk.groups[group];
    uint64_t count = truth->count;
    while (count > 0) {
        const struct disk_entry *entry = disk_entry(&node->disk, group, count);
        if (count < disk->state.first_index ||
            (entry != NULL && entry->term == truth->records[count - 1].term))
            break;
        count--;
    }
    check_lost(world, group, count);
    /* Users have seen what is gone: they cannot be asked any more. */
    world->stats->lost += truth->count - count;
    world->over = world->over || truth->count > count;
}

static void recover(struct world *world, struct event *event);

static void recover_later(struct node *node)
{
    struct world *world = node->world;
    sim_at(world, (struct event){.at_ms = world->now_ms + RECOVERY_WAIT_MS +
                                          sim_below(world, RECOVERY_WAIT_MS),
                                 .run = recover,
                                 .node = node->number});
}

/* CLOSED: the node died over it, and the operator tries again, once for each group; BUSY: that
 * is under way. */
static void recovered(void *context, enum err err)
{
    struct order *order = context;
    if (err == ERR_OK)
        order->world->stats->recoveries++;
    else if (err == ERR_CLOSED)
        recover_later(&order->world->nodes[order->node]);
    else if (err != ERR_BUSY)
        sim_fail(order->world, "recovery of group %u: %s", order->group, err_text(err));
    free(order);
}

static void recover(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    /* It may still have been about to die. */
    if (!node->up || node->dying || node->failed) {
        recover_later(node);
        return;
    }
    for (unsigned g = 0; g < world->plan.groups; g++) {
        struct replicator_status status;
        uint64_t member = node->number + 1;
        if (!replicator_status(node->replicator, g, &status) || status.member_count == 1)
            continue;
        if (status.own != REPLICATOR_WHOLE) {
            world->unrecovered[g] = world->over = true;
            world->stats->unrecovered++;
            continue;
        }
        truth_compare(world, node, g);
        replicator_group_recover(node->replicator, g, &member, 1, recovered,
                                 order_new(node, g));
    }
    node_wake(node);
}

static void recover_many(struct world *world, struct event *event)
{
    (void)event;
    if (!recovery_run(world))
        operator_recover_again(world);
}

void operator_recover_again(struct world *world)
{
    sim_at(world, (struct event){.at_ms = world->now_ms + RECOVERY_WAIT_MS +
                                          sim_below(world, RECOVERY_WAIT_MS),
                                 .run = recover_many});
}

/* Three of five are lost; the witness, if there is one, is left. */
static void disaster_of_five(struct world *world)
{
    unsigned candidates = world->plan.nodes - (world->plan.witness ? 1 : 0);
    unsigned spared = (unsigned)sim_below(world, candidates);
    unsigned other =
        world->plan.witness
            ? candidates
            : (spared + 1 + (unsigned)sim_below(world, candidates - 1)) % candidates;
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[i];
        if (i != spared && i != other) {
            node_crash(node);
            node->dead_for_good = true;
            continue;
        }
        if (!node->up)
            node_start(node);
        replicator_quiesce(node->replicator, false);
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, 3000),
                                 .run = recover_many});
}

void operator_disaster(struct world *world)
{
    if (world->plan.nodes > 3) {
        disaster_of_five(world);
        return;
    }
    struct node *survivor = &world->nodes[2];
    for (unsigned i = 0; i < 2; i++) {
        node_crash(&world->nodes[i]);
        world->nodes[i].dead_for_good = true;
    }
    if (!survivor->up)
        node_start(survivor);
    replicator_quiesce(survivor->replicator, false);
    recover_later(survivor);
}
