/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/peers.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/fence.h"
#include "storage/service/firewall.h"
#include "storage/service/join.h"
#include "storage/service/mail_read.h"
#include "storage/service/recover.h"
#include "storage/service/scrubs.h"
#include "storage/service/space.h"
#include "storage/service/state_serve.h"
#include "storage/service/status.h"

enum {
    PEER_PARALLEL_MAX = 1024,
    JOIN_PARALLEL_MAX = 4,
    REMOTE_WATCH_MAX = 10000, /* mailboxes in one question */
};

/* One question of another node. */
struct peer_call {
    struct service *service;
    struct rpc_request *rpc;
    struct arena call_arena;
    Pr__PeerRequest *request;
    struct read_job job; /* of a RemoteWatch */
    uint64_t *modseqs;
};

static void end(struct peer_call *call, Pr__PeerReply *reply)
{
    struct buffer packed = BUFFER_EMPTY;

    reply->clock_id = call->service->clock_id;
    reply->clock_ms = clock_monotonic_ms();
    message_pack(&reply->base, &packed);
    rpc_reply(call->rpc, buffer_bytes(&packed));
    buffer_fini(&packed);
    arena_fini(&call->call_arena);
    free(call);
}

static void end_with(struct peer_call *call, enum err err)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    reply.err = err;
    end(call, &reply);
}

static void end_stranger(struct peer_call *call, uint64_t node_id)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    reply.err = ERR_DENIED;
    reply.removed = fence_is_removed(call->service, node_id);
    reply.recovery_epoch = fence_recovery_epoch(call->service);
    end(call, &reply);
}

static void handle_hello(struct peer_call *call)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    reply.recovery_epoch = fence_recovery_epoch(call->service);
    end(call, &reply);
}

static void on_proposed(void *context, enum err err, uint64_t index, struct bytes bytes)
{
    struct peer_call *call = context;
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);

    reply.err = err;
    reply.index = index;
    if (err == ERR_OK)
        reply.outcome = pr__outcome__unpack(&allocator, bytes.len, bytes.at);
    if (err == ERR_OK && reply.outcome == NULL)
        reply.err = ERR_UNKNOWN;
    if (err == ERR_NOTLEADER)
        reply.leader =
            replicator_leader(call->service->replicator, call->request->propose->group);
    end(call, &reply);
}

static void handle_firewall(struct peer_call *call)
{
    const Pr__FirewallNews *news = call->request->firewall_news;

    end_with(call, firewalls_news(call->service, bytes_of_field(news->batch), news->forgiven,
                                  news->n_forgiven));
}

static void handle_propose(struct peer_call *call)
{
    const Pr__Propose *propose = call->request->propose;

    if (propose->command.len == 0) {
        end_with(call, ERR_MALFORMED);
        return;
    }
    if (propose->clock_id != call->service->clock_id) {
        end_with(call, ERR_CONFLICT);
        return;
    }
    if (clock_monotonic_ms() >= propose->expires_ms) {
        end_with(call, ERR_TIMEOUT);
        return;
    }
    replicator_propose(call->service->replicator, propose->group,
                       bytes_of_field(propose->command), on_proposed, call);
}

static void on_read(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct peer_call *call = context;
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);

    reply.err = err;
    reply.index = index;
    if (err == ERR_OK)
        reply.reply = pr__reply__unpack(&allocator, packed.len, packed.at);
    end(call, &reply);
}

static void handle_remote_read(struct peer_call *call)
{
    const Pr__RemoteRead *asked = call->request->remote_read;

    if (asked->request == NULL) {
        end_with(call, ERR_MALFORMED);
        return;
    }
    if (!read_is_local(call->service, asked->group)) {
        end_with(call, ERR_NOTFOUND);
        return;
    }
    struct mail_read read = {
        .account = {.group = asked->group, .account_id = asked->account_id},
        .seen_index = asked->seen_index,
        .fresh = asked->fresh,
        .deadline_ms = clock_monotonic_ms() + asked->request->deadline_ms,
        .request = asked->request,
    };
    mail_read_local(call->service, &read, on_read, call);
}

static void handle_status(struct peer_call *call)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    status_local(call->service, &call->call_arena, &reply.groups, &reply.n_groups);
    reply.format = FORMAT_NEWEST;
    const char *problem = service_problem(call->service);
    if (problem != NULL)
        reply.problem = arena_string(&call->call_arena, bytes_of(problem));
    end(call, &reply);
}

static void on_transferred(void *context, enum err err)
{
    end_with(context, err);
}

static void handle_recover(struct peer_call *call)
{
    recover_here(call->service, call->request->group_recover, on_transferred, call);
}

static void handle_transfer(struct peer_call *call)
{
    const Pr__GroupTransfer *asked = call->request->group_transfer;

    replicator_transfer(call->service->replicator, asked->group, asked->node_id, on_transferred,
                        call);
}

static void watch_in_pool(struct read_job *job, struct db_txn *txn)
{
    struct peer_call *call = job->context;
    const Pr__RemoteWatch *asked = call->request->remote_watch;

    for (size_t i = 0; i < asked->n_account_ids; i++) {
        struct query_account account = {asked->group, asked->account_ids[i]};
        call->modseqs[i] = query_highest_modseq(txn, account, asked->mailbox_ids[i]);
    }
}

