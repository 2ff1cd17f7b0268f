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
};

struct db_txn {
    struct db *db;
    MDB_txn *txn;
    enum err err; /* the first error; set once */
    bool write;
    unsigned cursors; /* open ones; none may be left at the end */
    struct db_txn *next;
};

enum err err_from_lmdb(int code);

/* Notes the error of a call, unless there was one. Returns it; NOTFOUND is only returned. */
enum err db_note(struct db_txn *txn, int code);

static inline MDB_val val_of_bytes(struct bytes bytes)
{
    union {
        const uint8_t *borrowed;
        void *value;
    } at = {.borrowed = bytes.at}; /* LMDB does not write through it */

    return (MDB_val){bytes.len, at.value};
}

#endif
