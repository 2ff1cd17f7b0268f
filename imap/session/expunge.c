/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1). */

static void told(struct imap_session *session)
{
    imap_finish_ok(session, "Done");
}

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
    imap_expunging_start(session, gone, told);
}

static void start(struct imap_session *session, const struct imap_ranges *uids)
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_EXPUNGE);
    Pr__Expunge *call = imap_alloc(session, sizeof(*call));

    pr__expunge__init(call);
    call->mailbox_id = session->selected.id;
    call->uids = imap_ranges_to(&session->command_arena, uids);
    call->n_uids = uids->count;
    request->expunge = call;
    imap_session_call(session, request, true, answered);
}

void imap_run_expunge(struct imap_session *session)
{
    struct imap_ranges all = {NULL, 0};

    start(session, &all);
}

void imap_run_uid_expunge(struct imap_session *session)
{
    struct imap_ranges uids;

    if (!imap_resolve(session, &session->running->arguments.sequence, true, &uids))
        return;
    /* To the store no UIDs would mean all of them. */
    if (uids.count == 0)
        imap_finish_ok(session, "There are no such messages");
    else
        start(session, &uids);
}
