/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the rows of queue and greylist fit to one another: all of them are looked at. */
#include "storage/machine/blob.h"
#include "storage/machine/directory.h"
#include "storage/machine/greylist.h"
#include "storage/machine/queue_row.h"
#include "storage/query/queue.h"
#include "storage/query/view.h"

static uint64_t rows_count(struct db_txn *txn, enum db_table table, struct bytes prefix)
{
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, table, prefix);
    uint64_t count = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row))
        count++;
    db_cursor_close(&cursor);
    return count;
}

static bool is_there(struct db_txn *txn, enum db_table table, struct bytes key)
{
    struct bytes row;

    return db_get(txn, table, key, &row) == ERR_OK;
}

/* The places that L1 wants, and no more: their number is compared with that of all rows. */
static bool places_right(struct db_txn *txn, uint32_t group, const Pr__QueueRecord *record,
                         struct queue_recount *recount)
{
    struct queue_places places;
    bool right = true;

    queue_places_of(record, &places);
    for (size_t i = 0; i < places.count; i++) {
        struct queue_lane lane = {places.at[i].domain, record->class_, record->tenant_id};
        struct key lane_key;
        struct key key;
        struct bytes behind = key_behind_group(queue_lane_key(&lane_key, group, &lane));
        right = right && is_there(txn, TABLE_QUEUE_LANE,
                                  key_queue_place(&key, group, behind, places.at[i].due_ms,
                                                  record->id, places.at[i].destination));
    }
    recount->places += places.count;
    return right;
}

/* R1 to R4 of storage/machine/queue_row.h. */
static bool verdicts_right(const Pr__QueueRecord *record)
{
    uint64_t due_ms = record->n_destinations == 0 ? record->notice_ms : UINT64_MAX;
    bool owed = false;
    bool now = false;

    for (size_t i = 0; i < record->n_recipients; i++) {
        const Pr__QueueRecipient *recipient = record->recipients[i];
        bool waits = recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING;
        if (recipient->number == 0 || (!waits && !recipient->tell) ||
            queue_recipient(record, recipient->number) != recipient ||
            (waits && queue_destination(record, recipient->destination) == NULL))
            return false;
        owed = owed || recipient->tell;
        now = now || (recipient->tell && recipient->notice <= record->notices);
        if (recipient->tell && recipient->notice > record->notices + 1)
            return false;
    }
    for (size_t i = 0; i < record->n_destinations; i++) {
        const Pr__QueueDestination *destination = record->destinations[i];
        bool waits = false;
        for (size_t r = 0; r < record->n_recipients; r++)
            waits =
                waits || (record->recipients[r]->destination == destination->number &&
                          record->recipients[r]->state == PR__QUEUE_RECIPIENT__STATE__WAITING);
        if (!waits || destination->due_ms == 0 ||
            (i > 0 && record->destinations[i - 1]->number >= destination->number))
            return false;
        due_ms = destination->due_ms < due_ms ? destination->due_ms : due_ms;
    }
    return owed == now && owed == (record->notice_ms != 0) && record->due_ms == due_ms;
}

static bool record_right(struct db_txn *txn, uint32_t group, uint64_t id,
                         const Pr__QueueRecord *record, struct queue_recount *recount)
{
    struct blob_record blob;

    return record->id == id && record->due_ms != 0 && record->n_recipients > 0 &&
           record->n_recipients <= QUEUE_RECORD_RECIPIENTS_MAX &&
           record->n_destinations <= QUEUE_RECORD_RECIPIENTS_MAX && record->envelope != NULL &&
           blob_load(txn, group, record->blob, &blob) && blob.size == record->size &&
           verdicts_right(record) && places_right(txn, group, record, recount);
}

/* Each lane has its row at the due time of its first (L2). */
static void lanes_look(struct db_txn *txn, uint32_t group, struct queue_recount *recount)
{
    struct key prefix;
    struct key before = {.len = 0}; /* the lane of the row before */
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_QUEUE_LANE, key_group(&prefix, group));
    uint64_t places = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        struct queue_place place;
        struct queue_lane lane;
        struct key due;
        places++;
        if (!queue_place_read(key, &place) || !queue_lane_read(place.lane, &lane)) {
            recount->wrong++;
            continue;
        }
        if (before.len != 0 &&
            bytes_equal(key_behind_group(bytes_from(before.at, before.len)), place.lane))
            continue;
        queue_lane_key(&before, group, &lane);
        recount->lanes++;
        recount->wrong += !is_there(txn, TABLE_QUEUE_DUE,
                                    key_queue_due(&due, group, place.due_ms, place.lane));
    }
    db_cursor_close(&cursor);
    recount->wrong += places != recount->places;
}

static void queue_look(struct db_txn *txn, uint32_t group, struct queue_recount *recount)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_QUEUE, key_group(&prefix, group));

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        struct arena record_arena;
        arena_init(&record_arena);
        const Pr__QueueRecord *record =
            directory_unpack(txn, row, &pr__queue_record__descriptor, &record_arena);
        recount->messages++;
        recount->held += record != NULL && record->held;
        recount->wrong +=
            record == NULL || !record_right(txn, group, key_last_u64(key), record, recount);
        arena_fini(&record_arena);
    }
    db_cursor_close(&cursor);
}

static void greylist_look(struct db_txn *txn, uint32_t group, struct queue_recount *recount)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_GREYLIST, key_greylist(&prefix, group, bytes_from(NULL, 0)));

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        struct bytes digest = bytes_skip(key, prefix.len);
        struct greylist_record greylist;
        struct key due;
        recount->keys++;
        recount->wrong += digest.len != GREYLIST_KEY_SIZE || !greylist_decode(row, &greylist) ||
                          greylist.indexed_ms > greylist.expires_ms ||
                          greylist.first_ms > greylist.seen_ms ||
                          !is_there(txn, TABLE_GREYLIST,
                                    key_greylist_due(&due, group, greylist.indexed_ms, digest));
    }
    db_cursor_close(&cursor);
}

/* The group's own counts; what is in order of expiry is not forgotten before the group says. */
static void counts_look(struct db_txn *txn, uint32_t group, struct queue_recount *recount)
{
    struct group_record record = {0};
    struct key key;
    struct bytes at;
    struct bytes row;
    struct db_cursor *cursor;

    if (db_get(txn, TABLE_META, key_group(&key, group), &row) == ERR_OK &&
        !group_decode(row, &record))
        recount->wrong++;
    recount->wrong += record.queue != recount->messages;
    recount->wrong += record.queue_held != recount->held;
    recount->wrong += record.greylist != recount->keys;
    recount->wrong += record.queue > record.queue_ids;
    recount->wrong +=
        rows_count(txn, TABLE_QUEUE_DUE, key_group(&key, group)) != recount->lanes;
    recount->wrong +=
        rows_count(txn, TABLE_GREYLIST, key_greylist_all_due(&key, group)) != recount->keys;
    cursor = db_cursor_open(txn, TABLE_GREYLIST, key_greylist_all_due(&key, group));
    if (db_cursor_first(cursor, &at, &row))
        recount->wrong += key_last_u64(bytes_from(at.at, at.len - GREYLIST_KEY_SIZE)) <
                          record.greylist_due_ms;
    db_cursor_close(&cursor);
}

enum err query_queue_recount(struct db_txn *txn, uint32_t group, struct queue_recount *recount)
{
    *recount = (struct queue_recount){0};
    queue_look(txn, group, recount);
    lanes_look(txn, group, recount);
    greylist_look(txn, group, recount);
    counts_look(txn, group, recount);
    return query_error(txn, true);
}
