/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes with a replicator and a machine: how they start, and what a death leaves. */
#include <stdlib.h>

#include "sim.h"

enum { FIRST_MS = 1500 };

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
    node_turns(node);
}

void node_crash(struct node *node)
{
    struct world *world = node->world;
    if (!node->up)
        return;
    world->stats->crashes++;
    node_leaders_note(node);
    node->up = false;
    node->life++;
    node->paused_ms = 0;
    disk_crash(&node->disk);
    machine_crash(&node->machine);
    net_node_down(world, node->number);
    replicator_free(&node->replicator);
    memset(node->led_term, 0, sizeof(node->led_term));
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
