/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a seed unfolds to, and how a world of replicators and machines runs. */
#include "tests/sim/mail.h"

static void plan_unfold(struct world *world)
{
    struct plan_of_seed *plan = &world->plan;
    plan->nodes = sim_below(world, 4) == 0 ? 5 : 3;
    plan->groups = 1 + (unsigned)sim_below(world, GROUPS_MAX);
    plan->loss_permille = sim_below(world, 3) == 0 ? 0 : (unsigned)sim_below(world, 150);
    plan->double_permille = sim_below(world, 2) == 0 ? 0 : (unsigned)sim_below(world, 100);
    plan->delay_ms = 1 + (unsigned)sim_below(world, sim_below(world, 3) == 0 ? 60 : 8);
    plan->disk_ms = 1 + (unsigned)sim_below(world, sim_below(world, 3) == 0 ? 100 : 10);
    plan->stall_permille = sim_below(world, 3) == 0 ? (unsigned)sim_below(world, 30) : 0;
    plan->crash_ms = 200 + (unsigned)sim_below(world, 3000);
    plan->partition_ms = 300 + (unsigned)sim_below(world, 4000);
    plan->growth = sim_below(world, 3) == 0;
    plan->churn = sim_below(world, 3) == 0;
    plan->cross_dc = sim_below(world, 2) == 0;
    plan->trim = sim_below(world, 2) == 0;
    plan->minority = sim_below(world, 3) == 0;
    plan->large = sim_below(world, 8) == 0;
    plan->tight = plan->trim && sim_below(world, 3) != 0;
    plan->witness = sim_below(world, 4) == 0;
    plan->quiesce = sim_below(world, 4) == 0;
    plan->failing = sim_below(world, 4) == 0;
    plan->jumps = sim_below(world, 4) == 0;
    plan->pauses = sim_below(world, 4) == 0;
    plan->disaster = plan->nodes == 3 && plan->cross_dc && !plan->witness && !plan->churn &&
                     !plan->growth && sim_below(world, 3) == 0;
    if (plan->nodes == 5 && !plan->churn && !plan->growth)
        plan->disaster = world->seed % 2 == 0;
    plan->fetch_ms = 5 + (unsigned)sim_below(world, sim_below(world, 3) == 0 ? 400 : 40);
}

static void calm(struct world *world, struct event *event)
{
    (void)event;
    world->calm = true;
    net_heal(world);
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        world->nodes[i].paused_ms = 0;
        if (world->nodes[i].up)
            replicator_quiesce(world->nodes[i].replicator, false);
        node_wake(&world->nodes[i]);
    }
    if (world->plan.disaster) {
        operator_disaster(world);
        return;
    }
    /* Of two nodes with a state one may be fetching it from the other. */
    unsigned spared =
        world->plan.minority && !world->plan.witness ? (world->plan.nodes - 1) / 2 : 0;
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[(i + world->seed) % world->plan.nodes];
        /* With members coming and going a minority of nodes may be a majority of voters. */
        if (spared > 0 && !world->plan.churn && !world->plan.growth) {
            spared--;
            node_crash(node);
            node->dead_for_good = true;
        } else if (!node->up) {
            node_start(node);
        }
    }
}

static bool ends(struct world *world, uint64_t at_ms)
{
    if (at_ms < world->calm_at_ms + CALM_MS + world->patience_ms)
        return false;
    if (world->patience_ms >= COPIES_MS || !fetches_under_way(world))
        return true;
    world->patience_ms += CALM_MS;
    return false;
}

void sim_run(uint64_t seed, enum bug bug, bool gate, bool verbose, struct sim_result *result)
{
    struct world *world = sim_world_new(seed, bug, gate, verbose, result);
    plan_unfold(world);
    mail_init(world);
    net_init(world);
    nodes_setup(world);
    faults_setup(world);
    client_setup(world);
    operator_setup(world);
    sim_at(world, (struct event){.at_ms = world->calm_at_ms, .run = calm});
    sim_loop(world, ends);
    if (world->failure[0] == '\0' && !world->over)
        check_end(world);
    if (world->failure[0] == '\0' && !world->over)
        mail_end(world);
    nodes_teardown(world);
    mail_fini(world);
    sim_world_free(world, result);
}
