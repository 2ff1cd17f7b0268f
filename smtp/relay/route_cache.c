/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes that are kept, and domains that are being looked up. */
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/route_internal.h"

void route_domain_normal(const char *domain, char normal[ROUTE_DOMAIN_SIZE])
{
    size_t len = 0;

    for (; domain[len] != '\0' && len < ROUTE_DOMAIN_SIZE - 1; len++)
        normal[len] = (char)byte_lower((uint8_t)domain[len]);
    if (len > 0 && domain[len] == '\0' && normal[len - 1] == '.')
        len--;
    normal[len] = '\0';
}

/* Keyed, since strangers choose names. */
static uint64_t hash_of(const struct routes *routes, const char *domain)
{
    uint64_t hash = routes->config.seed;

    for (; *domain != '\0'; domain++) {
        hash = (hash ^ (uint8_t)*domain) * 0xd6e8feb86659fd93u;
        hash ^= hash >> 32;
    }
    return hash;
}

static struct route_entry *find(const struct routes *routes, uint64_t hash, const char *domain)
{
    struct route_entry *entry = map_get(&routes->entries, hash);

    while (entry != NULL && strcmp(entry->domain, domain) != 0)
        entry = entry->same_hash;
    return entry;
}

static struct route_entry *add(struct routes *routes, uint64_t hash, const char *domain)
{
    size_t len = strlen(domain);
    struct route_entry *entry = calloc(1, sizeof(*entry) + len + 1);

    CHECK(entry != NULL);
    entry->hash = hash;
    memcpy(entry->domain, domain, len + 1);
    list_init(&entry->used_node);
    entry->same_hash = map_remove(&routes->entries, hash);
    map_put(&routes->entries, hash, entry);
    return entry;
}

/* Of an entry that has one. */
static void drop_route(struct routes *routes, struct route_entry *entry)
{
    routes->kept--;
    routes->kept_size -= route_packed_size(entry->route);
    list_remove(&entry->used_node);
    route_release(&entry->route);
}

struct route_entry *route_entry_get(struct routes *routes, const char *domain)
{
    uint64_t hash = hash_of(routes, domain);
    struct route_entry *entry = find(routes, hash, domain);

    if (entry == NULL)
        return add(routes, hash, domain);
    if (entry->route == NULL)
        return entry;
    if (clock_monotonic_ms() >= entry->until_ms) {
        drop_route(routes, entry);
        return entry;
    }
    list_remove(&entry->used_node);
    list_append(&routes->used, &entry->used_node);
    return entry;
}

void route_entry_keep(struct routes *routes, struct route_entry *entry,
                      const struct route *route, uint32_t keep_s)
{
    CHECK(entry->route == NULL && entry->lookup == NULL);
    entry->route = route;
    entry->until_ms = clock_monotonic_ms() + keep_s * UINT64_C(1000);
    list_append(&routes->used, &entry->used_node);
    routes->kept++;
    routes->kept_size += route_packed_size(route);
    while (routes->kept > routes->config.entries_max || routes->kept_size > ROUTE_CACHE_SIZE) {
        struct list *node = list_first(&routes->used);
        route_entry_free(routes, LIST_ENTRY(node, struct route_entry, used_node));
    }
}

void route_entry_free(struct routes *routes, struct route_entry *entry)
{
    struct route_entry *first = map_remove(&routes->entries, entry->hash);

    CHECK(first != NULL && entry->lookup == NULL);
    if (first == entry) {
        first = entry->same_hash;
    } else {
        struct route_entry *before = first;
        while (before->same_hash != entry)
            before = before->same_hash;
        before->same_hash = entry->same_hash;
    }
    if (first != NULL)
        map_put(&routes->entries, entry->hash, first);
    if (entry->route != NULL)
        drop_route(routes, entry);
    free(entry);
}
