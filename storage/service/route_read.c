/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads of sessions, whose accounts may move. */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/route.h"
#include "storage/service/sessions.h"
#include "storage/service/watch.h"

enum { TURNS_MAX = 16 };

struct routed {
    struct service_call *call;
    struct mail_read read;
    mail_read_done *done;
    unsigned turns;
    uint64_t looked_at; /* index of the answer that said MOVED */
};

static void routed_end(struct routed *routed, enum err err, struct bytes reply, uint64_t index)
{
    if (err == ERR_OK)
        route_note_seen(routed->call, routed->read.account.group, index);
    routed->done(routed->call, err == ERR_MOVED ? ERR_UNAVAILABLE : err, reply, index);
    free(routed);
}

void route_note_seen(const struct service_call *call, uint32_t group, uint64_t index)
{
    struct session *session =
        session_find(call->service->sessions, call->connection, call->session_id);

    if (session == NULL || session->group != group)
        return;
    session->refresh = false;
    if (index > session->seen_index)
        session->seen_index = index;
}

static void ask(struct routed *routed);

static uint32_t group_of(struct service *service, uint64_t account_id)
{
    struct arena arena;
    struct bytes address;
    uint32_t group = 0;
    struct db_txn *txn = service_directory_begin(service);

    arena_init(&arena);
    if (!directory_account_by_id(txn, account_id, &arena, &address, &group))
        group = 0;
    db_abort(&txn);
    arena_fini(&arena);
    return group;
}

/*
 * Where the account is as of now. A group that froze it has not changed it since; that it is
 * still there says that nobody else has either: what that group has is as new as can be.
 */
static void on_fresh(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct routed *routed = context;
    struct query_account *account = &routed->read.account;
    uint32_t group = err == ERR_OK ? group_of(routed->call->service, account->account_id) : 0;

    (void)index;
    (void)unused;
    if (group == 0) {
        routed_end(routed, ERR_UNAVAILABLE, bytes_from(NULL, 0), 0);
        return;
    }
    if (group != account->group) {
        route_account_moved(routed->call->service, account->account_id, group);
        account->group = group;
        routed->read.seen_index = 0;
        routed->read.fresh = true;
    } else if (routed->read.fresh) {
        routed->read.fresh = false;
        if (routed->looked_at > routed->read.seen_index)
            routed->read.seen_index = routed->looked_at;
    } else {
        routed->read.fresh = true; /* this replica does not know yet that the account came */
    }
    ask(routed);
}

static void on_read(void *context, enum err err, struct bytes reply, uint64_t index)
{
    struct routed *routed = context;

    if (err != ERR_MOVED || ++routed->turns > TURNS_MAX) {
        routed_end(routed, err, reply, index);
        return;
    }
    routed->looked_at = index;
    replicator_read(routed->call->service->replicator, DIRECTORY_GROUP,
                    routed->read.deadline_ms, on_fresh, routed);
}

static void ask(struct routed *routed)
{
    mail_read_start(routed->call->service, &routed->read, on_read, routed);
}

void route_read(struct service_call *call, bool fresh, mail_read_done *done)
{
    const struct session *session = call->session;
    struct routed *routed = calloc(1, sizeof(*routed));

    CHECK(routed != NULL);
    routed->call = call;
    routed->done = done;
    routed->read = (struct mail_read){
        .account = {.group = session->group, .account_id = session->account_id},
        .seen_index = session->seen_index,
        .fresh = fresh || session->refresh,
        .deadline_ms = call->deadline_ms,
        .request = call->request,
    };
    ask(routed);
}

/* ---- sessions follow ---- */

/* What a session's mailbox has come to meanwhile. */
struct look {
    struct service *service;
    uint64_t session_id;
    uint32_t connection;
    struct mail_read read;
    Pr__Request request;
    Pr__Changes changes;
};

static void on_looked(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct look *look = context;
    struct service *service = look->service;
    struct session *session =
        service->sessions != NULL
            ? session_find(service->sessions, look->connection, look->session_id)
            : NULL;
    struct arena arena;

    if (err == ERR_MOVED && look->read.fresh && session != NULL) {
        /* Frozen: the directory says that it is there, so nobody has written anywhere else. */
        look->read.fresh = false;
        look->read.seen_index = index;
        mail_read_start(service, &look->read, on_looked, look);
        return;
    }
    arena_init(&arena);
    if (err == ERR_OK && session != NULL &&
        session->watched_mailbox == look->changes.mailbox_id) {
        ProtobufCAllocator allocator = arena_allocator(&arena);
        const Pr__Reply *reply = pr__reply__unpack(&allocator, packed.len, packed.at);
        if (reply != NULL && reply->err == ERR_OK &&
            reply->answer_case == PR__REPLY__ANSWER_CHANGES && reply->changes->info != NULL)
            watch_learnt(service, session, reply->changes->info->highest_modseq);
    }
    arena_fini(&arena);
    free(look);
}

/* News of the old group may have been on their way: the new one is asked. */
static void look_start(struct service *service, const struct session *session)
{
    struct look *look = calloc(1, sizeof(*look));

    CHECK(look != NULL);
    look->service = service;
    look->session_id = session->id;
    look->connection = session->connection;
    pr__request__init(&look->request);
    pr__changes__init(&look->changes);
    look->changes.mailbox_id = session->watched_mailbox;
    look->changes.since_modseq = INT64_MAX; /* only how far it is */
    look->request.call_case = PR__REQUEST__CALL_CHANGES;
    look->request.changes = &look->changes;
    look->read = (struct mail_read){
        .account = {.group = session->group, .account_id = session->account_id},
        .fresh = true,
        .deadline_ms = clock_monotonic_ms() + DEADLINE_DEFAULT_MS,
        .request = &look->request,
    };
    mail_read_start(service, &look->read, on_looked, look);
}

void route_account_moved(struct service *service, uint64_t account_id, uint32_t group)
{
    struct session *session = sessions_of_account(service->sessions, account_id);

    for (; session != NULL; session = session->account_next) {
        if (session->group == group)
            continue;
        session->group = group;
        session->seen_index = 0;
        session->refresh = true; /* the first read is fresh: never back in time */
        if (session->watched_mailbox != 0 && !session->ended)
            look_start(service, session);
    }
}

void route_events(struct service *service, const struct machine_events *events)
{
    for (unsigned i = 0; i < events->moved_count; i++)
        route_account_moved(service, events->accounts_moved[i].account_id,
                            events->accounts_moved[i].group);
}
