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

#endif
