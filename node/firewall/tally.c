/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/tally.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/firewall/tally_internal.h"

#define DAY_S 86400u

void firewall_tally_config_init(struct firewall_tally_config *config)
{
    *config = (struct firewall_tally_config){
        .addresses = 65536,
        .nets = 32768,
        .networks = 8192,
        .accounts = 65536,
        .secrets = 16384,
        .seen = 524288,
        .credits = 131072,
        .bans = 32768,
    };
}

struct firewall_tally *firewall_tally_new(const struct firewall_tally_config *config)
{
    struct firewall_tally *tally = calloc(1, sizeof(*tally));

    CHECK(tally != NULL);
    counters_init(&tally->counters, true, 1);
    const uint32_t sizes[FIREWALL_KEYED_COUNT] = {
        config->addresses, config->nets, config->networks, config->accounts, config->secrets};
    for (unsigned i = 0; i < FIREWALL_KEYED_COUNT; i++)
        table_init(&tally->tables[i], sizes[i], tally->counters.level_count[i],
                   FIREWALL_CREDIT_S, &config->seed);
    seen_init(&tally->seen, config->seen, DAY_S, &config->seed);
    credits_init(&tally->credits, config->credits, FIREWALL_CREDIT_S, &config->seed);
    table_init(&tally->bans, config->bans, 0, FIREWALL_CREDIT_S, &config->seed);
    tally->proposals = calloc(FIREWALL_PROPOSALS_MAX, sizeof(*tally->proposals));
    CHECK(tally->proposals != NULL);
    tally->tick = 1;
    return tally;
}

void firewall_tally_free(struct firewall_tally **tally)
{
    if (*tally == NULL)
        return;
    for (unsigned i = 0; i < FIREWALL_KEYED_COUNT; i++)
        table_fini(&(*tally)->tables[i]);
    seen_fini(&(*tally)->seen);
    credits_fini(&(*tally)->credits);
    table_fini(&(*tally)->bans);
    free((*tally)->proposals);
    free(*tally);
    *tally = NULL;
}

size_t firewall_tally_bytes(const struct firewall_tally *tally)
{
    size_t bytes = sizeof(*tally) + seen_bytes(&tally->seen) + credits_bytes(&tally->credits) +
                   table_bytes(&tally->bans) +
                   FIREWALL_PROPOSALS_MAX * sizeof(*tally->proposals);

    for (unsigned i = 0; i < FIREWALL_KEYED_COUNT; i++)
        bytes += table_bytes(&tally->tables[i]);
    return bytes;
}

void firewall_tally_set_settings(struct firewall_tally *tally,
                                 const struct firewall_settings *settings)
{
    counters_set(&tally->counters, settings);
}

void firewall_tally_set_list(struct firewall_tally *tally, const struct firewall_list *list)
{
    tally->list = list;
}

void tally_set_time(struct firewall_tally *tally, uint64_t now_s)
{
    uint32_t most = UINT32_MAX - FIREWALL_LADDER_MEMORY_S; /* the longest ban can be added */

    tally->tick = now_s < 1 ? 1 : now_s < most ? (uint32_t)now_s : most;
}

bool firewall_tally_credit_next(const struct firewall_tally *tally, size_t *cursor,
                                struct firewall_credit *credit)
{
    const struct table *table = &tally->credits.table;

    for (; *cursor < table->size; ++*cursor) {
        const struct table_slot *slot = table_at(table, (uint32_t)*cursor);
        if (slot->generation == 0 || !credits_is_fresh(&tally->credits, slot, tally->tick))
            continue;
        *credit = (struct firewall_credit){
            .address = slot->key, .network = slot->network, .at_s = slot->credit_at};
        memcpy(credit->accounts, slot->known, sizeof(credit->accounts));
        ++*cursor;
        return true;
    }
    return false;
}

void firewall_tally_credit_put(struct firewall_tally *tally,
                               const struct firewall_credit *credit, uint64_t now_s)
{
    tally_set_time(tally, now_s);
    uint32_t at = credit->at_s < tally->tick ? (uint32_t)credit->at_s : tally->tick;
    if (at == 0 || tally->tick - at >= FIREWALL_CREDIT_S)
        return;
    const struct table_slot *there =
        credits_find(&tally->credits, &credit->address, tally->tick);
    if (there != NULL && there->credit_at > at)
        return;
    struct table_slot *slot =
        credits_put(&tally->credits, &credit->address, credit->network, tally->tick);
    slot->credit_at = at;
    memcpy(slot->known, credit->accounts, sizeof(slot->known));
}

const struct firewall_tally_counts *firewall_tally_counts(struct firewall_tally *tally)
{
    tally->counts.evicted = tally->credits.table.evicted + tally->bans.evicted;
    for (unsigned i = 0; i < FIREWALL_KEYED_COUNT; i++)
        tally->counts.evicted += tally->tables[i].evicted;
    return &tally->counts;
}
