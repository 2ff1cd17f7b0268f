/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <nng/nng.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/rpc_link.h"
#include "node/runtime/stream.h"
#include "node/runtime/stream_opener.h"

enum {
    LINKS_MAX = 4096,
    ACCEPT_PAUSE_MS = 100, /* when the machine has no descriptors left */
};

struct rpc_request {
    struct rpc_server *server; /* NULL once that is freed: only a reply is still to come */
    struct rpc_request *next, *previous;
    uint32_t connection;
    uint64_t number;
    struct rpc_link *link; /* whose input still has the body: inside handle() */
    bool secret;
    size_t len;
    uint8_t body[];
};

struct rpc_server {
    struct rpc_hub *hub;
    struct stream_opener *listener;
    struct rpc_request *first;   /* without reply */
    struct rpc_request *handled; /* inside handle(), without reply */
    unsigned held;
    unsigned parallel_max;
    uint32_t uid;
    bool need_node;
    void (*handle)(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                   struct bytes body);
    void (*disconnected)(void *context, uint32_t connection);
    void *context;
};

static bool on_opened(void *context, struct rpc_link *link)
{
    const struct rpc_server *server = context;
    const struct rpc_peer *peer = rpc_link_peer(link);

    return (server->uid == UINT32_MAX || peer->uid == server->uid) &&
           (!server->need_node || peer->node_id != 0);
}

static bool on_ready(void *context)
{
    const struct rpc_server *server = context;
    return server->held < server->parallel_max;
}

static void on_message(void *context, struct rpc_link *link, uint64_t number, struct bytes body)
{
    struct rpc_server *server = context;
    struct rpc_request *request = malloc(sizeof(*request) + body.len);
    const struct rpc_peer peer = *rpc_link_peer(link);

    CHECK(request != NULL);
    *request = (struct rpc_request){.server = server,
                                    .next = server->first,
                                    .connection = peer.connection,
                                    .number = number,
                                    .link = link,
                                    .len = body.len};
    if (body.len > 0)
        memcpy(request->body, body.at, body.len);
    if (server->first != NULL)
        server->first->previous = request;
    server->first = request;
    server->held++;
    server->handled = request;
    server->handle(server->context, request, &peer, bytes_from(request->body, body.len));
    if (server->handled != NULL)
        server->handled->link = NULL;
    server->handled = NULL;
}

void rpc_wipe(struct rpc_request *request)
{
    explicit_bzero(request->body, request->len);
    request->secret = true;
    if (request->link != NULL)
        rpc_link_wipe_received(request->link);
}

void rpc_reply(struct rpc_request *request, struct bytes body)
{
    struct rpc_server *server = request->server;

    CHECK(body.len <= RPC_MESSAGE_SIZE_MAX);
    if (server != NULL) {
        struct rpc_link *link = rpc_link_find(server->hub, request->connection);
        if (link != NULL)
            rpc_link_write(link, request->number, body);
        if (link != NULL && request->secret)
            rpc_link_wipe_sent(link);
        if (server->handled == request)
            server->handled = NULL;
        *(request->previous != NULL ? &request->previous->next : &server->first) =
            request->next;
        if (request->next != NULL)
            request->next->previous = request->previous;
        if (server->held-- == server->parallel_max)
            rpc_hub_resume(server->hub);
    }
    free(request);
}

static void on_closed(void *context, struct rpc_link *link, bool opened)
{
    struct rpc_server *server = context;

    if (opened && server->disconnected != NULL)
        server->disconnected(server->context, rpc_link_peer(link)->connection);
}

static void on_accepted(void *context, struct stream *stream, int result)
{
    static _Atomic uint64_t logged_ms;
    struct rpc_server *server = context;

    bool came = stream != NULL;
    if (came && rpc_hub_links(server->hub) < LINKS_MAX)
        rpc_link_new(server->hub, stream);
    else if (came)
        stream_free(&stream);
    else if (log_pause_over(&logged_ms))
        log_error(NULL, "cannot accept", LOG_FIELDS(LOG_TEXT("reason", nng_strerror(result))));
    stream_opener_go(server->listener, came ? 0 : ACCEPT_PAUSE_MS);
}

static const struct rpc_hub_calls calls = {on_opened, on_ready, on_message, on_closed};

static bool is_scheme(const char *url, const char *scheme)
{
    return strncmp(url, scheme, strlen(scheme)) == 0;
}

static enum err listen_on(struct rpc_server *server, const struct rpc_server_config *config)
{
    nng_tls_config *tls = NULL;

    if (is_scheme(config->url, "tls+tcp:")) {
        CHECK(config->credentials != NULL);
        if (nng_tls_credentials(config->credentials, NNG_TLS_MODE_SERVER, config->anonymous,
                                NULL, &tls) != ERR_OK) {
            log_error(NULL, "rpc credentials are malformed",
                      LOG_FIELDS(LOG_TEXT("url", config->url)));
            return ERR_MALFORMED;
        }
    }
    int result = stream_listener_new(rpc_hub_queue(server->hub), config->url, tls, on_accepted,
                                     server, &server->listener);
    if (tls != NULL)
        nng_tls_config_free(tls); /* the listener holds it */
    if (result == 0 && is_scheme(config->url, "ipc:"))
        result = stream_opener_mode(server->listener, config->ipc_mode);
    if (result == 0)
        result = stream_opener_listen(server->listener);
    if (result == 0) {
        stream_opener_go(server->listener, 0);
        return ERR_OK;
    }
    log_error(
        NULL, "cannot listen",
        LOG_FIELDS(LOG_TEXT("url", config->url), LOG_TEXT("reason", nng_strerror(result))));
    return ERR_IO;
}

enum err rpc_server_new(struct loop *loop, const struct rpc_server_config *config,
                        struct rpc_server **out)
{
    struct rpc_server *server = calloc(1, sizeof(*server));

    CHECK(server != NULL && config->parallel_max > 0);
    *out = NULL;
    server->parallel_max = config->parallel_max;
    server->uid = is_scheme(config->url, "ipc:") ? config->uid : UINT32_MAX;
    server->need_node = is_scheme(config->url, "tls+tcp:") && !config->anonymous;
    server->handle = config->handle;
    server->disconnected = config->disconnected;
    server->context = config->context;
    server->hub = rpc_hub_new(loop, &calls, server, false);
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
    stream_opener_free(&server->listener);
    for (struct rpc_request *request = server->first; request != NULL; request = request->next)
        request->server = NULL;
    rpc_hub_free(server->hub, free);
}
