/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is gone but not yet freed: shown, brought back, or freed now. One call is one bounded
 * step; the operator's tool asks again until there is nothing left to do.
 */
#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/service/account_find.h"
#include "storage/service/mail_read.h"
#include "storage/service/operator.h"
#include "storage/service/scopes.h"

enum { PURGE_MESSAGES = 500 /* a command */ };

struct undelete {
    struct account_find find; /* first: `found` gets its address */
    struct service_call *call;
    Pr__Request ask;
    Pr__ExpungedListAnswer *page;
    uint64_t restored;
};

static void undelete_answer(struct undelete *undelete)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__AccountUndeleteAnswer answer = PR__ACCOUNT_UNDELETE_ANSWER__INIT;

    answer.restored = undelete->restored;
    answer.next = undelete->page->next;
    if (undelete->call->request->account_undelete->list) {
        answer.messages = undelete->page->messages;
        answer.n_messages = undelete->page->n_messages;
    }
    reply.answer_case = PR__REPLY__ANSWER_ACCOUNT_UNDELETE;
    reply.account_undelete = &answer;
    call_reply(undelete->call, &reply);
}

static void undelete_write(struct undelete *undelete);

static void undelete_room(void *context, enum err err, const char *text)
{
    struct undelete *undelete = context;

    if (err == ERR_OK || err == ERR_CONFLICT) /* of another limit: looked up again */
        undelete_write(undelete);
    else
        call_fail(undelete->call, err, text);
}

static void undelete_written(void *context, enum err err, const Pr__Outcome *outcome,
                             uint64_t index)
{
    struct undelete *undelete = context;

    (void)index;
    if (err == ERR_OK && outcome->err == ERR_GRANT && outcome->share != NULL) {
        scopes_ask(undelete->call->service, undelete->find.group, outcome->share,
                   undelete->call->deadline_ms, undelete_room, undelete);
        return;
    }
    if (err != ERR_OK || outcome->err != ERR_OK) {
        call_outcome(undelete->call, err, outcome);
        return;
    }
    undelete->restored = outcome->id;
    undelete_answer(undelete);
}

static void undelete_write(struct undelete *undelete)
{
    struct service_call *call = undelete->call;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Undelete write = PR__UNDELETE__INIT;
    struct db_txn *txn;

    if (clock_monotonic_ms() >= call->deadline_ms) {
        call_fail(call, ERR_UNAVAILABLE, NULL);
        return;
    }
    txn = service_directory_begin(call->service);
    write.scopes = scopes_of_command(call->service, txn, undelete->find.group,
                                     undelete->find.account_id, &call->call_arena);
    db_abort(&txn);
    write.account_id = undelete->find.account_id;
    write.to = call->request->account_undelete->to;
    write.quota = undelete->find.quota;
    write.n_messages = undelete->page->n_messages;
    write.messages = arena_alloc(&call->call_arena, write.n_messages * sizeof(*write.messages));
    for (size_t i = 0; i < write.n_messages; i++)
        write.messages[i] = undelete->page->messages[i]->id;
    command.call_case = PR__COMMAND__CALL_UNDELETE;
    command.undelete = &write;
    write_start(call->service, undelete->find.group, &command, call->deadline_ms,
                undelete_written, undelete);
}

static void undelete_listed(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct undelete *undelete = context;
    struct service_call *call = undelete->call;
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
    Pr__Reply *reply =
        err == ERR_OK ? pr__reply__unpack(&allocator, packed.len, packed.at) : NULL;

    (void)index;
    if (reply == NULL || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_EXPUNGED_LIST) {
        call_fail(call, err != ERR_OK ? err : ERR_UNAVAILABLE,
                  "no replica of the account's group answers");
        return;
    }
    undelete->page = reply->expunged_list;
    if (call->request->account_undelete->list || undelete->page->n_messages == 0)
        undelete_answer(undelete);
    else
        undelete_write(undelete);
}

