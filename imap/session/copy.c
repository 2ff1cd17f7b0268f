/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851), with COPYUID (RFC 4315). */

struct copy {
    bool move;
    uint32_t target_id;
    struct imap_ranges uids;
    struct imap_ranges gone;
    const char *code;
    Pr__Copy call;
};

static const char *copy_code(struct imap_session *session, const Pr__Outcome *outcome)
{
    struct imap_ranges from =
        imap_ranges_from(session, outcome->source_uids, outcome->n_source_uids);
    struct imap_ranges to = imap_ranges_from(session, outcome->uids, outcome->n_uids);
    struct buffer code = BUFFER_EMPTY;

    if (from.count == 0 || to.count == 0)
        return NULL;
    buffer_printf(&code, "COPYUID %u ", outcome->uid_validity);
    imap_ranges_write(&from, &code);
    buffer_add_byte(&code, ' ');
    imap_ranges_write(&to, &code);
    const char *text = arena_string(&session->command_arena, buffer_bytes(&code));
    buffer_fini(&code);
    return text;
}

static void moved(struct imap_session *session)
{
    imap_finish_ok(session, "Done");
}

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct copy *copy = session->running->work;

    if (err == ERR_OK && reply->outcome == NULL)
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_target_missing(session, err);
        return;
    }
    copy->code = copy_code(session, reply->outcome);
    if (copy->target_id == session->selected.id)
        session->selected.stale = true;
    session->bad_count = 0;
    if (!copy->move) {
        imap_finish(session, "OK", copy->code, "Done");
        return;
    }
    /* Before the EXPUNGEs, so that no client thinks the messages lost (RFC 6851 section 4.3).
     */
    if (copy->code != NULL) {
        buffer_add_string(&session->output, "* OK [");
        buffer_add_string(&session->output, copy->code);
        buffer_add_string(&session->output, "] Moved\r\n");
    }
    copy->gone =
        imap_ranges_from(session, reply->outcome->source_uids, reply->outcome->n_source_uids);
    imap_ranges_normalise(&copy->gone);
    imap_expunging_start(session, copy->gone, moved);
}

static void found(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct copy *copy = session->running->work;

    if (err == ERR_OK && (reply->answer_case != PR__REPLY__ANSWER_MAILBOX_OPEN ||
                          reply->mailbox_open->info == NULL))
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_target_missing(session, err);
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_COPY);
    Pr__Copy *call = &copy->call;
    copy->target_id = reply->mailbox_open->info->id;
    pr__copy__init(call);
    call->mailbox_id = session->selected.id;
    call->uids = imap_ranges_to(&session->command_arena, &copy->uids);
    call->n_uids = copy->uids.count;
    call->target_mailbox_id = copy->target_id;
    call->move = copy->move;
    request->copy = call;
    imap_session_call(session, request, true, answered);
}

static void start(struct imap_session *session, bool move)
{
    const struct imap_arguments *arguments = &session->running->arguments;
    struct copy *copy = imap_alloc(session, sizeof(*copy));

    copy->move = move;
    session->running->work = copy;
    if (!imap_resolve(session, &arguments->copy.sequence, session->running->by_uid,
                      &copy->uids))
        return;
    if (copy->uids.count == 0)
        imap_finish_ok(session, "There are no such messages");
    else
        imap_target_find(session, arguments->copy.name, found);
}

void imap_run_copy(struct imap_session *session)
{
    start(session, false);
}

void imap_run_move(struct imap_session *session)
{
    start(session, true);
}
