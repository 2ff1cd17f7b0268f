/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/peers.h"
#include "storage/service/sessions.h"
#include "storage/service/watch.h"

/*
 * Sessions whose group has no replica on this node hear of changes by asking one that has, for
 * all mailboxes of a group at once. Only clusters of more nodes than replicas need it.
 */

enum {
    ASK_EVERY_MS = 500,
    ASK_DEADLINE_MS = 5000,
    ASKED_MAX = 10000,
};

struct watch_question {
    struct service *service;
    uint32_t group;
    size_t count;
    uint64_t *sessions;
    uint32_t *connections;
    uint64_t *accounts;
    uint32_t *mailboxes;
};

static void question_free(struct watch_question *question)
{
    free(question->sessions);
    free(question->connections);
    free(question->accounts);
    free(question->mailboxes);
    free(question);
}

static void on_answer(void *context, enum err err, struct bytes bytes)
{
    struct watch_question *question = context;
    struct service *service = question->service;
    struct arena reply_arena;
    Pr__PeerReply *reply = NULL;

    arena_init(&reply_arena);
    if (err == ERR_OK) {
        ProtobufCAllocator allocator = arena_allocator(&reply_arena);
        reply = pr__peer_reply__unpack(&allocator, bytes.len, bytes.at);
    }
    for (size_t i = 0;
         reply != NULL && reply->n_modseqs == question->count && i < question->count; i++) {
        struct session *session =
            session_find(service->sessions, question->connections[i], question->sessions[i]);
        if (session != NULL && session->watched_mailbox == question->mailboxes[i])
            watch_learnt(service, session, reply->modseqs[i]);
    }
    arena_fini(&reply_arena);
    question_free(question);
}

static struct rpc_client *some_replica(struct service *service, uint32_t group_number)
{
    struct arena group_arena;
    struct rpc_client *found = NULL;

    arena_init(&group_arena);
    struct db_txn *txn = service_directory_begin(service);
    Pr__GroupRecord *group = directory_group(txn, group_number, &group_arena);
    for (size_t i = 0; group != NULL && found == NULL && i < group->n_replicas; i++) {
        struct rpc_client *peer = service_peer(service, group->replicas[i]->node_id);
        if (peer != NULL && rpc_client_connected(peer))
            found = peer;
    }
    db_abort(&txn);
    arena_fini(&group_arena);
    return found;
}

static void ask(struct watch_question *question)
{
    struct rpc_client *peer = some_replica(question->service, question->group);
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__RemoteWatch watch = PR__REMOTE_WATCH__INIT;
    struct buffer packed = BUFFER_EMPTY;

    if (peer == NULL) {
        question_free(question);
        return;
    }
    watch.group = question->group;
    watch.n_account_ids = question->count;
    watch.account_ids = question->accounts;
    watch.n_mailbox_ids = question->count;
    watch.mailbox_ids = question->mailboxes;
    request.call_case = PR__PEER_REQUEST__CALL_REMOTE_WATCH;
    request.remote_watch = &watch;
    message_pack(&request.base, &packed);
    rpc_call(peer, buffer_bytes(&packed), ASK_DEADLINE_MS, on_answer, question);
    buffer_fini(&packed);
}

static struct watch_question *question_new(struct service *service, uint32_t group)
{
    struct watch_question *question = calloc(1, sizeof(*question));
    CHECK(question != NULL);
    question->service = service;
    question->group = group;
    question->sessions = calloc(ASKED_MAX, sizeof(*question->sessions));
    question->connections = calloc(ASKED_MAX, sizeof(*question->connections));
    question->accounts = calloc(ASKED_MAX, sizeof(*question->accounts));
    question->mailboxes = calloc(ASKED_MAX, sizeof(*question->mailboxes));
    CHECK(question->sessions != NULL && question->connections != NULL &&
          question->accounts != NULL && question->mailboxes != NULL);
    return question;
}

static void on_timer(void *context)
{
    struct service *service = context;
    struct map questions = MAP_EMPTY; /* by group */
    struct session *session;
    size_t at = 0;
    uint64_t group;
    void *value;

    while ((session = sessions_next(service->sessions, &at)) != NULL) {
        if (session->watched_mailbox == 0 || session->ended ||
            read_is_local(service, session->group))
            continue;
        struct watch_question *question = map_get(&questions, session->group);
        if (question == NULL) {
            question = question_new(service, session->group);
            map_put(&questions, session->group, question);
        }
        if (question->count == ASKED_MAX)
            continue;
        question->sessions[question->count] = session->id;
        question->connections[question->count] = session->connection;
        question->accounts[question->count] = session->account_id;
        question->mailboxes[question->count] = session->watched_mailbox;
        question->count++;
    }
    at = 0;
    while (map_next(&questions, &at, &group, &value))
        ask(value);
    map_fini(&questions);
}

void peers_watch_start(struct service *service)
{
    service->peers_watch =
        loop_timer_start(service->loop, ASK_EVERY_MS, ASK_EVERY_MS, on_timer, service);
}

void peers_watch_stop(struct service *service)
{
    loop_timer_stop(&service->peers_watch);
}
