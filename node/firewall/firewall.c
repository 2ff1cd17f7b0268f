/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/firewall.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/firewall/firewall_internal.h"

#define DAY_S 86400u

void firewall_config_init(struct firewall_config *config)
{
    *config = (struct firewall_config){
        .addresses = 65536,
        .nets = 16384,
        .networks = 4096,
        .accounts = 16384,
        .secrets_seen = 65536,
        .delayed_max = 1000,
    };
}

struct firewall *firewall_new(const struct firewall_config *config)
{
    struct firewall *firewall = calloc(1, sizeof(*firewall));

    CHECK(firewall != NULL);
    firewall->config = *config;
    firewall->tick = 1;
    counters_init(&firewall->counters, false, FIREWALL_TICKS_PER_S);
    const uint32_t sizes[FIREWALL_TABLES] = {config->addresses, config->nets, config->networks,
                                             config->accounts};
    for (unsigned i = 0; i < FIREWALL_TABLES; i++)
        table_init(&firewall->tables[i], sizes[i], firewall->counters.level_count[i],
                   FIREWALL_CREDIT_S * FIREWALL_TICKS_PER_S, &config->seed);
    seen_init(&firewall->seen, config->secrets_seen, DAY_S * FIREWALL_TICKS_PER_S,
              &config->seed);
    outbox_init(&firewall->outbox, &config->seed);
    return firewall;
}

void firewall_free(struct firewall **firewall)
{
    if (*firewall == NULL)
        return;
    for (unsigned i = 0; i < FIREWALL_TABLES; i++)
        table_fini(&(*firewall)->tables[i]);
    seen_fini(&(*firewall)->seen);
    outbox_fini(&(*firewall)->outbox);
    free(*firewall);
    *firewall = NULL;
}

size_t firewall_bytes(const struct firewall *firewall)
{
    size_t bytes = sizeof(*firewall) + seen_bytes(&firewall->seen) + outbox_bytes();

    for (unsigned i = 0; i < FIREWALL_TABLES; i++)
        bytes += table_bytes(&firewall->tables[i]);
    return bytes;
}

void firewall_set_settings(struct firewall *firewall, const struct firewall_settings *settings)
{
    counters_set(&firewall->counters, settings);
}

void firewall_set_list(struct firewall *firewall, const struct firewall_list *list)
{
    firewall->list = list;
    firewall->list_round++;
}

uint32_t firewall_tick(struct firewall *firewall, uint64_t now_ms)
{
    if (!firewall->is_started) {
        firewall->is_started = true;
        firewall->first_ms = now_ms;
    }
    uint64_t ticks = now_ms <= firewall->first_ms
                         ? 0
                         : (now_ms - firewall->first_ms) / (1000 / FIREWALL_TICKS_PER_S);
    firewall->tick = 1 + (uint32_t)(ticks < UINT32_MAX / 2 ? ticks : UINT32_MAX / 2);
    return firewall->tick;
}

bool firewall_take_batch(struct firewall *firewall, struct buffer *wire)
{
    struct outbox *outbox = &firewall->outbox;

    if (outbox->batch.count == 0)
        return false;
    firewall_batch_encode(&outbox->batch, wire);
    outbox_clear(outbox);
    return true;
}

bool firewall_batch_is_due(const struct firewall *firewall)
{
    return firewall->outbox.batch.count > FIREWALL_BATCH_RECORDS_MAX / 2;
}

uint32_t firewall_delayed(const struct firewall *firewall)
{
    return firewall->delayed;
}

const struct firewall_counts *firewall_counts(struct firewall *firewall)
{
    firewall->counts.evicted = 0;
    for (unsigned i = 0; i < FIREWALL_TABLES; i++)
        firewall->counts.evicted += firewall->tables[i].evicted;
    return &firewall->counts;
}
