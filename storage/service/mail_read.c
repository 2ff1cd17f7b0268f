/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/mail_read.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/account.h"
#include "storage/query/directory.h"
#include "storage/query/moves.h"
#include "storage/schema/entry.h"
#include "storage/service/queue_calls.h"
#include "storage/service/relay_calls.h"
#include "storage/service/scopes_usage.h"

struct local_read {
    struct read_job job;
    struct mail_read read;
    struct buffer packed;
    bool moved;
    mail_read_done *done;
    void *context;
};

struct remote_read {
    struct service *service;
    struct mail_read read;
    unsigned asked; /* how many replicas so far */
    mail_read_done *done;
    void *context;
};

static enum err run_query(struct db_txn *txn, const struct mail_read *read, struct arena *arena,
                          Pr__Reply *reply)
{
    const Pr__Request *request = read->request;
    struct query_account account = read->account;

    switch (request->call_case) {
    case PR__REQUEST__CALL_MAILBOX_LIST:
        reply->answer_case = PR__REPLY__ANSWER_MAILBOX_LIST;
        reply->mailbox_list = arena_alloc(arena, sizeof(*reply->mailbox_list));
        pr__mailbox_list_answer__init(reply->mailbox_list);
        return query_mailbox_list(txn, account, request->mailbox_list, arena,
                                  reply->mailbox_list);
    case PR__REQUEST__CALL_MAILBOX_OPEN:
        reply->answer_case = PR__REPLY__ANSWER_MAILBOX_OPEN;
        reply->mailbox_open = arena_alloc(arena, sizeof(*reply->mailbox_open));
        pr__mailbox_open_answer__init(reply->mailbox_open);
        return query_mailbox_open(txn, account, request->mailbox_open, arena,
                                  reply->mailbox_open);
    case PR__REQUEST__CALL_CHANGES:
        reply->answer_case = PR__REPLY__ANSWER_CHANGES;
        reply->changes = arena_alloc(arena, sizeof(*reply->changes));
        pr__changes_answer__init(reply->changes);
        return query_changes(txn, account, request->changes, arena, reply->changes);
    case PR__REQUEST__CALL_FETCH:
        reply->answer_case = PR__REPLY__ANSWER_FETCH;
        reply->fetch = arena_alloc(arena, sizeof(*reply->fetch));
        pr__fetch_answer__init(reply->fetch);
        return query_fetch(txn, account, request->fetch, arena, reply->fetch);
    case PR__REQUEST__CALL_BODY_READ:
        reply->answer_case = PR__REPLY__ANSWER_BODY_READ;
        reply->body_read = arena_alloc(arena, sizeof(*reply->body_read));
        pr__body_read_answer__init(reply->body_read);
        return query_body_read(txn, account, request->body_read, arena, reply->body_read);
    case PR__REQUEST__CALL_SEARCH:
        reply->answer_case = PR__REPLY__ANSWER_SEARCH;
        reply->search = arena_alloc(arena, sizeof(*reply->search));
        pr__search_answer__init(reply->search);
        return query_search(txn, account, request->search, arena, reply->search);
    case PR__REQUEST__CALL_QUOTA_READ:
        reply->answer_case = PR__REPLY__ANSWER_QUOTA_READ;
        reply->quota_read = arena_alloc(arena, sizeof(*reply->quota_read));
        pr__quota_read_answer__init(reply->quota_read);
        return query_quota(txn, account, reply->quota_read);
    case PR__REQUEST__CALL_EXPUNGED_LIST:
        reply->answer_case = PR__REPLY__ANSWER_EXPUNGED_LIST;
        reply->expunged_list = arena_alloc(arena, sizeof(*reply->expunged_list));
        pr__expunged_list_answer__init(reply->expunged_list);
        return query_expunged(txn, account, request->expunged_list, arena,
                              reply->expunged_list);
    case PR__REQUEST__CALL_MOVE_READ:
        reply->answer_case = PR__REPLY__ANSWER_MOVE_READ;
        reply->move_read = arena_alloc(arena, sizeof(*reply->move_read));
        pr__move_read_answer__init(reply->move_read);
        return moves_read(txn, account, reply->move_read);
    case PR__REQUEST__CALL_SCOPE_READ:
        reply->answer_case = PR__REPLY__ANSWER_SCOPE_READ;
        reply->scope_read = arena_alloc(arena, sizeof(*reply->scope_read));
        pr__scope_read_answer__init(reply->scope_read);
        return scopes_usage_read(txn, account.group, request->scope_read, arena,
                                 reply->scope_read);
    case PR__REQUEST__CALL_QUEUE_LANES:
    case PR__REQUEST__CALL_QUEUE_READ:
    case PR__REQUEST__CALL_QUEUE_BODY:
        return relay_read(txn, account.group, request, arena, reply);
    case PR__REQUEST__CALL_QUEUE_LIST:
        reply->answer_case = PR__REPLY__ANSWER_QUEUE_LIST;
        reply->queue_list = arena_alloc(arena, sizeof(*reply->queue_list));
        pr__queue_list_answer__init(reply->queue_list);
        return queue_list_read(txn, account.group, request->queue_list, arena,
                               reply->queue_list);
    default:
        return ERR_UNSUPPORTED;
    }
}

/* Questions about a group, and not about an account where it is. */
static bool is_of_group(Pr__Request__CallCase call)
{
    return call == PR__REQUEST__CALL_MOVE_READ || call == PR__REQUEST__CALL_SCOPE_READ ||
           call == PR__REQUEST__CALL_QUEUE_LIST || call == PR__REQUEST__CALL_QUEUE_LANES ||
           call == PR__REQUEST__CALL_QUEUE_READ || call == PR__REQUEST__CALL_QUEUE_BODY;
}

