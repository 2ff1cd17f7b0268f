/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/account_find.h"

#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/service/operator.h"

/* The call's arena is nobody else's as long as the read is under way. */
static void work(struct read_job *job, struct db_txn *txn)
{
    struct account_find *find = job->context;
    struct arena *arena = &find->call->call_arena;
    const Pr__AccountRecord *record = directory_account(txn, find->address, arena);

    find->known = record != NULL;
    if (record == NULL)
        return;
    find->account_id = record->id;
    find->group = record->group;
    find->quota = limits_quota(txn, record, arena);
}

static void done(struct read_job *job, enum err err, uint64_t index)
{
    struct account_find *find = job->context;

    (void)index;
    if (err != ERR_OK)
        call_fail(find->call, err, NULL);
    else if (!find->known && !find->missing_too)
        call_fail(find->call, ERR_NOTFOUND,
                  arena_printf(&find->call->call_arena, "there is no account %.*s",
                               BYTES_ARG(find->address)));
    else
        find->found(find);
}

void account_find_start(struct account_find *find, const char *typed)
{
    if (!operator_address(find->call, typed, &find->address))
        return;
    find->job = (struct read_job){
        .service = find->call->service,
        .group = DIRECTORY_GROUP,
        .fresh = true,
        .deadline_ms = find->call->deadline_ms,
        .work = work,
        .done = done,
        .context = find,
    };
    read_start(&find->job);
}
