/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/query/moves.h"
#include "storage/schema/entry.h"
#include "storage/service/mail_read.h"
#include "storage/service/operator.h"

/* The account's record from the directory, then its mailboxes from a replica of its group. */
struct show {
    struct service_call *call;
    struct read_job job;
    struct bytes address;
    struct arena show_arena;
    Pr__AccountRecord *record;
    Pr__AccountQuota *quota;
    Pr__MoveRecord *move;
    Pr__AccountSecrets *secrets;
    uint64_t moved_messages;
    Pr__Request ask;
    Pr__MailboxList list;
    Pr__MoveRead move_read;
};

static void show_free(struct show *show)
{
    arena_fini(&show->show_arena);
    free(show);
}

static void show_mailboxes(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct show *show = context;
    ProtobufCAllocator allocator = arena_allocator(&show->show_arena);
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__AccountShowAnswer answer = PR__ACCOUNT_SHOW_ANSWER__INIT;
    const Pr__QuotaReadAnswer *usage = NULL;

    (void)index;
    const Pr__Reply *words =
        err == ERR_OK ? pr__reply__unpack(&allocator, packed.len, packed.at) : NULL;
    answer.account = show->record;
    answer.quota = show->quota;
    answer.move = show->move;
    answer.moved_messages = show->moved_messages;
    answer.secrets = show->secrets;
    if (words != NULL && words->err == ERR_OK &&
        words->answer_case == PR__REPLY__ANSWER_MAILBOX_LIST) {
        answer.n_mailboxes = words->mailbox_list->n_mailboxes;
        answer.mailboxes = words->mailbox_list->mailboxes;
        usage = words->mailbox_list->usage;
    } else {
        reply.text = arena_string(&show->show_arena,
                                  BYTES("no replica of the account's group answers: its mail "
                                        "cannot be counted now"));
    }
    for (size_t i = 0; i < answer.n_mailboxes; i++) {
        answer.messages += answer.mailboxes[i]->messages;
        answer.size += answer.mailboxes[i]->size;
    }
    if (usage != NULL) {
        answer.expunged = usage->expunged;
        answer.expunged_size = usage->expunged_size;
    }
    reply.answer_case = PR__REPLY__ANSWER_ACCOUNT_SHOW;
    reply.account_show = &answer;
    call_reply(show->call, &reply);
    show_free(show);
}

static void show_work(struct read_job *job, struct db_txn *txn)
{
    struct show *show = job->context;

    show->record = directory_account(txn, show->address, &show->show_arena);
    if (show->record == NULL)
        return;
    show->quota = limits_quota(txn, show->record, &show->show_arena);
    show->move = moves_of(txn, show->record->id, &show->show_arena);
}

static void list_ask(struct show *show)
{
    pr__request__init(&show->ask);
    pr__mailbox_list__init(&show->list);
    show->list.with_status = true;
    show->ask.call_case = PR__REQUEST__CALL_MAILBOX_LIST;
    show->ask.mailbox_list = &show->list;
    const struct mail_read read = {
        .account = {.group = show->record->group, .account_id = show->record->id},
        .fresh = show->move == NULL, /* about to leave it does not say what is new */
        .deadline_ms = show->call->deadline_ms,
        .request = &show->ask,
    };
    mail_read_start(show->call->service, &read, show_mailboxes, show);
}

static void show_moved(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct show *show = context;
    ProtobufCAllocator allocator = arena_allocator(&show->show_arena);
    const Pr__Reply *reply =
        err == ERR_OK ? pr__reply__unpack(&allocator, packed.len, packed.at) : NULL;

    (void)index;
    if (reply != NULL && reply->answer_case == PR__REPLY__ANSWER_MOVE_READ)
        show->moved_messages = reply->move_read->messages;
    list_ask(show);
}

/* How much of it has come to the other group. */
static void move_ask(struct show *show)
{
    pr__request__init(&show->ask);
    pr__move_read__init(&show->move_read);
    show->ask.call_case = PR__REQUEST__CALL_MOVE_READ;
    show->ask.move_read = &show->move_read;
    const struct mail_read read = {
        .account = {.group = show->move->to, .account_id = show->record->id},
        .deadline_ms = show->call->deadline_ms,
        .request = &show->ask,
    };
    mail_read_start(show->call->service, &read, show_moved, show);
}

/* What there is of the account's credentials; the record goes out without them. */
static void secrets_hide(struct show *show)
{
    Pr__AccountRecord *record = show->record;
    const Pr__Credentials *known = record->credentials;
    Pr__AccountSecrets *secrets = arena_alloc(&show->show_arena, sizeof(*secrets));

    pr__account_secrets__init(secrets);
    if (known != NULL) {
        secrets->scram = known->scram != NULL;
        secrets->totp = known->totp_secret.len > 0;
        secrets->changed_ms = known->changed_ms;
        secrets->app_passwords = known->app_passwords;
        secrets->n_app_passwords = known->n_app_passwords;
    }
    for (size_t i = 0; i < secrets->n_app_passwords; i++) {
        secrets->app_passwords[i]->digest = field_of_bytes(bytes_of(NULL));
        secrets->app_passwords[i]->scram = NULL;
    }
    show->secrets = secrets;
    record->password_hash = arena_string(&show->show_arena, BYTES(""));
    record->credentials = NULL;
}

static void show_found(struct read_job *job, enum err err, uint64_t index)
{
    struct show *show = job->context;

    (void)index;
    if (err != ERR_OK || show->record == NULL) {
        if (err != ERR_OK)
            call_fail(show->call, err, NULL);
        else
            call_fail(show->call, ERR_NOTFOUND,
                      arena_printf(&show->call->call_arena, "there is no account %s",
                                   show->call->request->account_show->address));
        show_free(show);
        return;
    }
    secrets_hide(show);
    if (show->move != NULL)
        move_ask(show);
    else
        list_ask(show);
}

void account_show_call(struct service_call *call)
{
    struct bytes address;

    if (!operator_address(call, call->request->account_show->address, &address))
        return;
    struct show *show = calloc(1, sizeof(*show));
    CHECK(show != NULL);
    show->call = call;
    show->address = address;
    arena_init(&show->show_arena);
    show->job = (struct read_job){
        .service = call->service,
        .group = DIRECTORY_GROUP,
        .fresh = true,
        .deadline_ms = call->deadline_ms,
        .work = show_work,
        .done = show_found,
        .context = show,
    };
    read_start(&show->job);
}

void account_move_call(struct service_call *call)
{
    const Pr__AccountMove *asked = call->request->account_move;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountMoveBegin begin = PR__ACCOUNT_MOVE_BEGIN__INIT;
    Pr__AccountMoveCancel cancel = PR__ACCOUNT_MOVE_CANCEL__INIT;
    struct bytes address;

    if (!operator_address(call, asked->address, &address))
        return;
    if (asked->cancel) {
        cancel.address = arena_string(&call->call_arena, address);
        command.call_case = PR__COMMAND__CALL_ACCOUNT_MOVE_CANCEL;
        command.account_move_cancel = &cancel;
    } else {
        begin.address = arena_string(&call->call_arena, address);
        begin.group = asked->group;
        command.call_case = PR__COMMAND__CALL_ACCOUNT_MOVE_BEGIN;
        command.account_move_begin = &begin;
    }
    write_call(call, DIRECTORY_GROUP, &command);
}