static void on_watch_read(struct read_job *job, enum err err, uint64_t index)
{
    struct peer_call *call = job->context;
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    reply.err = err;
    reply.index = index;
    if (err == ERR_OK) {
        reply.modseqs = call->modseqs;
        reply.n_modseqs = call->request->remote_watch->n_account_ids;
    }
    end(call, &reply);
}

static void handle_remote_watch(struct peer_call *call)
{
    const Pr__RemoteWatch *asked = call->request->remote_watch;

    if (asked->n_account_ids != asked->n_mailbox_ids ||
        asked->n_account_ids > REMOTE_WATCH_MAX) {
        end_with(call, ERR_MALFORMED);
        return;
    }
    if (!read_is_local(call->service, asked->group)) {
        end_with(call, ERR_NOTFOUND);
        return;
    }
    call->modseqs =
        arena_alloc(&call->call_arena, asked->n_account_ids * sizeof(*call->modseqs));
    call->job = (struct read_job){
        .service = call->service,
        .group = asked->group,
        .deadline_ms = clock_monotonic_ms() + DEADLINE_DEFAULT_MS,
        .work = watch_in_pool,
        .done = on_watch_read,
        .context = call,
    };
    read_start(&call->job);
}

/* It takes the request over. */
static void handle_state(struct peer_call *call, uint64_t node_id)
{
    state_serve(call->service, call->rpc, node_id, call->request);
    arena_fini(&call->call_arena);
    free(call);
}

static void on_request(void *context, struct rpc_request *rpc, const struct rpc_peer *peer,
                       struct bytes body)
{
    struct peer_call *call = calloc(1, sizeof(*call));
    CHECK(call != NULL);

    call->service = context;
    call->rpc = rpc;
    arena_init(&call->call_arena);
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
    call->request = pr__peer_request__unpack(&allocator, body.len, body.at);
    if (call->request == NULL || service_node(call->service, peer->node_id) == NULL) {
        /* A certificate of this cluster, but of a node that was removed, or is not known here
         * yet. */
        if (call->request == NULL)
            end_with(call, ERR_MALFORMED);
        else
            end_stranger(call, peer->node_id);
        return;
    }
    switch (call->request->call_case) {
    case PR__PEER_REQUEST__CALL_PROPOSE:
        handle_propose(call);
        break;
    case PR__PEER_REQUEST__CALL_REMOTE_READ:
        handle_remote_read(call);
        break;
    case PR__PEER_REQUEST__CALL_PEER_STATUS:
        handle_status(call);
        break;
    case PR__PEER_REQUEST__CALL_REMOTE_WATCH:
        handle_remote_watch(call);
        break;
    case PR__PEER_REQUEST__CALL_BODY_BLOCKS:
        scrub_serve(call->service, call->rpc, call->request->body_blocks);
        arena_fini(&call->call_arena);
        free(call);
        break;
    case PR__PEER_REQUEST__CALL_ROW_DIGESTS:
        rows_serve(call->service, call->rpc, call->request->row_digests);
        arena_fini(&call->call_arena);
        free(call);
        break;
    case PR__PEER_REQUEST__CALL_STATE_OPEN:
    case PR__PEER_REQUEST__CALL_STATE_READ:
    case PR__PEER_REQUEST__CALL_STATE_CLOSE:
        handle_state(call, peer->node_id);
        break;
    case PR__PEER_REQUEST__CALL_GROUP_RECOVER:
        handle_recover(call);
        break;
    case PR__PEER_REQUEST__CALL_PEER_HELLO:
        handle_hello(call);
        break;
    case PR__PEER_REQUEST__CALL_FIREWALL_NEWS:
        handle_firewall(call);
        break;
    case PR__PEER_REQUEST__CALL_GROUP_TRANSFER:
        handle_transfer(call);
        break;
    default:
        end_with(call, ERR_UNSUPPORTED);
    }
}

static void on_join_request(void *context, struct rpc_request *rpc, const struct rpc_peer *peer,
                            struct bytes body)
{
    (void)peer;
    join_serve(context, rpc, body);
}

static char *url_of(struct service *service, const char *address)
{
    return arena_printf(&service->process->arena, "tls+tcp://%s", address);
}

enum err peers_open(struct service *service)
{
    struct rpc_server_config peers = {
        .url = url_of(service, service->config->cluster_rpc),
        .credentials = &service->credentials,
        .parallel_max = PEER_PARALLEL_MAX,
        .uid = UINT32_MAX,
        .handle = on_request,
        .context = service,
    };
    struct rpc_server_config join = {
        .url = url_of(service, service->config->cluster_join),
        .credentials = &service->credentials,
        .anonymous = true,
        .parallel_max = JOIN_PARALLEL_MAX,
        .uid = UINT32_MAX,
        .handle = on_join_request,
        .context = service,
    };

    randombytes_buf(&service->clock_id, sizeof(service->clock_id));
    enum err err = rpc_server_new(service->loop, &peers, &service->peer_server);

    if (err == ERR_OK && service->config->cluster_join[0] != '\0')
        err = rpc_server_new(service->loop, &join, &service->join_server);
    return err;
}

void peers_close(struct service *service)
{
    rpc_server_free(&service->peer_server);
    rpc_server_free(&service->join_server);
}
