/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cluster comes into being: node 1 begins it, the others join, the placement brings replicas
 * to them, operators make accounts. */
#include <stdlib.h>

#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "tests/sim/people.h"
#include "tests/sim/service.h"

enum { STEP_MS = 100, WRITE_MS = 8000, VOTERS = 3 };

static struct service *first_service(struct world *world)
{
    return &world->service->lives[0]->service;
}

static void step_done(struct world *world, bool good)
{
    world->service->setup_waits = false;
    world->service->setup += good;
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    (void)index;
    /* It may have been done when nobody was told: then it is there, or its token is used up. */
    step_done(context, err == ERR_OK && (outcome->err == ERR_OK || outcome->err == ERR_EXISTS ||
                                         outcome->err == ERR_DENIED));
}

static void write_step(struct world *world, Pr__Command *command)
{
    world->current = 0;
    write_start(first_service(world), DIRECTORY_GROUP, command, clock_monotonic_ms() + WRITE_MS,
                on_written, world);
    node_wake(&world->nodes[0]);
}

static void node_join_fill(struct world *world, unsigned node, Pr__NodeJoin *join,
                           struct arena *arena)
{
    pr__node_join__init(join);
    join->name = arena_printf(arena, "node%u", node + 1);
    join->data_center = arena_printf(arena, "dc%u", world->nodes[node].site);
    join->raft_address = arena_printf(arena, "10.0.0.%u:7101", node + 1);
    join->rpc_address = arena_printf(arena, "10.0.0.%u:7102", node + 1);
    join->join_address = arena_printf(arena, "10.0.0.%u:7103", node + 1);
}

static void create(struct world *world, struct arena *arena)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ClusterCreate create = PR__CLUSTER_CREATE__INIT;
    Pr__NodeJoin node;

    node_join_fill(world, 0, &node, arena);
    create.cluster_id = arena_printf(arena, "%032u", 1);
    create.name = arena_string(arena, BYTES("sim"));
    create.authority = field_of_bytes(BYTES("authority"));
    create.authority_key = field_of_bytes(BYTES("key"));
    create.node = &node;
    create.mail_groups = SERVICE_MAIL_GROUPS;
    create.format = FORMAT_NEWEST;
    command.call_case = PR__COMMAND__CALL_CLUSTER_CREATE;
    command.cluster_create = &create;
    write_step(world, &command);
}

static const uint8_t token_hash[32] = {1};

static void token_add(struct world *world)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__TokenAdd token = PR__TOKEN_ADD__INIT;

    token.token_hash = field_of_bytes(bytes_from(token_hash, sizeof(token_hash)));
    token.expires_ms = node_wall_ms(world, 0) + 3600 * 1000;
    command.call_case = PR__COMMAND__CALL_TOKEN_ADD;
    command.token_add = &token;
    write_step(world, &command);
}

static void join(struct world *world, unsigned node, struct arena *arena)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__NodeJoin call;

    node_join_fill(world, node, &call, arena);
    call.token_hash = field_of_bytes(bytes_from(token_hash, sizeof(token_hash)));
    command.call_case = PR__COMMAND__CALL_NODE_JOIN;
    command.node_join = &call;
    write_step(world, &command);
}

static void on_called(void *context, const Pr__Reply *reply)
{
    struct world *world = context;

    if (world->verbose)
        printf("step %u: %s %s\n", world->service->setup,
               reply != NULL ? err_name((enum err)reply->err) : "no answer",
               reply != NULL ? reply->text : "");
    /* It may have been done when nobody was told. */
    step_done(world, reply != NULL && (reply->err == ERR_OK || reply->err == ERR_EXISTS));
}

static void call_step(struct world *world, Pr__Request *request)
{
    request->deadline_ms = WRITE_MS;
    front_call(world, 0, ROLE_OPERATOR, request, on_called, world);
}

static void tenant_add(struct world *world, struct arena *arena)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__TenantAdd tenant = PR__TENANT_ADD__INIT;

    tenant.name = arena_string(arena, BYTES("tenant"));
    request.call_case = PR__REQUEST__CALL_TENANT_ADD;
    request.tenant_add = &tenant;
    call_step(world, &request);
}

