/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/rpc_queue.h"

#include "node/base/check.h"

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

struct rpc_event *rpc_queue_take(struct rpc_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct rpc_event *first = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    pthread_mutex_unlock(&queue->lock);
    return first;
}
