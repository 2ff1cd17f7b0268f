/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies on their way in, in blocks. */
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/service/route.h"
#include "storage/service/sessions.h"
#include "storage/service/smtp_calls.h"

/* The group of the account that a call is about, or that it names; false when there is none
 * (and the call has been answered). */
static bool group_of_call(struct service_call *call, uint64_t account_id, uint32_t named,
                          uint32_t *group)
{
    struct bytes address;
    bool found;

    if (call->session != NULL) {
        *group = call->session->group;
        return true;
    }
    struct db_txn *txn = service_directory_begin(call->service);
    if (account_id == 0)
        found =
            named != DIRECTORY_GROUP && directory_group(txn, named, &call->call_arena) != NULL;
    else
        found = directory_account_by_id(txn, account_id, &call->call_arena, &address, group);
    if (account_id == 0)
        *group = named;
    found = found && call->role != ROLE_IMAP;
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
    if (!group_of_call(call, upload->account_id, upload->group, &group))
        return;
    pr__command__init(command);
    pr__upload_block__init(block);
    block->upload_id = upload->upload_id;
    block->number = upload->number;
    block->data = upload->data;
    command->call_case = PR__COMMAND__CALL_UPLOAD_BLOCK;
    command->upload_block = block;
    if (call->session == NULL && upload->account_id == 0) {
        write_call(call, group, command);
        return;
    }
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
    if (!group_of_call(call, abort->account_id, abort->group, &group))
        return;
    drop.upload_id = abort->upload_id;
    command.call_case = PR__COMMAND__CALL_UPLOAD_DROP;
    command.upload_drop = &drop;
    write_call(call, group, &command);
}
