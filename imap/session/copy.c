/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851), with COPYUID (RFC 4315). */

struct copy {
    bool move;
    uint32_t target_id;
    uint32_t uid_validity;
    struct imap_ranges uids; /* left to do */
    struct buffer from;      /* COPYUID's sets, of all batches */
    struct buffer to;
    Pr__Copy call;
};

static bool next_batch(struct imap_session *session);

static void cleanup(struct imap_session *session)
{
    struct copy *copy = session->running->work;

    buffer_fini(&copy->from);
    buffer_fini(&copy->to);
}

static void add_set(struct buffer *set, const struct imap_ranges *ranges)
{
    if (ranges->count > 0 && buffer_len(set) > 0)
        buffer_add_byte(set, ',');
    imap_ranges_write(ranges, set);
}

static const char *copy_code(struct imap_session *session)
{
    const struct copy *copy = session->running->work;

    if (buffer_len(&copy->from) == 0)
        return NULL;
    return arena_printf(&session->command_arena, "COPYUID %u %.*s %.*s", copy->uid_validity,
                        BYTES_ARG(buffer_bytes(&copy->from)),
                        BYTES_ARG(buffer_bytes(&copy->to)));
}

static void go_on(struct imap_session *session)
{
    const struct copy *copy = session->running->work;

    if (next_batch(session))
        return;
    session->bad_count = 0;
    imap_finish(session, "OK", copy->move ? NULL : copy_code(session), "Done");
}

/* Before the EXPUNGEs, so that no client thinks the messages lost (RFC 6851 section 4.3). */
static void tell_moved(struct imap_session *session, struct imap_ranges gone)
{
    struct copy *copy = session->running->work;
    const char *code = copy_code(session);

    if (code != NULL) {
        buffer_add_string(&session->output, "* OK [");
        buffer_add_string(&session->output, code);
        buffer_add_string(&session->output, "] Moved\r\n");
    }
    buffer_clear(&copy->from);
    buffer_clear(&copy->to);
    imap_ranges_normalise(&gone);
    imap_expunging_start(session, gone, go_on);
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
    const Pr__Outcome *outcome = reply->outcome;
    struct imap_ranges from =
        imap_ranges_from(session, outcome->source_uids, outcome->n_source_uids);
    struct imap_ranges to = imap_ranges_from(session, outcome->uids, outcome->n_uids);
    copy->uid_validity = outcome->uid_validity;
    add_set(&copy->from, &from);
    add_set(&copy->to, &to);
    if (copy->target_id == session->selected.id)
        imap_sync_want(session, outcome->modseq);
    if (copy->move)
        tell_moved(session, from);
    else
        go_on(session);
}

static bool next_batch(struct imap_session *session)
{
    struct copy *copy = session->running->work;
    struct imap_ranges batch;

    if (!imap_batch_take(session, &copy->uids, &batch))
        return false;
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_COPY);
    Pr__Copy *call = &copy->call;
    pr__copy__init(call);
    call->mailbox_id = session->selected.id;
    call->uids = imap_ranges_to(&session->command_arena, &batch);
    call->n_uids = batch.count;
    call->target_mailbox_id = copy->target_id;
    call->move = copy->move;
    request->copy = call;
    imap_session_call(session, request, true, answered);
    return true;
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
    copy->target_id = reply->mailbox_open->info->id;
    go_on(session);
}

static void start(struct imap_session *session, bool move)
{
    const struct imap_arguments *arguments = &session->running->arguments;
    struct copy *copy = imap_alloc(session, sizeof(*copy));

    copy->move = move;
    session->running->work = copy;
    session->running->cleanup = cleanup;
    if (imap_resolve(session, &arguments->copy.sequence, session->running->by_uid, &copy->uids))
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
