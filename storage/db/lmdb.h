/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_DB_LMDB_H
#define STORAGE_DB_LMDB_H

#include <lmdb.h>
#include <pthread.h>

#include "storage/db/db.h"

/* What the files of this folder share; for nobody else. */
struct db {
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    pthread_mutex_t lock; /* guards `idle` and the counts */
    struct db_txn *idle;  /* read transactions that were reset, to be renewed */
    unsigned idle_count;
    unsigned reading;
    struct db_txn *first_read; /* those under way, newest first */
    struct db_watch *watches;  /* touched by who has LMDB's write lock */
};

struct db_txn {
    struct db *db;
    MDB_txn *txn;
    enum err err; /* the first error; set once */
    bool write;
    unsigned cursors; /* open ones; none may be left at the end */
    struct db_txn *next;
    struct db_txn *previous;
    uint64_t begun_ms; /* of a read transaction */
};

enum err err_from_lmdb(int code);

/* Notes the error of a call, unless there was one. Returns it; NOTFOUND is only returned. */
enum err db_note(struct db_txn *txn, int code);

/* Tells the watches of a key's group. */
void watches_tell(struct db_txn *txn, enum db_table table, struct bytes key);

static inline void key_changed(struct db_txn *txn, enum db_table table, struct bytes key)
{
    if (txn->db->watches != NULL)
        watches_tell(txn, table, key);
}

static inline MDB_val val_of_bytes(struct bytes bytes)
{
    union {
        const uint8_t *borrowed;
        void *value;
    } at = {.borrowed = bytes.at}; /* LMDB does not write through it */

    return (MDB_val){bytes.len, at.value};
}

#endif
