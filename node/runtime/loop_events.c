/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a loop can be asked to tell of: time, signals, readable descriptors, finished work. */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/loop_uv.h"

struct loop_timer {
    uv_timer_t uv;
    void (*fired)(void *context);
    void *context;
};

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = (struct loop_timer *)uv;
    bool last = uv_timer_get_repeat(uv) == 0;

    timer->fired(timer->context);
    if (last && !uv_is_closing((uv_handle_t *)uv))
        uv_close((uv_handle_t *)uv, loop_handle_freed);
}

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));
    CHECK(timer != NULL);
    timer->fired = fired;
    timer->context = context;
    CHECK(uv_timer_init(loop_uv(loop), &timer->uv) == 0);
    /* The loop's own idea of now may be a long callback old: the timer would fire early. */
    uv_update_time(loop_uv(loop));
    CHECK(uv_timer_start(&timer->uv, on_timer, delay_ms, repeat_ms) == 0);
    return timer;
}

void loop_timer_stop(struct loop_timer **timer)
{
    if (*timer != NULL && !uv_is_closing((uv_handle_t *)&(*timer)->uv))
        uv_close((uv_handle_t *)&(*timer)->uv, loop_handle_freed);
    *timer = NULL;
}

struct work {
    uv_work_t uv;
    void (*work)(void *context);
    void (*done)(void *context);
    void *context;
};

static void on_work(uv_work_t *uv)
{
    struct work *work = (struct work *)uv;
    work->work(work->context);
}

static void on_work_done(uv_work_t *uv, int status)
{
    struct work *work = (struct work *)uv;
    CHECK(status == 0);
    work->done(work->context);
    free(work);
}

void loop_work(struct loop *loop, void (*work)(void *context), void (*done)(void *context),
               void *context)
{
    struct work *request = calloc(1, sizeof(*request));
    CHECK(request != NULL);
    *request = (struct work){.work = work, .done = done, .context = context};
    CHECK(uv_queue_work(loop_uv(loop), &request->uv, on_work, on_work_done) == 0);
}

struct signal_watch {
    uv_signal_t uv;
    void (*caught)(void *context, int signal_number);
    void *context;
};

static void on_signal(uv_signal_t *uv, int signal_number)
{
    struct signal_watch *watch = (struct signal_watch *)uv;
    watch->caught(watch->context, signal_number);
}

void loop_on_signal(struct loop *loop, int signal_number,
                    void (*caught)(void *context, int signal_number), void *context)
{
    struct signal_watch *watch = calloc(1, sizeof(*watch));
    CHECK(watch != NULL);
    watch->caught = caught;
    watch->context = context;
    CHECK(uv_signal_init(loop_uv(loop), &watch->uv) == 0);
    CHECK(uv_signal_start(&watch->uv, on_signal, signal_number) == 0);
}

struct loop_watch {
    uv_poll_t uv;
    void (*readable)(void *context);
    void *context;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_watch *watch = (struct loop_watch *)uv;
    (void)status; /* an error shows when the fd is read */
    (void)events;
    watch->readable(watch->context);
}

struct loop_watch *loop_watch_start(struct loop *loop, int fd, void (*readable)(void *context),
                                    void *context)
{
    struct loop_watch *watch = calloc(1, sizeof(*watch));
    CHECK(watch != NULL);
    watch->readable = readable;
    watch->context = context;
    CHECK(uv_poll_init(loop_uv(loop), &watch->uv, fd) == 0);
    CHECK(uv_poll_start(&watch->uv, UV_READABLE | UV_DISCONNECT, on_poll) == 0);
    return watch;
}

void loop_watch_stop(struct loop_watch **watch)
{
    if (*watch != NULL && !uv_is_closing((uv_handle_t *)&(*watch)->uv))
        uv_close((uv_handle_t *)&(*watch)->uv, loop_handle_freed);
    *watch = NULL;
}
