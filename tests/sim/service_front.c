/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front ends' side of a store's sockets: they outlive the store, but not its machine. */
#include <stdlib.h>

#include "storage/schema/entry.h"
#include "tests/sim/service.h"

enum { BEHIND_MS = 8000 }; /* what a front end waits longer than it says that the store may */

static const char *const names[ROLE_COUNT] = {"smtp", "imap", "relay", "operator"};

struct asked {
    front_done *done;
    void *context;
};

static void front_open(struct world *world, unsigned node, unsigned role)
{
    char url[64];
    struct rpc_client_config config = {.url = url};

    snprintf(url, sizeof(url), "ipc://node%u/store-%s.sock", node + 1, names[role]);
    world->current = node;
    CHECK(rpc_client_new(world->service->outside[node], &config,
                         &world->service->fronts[node][role]) == ERR_OK);
}

void fronts_open(struct world *world)
{
    for (unsigned node = 0; node < world->plan.nodes; node++) {
        world->service->outside[node] = loop_sim_new(world, node, 0);
        for (unsigned role = 0; role < ROLE_COUNT; role++)
            front_open(world, node, role);
    }
}

void fronts_close(struct world *world)
{
    for (unsigned node = 0; node < world->plan.nodes; node++) {
        for (unsigned role = 0; role < ROLE_COUNT; role++)
            rpc_client_free(&world->service->fronts[node][role]);
        loop_free(&world->service->outside[node]);
    }
}

void front_crash(struct world *world, unsigned node)
{
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        rpc_client_free(&world->service->fronts[node][role]);
        front_open(world, node, role);
    }
}

static void on_answer(void *context, enum err err, struct bytes packed)
{
    struct asked asked = *(struct asked *)context;
    struct arena arena;
    Pr__Reply *reply = NULL;

    free(context);
    arena_init(&arena);
    if (err == ERR_OK) {
        ProtobufCAllocator allocator = arena_allocator(&arena);
        reply = pr__reply__unpack(&allocator, packed.len, packed.at);
        CHECK(reply != NULL);
    }
    asked.done(asked.context, reply);
    arena_fini(&arena);
}

void front_call(struct world *world, unsigned node, enum service_role role,
                const Pr__Request *request, front_done *done, void *context)
{
    struct rpc_client *client = world->service->fronts[node][role];
    struct asked *asked = malloc(sizeof(*asked));
    struct buffer packed = BUFFER_EMPTY;

    CHECK(asked != NULL && client != NULL);
    *asked = (struct asked){done, context};
    message_pack(&request->base, &packed);
    world->stats->calls++;
    rpc_call(client, buffer_bytes(&packed), request->deadline_ms + BEHIND_MS, on_answer, asked);
    buffer_fini(&packed);
}

unsigned front_node(struct world *world)
{
    unsigned start = (unsigned)sim_below(world, world->plan.nodes);

    for (unsigned i = 0; i < world->plan.nodes; i++) {
        unsigned node = (start + i) % world->plan.nodes;
        if (world->service->member[node] && world->nodes[node].up)
            return node;
    }
    return start;
}
