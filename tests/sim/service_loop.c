/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node/runtime/loop.h in virtual time, for many nodes in one thread: each callback is an event
 * of its node, and what the pool does is done at one moment. The clocks show the time of the
 * node whose event runs.
 */
#include <sodium.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "tests/sim/service.h"

enum { WORK_MS = 6, BASE_MS = 1000000 };
#define WALL_MS 1800000000000u

/* Kept by an event; `task` is NULL when there is nothing left to do. */
struct ref {
    struct task *task;
};

/* Something that will be called: a timer, or a piece of work. */
struct task {
    struct task *next;
    struct task **self;
    struct loop *loop;
    struct ref *ref;
    uint64_t repeat_ms;
    void (*work)(void *context); /* first, if there is one */
    void (*call)(void *context);
    void *context;
    bool is_timer;
};

struct loop_timer {
    struct task task;
};

struct loop {
    struct world *world;
    unsigned node;
    uint64_t life;
    bool closing;
    struct task *first;
};

static struct world *the_world;

/* ---- what there is but once in a process ---- */

static const char *random_name(void)
{
    return "sim";
}

static void random_bytes(void *const to, const size_t len)
{
    uint8_t *at = to;

    /* Without a world the library only looks whether it works. */
    for (size_t i = 0; i < len; i++)
        at[i] = the_world != NULL ? (uint8_t)sim_random(the_world) : 0;
}

static uint32_t random_number(void)
{
    return the_world != NULL ? (uint32_t)sim_random(the_world) : 0;
}

static struct randombytes_implementation random_source = {
    .implementation_name = random_name,
    .random = random_number,
    .buf = random_bytes,
};

void service_runtime_begin(struct world *world)
{
    CHECK(randombytes_set_implementation(&random_source) == 0);
    CHECK(sodium_init() >= 0);
    the_world = world;
}

void service_runtime_end(void)
{
    the_world = NULL;
}

/* Passwords cost no time here. */
int crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *const passwd,
                      unsigned long long passwdlen, unsigned long long opslimit,
                      size_t memlimit)
{
    uint8_t digest[crypto_generichash_BYTES];

    (void)opslimit;
    (void)memlimit;
    crypto_generichash(digest, sizeof(digest), (const uint8_t *)passwd, passwdlen, NULL, 0);
    memset(out, 0, crypto_pwhash_STRBYTES);
    sodium_bin2hex(out, crypto_pwhash_STRBYTES, digest, sizeof(digest));
    return 0;
}

int crypto_pwhash_str_alg(char out[crypto_pwhash_STRBYTES], const char *const passwd,
                          unsigned long long passwdlen, unsigned long long opslimit,
                          size_t memlimit, int alg)
{
    (void)alg;
    return crypto_pwhash_str(out, passwd, passwdlen, opslimit, memlimit);
}

int crypto_pwhash_str_verify(const char str[crypto_pwhash_STRBYTES], const char *const passwd,
                             unsigned long long passwdlen)
{
    char own[crypto_pwhash_STRBYTES];

    return crypto_pwhash_str(own, passwd, passwdlen, 0, 0) == 0 && strcmp(own, str) == 0 ? 0
                                                                                         : -1;
}

/* Nobody looks at the disk of the machine that the simulator runs on. */
int statvfs(const char *restrict path, struct statvfs *restrict found)
{
    (void)path;
    (void)found;
    return -1;
}

uint64_t node_monotonic_ms(const struct world *world, unsigned node)
{
    return (uint64_t)BASE_MS * (node + 1) + world->now_ms + world->nodes[node].clock_ms;
}

uint64_t node_wall_ms(const struct world *world, unsigned node)
{
    return WALL_MS + world->now_ms + (uint64_t)world->service->wall_ms[node];
}

uint64_t clock_monotonic_ms(void)
{
    return node_monotonic_ms(the_world, the_world->current);
}

uint64_t clock_monotonic_ns(void)
{
    return clock_monotonic_ms() * 1000000;
}

uint64_t clock_wall_ms(void)
{
    return node_wall_ms(the_world, the_world->current);
}

/* ---- tasks ---- */

static void ref_drop(void *data)
{
    struct ref *ref = data;

    if (ref->task != NULL)
        ref->task->ref = NULL;
    free(ref);
}

static void task_run(struct world *world, struct event *event);

