/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mail machine of a node: what storage/machine/applier.c does with threads, in virtual
 * time. A batch takes a while and is one transaction of its lane; which index is durable
 * follows the same rules.
 */
#include <stdlib.h>

#include "storage/machine/machine.h"
#include "tests/sim/db_memory.h"
#include "tests/sim/machine_bugs.h"
#include "tests/sim/mail.h"
#include "tests/sim/sim.h"

enum { IDLE_SYNC_MS = 1000, BATCH_MS = 6, DIGEST_EVERY = 512, FAILING_PERMILLE = 2 };

/* batch->memory */
struct batch_memory {
    struct arena arena;
    struct machine_events events;
};

struct application {
    struct machine_batch *batch;
};

static struct machine_sim *machine_of(struct machine *machine)
{
    return (struct machine_sim *)machine;
}

static unsigned lane_of(struct machine *machine, uint32_t group)
{
    (void)machine;
    return group % MACHINE_LANES;
}

struct db *machine_lane(const struct machine_sim *machine, unsigned group)
{
    return machine->lanes[group % MACHINE_LANES].db;
}

uint64_t machine_hash(struct bytes bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.at[i]) * 0x100000001b3u;
    return hash ^ hash >> 31;
}

static void digest_check(const struct machine_sim *machine, struct db_txn *txn, unsigned group,
                         uint64_t index)
{
    uint64_t digest[4];

    machine_digest(txn, mail_group_number(group), (uint8_t *)digest);
    check_digest(machine->world, machine->node, group, index, digest[0]);
}

void machine_check_digest(const struct machine_sim *machine, unsigned group)
{
    struct db_txn *txn = db_read_begin(machine_lane(machine, group));

    digest_check(machine, txn, group, machine->groups[group].applied);
    db_abort(&txn);
}

static void command_carry_out(struct machine_sim *machine, struct db_txn *txn,
                              struct machine_command *command, struct batch_memory *memory)
{
    struct world *world = machine->world;
    uint32_t group = mail_group_number(command->group);
    struct truth_record record = {.index = command->index, .term = command->term};
    struct machine_bug bug;

    if (command->index != machine_applied(txn, group) + 1)
        sim_fail(world, "node %u applies %llu of group %u after %llu", machine->node + 1,
                 (unsigned long long)command->index, command->group,
                 (unsigned long long)machine_applied(txn, group));
    machine_bug_before(machine, txn, command, &bug);
    machine_apply(txn, group, command->index, command->term, command->command, &memory->arena,
                  &command->reply, &memory->events);
    machine_bug_after(machine, txn, command, &bug);
    if (db_error(txn) != ERR_OK)
        sim_fail(world, "node %u cannot apply %llu of group %u: %s", machine->node + 1,
                 (unsigned long long)command->index, command->group, err_text(db_error(txn)));
    if (command->command.len > 0) {
        record.id = mail_proposal_of(command->command);
        record.reply = machine_hash(command->reply);
    }
    check_applied(world, machine->node, command->group, record);
    if (command->index % DIGEST_EVERY == 0 && machine->world->failure[0] == '\0')
        digest_check(machine, txn, command->group, command->index);
}

/* What the lane committed before is durable now. */
static void lane_durable(struct machine_sim *machine, unsigned lane)
{
    for (unsigned i = lane; i < GROUPS_MAX; i += MACHINE_LANES)
        machine->groups[i].durable = machine->groups[i].committed;
}

void machine_committed(struct machine_sim *machine, unsigned group)
{
    lane_durable(machine, group % MACHINE_LANES);
}

static void batch_carry_out(struct machine_sim *machine, struct machine_batch *batch)
{
    struct machine_lane *lane = &machine->lanes[batch->lane];
    struct batch_memory *memory = calloc(1, sizeof(*memory));
    struct db_txn *txn = db_write_begin(lane->db);

    CHECK(memory != NULL);
    arena_init(&memory->arena);
    batch->memory = memory;
    for (unsigned i = 0; i < batch->count && machine->world->failure[0] == '\0'; i++)
        command_carry_out(machine, txn, &batch->commands[i], memory);
    if (db_commit(&txn) != ERR_OK)
        return; /* reported above */
    lane_durable(machine, batch->lane);
    for (unsigned i = 0; i < batch->count; i++)
        machine->groups[batch->commands[i].group].committed = batch->commands[i].index;
}

/* What readers see; with BUG_ACK_BEFORE_APPLY later than what was acknowledged. */
static void lane_show(struct machine_sim *machine, unsigned lane)
{
    for (unsigned i = lane; i < GROUPS_MAX; i += MACHINE_LANES)
        machine->groups[i].applied = machine->groups[i].committed;
}

static void sync_later(struct machine_sim *machine, unsigned number, uint64_t at_ms);

static void idle_sync(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    unsigned number = *(unsigned *)event->data;
    struct machine_lane *lane = &node->machine.lanes[number];

    lane->sync_pending = false;
    if (world->now_ms < lane->last_ms + IDLE_SYNC_MS) {
        sync_later(&node->machine, number, lane->last_ms + IDLE_SYNC_MS);
        return;
    }
    CHECK(db_sync(lane->db) == ERR_OK);
    lane_durable(&node->machine, number);
}

static void sync_later(struct machine_sim *machine, unsigned number, uint64_t at_ms)
{
    struct machine_lane *lane = &machine->lanes[number];
    unsigned *data = malloc(sizeof(*data));

    CHECK(data != NULL && !lane->sync_pending);
    *data = number;
    lane->sync_pending = true;
    sim_at(machine->world, (struct event){.at_ms = at_ms,
                                          .run = idle_sync,
                                          .node = machine->node,
                                          .life = machine->world->nodes[machine->node].life,
                                          .data = data,
                                          .drop = free});
}

