/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_DB_MEMORY_INTERNAL_H
#define TESTS_SIM_DB_MEMORY_INTERNAL_H

#include "tests/sim/db_memory.h"
#include "tests/sim/db_tree.h"

/* All tables at one moment; whoever holds it holds its trees. */
struct db_version {
    uint64_t number; /* of the transaction that made it */
    struct tree *tables[TABLE_COUNT];
};

struct db {
    uint64_t map_bytes;
    struct db_version committed;
    struct db_version durable; /* what survives a power loss for sure */
    unsigned reading;
    bool writing;
    struct db_watch *watches;
};

struct db_txn {
    struct db *db;
    struct db_version version;
    enum err err; /* the first error; set once */
    bool write;
    unsigned cursors;
};

/* Notes the error of a call, unless there was one. Returns it; NOTFOUND is only returned. */
enum err db_note_error(struct db_txn *txn, enum err err);

/* Before a key is written or deleted. */
void db_watches_tell(struct db_txn *txn, enum db_table table, struct bytes key);

#endif
