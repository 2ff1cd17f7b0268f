/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What storage/service/replication.c and storage/machine/applier.c tie together with threads
 * and LMDB, over the simulator's log, links and tables. A batch takes a while and is one
 * transaction of its lane.
 */
#include <stdlib.h>

#include "storage/machine/local.h"
#include "storage/service/relay_duties.h"
#include "storage/service/state_fetch.h"
#include "storage/service/write.h"
#include "tests/sim/service.h"
#include "tests/sim/service_bugs.h"

enum { BATCH_MS = 6, DIGEST_EVERY = 64, FAILING_PERMILLE = 1, TURN_MS = 10 };

/* batch->memory */
struct batch_memory {
    struct arena arena;
    struct machine_events events;
};

struct replication {
    struct world *world;
    struct node *node;
    struct replicator_clock clock;
};

struct application {
    struct machine_batch *batch;
};

static struct machine_sim *machine_of(struct machine *machine)
{
    return (struct machine_sim *)machine;
}

struct db *service_lane(const struct world *world, unsigned node, unsigned group)
{
    return world->nodes[node].machine.lanes[group % MACHINE_LANES].db;
}

uint64_t service_applied(const struct world *world, unsigned node, unsigned group)
{
    return world->nodes[node].machine.groups[group].applied;
}

static uint64_t hash_of(struct bytes bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.at[i]) * 0x100000001b3u;
    return hash ^ hash >> 31;
}

/* ---- the machine ---- */

static void command_carry_out(struct machine_sim *machine, struct db_txn *txn,
                              struct machine_command *command, struct batch_memory *memory)
{
    struct world *world = machine->world;
    struct service_bug bug;
    struct truth_record record = {
        .index = command->index,
        .term = command->term,
    };

    if (command->index != machine_applied(txn, command->group) + 1)
        sim_fail(world, "node %u applies %llu of group %u after %llu", machine->node + 1,
                 (unsigned long long)command->index, command->group,
                 (unsigned long long)machine_applied(txn, command->group));
    service_bug_before(world, txn, command, &memory->arena, &bug);
    machine_apply(txn, command->group, command->index, command->term, command->command,
                  &memory->arena, &command->reply, &memory->events);
    service_bug_after(world, txn, command, &memory->arena, &bug);
    if (db_error(txn) != ERR_OK)
        sim_fail(world, "node %u cannot apply %llu of group %u: %s", machine->node + 1,
                 (unsigned long long)command->index, command->group, err_text(db_error(txn)));
    bool first = command->index > world->truths[command->group].count;
    /* What nobody else may have said at this place in the log. */
    record.reply = hash_of(command->command) * 31 ^ hash_of(command->reply);
    check_applied(world, machine->node, command->group, record);
    if (first && command->command.len > 0)
        service_applied_first(world, txn, command->group, command->command, command->reply);
    if (command->index % DIGEST_EVERY == 0 && world->failure[0] == '\0') {
        uint64_t digest[4];
        machine_digest(txn, command->group, (uint8_t *)digest);
        check_digest(world, machine->node, command->group, command->index, digest[0]);
    }
}

/* What the lane committed before is durable now. */
static void lane_durable(struct machine_sim *machine, unsigned lane)
{
    for (unsigned i = lane; i < GROUPS_MAX; i += MACHINE_LANES)
        machine->groups[i].durable = machine->groups[i].committed;
}