static void undelete_found(struct account_find *find)
{
    struct undelete *undelete = (struct undelete *)find;
    Pr__ExpungedList *which = find->call->request->account_undelete->which;

    if (which == NULL) {
        which = arena_alloc(&find->call->call_arena, sizeof(*which));
        pr__expunged_list__init(which);
    }
    pr__request__init(&undelete->ask);
    undelete->ask.call_case = PR__REQUEST__CALL_EXPUNGED_LIST;
    undelete->ask.expunged_list = which;
    const struct mail_read read = {
        .account = {.group = find->group, .account_id = find->account_id},
        .fresh = true,
        .deadline_ms = find->call->deadline_ms,
        .request = &undelete->ask,
    };
    mail_read_start(find->call->service, &read, undelete_listed, undelete);
}

void account_undelete_call(struct service_call *call)
{
    struct undelete *undelete = arena_alloc(&call->call_arena, sizeof(*undelete));

    memset(undelete, 0, sizeof(*undelete));
    undelete->call = call;
    undelete->find.call = call;
    undelete->find.found = undelete_found;
    account_find_start(&undelete->find, call->request->account_undelete->address);
}

void account_restore_call(struct service_call *call)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountRestore restore = PR__ACCOUNT_RESTORE__INIT;
    struct bytes address;

    if (!operator_address(call, call->request->account_restore->address, &address))
        return;
    restore.address = arena_string(&call->call_arena, address);
    command.call_case = PR__COMMAND__CALL_ACCOUNT_RESTORE;
    command.account_restore = &restore;
    write_call(call, DIRECTORY_GROUP, &command);
}

/* ---- freeing now ---- */

static void purge_send(struct account_find *find);

static void purge_sent(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct account_find *find = context;

    (void)index;
    if (err == ERR_OK && outcome->err == ERR_OK && outcome->id != 0 &&
        clock_monotonic_ms() < find->call->deadline_ms) {
        purge_send(find);
        return;
    }
    if (err == ERR_OK && outcome->err == ERR_OK && outcome->id != 0)
        call_fail(find->call, ERR_TIMEOUT, "not all of it is freed yet: purge again");
    else
        call_outcome(find->call, err, outcome);
}

static void purge_send(struct account_find *find)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ExpungedPurge purge = PR__EXPUNGED_PURGE__INIT;

    purge.account_id = find->account_id;
    purge.before_ms = UINT64_MAX;
    purge.limit = PURGE_MESSAGES;
    command.call_case = PR__COMMAND__CALL_EXPUNGED_PURGE;
    command.expunged_purge = &purge;
    write_start(find->call->service, find->group, &command, find->call->deadline_ms, purge_sent,
                find);
}

/* What is left of removed accounts of that address is due at once; the directory's leader frees
 * it. `found` gets the account that is there now, if any. */
static void removed_purged(void *context, enum err err, const Pr__Outcome *outcome,
                           uint64_t index)
{
    struct account_find *find = context;
    bool none = err == ERR_OK && outcome->err == ERR_NOTFOUND;

    (void)index;
    if (err != ERR_OK || (outcome->err != ERR_OK && !none)) {
        call_outcome(find->call, err, outcome);
        return;
    }
    if (find->known)
        purge_send(find);
    else
        call_outcome(find->call, err, outcome);
}

static void purge_found(struct account_find *find)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__PurgeNow now = PR__PURGE_NOW__INIT;

    now.address = arena_string(&find->call->call_arena, find->address);
    command.call_case = PR__COMMAND__CALL_PURGE_NOW;
    command.purge_now = &now;
    write_start(find->call->service, DIRECTORY_GROUP, &command, find->call->deadline_ms,
                removed_purged, find);
}

void account_purge_call(struct service_call *call)
{
    struct account_find *find = arena_alloc(&call->call_arena, sizeof(*find));

    memset(find, 0, sizeof(*find));
    find->call = call;
    find->found = purge_found;
    find->missing_too = true;
    account_find_start(find, call->request->account_purge->address);
}
