/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time, chance and the order of events. */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/mail.h"

uint64_t sim_random(struct world *world)
{
    uint64_t x = world->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    world->random = x;
    return (x * 0x2545F4914F6CDD1DU) >> 16;
}

uint64_t sim_below(struct world *world, uint64_t end)
{
    return end > 0 ? sim_random(world) % end : 0;
}

bool sim_chance(struct world *world, unsigned permille)
{
    return sim_below(world, 1000) < permille;
}

void sim_trace(struct world *world, uint64_t value)
{
    world->hash = (world->hash ^ value) * 0x100000001b3U;
    world->hash ^= world->hash >> 29;
}

void sim_fail(struct world *world, const char *format, ...)
{
    va_list arguments;
    if (world->failure[0] != '\0')
        return;
    va_start(arguments, format);
    int len = snprintf(world->failure, sizeof(world->failure), "t=%llu ",
                       (unsigned long long)world->now_ms);
    vsnprintf(world->failure + len, sizeof(world->failure) - (size_t)len, format, arguments);
    va_end(arguments);
}

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->sequence < b->sequence);
}

void sim_at(struct world *world, struct event event)
{
    event.sequence = world->sequence++;
    if (world->heap_count == world->heap_room) {
        world->heap_room = world->heap_room > 0 ? world->heap_room * 2 : 1024;
        world->heap = realloc(world->heap, world->heap_room * sizeof(*world->heap));
        CHECK(world->heap != NULL);
    }
    unsigned at = world->heap_count++;
    while (at > 0 && before(&event, &world->heap[(at - 1) / 2])) {
        world->heap[at] = world->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->heap[at] = event;
}

static struct event take(struct world *world)
{
    struct event first = world->heap[0];
    struct event last = world->heap[--world->heap_count];
    unsigned at = 0;
    for (;;) {
        unsigned child = 2 * at + 1;
        if (child >= world->heap_count)
            break;
        if (child + 1 < world->heap_count &&
            before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &last))
            break;
        world->heap[at] = world->heap[child];
        at = child;
    }
    world->heap[at] = last;
    return first;
}

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

static void loop(struct world *world)
{
    while (world->heap_count > 0 && world->failure[0] == '\0') {
        struct event event = take(world);
        CHECK(event.at_ms >= world->now_ms);
        uint64_t end_ms = world->calm_at_ms + CALM_MS + world->patience_ms;
        bool over = event.at_ms >= end_ms;
        if (over && world->patience_ms < COPIES_MS && fetches_under_way(world)) {
            world->patience_ms += CALM_MS;
            over = false;
        }
        if (!over) {
            world->now_ms = event.at_ms;
            world->stats->steps++;
            sim_trace(world, event.at_ms << 8 ^ event.node);
            if (event.life == 0 || event.life == world->nodes[event.node].life)
                event.run(world, &event);
        }
        if (event.data != NULL)
            event.drop(event.data);
        if (over || world->over)
            break;
    }
}

void sim_run(uint64_t seed, enum bug bug, bool gate, bool verbose, struct sim_result *result)
{
    struct world *world = calloc(1, sizeof(*world));
    CHECK(world != NULL);
    memset(result, 0, sizeof(*result));
    result->seed = seed;
    world->seed = seed;
    world->bug = bug;
    world->gate = gate;
    world->verbose = verbose;
    world->stats = &result->stats;
    world->random = seed * 0x9E3779B97F4A7C15U ^ 0xD1B54A32D192ED03U;
    for (unsigned i = 0; i < 8; i++)
        sim_random(world);
    world->now_ms = 1000;
    world->calm_at_ms = world->now_ms + FAULTS_MS;
    world->hash = 0xcbf29ce484222325U;
    plan_unfold(world);
    mail_init(world);
    net_init(world);
    nodes_setup(world);
    faults_setup(world);
    client_setup(world);
    operator_setup(world);
    sim_at(world, (struct event){.at_ms = world->calm_at_ms, .run = calm});
    loop(world);
    if (world->failure[0] == '\0' && !world->over)
        check_end(world);
    if (world->failure[0] == '\0' && !world->over)
        mail_end(world);
    result->good = world->failure[0] == '\0';
    memcpy(result->failure, world->failure, sizeof(result->failure));
    result->stats.virtual_ms = world->now_ms - 1000;
    result->hash = world->hash;
    nodes_teardown(world);
    mail_fini(world);
    for (unsigned i = 0; i < world->heap_count; i++)
        if (world->heap[i].data != NULL)
            world->heap[i].drop(world->heap[i].data);
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        free(world->truths[i].records);
        free(world->truths[i].leaders);
    }
    free(world->heap);
    free(world->proposals);
    free(world);
}
