/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 section 6.3, RFC 3691). */

struct selecting {
    bool read_only;
    bool was_selected;
    enum err err; /* why there is no mailbox now */
};

static void open_mailbox(struct imap_session *session, const Pr__MailboxOpenAnswer *answer)
{
    struct imap_selected *selected = &session->selected;
    struct selecting *selecting = session->running->work;

    selected->id = answer->info->id;
    selected->read_only = selecting->read_only;
    selected->synced_modseq = answer->info->highest_modseq;
    selected->told_modseq = answer->info->highest_modseq;
    for (size_t i = 0; i < answer->n_uids; i++)
        imap_view_add(&selected->view, answer->uids[i]->first, answer->uids[i]->last);
    imap_keywords_set(&selected->keywords, answer->keywords, answer->n_keywords);
    imap_session_move(session, IMAP_STATE_SELECTED);
}

static void say_opened(struct imap_session *session, const Pr__MailboxInfo *info)
{
    imap_flags_say(session);
    imap_say(session, "* %u EXISTS\r\n* 0 RECENT\r\n",
             imap_view_count(&session->selected.view));
    imap_say(session, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", info->uid_validity);
    imap_say(session, "* OK [UIDNEXT %u] The next UID\r\n", info->uid_next);
}

static void left_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct selecting *selecting = session->running->work;

    (void)err;
    (void)reply;
    imap_finish_err(session, selecting->err);
}

static void send_close(struct imap_session *session, imap_answered *answered)
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_CLOSE);

    request->mailbox_close = imap_alloc(session, sizeof(*request->mailbox_close));
    pr__mailbox_close__init(request->mailbox_close);
    imap_session_call(session, request, false, answered);
}

static void open_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct selecting *selecting = session->running->work;

    if (err == ERR_OK && (reply->answer_case != PR__REPLY__ANSWER_MAILBOX_OPEN ||
                          reply->mailbox_open->info == NULL))
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        /* The mailbox before is left all the same (section 6.3.1). */
        selecting->err = err;
        if (selecting->was_selected)
            send_close(session, left_answered);
        else
            imap_finish_err(session, err);
        return;
    }
    open_mailbox(session, reply->mailbox_open);
    say_opened(session, reply->mailbox_open->info);
    session->bad_count = 0;
    imap_finish(session, "OK", selecting->read_only ? "READ-ONLY" : "READ-WRITE", "Selected");
}

static void start(struct imap_session *session, bool read_only)
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_MAILBOX_OPEN);
    struct selecting *selecting = imap_alloc(session, sizeof(*selecting));

    selecting->read_only = read_only;
    selecting->was_selected = session->state == IMAP_STATE_SELECTED;
    session->running->work = selecting;
    imap_deselect(session);
    request->mailbox_open = imap_alloc(session, sizeof(*request->mailbox_open));
    pr__mailbox_open__init(request->mailbox_open);
    request->mailbox_open->name =
        arena_string(&session->command_arena, session->running->arguments.mailbox.name);
    imap_session_call(session, request, false, open_answered);
}

void imap_run_select(struct imap_session *session)
{
    start(session, false);
}

void imap_run_examine(struct imap_session *session)
{
    start(session, true);
}

static void closed_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    (void)err; /* the store's session may still be told of the mailbox: that does no harm */
    (void)reply;
    imap_finish_ok(session, "Done");
}

void imap_run_unselect(struct imap_session *session)
{
    imap_deselect(session);
    send_close(session, closed_answered);
}

struct closing {
    struct imap_ranges left; /* not asked for yet */
};

static void expunge_batch(struct imap_session *session);

static void expunged_answered(struct imap_session *session, enum err err,
                              const Pr__Reply *reply)
{
    (void)reply; /* CLOSE tells nothing of what it removes */
    if (err != ERR_OK)
        imap_finish_err(session, err);
    else
        expunge_batch(session);
}

static void expunge_batch(struct imap_session *session)
{
    struct closing *closing = session->running->work;
    struct imap_ranges batch;

    if (!imap_batch_take(session, &closing->left, &batch)) {
        imap_run_unselect(session);
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_EXPUNGE);
    request->expunge = imap_alloc(session, sizeof(*request->expunge));
    pr__expunge__init(request->expunge);
    request->expunge->mailbox_id = session->selected.id;
    request->expunge->uids = imap_ranges_to(&session->command_arena, &batch);
    request->expunge->n_uids = batch.count;
    imap_session_call(session, request, true, expunged_answered);
}

void imap_run_close(struct imap_session *session)
{
    struct closing *closing = imap_alloc(session, sizeof(*closing));
    uint32_t last = session->selected.view.last_uid;

    session->running->work = closing;
    if (session->selected.read_only || last == 0) {
        imap_run_unselect(session);
        return;
    }
    closing->left.at = imap_alloc(session, sizeof(closing->left.at[0]));
    closing->left.at[0] = (struct imap_range){1, last};
    closing->left.count = 1;
    expunge_batch(session);
}
