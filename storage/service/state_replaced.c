/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a group was replaced by that of another node. What the machine would have told
 * of the commands in between is made up from what there is now.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/service/relay_duties.h"
#include "storage/service/sessions.h"

/* Which accounts were removed or have a new password cannot be told: all must log in again. */
static void directory_replaced(struct service *service)
{
    struct machine_events events = {.directory_changed = true};
    struct session *session;
    size_t at = 0;

    events.accounts_ended =
        calloc(sessions_count(service->sessions) + 1, sizeof(*events.accounts_ended));
    CHECK(events.accounts_ended != NULL);
    while ((session = sessions_next(service->sessions, &at)) != NULL)
        events.accounts_ended[events.ended_count++] = session->account_id;
    service_events(service, &events);
    free(events.accounts_ended);
}

static void mail_replaced(struct service *service, uint32_t group)
{
    struct machine_events events = {.handover_added = true, .queue_due = true};
    struct db_txn *txn = db_read_begin(service_db(service, group));
    struct session *session;
    size_t at = 0;

    events.mailboxes = calloc(sessions_count(service->sessions) + 1, sizeof(*events.mailboxes));
    CHECK(events.mailboxes != NULL);
    while ((session = sessions_next(service->sessions, &at)) != NULL) {
        const struct query_account account = {group, session->account_id};
        if (session->group != group || session->watched_mailbox == 0)
            continue;
        events.mailboxes[events.mailbox_count++] = (struct machine_mailbox_event){
            .group = group,
            .account_id = session->account_id,
            .mailbox_id = session->watched_mailbox,
            .modseq = query_highest_modseq(txn, account, session->watched_mailbox),
        };
    }
    db_abort(&txn);
    service_events(service, &events);
    relay_duties_due(service->relay_duties, group);
    free(events.mailboxes);
}

void service_state_replaced(struct service *service, uint32_t group)
{
    if (group == DIRECTORY_GROUP)
        directory_replaced(service);
    else
        mail_replaced(service, group);
}
