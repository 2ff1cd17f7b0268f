/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/dedupe.h"

#include <endian.h>

#include "node/base/check.h"
#include "storage/schema/request_id.h"

enum {
    TIME_SIZE = 8,
    EXPIRE_ROWS_MAX = 4,  /* forgotten by one command: more than come in with one */
    EXPIRE_LOOKS_MAX = 16 /* rows looked at */
};

bool dedupe_find(struct db_txn *txn, uint32_t group, struct bytes request_id,
                 struct bytes *outcome)
{
    struct key key;
    struct bytes row;

    if (db_get(txn, TABLE_DEDUPE, key_name(&key, group, request_id), &row) != ERR_OK)
        return false;
    if (row.len < TIME_SIZE)
        db_fail(txn, ERR_MALFORMED);
    *outcome = bytes_skip(row, TIME_SIZE);
    return true;
}

void dedupe_remember(struct apply *apply, struct bytes request_id, struct bytes outcome)
{
    uint64_t time = htobe64(apply_clock_ms(apply));
    struct key key;
    uint8_t *room;

    db_reserve(apply->txn, TABLE_DEDUPE, key_name(&key, apply->group, request_id),
               TIME_SIZE + outcome.len, &room);
    if (room == NULL)
        return;
    memcpy(room, &time, TIME_SIZE);
    if (outcome.len > 0)
        memcpy(room + TIME_SIZE, outcome.at, outcome.len);
}

static bool is_old(const struct apply *apply, uint64_t time_ms)
{
    uint64_t now_ms = apply_clock_ms(apply);

    return now_ms > DEDUPE_KEPT_MS && time_ms < now_ms - DEDUPE_KEPT_MS;
}

/*
 * Ids begin with their time, so the oldest are in front and mostly one look is enough. A
 * message that was handed over late has an old id but a young row, which must stay.
 */
void dedupe_expire(struct apply *apply)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_DEDUPE, key_group(&prefix, apply->group));
    bool more = db_cursor_first(cursor, &key, &row);
    unsigned gone = 0;

    for (unsigned looks = 0; more && looks < EXPIRE_LOOKS_MAX && gone < EXPIRE_ROWS_MAX;
         looks++) {
        struct request_id id;
        uint64_t time;

        if (key_behind_group(key).len != sizeof(id.bytes) || row.len < TIME_SIZE) {
            db_fail(apply->txn, ERR_MALFORMED);
            break;
        }
        memcpy(id.bytes, key_behind_group(key).at, sizeof(id.bytes));
        if (!is_old(apply, request_id_time_ms(&id)))
            break;
        memcpy(&time, row.at, TIME_SIZE);
        if (is_old(apply, be64toh(time))) {
            db_cursor_delete(cursor);
            gone++;
        }
        more = db_cursor_next(cursor, &key, &row);
    }
    db_cursor_close(&cursor);
}
