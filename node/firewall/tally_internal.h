/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_TALLY_INTERNAL_H
#define NODE_FIREWALL_TALLY_INTERNAL_H

#include "node/firewall/counters.h"
#include "node/firewall/credits.h"
#include "node/firewall/tally.h"

/* A ban that waits to be pulled. It is void if its slot in `bans` is not pending any more. */
struct tally_proposal {
    struct firewall_place place;
    uint8_t rule;
    uint8_t scope;
    bool is_v6;
    float level;
    float total;
    float accounts; /* guessed at */
};

struct firewall_tally {
    struct counters counters;
    struct table tables[FIREWALL_KEYED_COUNT];
    struct seen seen;
    struct credits credits;
    struct table bans; /* past and present; kind: bits of the prefix, or TALLY_NETWORK */
    const struct firewall_list *list;
    struct tally_proposal *proposals; /* a ring */
    uint32_t proposal_first;
    uint32_t proposal_count;
    bool is_leading;
    uint32_t tick; /* Unix time in seconds, 1 or more */
    struct firewall_tally_counts counts;
    struct firewall_address exempt[FIREWALL_EXEMPT_MAX];
};

enum { TALLY_NETWORK = 200 };

void tally_set_time(struct firewall_tally *tally, uint64_t now_s);

/* The services that a past or present ban shuts lie in a word that bans need for nothing else.
 */
static inline uint32_t *tally_scope(struct table_slot *ban)
{
    return &ban->known[0];
}

/* The ban of a place, past or present; NULL if there is none. */
struct table_slot *tally_ban_find(struct firewall_tally *tally,
                                  const struct firewall_place *place);
struct firewall_place tally_place_of(enum firewall_keyed keyed,
                                     const struct firewall_address *address, uint32_t network);

/* A rule struck: `slot` is the one that counted. */
void tally_propose(struct firewall_tally *tally, unsigned rule, struct table_slot *slot,
                   const struct firewall_address *address, uint32_t network, unsigned scope);

/* Counts by the rules of one kind of key; proposes where they strike. Returns whether any did.
 */
bool tally_count(struct firewall_tally *tally, enum firewall_counted counted,
                 enum firewall_keyed keyed, const struct firewall_record *record, float amount);

#endif
