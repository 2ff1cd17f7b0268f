/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/stream_queue.h"

#include <stddef.h>

#include "node/base/check.h"

void stream_queue_init(struct stream_queue *queue, void (*ring)(void *context), void *context)
{
    CHECK(pthread_mutex_init(&queue->lock, NULL) == 0);
    queue->first = NULL;
    queue->last = &queue->first;
    queue->count = 0;
    queue->ring = ring;
    queue->context = context;
}

void stream_queue_fini(struct stream_queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
}

void stream_queue_put(struct stream_queue *queue, struct stream_event *event)
{
    pthread_mutex_lock(&queue->lock);
    CHECK(!event->queued);
    bool first = queue->first == NULL;
    event->next = NULL;
    event->queued = true;
    *queue->last = event;
    queue->last = &event->next;
    queue->count++;
    pthread_mutex_unlock(&queue->lock);
    if (first)
        queue->ring(queue->context);
}

/* Under the lock. */
static void take(struct stream_queue *queue, struct stream_event **at)
{
    struct stream_event *event = *at;

    *at = event->next;
    if (event->next == NULL)
        queue->last = at;
    event->queued = false;
    queue->count--;
}

void stream_queue_remove(struct stream_queue *queue, struct stream_event *event)
{
    pthread_mutex_lock(&queue->lock);
    if (event->queued) {
        struct stream_event **at = &queue->first;
        while (*at != event)
            at = &(*at)->next;
        take(queue, at);
    }
    pthread_mutex_unlock(&queue->lock);
}

void stream_queue_run(struct stream_queue *queue, const bool *ended)
{
    pthread_mutex_lock(&queue->lock);
    for (unsigned left = queue->count; left > 0 && queue->first != NULL; left--) {
        struct stream_event *event = queue->first;
        take(queue, &queue->first);
        pthread_mutex_unlock(&queue->lock);
        event->happened(event->about);
        if (*ended)
            return;
        pthread_mutex_lock(&queue->lock);
    }
    bool more = queue->first != NULL;
    pthread_mutex_unlock(&queue->lock);
    if (more)
        queue->ring(queue->context);
}

/* nng's thread. */
static void on_passed(void *argument)
{
    struct stream_timer *timer = argument;
    stream_queue_put(timer->queue, &timer->passed);
}

static void timer_passed(void *about)
{
    struct stream_timer *timer = about;

    timer->running = false;
    timer->fired(timer->context);
}

void stream_timer_init(struct stream_timer *timer, struct stream_queue *queue,
                       void (*fired)(void *context), void *context)
{
    *timer = (struct stream_timer){.queue = queue, .fired = fired, .context = context};
    timer->passed = (struct stream_event){.happened = timer_passed, .about = timer};
    CHECK(nng_aio_alloc(&timer->aio, on_passed, timer) == 0);
}

void stream_timer_fini(struct stream_timer *timer)
{
    stream_timer_stop(timer);
    nng_aio_free(timer->aio);
}

void stream_timer_start(struct stream_timer *timer, uint64_t delay_ms)
{
    CHECK(!timer->running && delay_ms <= INT32_MAX);
    timer->running = true;
    nng_sleep_aio((nng_duration)delay_ms, timer->aio);
}

void stream_timer_stop(struct stream_timer *timer)
{
    if (!timer->running)
        return;
    nng_aio_cancel(timer->aio);
    nng_aio_wait(timer->aio);
    stream_queue_remove(timer->queue, &timer->passed);
    timer->running = false;
}
