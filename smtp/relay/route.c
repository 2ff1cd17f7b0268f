/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/route.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/route_internal.h"

/* ---- those who wait ---- */

/* done() may ask again, or cancel others. */
static void on_ready(void *context)
{
    struct routes *routes = context;
    struct list due, *node;

    routes->ready_timer = NULL; /* it fires once */
    /* Those who come meanwhile have their turn next time. */
    list_init(&due);
    while ((node = list_take(&routes->ready)) != NULL)
        list_append(&due, node);
    while ((node = list_take(&due)) != NULL) {
        struct route_waiter *waiter = LIST_ENTRY(node, struct route_waiter, node);
        map_remove(&routes->tickets, waiter->ticket);
        waiter->done(waiter->context, waiter->route);
        route_release(&waiter->route);
        free(waiter);
    }
}

static void make_ready(struct routes *routes, struct route_waiter *waiter,
                       const struct route *route)
{
    waiter->route = route_hold(route);
    list_append(&routes->ready, &waiter->node);
    if (routes->ready_timer == NULL)
        routes->ready_timer = loop_timer_start(routes->config.loop, 0, 0, on_ready, routes);
}

void route_waiters_tell(struct routes *routes, struct list *waiters, const struct route *route)
{
    struct list *node;

    while ((node = list_take(waiters)) != NULL)
        make_ready(routes, LIST_ENTRY(node, struct route_waiter, node), route);
}

uint64_t route_find(struct routes *routes, const char *domain,
                    void (*done)(void *context, const struct route *route), void *context)
{
    struct route_waiter *waiter = calloc(1, sizeof(*waiter));
    char normal[ROUTE_DOMAIN_SIZE];

    CHECK(waiter != NULL);
    *waiter = (struct route_waiter){
        .ticket = ++routes->last_ticket, .done = done, .context = context};
    list_init(&waiter->node);
    map_put(&routes->tickets, waiter->ticket, waiter);
    uint64_t ticket = waiter->ticket;
    route_domain_normal(domain, normal);
    struct route_entry *entry = route_entry_get(routes, normal);
    if (entry->route != NULL) {
        make_ready(routes, waiter, entry->route);
    } else if (entry->lookup != NULL) {
        list_append(&entry->lookup->waiters, &waiter->node);
    } else {
        route_lookup_start(routes, entry);
        list_append(&entry->lookup->waiters, &waiter->node);
        route_lookup_go(entry->lookup);
    }
    return ticket;
}

/* A look-up goes on without waiters: somebody will ask again soon. */
void route_cancel(struct routes *routes, uint64_t ticket)
{
    struct route_waiter *waiter = map_remove(&routes->tickets, ticket);

    if (waiter == NULL)
        return;
    list_remove(&waiter->node);
    route_release(&waiter->route);
    free(waiter);
}

/* ---- the whole ---- */

static const char *keep_text(struct routes *routes, const char *text)
{
    return arena_string(&routes->arena, bytes_of(text));
}

static void *keep_array(struct routes *routes, const void *from, size_t size)
{
    void *to = arena_alloc(&routes->arena, size);

    if (size > 0)
        memcpy(to, from, size);
    return to;
}

static void keep_names(struct routes *routes)
{
    struct routes_config *config = &routes->config;
    const char **names = arena_alloc(&routes->arena, config->own_name_count * sizeof(*names));
    char normal[ROUTE_DOMAIN_SIZE];

    for (unsigned i = 0; i < config->own_name_count; i++) {
        route_domain_normal(config->own_names[i], normal);
        names[i] = keep_text(routes, normal);
    }
    config->own_names = names;
}

static void keep_rules(struct routes *routes)
{
    struct routes_config *config = &routes->config;
    struct route_rule *rules =
        keep_array(routes, config->rules, config->rule_count * sizeof(*rules));

    for (unsigned i = 0; i < config->rule_count; i++) {
        rules[i].pattern = keep_text(routes, rules[i].pattern);
        rules[i].host = keep_text(routes, rules[i].host);
    }
    config->rules = rules;
}

static void keep_providers(struct routes *routes)
{
    struct routes_config *config = &routes->config;

    if (config->providers == NULL) {
        config->providers = route_providers;
        config->provider_count = route_provider_count;
        return;
    }
    struct route_provider *providers =
        keep_array(routes, config->providers, config->provider_count * sizeof(*providers));
    for (unsigned i = 0; i < config->provider_count; i++) {
        providers[i].name = keep_text(routes, providers[i].name);
        providers[i].suffixes = keep_text(routes, providers[i].suffixes);
    }
    config->providers = providers;
}

static void keep_config(struct routes *routes)
{
    struct routes_config *config = &routes->config;

    config->own_addresses =
        keep_array(routes, config->own_addresses,
                   config->own_address_count * sizeof(*config->own_addresses));
    config->allowed =
        keep_array(routes, config->allowed, config->allowed_count * sizeof(*config->allowed));
    keep_names(routes);
    keep_rules(routes);
    keep_providers(routes);
    if (config->port == 0)
        config->port = ROUTE_PORT_DEFAULT;
    if (config->entries_max == 0)
        config->entries_max = ROUTE_CACHE_ENTRIES;
    if (config->queries_max == 0)
        config->queries_max = ROUTE_QUERIES_MAX;
}

struct routes *routes_new(const struct routes_config *config)
{
    struct routes *routes = calloc(1, sizeof(*routes));

    CHECK(routes != NULL);
    routes->config = *config;
    routes->random = config->seed;
    arena_init(&routes->arena);
    map_init(&routes->entries);
    map_init(&routes->tickets);
    list_init(&routes->used);
    list_init(&routes->lookups);
    list_init(&routes->waiting);
    list_init(&routes->ready);
    keep_config(routes);
    return routes;
}

void routes_free(struct routes **pointer)
{
    struct routes *routes = *pointer;
    uint64_t ticket;
    struct list *node;
    void *waiter;

    if (routes == NULL)
        return;
    *pointer = NULL;
    loop_timer_stop(&routes->ready_timer);
    for (size_t at = 0; map_next(&routes->tickets, &at, &ticket, &waiter);)
        route_cancel(routes, ticket);
    while ((node = list_first(&routes->lookups)) != NULL) {
        struct route_entry *entry = LIST_ENTRY(node, struct route_lookup, node)->entry;
        route_lookup_free(entry->lookup);
        route_entry_free(routes, entry);
    }
    while ((node = list_first(&routes->used)) != NULL)
        route_entry_free(routes, LIST_ENTRY(node, struct route_entry, used_node));
    map_fini(&routes->entries);
    map_fini(&routes->tickets);
    arena_fini(&routes->arena);
    free(routes);
}
