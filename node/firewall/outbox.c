/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/outbox.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/firewall/siphash.h"

void outbox_init(struct outbox *outbox, const struct firewall_key *seed)
{
    *outbox = (struct outbox){.seed = *seed};
    outbox->batch.records = calloc(FIREWALL_BATCH_RECORDS_MAX, sizeof(struct firewall_record));
    outbox->places = calloc(OUTBOX_PLACES, sizeof(*outbox->places));
    CHECK(outbox->batch.records != NULL && outbox->places != NULL);
}

void outbox_fini(struct outbox *outbox)
{
    free(outbox->batch.records);
    free(outbox->places);
    *outbox = (struct outbox){.places = NULL};
}

size_t outbox_bytes(void)
{
    return FIREWALL_BATCH_RECORDS_MAX * sizeof(struct firewall_record) +
           OUTBOX_PLACES * sizeof(uint16_t);
}

static bool is_same(const struct firewall_record *a, const struct firewall_record *b)
{
    return firewall_address_equal(&a->address, &b->address) && a->account == b->account &&
           a->secret == b->secret && a->event == b->event && a->service == b->service;
}

static uint32_t place_of(const struct outbox *outbox, const struct firewall_record *record)
{
    uint64_t hash = siphash_words(
        &outbox->seed, record->address.high ^ record->account, record->address.low,
        (uint64_t)record->secret << 16 | (uint64_t)record->event << 8 | record->service);

    return (uint32_t)(hash % OUTBOX_PLACES);
}

static bool has_room(const struct outbox *outbox, enum firewall_event event)
{
    bool is_plain = event == FIREWALL_RECIPIENT || event == FIREWALL_NULL_SENDER;
    size_t most = FIREWALL_BATCH_RECORDS_MAX;

    return outbox->batch.count < (is_plain ? most / 8 * 7 : most);
}

bool outbox_add(struct outbox *outbox, const struct firewall_record *record)
{
    uint32_t place = place_of(outbox, record);

    for (; outbox->places[place] != 0; place = (place + 1) % OUTBOX_PLACES) {
        struct firewall_record *other = &outbox->batch.records[outbox->places[place] - 1];
        if (!is_same(other, record))
            continue;
        uint32_t room = UINT32_MAX - other->count;
        other->count += record->count < room ? record->count : room;
        return true;
    }
    if (!has_room(outbox, record->event))
        return false;
    outbox->batch.records[outbox->batch.count++] = *record;
    outbox->places[place] = (uint16_t)outbox->batch.count;
    return true;
}

void outbox_clear(struct outbox *outbox)
{
    outbox->batch.count = 0;
    memset(outbox->places, 0, OUTBOX_PLACES * sizeof(*outbox->places));
}
