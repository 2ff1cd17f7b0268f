/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/storage/service/write_world.h"

#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/service.h"

struct world world;

uint64_t clock_monotonic_ms(void)
{
    return world.now_ms;
}

uint64_t clock_wall_ms(void)
{
    return 1000000 + world.now_ms;
}

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    (void)loop;
    assert_false(world.timer.running);
    assert_int_equal(repeat_ms, 0);
    world.timer = (struct loop_timer){true, world.now_ms + delay_ms, fired, context};
    return &world.timer;
}

void loop_timer_stop(struct loop_timer **timer)
{
    if (*timer != NULL)
        (*timer)->running = false;
    *timer = NULL;
}

void timer_fires(void)
{
    assert_true(world.timer.running);
    world.now_ms = world.timer.at_ms;
    world.timer.running = false;
    world.timer.fired(world.timer.context);
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    assert_int_equal(group, GROUP);
    return world.leader;
}

void replicator_propose(struct replicator *replicator, uint32_t group, struct bytes command,
                        replicator_done *done, void *context)
{
    (void)replicator;
    assert_int_equal(group, GROUP);
    world.proposals++;
    buffer_clear(&world.proposed);
    buffer_add(&world.proposed, command);
    world.proposal_done = done;
    world.proposal_context = context;
}

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    (void)client;
    assert_true(deadline_ms > 0);
    Pr__PeerRequest *request = pr__peer_request__unpack(NULL, body.len, body.at);
    assert_int_equal(request->call_case, PR__PEER_REQUEST__CALL_PROPOSE);
    buffer_clear(&world.proposed);
    buffer_add(&world.proposed, bytes_of_field(request->propose->command));
    world.clock_id = request->propose->clock_id;
    world.expires_ms = request->propose->expires_ms;
    pr__peer_request__free_unpacked(request, NULL);
    world.call_done = done;
    world.call_context = context;
    return ++world.calls;
}

void rpc_cancel(struct rpc_client *client, uint64_t ticket)
{
    (void)client;
    world.cancelled = ticket;
}

bool rpc_client_connected(const struct rpc_client *client)
{
    return client != NULL;
}

uint64_t rpc_client_connects(const struct rpc_client *client)
{
    assert_non_null(client);
    return world.connects;
}

bool read_is_local(const struct service *service, uint32_t group)
{
    (void)service;
    (void)group;
    return true;
}

uint64_t service_self(const struct service *service)
{
    (void)service;
    return SELF;
}

static char rpc_memory;
static struct service_node other;

struct service_node *service_node(const struct service *service, uint64_t node_id)
{
    (void)service;
    other.rpc = (struct rpc_client *)(void *)&rpc_memory;
    return node_id == OTHER ? &other : NULL;
}

struct rpc_client *service_peer(const struct service *service, uint64_t node_id)
{
    struct service_node *node = service_node(service, node_id);
    return node != NULL ? node->rpc : NULL;
}

struct db_txn *service_directory_begin(struct service *service)
{
    (void)service;
    return NULL;
}

Pr__GroupRecord *directory_group(struct db_txn *txn, uint32_t group, struct arena *arena)
{
    (void)txn;
    (void)group;
    (void)arena;
    return NULL;
}

void db_abort(struct db_txn **txn)
{
    *txn = NULL;
}

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    (void)call;
    (void)err;
    (void)outcome;
    fail();
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    (void)call;
    (void)err;
    (void)text;
    fail();
}

void world_reset(void)
{
    buffer_fini(&world.proposed);
    memset(&world, 0, sizeof(world));
    memset(&other, 0, sizeof(other));
    world.now_ms = 1000;
}
