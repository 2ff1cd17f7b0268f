/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 section 6.3), and how other commands
 * find the mailbox that they write to. */

static void find(struct imap_session *session, struct bytes name, imap_answered *answered)
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_OPEN);

    request->mailbox_open = imap_alloc(session, sizeof(*request->mailbox_open));
    pr__mailbox_open__init(request->mailbox_open);
    request->mailbox_open->name = arena_string(&session->command_arena, name);
    request->mailbox_open->only_status = true;
    imap_session_call(session, request, false, answered);
}

void imap_target_find(struct imap_session *session, struct bytes name, imap_answered *answered)
{
    find(session, name, answered);
}

void imap_target_missing(struct imap_session *session, enum err err)
{
    if (err == ERR_NOTFOUND)
        imap_finish(session, "NO", "TRYCREATE", "There is no such mailbox");
    else
        imap_finish_err(session, err);
}

static void done_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    (void)reply;
    if (err == ERR_OK)
        imap_finish_ok(session, "Done");
    else
        imap_finish_err(session, err);
}

void imap_run_create(struct imap_session *session)
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_CREATE);
    const struct imap_arguments *arguments = &session->running->arguments;

    request->mailbox_create = imap_alloc(session, sizeof(*request->mailbox_create));
    pr__mailbox_create__init(request->mailbox_create);
    request->mailbox_create->name =
        arena_string(&session->command_arena, arguments->mailbox.name);
    request->mailbox_create->special_use = arguments->mailbox.special_use;
    imap_session_call(session, request, true, done_answered);
}

static bool is_inbox(struct bytes name)
{
    return bytes_equal(name, BYTES("INBOX"));
}

static void delete_found(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_DELETE);
    request->mailbox_delete = imap_alloc(session, sizeof(*request->mailbox_delete));
    pr__mailbox_delete__init(request->mailbox_delete);
    request->mailbox_delete->mailbox_id = reply->mailbox_open->info->id;
    /* A client may delete what it has selected: it goes back to the state before. */
    if (session->state == IMAP_STATE_SELECTED &&
        session->selected.id == request->mailbox_delete->mailbox_id)
        imap_deselect(session);
    imap_session_call(session, request, true, done_answered);
}

void imap_run_delete(struct imap_session *session)
{
    struct bytes name = session->running->arguments.mailbox.name;

    if (is_inbox(name))
        imap_finish(session, "NO", "CANNOT", "INBOX cannot be deleted");
    else
        find(session, name, delete_found);
}

static void rename_found(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_RENAME);
    request->mailbox_rename = imap_alloc(session, sizeof(*request->mailbox_rename));
    pr__mailbox_rename__init(request->mailbox_rename);
    request->mailbox_rename->mailbox_id = reply->mailbox_open->info->id;
    request->mailbox_rename->name =
        arena_string(&session->command_arena, session->running->arguments.rename.to);
    imap_session_call(session, request, true, done_answered);
}

void imap_run_rename(struct imap_session *session)
{
    const struct imap_arguments *arguments = &session->running->arguments;

    if (is_inbox(arguments->rename.to))
        imap_finish(session, "NO", "ALREADYEXISTS", "INBOX is there always");
    else
        find(session, arguments->rename.from, rename_found);
}

static void subscribe(struct imap_session *session, bool subscribed)
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_SUBSCRIBE);

    request->mailbox_subscribe = imap_alloc(session, sizeof(*request->mailbox_subscribe));
    pr__mailbox_subscribe__init(request->mailbox_subscribe);
    request->mailbox_subscribe->name =
        arena_string(&session->command_arena, session->running->arguments.mailbox.name);
    request->mailbox_subscribe->subscribed = subscribed;
    imap_session_call(session, request, true, done_answered);
}

void imap_run_subscribe(struct imap_session *session)
{
    subscribe(session, true);
}

void imap_run_unsubscribe(struct imap_session *session)
{
    subscribe(session, false);
}
