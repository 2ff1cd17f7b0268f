/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "storage/machine/local.h"
#include "storage/service/service.h"
#include "storage/service/space.h"

enum { READ_LONG_MS = 2000 };

/* A read is: wait until the replica is new enough, ask in a pool thread, come back. */

bool read_is_local(const struct service *service, uint32_t group)
{
    enum replicator_role role;

    /* In this order: the number may be any that another node has named. */
    if (!replicator_own_role(service->replicator, group, &role) ||
        service_state(service, group) != MACHINE_WHOLE)
        return false;
    /* While there is no room on the disk nothing new comes here: a leader elsewhere has it. */
    uint64_t leader = replicator_leader(service->replicator, group);
    if (leader != 0 && leader != service_self(service) && space_problem(service->space) != NULL)
        return false;
    return role == REPLICATOR_VOTER || replicator_current(service->replicator, group);
}

/* A long one pins old pages, and the file grows instead of reusing them. */
static void report_life(const struct read_job *job, uint64_t took_ms)
{
    metric_raise(METRIC_READ_LONGEST, took_ms);
    if (took_ms < READ_LONG_MS)
        return;
    metric_add(METRIC_READS_LONG, 1);
    log_warn(NULL, "a query held its read transaction for long",
             LOG_FIELDS(LOG_U64("group", job->group), LOG_U64("took_ms", took_ms)));
}

static void in_pool(void *context)
{
    struct read_job *job = context;
    uint64_t begun_ms = clock_monotonic_ms();
    struct db_txn *txn = db_read_begin(service_db(job->service, job->group));
    uint64_t applied = machine_applied(txn, job->group);

    /* More may have been applied meanwhile, and whoever has seen it must not be shown less by
     * another replica. */
    if (applied > job->index)
        job->index = applied;
    /* In the same transaction: a copy of the state may have begun while the job waited. */
    if (local_partial(txn, job->group, NULL))
        db_fail(txn, ERR_UNAVAILABLE);
    else
        job->work(job, txn);
    job->err = db_error(txn);
    db_abort(&txn);
    report_life(job, clock_monotonic_ms() - begun_ms);
}

static void back_in_loop(void *context)
{
    struct read_job *job = context;

    job->done(job, job->err, job->index);
}

static void on_new_enough(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct read_job *job = context;

    (void)reply;
    job->index = index > job->seen_index ? index : job->seen_index;
    if (err != ERR_OK)
        job->done(job, ERR_UNAVAILABLE, 0);
    else
        loop_work(job->service->loop, in_pool, back_in_loop, job);
}

void read_start(struct read_job *job)
{
    struct replicator *replicator = job->service->replicator;

    if (job->fresh)
        replicator_read(replicator, job->group, job->deadline_ms, on_new_enough, job);
    else
        replicator_wait_applied(replicator, job->group, job->seen_index, job->deadline_ms,
                                on_new_enough, job);
}