static void task_at(struct task *task, uint64_t at_ms)
{
    struct loop *loop = task->loop;
    struct ref *ref = malloc(sizeof(*ref));

    CHECK(ref != NULL && task->ref == NULL);
    *ref = (struct ref){.task = task};
    task->ref = ref;
    sim_at(loop->world, (struct event){.at_ms = at_ms,
                                       .run = task_run,
                                       .node = loop->node,
                                       .life = loop->life,
                                       .data = ref,
                                       .drop = ref_drop});
}

static void task_link(struct task *task, struct loop *loop)
{
    task->loop = loop;
    task->next = loop->first;
    task->self = &loop->first;
    if (task->next != NULL)
        task->next->self = &task->next;
    loop->first = task;
}

static void task_free(struct task *task)
{
    if (task->ref != NULL)
        task->ref->task = NULL;
    *task->self = task->next;
    if (task->next != NULL)
        task->next->self = task->self;
    free(task);
}

/* Work first; what follows it comes a moment later. */
static void task_step(struct task *task)
{
    struct world *world = task->loop->world;
    void (*call)(void *context) = task->call;
    void *context = task->context;

    if (task->work != NULL) {
        void (*work)(void *context) = task->work;
        task->work = NULL;
        if (!task->loop->closing)
            task_at(task, world->now_ms + sim_below(world, 2));
        work(context);
        return;
    }
    if (task->repeat_ms > 0)
        task_at(task, world->now_ms + task->repeat_ms);
    else
        task_free(task);
    call(context);
}

static void task_run(struct world *world, struct event *event)
{
    struct ref *ref = event->data;
    struct task *task = ref->task;
    struct node *node = &world->nodes[event->node];

    if (task == NULL)
        return;
    ref->task = NULL;
    task->ref = NULL;
    if (event->life != 0 && node->paused_ms > world->now_ms) {
        task_at(task, node->paused_ms);
        return;
    }
    task_step(task);
    if (event->life != 0)
        node_wake(node);
}

static struct task *task_new(struct loop *loop, void (*work)(void *context),
                             void (*call)(void *context), void *context)
{
    struct task *task = calloc(1, sizeof(struct loop_timer));

    CHECK(task != NULL);
    task->work = work;
    task->call = call;
    task->context = context;
    task_link(task, loop);
    return task;
}

/* ---- node/runtime/loop.h ---- */

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    struct task *task = task_new(loop, NULL, fired, context);

    task->is_timer = true;
    task->repeat_ms = repeat_ms;
    task_at(task, loop->world->now_ms + delay_ms);
    return (struct loop_timer *)task;
}

void loop_timer_stop(struct loop_timer **timer)
{
    if (*timer == NULL)
        return;
    task_free(&(*timer)->task);
    *timer = NULL;
}

void loop_post(struct loop *loop, void (*call)(void *context), void *context)
{
    struct task *task = task_new(loop, NULL, call, context);

    if (!loop->closing)
        task_at(task, loop->world->now_ms);
}

void loop_work(struct loop *loop, void (*work)(void *context), void (*done)(void *context),
               void *context)
{
    struct task *task = task_new(loop, work, done, context);

    if (loop->closing)
        task_step(task); /* whoever ends waits for it, and nobody else would carry it out */
    else
        task_at(task, loop->world->now_ms + sim_below(loop->world, WORK_MS));
}

void loop_wake(struct loop *loop)
{
    if (loop->life != 0)
        node_wake(&loop->world->nodes[loop->node]);
}

/* A node that stops itself was fenced, or could not write: here nothing makes it. */
void loop_stop(struct loop *loop)
{
    sim_fail(loop->world, "node %u stops itself", loop->node + 1);
}

/* ---- for the simulator ---- */

struct loop *loop_sim_new(struct world *world, unsigned node, uint64_t life)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    CHECK(loop != NULL);
    *loop = (struct loop){.world = world, .node = node, .life = life};
    return loop;
}

void loop_sim_drain(struct loop *loop)
{
    struct task *task;

    loop->closing = true;
    do {
        for (task = loop->first; task != NULL && task->is_timer; task = task->next)
            ;
        if (task != NULL)
            task_step(task);
    } while (task != NULL);
}

void loop_free(struct loop **loop)
{
    while ((*loop)->first != NULL)
        task_free((*loop)->first);
    free(*loop);
    *loop = NULL;
}

struct world *loop_world(const struct loop *loop)
{
    return loop->world;
}

unsigned loop_node(const struct loop *loop)
{
    return loop->node;
}
