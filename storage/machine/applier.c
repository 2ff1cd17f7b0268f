/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/applier.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/db/key.h"
#include "storage/machine/local.h"

enum {
    GROUPS_MAX = 4096,
    IDLE_SYNC_MS = 1000, /* after the last batch: then the log may be trimmed to its end */
};

/* Read from the replicator's thread. */
struct progress {
    _Atomic uint64_t applied;
    _Atomic uint64_t durable;
    _Atomic bool partial;
};

/* What a lane's thread does next. All but the first three fields belong to that thread. */
struct lane {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct machine_batch *given; /* under `lock` */
    bool ending;                 /* under `lock` */

    struct applier *applier;
    pthread_t thread;
    struct db *db;
    bool failed;
    bool stopped; /* the thread has ended */
    /* What the last transaction applied: durable when the next one, or a sync, is done. */
    unsigned pending_count;
    uint32_t pending[MACHINE_BATCH_COMMANDS_MAX];
};

struct applier {
    struct machine machine; /* first: what the replicator has is this */
    struct applier_config config;
    struct lane *lanes;
    struct progress groups[GROUPS_MAX];
};

/* batch->memory */
struct batch_memory {
    struct arena arena;
    struct machine_events events;
};

static struct applier *applier_of(struct machine *machine)
{
    struct applier *applier = (struct applier *)machine;

    return applier;
}

/* The pending groups' last transaction is on disk. */
static void pending_durable(struct lane *lane)
{
    for (unsigned i = 0; i < lane->pending_count; i++) {
        struct progress *progress = &lane->applier->groups[lane->pending[i]];
        uint64_t applied = atomic_load_explicit(&progress->applied, memory_order_relaxed);
        atomic_store_explicit(&progress->durable, applied, memory_order_release);
    }
    lane->pending_count = 0;
}

/* After the commit. MDB_NOMETASYNC: it wrote the meta page of the transaction before to disk,
 * its own not yet. */
static void batch_progress(struct lane *lane, const struct machine_batch *batch)
{
    pending_durable(lane);
    for (unsigned i = 0; i < batch->count; i++) {
        const struct machine_command *command = &batch->commands[i];
        struct progress *progress = &lane->applier->groups[command->group];
        bool known = false;

        if (command->index > atomic_load_explicit(&progress->applied, memory_order_relaxed))
            atomic_store_explicit(&progress->applied, command->index, memory_order_release);
        for (unsigned j = 0; j < lane->pending_count && !known; j++)
            known = lane->pending[j] == command->group;
        if (!known)
            lane->pending[lane->pending_count++] = command->group;
    }
}

static enum err batch_apply(struct lane *lane, struct machine_batch *batch,
                            struct batch_memory *memory)
{
    struct db_txn *txn = db_write_begin(lane->db);

    for (unsigned i = 0; i < batch->count; i++) {
        struct machine_command *command = &batch->commands[i];
        CHECK(command->group < GROUPS_MAX);
        CHECK(!atomic_load_explicit(&lane->applier->groups[command->group].partial,
                                    memory_order_relaxed));
        machine_apply(txn, command->group, command->index, command->term, command->command,
                      &memory->arena, &command->reply, &memory->events);
    }
    return db_commit(&txn);
}

static void batch_run(struct lane *lane, struct machine_batch *batch)
{
    struct batch_memory *memory = calloc(1, sizeof(*memory));
    enum err err;

    CHECK(memory != NULL);
    arena_init(&memory->arena);
    batch->memory = memory;
    err = lane->failed ? ERR_IO : batch_apply(lane, batch, memory);
    if (err == ERR_OK)
        batch_progress(lane, batch);
    lane->failed = err != ERR_OK;
    lane->applier->config.applied(lane->applier->config.context, batch, &memory->events, err);
}

/*
 * A disk that failed once is not asked again. What the sync was to write is gone, and the next
 * commit would be told that all is well: it would count as durable what is not there, and reuse
 * pages that are all that there is.
 */
static void lane_sync(struct lane *lane)
{
    const struct applier_config *config = &lane->applier->config;
    enum err err = db_sync(lane->db);

    if (err == ERR_OK) {
        pending_durable(lane);
        return;
    }
    lane->failed = true;
    if (config->failed != NULL)
        config->failed(config->context, err);
}

