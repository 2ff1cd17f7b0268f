/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine fetches a group's state from another node's, in steps, while both may die. */
#include <stdlib.h>

#include "sim.h"

enum { STEP_MS = 20 };

struct copy {
    unsigned group;
    unsigned source;
    uint64_t source_life; /* a source that dies in between has to be found again */
    uint64_t index;       /* asked for */
    uint64_t target;      /* 0: not begun */
};

static void copy_later(struct node *node, const struct copy *copy);

static void copy_ended(struct node *node, const struct copy *copy, enum err err)
{
    if (err != ERR_OK)
        node->world->stats->fetches_failed++;
    replicator_state_fetched(node->replicator, copy->group, err, copy->target);
    node_wake(node);
}

static bool reachable(const struct node *node, const struct node *source)
{
    const struct world *world = node->world;
    return source->up && !source->dying && source->number != node->number &&
           !world->links[source->number][node->number].cut &&
           !world->links[node->number][source->number].cut;
}

static void copy_run(struct world *world, struct event *event)
{
    struct copy copy = *(struct copy *)event->data;
    struct node *node = &world->nodes[event->node];
    struct node *source = &world->nodes[copy.source];
    bool stopped = node->fetch_stopped[copy.group];
    bool resumed = false;
    if (stopped || !reachable(node, source) ||
        (copy.target != 0 &&
         (source->life != copy.source_life || source->machine.groups[copy.group].partial))) {
        copy_ended(node, &copy, stopped ? ERR_CLOSED : ERR_UNAVAILABLE);
        return;
    }
    if (copy.target == 0) {
        if (machine_applied_index(&source->machine, copy.group) < copy.index ||
            (copy.target = machine_copy_begin(&node->machine, &source->machine, copy.group,
                                              &resumed)) == 0) {
            copy_ended(node, &copy, ERR_UNAVAILABLE);
            return;
        }
        copy.source_life = source->life;
        world->stats->fetches++;
        world->stats->fetches_resumed += resumed;
    } else {
        enum err err = machine_copy_step(&node->machine, copy.group);
        if (err == ERR_OK) {
            copy.target = machine_copy_end(&node->machine, copy.group);
            world->stats->fetched++;
        }
        if (err != ERR_BUSY) {
            copy_ended(node, &copy, err == ERR_OK ? ERR_OK : ERR_UNAVAILABLE);
            return;
        }
    }
    copy_later(node, &copy);
    node_wake(node);
}

static void copy_later(struct node *node, const struct copy *copy)
{
    struct world *world = node->world;
    struct copy *kept = malloc(sizeof(*kept));
    uint64_t delay = 1 + sim_below(world, world->calm ? STEP_MS : world->plan.fetch_ms);
    CHECK(kept != NULL);
    *kept = *copy;
    sim_at(world, (struct event){.at_ms = world->now_ms + delay,
                                 .run = copy_run,
                                 .node = node->number,
                                 .life = node->life,
                                 .data = kept,
                                 .drop = free});
}

void fetch_start(struct machine_sim *machine, unsigned group, unsigned source, uint64_t index)
{
    struct node *node = &machine->world->nodes[machine->node];
    struct copy copy = {.group = group, .source = source, .index = index};
    node->fetch_stopped[group] = false;
    copy_later(node, &copy);
}

void fetch_stop(struct machine_sim *machine, unsigned group)
{
    machine->world->nodes[machine->node].fetch_stopped[group] = true;
}

bool fetches_under_way(const struct world *world)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        const struct node *node = &world->nodes[i];
        for (unsigned group = 0; node->up && !node->witness && group < world->plan.groups;
             group++)
            if (!machine_whole(&node->machine, group))
                return true;
    }
    return false;
}
