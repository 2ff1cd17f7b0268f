/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/imap_calls.h"

#include "node/base/check.h"
#include "storage/query/limits.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/service/route.h"
#include "storage/service/scopes.h"
#include "storage/service/sessions.h"
#include "storage/service/watch.h"

/* The session as it is now; NULL when it ended while the call was under way. */
static struct session *session_now(const struct service_call *call)
{
    return session_find(call->service->sessions, call->connection, call->session_id);
}

static void on_read(void *context, enum err err, struct bytes reply, uint64_t index)
{
    struct service_call *call = context;

    (void)index;
    if (err != ERR_OK) {
        call_fail(call, err, NULL);
        return;
    }
    call_reply_packed(call, reply);
}

void imap_read(struct service_call *call)
{
    const Pr__Request *request = call->request;
    /* What a user asks to see anew is fresh; the rest answers from what the session has seen.
     */
    bool fresh = (request->call_case == PR__REQUEST__CALL_CHANGES && request->changes->fresh) ||
                 (request->call_case == PR__REQUEST__CALL_MAILBOX_LIST &&
                  request->mailbox_list->with_status);

    route_read(call, fresh, on_read);
}

static void on_opened(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct service_call *call = context;
    struct session *session = session_now(call);

    (void)index;
    if (err != ERR_OK) {
        call_fail(call, err, NULL);
        return;
    }
    if (session != NULL && !call->request->mailbox_open->only_status) {
        ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
        Pr__Reply *reply = pr__reply__unpack(&allocator, packed.len, packed.at);
        CHECK(reply != NULL);
        watch_session_closing(call->service, session);
        session->watched_mailbox = 0;
        if (reply->err == ERR_OK && reply->answer_case == PR__REPLY__ANSWER_MAILBOX_OPEN) {
            session->watched_mailbox = reply->mailbox_open->info->id;
            session->watched_modseq = reply->mailbox_open->info->highest_modseq;
        }
    }
    call_reply_packed(call, packed);
}

void imap_open(struct service_call *call)
{
    route_read(call, true, on_opened);
}

void imap_close(struct service_call *call)
{
    Pr__Reply reply = PR__REPLY__INIT;

    watch_session_closing(call->service, call->session);
    call->session->watched_mailbox = 0;
    call_reply(call, &reply);
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index,
                       uint32_t group)
{
    struct service_call *call = context;

    if (err == ERR_OK)
        route_note_seen(call, group, index);
    call_outcome(call, err, outcome);
}

/* Each command of a session is about the session's account, whatever it says itself. */
static bool command_of(const struct service_call *call, Pr__Command *command)
{
    Pr__Request *request = call->request;
    uint64_t account_id = call->session->account_id;

#define COMMAND(NAME, name)                                                                    \
    case PR__REQUEST__CALL_##NAME:                                                             \
        command->call_case = PR__COMMAND__CALL_##NAME;                                         \
        command->name = request->name;                                                         \
        command->name->account_id = account_id;                                                \
        return true;

    switch (request->call_case) {
        COMMAND(APPEND, append)
        COMMAND(FLAGS_CHANGE, flags_change)
        COMMAND(COPY, copy)
        COMMAND(EXPUNGE, expunge)
        COMMAND(MAILBOX_CREATE, mailbox_create)
        COMMAND(MAILBOX_DELETE, mailbox_delete)
        COMMAND(MAILBOX_RENAME, mailbox_rename)
        COMMAND(MAILBOX_SUBSCRIBE, mailbox_subscribe)
    default:
        return false;
    }
#undef COMMAND
}

/* What the directory has to say about the command, whatever the front end says. */
static bool limits_fill(void *context, struct db_txn *directory, uint32_t group)
{
    struct service_call *call = context;
    struct arena *arena = &call->call_arena;
    Pr__Request *request = call->request; /* the command's parts are the request's */
    uint64_t account_id;

    switch (request->call_case) {
    case PR__REQUEST__CALL_APPEND:
        account_id = request->append->account_id;
        request->append->quota = limits_quota_by_id(directory, account_id, arena);
        request->append->scopes =
            scopes_of_command(call->service, directory, group, account_id, arena);
        break;
    case PR__REQUEST__CALL_COPY:
        account_id = request->copy->account_id;
        request->copy->quota = limits_quota_by_id(directory, account_id, arena);
        request->copy->scopes =
            scopes_of_command(call->service, directory, group, account_id, arena);
        break;
    case PR__REQUEST__CALL_EXPUNGE:
        request->expunge->keep = limits_policy(directory, arena)->undelete_days > 0;
        break;
    case PR__REQUEST__CALL_MAILBOX_DELETE:
        request->mailbox_delete->keep = limits_policy(directory, arena)->undelete_days > 0;
        break;
    default:
        break;
    }
    return true;
}

void imap_write(struct service_call *call)
{
    Pr__Command *command = arena_alloc(&call->call_arena, sizeof(*command));
    struct bytes request_id = bytes_of_field(call->request->request_id);

    pr__command__init(command);
    CHECK(command_of(call, command));
    if (request_id.len != REQUEST_ID_SIZE) {
        call_fail(call, ERR_INVALID, "a write needs a request id of 16 bytes");
        return;
    }
    const struct route_request route = {
        .service = call->service,
        .account_id = call->session->account_id,
        .request_id = request_id,
        .deadline_ms = call->deadline_ms,
        .command = command,
        .adapt = limits_fill,
        .done = on_written,
        .context = call,
    };
    route_write(&route);
}
