/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/service/placement.h"
#include "storage/service/placement_plan.h"

/*
 * A replica that went elsewhere is dropped by its own node, since Raft does not tell the
 * removed one. The directory's word counts (GroupPlaced: the leader has seen the members
 * change), and it is asked for afresh: an old copy could be from before the group came back
 * here.
 */

enum { FRESH_MS = 5000 };

struct drop {
    struct service *service;
    uint32_t group;
    void (*done)(void *context, enum err err);
    void *context;
};

static void end(struct drop *drop, enum err err)
{
    drop->done(drop->context, err);
    free(drop);
}

static void on_removed(void *context, enum err err)
{
    struct drop *drop = context;

    if (err == ERR_OK)
        log_info(NULL, "dropped a replica that went elsewhere",
                 LOG_FIELDS(LOG_U64("group", drop->group)));
    end(drop, err);
}

static void on_fresh(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct drop *drop = context;
    struct arena look_arena;
    bool wanted = true;

    (void)index;
    (void)reply;
    struct db_txn *txn = err == ERR_OK ? service_directory_begin(drop->service) : NULL;
    if (txn == NULL) {
        end(drop, err != ERR_OK ? err : ERR_UNAVAILABLE);
        return;
    }
    arena_init(&look_arena);
    const Pr__GroupRecord *record = directory_group(txn, drop->group, &look_arena);
    if (record != NULL)
        wanted = !placement_gave_up(record, service_self(drop->service));
    db_abort(&txn);
    arena_fini(&look_arena);
    if (wanted)
        end(drop, ERR_CONFLICT);
    else
        replicator_group_remove(drop->service->replicator, drop->group, true, on_removed, drop);
}

void placement_drop(struct service *service, uint32_t group,
                    void (*done)(void *context, enum err err), void *context)
{
    struct drop *drop = calloc(1, sizeof(*drop));

    CHECK(drop != NULL);
    *drop = (struct drop){service, group, done, context};
    replicator_read(service->replicator, DIRECTORY_GROUP, clock_monotonic_ms() + FRESH_MS,
                    on_fresh, drop);
}
