/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_LOCAL_H
#define STORAGE_MACHINE_LOCAL_H

#include "storage/db/db.h"

/*
 * What a node notes of a group for itself (table LOCAL): that a copy of its state from another
 * replica has begun and not ended. It lies in the same transaction as the rows, so that a read
 * transaction that does not see it sees a whole state.
 */
struct local_copy {
    uint64_t source;   /* the node copied from */
    uint64_t begun_ms; /* wall clock */
};

/* Returns false when the group's state is whole. `copy` may be NULL. A row that cannot be read
 * is a copy all the same, from node 0. */
bool local_partial(struct db_txn *txn, uint32_t group, struct local_copy *copy);
void local_partial_set(struct db_txn *txn, uint32_t group, const struct local_copy *copy);
void local_partial_clear(struct db_txn *txn, uint32_t group);

#endif
