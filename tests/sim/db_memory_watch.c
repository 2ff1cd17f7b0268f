/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who wants to know which keys change. */
#include <stdlib.h>

#include "node/base/check.h"
#include "tests/sim/db_memory_internal.h"

struct db_watch {
    struct db_watch *next;
    struct db *db;
    uint32_t group;
    db_watch_changed *changed;
    void *context;
};

static bool is_of_group(struct bytes key, uint32_t group)
{
    return key.len >= 4 && ((uint32_t)key.at[0] << 24 | (uint32_t)key.at[1] << 16 |
                            (uint32_t)key.at[2] << 8 | key.at[3]) == group;
}

void db_watches_tell(struct db_txn *txn, enum db_table table, struct bytes key)
{
    for (const struct db_watch *watch = txn->db->watches; watch != NULL; watch = watch->next)
        if (is_of_group(key, watch->group))
            watch->changed(watch->context, db_txn_number(txn), table, key);
}

enum err db_watch_new(struct db *db, uint32_t group, db_watch_changed *changed, void *context,
                      struct db_watch **watch)
{
    struct db_watch *added = calloc(1, sizeof(*added));

    CHECK(added != NULL && !db->writing);
    *added = (struct db_watch){
        .next = db->watches, .db = db, .group = group, .changed = changed, .context = context};
    db->watches = added;
    *watch = added;
    return ERR_OK;
}

void db_watch_free(struct db_watch **watch)
{
    struct db_watch *ending = *watch;
    struct db_watch **link;

    if (ending == NULL)
        return;
    CHECK(!ending->db->writing);
    for (link = &ending->db->watches; *link != ending; link = &(*link)->next)
        CHECK(*link != NULL);
    *link = ending->next;
    free(ending);
    *watch = NULL;
}