static struct timespec idle_deadline(void)
{
    struct timespec deadline;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &deadline) == 0);
    deadline.tv_sec += IDLE_SYNC_MS / 1000;
    deadline.tv_nsec += (long)(IDLE_SYNC_MS % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    return deadline;
}

/* Waits for a batch. NULL when none came for a while and something is not yet durable, and at
 * the end. */
static struct machine_batch *batch_wait(struct lane *lane, bool *ending)
{
    struct timespec deadline = idle_deadline();
    struct machine_batch *batch;
    int code = 0;

    pthread_mutex_lock(&lane->lock);
    while (lane->given == NULL && !lane->ending && code != ETIMEDOUT) {
        if (lane->pending_count > 0 && !lane->failed)
            code = pthread_cond_timedwait(&lane->changed, &lane->lock, &deadline);
        else
            code = pthread_cond_wait(&lane->changed, &lane->lock);
        CHECK(code == 0 || code == ETIMEDOUT);
    }
    batch = lane->given;
    lane->given = NULL;
    *ending = lane->ending;
    pthread_mutex_unlock(&lane->lock);
    return batch;
}

static void *lane_run(void *context)
{
    struct lane *lane = context;

    for (;;) {
        bool ending = false;
        struct machine_batch *batch = batch_wait(lane, &ending);

        if (batch != NULL) {
            batch_run(lane, batch);
        } else {
            if (lane->pending_count > 0 && !lane->failed)
                lane_sync(lane);
            if (ending)
                return NULL;
        }
    }
}

static unsigned lane_of(struct machine *machine, uint32_t group)
{
    return group % applier_of(machine)->config.lane_count;
}

static void apply(struct machine *machine, struct machine_batch *batch)
{
    struct applier *applier = applier_of(machine);
    struct lane *lane;

    CHECK(batch->lane < applier->config.lane_count);
    lane = &applier->lanes[batch->lane];
    pthread_mutex_lock(&lane->lock);
    CHECK(lane->given == NULL);
    lane->given = batch;
    pthread_cond_signal(&lane->changed);
    pthread_mutex_unlock(&lane->lock);
}

static void release(struct machine *machine, struct machine_batch *batch)
{
    struct batch_memory *memory = batch->memory;

    (void)machine;
    if (memory == NULL)
        return;
    arena_fini(&memory->arena);
    free(memory);
    batch->memory = NULL;
}

static uint64_t applied(struct machine *machine, uint32_t group)
{
    CHECK(group < GROUPS_MAX);
    return atomic_load_explicit(&applier_of(machine)->groups[group].applied,
                                memory_order_acquire);
}

static uint64_t durable(struct machine *machine, uint32_t group)
{
    CHECK(group < GROUPS_MAX);
    return atomic_load_explicit(&applier_of(machine)->groups[group].durable,
                                memory_order_acquire);
}

static enum machine_state state(struct machine *machine, uint32_t group)
{
    const struct applier *applier = applier_of(machine);

    CHECK(group < GROUPS_MAX);
    if (applier->config.witness && group != 0)
        return MACHINE_NONE;
    return atomic_load_explicit(&applier->groups[group].partial, memory_order_acquire)
               ? MACHINE_PARTIAL
               : MACHINE_WHOLE;
}

static void fetch(struct machine *machine, uint32_t group, uint64_t source, uint64_t index)
{
    const struct applier *applier = applier_of(machine);

    CHECK(state(machine, group) != MACHINE_NONE && applier->config.fetch != NULL);
    applier->config.fetch(applier->config.context, group, source, index);
}

static void fetch_stop(struct machine *machine, uint32_t group)
{
    const struct applier *applier = applier_of(machine);

    CHECK(applier->config.fetch_stop != NULL);
    applier->config.fetch_stop(applier->config.context, group);
}

static void forget(struct machine *machine, uint32_t group)
{
    const struct applier *applier = applier_of(machine);

    CHECK(applier->config.forget != NULL);
    applier->config.forget(applier->config.context, group);
}

void applier_forgotten(struct applier *applier, uint32_t group)
{
    CHECK(group < GROUPS_MAX);
    struct progress *progress = &applier->groups[group];

    atomic_store_explicit(&progress->durable, 0, memory_order_release);
    atomic_store_explicit(&progress->applied, 0, memory_order_release);
    atomic_store_explicit(&progress->partial, false, memory_order_release);
}

void applier_partial(struct applier *applier, uint32_t group)
{
    CHECK(group < GROUPS_MAX);
    atomic_store_explicit(&applier->groups[group].partial, true, memory_order_release);
}

