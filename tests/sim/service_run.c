/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a seed unfolds to, and how a world with the service runs. */
#include <stdlib.h>

#include "tests/sim/people.h"

static void plan_unfold(struct world *world)
{
    struct plan_of_seed *plan = &world->plan;

    plan->nodes = sim_below(world, 3) == 0 ? 5 : 3;
    plan->groups = GROUPS_MAX;
    plan->loss_permille = sim_below(world, 3) == 0 ? (unsigned)sim_below(world, 60) : 0;
    plan->double_permille = sim_below(world, 4) == 0 ? (unsigned)sim_below(world, 50) : 0;
    plan->delay_ms = 1 + (unsigned)sim_below(world, sim_below(world, 3) == 0 ? 40 : 6);
    plan->disk_ms = 1 + (unsigned)sim_below(world, sim_below(world, 3) == 0 ? 60 : 8);
    plan->stall_permille = sim_below(world, 4) == 0 ? (unsigned)sim_below(world, 15) : 0;
    plan->crash_ms = 500 + (unsigned)sim_below(world, 8000);
    plan->partition_ms = 500 + (unsigned)sim_below(world, 8000);
    plan->cross_dc = sim_below(world, 3) == 0;
    plan->trim = sim_below(world, 2) == 0;
    plan->tight = plan->trim && sim_below(world, 3) != 0;
    world->service->failing = sim_below(world, 4) == 0;
    plan->jumps = sim_below(world, 3) == 0;
    plan->pauses = sim_below(world, 3) == 0;
}

static void calm(struct world *world, struct event *event)
{
    (void)event;
    world->calm = true;
    net_heal(world);
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[i];
        node->paused_ms = 0;
        if (!node->up)
            node_start(node);
        node_wake(node);
    }
}

void people_world_begin(struct world *world)
{
    world->calm_at_ms = world->now_ms + FAULTS_MS;
    world->plan.failing = world->service->failing;
    sim_at(world, (struct event){.at_ms = world->calm_at_ms, .run = calm});
    faults_setup(world);
}

static bool ends(struct world *world, uint64_t at_ms)
{
    if (!world->service->began || at_ms < world->calm_at_ms + CALM_MS + world->patience_ms)
        return false;
    if (world->patience_ms >= COPIES_MS || service_rests(world))
        return true;
    world->patience_ms += COPIES_MS / 10;
    return false;
}

void sim_run(uint64_t seed, enum bug bug, bool gate, bool verbose, struct sim_result *result)
{
    struct world *world = sim_world_new(seed, bug, gate, verbose, result);

    world->service = calloc(1, sizeof(*world->service));
    CHECK(world->service != NULL);
    service_runtime_begin(world);
    plan_unfold(world);
    net_init(world);
    people_init(world);
    nodes_setup(world);
    fronts_open(world);
    setup_begin(world);
    sim_loop(world, ends);
    if (world->failure[0] == '\0')
        service_check_end(world);
    result->good = world->failure[0] == '\0';
    world->over = true;
    fronts_close(world);
    nodes_teardown(world);
    people_fini(world);
    service_runtime_end();
    free(world->service);
    sim_world_free(world, result);
}
