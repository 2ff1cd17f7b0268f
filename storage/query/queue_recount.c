/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the rows of queue and greylist fit to one another: all of them are looked at. */
#include "storage/machine/blob.h"
#include "storage/machine/directory.h"
#include "storage/machine/greylist.h"
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

static bool record_right(struct db_txn *txn, uint32_t group, uint64_t id,
                         const Pr__QueueRecord *record)
{
    struct blob_record blob;
    struct key key;

    return record->id == id && record->due_ms != 0 && record->n_recipients > 0 &&
           record->envelope != NULL && blob_load(txn, group, record->blob, &blob) &&
           blob.size == record->size &&
           is_there(txn, TABLE_QUEUE_DUE, key_queue_due(&key, group, record->due_ms, id)) ==
               !record->held;
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
            record == NULL || !record_right(txn, group, key_last_u64(key), record);
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
    recount->wrong += rows_count(txn, TABLE_QUEUE_DUE, key_group(&key, group)) !=
                      recount->messages - recount->held;
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
    greylist_look(txn, group, recount);
    counts_look(txn, group, recount);
    return query_error(txn, true);
}
