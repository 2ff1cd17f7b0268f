/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/check.h"
#include "node/runtime/loop_uv.h"

struct post {
    void (*call)(void *context);
    void *context;
};

struct loop_hook {
    struct loop_hook *next;
    struct loop *loop;
    void (*turn)(void *context);
    void *context;
    bool removed; /* while the hooks are being called; freed behind them */
};

struct closing {
    struct closing *next;
    void (*call)(void *context);
    void *context;
};

/*
 * Invariants:
 * 1. `posts` is touched under `posts_lock` only; `running` by the loop's thread only.
 * 2. A hook is unlinked only while the hooks are not being walked.
 */
struct loop {
    uv_loop_t uv;
    uv_prepare_t *prepare; /* the end of a turn */
    uv_idle_t *idle;       /* active: the next poll does not sleep */
    struct loop_bell *posted;
    pthread_mutex_t posts_lock;
    struct post *posts;
    size_t posts_count;
    size_t posts_size;
    struct post *running;
    size_t running_size;
    struct loop_hook *hooks;
    bool walking;
    struct closing *closings;
    struct conn_shared *conns;
};

static uint64_t clock_ns(clockid_t which)
{
    struct timespec now;
    CHECK(clock_gettime(which, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC) + 1000000;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

uint64_t clock_wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

struct conn_shared **loop_conns(struct loop *loop)
{
    return &loop->conns;
}

void loop_handle_freed(uv_handle_t *handle)
{
    free(handle);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, loop_handle_freed);
}

/* A zeroed block whose first member is a uv handle. */
static void *handle_alloc(size_t size)
{
    void *block = calloc(1, size);
    CHECK(block != NULL);
    return block;
}

struct loop_bell {
    uv_async_t uv;
    void (*rung)(void *context);
    void *context;
};

static void on_bell(uv_async_t *uv)
{
    struct loop_bell *bell = (struct loop_bell *)uv;
    bell->rung(bell->context);
}

struct loop_bell *loop_bell_new(struct loop *loop, void (*rung)(void *context), void *context)
{
    struct loop_bell *bell = handle_alloc(sizeof(*bell));
    CHECK(uv_async_init(&loop->uv, &bell->uv, on_bell) == 0);
    bell->rung = rung;
    bell->context = context;
    return bell;
}

void loop_bell_ring(struct loop_bell *bell)
{
    CHECK(uv_async_send(&bell->uv) == 0);
}

void loop_bell_free(struct loop_bell **bell)
{
    if (*bell != NULL)
        close_handle((uv_handle_t *)&(*bell)->uv);
    *bell = NULL;
}

/* Runs what was posted before the call; what these post in turn waits for the next ring. */
static void run_posts(void *context)
{
    struct loop *loop = context;

    pthread_mutex_lock(&loop->posts_lock);
    struct post *batch = loop->posts;
    size_t batch_size = loop->posts_size;
    size_t count = loop->posts_count;
    loop->posts = loop->running;
    loop->posts_size = loop->running_size;
    loop->posts_count = 0;
    pthread_mutex_unlock(&loop->posts_lock);
    loop->running = batch;
    loop->running_size = batch_size;
    for (size_t i = 0; i < count; i++)
        batch[i].call(batch[i].context);
}

void loop_post(struct loop *loop, void (*call)(void *context), void *context)
{
    pthread_mutex_lock(&loop->posts_lock);
    if (loop->posted == NULL) { /* being freed: nobody would run it */
        pthread_mutex_unlock(&loop->posts_lock);
        return;
    }
    if (loop->posts_count == loop->posts_size) {
        size_t size = loop->posts_size > 0 ? loop->posts_size * 2 : 64;
        struct post *posts = reallocarray(loop->posts, size, sizeof(*posts));
        CHECK(posts != NULL);
        loop->posts = posts;
        loop->posts_size = size;
    }
    loop->posts[loop->posts_count++] = (struct post){call, context};
    if (loop->posts_count == 1)
        loop_bell_ring(loop->posted);
    pthread_mutex_unlock(&loop->posts_lock);
}

static void on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
}

/* Outside of the hooks the end of a turn comes before the loop sleeps anyway. */
void loop_wake(struct loop *loop)
{
    if (loop->walking)
        CHECK(uv_idle_start(loop->idle, on_idle) == 0);
}

static void remove_hooks(struct loop *loop)
{
    for (struct loop_hook **link = &loop->hooks; *link != NULL;) {
        struct loop_hook *hook = *link;
        if (hook->removed) {
            *link = hook->next;
            free(hook);
        } else {
            link = &hook->next;
        }
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;

    loop->walking = true;
    for (struct loop_hook *hook = loop->hooks; hook != NULL; hook = hook->next)
        if (!hook->removed)
            hook->turn(hook->context);
    loop->walking = false;
    remove_hooks(loop);
}

struct loop_hook *loop_on_turn(struct loop *loop, void (*turn)(void *context), void *context)
{
    struct loop_hook *hook = calloc(1, sizeof(*hook));
    CHECK(hook != NULL);
    *hook = (struct loop_hook){.loop = loop, .turn = turn, .context = context};
    struct loop_hook **link = &loop->hooks;
    while (*link != NULL)
        link = &(*link)->next;
    *link = hook;
    return hook;
}

void loop_hook_remove(struct loop_hook **hook)
{
    if (*hook == NULL)
        return;
    struct loop *loop = (*hook)->loop;
    (*hook)->removed = true;
    *hook = NULL;
    if (!loop->walking)
        remove_hooks(loop);
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    CHECK(loop != NULL);
    CHECK(uv_loop_init(&loop->uv) == 0);
    CHECK(pthread_mutex_init(&loop->posts_lock, NULL) == 0);
    loop->posted = loop_bell_new(loop, run_posts, loop);
    loop->prepare = handle_alloc(sizeof(*loop->prepare));
    loop->idle = handle_alloc(sizeof(*loop->idle));
    CHECK(uv_prepare_init(&loop->uv, loop->prepare) == 0);
    CHECK(uv_idle_init(&loop->uv, loop->idle) == 0);
    loop->prepare->data = loop;
    CHECK(uv_prepare_start(loop->prepare, on_prepare) == 0);
    return loop;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_at_free(struct loop *loop, void (*closing)(void *context), void *context)
{
    struct closing *row = calloc(1, sizeof(*row));
    CHECK(row != NULL);
    *row = (struct closing){loop->closings, closing, context};
    loop->closings = row;
}

static void on_walk(uv_handle_t *handle, void *context)
{
    (void)context;
    close_handle(handle);
}

void loop_free(struct loop **pointer)
{
    struct loop *loop = *pointer;

    if (loop == NULL)
        return;
    while (loop->closings != NULL) {
        struct closing *row = loop->closings;
        loop->closings = row->next;
        row->call(row->context);
        free(row);
    }
    pthread_mutex_lock(&loop->posts_lock);
    loop_bell_free(&loop->posted);
    pthread_mutex_unlock(&loop->posts_lock);
    uv_walk(&loop->uv, on_walk, NULL);
    /* Until every handle is closed and work that a pool thread has begun is done. */
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
        uv_walk(&loop->uv, on_walk, NULL);
    CHECK(uv_loop_close(&loop->uv) == 0);
    for (struct loop_hook *hook = loop->hooks; hook != NULL; hook = hook->next)
        hook->removed = true;
    remove_hooks(loop);
    pthread_mutex_destroy(&loop->posts_lock);
    free(loop->posts);
    free(loop->running);
    free(loop);
    *pointer = NULL;
}
