/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/forget.h"

#include "storage/machine/local.h"
#include "storage/transfer/walk.h"

enum err transfer_forget_begin(struct db *db, uint32_t group, uint64_t wall_ms)
{
    const struct local_copy nobody = {.begun_ms = wall_ms};
    struct db_txn *txn = db_write_begin(db);
    enum err err;

    local_partial_set(txn, group, &nobody);
    err = db_commit(&txn);
    return err == ERR_OK ? db_sync(db) : err;
}

enum err transfer_forget_step(struct db *db, uint32_t group, unsigned rows, bool *more)
{
    const struct transfer_position start = {0};
    struct db_txn *txn = db_write_begin(db);
    struct transfer_tables tables;
    struct transfer_walk walk;
    struct transfer_row row;

    transfer_tables_own(&tables);
    transfer_walk_begin(&walk, txn, &tables, group, &start);
    for (*more = true; *more && rows > 0; rows--) {
        *more = transfer_walk_next(&walk, &row);
        if (*more)
            transfer_walk_delete(&walk);
    }
    transfer_walk_end(&walk);
    if (!*more)
        local_partial_clear(txn, group);
    return db_commit(&txn);
}
