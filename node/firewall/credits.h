/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_CREDITS_H
#define NODE_FIREWALL_CREDITS_H

#include "node/firewall/table.h"

/*
 * Inside the firewall: the addresses that logged in lately. Those of a net or of a network are
 * found without a search: slots are chained by a hash of each. Links are 1 + index, 0: none.
 */
struct credits_chains {
    uint32_t *first; /* of each chain; as many as slots */
    uint32_t *next;  /* of each slot */
    uint32_t *before;
};

struct credits {
    struct table table;
    struct credits_chains by_net;
    struct credits_chains by_network;
};

void credits_init(struct credits *credits, uint32_t size, uint32_t ticks,
                  const struct firewall_key *seed);
void credits_fini(struct credits *credits);
size_t credits_bytes(const struct credits *credits);

/* NULL if there is none that still counts. */
struct table_slot *credits_find(const struct credits *credits,
                                const struct firewall_address *address, uint32_t tick);
/* The time and the accounts are the caller's to set. */
struct table_slot *credits_put(struct credits *credits, const struct firewall_address *address,
                               uint32_t network, uint32_t tick);
bool credits_is_fresh(const struct credits *credits, const struct table_slot *slot,
                      uint32_t tick);

/* The addresses that count, of a net as firewall_net_of() makes it or of a network; the first
 * `max` are put into `found`. Returns how many there are, at most max + 1. */
size_t credits_inside(const struct credits *credits, const struct firewall_place *place,
                      uint32_t tick, struct firewall_address *found, size_t max);

#endif
