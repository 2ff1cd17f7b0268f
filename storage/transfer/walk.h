/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_WALK_H
#define STORAGE_TRANSFER_WALK_H

#include "storage/db/key.h"
#include "storage/transfer/position.h"

/* The rows of a group behind a position, in order. In the caller's memory, which stays in
 * place. */
struct transfer_walk {
    struct db_txn *txn;
    const struct transfer_tables *tables;
    struct key group;
    struct transfer_position from;
    unsigned table;
    struct db_cursor *cursor; /* in `table`; NULL: not opened yet */
};

void transfer_walk_begin(struct transfer_walk *walk, struct db_txn *txn,
                         const struct transfer_tables *tables, uint32_t group,
                         const struct transfer_position *from);
/* Returns false at the end, or after an error of the transaction. The row's bytes are valid
 * until the next write. */
bool transfer_walk_next(struct transfer_walk *walk, struct transfer_row *row);
/* Deletes the row that next() returned. */
void transfer_walk_delete(struct transfer_walk *walk);
void transfer_walk_end(struct transfer_walk *walk);

#endif
