/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_CALLS_H
#define STORAGE_SERVICE_CALLS_H

#include "storage/service/service.h"

/*
 * What each role may ask: the only list of it. A captured SMTP process can hand mail in but
 * reads none; an IMAP process reaches the mailboxes of the sessions on its own connection; a
 * relay reads what waits in the queue, says what became of it, and hands in mail that has the
 * null sender.
 */
struct call_row {
    Pr__Request__CallCase call;
    unsigned roles; /* bits 1 << enum service_role */
    bool needs_session;
    bool needs_cluster;
    void (*handle)(struct service_call *call);
};

/* NULL for a call that there is not. */
const struct call_row *call_find(Pr__Request__CallCase call);

#endif
