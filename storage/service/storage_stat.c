/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lies on this node's disk, for operators. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node/base/check.h"
#include "storage/service/node_log.h"
#include "storage/service/operator.h"

enum { STAT_BLOCK_BYTES = 512 }; /* of st_blocks */

struct stating {
    struct service_call *call;
    Pr__StorageStatAnswer answer;
};

static uint64_t file_bytes(const struct service *service, const char *name)
{
    char path[4096];
    struct stat status;

    snprintf(path, sizeof(path), "%s/%s/data.mdb", service->config->folder, name);
    return stat(path, &status) == 0 ? (uint64_t)status.st_blocks * STAT_BLOCK_BYTES : 0;
}

static Pr__StorageEnvironment *add_environment(struct stating *stating, const char *name)
{
    struct arena *arena = &stating->call->call_arena;
    Pr__StorageEnvironment *made = arena_alloc(arena, sizeof(*made));

    pr__storage_environment__init(made);
    made->name = arena_string(arena, bytes_of(name));
    made->file_bytes = file_bytes(stating->call->service, name);
    stating->answer.environments[stating->answer.n_environments++] = made;
    return made;
}

static void add_log(struct stating *stating)
{
    struct journal_statistics statistics;
    Pr__StorageEnvironment *made = add_environment(stating, "log");

    replication_log_statistics(stating->call->service, &statistics);
    if (statistics.segments == 0)
        return;
    made->file_bytes = statistics.file_bytes;
    made->used_bytes = statistics.used_bytes;
    made->free_bytes = statistics.used_bytes - statistics.live_bytes;
}

static void add_tables(struct stating *stating, Pr__StorageEnvironment *environment,
                       struct db *db)
{
    struct arena *arena = &stating->call->call_arena;

    environment->tables = arena_alloc(arena, TABLE_COUNT * sizeof(*environment->tables));
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        Pr__StorageTable *table = arena_alloc(arena, sizeof(*table));
        pr__storage_table__init(table);
        table->name = arena_string(arena, bytes_of(db_table_name((enum db_table)i)));
        db_table_statistics(db, (enum db_table)i, &table->rows, &table->bytes);
        environment->tables[environment->n_tables++] = table;
    }
}

/* In a pool thread: the list of free pages may be long. */
static void in_pool(void *context)
{
    struct stating *stating = context;
    struct service *service = stating->call->service;

    stating->answer.environments =
        arena_alloc(&stating->call->call_arena,
                    (SERVICE_LANES_MAX + 1) * sizeof(*stating->answer.environments));
    add_log(stating);
    for (unsigned lane = 0; lane < service->lane_count; lane++) {
        char name[32];
        struct db_statistics statistics;
        snprintf(name, sizeof(name), "state-%u", lane);
        Pr__StorageEnvironment *made = add_environment(stating, name);
        db_statistics(service->lanes[lane], &statistics);
        made->map_bytes = statistics.map_bytes;
        made->used_bytes = statistics.used_bytes;
        made->free_bytes = statistics.free_bytes;
        made->reading = statistics.reading;
        made->oldest_read_ms = statistics.oldest_read_ms;
        add_tables(stating, made, service->lanes[lane]);
    }
}

static void on_done(void *context)
{
    struct stating *stating = context;
    Pr__Reply reply = PR__REPLY__INIT;

    reply.answer_case = PR__REPLY__ANSWER_STORAGE_STAT;
    reply.storage_stat = &stating->answer;
    call_reply(stating->call, &reply);
    free(stating);
}

void storage_stat_call(struct service_call *call)
{
    struct stating *stating = calloc(1, sizeof(*stating));

    CHECK(stating != NULL);
    stating->call = call;
    pr__storage_stat_answer__init(&stating->answer);
    loop_work(call->service->loop, in_pool, on_done, stating);
}
