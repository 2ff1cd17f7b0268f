/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "node/base/check.h"
#include "node/firewall/explain.h"
#include "node/firewall/tally_internal.h"

static const uint32_t ladder_s[FIREWALL_LADDER_STEPS] = {600, 3600, 6 * 3600, 86400, 7 * 86400};

uint32_t firewall_ladder_s(unsigned level)
{
    return ladder_s[level < FIREWALL_LADDER_STEPS ? level : FIREWALL_LADDER_STEPS - 1];
}

struct firewall_place tally_place_of(enum firewall_keyed keyed,
                                     const struct firewall_address *address, uint32_t network)
{
    CHECK(keyed <= FIREWALL_BY_NETWORK);
    if (keyed == FIREWALL_BY_NETWORK)
        return (struct firewall_place){.network = network};
    return (struct firewall_place){.prefix = keyed == FIREWALL_BY_NET
                                                 ? firewall_net_of(address)
                                                 : firewall_prefix_of(address, 128)};
}

static struct firewall_address key_of(const struct firewall_place *place, uint8_t *kind)
{
    *kind = place->network != 0 ? TALLY_NETWORK : place->prefix.bits;
    return place->network != 0 ? (struct firewall_address){0, place->network}
                               : place->prefix.address;
}

struct table_slot *tally_ban_find(struct firewall_tally *tally,
                                  const struct firewall_place *place)
{
    uint8_t kind;
    struct firewall_address key = key_of(place, &kind);
    struct table_slot *slot = table_find(&tally->bans, &key, kind);

    if (slot != NULL)
        table_rewind(slot, tally->tick);
    return slot;
}

static struct table_slot *put_ban(struct firewall_tally *tally,
                                  const struct firewall_place *place)
{
    uint8_t kind;
    struct firewall_address key = key_of(place, &kind);
    struct table_slot *slot = table_put(&tally->bans, &key, kind, tally->tick);

    table_rewind(slot, tally->tick);
    slot->tick = tally->tick;
    return slot;
}

/* Whether the place, its net or its network is shut for all of these services, or about to be.
 */
static bool is_covered(struct firewall_tally *tally, enum firewall_keyed keyed,
                       const struct firewall_address *address, uint32_t network, unsigned scope)
{
    for (; keyed <= FIREWALL_BY_NETWORK; keyed++) {
        if (keyed == FIREWALL_BY_NETWORK && network == 0)
            break;
        struct firewall_place place = tally_place_of(keyed, address, network);
        struct table_slot *slot = tally_ban_find(tally, &place);
        if (slot == NULL)
            continue;
        bool is_shut = slot->ban_until > tally->tick || (slot->flags & SLOT_PENDING) != 0;
        if (is_shut && (*tally_scope(slot) & scope) == scope)
            return true;
    }
    return false;
}

static float level_of(const struct firewall_tally *tally, unsigned rule,
                      const struct table_slot *slot, float *total)
{
    return counters_look(&tally->counters, rule, slot, tally->tick, total);
}

/* What only front ends say, and the store cannot see for itself. */
static bool is_hearsay(enum firewall_counted counted)
{
    return counted == FIREWALL_UNKNOWNS || counted == FIREWALL_NULLS ||
           counted == FIREWALL_ERRORS || counted == FIREWALL_EARLY ||
           counted == FIREWALL_FLOODS;
}

