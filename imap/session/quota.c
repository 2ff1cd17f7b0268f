/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "imap/protocol/write.h"
#include "imap/session/internal.h"

/*
 * GETQUOTA and GETQUOTAROOT (RFC 9208). An account has one quota root, "", for all of its
 * mailboxes. Storage is counted in units of 1,024 bytes: what is used is rounded up, what may
 * be used is rounded down, so that a client never sees room that is not there.
 */
enum { UNIT = 1024 };

static void resource_say(struct imap_session *session, bool first, const char *name,
                         uint64_t used, uint64_t limit)
{
    imap_say(session, "%s%s %" PRIu64 " %" PRIu64, first ? "" : " ", name, used, limit);
}

static void quota_say(struct imap_session *session, const Pr__QuotaReadAnswer *answer)
{
    const Pr__AccountQuota *quota = answer->quota;
    bool storage = quota != NULL && quota->bytes != 0;
    bool message = quota != NULL && quota->messages != 0;

    imap_say(session, "* QUOTA \"\" (");
    if (storage)
        resource_say(session, true, "STORAGE", answer->size / UNIT + (answer->size % UNIT != 0),
                     quota->bytes / UNIT);
    if (message)
        resource_say(session, !storage, "MESSAGE", answer->messages, quota->messages);
    imap_say(session, ")\r\n");
}

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    const struct imap_arguments *arguments = &session->running->arguments;

    if (err == ERR_OK && reply->answer_case != PR__REPLY__ANSWER_QUOTA_READ)
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    if (arguments->quota.of_mailbox) {
        imap_say(session, "* QUOTAROOT ");
        imap_write_mailbox(&session->output, arguments->quota.name);
        imap_say(session, " \"\"\r\n");
    }
    quota_say(session, reply->quota_read);
    imap_finish_ok(session, "Done");
}

void imap_run_get_quota(struct imap_session *session)
{
    const struct imap_arguments *arguments = &session->running->arguments;
    Pr__Request *request;
    Pr__QuotaRead *call;

    if (!arguments->quota.of_mailbox && arguments->quota.name.len != 0) {
        imap_finish(session, "NO", "NONEXISTENT", "There is no such quota root");
        return;
    }
    request = imap_request_new(session, PR__REQUEST__CALL_QUOTA_READ);
    call = imap_alloc(session, sizeof(*call));
    pr__quota_read__init(call);
    request->quota_read = call;
    imap_session_call(session, request, false, answered);
}
