/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cursor is the key where it stands: writes between two steps do not matter to it. In a
 * transaction that only reads it keeps the way to the next row as well.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "tests/sim/db_memory_internal.h"

struct db_cursor {
    struct db_txn *txn;
    enum db_table table;
    struct bytes prefix;
    enum { NOWHERE, ON_ROW, DELETED } standing;
    bool walking; /* `walk` goes on behind where it stands */
    struct tree_walk walk;
    size_t key_len;
    uint8_t key[DB_KEY_SIZE_MAX];
};

struct db_cursor *db_cursor_open(struct db_txn *txn, enum db_table table, struct bytes prefix)
{
    struct db_cursor *cursor = malloc(sizeof(*cursor));

    CHECK(cursor != NULL);
    cursor->txn = txn;
    cursor->table = table;
    cursor->prefix = prefix;
    cursor->standing = NOWHERE;
    cursor->walking = false;
    cursor->key_len = 0;
    txn->cursors++;
    return cursor;
}

void db_cursor_close(struct db_cursor **cursor)
{
    if (*cursor == NULL)
        return;
    (*cursor)->txn->cursors--;
    free(*cursor);
    *cursor = NULL;
}

static const struct tree *cursor_tree(const struct db_cursor *cursor)
{
    return cursor->txn->version.tables[cursor->table];
}

/* Leaves the place; false after an error. */
static bool cursor_leave(struct db_cursor *cursor, struct bytes *key, struct bytes *value)
{
    cursor->standing = NOWHERE;
    cursor->walking = false;
    *key = *value = bytes_from(NULL, 0);
    return cursor->txn->err == ERR_OK;
}

/* Stands on the row, where it is one with the prefix. */
static bool cursor_stand(struct db_cursor *cursor, bool found, struct bytes *key,
                         struct bytes *value)
{
    size_t len = cursor->prefix.len;

    if (!found || key->len < len || (len > 0 && memcmp(key->at, cursor->prefix.at, len) != 0)) {
        *key = *value = bytes_from(NULL, 0);
        return false;
    }
    cursor->standing = ON_ROW;
    cursor->key_len = key->len;
    memcpy(cursor->key, key->at, key->len);
    return true;
}

static bool cursor_seek(struct db_cursor *cursor, struct bytes at, bool behind,
                        struct bytes *key, struct bytes *value)
{
    if (!cursor_leave(cursor, key, value))
        return false;
    if (!cursor->txn->write && !behind) {
        tree_walk_seek(&cursor->walk, cursor_tree(cursor), at);
        cursor->walking = true;
        return cursor_stand(cursor, tree_walk_next(&cursor->walk, key, value), key, value);
    }
    return cursor_stand(cursor, tree_seek(cursor_tree(cursor), at, behind, key, value), key,
                        value);
}

bool db_cursor_seek(struct db_cursor *cursor, struct bytes at, struct bytes *key,
                    struct bytes *value)
{
    return cursor_seek(cursor, at, false, key, value);
}

bool db_cursor_first(struct db_cursor *cursor, struct bytes *key, struct bytes *value)
{
    return cursor_seek(cursor, cursor->prefix, false, key, value);
}

bool db_cursor_next(struct db_cursor *cursor, struct bytes *key, struct bytes *value)
{
    uint8_t copy[DB_KEY_SIZE_MAX];
    bool behind = cursor->standing == ON_ROW;

    if (cursor->standing == NOWHERE) {
        *key = *value = bytes_from(NULL, 0);
        return false;
    }
    if (cursor->walking) {
        cursor->standing = NOWHERE;
        return cursor_stand(cursor, tree_walk_next(&cursor->walk, key, value), key, value);
    }
    memcpy(copy, cursor->key, cursor->key_len);
    return cursor_seek(cursor, bytes_from(copy, cursor->key_len), behind, key, value);
}

bool db_cursor_before(struct db_cursor *cursor, struct bytes at, struct bytes *key,
                      struct bytes *value)
{
    if (!cursor_leave(cursor, key, value))
        return false;
    if (at.len == 0) {
        db_note_error(cursor->txn, ERR_TOOBIG);
        return false;
    }
    return cursor_stand(cursor, tree_before(cursor_tree(cursor), at, key, value), key, value);
}

bool db_cursor_last(struct db_cursor *cursor, struct bytes *key, struct bytes *value)
{
    uint8_t behind[DB_KEY_SIZE_MAX];
    size_t len = cursor->prefix.len;

    CHECK(len <= sizeof(behind));
    if (len > 0)
        memcpy(behind, cursor->prefix.at, len);
    while (len > 0 && behind[len - 1] == 0xff)
        len--;
    if (len > 0) {
        behind[len - 1]++;
        return db_cursor_before(cursor, bytes_from(behind, len), key, value);
    }
    if (!cursor_leave(cursor, key, value))
        return false;
    return cursor_stand(cursor, tree_last(cursor_tree(cursor), key, value), key, value);
}

void db_cursor_delete(struct db_cursor *cursor)
{
    if (cursor->txn->err != ERR_OK)
        return;
    CHECK(cursor->standing == ON_ROW);
    cursor->standing = DELETED;
    /* LMDB would delete another row where this one went another way. */
    CHECK(db_delete(cursor->txn, cursor->table, bytes_from(cursor->key, cursor->key_len)));
}
