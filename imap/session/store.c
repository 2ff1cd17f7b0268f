/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* STORE (RFC 3501 section 6.4.6). */

struct store {
    struct imap_ranges uids;
    struct imap_fetch_items items;
    struct imap_fetch_item item;
    Pr__FlagsChange call;
};

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct store *store = session->running->work;

    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    if (reply->outcome != NULL)
        imap_own_change(session, reply->outcome->modseq);
    if (session->running->arguments.store.silent) {
        imap_finish_ok(session, "Done");
        return;
    }
    store->item.kind = IMAP_FETCH_FLAGS;
    store->items = (struct imap_fetch_items){.at = &store->item, .count = 1};
    imap_fetch_start(session, store->uids, &store->items, "Done");
}

void imap_run_store(struct imap_session *session)
{
    static const Pr__FlagsChange__Mode modes[] = {
        [IMAP_STORE_SET] = PR__FLAGS_CHANGE__MODE__SET,
        [IMAP_STORE_ADD] = PR__FLAGS_CHANGE__MODE__ADD,
        [IMAP_STORE_REMOVE] = PR__FLAGS_CHANGE__MODE__REMOVE,
    };
    const struct imap_arguments *arguments = &session->running->arguments;
    struct store *store = imap_alloc(session, sizeof(*store));
    Pr__FlagsChange *call = &store->call;

    session->running->work = store;
    if (!imap_resolve(session, &arguments->store.sequence, session->running->by_uid,
                      &store->uids))
        return;
    if (store->uids.count == 0) {
        imap_finish_ok(session, "There are no such messages");
        return;
    }
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_FLAGS_CHANGE);
    pr__flags_change__init(call);
    call->mailbox_id = session->selected.id;
    call->uids = imap_ranges_to(&session->command_arena, &store->uids);
    call->n_uids = store->uids.count;
    call->mode = modes[arguments->store.mode];
    call->flags = arguments->store.flags.system;
    call->keywords = imap_keyword_list(session, &arguments->store.flags);
    call->n_keywords = arguments->store.flags.keyword_count;
    request->flags_change = call;
    imap_session_call(session, request, true, answered);
}
