/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_STREAM_QUEUE_H
#define NODE_RUNTIME_STREAM_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;

/*
 * The way from nng's threads to the one thread that owns streams, and, rarely, from that thread
 * to itself, later. An event is a part of what it is about, which stays until the event was
 * run, or was taken back.
 */
struct stream_event {
    struct stream_event *next;
    void (*happened)(void *about); /* in the owner's thread */
    void *about;
    bool queued;
};

struct stream_queue {
    pthread_mutex_t lock;
    struct stream_event *first;
    struct stream_event **last;
    unsigned count;
    void (*ring)(void *context);
    void *context;
    struct loop *loop; /* of the owner's thread, or NULL: it has none */
    /* Of the timers, without a loop. The thread begins with the first that is started. */
    pthread_t clock;
    pthread_cond_t changed;
    struct stream_timer *timers; /* running */
    bool clock_runs;
    bool ending;
};

/* `ring` is called from any thread when there is something to run. */
void stream_queue_init(struct stream_queue *queue, void (*ring)(void *context), void *context);
/* Right after that: the owner's thread runs this loop. Streams within the node need it, timers
 * use it. */
void stream_queue_use_loop(struct stream_queue *queue, struct loop *loop);
/* Nobody puts any more. */
void stream_queue_fini(struct stream_queue *queue);
/* From any thread; order is kept. */
void stream_queue_put(struct stream_queue *queue, struct stream_event *event);
/* Takes an event back, if it is there. The owner's thread, as what follows. */
void stream_queue_remove(struct stream_queue *queue, struct stream_event *event);
/* Runs what is there now, and rings for what came meanwhile. Stops once *ended is true: then
 * the queue may be gone. */
void stream_queue_run(struct stream_queue *queue, const bool *ended);

/*
 * A time that one can wait for with or without a loop, by the monotonic clock: nng's own
 * timers, also those of its operations, go by the time of day, and wait for hours when that is
 * set back.
 */
struct stream_timer {
    struct stream_queue *queue;
    struct stream_timer *next; /* of the queue's timers, while it waits */
    uint64_t due_ms;
    bool waits;
    struct loop_timer *on_loop; /* instead of all these */
    struct stream_event passed;
    void (*fired)(void *context);
    void *context;
    bool running;
};

void stream_timer_init(struct stream_timer *timer, struct stream_queue *queue,
                       void (*fired)(void *context), void *context);
void stream_timer_fini(struct stream_timer *timer);
/* Calls `fired` once. Not while it is running. */
void stream_timer_start(struct stream_timer *timer, uint64_t delay_ms);
/* `fired` is not called for what was started. */
void stream_timer_stop(struct stream_timer *timer);

#endif