static void applied(struct world *world, struct event *event)
{
    struct application *application = event->data;
    struct node *node = &world->nodes[event->node];
    struct machine_batch *batch = application->batch;
    unsigned lane = batch->lane;

    if (world->plan.failing && !world->calm && sim_chance(world, FAILING_PERMILLE)) {
        /* The transaction cannot be written, and the process ends. */
        world->stats->state_errors++;
        node->failed = true;
        node_wake(node);
        return;
    }
    if (world->bug != BUG_ACK_BEFORE_APPLY)
        batch_carry_out(&node->machine, batch);
    lane_show(&node->machine, lane);
    node->machine.lanes[lane].last_ms = world->now_ms;
    if (!node->machine.lanes[lane].sync_pending)
        sync_later(&node->machine, lane, world->now_ms + IDLE_SYNC_MS);
    if (world->bug != BUG_ACK_BEFORE_APPLY)
        replicator_batch_applied(node->replicator, batch);
    node_wake(node);
}

static void apply(struct machine *interface, struct machine_batch *batch)
{
    struct machine_sim *machine = machine_of(interface);
    struct world *world = machine->world;
    struct node *node = &world->nodes[machine->node];
    struct application *application = malloc(sizeof(*application));

    CHECK(application != NULL);
    *application = (struct application){.batch = batch};
    /* Answered at once, seen by readers later. */
    if (world->bug == BUG_ACK_BEFORE_APPLY) {
        batch_carry_out(machine, batch);
        replicator_batch_applied(node->replicator, batch);
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + sim_below(world, BATCH_MS),
                                 .run = applied,
                                 .node = machine->node,
                                 .life = node->life,
                                 .data = application,
                                 .drop = free});
}

static void release(struct machine *machine, struct machine_batch *batch)
{
    struct batch_memory *memory = batch->memory;

    (void)machine;
    if (memory == NULL)
        return;
    arena_fini(&memory->arena);
    free(memory);
    batch->memory = NULL;
}

static uint64_t applied_index(struct machine *machine, uint32_t group)
{
    return machine_of(machine)->groups[group].committed;
}

static uint64_t durable_index(struct machine *machine, uint32_t group)
{
    return machine_of(machine)->groups[group].durable;
}

static enum machine_state state(struct machine *interface, uint32_t group)
{
    const struct machine_sim *machine = machine_of(interface);

    if (machine->world->nodes[machine->node].witness)
        return MACHINE_NONE;
    return machine_whole(machine, group) ? MACHINE_WHOLE : MACHINE_PARTIAL;
}

static void fetch(struct machine *machine, uint32_t group, uint64_t source, uint64_t index)
{
    fetch_start(machine_of(machine), group, (unsigned)source - 1, index);
}

static void fetch_end(struct machine *machine, uint32_t group)
{
    fetch_stop(machine_of(machine), group);
}

static void forget(struct machine *machine, uint32_t group)
{
    machine_forget(machine_of(machine), group);
}

static const struct machine_ops machine_ops = {
    .lane_of = lane_of,
    .apply = apply,
    .release = release,
    .applied = applied_index,
    .durable = durable_index,
    .state = state,
    .fetch = fetch,
    .fetch_stop = fetch_end,
    .forget = forget,
};

void machine_init(struct machine_sim *machine, struct world *world, unsigned node)
{
    *machine = (struct machine_sim){.interface = {&machine_ops}, .world = world, .node = node};
    for (unsigned i = 0; i < MACHINE_LANES; i++)
        CHECK(db_open(NULL, 0, &machine->lanes[i].db) == ERR_OK);
}

void machine_fini(struct machine_sim *machine)
{
    for (unsigned i = 0; i < MACHINE_LANES; i++)
        db_close(&machine->lanes[i].db);
}

/* The power goes: the last transaction of a lane may go with it. What comes back is durable
 * then, since a machine that starts writes it out first. */
void machine_crash(struct machine_sim *machine)
{
    machine_copies_end(machine->world, machine->node);
    for (unsigned i = 0; i < MACHINE_LANES; i++) {
        db_memory_crash(machine->lanes[i].db, sim_below(machine->world, 2) == 0);
        machine->lanes[i].sync_pending = false;
    }
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        struct machine_group *group = &machine->groups[i];
        struct db_txn *txn = db_read_begin(machine_lane(machine, i));
        uint64_t index = machine_applied(txn, mail_group_number(i));
        if (group->partial != machine_partial_read(machine, i))
            sim_fail(machine->world, "node %u: group %u was %s when the power went",
                     machine->node + 1, i, group->partial ? "partial" : "whole");
        /* Half a copy is of no index: the next one may be from a node that is behind. */
        if (!group->partial && index < group->durable)
            sim_fail(machine->world, "node %u called %llu of group %u durable, %llu is there",
                     machine->node + 1, (unsigned long long)group->durable, i,
                     (unsigned long long)index);
        group->committed = group->durable = group->applied = index;
        db_abort(&txn);
    }
    machine->lives++;
}

uint64_t machine_applied_index(const struct machine_sim *machine, unsigned group)
{
    return machine->groups[group].applied;
}

bool machine_whole(const struct machine_sim *machine, unsigned group)
{
    return !machine->groups[group].partial && !machine->world->nodes[machine->node].witness;
}

bool machine_holds(const struct machine_sim *machine, unsigned group, uint64_t index)
{
    return machine_whole(machine, group) && machine->groups[group].durable >= index;
}
