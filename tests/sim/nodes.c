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
    FIRST_MS = 1500,
    JUMP_MS = 3600 * 1000,
};

static uint64_t clock_now(void *context)
{
    const struct node *node = context;
    return node->world->now_ms + node->clock_ms;
}

static unsigned site_of(void *context, uint64_t node_id)
{
    struct node *node = context;
    struct world *world = node->world;
    if (world->bug == BUG_WRONG_SITE)
        return (unsigned)node_id;
    return world->nodes[node_id - 1].site;
}

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

void node_start(struct node *node)
{
    static const struct replicator_clock no_clock = {.now_ms = clock_now};
    struct world *world = node->world;
    static struct replicator_clock clocks[NODES_MAX];
    struct replicator_config config = {
        .node_id = node->number + 1,
        .seed = sim_random(world),
        .election_timeout_ms = ELECTION_MS,
        .heartbeat_ms = BEAT_MS,
        .grace_ms = GRACE_MS,
        .cross_dc = world->plan.cross_dc,
        .inflight_bytes_max = 256 * 1024,
        .cache_bytes_max = 64 * 1024,
        .log_retain_bytes = world->plan.trim ? 12 * 1024 : (uint64_t)1 << 40,
        .log_hold_bytes = world->plan.tight ? 18 * 1024 : (uint64_t)1 << 40,
        .log_hold_ms = world->plan.tight ? 400 : 0,
        .log = &node->disk.interface,
        .transport = &node->transport,
        .machine = &node->machine.interface,
        .site_of = site_of,
        .context = node,
    };
    clocks[node->number] = no_clock;
    clocks[node->number].context = node;
    config.clock = &clocks[node->number];
    node->up = true;
    node->dying = false;
    node->failed = false;
    node->fuse = 0;
    node->turn_pending = false;
    node->life++;
    enum err err = replicator_new(&config, &node->replicator);
    if (err != ERR_OK) {
        node->up = false;
        sim_fail(world, "node %u does not start: %s", node->number + 1, err_text(err));
        return;
    }
    for (unsigned i = 0; i < world->plan.groups; i++)
        /* The first node of a cluster that grows makes the groups when it starts first. */
        if (node->number != 0 || !world->plan.growth || world->now_ms > FIRST_MS)
            CHECK(replicator_group_join(node->replicator, i) == ERR_OK);
    net_node_up(world, node->number);
    tick(world, &(struct event){.node = node->number});
}

/* From when on its groups are without a leader. */
static void leaders_note(struct node *node)
{
    struct world *world = node->world;
    for (unsigned i = 0; i < world->plan.groups; i++)
        if (node->led_term[i] != 0 && node->led_term[i] == world->truths[i].highest &&
            replicator_leader(node->replicator, i) == node->number + 1)
            world->leader_died_ms[i] = world->now_ms;
}

void node_crash(struct node *node)
{
    struct world *world = node->world;
    if (!node->up)
        return;
    world->stats->crashes++;
    leaders_note(node);
    node->up = false;
    node->life++;
    node->paused_ms = 0;
    disk_crash(&node->disk);
    machine_crash(&node->machine);
    net_node_down(world, node->number);
    replicator_free(&node->replicator);
    memset(node->led_term, 0, sizeof(node->led_term));
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

static void bootstrapped(void *context, enum err err)
{
    struct node *node = context;
    if (err != ERR_OK && err != ERR_CLOSED)
        sim_fail(node->world, "bootstrap: %s", err_text(err));
}

void nodes_setup(struct world *world)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[i];
        node->world = world;
        node->number = i;
        node->life = 1;
        node->transport.ops = &net_ops;
        /* Sites 1, 1, 2 or 1, 1, 2, 2, 3: two nodes of a majority may share one. */
        node->site = 1 + i / 2;
        node->witness = world->plan.witness && i + 1 == world->plan.nodes;
        disk_init(&node->disk, world, i);
        machine_init(&node->machine, world, i);
        for (unsigned g = 0; g < world->plan.groups && !world->plan.growth; g++)
            disk_prefill(&node->disk, g, world->plan.nodes);
    }
    for (unsigned i = 0; i < world->plan.nodes && world->failure[0] == '\0'; i++)
        node_start(&world->nodes[i]);
    for (unsigned g = 0; g < world->plan.groups && world->plan.growth; g++)
        replicator_group_bootstrap(world->nodes[0].replicator, g, bootstrapped,
                                   &world->nodes[0]);
}

void nodes_teardown(struct world *world)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[i];
        if (node->up) {
            node->up = false;
            machine_crash(&node->machine);
            replicator_free(&node->replicator);
        }
        disk_fini(&node->disk);
        machine_fini(&node->machine);
    }
}