/* Whether another group has to be asked, or may have to be. */
static bool is_elsewhere(struct db_txn *txn, const struct mail_read *read)
{
    struct account account;

    if (is_of_group(read->request->call_case))
        return false;
    account_load(txn, read->account.group, read->account.account_id, &account);
    return account.state == ACCOUNT_AWAY ||
           (read->fresh && account.record.place == PLACE_FROZEN);
}

/* In a pool thread: the answer is packed here, since it points into the transaction. */
static void work(struct read_job *job, struct db_txn *txn)
{
    struct local_read *local = job->context;
    struct arena query_arena;
    Pr__Reply reply = PR__REPLY__INIT;

    local->moved = is_elsewhere(txn, &local->read);
    if (local->moved)
        return;
    arena_init(&query_arena);
    enum err err = run_query(txn, &local->read, &query_arena, &reply);
    if (err != ERR_OK) {
        reply = (Pr__Reply)PR__REPLY__INIT;
        reply.err = err;
    }
    message_pack(&reply.base, &local->packed);
    arena_fini(&query_arena);
}

static void on_read(struct read_job *job, enum err err, uint64_t index)
{
    struct local_read *local = job->context;

    if (err != ERR_OK)
        err = ERR_UNAVAILABLE;
    else if (local->moved)
        err = ERR_MOVED;
    local->done(local->context, err, buffer_bytes(&local->packed), index);
    buffer_fini(&local->packed);
    free(local);
}

void mail_read_local(struct service *service, const struct mail_read *read,
                     mail_read_done *done, void *context)
{
    struct local_read *local = calloc(1, sizeof(*local));

    CHECK(local != NULL);
    local->read = *read;
    local->done = done;
    local->context = context;
    local->job = (struct read_job){
        .service = service,
        .group = read->account.group,
        .seen_index = read->seen_index,
        .fresh = read->fresh,
        .deadline_ms = read->deadline_ms,
        .work = work,
        .done = on_read,
        .context = local,
    };
    read_start(&local->job);
}

/* The replicas are tried in turn, the leader (if it is known) first. */
static struct rpc_client *next_replica(struct remote_read *remote)
{
    struct service *service = remote->service;
    struct rpc_client *found = NULL;
    struct arena group_arena;

    arena_init(&group_arena);
    struct db_txn *txn = service_directory_begin(service);
    Pr__GroupRecord *group = directory_group(txn, remote->read.account.group, &group_arena);
    while (group != NULL && found == NULL && remote->asked < group->n_replicas) {
        struct rpc_client *peer =
            service_peer(service, group->replicas[remote->asked]->node_id);
        if (peer != NULL && rpc_client_connected(peer))
            found = peer;
        remote->asked++;
    }
    db_abort(&txn);
    arena_fini(&group_arena);
    return found;
}

static void remote_ask(struct remote_read *remote);

static void on_remote(void *context, enum err err, struct bytes bytes)
{
    struct remote_read *remote = context;
    struct arena reply_arena;
    Pr__PeerReply *reply = NULL;

    arena_init(&reply_arena);
    if (err == ERR_OK) {
        ProtobufCAllocator allocator = arena_allocator(&reply_arena);
        reply = pr__peer_reply__unpack(&allocator, bytes.len, bytes.at);
    }
    if (reply != NULL && reply->err == ERR_MOVED) {
        remote->done(remote->context, ERR_MOVED, bytes_from(NULL, 0), reply->index);
        free(remote);
    } else if (reply == NULL || reply->err != ERR_OK || reply->reply == NULL) {
        remote_ask(remote);
    } else {
        struct buffer packed = BUFFER_EMPTY;
        message_pack(&reply->reply->base, &packed);
        remote->done(remote->context, ERR_OK, buffer_bytes(&packed), reply->index);
        buffer_fini(&packed);
        free(remote);
    }
    arena_fini(&reply_arena);
}

static void on_nobody(void *context)
{
    struct remote_read *remote = context;

    remote->done(remote->context, ERR_UNAVAILABLE, bytes_from(NULL, 0), 0);
    free(remote);
}

static void remote_ask(struct remote_read *remote)
{
    const struct mail_read *read = &remote->read;
    uint64_t now_ms = clock_monotonic_ms();
    struct rpc_client *peer = now_ms < read->deadline_ms ? next_replica(remote) : NULL;

    if (peer == NULL) {
        loop_post(remote->service->loop, on_nobody, remote);
        return;
    }
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__RemoteRead call = PR__REMOTE_READ__INIT;
    Pr__Request copy = *read->request; /* packing takes no const */
    struct buffer packed = BUFFER_EMPTY;
    copy.deadline_ms = (uint32_t)(read->deadline_ms - now_ms);
    call.group = read->account.group;
    call.account_id = read->account.account_id;
    call.seen_index = read->seen_index;
    call.fresh = read->fresh;
    call.request = &copy;
    request.call_case = PR__PEER_REQUEST__CALL_REMOTE_READ;
    request.remote_read = &call;
    message_pack(&request.base, &packed);
    rpc_call(peer, buffer_bytes(&packed), read->deadline_ms - now_ms, on_remote, remote);
    buffer_fini(&packed);
}

void mail_read_start(struct service *service, const struct mail_read *read,
                     mail_read_done *done, void *context)
{
    if (read_is_local(service, read->account.group)) {
        mail_read_local(service, read, done, context);
        return;
    }
    struct remote_read *remote = calloc(1, sizeof(*remote));
    CHECK(remote != NULL);
    remote->service = service;
    remote->read = *read;
    remote->done = done;
    remote->context = context;
    remote_ask(remote);
}
