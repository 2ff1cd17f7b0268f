/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/batch.h"

#include <stdlib.h>

#include "node/base/check.h"

/*
 * Batch: version (1), number of records (2), records. Record: length of what follows (1), event
 * (1), service (1), fields present (1), count (4), address (4 or 16), network (4), account (8),
 * secret (3). Numbers are big-endian.
 */
#define VERSION 1

enum { HAS_V6 = 1, HAS_NETWORK = 2, HAS_ACCOUNT = 4, HAS_SECRET = 8 };
enum { HEAD_SIZE = 3, RECORD_SIZE_MIN = 1 + 7 + 4 };

static void put_number(struct buffer *wire, uint64_t number, unsigned size)
{
    uint8_t *at = buffer_reserve(wire, size);

    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    buffer_added(wire, size);
}

static void put_record(const struct firewall_record *record, struct buffer *wire)
{
    bool is_v4 = firewall_address_is_v4(&record->address);
    unsigned has = (is_v4 ? 0 : HAS_V6) | (record->network != 0 ? HAS_NETWORK : 0) |
                   (record->account != 0 ? HAS_ACCOUNT : 0) |
                   (record->secret != 0 ? HAS_SECRET : 0);
    size_t start = buffer_len(wire);

    CHECK(record->count > 0 && record->secret <= 0xFFFFFF);
    put_number(wire, 0, 1);
    put_number(wire, record->event, 1);
    put_number(wire, record->service, 1);
    put_number(wire, has, 1);
    put_number(wire, record->count, 4);
    if (!is_v4)
        put_number(wire, record->address.high, 8);
    put_number(wire, record->address.low, is_v4 ? 4 : 8);
    if (record->network != 0)
        put_number(wire, record->network, 4);
    if (record->account != 0)
        put_number(wire, record->account, 8);
    if (record->secret != 0)
        put_number(wire, record->secret, 3);
    wire->memory[wire->start + start] = (uint8_t)(buffer_len(wire) - start - 1);
}

void firewall_batch_encode(const struct firewall_batch *batch, struct buffer *wire)
{
    CHECK(batch->count <= FIREWALL_BATCH_RECORDS_MAX);
    put_number(wire, VERSION, 1);
    put_number(wire, batch->count, 2);
    for (size_t i = 0; i < batch->count; i++)
        put_record(&batch->records[i], wire);
}

/* Sets `is_short` and gives 0 when there is not so much. */
static uint64_t take_number(struct bytes *rest, unsigned size, bool *is_short)
{
    uint64_t number = 0;

    if (rest->len < size) {
        *is_short = true;
        return 0;
    }
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | rest->at[i];
    *rest = bytes_skip(*rest, size);
    return number;
}

static bool take_record(struct bytes from, struct firewall_record *record)
{
    bool is_short = false;

    record->event = (uint8_t)take_number(&from, 1, &is_short);
    record->service = (uint8_t)take_number(&from, 1, &is_short);
    uint64_t has = take_number(&from, 1, &is_short);
    record->count = (uint32_t)take_number(&from, 4, &is_short);
    if ((has & HAS_V6) != 0) {
        record->address.high = take_number(&from, 8, &is_short);
        record->address.low = take_number(&from, 8, &is_short);
    } else {
        record->address.low = 0xFFFFull << 32 | take_number(&from, 4, &is_short);
    }
    if ((has & HAS_NETWORK) != 0)
        record->network = (uint32_t)take_number(&from, 4, &is_short);
    if ((has & HAS_ACCOUNT) != 0)
        record->account = take_number(&from, 8, &is_short);
    if ((has & HAS_SECRET) != 0)
        record->secret = (uint32_t)take_number(&from, 3, &is_short);
    return !is_short && record->count > 0;
}

static bool is_known(const struct firewall_record *record)
{
    return record->event > 0 && record->event < FIREWALL_EVENT_COUNT;
}

static enum err take_records(struct bytes wire, size_t count, struct firewall_batch *batch)
{
    bool is_short = false;

    for (size_t i = 0; i < count; i++) {
        uint64_t len = take_number(&wire, 1, &is_short);
        struct firewall_record record = {.count = 0};
        if (is_short || len > wire.len ||
            !take_record(bytes_from(wire.at, (size_t)len), &record))
            return ERR_MALFORMED;
        wire = bytes_skip(wire, (size_t)len);
        if (is_known(&record))
            batch->records[batch->count++] = record;
    }
    return wire.len == 0 ? ERR_OK : ERR_MALFORMED;
}

enum err firewall_batch_decode(struct bytes wire, struct firewall_batch *batch)
{
    bool is_short = false;

    *batch = (struct firewall_batch){NULL, 0};
    if (wire.len > FIREWALL_BATCH_SIZE_MAX)
        return ERR_TOOBIG;
    uint64_t version = take_number(&wire, 1, &is_short);
    uint64_t count = take_number(&wire, 2, &is_short);
    if (is_short)
        return ERR_MALFORMED;
    if (version != VERSION)
        return ERR_UNSUPPORTED;
    if (count > FIREWALL_BATCH_RECORDS_MAX)
        return ERR_TOOBIG;
    if (count > wire.len / RECORD_SIZE_MIN)
        return ERR_MALFORMED;
    batch->records = malloc((size_t)count * sizeof(*batch->records) + (count == 0));
    CHECK(batch->records != NULL);
    enum err err = take_records(wire, (size_t)count, batch);
    if (err != ERR_OK)
        firewall_batch_fini(batch);
    return err;
}

void firewall_batch_fini(struct firewall_batch *batch)
{
    free(batch->records);
    *batch = (struct firewall_batch){NULL, 0};
}
