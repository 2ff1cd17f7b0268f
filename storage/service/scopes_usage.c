/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/scopes_usage.h"

#include "storage/query/directory.h"
#include "storage/query/scopes.h"
#include "storage/schema/entry.h"
#include "storage/service/mail_read.h"

struct scopes_usage {
    struct service_call *call;
    Pr__Request request;
    Pr__ScopeRead read;
    uint32_t *groups;
    size_t group_count;
    size_t asked;
    size_t waiting;
    Pr__ScopeUsage **usages;
    uint32_t *silent;
    size_t silent_count;
    scopes_usage_done *done;
};

/* A question to one group. */
struct question {
    struct scopes_usage *usage;
    uint32_t group;
};

enum err scopes_usage_read(struct db_txn *txn, uint32_t group, const Pr__ScopeRead *call,
                           struct arena *arena, Pr__ScopeReadAnswer *answer)
{
    if (call->n_ids > SCOPES_READ_MAX)
        return ERR_TOOBIG;
    answer->shares = arena_alloc(arena, call->n_ids * sizeof(*answer->shares));
    answer->n_shares = call->n_ids;
    for (size_t i = 0; i < call->n_ids; i++) {
        const struct scopes_place place = {call->kind, call->ids[i]};
        answer->shares[i] = scopes_share(txn, group, place, arena);
        if (call->kind == PR__SCOPE_KIND__SCOPE_SENDING)
            scopes_sent_at(txn, group, clock_wall_ms(), answer->shares[i]);
    }
    return db_error(txn);
}

static void usage_add(struct scopes_usage *usage, size_t at, Pr__ScopeShare *share)
{
    Pr__ScopeUsage *sum = usage->usages[at];
    bool limited = share->limit != 0 && share->version != UINT64_MAX;

    if (share->used_bytes == 0 && share->used_messages == 0 && !limited)
        return;
    if (sum->shares == NULL)
        sum->shares =
            arena_alloc(&usage->call->call_arena, usage->group_count * sizeof(*sum->shares));
    sum->shares[sum->n_shares++] = share;
    sum->bytes += share->used_bytes;
    sum->messages += share->used_messages;
}

static void usage_go_on(struct scopes_usage *usage);

static void on_read(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct question *question = context;
    struct scopes_usage *usage = question->usage;
    ProtobufCAllocator allocator = arena_allocator(&usage->call->call_arena);
    const Pr__Reply *reply =
        err == ERR_OK ? pr__reply__unpack(&allocator, packed.len, packed.at) : NULL;

    (void)index;
    if (reply == NULL || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_SCOPE_READ ||
        reply->scope_read->n_shares != usage->read.n_ids)
        usage->silent[usage->silent_count++] = question->group;
    else
        for (size_t i = 0; i < usage->read.n_ids; i++)
            usage_add(usage, i, reply->scope_read->shares[i]);
    usage->waiting--;
    usage_go_on(usage);
}

static void question_send(struct scopes_usage *usage, uint32_t group)
{
    struct service_call *call = usage->call;
    struct question *question = arena_alloc(&call->call_arena, sizeof(*question));
    uint64_t soon_ms = clock_monotonic_ms() + SCOPES_USAGE_MS;

    *question = (struct question){usage, group};
    const struct mail_read read = {
        .account = {.group = group},
        .fresh = true,
        .deadline_ms = soon_ms < call->deadline_ms ? soon_ms : call->deadline_ms,
        .request = &usage->request,
    };
    usage->waiting++;
    mail_read_start(call->service, &read, on_read, question);
}

static void usage_go_on(struct scopes_usage *usage)
{
    while (usage->asked < usage->group_count && usage->waiting < SCOPES_USAGE_PARALLEL)
        question_send(usage, usage->groups[usage->asked++]);
    if (usage->waiting == 0)
        usage->done(usage->call, usage->usages, usage->silent, usage->silent_count);
}

static void on_begin(void *context)
{
    usage_go_on(context);
}

/* Groups that have begun: others have no accounts. */
static void groups_find(struct scopes_usage *usage)
{
    struct service_call *call = usage->call;
    struct db_txn *txn = service_directory_begin(call->service);
    Pr__GroupRecord **records;
    size_t count;

    directory_groups(txn, &call->call_arena, &records, &count);
    db_abort(&txn);
    usage->groups = arena_alloc(&call->call_arena, count * sizeof(*usage->groups));
    usage->silent = arena_alloc(&call->call_arena, count * sizeof(*usage->silent));
    for (size_t i = 0; i < count; i++)
        if (records[i]->group != DIRECTORY_GROUP &&
            (records[i]->birth_node_id == 0 || records[i]->placed_version != 0))
            usage->groups[usage->group_count++] = records[i]->group;
}

void scopes_usage_start(struct service_call *call, Pr__ScopeKind kind, uint64_t *ids,
                        size_t count, scopes_usage_done *done)
{
    struct scopes_usage *usage = arena_alloc(&call->call_arena, sizeof(*usage));

    *usage = (struct scopes_usage){.call = call, .done = done};
    pr__scope_read__init(&usage->read);
    usage->read.kind = kind;
    usage->read.ids = ids;
    usage->read.n_ids = count;
    pr__request__init(&usage->request);
    usage->request.call_case = PR__REQUEST__CALL_SCOPE_READ;
    usage->request.scope_read = &usage->read;
    usage->usages = arena_alloc(&call->call_arena, count * sizeof(*usage->usages));
    for (size_t i = 0; i < count; i++) {
        usage->usages[i] = arena_alloc(&call->call_arena, sizeof(**usage->usages));
        pr__scope_usage__init(usage->usages[i]);
    }
    groups_find(usage);
    loop_post(call->service->loop, on_begin, usage);
}
