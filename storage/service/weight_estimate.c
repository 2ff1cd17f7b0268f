/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/weight_estimate.h"

#include "storage/db/key.h"
#include "storage/machine/record.h"

/* Bodies have ascending numbers, and some are gone: a sample is a run of rows, and how densely
 * they lie says how many there are up to where the next sample begins. */
struct sample {
    uint64_t rows;
    uint64_t bytes;
    uint64_t behind; /* the number behind the last row read */
    bool to_the_end; /* nothing lies between that and the next sample */
};

static uint64_t weight_of(struct bytes value)
{
    struct blob_record record;

    return WEIGHT_ROW_BYTES + (blob_decode(value, &record) ? record.size : 0);
}

static struct sample sample_take(struct db_cursor *cursor, uint32_t group, uint64_t from,
                                 uint64_t end)
{
    struct sample sample = {.behind = from};
    struct key key;
    struct bytes found;
    struct bytes value;
    bool any = db_cursor_seek(cursor, key_number(&key, group, from), &found, &value);

    while (any && sample.rows < WEIGHT_SAMPLE_ROWS && key_last_u64(found) < end) {
        sample.rows++;
        sample.bytes += weight_of(value);
        sample.behind = key_last_u64(found) + 1;
        any = db_cursor_next(cursor, &found, &value);
    }
    sample.to_the_end = !any || key_last_u64(found) >= end;
    return sample;
}

static uint64_t scaled(uint64_t number, uint64_t part, uint64_t whole)
{
    return (uint64_t)((double)number * (double)whole / (double)part);
}

struct weight weight_estimate(struct db_txn *txn, uint32_t group)
{
    struct weight weight = {0};
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_BLOB, key_group(&prefix, group));
    uint64_t first = db_cursor_first(cursor, &key, &value) ? key_last_u64(key) : 0;
    uint64_t end =
        first != 0 && db_cursor_last(cursor, &key, &value) ? key_last_u64(key) + 1 : 0;
    uint64_t step = (end - first + WEIGHT_SAMPLES - 1) / WEIGHT_SAMPLES;

    for (uint64_t from = first; from < end; from += step) {
        uint64_t next = from + step < end ? from + step : end;
        struct sample sample = sample_take(cursor, group, from, next);
        if (sample.to_the_end) {
            weight.bodies += sample.rows;
            weight.bytes += sample.bytes;
        } else {
            weight.bodies += scaled(sample.rows, sample.behind - from, next - from);
            weight.bytes += scaled(sample.bytes, sample.behind - from, next - from);
        }
    }
    db_cursor_close(&cursor);
    return weight;
}

/* Tables of the directory alone. */
static bool is_of_directory(enum db_table table)
{
    switch (table) {
    case TABLE_CLUSTER:
    case TABLE_NODE:
    case TABLE_TOKEN:
    case TABLE_GROUP:
    case TABLE_TENANT:
    case TABLE_DOMAIN:
    case TABLE_ADDRESS:
    case TABLE_ACCOUNT:
    case TABLE_PURGE_DUE:
    case TABLE_ACCOUNT_MOVE:
    case TABLE_SCOPE_GRANT:
    case TABLE_ALIAS:
    case TABLE_SETTING:
    case TABLE_FIREWALL:
    case TABLE_SENDER_DOMAIN:
        return true;
    default:
        return false;
    }
}

struct weight_pages weight_pages(struct db *db)
{
    struct weight_pages pages = {0};

    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        uint64_t rows = 0;
        uint64_t bytes = 0;
        db_table_statistics(db, (enum db_table)i, &rows, &bytes);
        *(is_of_directory((enum db_table)i) ? &pages.directory : &pages.mail) += bytes;
    }
    return pages;
}

uint64_t weight_share(uint64_t pages, uint64_t weight, uint64_t sum)
{
    return sum > 0 ? scaled(pages, sum, weight) : 0;
}
