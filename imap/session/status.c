/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "imap/protocol/write.h"
#include "imap/session/internal.h"

/* STATUS (RFC 3501 section 6.3.10, RFC 8438, RFC 7889, RFC 9208 section 4.1.4). */

void imap_status_write(struct imap_session *session, const Pr__MailboxInfo *info,
                       unsigned items)
{
    const struct row {
        enum imap_status_item item;
        const char *name;
        uint64_t value;
    } rows[] = {
        {IMAP_STATUS_MESSAGES, "MESSAGES", info->messages},
        {IMAP_STATUS_RECENT, "RECENT", 0},
        {IMAP_STATUS_UIDNEXT, "UIDNEXT", info->uid_next},
        {IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY", info->uid_validity},
        {IMAP_STATUS_UNSEEN, "UNSEEN", info->unseen},
        {IMAP_STATUS_SIZE, "SIZE", info->size},
        {IMAP_STATUS_DELETED, "DELETED", info->deleted},
        {IMAP_STATUS_DELETED_STORAGE, "DELETED-STORAGE", info->deleted_size},
        {IMAP_STATUS_APPENDLIMIT, "APPENDLIMIT", session->config->append_size_max},
    };
    bool first = true;

    imap_say(session, "* STATUS ");
    imap_write_mailbox(&session->output, bytes_of(info->name));
    imap_say(session, " (");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!(items & rows[i].item))
            continue;
        imap_say(session, "%s%s %" PRIu64, first ? "" : " ", rows[i].name, rows[i].value);
        first = false;
    }
    imap_say(session, ")\r\n");
}

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    if (err == ERR_OK && (reply->answer_case != PR__REPLY__ANSWER_MAILBOX_OPEN ||
                          reply->mailbox_open->info == NULL))
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    imap_status_write(session, reply->mailbox_open->info,
                      session->running->arguments.status.items);
    imap_finish_ok(session, "Done");
}

void imap_run_status(struct imap_session *session)
{
    imap_target_find(session, session->running->arguments.status.name, answered);
    session->request->mailbox_open->with_deleted_size =
        session->running->arguments.status.items & IMAP_STATUS_DELETED_STORAGE;
}
