/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/operator.h"

/*
 * First the account goes from the directory: nobody logs in, nothing is delivered any more. Its
 * mail stays for the days of the policy, in which the account can be restored; the directory's
 * leader purges it then. Where nothing is kept it goes now, a number of messages at a time so
 * that no entry takes long to apply; what is cut short is finished by the directory's leader.
 */
#define PURGE_STEP_MS 10000

struct removal {
    struct service_call *call;
    struct read_job job;
    struct bytes address;
    bool found;
    uint64_t account_id;
    uint32_t group;
    unsigned kept_days;
};

static void removal_answer(struct removal *removal, const char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__Outcome outcome = PR__OUTCOME__INIT;

    outcome.id = removal->account_id;
    reply.outcome = &outcome;
    reply.text = arena_string(&removal->call->call_arena, bytes_of(text));
    call_reply(removal->call, &reply);
    free(removal);
}

static void removal_purge(struct removal *removal);

static void removal_purged(void *context, enum err err, const Pr__Outcome *outcome,
                           uint64_t index)
{
    struct removal *removal = context;

    (void)index;
    if (err == ERR_OK && outcome->err == ERR_CONFLICT &&
        clock_monotonic_ms() < removal->call->deadline_ms) {
        removal_purge(removal);
        return;
    }
    enum err result = err == ERR_OK ? (enum err)outcome->err : err;
    if (result == ERR_OK || result == ERR_NOTFOUND) {
        removal_answer(removal, "the account and all of its mail are removed");
        return;
    }
    log_info(NULL, "mail of a removed account is freed later",
             LOG_FIELDS(LOG_U64("account", removal->account_id),
                        LOG_U64("group", removal->group), LOG_TEXT("error", err_name(result))));
    removal_answer(removal, arena_printf(&removal->call->call_arena,
                                         "the account is removed; its mail, reachable by "
                                         "nobody, is freed in the background (account %llu in "
                                         "group %u: %s)",
                                         (unsigned long long)removal->account_id,
                                         (unsigned)removal->group, err_text(result)));
}

static void removal_purge(struct removal *removal)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;

    purge.account_id = removal->account_id;
    purge.limit = OPERATOR_PURGE_MESSAGES;
    command.call_case = PR__COMMAND__CALL_ACCOUNT_PURGE;
    command.account_purge = &purge;
    write_start(removal->call->service, removal->group, &command,
                clock_monotonic_ms() + PURGE_STEP_MS, removal_purged, removal);
}

static void removal_done(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct removal *removal = context;

    (void)index;
    if (err == ERR_OK && outcome->err == ERR_OK && removal->kept_days > 0) {
        removal_answer(removal, arena_printf(&removal->call->call_arena,
                                             "the account is removed; for %u days `postraft "
                                             "account restore` brings it back with its mail",
                                             removal->kept_days));
        return;
    }
    if (err == ERR_OK && outcome->err == ERR_OK) {
        removal_purge(removal);
        return;
    }
    call_outcome(removal->call, err, outcome);
    free(removal);
}

static void removal_work(struct read_job *job, struct db_txn *txn)
{
    struct removal *removal = job->context;
    struct arena record_arena;

    arena_init(&record_arena);
    const Pr__AccountRecord *record = directory_account(txn, removal->address, &record_arena);
    removal->found = record != NULL;
    if (record != NULL) {
        removal->account_id = record->id;
        removal->group = record->group;
    }
    /* The first format's directory remembers nothing of a removed account. */
    if (machine_format(txn, DIRECTORY_GROUP) >= FORMAT_DEPTH)
        removal->kept_days = limits_policy(txn, &record_arena)->undelete_days;
    arena_fini(&record_arena);
}

static void removal_found(struct read_job *job, enum err err, uint64_t index)
{
    struct removal *removal = job->context;
    struct service_call *call = removal->call;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountRemove remove = PR__ACCOUNT_REMOVE__INIT;

    (void)index;
    if (err != ERR_OK || !removal->found) {
        if (err != ERR_OK)
            call_fail(call, err, NULL);
        else
            call_fail(call, ERR_NOTFOUND,
                      arena_printf(&call->call_arena, "there is no account %.*s",
                                   BYTES_ARG(removal->address)));
        free(removal);
        return;
    }
    remove.address = arena_string(&call->call_arena, removal->address);
    remove.keep_ms = (uint64_t)removal->kept_days * 24 * 60 * 60 * 1000;
    command.call_case = PR__COMMAND__CALL_ACCOUNT_REMOVE;
    command.account_remove = &remove;
    command.request_id = call->request->request_id;
    write_start(call->service, DIRECTORY_GROUP, &command, call->deadline_ms, removal_done,
                removal);
}

void account_remove_call(struct service_call *call)
{
    struct bytes address;

    if (!operator_address(call, call->request->account_remove->address, &address))
        return;
    struct removal *removal = calloc(1, sizeof(*removal));
    CHECK(removal != NULL);
    removal->call = call;
    removal->address = address;
    removal->job = (struct read_job){
        .service = call->service,
        .group = DIRECTORY_GROUP,
        .fresh = true,
        .deadline_ms = call->deadline_ms,
        .work = removal_work,
        .done = removal_found,
        .context = removal,
    };
    read_start(&removal->job);
}
