/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1). */

struct expunge {
    struct imap_ranges left; /* not asked for yet */
};

static void next_batch(struct imap_session *session);

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    struct imap_ranges gone = {NULL, 0};
    if (reply->outcome != NULL)
        gone = imap_ranges_from(session, reply->outcome->uids, reply->outcome->n_uids);
    imap_ranges_normalise(&gone);
    imap_expunging_start(session, gone, next_batch);
}

static void next_batch(struct imap_session *session)
{
    struct expunge *expunge = session->running->work;
    struct imap_ranges batch;

    /* To the store no UIDs would mean all of them. */
    if (!imap_batch_take(session, &expunge->left, &batch)) {
        imap_finish_ok(session, "Done");
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_EXPUNGE);
    Pr__Expunge *call = imap_alloc(session, sizeof(*call));
    pr__expunge__init(call);
    call->mailbox_id = session->selected.id;
    call->uids = imap_ranges_to(&session->command_arena, &batch);
    call->n_uids = batch.count;
    request->expunge = call;
    imap_session_call(session, request, true, answered);
}

static void start(struct imap_session *session, struct imap_ranges uids)
{
    struct expunge *expunge = imap_alloc(session, sizeof(*expunge));

    expunge->left = uids;
    session->running->work = expunge;
    next_batch(session);
}

void imap_run_expunge(struct imap_session *session)
{
    struct imap_ranges all = {imap_alloc(session, sizeof(all.at[0])), 1};

    /* What came in unseen stays: the client has not been told that it is there. */
    all.at[0] = (struct imap_range){1, session->selected.view.last_uid};
    if (all.at[0].last == 0)
        all.count = 0;
    start(session, all);
}

void imap_run_uid_expunge(struct imap_session *session)
{
    struct imap_ranges uids;

    if (imap_resolve(session, &session->running->arguments.sequence, true, &uids))
        start(session, uids);
}
