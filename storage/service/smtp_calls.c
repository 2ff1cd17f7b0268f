/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/smtp_calls.h"

#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/service/mail_read.h"
#include "storage/service/route.h"
#include "storage/service/scopes.h"
#include "storage/service/sessions.h"

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

/* The group of the account that a call is about; false when there is none (and the call has
 * been answered). */
static bool group_of_call(struct service_call *call, uint64_t account_id, uint32_t *group)
{
    struct bytes address;

    if (call->session != NULL) {
        *group = call->session->group;
        return true;
    }
    struct db_txn *txn = service_directory_begin(call->service);
    bool found = call->role == ROLE_SMTP &&
                 directory_account_by_id(txn, account_id, &call->call_arena, &address, group);
    db_abort(&txn);
    if (!found)
        call_fail(call, ERR_NOTFOUND, NULL);
    return found;
}

static void on_uploaded(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index,
                        uint32_t group)
{
    (void)index;
    (void)group;
    call_outcome(context, err, outcome);
}

void smtp_upload(struct service_call *call)
{
    const Pr__UploadCall *upload = call->request->upload;
    Pr__Command *command = arena_alloc(&call->call_arena, sizeof(*command));
    Pr__UploadBlock *block = arena_alloc(&call->call_arena, sizeof(*block));
    struct bytes request_id = bytes_of_field(call->request->request_id);
    uint32_t group;

    if (upload->upload_id.len != REQUEST_ID_SIZE || upload->number >= BODY_BLOCKS_MAX ||
        upload->data.len == 0 || upload->data.len > BODY_FRAME_SIZE_MAX ||
        (request_id.len != 0 && request_id.len != REQUEST_ID_SIZE)) {
        call_fail(call, ERR_INVALID, NULL);
        return;
    }
    if (!group_of_call(call, upload->account_id, &group))
        return;
    pr__command__init(command);
    pr__upload_block__init(block);
    block->upload_id = upload->upload_id;
    block->number = upload->number;
    block->data = upload->data;
    command->call_case = PR__COMMAND__CALL_UPLOAD_BLOCK;
    command->upload_block = block;
    const struct route_request route = {
        .service = call->service,
        .account_id = call->session != NULL ? call->session->account_id : upload->account_id,
        .request_id = request_id,
        .deadline_ms = call->deadline_ms,
        .command = command,
        .done = on_uploaded,
        .context = call,
    };
    route_write(&route);
}

void smtp_upload_abort(struct service_call *call)
{
    const Pr__UploadAbort *abort = call->request->upload_abort;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__UploadDrop drop = PR__UPLOAD_DROP__INIT;
    uint32_t group;

    if (abort->upload_id.len != REQUEST_ID_SIZE) {
        call_fail(call, ERR_INVALID, NULL);
        return;
    }
    if (!group_of_call(call, abort->account_id, &group))
        return;
    drop.upload_id = abort->upload_id;
    command.call_case = PR__COMMAND__CALL_UPLOAD_DROP;
    command.upload_drop = &drop;
    write_call(call, group, &command);
}

/* Adds a recipient to its group's hand-over, which is made when it is the group's first. */
static void add_handover(struct service_call *call, Pr__Deliver *deliver, uint32_t group,
                         Pr__Recipient *recipient)
{
    Pr__Handover *handover = NULL;
    size_t room = call->request->deliver->n_account_ids;

    for (size_t i = 0; i < deliver->n_handovers; i++)
        if (deliver->handovers[i]->group == group)
            handover = deliver->handovers[i];
    if (handover == NULL) {
        handover = arena_alloc(&call->call_arena, sizeof(*handover));
        pr__handover__init(handover);
        handover->group = group;
        handover->recipients =
            arena_alloc(&call->call_arena, room * sizeof(*handover->recipients));
        deliver->handovers[deliver->n_handovers++] = handover;
    }
    handover->recipients[handover->n_recipients++] = recipient;
}

/* Every recipient with its group; the first one's group takes the message, and hands it over to
 * the others. */
static bool place_recipients(void *context, struct db_txn *txn, uint32_t home)
{
    struct service_call *call = context;
    const Pr__DeliverCall *asked = call->request->deliver;
    Pr__Deliver *deliver = call->request_deliver;
    size_t room = asked->n_account_ids;
    struct bytes address;
    uint32_t group = 0;
    bool found = true;

    deliver->n_recipients = deliver->n_handovers = 0;
    deliver->recipients = arena_alloc(&call->call_arena, room * sizeof(*deliver->recipients));
    deliver->handovers = arena_alloc(&call->call_arena, room * sizeof(*deliver->handovers));
    for (size_t i = 0; i < room && found; i++) {
        Pr__Recipient *recipient = arena_alloc(&call->call_arena, sizeof(*recipient));
        pr__recipient__init(recipient);
        recipient->account_id = asked->account_ids[i];
        found = directory_account_by_id(txn, recipient->account_id, &call->call_arena, &address,
                                        &group);
        if (group == home) {
            recipient->quota =
                limits_quota_by_id(txn, recipient->account_id, &call->call_arena);
            recipient->scopes = scopes_of_command(call->service, txn, home,
                                                  recipient->account_id, &call->call_arena);
            deliver->recipients[deliver->n_recipients++] = recipient;
        } else {
            add_handover(call, deliver, group, recipient); /* accepted above limits, too */
        }
    }
    return found;
}

static void on_delivered(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index, uint32_t group)
{
    struct service_call *call = context;

    (void)index;
    (void)group;
    if (err == ERR_NOTFOUND)
        call_fail(call, ERR_NOTFOUND, "an account was removed in the meantime");
    else
        call_outcome(call, err, outcome);
}

void smtp_deliver(struct service_call *call)
{
    const Pr__DeliverCall *asked = call->request->deliver;
    Pr__Command *command = arena_alloc(&call->call_arena, sizeof(*command));
    Pr__Deliver *deliver = arena_alloc(&call->call_arena, sizeof(*deliver));

    if (asked->body == NULL || asked->n_account_ids == 0 ||
        asked->n_account_ids > DELIVER_RECIPIENTS_MAX ||
        call->request->request_id.len != REQUEST_ID_SIZE) {
        call_fail(call, ERR_INVALID, NULL);
        return;
    }
    pr__command__init(command);
    pr__deliver__init(deliver);
    deliver->body = asked->body;
    command->call_case = PR__COMMAND__CALL_DELIVER;
    command->deliver = deliver;
    const struct route_request route = {
        .service = call->service,
        .account_id = asked->account_ids[0],
        .request_id = bytes_of_field(call->request->request_id),
        .deadline_ms = call->deadline_ms,
        .command = command,
        .adapt = place_recipients,
        .done = on_delivered,
        .context = call,
    };
    call->request_deliver = deliver;
    route_write(&route);
}
