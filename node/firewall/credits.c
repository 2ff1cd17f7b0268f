/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/credits.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/firewall/siphash.h"

static void chains_init(struct credits_chains *chains, uint32_t size)
{
    uint32_t *memory = calloc((size_t)size * 3, sizeof(*memory));

    CHECK(memory != NULL);
    *chains = (struct credits_chains){memory, memory + size, memory + 2 * (size_t)size};
}

void credits_init(struct credits *credits, uint32_t size, uint32_t ticks,
                  const struct firewall_key *seed)
{
    table_init(&credits->table, size, 0, ticks, seed);
    chains_init(&credits->by_net, credits->table.size);
    chains_init(&credits->by_network, credits->table.size);
}

void credits_fini(struct credits *credits)
{
    table_fini(&credits->table);
    free(credits->by_net.first);
    free(credits->by_network.first);
}

size_t credits_bytes(const struct credits *credits)
{
    return table_bytes(&credits->table) + 6 * sizeof(uint32_t) * credits->table.size;
}

static uint32_t *net_chain(const struct credits *credits,
                           const struct firewall_address *address)
{
    struct firewall_prefix net = firewall_net_of(address);
    uint64_t hash =
        siphash_words(&credits->table.seed, net.address.high, net.address.low, net.bits);

    return &credits->by_net.first[(uint32_t)(hash >> 32) & (credits->table.size - 1)];
}

static uint32_t *network_chain(const struct credits *credits, uint32_t network)
{
    uint64_t hash = siphash_words(&credits->table.seed, 0, network, 0);

    return &credits->by_network.first[(uint32_t)(hash >> 32) & (credits->table.size - 1)];
}

static void chain_add(struct credits_chains *chains, uint32_t *first, uint32_t own)
{
    chains->next[own - 1] = *first;
    chains->before[own - 1] = 0;
    if (*first != 0)
        chains->before[*first - 1] = own;
    *first = own;
}

static void chain_remove(struct credits_chains *chains, uint32_t *first, uint32_t own)
{
    uint32_t next = chains->next[own - 1];
    uint32_t before = chains->before[own - 1];

    CHECK(before != 0 || *first == own);
    if (before == 0)
        *first = next;
    else
        chains->next[before - 1] = next;
    if (next != 0)
        chains->before[next - 1] = before;
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
                               uint32_t network, uint32_t tick)
{
    struct table_slot *slot = table_victim(&credits->table, address, 0, tick);
    uint32_t own = 1 + table_index(&credits->table, slot);
    bool is_taken = slot->generation != 0;

    if (is_taken)
        chain_remove(&credits->by_network, network_chain(credits, slot->network), own);
    if (!is_taken || !firewall_address_equal(&slot->key, address)) {
        if (is_taken)
            chain_remove(&credits->by_net, net_chain(credits, &slot->key), own);
        table_take(&credits->table, slot, address, 0, tick);
        chain_add(&credits->by_net, net_chain(credits, address), own);
    }
    table_rewind(slot, tick);
    slot->tick = tick;
    slot->network = network;
    chain_add(&credits->by_network, network_chain(credits, network), own);
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
    bool is_network = place->network != 0;
    const uint32_t *next = is_network ? credits->by_network.next : credits->by_net.next;
    uint32_t at = is_network ? *network_chain(credits, place->network)
                             : *net_chain(credits, &place->prefix.address);
    size_t count = 0;

    for (; at != 0 && count <= max; at = next[at - 1]) {
        const struct table_slot *slot = table_at(&credits->table, at - 1);
        if (!is_inside(place, slot) || !credits_is_fresh(credits, slot, tick))
            continue;
        if (count < max)
            found[count] = slot->key;
        count++;
    }
    return count;
}