void tally_propose(struct firewall_tally *tally, unsigned id, struct table_slot *slot,
                   const struct firewall_address *address, uint32_t network, unsigned scope)
{
    enum firewall_keyed keyed = firewall_rule((enum firewall_rule_id)id)->keyed;
    struct tally_proposal proposal = {
        .place = tally_place_of(keyed, address, network),
        .rule = (uint8_t)id,
        .scope = (uint8_t)scope,
        .is_v6 = !firewall_address_is_v4(address),
    };

    if (!tally->is_leading || is_covered(tally, keyed, address, network, scope))
        return;
    if (keyed == FIREWALL_BY_ADDRESS &&
        is_hearsay(firewall_rule((enum firewall_rule_id)id)->counted) &&
        credits_find(&tally->credits, address, tally->tick) != NULL) {
        tally->counts.bans_withheld++; /* the processes that see it refuse it by themselves */
        return;
    }
    if (tally->proposal_count == FIREWALL_PROPOSALS_MAX) {
        tally->counts.bans_dropped++;
        return;
    }
    proposal.level = level_of(tally, id, slot, &proposal.total);
    if (keyed == FIREWALL_BY_ADDRESS)
        proposal.accounts = level_of(tally, FIREWALL_CLUSTER_SPRAY, slot, NULL);
    counters_halve(&tally->counters, id, slot, proposal.is_v6);
    if (keyed != FIREWALL_BY_ADDRESS &&
        credits_inside(&tally->credits, &proposal.place, tally->tick, tally->exempt,
                       FIREWALL_EXEMPT_MAX) > FIREWALL_EXEMPT_MAX) {
        tally->counts.bans_withheld++;
        return;
    }
    struct table_slot *ban = put_ban(tally, &proposal.place);
    if (ban->ban_until <= tally->tick)
        *tally_scope(ban) = 0;
    *tally_scope(ban) |= scope;
    ban->flags |= SLOT_PENDING;
    ban->network = network;
    uint32_t at = (tally->proposal_first + tally->proposal_count++) % FIREWALL_PROPOSALS_MAX;
    tally->proposals[at] = proposal;
}

static void write_evidence(const struct firewall_tally *tally,
                           const struct tally_proposal *proposal, struct firewall_ban *ban)
{
    const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id)proposal->rule);
    size_t size = sizeof(ban->evidence);
    char window[EXPLAIN_SPAN_SIZE];

    explain_span(tally->counters.settings.of[proposal->rule].window_s, window);
    int len =
        snprintf(ban->evidence, size, "%.1f %s, limit %u in %s", (double)proposal->level,
                 firewall_counted_name(rule->counted),
                 counters_limit(&tally->counters, proposal->rule, proposal->is_v6), window);
    if (rule->share_percent > 0 && proposal->total > 0)
        len += snprintf(ban->evidence + len, size - (size_t)len, ", %.0f %% of %.1f",
                        (double)(proposal->level * 100.0f / proposal->total),
                        (double)proposal->total);
    if (proposal->accounts >= 0.5f && rule->counted == FIREWALL_GUESSES)
        snprintf(ban->evidence + len, size - (size_t)len, ", at %.1f accounts",
                 (double)proposal->accounts);
}

static uint8_t next_level(const struct firewall_tally *tally, const struct table_slot *slot)
{
    if (slot->ladder == 0)
        return 0;
    if (slot->ban_until > tally->tick) /* another rule, at the same time */
        return (uint8_t)(slot->ladder - 1);
    if (tally->tick - slot->ban_until >= FIREWALL_LADDER_MEMORY_S)
        return 0;
    return slot->ladder < FIREWALL_LADDER_STEPS ? slot->ladder : FIREWALL_LADDER_STEPS - 1;
}

static void make_ban(struct firewall_tally *tally, const struct tally_proposal *proposal,
                     struct table_slot *slot, struct firewall_ban *ban)
{
    uint8_t level = next_level(tally, slot);
    uint32_t until = tally->tick + firewall_ladder_s(level);

    if (until < slot->ban_until)
        until = slot->ban_until;
    slot->flags &= (uint8_t)~SLOT_PENDING;
    slot->ladder = (uint8_t)(1 + level);
    slot->ban_until = until;
    slot->rule = proposal->rule;
    *ban = (struct firewall_ban){
        .place = proposal->place,
        .rule = (enum firewall_rule_id)proposal->rule,
        .scope = *tally_scope(slot),
        .level = level,
        .since_s = tally->tick,
        .until_s = until == UINT32_MAX ? 0 : until,
        .exempt = tally->exempt,
    };
    write_evidence(tally, proposal, ban);
    if (proposal->place.network != 0 || proposal->place.prefix.bits < 128)
        ban->exempt_count = credits_inside(&tally->credits, &proposal->place, tally->tick,
                                           tally->exempt, FIREWALL_EXEMPT_MAX);
    tally->counts.bans++;
}

/* The bans of single addresses add up to one of their net. */
static void count_ban(struct firewall_tally *tally, const struct firewall_ban *ban)
{
    struct firewall_record record = {
        .address = ban->place.prefix.address,
        .count = 1,
        .service = (uint8_t)ban->scope,
    };

    if (ban->place.network == 0 && ban->place.prefix.bits == 128)
        tally_count(tally, FIREWALL_BANS, FIREWALL_BY_NET, &record, 1);
}

