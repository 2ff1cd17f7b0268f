/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/relay.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/internal.h"

enum { IDLE_NEVER_MS = 24 * 3600 * 1000 /* a connection's time is kept by its engine */ };

uint64_t relay_hash(const struct relay *relay, struct bytes what)
{
    uint64_t hash;

    _Static_assert(sizeof(relay->hash_key) == crypto_shorthash_KEYBYTES, "the key's size");
    _Static_assert(sizeof(hash) == crypto_shorthash_BYTES, "the hash's size");
    crypto_shorthash((uint8_t *)&hash, what.at, what.len, relay->hash_key);
    return hash;
}

bool relay_has_room(const struct relay *relay)
{
    return !relay->stopping &&
           relay->job_count + relay->reading_count * RELAY_FETCH < RELAY_JOBS_MAX;
}

bool relay_is_crowded(const struct relay *relay)
{
    return relay->job_count + relay->reading_count * RELAY_FETCH >= RELAY_JOBS_MAX / 2;
}

bool relay_lacks_connections(const struct relay *relay)
{
    return relay->connection_count >= relay->config.connections_max &&
           !list_is_empty(&relay->waiting);
}

/* ---- time ---- */

static void stop_step(struct relay *relay)
{
    bool done = relay->job_count + relay->connection_count + relay->notice_count == 0;

    if (!done && clock_monotonic_ms() < relay->stop_by_ms)
        return;
    if (!done && !relay->ending) {
        relay->ending = true;
        relay->stop_by_ms = clock_monotonic_ms() + RELAY_CUT_MS;
        sites_cut(relay);
        return;
    }
    if (relay->stopped != NULL) {
        void (*stopped)(void *context) = relay->stopped;
        relay->stopped = NULL;
        stopped(relay->stopped_context);
    }
}

static void on_turn(void *context)
{
    struct relay *relay = context;

    groups_flush(relay);
    if (relay->stopping)
        stop_step(relay);
}

static void on_tick(void *context)
{
    struct relay *relay = context;

    groups_tick(relay);
    sites_tick(relay);
    tls_memory_sweep(relay);
    if (relay->stopping)
        stop_step(relay);
}

/* ---- life ---- */

struct relay *relay_new(const struct relay_config *config)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    struct routes_config routes = config->routes;

    CHECK(relay != NULL);
    relay->config = *config;
    relay->loop = config->loop;
    relay->store = config->store;
    relay->conn_limits = conn_limits_default;
    relay->conn_limits.idle_ms = IDLE_NEVER_MS;
    store_random(relay->hash_key, sizeof(relay->hash_key));
    store_random(&routes.seed, sizeof(routes.seed));
    routes.loop = config->loop;
    relay->routes = routes_new(&routes);
    map_init(&relay->groups);
    map_init(&relay->lanes);
    map_init(&relay->jobs);
    map_init(&relay->sites);
    list_init(&relay->waiting);
    map_init(&relay->broken_tls);
    relay->turn = loop_on_turn(relay->loop, on_turn, relay);
    relay->tick = loop_timer_start(relay->loop, RELAY_TICK_MS, RELAY_TICK_MS, on_tick, relay);
    groups_start(relay);
    return relay;
}

void relay_stop(struct relay *relay, void (*stopped)(void *context), void *context)
{
    relay->stopping = true;
    relay->stop_by_ms = clock_monotonic_ms() + RELAY_STOP_MS;
    relay->stopped = stopped;
    relay->stopped_context = context;
    groups_stop(relay);
    sites_stop(relay);
    loop_wake(relay->loop);
}

void relay_free(struct relay **relay)
{
    struct relay *ending = *relay;

    if (ending == NULL)
        return;
    *relay = NULL;
    ending->stopping = true;
    ending->ending = true;
    loop_timer_stop(&ending->tick);
    loop_hook_remove(&ending->turn);
    /* Connections to hosts that do not let go end with the loop, and look here. */
    if (ending->connection_count > 0)
        return;
    jobs_free(ending);
    lanes_free(ending);
    sites_free(ending);
    routes_free(&ending->routes);
    tls_memory_free(ending);
    map_fini(&ending->groups);
    map_fini(&ending->lanes);
    map_fini(&ending->jobs);
    map_fini(&ending->sites);
    free(ending);
}
