/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/service/service_world.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/service/limits.h"

struct service_world world;

/* Timers that run, in no order. */
struct loop_timer {
    struct loop_timer *next;
    uint64_t at_ms;
    uint64_t repeat_ms;
    void (*fired)(void *context);
    void *context;
};

/* Things to do, in order; one of them is set. */
struct task {
    struct task *next;
    struct read_job *read;
    write_done *write;
    replicator_done *fresh;
    void (*work)(void *context);
    void (*worked)(void *context);
    void *context;
    uint32_t group;
    struct buffer entry;
};

static struct loop_timer *timers;
static struct task *first;
static struct task **last = &first;

uint64_t clock_monotonic_ms(void)
{
    return world.now_ms;
}

uint64_t clock_wall_ms(void)
{
    return world.lab->now_ms;
}

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    struct loop_timer *timer = malloc(sizeof(*timer));

    (void)loop;
    CHECK(timer != NULL);
    *timer = (struct loop_timer){timers, world.now_ms + delay_ms, repeat_ms, fired, context};
    timers = timer;
    return timer;
}

static void timer_unlink(const struct loop_timer *timer)
{
    struct loop_timer **at = &timers;

    while (*at != timer)
        at = &(*at)->next;
    *at = timer->next;
}

void loop_timer_stop(struct loop_timer **timer)
{
    if (*timer == NULL)
        return;
    timer_unlink(*timer);
    free(*timer);
    *timer = NULL;
}

void loop_stop(struct loop *loop)
{
    (void)loop;
}

/* ---- what is asked of the service ---- */

static struct task *task_add(void)
{
    struct task *task = calloc(1, sizeof(*task));

    CHECK(task != NULL);
    *last = task;
    last = &task->next;
    return task;
}

void loop_work(struct loop *loop, void (*work)(void *context), void (*done)(void *context),
               void *context)
{
    struct task *task = task_add();

    (void)loop;
    task->work = work;
    task->worked = done;
    task->context = context;
}

void loop_post(struct loop *loop, void (*call)(void *context), void *context)
{
    struct task *task = task_add();

    (void)loop;
    task->worked = call;
    task->context = context;
}

void write_entry(struct service *service, uint32_t group, struct bytes entry,
                 struct bytes request_id, uint64_t deadline_ms, write_done *done, void *context)
{
    struct task *task = task_add();

    (void)service;
    (void)request_id;
    CHECK(deadline_ms > world.now_ms);
    task->write = done;
    task->context = context;
    task->group = group;
    buffer_add(&task->entry, entry);
}

void write_start(struct service *service, uint32_t group, Pr__Command *command,
                 uint64_t deadline_ms, write_done *done, void *context)
{
    struct buffer entry = BUFFER_EMPTY;

    command->time_ms = clock_wall_ms();
    entry_encode(command, &entry);
    write_entry(service, group, buffer_bytes(&entry), bytes_of_field(command->request_id),
                deadline_ms, done, context);
    buffer_fini(&entry);
}

void read_start(struct read_job *job)
{
    task_add()->read = job;
}

void replicator_read(struct replicator *replicator, uint32_t group, uint64_t deadline_ms,
                     replicator_done *done, void *context)
{
    struct task *task = task_add();

    (void)replicator;
    CHECK(deadline_ms > world.now_ms);
    task->fresh = done;
    task->group = group;
    task->context = context;
}

struct db *service_db(const struct service *service, uint32_t group)
{
    (void)service;
    (void)group;
    return world.lab->db;
}

struct db_txn *service_directory_begin(struct service *service)
{
    (void)service;
    return db_read_begin(world.lab->db);
}

bool read_is_local(const struct service *service, uint32_t group)
{
    (void)service;
    (void)group;
    return true;
}

unsigned service_format(struct service *service, uint32_t group)
{
    struct db_txn *txn = service_directory_begin(service);
    unsigned format = machine_format(txn, group);

    db_abort(&txn);
    return format;
}

unsigned limits_undelete_days(struct service *service)
{
    (void)service;
    return world.undelete_days;
}

/* ---- and how it is done ---- */

static void write_do(struct task *task)
{
    struct lab *lab = world.lab;
    Pr__Command *command = entry_decode(buffer_bytes(&task->entry), &lab->arena);
    Pr__Outcome none = PR__OUTCOME__INIT;
    Pr__Outcome *outcome = &none;
    enum world_fate fate = WORLD_APPLIED;

    CHECK(command != NULL);
    if (world.writes < sizeof(world.calls) / sizeof(*world.calls)) {
        world.calls[world.writes] = command->call_case;
        world.groups[world.writes] = task->group;
    }
    world.writes++;
    if (world.fate != NULL)
        fate = world.fate(&world, task->group, command);
    if (fate != WORLD_LOST)
        outcome = lab_apply_entry(lab, task->group, buffer_bytes(&task->entry));
    if (fate == WORLD_APPLIED)
        task->write(task->context, ERR_OK, outcome, lab->index);
    else
        task->write(task->context, ERR_UNAVAILABLE, NULL, 0);
}

static void read_do(struct read_job *job)
{
    struct db_txn *txn;

    job->err = job->fresh && world.reads_fail ? ERR_UNAVAILABLE : ERR_OK;
    if (job->err == ERR_OK) {
        txn = db_read_begin(world.lab->db);
        job->work(job, txn);
        job->err = db_error(txn);
        db_abort(&txn);
    }
    job->done(job, job->err, world.lab->index);
}

static void task_do(struct task *task)
{
    if (task->read != NULL) {
        read_do(task->read);
    } else if (task->write != NULL) {
        write_do(task);
    } else if (task->fresh != NULL) {
        task->fresh(task->context, world.reads_fail ? ERR_UNAVAILABLE : ERR_OK,
                    world.lab->index, bytes_from(NULL, 0));
    } else {
        if (task->work != NULL)
            task->work(task->context);
        task->worked(task->context);
    }
}

static bool timer_do(uint64_t until_ms)
{
    struct loop_timer *next = NULL;

    for (struct loop_timer *timer = timers; timer != NULL; timer = timer->next)
        if (timer->at_ms <= until_ms && (next == NULL || timer->at_ms < next->at_ms))
            next = timer;
    if (next == NULL)
        return false;
    struct loop_timer timer = *next;
    if (timer.at_ms > world.now_ms) {
        world.lab->now_ms += timer.at_ms - world.now_ms;
        world.now_ms = timer.at_ms;
    }
    if (timer.repeat_ms > 0) {
        next->at_ms += timer.repeat_ms;
    } else {
        timer_unlink(next);
        free(next);
    }
    timer.fired(timer.context);
    return true;
}

bool world_step(uint64_t until_ms)
{
    struct task *task = first;

    if (task == NULL)
        return timer_do(until_ms);
    first = task->next;
    if (first == NULL)
        last = &first;
    task_do(task);
    buffer_fini(&task->entry);
    free(task);
    return true;
}

void world_run(uint64_t until_ms)
{
    while (world_step(until_ms))
        ;
    if (until_ms > world.now_ms) {
        world.lab->now_ms += until_ms - world.now_ms;
        world.now_ms = until_ms;
    }
}

void world_calls_forget(void)
{
    memset(world.calls, 0, sizeof(world.calls));
    world.writes = 0;
}

void world_begin(struct lab *lab)
{
    memset(&world, 0, sizeof(world));
    world.lab = lab;
    world.now_ms = 1000;
}

void world_end(void)
{
    CHECK(first == NULL && timers == NULL);
}
