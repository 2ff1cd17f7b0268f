/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/smtp_calls.h"

#include "node/mail/idn.h"
#include "storage/query/addresses.h"
#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/query/settings.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"
#include "storage/service/mail_read.h"
#include "storage/service/sessions.h"
#include "storage/service/smtp_rights.h"

/* A recipient being resolved. */
struct recipient {
    struct service_call *call;
    struct addresses_answer answer;
    Pr__AccountQuota *quota; /* of the one account that it is; NULL: no limit, or several */
    bool permanent;          /* the policy: a full account refuses for good */
    Pr__Request ask;
    Pr__QuotaRead quota_read;
};

static void leave_as(struct recipient *recipient, char *address)
{
    struct arena *arena = &recipient->call->call_arena;
    Pr__ResolveAnswer *answer = &recipient->answer.message;
    Pr__ResolvedTarget *target = arena_alloc(arena, sizeof(*target));

    pr__resolved_target__init(target);
    target->remote = address;
    target->keep_sender = true;
    answer->targets = arena_alloc(arena, sizeof(*answer->targets));
    answer->targets[0] = target;
    answer->n_targets = 1;
}

/* An address on another host, to which somebody who has logged in writes, or a relay gives
 * notice of what became of a message: nobody's setting bars that. */
static enum err leave(struct recipient *recipient, struct db_txn *txn)
{
    struct service_call *call = recipient->call;
    struct arena *arena = &call->call_arena;
    Pr__ResolveAnswer *answer = &recipient->answer.message;
    const struct session *session = /* it may have ended while the directory was asked */
        session_find(call->service->sessions, call->connection, call->session_id);
    const Pr__AccountRecord *account =
        session != NULL ? directory_account(txn, bytes_of(session->address), arena) : NULL;

    if (call->role == ROLE_RELAY) {
        leave_as(recipient, call->request->resolve->address);
        return ERR_OK;
    }
    if (account == NULL)
        return ERR_NOSESSION;
    if (settings_number(txn, settings_place_account(txn, account, arena),
                        SETTING_MAIL_OUTBOUND) == 0) {
        answer->trouble = PR__RESOLVE_ANSWER__TROUBLE__OUTBOUND_OFF;
        answer->permanent = true;
        return ERR_DENIED;
    }
    leave_as(recipient, call->request->resolve->address);
    return ERR_OK;
}

/* Front ends fold the letters of ASCII; of others there is more to it (node/mail/idn.h). */
static struct bytes looked_up(const Pr__Resolve *asked, struct arena *arena)
{
    struct bytes address = bytes_of(asked->address);
    struct mail_path folded;

    for (size_t i = 0; i < address.len; i++)
        if (address.at[i] > 0x7f)
            return mail_address_read(address, arena, &folded) == ERR_OK
                       ? address_fold(arena, folded.local, folded.domain)
                       : address;
    return address;
}

static enum err look_up(struct recipient *recipient)
{
    struct service_call *call = recipient->call;
    struct arena *arena = &call->call_arena;
    const Pr__Resolve *asked = call->request->resolve;
    const struct addresses_question question = {
        .address = looked_up(asked, arena),
        .sender = bytes_of(asked->sender),
        .now_s = (int64_t)(clock_wall_ms() / 1000),
    };
    struct db_txn *txn = service_directory_begin(call->service);
    enum err err = addresses_resolve(txn, &question, arena, &recipient->answer);

    /* What stands for many is accepted whatever room one of them has. */
    if (err == ERR_OK && recipient->answer.account_count == 1 &&
        recipient->answer.message.n_targets == 1) {
        const Pr__AccountRecord *account = recipient->answer.accounts[0].record;
        recipient->quota = limits_quota(txn, account, arena);
        if (recipient->quota != NULL)
            recipient->permanent = addresses_full_permanent(txn, account, arena);
    }
    if (err == ERR_NOTFOUND && !recipient->answer.message.domain_local &&
        (call->session_id != 0 || call->role == ROLE_RELAY))
        err = leave(recipient, txn);
    db_abort(&txn);
    return err;
}

static void resolved(struct recipient *recipient, enum err err)
{
    Pr__Reply reply = PR__REPLY__INIT;

    if (err == ERR_OK)
        smtp_rights_promise(recipient->call, &recipient->answer.message);
    reply.err = err;
    reply.answer_case = PR__REPLY__ANSWER_RESOLVE;
    reply.resolve = &recipient->answer.message;
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
    recipient->answer.message.permanent = full && recipient->permanent;
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

    if (recipient->quota == NULL || call->role == ROLE_RELAY) {
        resolved(recipient, ERR_OK);
        return;
    }
    pr__request__init(&recipient->ask);
    pr__quota_read__init(&recipient->quota_read);
    recipient->ask.call_case = PR__REQUEST__CALL_QUOTA_READ;
    recipient->ask.quota_read = &recipient->quota_read;
    const struct mail_read read = {
        .account = {.group = recipient->answer.accounts[0].group,
                    .account_id = recipient->answer.accounts[0].record->id},
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
    pr__resolve_answer__init(&recipient->answer.message);
    err = look_up(recipient);
    if (err == ERR_NOTFOUND)
        replicator_read(call->service->replicator, DIRECTORY_GROUP, call->deadline_ms,
                        on_directory_fresh, recipient);
    else if (err == ERR_OK)
        room_check(recipient);
    else
        resolved(recipient, err);
}
