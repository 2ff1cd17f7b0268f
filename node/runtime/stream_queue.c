/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/stream_queue.h"

#include <stddef.h>
#include <time.h>

#include "node/base/check.h"
#include "node/runtime/loop.h"

void stream_queue_init(struct stream_queue *queue, void (*ring)(void *context), void *context)
{
    CHECK(pthread_mutex_init(&queue->lock, NULL) == 0);
    queue->first = NULL;
    queue->last = &queue->first;
    queue->count = 0;
    queue->ring = ring;
    queue->context = context;
    queue->loop = NULL;
    queue->timers = NULL;
    queue->clock_runs = queue->ending = false;
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0 &&
          pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
          pthread_cond_init(&queue->changed, &attributes) == 0 &&
          pthread_condattr_destroy(&attributes) == 0);
}

void stream_queue_use_loop(struct stream_queue *queue, struct loop *loop)
{
    queue->loop = loop;
}

void stream_queue_fini(struct stream_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->ending = true;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    if (queue->clock_runs)
        CHECK(pthread_join(queue->clock, NULL) == 0);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
}

/* Under the lock. True: the owner is to be rung. */
static bool put(struct stream_queue *queue, struct stream_event *event)
{
    bool first = queue->first == NULL;

    CHECK(!event->queued);
    event->next = NULL;
    event->queued = true;
    *queue->last = event;
    queue->last = &event->next;
    queue->count++;
    return first;
}

void stream_queue_put(struct stream_queue *queue, struct stream_event *event)
{
    pthread_mutex_lock(&queue->lock);
    bool rings = put(queue, event);
    pthread_mutex_unlock(&queue->lock);
    if (rings)
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
}

void stream_timer_fini(struct stream_timer *timer)
{
    stream_timer_stop(timer);
}

/* Under the lock. What is due becomes an event. The time of the next one; 0: there is none. */
static uint64_t timers_pass(struct stream_queue *queue, bool *rings)
{
    uint64_t now = clock_monotonic_ms();
    uint64_t next = 0;

    for (struct stream_timer **at = &queue->timers; *at != NULL;) {
        struct stream_timer *timer = *at;
        if (timer->due_ms > now) {
            if (next == 0 || timer->due_ms < next)
                next = timer->due_ms;
            at = &timer->next;
            continue;
        }
        *at = timer->next;
        timer->waits = false;
        *rings = put(queue, &timer->passed) || *rings;
    }
    return next;
}

static void *clock_run(void *argument)
{
    struct stream_queue *queue = argument;

    pthread_mutex_lock(&queue->lock);
    while (!queue->ending) {
        bool rings = false;
        uint64_t next = timers_pass(queue, &rings);
        if (rings) {
            pthread_mutex_unlock(&queue->lock);
            queue->ring(queue->context);
            pthread_mutex_lock(&queue->lock);
        } else if (next == 0) {
            pthread_cond_wait(&queue->changed, &queue->lock);
        } else {
            struct timespec until = {.tv_sec = (time_t)(next / 1000),
                                     .tv_nsec = (long)(next % 1000) * 1000000};
            pthread_cond_timedwait(&queue->changed, &queue->lock, &until);
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

static void loop_timer_passed(void *about)
{
    struct stream_timer *timer = about;

    timer->on_loop = NULL; /* it fires once */
    timer_passed(timer);
}

void stream_timer_start(struct stream_timer *timer, uint64_t delay_ms)
{
    struct stream_queue *queue = timer->queue;

    CHECK(!timer->running && delay_ms <= INT32_MAX);
    timer->running = true;
    if (queue->loop != NULL) {
        timer->on_loop = loop_timer_start(queue->loop, delay_ms, 0, loop_timer_passed, timer);
        return;
    }
    timer->due_ms = clock_monotonic_ms() + delay_ms;
    pthread_mutex_lock(&queue->lock);
    timer->waits = true;
    timer->next = queue->timers;
    queue->timers = timer;
    if (!queue->clock_runs)
        CHECK(pthread_create(&queue->clock, NULL, clock_run, queue) == 0);
    queue->clock_runs = true;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

void stream_timer_stop(struct stream_timer *timer)
{
    struct stream_queue *queue = timer->queue;

    if (!timer->running)
        return;
    loop_timer_stop(&timer->on_loop);
    pthread_mutex_lock(&queue->lock);
    if (timer->waits) {
        struct stream_timer **at = &queue->timers;
        while (*at != timer)
            at = &(*at)->next;
        *at = timer->next;
        timer->waits = false;
    }
    pthread_mutex_unlock(&queue->lock);
    stream_queue_remove(queue, &timer->passed);
    timer->running = false;
}
