/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time, chance and the order of events. */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

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

void sim_loop(struct world *world, bool (*ends)(struct world *world, uint64_t at_ms))
{
    while (world->heap_count > 0 && world->failure[0] == '\0') {
        struct event event = take(world);
        CHECK(event.at_ms >= world->now_ms);
        bool over = ends(world, event.at_ms);
        if (!over) {
            world->now_ms = event.at_ms;
            world->current = event.node;
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

struct world *sim_world_new(uint64_t seed, enum bug bug, bool gate, bool verbose,
                            struct sim_result *result)
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
    return world;
}

void sim_world_free(struct world *world, struct sim_result *result)
{
    result->good = world->failure[0] == '\0';
    memcpy(result->failure, world->failure, sizeof(result->failure));
    result->stats.virtual_ms = world->now_ms - 1000;
    result->hash = world->hash;
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
