/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/limits.h"

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/schema/entry.h"
#include "storage/service/listing.h"

#include "storage/service/operator.h"
#include "storage/service/route.h"
#include "storage/service/sessions.h"

unsigned limits_undelete_days(struct service *service)
{
    struct db_txn *txn = service_directory_begin(service);
    unsigned days = limits_days_kept(txn);

    db_abort(&txn);
    return days;
}

Pr__AccountQuota *limits_of_account(struct service *service, uint64_t account_id,
                                    struct arena *arena)
{
    struct db_txn *txn = service_directory_begin(service);
    Pr__AccountQuota *quota = limits_quota_by_id(txn, account_id, arena);

    db_abort(&txn);
    return quota;
}

unsigned service_format(struct service *service, uint32_t group)
{
    struct db_txn *txn = db_read_begin(service_db(service, group));
    unsigned format = machine_format(txn, group);

    db_abort(&txn);
    return format;
}

static void fill_policy(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                        Pr__Reply *reply)
{
    Pr__PolicyShowAnswer *answer = arena_alloc(arena, sizeof(*answer));

    (void)request;
    pr__policy_show_answer__init(answer);
    answer->policy = limits_policy(txn, arena);
    reply->answer_case = PR__REPLY__ANSWER_POLICY_SHOW;
    reply->policy_show = answer;
}

void policy_show_call(struct service_call *call)
{
    listing_call(call, fill_policy);
}

void policy_set_call(struct service_call *call)
{
    Pr__Command command = PR__COMMAND__INIT;

    command.call_case = PR__COMMAND__CALL_POLICY_SET;
    command.policy_set = call->request->policy_set;
    write_call(call, DIRECTORY_GROUP, &command);
}

void quota_set_call(struct service_call *call)
{
    Pr__QuotaSet *set = call->request->quota_set;
    Pr__Command command = PR__COMMAND__INIT;
    struct bytes name;

    if (set->address[0] != '\0') {
        if (!operator_address(call, set->address, &name))
            return;
        set->address = arena_string(&call->call_arena, name);
    } else if (set->domain[0] != '\0') {
        if (!operator_domain(call, set->domain, &name))
            return;
        set->domain = arena_string(&call->call_arena, name);
    } else {
        for (char *at = set->tenant; *at != '\0'; at++)
            *at = (char)byte_lower((uint8_t)*at);
    }
    /* A release that does not know the field would set the accounts' own limits. */
    if (set->together && service_format(call->service, DIRECTORY_GROUP) < FORMAT_SCOPES) {
        call_fail(call, ERR_UNSUPPORTED,
                  "a limit on all accounts together: not before the upgrade of the cluster is "
                  "finished: `postraft cluster upgrade`");
        return;
    }
    command.call_case = PR__COMMAND__CALL_QUOTA_SET;
    command.quota_set = set;
    write_call(call, DIRECTORY_GROUP, &command);
}

static void on_usage(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct service_call *call = context;
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
    const struct session *session =
        session_find(call->service->sessions, call->connection, call->session_id);
    Pr__Reply *reply =
        err == ERR_OK ? pr__reply__unpack(&allocator, packed.len, packed.at) : NULL;

    (void)index;
    if (reply == NULL || reply->err != ERR_OK || session == NULL ||
        reply->answer_case != PR__REPLY__ANSWER_QUOTA_READ) {
        call_fail(call,
                  err != ERR_OK      ? err
                  : session == NULL  ? ERR_NOSESSION
                  : reply == NULL    ? ERR_MALFORMED
                  : reply->err != 0u ? (enum err)reply->err
                                     : ERR_UNSUPPORTED,
                  NULL);
        return;
    }
    reply->quota_read->quota =
        limits_of_account(call->service, session->account_id, &call->call_arena);
    call_reply(call, reply);
}

void imap_quota_read(struct service_call *call)
{
    route_read(call, false, on_usage);
}