void applier_whole(struct applier *applier, uint32_t group, uint64_t index)
{
    CHECK(group < GROUPS_MAX);
    struct progress *progress = &applier->groups[group];

    /* In this order: durable is never more than applied. */
    atomic_store_explicit(&progress->applied, index, memory_order_release);
    atomic_store_explicit(&progress->durable, index, memory_order_release);
    atomic_store_explicit(&progress->partial, false, memory_order_release);
}

static const struct machine_ops applier_ops = {
    .lane_of = lane_of,
    .apply = apply,
    .release = release,
    .applied = applied,
    .durable = durable,
    .state = state,
    .fetch = fetch,
    .fetch_stop = fetch_stop,
    .forget = forget,
};

/* The groups whose copy has begun and not ended: what the rows say of them counts for nothing.
 */
static void partial_read(struct applier *applier, struct db_txn *txn)
{
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_LOCAL, bytes_from(NULL, 0));

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        uint32_t group = key_last_u32(key);

        CHECK(group < GROUPS_MAX);
        atomic_store(&applier->groups[group].partial, true);
        atomic_store(&applier->groups[group].durable, 0);
        atomic_store(&applier->groups[group].applied, 0);
    }
    db_cursor_close(&cursor);
}

/* What is there at the start, after what an earlier process may have left in the page cache
 * alone has been written. */
static enum err lane_read(struct applier *applier, struct db *db)
{
    struct db_txn *txn;
    struct db_cursor *cursor;
    struct bytes key;
    struct bytes row;
    enum err err = db_sync(db);

    if (err != ERR_OK)
        return err;
    txn = db_read_begin(db);
    cursor = db_cursor_open(txn, TABLE_META, bytes_from(NULL, 0));
    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        uint32_t group = key_last_u32(key);
        uint64_t index = machine_applied(txn, group);

        CHECK(group < GROUPS_MAX);
        atomic_store(&applier->groups[group].applied, index);
        atomic_store(&applier->groups[group].durable, index);
    }
    db_cursor_close(&cursor);
    partial_read(applier, txn);
    return db_commit(&txn);
}

static void lane_start(struct applier *applier, unsigned number)
{
    struct lane *lane = &applier->lanes[number];
    pthread_condattr_t attributes;

    lane->applier = applier;
    lane->db = applier->config.lanes[number];
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&lane->changed, &attributes) == 0);
    CHECK(pthread_condattr_destroy(&attributes) == 0);
    CHECK(pthread_mutex_init(&lane->lock, NULL) == 0);
    CHECK(pthread_create(&lane->thread, NULL, lane_run, lane) == 0);
}

struct applier *applier_new(const struct applier_config *config)
{
    struct applier *applier = calloc(1, sizeof(*applier));

    CHECK(applier != NULL && config->lane_count > 0);
    applier->machine.ops = &applier_ops;
    applier->config = *config;
    for (unsigned i = 0; i < config->lane_count; i++) {
        enum err err = lane_read(applier, config->lanes[i]);
        if (err != ERR_OK) {
            log_error(NULL, "cannot read the state",
                      LOG_FIELDS(LOG_U64("lane", i), LOG_TEXT("error", err_text(err))));
            free(applier);
            return NULL;
        }
    }
    applier->lanes = calloc(config->lane_count, sizeof(*applier->lanes));
    CHECK(applier->lanes != NULL);
    for (unsigned i = 0; i < config->lane_count; i++)
        lane_start(applier, i);
    return applier;
}

void applier_stop(struct applier *applier)
{
    for (unsigned i = 0; applier != NULL && i < applier->config.lane_count; i++) {
        struct lane *lane = &applier->lanes[i];

        if (lane->stopped)
            continue;
        pthread_mutex_lock(&lane->lock);
        lane->ending = true;
        pthread_cond_signal(&lane->changed);
        pthread_mutex_unlock(&lane->lock);
        CHECK(pthread_join(lane->thread, NULL) == 0);
        pthread_cond_destroy(&lane->changed);
        pthread_mutex_destroy(&lane->lock);
        lane->stopped = true;
    }
}

void applier_free(struct applier **applier)
{
    if (*applier == NULL)
        return;
    applier_stop(*applier);
    free((*applier)->lanes);
    free(*applier);
    *applier = NULL;
}

struct machine *applier_interface(struct applier *applier)
{
    return &applier->machine;
}
