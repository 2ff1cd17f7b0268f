/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/rpc_link.h"

#include <nng/transport/ipc/ipc.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/nng_tls.h"

#define RECONNECT_FIRST_MS 20
#define RECONNECT_MAX_MS 500
#define HEADER_SIZE_MAX 64 /* nng's own, in front of the body */

void rpc_queue_init(struct rpc_queue *queue, struct loop *loop, void (*rung)(void *context),
                    void *context)
{
    CHECK(pthread_mutex_init(&queue->lock, NULL) == 0);
    queue->first = NULL;
    queue->last = &queue->first;
    queue->bell = loop_bell_new(loop, rung, context);
}

void rpc_queue_fini(struct rpc_queue *queue)
{
    struct rpc_event *event = rpc_queue_take(queue);

    while (event != NULL) {
        struct rpc_event *next = event->next;
        if (event->kind != RPC_EVENT_RECEIVED)
            free(event);
        event = next;
    }
    loop_bell_free(&queue->bell);
    pthread_mutex_destroy(&queue->lock);
}

void rpc_queue_put(struct rpc_queue *queue, struct rpc_event *event)
{
    event->next = NULL;
    pthread_mutex_lock(&queue->lock);
    bool first = queue->first == NULL;
    *queue->last = event;
    queue->last = &event->next;
    pthread_mutex_unlock(&queue->lock);
    if (first)
        loop_bell_ring(queue->bell);
}

void rpc_queue_put_pipe(struct rpc_queue *queue, enum rpc_event_kind kind,
                        const struct rpc_peer *peer)
{
    struct rpc_pipe_event *event = calloc(1, sizeof(*event));
    CHECK(event != NULL);
    event->event.kind = kind;
    event->peer = *peer;
    rpc_queue_put(queue, &event->event);
}

struct rpc_event *rpc_queue_take(struct rpc_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct rpc_event *first = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    pthread_mutex_unlock(&queue->lock);
    return first;
}

void rpc_socket_limits(nng_socket socket)
{
    CHECK(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ,
                              RPC_MESSAGE_SIZE_MAX + HEADER_SIZE_MAX) == 0);
    CHECK(nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, RECONNECT_FIRST_MS) == 0);
    CHECK(nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS) == 0);
}

struct rpc_peer rpc_pipe_peer(nng_pipe pipe)
{
    struct rpc_peer peer = {.connection = (uint32_t)nng_pipe_id(pipe), .uid = UINT32_MAX};
    uint64_t number;

    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &number) == 0)
        peer.uid = (uint32_t)number;
    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &number) == 0)
        peer.pid = (uint32_t)number;
    peer.node_id = nng_tls_pipe_node(pipe);
    return peer;
}

static bool starts_with(const char *url, const char *scheme)
{
    return strncmp(url, scheme, strlen(scheme)) == 0;
}

bool rpc_url_is_ipc(const char *url)
{
    return starts_with(url, "ipc://");
}

bool rpc_url_is_tls(const char *url)
{
    return starts_with(url, "tls+tcp://");
}

nng_msg *rpc_message(struct bytes body)
{
    nng_msg *message;

    CHECK(nng_msg_alloc(&message, body.len) == 0);
    if (body.len > 0)
        memcpy(nng_msg_body(message), body.at, body.len);
    return message;
}
