/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows in the order of their keys. */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/db/db.h"
#include "storage/db/lmdb.h"

struct db_cursor {
    struct db_txn *txn;
    enum db_table table;
    MDB_cursor *cursor; /* NULL when the transaction had an error before */
    struct bytes prefix;
    bool standing; /* on a row */
    /*
     * After a deletion next() looks for this key again, instead of trusting the cursor's place
     * on a page that may have been merged or rewritten since.
     */
    bool deleted;
    size_t deleted_len;
    uint8_t deleted_key[DB_KEY_SIZE_MAX];
};

struct db_cursor *db_cursor_open(struct db_txn *txn, enum db_table table, struct bytes prefix)
{
    struct db_cursor *cursor = malloc(sizeof(*cursor));

    CHECK(cursor != NULL);
    cursor->txn = txn;
    cursor->table = table;
    cursor->cursor = NULL;
    cursor->prefix = prefix;
    cursor->standing = false;
    cursor->deleted = false;
    txn->cursors++;
    if (txn->err == ERR_OK)
        db_note(txn, mdb_cursor_open(txn->txn, txn->db->tables[table], &cursor->cursor));
    return cursor;
}

void db_cursor_close(struct db_cursor **cursor)
{
    struct db_cursor *closing = *cursor;

    if (closing == NULL)
        return;
    if (closing->cursor != NULL)
        mdb_cursor_close(closing->cursor);
    closing->txn->cursors--;
    free(closing);
    *cursor = NULL;
}

/* Moves; true when it stands on a row with the prefix. `at` may be NULL where `op` takes none.
 */
static bool cursor_move(struct db_cursor *cursor, MDB_cursor_op op, const struct bytes *at,
                        struct bytes *key, struct bytes *value)
{
    MDB_val mdb_key = at != NULL ? val_of_bytes(*at) : (MDB_val){0, NULL};
    MDB_val mdb_value = {0, NULL};
    struct bytes found;

    cursor->standing = false;
    cursor->deleted = false;
    *key = *value = bytes_from(NULL, 0);
    if (cursor->cursor == NULL || cursor->txn->err != ERR_OK)
        return false;
    if (db_note(cursor->txn, mdb_cursor_get(cursor->cursor, &mdb_key, &mdb_value, op)) !=
        ERR_OK)
        return false;
    found = bytes_from(mdb_key.mv_data, mdb_key.mv_size);
    if (found.len < cursor->prefix.len ||
        (cursor->prefix.len > 0 &&
         memcmp(found.at, cursor->prefix.at, cursor->prefix.len) != 0))
        return false;
    cursor->standing = true;
    *key = found;
    *value = bytes_from(mdb_value.mv_data, mdb_value.mv_size);
    return true;
}

bool db_cursor_first(struct db_cursor *cursor, struct bytes *key, struct bytes *value)
{
    return db_cursor_seek(cursor, cursor->prefix, key, value);
}

bool db_cursor_seek(struct db_cursor *cursor, struct bytes at, struct bytes *key,
                    struct bytes *value)
{
    if (at.len == 0)
        return cursor_move(cursor, MDB_FIRST, NULL, key, value);
    return cursor_move(cursor, MDB_SET_RANGE, &at, key, value);
}

bool db_cursor_next(struct db_cursor *cursor, struct bytes *key, struct bytes *value)
{
    struct bytes deleted = {cursor->deleted_key, cursor->deleted_len};

    if (cursor->deleted)
        return cursor_move(cursor, MDB_SET_RANGE, &deleted, key, value);
    if (!cursor->standing) {
        *key = *value = bytes_from(NULL, 0);
        return false;
    }
    return cursor_move(cursor, MDB_NEXT, NULL, key, value);
}

bool db_cursor_before(struct db_cursor *cursor, struct bytes at, struct bytes *key,
                      struct bytes *value)
{
    MDB_val mdb_key = val_of_bytes(at);
    MDB_val mdb_value;
    enum err err;

    cursor->standing = false;
    cursor->deleted = false;
    *key = *value = bytes_from(NULL, 0);
    if (cursor->cursor == NULL || cursor->txn->err != ERR_OK)
        return false;
    err = db_note(cursor->txn,
                  mdb_cursor_get(cursor->cursor, &mdb_key, &mdb_value, MDB_SET_RANGE));
    if (err == ERR_OK)
        return cursor_move(cursor, MDB_PREV, NULL, key, value);
    return err == ERR_NOTFOUND && cursor_move(cursor, MDB_LAST, NULL, key, value);
}

bool db_cursor_last(struct db_cursor *cursor, struct bytes *key, struct bytes *value)
{
    uint8_t behind[DB_KEY_SIZE_MAX];
    size_t len = cursor->prefix.len;

    CHECK(len <= sizeof(behind));
    /* The first key behind all with the prefix: the prefix plus one, seen as a number. */
    if (len > 0)
        memcpy(behind, cursor->prefix.at, len);
    while (len > 0 && behind[len - 1] == 0xff)
        len--;
    if (len == 0)
        return cursor_move(cursor, MDB_LAST, NULL, key, value);
    behind[len - 1]++;
    return db_cursor_before(cursor, bytes_from(behind, len), key, value);
}

void db_cursor_delete(struct db_cursor *cursor)
{
    MDB_val mdb_key;
    MDB_val mdb_value;

    if (cursor->cursor == NULL || cursor->txn->err != ERR_OK)
        return;
    CHECK(cursor->standing);
    if (db_note(cursor->txn, mdb_cursor_get(cursor->cursor, &mdb_key, &mdb_value,
                                            MDB_GET_CURRENT)) != ERR_OK)
        return;
    memcpy(cursor->deleted_key, mdb_key.mv_data, mdb_key.mv_size);
    cursor->deleted_len = mdb_key.mv_size;
    cursor->deleted = true;
    cursor->standing = false;
    key_changed(cursor->txn, cursor->table,
                bytes_from(cursor->deleted_key, cursor->deleted_len));
    db_note(cursor->txn, mdb_cursor_del(cursor->cursor, 0));
}
