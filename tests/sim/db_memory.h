/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_DB_MEMORY_H
#define TESTS_SIM_DB_MEMORY_H

#include "storage/db/db.h"

/*
 * storage/db/db.h in memory, for one thread. db_open() makes an empty database and looks at no
 * folder; what shall outlive a crash is the `struct db` itself. As with MDB_NOMETASYNC a commit
 * makes the one before it durable, and db_sync() makes all of them so.
 */

/* A power loss: with `lose_last` a commit that is not durable is gone. No transaction may be
 * open. */
void db_memory_crash(struct db *db, bool lose_last);

/* The same for a process whose threads still write into `db` while it is taken down: what will
 * be there afterwards, and the return to it. */
struct db_memory_point;
struct db_memory_point *db_memory_survivor(struct db *db, bool lose_last);
void db_memory_survive(struct db *db, struct db_memory_point **point);

/* The tables as a transaction has them now, to which it can go back. The end of the transaction
 * does not end it. */
struct db_memory_point *db_memory_point_new(struct db_txn *txn);
/* Goes back and frees the point. No cursor may be open. */
void db_memory_point_return(struct db_txn *txn, struct db_memory_point **point);

#endif
