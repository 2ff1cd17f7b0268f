/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes with the whole service: how they start, and what a death leaves. */
#include <stdlib.h>

#include "storage/service/endpoints.h"
#include "storage/service/sessions.h"
#include "storage/service/watch.h"
#include "tests/sim/db_memory.h"
#include "tests/sim/service.h"

static char *address(struct arena *arena, unsigned node, unsigned port)
{
    return arena_printf(arena, "10.0.0.%u:%u", node + 1, port);
}

static Pr__NodeRecord *record_make(struct arena *arena, const struct node *node)
{
    Pr__NodeRecord *record = arena_alloc(arena, sizeof(*record));

    pr__node_record__init(record);
    record->id = node->number + 1;
    record->name = arena_printf(arena, "node%u", node->number + 1);
    record->data_center = arena_printf(arena, "dc%u", node->site);
    record->raft_address = address(arena, node->number, 7101);
    record->rpc_address = address(arena, node->number, 7102);
    record->join_address = address(arena, node->number, 7103);
    return record;
}

/* As `cluster init` or `cluster join` have left it: others are known as they were then. */
static Pr__Identity *identity_make(struct arena *arena, const struct node *node)
{
    Pr__Identity *identity = arena_alloc(arena, sizeof(*identity));
    struct world *world = node->world;

    pr__identity__init(identity);
    identity->cluster_id = arena_printf(arena, "%032u", 1);
    identity->node_id = node->number + 1;
    identity->n_nodes = node->number + 1;
    identity->nodes = arena_alloc(arena, identity->n_nodes * sizeof(*identity->nodes));
    for (unsigned i = 0; i <= node->number; i++)
        identity->nodes[i] = record_make(arena, &world->nodes[i]);
    identity->node_name = identity->nodes[node->number]->name;
    identity->data_center = identity->nodes[node->number]->data_center;
    return identity;
}

static void config_fill(struct config *config, struct arena *arena, const struct node *node)
{
    const struct plan_of_seed *plan = &node->world->plan;

    *config = (struct config){
        .folder = "/nonexistent/sim",
        .run = arena_printf(arena, "node%u", node->number + 1),
        .hostname = "mail.test",
        .cluster_raft = address(arena, node->number, 7101),
        .cluster_rpc = address(arena, node->number, 7102),
        .cluster_join = "",
        .user_smtp = "",
        .user_imap = "",
        .user_relay = "",
        .user_operator = "",
        .durability_cross_dc = plan->cross_dc,
        .durability_grace_s = 2,
        .log_retain_bytes = plan->trim ? 24 * 1024 : (uint64_t)1 << 40,
        .log_hold_bytes = plan->tight ? 36 * 1024 : (uint64_t)1 << 40,
        .transfer_rate_mb = 1000,
        .election_ms = ELECTION_MS,
        .heartbeat_ms = BEAT_MS,
    };
}

static enum err service_begin(struct node *node, struct service_life *life)
{
    struct service *service = &life->service;
    struct replicator_status status;

    arena_init(&life->process.arena);
    config_fill(&life->process.config, &life->process.arena, node);
    life->process.loop = life->loop;
    service->process = &life->process;
    service->loop = life->loop;
    service->config = &life->process.config;
    arena_init(&service->identity_arena);
    service->identity = identity_make(&service->identity_arena, node);
    service->sessions = sessions_new();
    service->watches = watches_new();
    enum err err = service_start_cluster(service);
    if (err == ERR_OK && node->number > 0 &&
        !replicator_status(service->replicator, DIRECTORY_GROUP, &status))
        err = replicator_group_join(service->replicator, DIRECTORY_GROUP);
    for (unsigned role = 0; role < ROLE_COUNT && err == ERR_OK; role++)
        err = endpoint_open(service, role);
    return err;
}

void node_start(struct node *node)
{
    struct world *world = node->world;
    struct service_life *life = calloc(1, sizeof(*life));

    CHECK(life != NULL && world->service->lives[node->number] == NULL);
    world->current = node->number;
    node->up = true;
    node->dying = false;
    node->failed = false;
    node->fuse = 0;
    node->turn_pending = false;
    node->life++;
    life->loop = loop_sim_new(world, node->number, node->life);
    world->service->lives[node->number] = life;
    enum err err = service_begin(node, life);
    if (err != ERR_OK)
        sim_fail(world, "node %u does not start: %s", node->number + 1, err_text(err));
    net_node_up(world, node->number);
    node_turns(node);
}

/* Its memory is freed as a clean stop frees it: nothing that is done meanwhile gets out of it,
 * and its tables are put back to what they were. */
static void life_end(struct node *node)
{
    struct world *world = node->world;
    struct service_life *life = world->service->lives[node->number];
    struct machine_sim *machine = &node->machine;
    struct db_memory_point *points[MACHINE_LANES];

    world->current = node->number;
    for (unsigned i = 0; i < MACHINE_LANES; i++)
        points[i] = db_memory_survivor(machine->lanes[i].db, sim_below(world, 2) == 0);
    uint64_t random = world->random;
    uint64_t hash = world->hash;
    loop_sim_drain(life->loop);
    /* What asked other nodes hears that there is none, and ends from the loop. */
    for (unsigned i = 0; i < life->service.node_count; i++)
        rpc_client_free(&life->service.nodes[i]->rpc);
    loop_sim_drain(life->loop);
    service_close(&life->service);
    loop_free(&life->loop);
    arena_fini(&life->process.arena);
    free(life);
    world->service->lives[node->number] = NULL;
    world->random = random;
    world->hash = hash;
    for (unsigned i = 0; i < MACHINE_LANES; i++)
        db_memory_survive(machine->lanes[i].db, &points[i]);
    machine->lives++;
}

void node_crash(struct node *node)
{
    struct world *world = node->world;

    if (!node->up)
        return;
    world->stats->crashes++;
    if (world->verbose)
        printf("t=%llu node %u ends%s\n", (unsigned long long)world->now_ms, node->number + 1,
               node->failed ? ": its disk failed" : "");
    node_leaders_note(node);
    node->up = false;
    node->life++;
    node->paused_ms = 0;
    disk_crash(&node->disk);
    life_end(node);
    net_node_down(world, node->number);
    memset(node->led_term, 0, sizeof(node->led_term));
    if (sim_below(world, 2) == 0)
        front_crash(world, node->number);
}

void nodes_setup(struct world *world)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[i];
        node->world = world;
        node->number = i;
        node->life = 1;
        node->transport.ops = &net_ops;
        node->site = 1 + i / 2;
        disk_init(&node->disk, world, i);
        machine_init(&node->machine, world, i);
    }
}

void nodes_teardown(struct world *world)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[i];
        if (node->up) {
            node->up = false;
            life_end(node);
        }
        disk_fini(&node->disk);
        machine_fini(&node->machine);
    }
}