bool firewall_tally_next(struct firewall_tally *tally, uint64_t now_s, struct firewall_ban *ban)
{
    tally_set_time(tally, now_s);
    while (tally->proposal_count > 0) {
        struct tally_proposal proposal = tally->proposals[tally->proposal_first];
        tally->proposal_first = (tally->proposal_first + 1) % FIREWALL_PROPOSALS_MAX;
        tally->proposal_count--;
        struct table_slot *slot = tally_ban_find(tally, &proposal.place);
        if (slot == NULL || (slot->flags & SLOT_PENDING) == 0)
            continue;
        slot->tick = tally->tick;
        make_ban(tally, &proposal, slot, ban);
        if (ban->exempt_count > FIREWALL_EXEMPT_MAX) {
            /* So many have logged in since: it stays a ban on paper, for the ladder. */
            tally->counts.bans--;
            tally->counts.bans_withheld++;
            slot->ban_until = tally->tick;
            continue;
        }
        count_ban(tally, ban);
        return true;
    }
    return false;
}

void firewall_tally_set_leading(struct firewall_tally *tally, bool is_leading)
{
    tally->is_leading = is_leading;
    for (; !is_leading && tally->proposal_count > 0; tally->proposal_count--) {
        struct table_slot *slot =
            tally_ban_find(tally, &tally->proposals[tally->proposal_first].place);
        if (slot != NULL)
            slot->flags &= (uint8_t)~SLOT_PENDING;
        tally->proposal_first = (tally->proposal_first + 1) % FIREWALL_PROPOSALS_MAX;
    }
}

void firewall_tally_learn(struct firewall_tally *tally, const struct firewall_entry *entry)
{
    if (entry->kind != FIREWALL_ENTRY_BAN)
        return;
    uint32_t until = entry->until_s == 0 || entry->until_s >= UINT32_MAX
                         ? UINT32_MAX
                         : (uint32_t)entry->until_s;
    struct table_slot *slot = put_ban(tally, &entry->place);
    if (slot->ladder != 0 && slot->ban_until > until)
        return;
    slot->flags &= (uint8_t)~SLOT_PENDING;
    slot->ladder =
        (uint8_t)(1 + (entry->level < FIREWALL_LADDER_STEPS ? entry->level
                                                            : FIREWALL_LADDER_STEPS - 1));
    slot->ban_until = until;
    slot->rule = (uint8_t)(firewall_rule_exists(entry->rule) ? entry->rule : FIREWALL_NO_RULE);
    *tally_scope(slot) = entry->scope;
}

static bool is_inside(const struct firewall_place *place,
                      const struct firewall_address *address, unsigned bits, uint32_t network)
{
    struct firewall_prefix prefix = {*address, (uint8_t)bits};

    if (place->network != 0)
        return place->network == network;
    return firewall_prefix_covers(&place->prefix, &prefix);
}

static void forgive_counters(struct firewall_tally *tally, enum firewall_keyed keyed,
                             const struct firewall_place *place)
{
    const struct table *table = &tally->tables[keyed];

    for (uint32_t i = 0; i < table->size; i++) {
        struct table_slot *slot = table_at(table, i);
        unsigned bits = keyed == FIREWALL_BY_NET ? firewall_net_of(&slot->key).bits : 128;
        bool is_meant = keyed == FIREWALL_BY_NETWORK
                            ? place->network != 0 && place->network == slot->key.low
                            : is_inside(place, &slot->key, bits, slot->network);
        if (slot->generation != 0 && is_meant)
            memset(slot->levels, 0, tally->counters.level_count[keyed] * sizeof(float));
    }
}

void firewall_tally_forgive(struct firewall_tally *tally, const struct firewall_place *place)
{
    for (unsigned keyed = 0; keyed <= FIREWALL_BY_NETWORK; keyed++)
        forgive_counters(tally, (enum firewall_keyed)keyed, place);
    for (uint32_t i = 0; i < tally->bans.size; i++) {
        struct table_slot *slot = table_at(&tally->bans, i);
        bool is_network = slot->kind == TALLY_NETWORK;
        bool is_meant = is_network ? place->network != 0 && place->network == slot->key.low
                                   : is_inside(place, &slot->key, slot->kind, slot->network);
        if (slot->generation == 0 || !is_meant)
            continue;
        slot->flags &= (uint8_t)~SLOT_PENDING;
        slot->ladder = 0;
        slot->ban_until = 0;
        *tally_scope(slot) = 0;
    }
}
