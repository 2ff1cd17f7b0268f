/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/walk.h"

#include "node/base/check.h"

void transfer_walk_begin(struct transfer_walk *walk, struct db_txn *txn,
                         const struct transfer_tables *tables, uint32_t group,
                         const struct transfer_position *from)
{
    walk->txn = txn;
    walk->tables = tables;
    key_group(&walk->group, group);
    walk->from = *from;
    walk->table = from->table;
    walk->cursor = NULL;
}

/* The first row of the table that lies behind where the walk began. */
static bool first_of_table(struct transfer_walk *walk, struct bytes *key, struct bytes *value)
{
    struct bytes from = {walk->from.key, walk->from.len};
    bool found;

    walk->cursor = db_cursor_open(walk->txn, walk->tables->at[walk->table],
                                  bytes_from(walk->group.at, walk->group.len));
    if (walk->table != walk->from.table || from.len == 0)
        return db_cursor_first(walk->cursor, key, value);
    found = db_cursor_seek(walk->cursor, from, key, value);
    if (found && bytes_equal(*key, from))
        found = db_cursor_next(walk->cursor, key, value);
    return found;
}

bool transfer_walk_next(struct transfer_walk *walk, struct transfer_row *row)
{
    while (walk->table < walk->tables->count && db_error(walk->txn) == ERR_OK) {
        if (walk->tables->at[walk->table] == TABLE_COUNT) {
            walk->table++;
            continue;
        }
        bool found = walk->cursor == NULL
                         ? first_of_table(walk, &row->key, &row->value)
                         : db_cursor_next(walk->cursor, &row->key, &row->value);
        if (found) {
            row->table = walk->table;
            return true;
        }
        db_cursor_close(&walk->cursor);
        walk->table++;
    }
    return false;
}

void transfer_walk_delete(struct transfer_walk *walk)
{
    CHECK(walk->cursor != NULL);
    db_cursor_delete(walk->cursor);
}

void transfer_walk_end(struct transfer_walk *walk)
{
    db_cursor_close(&walk->cursor);
}
