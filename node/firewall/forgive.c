/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "node/firewall/firewall_internal.h"

static bool is_meant(const struct firewall_place *place, enum firewall_keyed keyed,
                     const struct table_slot *slot)
{
    struct firewall_prefix prefix = {slot->key, 128};

    if (keyed == FIREWALL_BY_NETWORK)
        return place->network != 0 && place->network == slot->key.low;
    if (place->network != 0)
        return place->network == slot->network;
    if (keyed == FIREWALL_BY_NET)
        prefix.bits = firewall_net_of(&slot->key).bits;
    return firewall_prefix_covers(&place->prefix, &prefix);
}

void firewall_forgive(struct firewall *firewall, const struct firewall_place *place)
{
    for (unsigned keyed = 0; keyed <= FIREWALL_BY_NETWORK; keyed++) {
        const struct table *table = &firewall->tables[keyed];
        for (uint32_t i = 0; i < table->size; i++) {
            struct table_slot *slot = table_at(table, i);
            if (slot->generation == 0 || !is_meant(place, (enum firewall_keyed)keyed, slot))
                continue;
            slot->ban_until = 0;
            memset(slot->levels, 0, firewall->counters.level_count[keyed] * sizeof(float));
        }
    }
}
