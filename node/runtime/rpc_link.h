/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_RPC_LINK_H
#define NODE_RUNTIME_RPC_LINK_H

#include <nng/nng.h>
#include <pthread.h>

#include "node/runtime/loop_uv.h"
#include "node/runtime/rpc.h"

/*
 * What RPC's two sides share: the way from nng's threads to the loop, and the socket's limits.
 *
 * An event is a node in something larger that its poster owns no more until the loop has taken
 * it.
 */
enum rpc_event_kind {
    RPC_EVENT_RECEIVED, /* of a request slot or a call slot: its receive is over */
    RPC_EVENT_PIPE_UP,
    RPC_EVENT_PIPE_DOWN,
};

struct rpc_event {
    struct rpc_event *next;
    enum rpc_event_kind kind;
};

struct rpc_pipe_event {
    struct rpc_event event;
    struct rpc_peer peer;
};

/* Any thread puts, the loop's thread takes; order is kept. */
struct rpc_queue {
    pthread_mutex_t lock;
    struct rpc_event *first;
    struct rpc_event **last;
    struct loop_bell *bell;
};

void rpc_queue_init(struct rpc_queue *queue, struct loop *loop, void (*rung)(void *context),
                    void *context);
/* Nobody puts any more. Frees pipe events that were not taken. */
void rpc_queue_fini(struct rpc_queue *queue);
void rpc_queue_put(struct rpc_queue *queue, struct rpc_event *event);
void rpc_queue_put_pipe(struct rpc_queue *queue, enum rpc_event_kind kind,
                        const struct rpc_peer *peer);
/* All that is there, linked by `next`. */
struct rpc_event *rpc_queue_take(struct rpc_queue *queue);

/* Sizes and reconnection; before any listener or dialer is made. */
void rpc_socket_limits(nng_socket socket);

/* In ADD_PRE: who is at the other end. */
struct rpc_peer rpc_pipe_peer(nng_pipe pipe);

bool rpc_url_is_ipc(const char *url);
bool rpc_url_is_tls(const char *url);

/* A message with a copy of `body`. */
nng_msg *rpc_message(struct bytes body);

#endif