static void batch_carry_out(struct machine_sim *machine, struct machine_batch *batch)
{
    struct batch_memory *memory = calloc(1, sizeof(*memory));
    struct db_txn *txn = db_write_begin(machine->lanes[batch->lane].db);

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

static void applied(struct world *world, struct event *event)
{
    struct application *application = event->data;
    struct node *node = &world->nodes[event->node];
    struct machine_batch *batch = application->batch;
    struct service *service = &world->service->lives[event->node]->service;

    if (node->dying || node->failed)
        return;
    if (world->plan.failing && !world->calm && sim_chance(world, FAILING_PERMILLE)) {
        world->stats->state_errors++;
        node->failed = true;
        node_wake(node);
        return;
    }
    batch_carry_out(&node->machine, batch);
    for (unsigned i = batch->lane; i < GROUPS_MAX; i += MACHINE_LANES)
        node->machine.groups[i].applied = node->machine.groups[i].committed;
    if (world->failure[0] != '\0')
        return;
    const struct machine_events *events = &((struct batch_memory *)batch->memory)->events;
    service_events(service, events);
    if (events->queue_due)
        relay_duties_applied(service->relay_duties, batch);
    replicator_batch_applied(node->replicator, batch);
    node_wake(node);
}

static unsigned lane_of(struct machine *machine, uint32_t group)
{
    (void)machine;
    return group % MACHINE_LANES;
}

static void apply(struct machine *interface, struct machine_batch *batch)
{
    struct machine_sim *machine = machine_of(interface);
    struct world *world = machine->world;
    struct application *application = malloc(sizeof(*application));

    CHECK(application != NULL);
    *application = (struct application){.batch = batch};
    sim_at(world, (struct event){.at_ms = world->now_ms + sim_below(world, BATCH_MS),
                                 .run = applied,
                                 .node = machine->node,
                                 .life = world->nodes[machine->node].life,
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

static enum machine_state state(struct machine *machine, uint32_t group)
{
    return machine_of(machine)->groups[group].partial ? MACHINE_PARTIAL : MACHINE_WHOLE;
}

static struct service *service_of(struct machine *machine)
{
    const struct machine_sim *sim = machine_of(machine);

    return &sim->world->service->lives[sim->node]->service;
}

static void fetch(struct machine *machine, uint32_t group, uint64_t source, uint64_t index)
{
    state_fetch_start(service_of(machine), group, source, index);
}

static void fetch_stop_soon(struct machine *machine, uint32_t group)
{
    state_fetch_stop(service_of(machine), group);
}

static void forget(struct machine *machine, uint32_t group)
{
    state_forget_start(service_of(machine), group);
}

static const struct machine_ops machine_ops = {
    .lane_of = lane_of,
    .apply = apply,
    .release = release,
    .applied = applied_index,
    .durable = durable_index,
    .state = state,
    .fetch = fetch,
    .fetch_stop = fetch_stop_soon,
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

/* At the start: what the tables say. */
static void machine_read(struct machine_sim *machine)
{
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        struct machine_group *group = &machine->groups[i];
        struct db_txn *txn = db_read_begin(machine->lanes[i % MACHINE_LANES].db);
        group->partial = local_partial(txn, i, NULL);
        group->committed = group->partial ? 0 : machine_applied(txn, i);
        group->applied = group->durable = group->committed;
        db_abort(&txn);
    }
}

/* ---- storage/service/replication.c ---- */

enum machine_state service_state(const struct service *service, uint32_t group)
{
    return state(&service->replication->node->machine.interface, group);
}

void replication_partial(struct service *service, uint32_t group)
{
    service->replication->node->machine.groups[group].partial = true;
    loop_wake(service->loop);
}

void replication_forgotten(struct service *service, uint32_t group)
{
    struct machine_group *state = &service->replication->node->machine.groups[group];

    state->committed = state->applied = state->durable = 0;
    state->partial = false;
    replicator_state_forgotten(service->replicator, group);
    loop_wake(service->loop);
}

void replication_fetched(struct service *service, uint32_t group, enum err err, uint64_t index)
{
    struct machine_group *state = &service->replication->node->machine.groups[group];

    if (err == ERR_OK) {
        service->replication->world->stats->fetched++;
        state->committed = state->applied = state->durable = index;
        state->partial = false;
    }
    replicator_state_fetched(service->replicator, group, err, index);
    if (err == ERR_OK)
        service_state_replaced(service, group);
    loop_wake(service->loop);
}

_Noreturn void replication_disk_failed(const char *what, enum err err)
{
    fprintf(stderr, "sim: %s: %s\n", what, err_text(err));
    abort();
}

static uint64_t now_ms(void *context)
{
    const struct replication *replication = context;

    return node_monotonic_ms(replication->world, replication->node->number);
}

static unsigned site_of(void *context, uint64_t node_id)
{
    const struct service_node *node = service_node(context, node_id);

    return node != NULL ? node->site : 0;
}

static void on_changed(void *context, uint32_t group)
{
    writes_leader_changed(context, group);
}

enum err replication_open(struct service *service)
{
    struct replication *replication = calloc(1, sizeof(*replication));
    struct world *world = loop_world(service->loop);
    struct node *node = &world->nodes[loop_node(service->loop)];

    CHECK(replication != NULL);
    service->replication = replication;
    *replication = (struct replication){.world = world, .node = node};
    replication->clock = (struct replicator_clock){now_ms, replication};
    service->lane_count = MACHINE_LANES;
    for (unsigned i = 0; i < MACHINE_LANES; i++)
        service->lanes[i] = node->machine.lanes[i].db;
    machine_read(&node->machine);
    struct replicator_config config = {
        .node_id = node->number + 1,
        .seed = sim_random(world),
        .election_timeout_ms = service->config->election_ms,
        .heartbeat_ms = service->config->heartbeat_ms,
        .grace_ms = service->config->durability_grace_s * 1000,
        .cross_dc = service->config->durability_cross_dc,
        .log_retain_bytes = service->config->log_retain_bytes,
        .log_hold_bytes = service->config->log_hold_bytes,
        .log_hold_ms = world->plan.tight ? 3000 : 3600 * 1000,
        .clock = &replication->clock,
        .log = &node->disk.interface,
        .transport = &node->transport,
        .machine = &node->machine.interface,
        .site_of = site_of,
        .changed = on_changed,
        .context = service,
    };
    enum err err = replicator_new(&config, &service->replicator);
    node->replicator = service->replicator;
    return err;
}

/* Links are there for all nodes; who is not yet a node does not speak. */
void replication_peer(struct service *service, uint64_t node_id, const char *address)
{
    (void)service;
    (void)node_id;
    (void)address;
}

void replication_peer_remove(struct service *service, uint64_t node_id)
{
    (void)service;
    (void)node_id;
}

void replication_hand_over(struct service *service, void (*done)(void *context), void *context)
{
    loop_post(service->loop, done, context);
}

void replication_close(struct service *service)
{
    if (service->replication == NULL)
        return;
    replicator_free(&service->replicator);
    service->replication->node->replicator = NULL;
    free(service->replication);
    service->replication = NULL;
}
