/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/purges.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/limits.h"
#include "storage/service/limits.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

/* A look at the state and the command that follows. With `owner` NULL nobody cares any more. */
struct step {
    struct purges *owner;
    struct service *service;
    uint32_t group;
    uint64_t before_ms; /* expunged before that, or due by then */
    struct read_job job;
    bool look_expunged;
    /* what the look has found */
    bool doomed;
    bool expunged;
    uint64_t after;
    uint64_t from_account; /* of `expunged`; of `due` the account */
    bool due;
    uint32_t due_group;
};

struct purges {
    struct service *service;
    uint32_t group;
    struct step *step;
    struct loop_timer *timer; /* to the next step, when there is more to do */
    uint64_t next_ms;
    uint64_t expunged_ms; /* when to look for expunged mail again */
    uint64_t after;       /* the directory's: an account whose group did not answer */
};

struct purges *purges_new(struct service *service, uint32_t group)
{
    struct purges *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    made->group = group;
    return made;
}

void purges_free(struct purges **purges)
{
    struct purges *closing = *purges;

    if (closing == NULL)
        return;
    *purges = NULL;
    if (closing->step != NULL)
        closing->step->owner = NULL;
    loop_timer_stop(&closing->timer);
    free(closing);
}

static void on_timer(void *context)
{
    struct purges *purges = context;

    purges->timer = NULL;
    purges_tick(purges, clock_monotonic_ms());
}

static void step_end(struct step *step, uint64_t pause_ms)
{
    struct purges *purges = step->owner;

    free(step);
    if (purges == NULL)
        return;
    purges->step = NULL;
    purges->next_ms = clock_monotonic_ms() + pause_ms;
    if (pause_ms == PURGES_STEP_MS && purges->timer == NULL)
        purges->timer = loop_timer_start(purges->service->loop, pause_ms, 0, on_timer, purges);
}

static void stepped(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct step *step = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK && err != ERR_UNAVAILABLE)
        log_warn(NULL, "a purge was refused",
                 LOG_FIELDS(LOG_U64("group", step->group), LOG_TEXT("error", err_name(err))));
    step_end(step, err == ERR_OK ? PURGES_STEP_MS : PURGES_LOOK_MS);
}

static void command_send(struct step *step, uint32_t group, Pr__Command *command,
                         write_done *done)
{
    write_start(step->service, group, command, clock_monotonic_ms() + PURGES_WRITE_MS, done,
                step);
}

static void tick_send(struct step *step)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Tick tick = PR__TICK__INIT;

    tick.rows = PURGES_DOOMED_ROWS;
    command.call_case = PR__COMMAND__CALL_TICK;
    command.tick = &tick;
    command_send(step, step->group, &command, stepped);
}

static void expunged_send(struct step *step)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ExpungedPurge purge = PR__EXPUNGED_PURGE__INIT;

    purge.before_ms = step->before_ms;
    purge.from_account_id = step->from_account;
    purge.limit = PURGES_EXPUNGED_ROWS;
    command.call_case = PR__COMMAND__CALL_EXPUNGED_PURGE;
    command.expunged_purge = &purge;
    command_send(step, step->group, &command, stepped);
}

/* ---- the directory: mail of removed accounts ---- */

static void account_purged(void *context, enum err err, const Pr__Outcome *outcome,
                           uint64_t index)
{
    struct step *step = context;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__PurgeDone done = PR__PURGE_DONE__INIT;

    if (err == ERR_OK && outcome->err == ERR_CONFLICT) {
        step_end(step, PURGES_STEP_MS); /* there is more of it */
        return;
    }
    if (step->owner == NULL || err != ERR_OK || outcome->err != ERR_OK) {
        if (step->owner != NULL)
            step->owner->after = step->from_account; /* the next one has its turn */
        stepped(step, err, outcome, index);
        return;
    }
    log_info(
        NULL, "the mail of a removed account is freed",
        LOG_FIELDS(LOG_U64("account", step->from_account), LOG_U64("group", step->due_group)));
    done.account_id = step->from_account;
    command.call_case = PR__COMMAND__CALL_PURGE_DONE;
    command.purge_done = &done;
    command_send(step, DIRECTORY_GROUP, &command, stepped);
}

static void account_send(struct step *step)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;

    purge.account_id = step->from_account;
    purge.limit = PURGES_ACCOUNT_MESSAGES;
    command.call_case = PR__COMMAND__CALL_ACCOUNT_PURGE;
    command.account_purge = &purge;
    command_send(step, step->due_group, &command, account_purged);
}

/* ---- the look ---- */

static void directory_look(struct step *step, struct db_txn *txn)
{
    struct arena arena;
    const Pr__PurgeDueRecord *due;

    arena_init(&arena);
    due = limits_purge_due(txn, step->after, step->before_ms, &arena);
    step->due = due != NULL;
    if (due != NULL) {
        step->from_account = due->account->id;
        step->due_group = due->account->group;
    }
    arena_fini(&arena);
}

static void look_work(struct read_job *job, struct db_txn *txn)
{
    struct step *step = job->context;

    if (step->group == DIRECTORY_GROUP) {
        directory_look(step, txn);
        return;
    }
    step->doomed = query_tick_due(txn, step->group);
    if (!step->doomed && step->look_expunged)
        step->expunged =
            query_expunged_due(txn, step->group, step->before_ms, &step->from_account);
}

static void looked(struct read_job *job, enum err err, uint64_t index)
{
    struct step *step = job->context;

    (void)index;
    if (step->owner == NULL || err != ERR_OK)
        step_end(step, PURGES_LOOK_MS);
    else if (step->due)
        account_send(step);
    else if (step->doomed)
        tick_send(step);
    else if (step->expunged)
        expunged_send(step);
    else {
        step->owner->after = 0;
        if (step->look_expunged)
            step->owner->expunged_ms = clock_monotonic_ms() + PURGES_EXPUNGED_LOOK_MS;
        step_end(step, PURGES_LOOK_MS);
    }
}

void purges_tick(struct purges *purges, uint64_t now_ms)
{
    struct service *service = purges->service;
    struct step *step;
    uint64_t wall_ms = clock_wall_ms();
    uint64_t days;

    if (purges->step != NULL || purges->service->stopping || now_ms < purges->next_ms ||
        service_format(service, purges->group) < FORMAT_DEPTH)
        return;
    step = calloc(1, sizeof(*step));
    CHECK(step != NULL);
    step->owner = purges;
    step->service = service;
    step->group = purges->group;
    step->after = purges->after;
    step->look_expunged = now_ms >= purges->expunged_ms;
    step->before_ms = wall_ms;
    days = purges->group == DIRECTORY_GROUP ? 0 : limits_undelete_days(service);
    step->before_ms -= days * DAY_MS < wall_ms ? days * DAY_MS : wall_ms;
    step->job = (struct read_job){
        .service = service,
        .group = purges->group,
        .deadline_ms = now_ms + PURGES_LOOK_MS,
        .work = look_work,
        .done = looked,
        .context = step,
    };
    purges->step = step;
    read_start(&step->job);
}
