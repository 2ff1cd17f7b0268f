/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/client/guard.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/address.h"

struct guard {
    struct firewall *firewall;
    const struct firewall_key *key;
    struct firewall_conn conn;
    struct firewall_verdict opened;
    struct loop *loop;
    struct loop_timer *timer;
    void (*done)(void *context);
    void *context;
};

static const struct firewall_verdict pass = {.action = FIREWALL_PASS};

/* A program of this machine. Whoever puts a proxy here tells us by its header whom it serves.
 */
static bool is_loopback(const struct address *address)
{
    static const struct address_prefix nets[] = {
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127}}, 104},
        {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 128},
    };

    return address_in(address, &nets[0]) || address_in(address, &nets[1]);
}

struct guard *guard_new(const struct guard_config *config)
{
    struct address address;

    if (config->link == NULL || !address_parse(bytes_of(config->peer), &address) ||
        is_loopback(&address))
        return NULL;
    struct guard *guard = calloc(1, sizeof(*guard));
    CHECK(guard != NULL);
    guard->firewall = firewall_link_firewall(config->link);
    guard->key = firewall_link_key(config->link);
    guard->loop = config->loop;
    const struct firewall_address peer = firewall_address_from(address.bytes);
    guard->opened = firewall_opened(guard->firewall, &guard->conn, &peer, config->service,
                                    firewall_link_now());
    return guard;
}

void guard_free(struct guard **guard)
{
    if (*guard == NULL)
        return;
    loop_timer_stop(&(*guard)->timer);
    firewall_closed((*guard)->firewall, &(*guard)->conn);
    free(*guard);
    *guard = NULL;
}

struct firewall_verdict guard_opened(const struct guard *guard)
{
    return guard != NULL ? guard->opened : pass;
}

bool guard_knows(struct guard *guard)
{
    return guard == NULL || firewall_conn_has_credit(guard->firewall, &guard->conn);
}

struct firewall_verdict guard_tell(struct guard *guard, enum firewall_event event,
                                   uint64_t account, uint32_t secret)
{
    if (guard == NULL)
        return pass;
    return firewall_happened(guard->firewall, &guard->conn, event, account, secret, 1,
                             firewall_link_now());
}

struct firewall_verdict guard_may_log_in(struct guard *guard)
{
    if (guard == NULL)
        return pass;
    struct firewall_verdict verdict =
        firewall_may_log_in(guard->firewall, &guard->conn, 0, firewall_link_now());
    if (verdict.action != FIREWALL_DELAY)
        return verdict;
    firewall_resumed(guard->firewall, &guard->conn); /* the answer is what waits */
    return pass;
}

uint64_t guard_account(const struct guard *guard, struct bytes address)
{
    return guard != NULL ? firewall_account_digest(guard->key, address) : 0;
}

static void on_delay_over(void *context)
{
    struct guard *guard = context;
    void (*done)(void *context) = guard->done;

    guard->timer = NULL;
    firewall_resumed(guard->firewall, &guard->conn);
    done(guard->context);
}

void guard_delay(struct guard *guard, uint32_t delay_ms, void (*done)(void *context),
                 void *context)
{
    if (guard->timer != NULL) {
        done(context);
        return;
    }
    guard->done = done;
    guard->context = context;
    guard->timer = loop_timer_start(guard->loop, delay_ms, 0, on_delay_over, guard);
}
