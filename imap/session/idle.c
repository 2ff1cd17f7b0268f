/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/session/internal.h"

/*
 * IDLE (RFC 2177). While it waits there is no command under way, so that nothing but the tag is
 * kept: most connections of a server are idle most of the time.
 */

void imap_run_idle(struct imap_session *session)
{
    struct bytes tag = session->running->tag;

    session->idle_tag = malloc(tag.len + 1);
    CHECK(session->idle_tag != NULL);
    memcpy(session->idle_tag, tag.at, tag.len);
    session->idle_tag[tag.len] = '\0';
    imap_say(session, "+ idling\r\n");
    imap_session_rest(session);
    session->is_idling = true;
    if (session->state == IMAP_STATE_SELECTED && imap_sync_needed(session))
        imap_idle_news(session);
}

static void told(struct imap_session *session)
{
    imap_session_rest(session);
    /* The store could not say. Nobody else will ask: the client only waits. */
    if (imap_sync_needed(session))
        imap_session_delay(session, IMAP_NEWS_RETRY_MS, imap_idle_news);
}

void imap_idle_news(struct imap_session *session)
{
    imap_session_rest(session); /* and with it a delay that is under way */
    imap_sync_start(session, false, told);
}

void imap_idle_line(struct imap_session *session, struct bytes line)
{
    bool good = bytes_equal_nocase(line, BYTES("DONE"));

    imap_say(session, "%s %s\r\n", session->idle_tag, good ? "OK Done" : "BAD DONE is missing");
    free(session->idle_tag);
    session->idle_tag = NULL;
    session->is_idling = false;
    imap_session_rest(session);
    if (good)
        session->bad_count = 0;
    else
        imap_count_bad(session);
}
