/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/smtp_calls.h"

#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"
#include "storage/service/mail_read.h"

/* A recipient that is there. */
struct recipient {
    struct service_call *call;
    Pr__ResolveAnswer answer;
    uint32_t group;
    Pr__AccountQuota *quota; /* NULL: no limit */
    bool permanent;          /* the policy: a full account refuses for good */
    Pr__Request ask;
    Pr__QuotaRead quota_read;
};

/* ERR_NOTFOUND, with the answer telling whether the domain is ours. */
static enum err look_up(struct recipient *recipient)
{
    struct service_call *call = recipient->call;
    Pr__ResolveAnswer *answer = &recipient->answer;
    struct bytes address = bytes_of(call->request->resolve->address);
    struct bytes local;
    struct bytes domain;
    struct db_txn *txn = service_directory_begin(call->service);
    Pr__AccountRecord *account = directory_account(txn, address, &call->call_arena);

    if (account != NULL) {
        answer->account_id = account->id;
        recipient->group = account->group;
        recipient->quota = limits_quota(txn, account, &call->call_arena);
        if (recipient->quota != NULL)
            recipient->permanent = limits_policy(txn, &call->call_arena)->over_quota_permanent;
    }
    answer->domain_local =
        account != NULL || (address_split(address, &local, &domain) &&
                            directory_domain(txn, domain, &call->call_arena) != NULL);
    enum err err = db_error(txn);
    db_abort(&txn);
    if (err != ERR_OK)
        return err;
    return account != NULL ? ERR_OK : ERR_NOTFOUND;
}

static void resolved(struct recipient *recipient, enum err err)
{
    Pr__Reply reply = PR__REPLY__INIT;

    reply.err = err;
    reply.answer_case = PR__REPLY__ANSWER_RESOLVE;
    reply.resolve = &recipient->answer;
    call_reply(recipient->call, &reply);
}

static bool is_full(const struct recipient *recipient, const Pr__QuotaReadAnswer *usage)
{
    const Pr__AccountQuota *quota = recipient->quota;
    uint64_t size = recipient->call->request->resolve->size;

    if (quota->messages != 0 && usage->messages >= quota->messages)
        return true;
    if (quota->bytes == 0)
        return false;
    return size == 0 ? usage->size >= quota->bytes
                     : usage->size > quota->bytes || size > quota->bytes - usage->size;
}

static void on_usage(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct recipient *recipient = context;
    ProtobufCAllocator allocator = arena_allocator(&recipient->call->call_arena);
    Pr__Reply *reply =
        err == ERR_OK ? pr__reply__unpack(&allocator, packed.len, packed.at) : NULL;

    (void)index;
    /* Who cannot be asked now is asked by the delivery itself. */
    bool full = reply != NULL && reply->err == ERR_OK &&
                reply->answer_case == PR__REPLY__ANSWER_QUOTA_READ &&
                is_full(recipient, reply->quota_read);
    recipient->answer.permanent = full && recipient->permanent;
    resolved(recipient, full ? ERR_QUOTA : ERR_OK);
}

/*
 * An account that has a limit is asked how full it is, so that a message for several people is
 * refused here for the one whose account is full, and goes to the others. The delivery checks
 * again, exactly.
 */
static void room_check(struct recipient *recipient)
{
    struct service_call *call = recipient->call;

    if (recipient->quota == NULL) {
        resolved(recipient, ERR_OK);
        return;
    }
    pr__request__init(&recipient->ask);
    pr__quota_read__init(&recipient->quota_read);
    recipient->ask.call_case = PR__REQUEST__CALL_QUOTA_READ;
    recipient->ask.quota_read = &recipient->quota_read;
    const struct mail_read read = {
        .account = {.group = recipient->group, .account_id = recipient->answer.account_id},
        .deadline_ms = call->deadline_ms,
        .request = &recipient->ask,
    };
    mail_read_start(call->service, &read, on_usage, recipient);
}

static void on_directory_fresh(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct recipient *recipient = context;

    (void)index;
    (void)unused;
    if (err != ERR_OK) {
        call_fail(recipient->call, ERR_UNAVAILABLE, NULL);
        return;
    }
    err = look_up(recipient);
    if (err == ERR_OK)
        room_check(recipient);
    else
        resolved(recipient, err);
}

/*
 * Most recipients are found at once in this node's copy of the directory. That somebody is
 * unknown is said for good (550), so it is said only of a copy that is as new as the leader's:
 * the account may have been added a moment ago, on another node.
 */
void smtp_resolve(struct service_call *call)
{
    struct recipient *recipient = arena_alloc(&call->call_arena, sizeof(*recipient));
    enum err err;

    memset(recipient, 0, sizeof(*recipient));
    recipient->call = call;
    pr__resolve_answer__init(&recipient->answer);
    err = look_up(recipient);
    if (err == ERR_NOTFOUND)
        replicator_read(call->service->replicator, DIRECTORY_GROUP, call->deadline_ms,
                        on_directory_fresh, recipient);
    else if (err == ERR_OK)
        room_check(recipient);
    else
        resolved(recipient, err);
}
