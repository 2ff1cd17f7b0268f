/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* Commands that need no store: RFC 3501 section 6.1, RFC 2971, RFC 5161, RFC 2342. */

void imap_run_capability(struct imap_session *session)
{
    imap_say(session, "* CAPABILITY %s\r\n", imap_capabilities(session));
    imap_finish_ok(session, "Done");
}

static void noop_synced(struct imap_session *session)
{
    imap_finish_ok(session, "Done");
}

void imap_run_noop(struct imap_session *session)
{
    /* It is how clients poll (section 6.1.2): they shall see what others have been told. */
    if (session->state == IMAP_STATE_SELECTED)
        imap_sync_start(session, true, noop_synced);
    else
        imap_finish_ok(session, "Done");
}

void imap_run_logout(struct imap_session *session)
{
    imap_say(session, "* BYE Logging out\r\n");
    imap_finish_ok(session, "Done");
    imap_session_move(session, IMAP_STATE_CLOSED);
    session->close_wanted = true;
}

void imap_run_id(struct imap_session *session)
{
    imap_say(session, "* ID (\"name\" \"Postraft\")\r\n");
    imap_finish_ok(session, "Done");
}

void imap_run_enable(struct imap_session *session)
{
    /* There is nothing yet that has to be enabled before it works. */
    imap_say(session, "* ENABLED\r\n");
    imap_finish_ok(session, "Done");
}

void imap_run_namespace(struct imap_session *session)
{
    imap_say(session, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    imap_finish_ok(session, "Done");
}

void imap_run_starttls(struct imap_session *session)
{
    if (session->has_tls || !session->can_tls) {
        imap_finish_bad(session, "TLS is not possible here");
        return;
    }
    imap_finish_ok(session, "Begin TLS");
    session->tls_wanted = true;
}
