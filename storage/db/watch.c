/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who wants to know which keys change. The list belongs to whoever has LMDB's write lock. */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/db/db.h"
#include "storage/db/key.h"
#include "storage/db/lmdb.h"

struct db_watch {
    struct db_watch *next;
    struct db *db;
    struct key group;
    db_watch_changed *changed;
    void *context;
};

void watches_tell(struct db_txn *txn, enum db_table table, struct bytes key)
{
    uint64_t number = mdb_txn_id(txn->txn);

    for (const struct db_watch *watch = txn->db->watches; watch != NULL; watch = watch->next)
        if (key.len >= watch->group.len &&
            memcmp(key.at, watch->group.at, watch->group.len) == 0)
            watch->changed(watch->context, number, table, key);
}

enum err db_watch_new(struct db *db, uint32_t group, db_watch_changed *changed, void *context,
                      struct db_watch **watch)
{
    struct db_watch *added;
    struct db_txn *txn = db_write_begin(db); /* nobody else writes */
    enum err err = db_error(txn);

    *watch = NULL;
    if (err == ERR_OK) {
        added = calloc(1, sizeof(*added));
        CHECK(added != NULL);
        added->db = db;
        added->changed = changed;
        added->context = context;
        key_group(&added->group, group);
        added->next = db->watches;
        db->watches = added;
        *watch = added;
    }
    db_abort(&txn);
    return err;
}

void db_watch_free(struct db_watch **watch)
{
    struct db_watch *ending = *watch;
    struct db_txn *txn;

    if (ending == NULL)
        return;
    txn = db_write_begin(ending->db);
    /* Without the lock, because the disk is gone, the process is about to end: it is leaked. */
    if (db_error(txn) == ERR_OK) {
        for (struct db_watch **link = &ending->db->watches; *link != NULL;
             link = &(*link)->next) {
            if (*link == ending) {
                *link = ending->next;
                break;
            }
        }
        free(ending);
    }
    db_abort(&txn);
    *watch = NULL;
}
