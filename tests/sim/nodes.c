/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes that run, stall, die between any two effects of a turn, and come back; and who is cut
 * off from whom when. */
#include <stdlib.h>

#include "sim.h"

enum {
    TICK_INTERVAL_MS = 10,
    STALL_MS = 60,
    PAUSE_MS = 900,
    STANDSTILL_MS = 3000,
    JUMP_MS = 3600 * 1000,
};

bool node_effect(struct node *node)
{
    if (node->dying)
        return false;
    if (node->fuse > 0 && --node->fuse == 0)
        node->dying = true;
    return !node->dying;
}

static void restart(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (!node->up && !node->dead_for_good)
        node_start(node);
}

static void restart_later(struct node *node, uint64_t delay_ms)
{
    sim_at(node->world, (struct event){.at_ms = node->world->now_ms + delay_ms,
                                       .run = restart,
                                       .node = node->number});
}

static void turn(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    node->turn_pending = false;
    bool again = replicator_turn(node->replicator);
    if (node->dying || node->failed) {
        node_crash(node);
        restart_later(node, 20 + sim_below(world, 500));
        return;
    }
    node->fuse = 0;
    check_turn(node);
    if (again)
        node_wake(node);
}

void node_wake(struct node *node)
{
    struct world *world = node->world;
    uint64_t delay = 0;
    if (!node->up || node->turn_pending)
        return;
    if (node->paused_ms > world->now_ms)
        delay = node->paused_ms - world->now_ms;
    else if (!world->calm && sim_chance(world, world->plan.stall_permille))
        delay = sim_below(world, sim_below(world, 8) == 0 ? PAUSE_MS : STALL_MS);
    node->turn_pending = true;
    sim_at(world, (struct event){.at_ms = world->now_ms + delay,
                                 .run = turn,
                                 .node = node->number,
                                 .life = node->life});
}

static void tick(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    node_wake(node);
    sim_at(world, (struct event){.at_ms = world->now_ms + TICK_INTERVAL_MS,
                                 .run = tick,
                                 .node = node->number,
                                 .life = node->life});
}

void node_turns(struct node *node)
{
    tick(node->world, &(struct event){.node = node->number});
}

void node_leaders_note(struct node *node)
{
    struct world *world = node->world;
    for (unsigned i = 0; i < world->plan.groups; i++)
        if (node->led_term[i] != 0 && node->led_term[i] == world->truths[i].highest &&
            replicator_leader(node->replicator, i) == node->number + 1)
            world->leader_died_ms[i] = world->now_ms;
}

static void crash(struct world *world, struct event *event)
{
    (void)event;
    if (world->calm)
        return;
    struct node *node = &world->nodes[sim_below(world, world->plan.nodes)];
    bool all = sim_below(world, 8) == 0;
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *victim = &world->nodes[i];
        if (!victim->up || (!all && victim != node))
            continue;
        if (!all && sim_below(world, 2) == 0) {
            victim->fuse = 1 + (unsigned)sim_below(world, 6);
            continue;
        }
        node_crash(victim);
        restart_later(victim, 20 + sim_below(world, 1500));
    }
    sim_at(world,
           (struct event){.at_ms = world->now_ms + 1 + sim_below(world, world->plan.crash_ms),
                          .run = crash});
}

/* SIGSTOP, a machine that is moved: everything stands still, and time does not. */
static void standstill(struct world *world, struct event *event)
{
    (void)event;
    if (world->calm)
        return;
    struct node *node = &world->nodes[sim_below(world, world->plan.nodes)];
    if (node->up && world->plan.pauses) {
        node->paused_ms = world->now_ms + sim_below(world, STANDSTILL_MS);
        world->stats->pauses++;
    }
    node = &world->nodes[sim_below(world, world->plan.nodes)];
    if (world->plan.jumps) {
        node->clock_ms += sim_below(world, sim_below(world, 4) == 0 ? JUMP_MS : 300);
        world->stats->jumps++;
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, STANDSTILL_MS),
                                 .run = standstill});
}

static void heal(struct world *world, struct event *event)
{
    (void)event;
    net_heal(world);
}

static void partition(struct world *world, struct event *event)
{
    (void)event;
    if (world->calm)
        return;
    net_partition(world);
    sim_at(world, (struct event){.at_ms = world->now_ms + sim_below(world, 1500), .run = heal});
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 +
                                          sim_below(world, world->plan.partition_ms),
                                 .run = partition});
}

void faults_setup(struct world *world)
{
    uint64_t start = world->plan.growth ? 1500 : 0;
    sim_at(world, (struct event){.at_ms = world->now_ms + start +
                                          sim_below(world, world->plan.crash_ms),
                                 .run = crash});
    sim_at(world, (struct event){.at_ms = world->now_ms + start +
                                          sim_below(world, world->plan.partition_ms),
                                 .run = partition});
    sim_at(world,
           (struct event){.at_ms = world->now_ms + start + sim_below(world, STANDSTILL_MS),
                          .run = standstill});
}
