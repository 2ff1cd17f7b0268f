/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A state machine that remembers which command it applied where. Its disk lags: a crash takes
 * it back to some point between what it called durable and what it had applied.
 */
#include <stdlib.h>

#include "sim.h"

static unsigned lane_of(struct machine *machine, uint32_t group)
{
    (void)machine;
    return group % 2;
}

static void record_add(struct state *state, struct record record)
{
    if (state->count == state->room) {
        state->room = state->room > 0 ? state->room * 2 : 256;
        state->records = realloc(state->records, state->room * sizeof(*state->records));
        CHECK(state->records != NULL);
    }
    state->records[state->count++] = record;
}

struct application {
    struct machine_batch *batch;
    unsigned lane;
};

static void batch_carry_out(struct machine_sim *machine, struct machine_batch *batch)
{
    struct world *world = machine->world;
    uint64_t *replies = calloc(MACHINE_BATCH_COMMANDS_MAX, sizeof(*replies));
    CHECK(replies != NULL);
    batch->memory = replies;
    for (unsigned i = 0; i < batch->count; i++) {
        struct machine_command *command = &batch->commands[i];
        struct state *state = &machine->groups[command->group];
        struct record record = {.index = command->index, .term = command->term};
        if (command->command.len > 0) {
            CHECK(command->command.len >= sizeof(record.id));
            memcpy(&record.id, command->command.at, sizeof(record.id));
        }
        if (command->index != state->count + 1) {
            sim_fail(world, "node %u applies %llu of group %u after %llu", machine->node + 1,
                     (unsigned long long)command->index, command->group,
                     (unsigned long long)state->count);
            return;
        }
        record_add(state, record);
        check_applied(world, machine->node, command->group, record);
        if (command->want_reply) {
            replies[i] = record.id;
            command->reply = bytes_from(&replies[i], sizeof(replies[i]));
        }
    }
}

static void applied(struct world *world, struct event *event)
{
    struct application *application = event->data;
    struct node *node = &world->nodes[event->node];
    struct machine_sim *machine = &node->machine;
    if (world->bug != BUG_ACK_BEFORE_APPLY)
        batch_carry_out(machine, application->batch);
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        machine->visible[i] = machine->groups[i].count;
        if (sim_below(world, 4) == 0)
            machine->groups[i].durable = machine->groups[i].count;
    }
    if (world->bug != BUG_ACK_BEFORE_APPLY)
        replicator_batch_applied(node->replicator, application->batch);
    node_wake(node);
}

static void apply(struct machine *interface, struct machine_batch *batch)
{
    struct machine_sim *machine = (struct machine_sim *)interface;
    struct world *world = machine->world;
    struct node *node = &world->nodes[machine->node];
    struct application *application = malloc(sizeof(*application));
    CHECK(application != NULL);
    *application = (struct application){.batch = batch, .lane = batch->lane};
    /* Answered at once, seen by readers later. */
    if (world->bug == BUG_ACK_BEFORE_APPLY) {
        batch_carry_out(machine, batch);
        replicator_batch_applied(node->replicator, batch);
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + sim_below(world, 6),
                                 .run = applied,
                                 .node = machine->node,
                                 .life = node->life,
                                 .data = application,
                                 .drop = free});
}

static void release(struct machine *machine, struct machine_batch *batch)
{
    (void)machine;
    free(batch->memory);
    batch->memory = NULL;
}

static uint64_t machine_applied_op(struct machine *machine, uint32_t group)
{
    return ((struct machine_sim *)machine)->groups[group].count;
}

static uint64_t durable(struct machine *machine, uint32_t group)
{
    return ((struct machine_sim *)machine)->groups[group].durable;
}

static const struct machine_ops machine_ops = {
    .lane_of = lane_of,
    .apply = apply,
    .release = release,
    .applied = machine_applied_op,
    .durable = durable,
};

void machine_init(struct machine_sim *machine, struct world *world, unsigned node)
{
    *machine = (struct machine_sim){.interface = {&machine_ops}, .world = world, .node = node};
}

void machine_fini(struct machine_sim *machine)
{
    for (unsigned i = 0; i < GROUPS_MAX; i++)
        free(machine->groups[i].records);
}

void machine_crash(struct machine_sim *machine)
{
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        struct state *state = &machine->groups[i];
        state->count =
            state->durable + sim_below(machine->world, state->count + 1 - state->durable);
        state->durable = state->count;
        machine->visible[i] = state->count;
    }
}

uint64_t machine_applied(const struct machine_sim *machine, unsigned group)
{
    return machine->visible[group];
}
