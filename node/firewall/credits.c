/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/credits.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/firewall/siphash.h"

void credits_init(struct credits *credits, uint32_t size, uint32_t ticks,
                  const struct firewall_key *seed)
{
    table_init(&credits->table, size, 0, ticks, seed);
    credits->first = calloc(credits->table.size, sizeof(*credits->first));
    CHECK(credits->first != NULL);
}

void credits_fini(struct credits *credits)
{
    table_fini(&credits->table);
    free(credits->first);
    credits->first = NULL;
}

size_t credits_bytes(const struct credits *credits)
{
    return table_bytes(&credits->table) + credits->table.size * sizeof(*credits->first);
}

static uint32_t *chain_of(const struct credits *credits, const struct firewall_address *address)
{
    struct firewall_prefix net = firewall_net_of(address);
    uint64_t hash =
        siphash_words(&credits->table.seed, net.address.high, net.address.low, net.bits);

    return &credits->first[(uint32_t)(hash >> 32) & (credits->table.size - 1)];
}

static void unlink_slot(struct credits *credits, const struct table_slot *slot)
{
    uint32_t own = 1 + table_index(&credits->table, slot);
    uint32_t *at = chain_of(credits, &slot->key);

    while (*at != own) {
        CHECK(*at != 0);
        at = &table_at(&credits->table, *at - 1)->link;
    }
    *at = slot->link;
}

bool credits_is_fresh(const struct credits *credits, const struct table_slot *slot,
                      uint32_t tick)
{
    return slot->credit_at != 0 &&
           (tick < slot->credit_at || tick - slot->credit_at < credits->table.credit_ticks);
}

struct table_slot *credits_find(const struct credits *credits,
                                const struct firewall_address *address, uint32_t tick)
{
    struct table_slot *slot = table_find(&credits->table, address, 0);

    if (slot == NULL)
        return NULL;
    table_rewind(slot, tick);
    return credits_is_fresh(credits, slot, tick) ? slot : NULL;
}

struct table_slot *credits_put(struct credits *credits, const struct firewall_address *address,
                               uint32_t tick)
{
    struct table_slot *slot = table_find(&credits->table, address, 0);

    if (slot != NULL) {
        table_rewind(slot, tick);
        slot->tick = tick;
        return slot;
    }
    slot = table_victim(&credits->table, address, 0, tick);
    if (slot->generation != 0)
        unlink_slot(credits, slot);
    table_take(&credits->table, slot, address, 0, tick);
    uint32_t *first = chain_of(credits, address);
    slot->link = *first;
    *first = 1 + table_index(&credits->table, slot);
    return slot;
}

static bool is_inside(const struct firewall_place *place, const struct table_slot *slot)
{
    return place->network != 0 ? slot->network == place->network
                               : firewall_prefix_holds(&place->prefix, &slot->key);
}

size_t credits_inside(const struct credits *credits, const struct firewall_place *place,
                      uint32_t tick, struct firewall_address *found, size_t max)
{
    const struct table *table = &credits->table;
    bool is_net = place->network == 0;
    uint32_t at = is_net ? *chain_of(credits, &place->prefix.address) : 1;
    size_t count = 0;

    while (at != 0 && at <= table->size && count <= max) {
        const struct table_slot *slot = table_at(table, at - 1);
        at = is_net ? slot->link : at + 1;
        if (slot->generation == 0 || !is_inside(place, slot) ||
            !credits_is_fresh(credits, slot, tick))
            continue;
        if (count < max)
            found[count] = slot->key;
        count++;
    }
    return count;
}
