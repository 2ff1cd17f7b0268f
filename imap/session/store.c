/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/* STORE (RFC 3501 section 6.4.6). */

struct store {
    struct imap_ranges uids;
    struct imap_ranges left; /* not asked for yet */
    struct imap_fetch_items items;
    struct imap_fetch_item item;
    Pr__FlagsChange call;
};

static bool next_batch(struct imap_session *session);

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct store *store = session->running->work;

    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    imap_own_change(session, reply->outcome);
    if (next_batch(session))
        return;
    if (session->running->arguments.store.silent) {
        imap_finish_ok(session, "Done");
        return;
    }
    store->item.kind = IMAP_FETCH_FLAGS;
    store->items = (struct imap_fetch_items){.at = &store->item, .count = 1};
    imap_fetch_start(session, store->uids, &store->items, "Done");
}

static bool next_batch(struct imap_session *session)
{
    struct store *store = session->running->work;
    struct imap_ranges batch;

    if (!imap_batch_take(session, &store->left, &batch))
        return false;
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_FLAGS_CHANGE);
    store->call.uids = imap_ranges_to(&session->command_arena, &batch);
    store->call.n_uids = batch.count;
    request->flags_change = &store->call;
    imap_session_call(session, request, true, answered);
    return true;
}

static void prepare(struct imap_session *session, struct store *store)
{
    static const Pr__FlagsChange__Mode modes[] = {
        [IMAP_STORE_SET] = PR__FLAGS_CHANGE__MODE__SET,
        [IMAP_STORE_ADD] = PR__FLAGS_CHANGE__MODE__ADD,
        [IMAP_STORE_REMOVE] = PR__FLAGS_CHANGE__MODE__REMOVE,
    };
    const struct imap_arguments *arguments = &session->running->arguments;
    Pr__FlagsChange *call = &store->call;

    pr__flags_change__init(call);
    call->mailbox_id = session->selected.id;
    call->mode = modes[arguments->store.mode];
    call->flags = arguments->store.flags.system;
    call->keywords = imap_keyword_list(session, &arguments->store.flags);
    call->n_keywords = arguments->store.flags.keyword_count;
}

void imap_run_store(struct imap_session *session)
{
    struct store *store = imap_alloc(session, sizeof(*store));

    session->running->work = store;
    if (!imap_resolve(session, &session->running->arguments.store.sequence,
                      session->running->by_uid, &store->uids))
        return;
    prepare(session, store);
    store->left = store->uids;
    if (!next_batch(session))
        imap_finish_ok(session, "There are no such messages");
}