static void domain_add(struct world *world, struct arena *arena)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DomainAdd domain = PR__DOMAIN_ADD__INIT;

    domain.name = arena_string(arena, BYTES("example.test"));
    domain.tenant = arena_string(arena, BYTES("tenant"));
    request.call_case = PR__REQUEST__CALL_DOMAIN_ADD;
    request.domain_add = &domain;
    call_step(world, &request);
}

/* Of the account that the directory's leader makes by itself; until then it is refused, and
 * tried again. */
static void role_password(struct world *world, struct arena *arena)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountSetPassword set = PR__ACCOUNT_SET_PASSWORD__INIT;

    set.address = people_address(arena, 1);
    set.password = arena_string(arena, BYTES("secret words"));
    set.weak = true;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_SET_PASSWORD;
    request.account_set_password = &set;
    call_step(world, &request);
}

static void account_create(struct world *world, unsigned number, struct arena *arena)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountCreate account = PR__ACCOUNT_CREATE__INIT;

    if (number == 1) {
        role_password(world, arena);
        return;
    }
    account.address = people_address(arena, number);
    account.password = arena_string(arena, BYTES("secret words"));
    account.weak = true;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_CREATE;
    request.account_create = &account;
    call_step(world, &request);
}

/* Each group has its voters, and each node the directory. */
static bool stands(struct world *world)
{
    for (unsigned group = 0; group < GROUPS_MAX; group++) {
        unsigned voters = 0;
        for (unsigned i = 0; i < world->plan.nodes; i++) {
            struct replicator_status status;
            if (replicator_leader(world->nodes[i].replicator, group) != i + 1 ||
                !replicator_status(world->nodes[i].replicator, group, &status))
                continue;
            for (unsigned m = 0; m < status.member_count; m++)
                voters += status.members[m].role == REPLICATOR_VOTER;
        }
        if (voters < VOTERS)
            return false;
    }
    for (unsigned i = 0; i < world->plan.nodes; i++)
        if (world->service->lives[i]->service.node_count < world->plan.nodes)
            return false;
    return true;
}

/* The steps: cluster, for each further node a token and the node, then 3 of operators and an
 * account each. */
static void step(struct world *world, struct arena *arena)
{
    unsigned at = world->service->setup;
    unsigned joins = 1 + 2 * (world->plan.nodes - 1);

    world->service->setup_waits = true;
    if (at == 0) {
        create(world, arena);
    } else if (at < joins) {
        unsigned node = 1 + (at - 1) / 2;
        if (at % 2 == 1) {
            unsigned joined = node - 1;
            if (!world->service->member[joined]) {
                world->service->member[joined] = true;
                if (joined > 0)
                    node_start(&world->nodes[joined]);
            }
            token_add(world);
        } else {
            join(world, node, arena);
        }
    } else if (at == joins) {
        unsigned last = world->plan.nodes - 1;
        if (!world->service->member[last]) {
            world->service->member[last] = true;
            node_start(&world->nodes[last]);
        }
        step_done(world, stands(world));
    } else if (at == joins + 1) {
        tenant_add(world, arena);
    } else if (at == joins + 2) {
        domain_add(world, arena);
    } else {
        account_create(world, at - joins - 2, arena);
    }
}

static void go_on(struct world *world, struct event *event)
{
    unsigned last = 1 + 2 * (world->plan.nodes - 1) + 3 + ACCOUNTS;
    struct arena arena;

    (void)event;
    if (world->service->setup == last) {
        people_begin(world);
        return;
    }
    if (world->now_ms > SETUP_MS) {
        sim_fail(world, "SETUP: the cluster does not stand, step %u", world->service->setup);
        return;
    }
    arena_init(&arena);
    if (!world->service->setup_waits)
        step(world, &arena);
    arena_fini(&arena);
    sim_at(world, (struct event){.at_ms = world->now_ms + STEP_MS, .run = go_on});
}

static void bootstrapped(void *context, enum err err)
{
    struct world *world = context;

    if (err != ERR_OK && err != ERR_CLOSED)
        sim_fail(world, "bootstrap: %s", err_text(err));
}

void setup_begin(struct world *world)
{
    node_start(&world->nodes[0]);
    for (uint32_t group = 0; group < GROUPS_MAX && world->failure[0] == '\0'; group++)
        replicator_group_bootstrap(world->nodes[0].replicator, group, bootstrapped, world);
    sim_at(world, (struct event){.at_ms = world->now_ms + STEP_MS, .run = go_on});
}
