/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answering side. A fixed number of contexts wait for requests; each is at any time in the
 * hands of nng (receiving, sending) or of the loop's thread (a request without reply), never
 * both:
 *
 *   receiving --(received, nng's thread)--> queue --> held by the caller --(reply)--> sending
 *       ^------------------------------(sent, nng's thread)------------------------------'
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/transport/ipc/ipc.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/rpc_link.h"

struct rpc_request {
    struct rpc_event event;    /* first: an event of the queue is its request */
    struct rpc_server *server; /* NULL once that is freed: only a reply is still to come */
    nng_ctx context;
    nng_aio *receive;
    nng_aio *send;
    nng_msg *message; /* while held */
    bool held;
};

struct rpc_server {
    struct rpc_queue queue;
    nng_socket socket;
    struct rpc_request **requests;
    unsigned requests_count;
    struct rpc_peer *peers; /* sorted by connection */
    size_t peers_count;
    size_t peers_size;
    uint32_t uid;
    bool need_node;
    void (*handle)(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                   struct bytes body);
    void (*disconnected)(void *context, uint32_t connection);
    void *context;
};

/* nng's thread. */
static void on_received(void *argument)
{
    struct rpc_request *request = argument;
    rpc_queue_put(&request->server->queue, &request->event);
}

/* nng's thread. A reply that found no taker is nobody's loss. */
static void on_sent(void *argument)
{
    struct rpc_request *request = argument;

    if (nng_aio_result(request->send) != 0) {
        nng_msg_free(nng_aio_get_msg(request->send));
        nng_aio_set_msg(request->send, NULL);
    }
    nng_ctx_recv(request->context, request->receive);
}

/* nng's thread, before the first message of a connection is read. */
static void on_pipe_new(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct rpc_server *server = argument;
    struct rpc_peer peer = rpc_pipe_peer(pipe);
    static _Atomic uint64_t logged_ms;

    (void)event;
    if ((server->uid != UINT32_MAX && peer.uid != server->uid) ||
        (server->need_node && peer.node_id == 0)) {
        if (log_pause_over(&logged_ms))
            log_warn(NULL, "rpc connection refused",
                     LOG_FIELDS(LOG_U64("uid", peer.uid), LOG_U64("pid", peer.pid),
                                LOG_U64("node", peer.node_id)));
        nng_pipe_close(pipe);
        return;
    }
    rpc_queue_put_pipe(&server->queue, RPC_EVENT_PIPE_UP, &peer);
}

/* nng's thread. */
static void on_pipe_gone(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct rpc_server *server = argument;
    struct rpc_peer peer = {.connection = (uint32_t)nng_pipe_id(pipe)};

    (void)event;
    rpc_queue_put_pipe(&server->queue, RPC_EVENT_PIPE_DOWN, &peer);
}

/* Where `connection` is in the sorted peers, or would be. */
static size_t peer_place(const struct rpc_server *server, uint32_t connection)
{
    size_t low = 0, high = server->peers_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (server->peers[middle].connection < connection)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool peer_known(const struct rpc_server *server, size_t place, uint32_t connection)
{
    return place < server->peers_count && server->peers[place].connection == connection;
}

static void peer_add(struct rpc_server *server, const struct rpc_peer *peer)
{
    size_t place = peer_place(server, peer->connection);

    CHECK(!peer_known(server, place, peer->connection));
    if (server->peers_count == server->peers_size) {
        server->peers_size = server->peers_size > 0 ? server->peers_size * 2 : 8;
        server->peers = reallocarray(server->peers, server->peers_size, sizeof(*server->peers));
        CHECK(server->peers != NULL);
    }
    memmove(&server->peers[place + 1], &server->peers[place],
            (server->peers_count - place) * sizeof(*server->peers));
    server->peers[place] = *peer;
    server->peers_count++;
}

/* A connection that was refused is not known. */
static void peer_remove(struct rpc_server *server, uint32_t connection)
{
    size_t place = peer_place(server, connection);

    if (!peer_known(server, place, connection))
        return;
    server->peers_count--;
    memmove(&server->peers[place], &server->peers[place + 1],
            (server->peers_count - place) * sizeof(*server->peers));
    if (server->disconnected != NULL)
        server->disconnected(server->context, connection);
}

static void request_received(struct rpc_server *server, struct rpc_request *request)
{
    int result = nng_aio_result(request->receive);

    if (result != 0) {
        log_error(NULL, "rpc receive failed",
                  LOG_FIELDS(LOG_TEXT("reason", nng_strerror(result))));
        nng_ctx_recv(request->context, request->receive);
        return;
    }
    nng_msg *message = nng_aio_get_msg(request->receive);
    nng_aio_set_msg(request->receive, NULL);
    uint32_t connection = (uint32_t)nng_pipe_id(nng_msg_get_pipe(message));
    size_t place = peer_place(server, connection);
    if (!peer_known(server, place, connection)) {
        /* The connection has gone, and nobody waits for the reply. */
        nng_msg_free(message);
        nng_ctx_recv(request->context, request->receive);
        return;
    }
    struct rpc_peer peer = server->peers[place];
    request->message = message;
    request->held = true;
    server->handle(server->context, request, &peer,
                   bytes_from(nng_msg_body(message), nng_msg_len(message)));
}

static void on_events(void *context)
{
    struct rpc_server *server = context;
    struct rpc_event *event = rpc_queue_take(&server->queue);

    while (event != NULL) {
        struct rpc_event *next = event->next;
        struct rpc_pipe_event *pipe = (struct rpc_pipe_event *)event;
        switch (event->kind) {
        case RPC_EVENT_RECEIVED:
            request_received(server, (struct rpc_request *)event);
            break;
        case RPC_EVENT_PIPE_UP:
            peer_add(server, &pipe->peer);
            free(pipe);
            break;
        case RPC_EVENT_PIPE_DOWN:
            peer_remove(server, pipe->peer.connection);
            free(pipe);
            break;
        }
        event = next;
    }
}

static void request_free(struct rpc_request *request)
{
    nng_msg_free(request->message);
    nng_aio_free(request->receive);
    nng_aio_free(request->send);
    free(request);
}

void rpc_reply(struct rpc_request *request, struct bytes body)
{
    CHECK(request->held && body.len <= RPC_MESSAGE_SIZE_MAX);
    if (request->server == NULL) {
        request_free(request);
        return;
    }
    nng_aio_set_msg(request->send, rpc_message(body));
    nng_msg_free(request->message);
    request->message = NULL;
    request->held = false;
    nng_ctx_send(request->context, request->send);
}

static void requests_start(struct rpc_server *server, unsigned count)
{
    CHECK(count > 0);
    server->requests = calloc(count, sizeof(struct rpc_request *));
    CHECK(server->requests != NULL);
    server->requests_count = count;
    for (unsigned i = 0; i < count; i++) {
        struct rpc_request *request = calloc(1, sizeof(*request));
        CHECK(request != NULL);
        request->event.kind = RPC_EVENT_RECEIVED;
        request->server = server;
        CHECK(nng_aio_alloc(&request->receive, on_received, request) == 0);
        CHECK(nng_aio_alloc(&request->send, on_sent, request) == 0);
        CHECK(nng_ctx_open(&request->context, server->socket) == 0);
        server->requests[i] = request;
        nng_ctx_recv(request->context, request->receive);
    }
}

static enum err listen_on(struct rpc_server *server, const struct rpc_server_config *config)
{
    nng_tls_config *tls = NULL;
    nng_listener listener;
    int result = nng_listener_create(&listener, server->socket, config->url);

    if (result == 0 && rpc_url_is_tls(config->url)) {
        CHECK(config->credentials != NULL);
        if (nng_tls_credentials(config->credentials, NNG_TLS_MODE_SERVER, config->anonymous,
                                NULL, &tls) != ERR_OK) {
            log_error(NULL, "rpc credentials are malformed",
                      LOG_FIELDS(LOG_TEXT("url", config->url)));
            return ERR_MALFORMED;
        }
        result = nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, tls);
        nng_tls_config_free(tls); /* the listener holds it */
    }
    if (result == 0 && rpc_url_is_ipc(config->url))
        result = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, (int)config->ipc_mode);
    if (result == 0)
        result = nng_listener_start(listener, 0);
    if (result == 0)
        return ERR_OK;
    log_error(
        NULL, "cannot listen",
        LOG_FIELDS(LOG_TEXT("url", config->url), LOG_TEXT("reason", nng_strerror(result))));
    return ERR_IO;
}

enum err rpc_server_new(struct loop *loop, const struct rpc_server_config *config,
                        struct rpc_server **out)
{
    struct rpc_server *server = calloc(1, sizeof(*server));

    CHECK(server != NULL);
    *out = NULL;
    nng_tls_engine_use();
    server->uid = rpc_url_is_ipc(config->url) ? config->uid : UINT32_MAX;
    server->need_node = rpc_url_is_tls(config->url) && !config->anonymous;
    server->handle = config->handle;
    server->disconnected = config->disconnected;
    server->context = config->context;
    rpc_queue_init(&server->queue, loop, on_events, server);
    CHECK(nng_rep0_open(&server->socket) == 0);
    rpc_socket_limits(server->socket);
    CHECK(nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, on_pipe_new, server) == 0);
    CHECK(nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, on_pipe_gone, server) == 0);
    requests_start(server, config->parallel_max);
    enum err err = listen_on(server, config);
    if (err == ERR_OK)
        *out = server;
    else
        rpc_server_free(&server);
    return err;
}

void rpc_server_free(struct rpc_server **pointer)
{
    struct rpc_server *server = *pointer;

    if (server == NULL)
        return;
    *pointer = NULL;
    nng_close(server->socket);
    for (unsigned i = 0; i < server->requests_count; i++) {
        /* Sending first: its callback starts receiving. */
        nng_aio_stop(server->requests[i]->send);
        nng_aio_stop(server->requests[i]->receive);
    }
    rpc_queue_fini(&server->queue);
    for (unsigned i = 0; i < server->requests_count; i++) {
        struct rpc_request *request = server->requests[i];
        nng_msg *unseen =
            nng_aio_result(request->receive) == 0 ? nng_aio_get_msg(request->receive) : NULL;
        nng_msg_free(unseen);
        nng_aio_set_msg(request->receive, NULL);
        request->server = NULL;
        if (!request->held)
            request_free(request);
    }
    free(server->requests);
    free(server->peers);
    free(server);
}
