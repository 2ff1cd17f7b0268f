/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_RPC_QUEUE_H
#define NODE_RUNTIME_RPC_QUEUE_H

#include <pthread.h>

#include "node/runtime/loop_uv.h"

/*
 * The way from nng's threads to the loop. An event is a part of what it is about, which stays
 * until the event has been taken.
 */
enum rpc_event_kind { RPC_EVENT_RECEIVED, RPC_EVENT_SENT, RPC_EVENT_OWNER };

struct rpc_event {
    struct rpc_event *next;
    enum rpc_event_kind kind;
    void *about;
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
/* Nobody puts any more. */
void rpc_queue_fini(struct rpc_queue *queue);
void rpc_queue_put(struct rpc_queue *queue, struct rpc_event *event);
/* All that is there, linked by `next`. */
struct rpc_event *rpc_queue_take(struct rpc_queue *queue);

#endif
