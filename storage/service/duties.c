/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/duties.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/service/handovers.h"
#include "storage/service/moves.h"
#include "storage/service/passwords.h"
#include "storage/service/purges.h"
#include "storage/service/role_duty.h"
#include "storage/service/scopes_duty.h"
#include "storage/service/scopes_enrol.h"

#define TICK_MS 500

/* What this node does for a group while it leads it. */
struct duty {
    struct handovers *handovers; /* NULL while it does not lead, and for the directory */
    struct purges *purges;       /* NULL while it does not lead */
    struct moves *moves;         /* as the hand-overs */
    struct scopes_duty_of_group *scopes; /* the same */
    struct scopes_enrol *enrol;          /* as the purges */
    struct role_duty *role;              /* of the directory alone */
    uint64_t looked_ms;
    uint64_t uploads_looked_ms;
    bool uploads_busy;
};

/* A look for stale uploads, and their end. With `duties` NULL nobody cares any more. */
struct sweep {
    struct sweep *next;
    struct duties *duties;
    uint32_t group;
    uint64_t before_ms;
    bool stale;
    struct read_job job;
};

struct duties {
    struct service *service;
    struct loop_timer *timer;
    struct map duties; /* by group */
    struct sweep *sweeps;
    struct passwords *passwords;
};

struct passwords *duties_passwords(struct duties *duties)
{
    return duties->passwords;
}

static struct duty *duty_of(struct duties *duties, uint32_t group)
{
    struct duty *duty = map_get(&duties->duties, group);

    if (duty == NULL) {
        duty = calloc(1, sizeof(*duty));
        CHECK(duty != NULL);
        map_put(&duties->duties, group, duty);
    }
    return duty;
}

/* ---- uploads that nobody ended ---- */

static void sweep_end(struct sweep *sweep)
{
    struct duties *duties = sweep->duties;

    if (duties != NULL) {
        struct sweep **at = &duties->sweeps;
        while (*at != sweep)
            at = &(*at)->next;
        *at = sweep->next;
        duty_of(duties, sweep->group)->uploads_busy = false;
    }
    free(sweep);
}

static void sweep_dropped(void *context, enum err err, const Pr__Outcome *outcome,
                          uint64_t index)
{
    struct sweep *sweep = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    log_info(NULL, "dropped uploads that nobody ended",
             LOG_FIELDS(LOG_U64("group", sweep->group), LOG_TEXT("result", err_name(err))));
    sweep_end(sweep);
}

static void sweep_work(struct read_job *job, struct db_txn *txn)
{
    struct sweep *sweep = job->context;

    sweep->stale = query_uploads_stale(txn, sweep->group, sweep->before_ms);
}

static void sweep_looked(struct read_job *job, enum err err, uint64_t index)
{
    struct sweep *sweep = job->context;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__UploadDrop drop = PR__UPLOAD_DROP__INIT;

    (void)index;
    if (sweep->duties == NULL || err != ERR_OK || !sweep->stale) {
        sweep_end(sweep);
        return;
    }
    drop.before_ms = sweep->before_ms;
    drop.limit = DUTIES_UPLOADS_DROP;
    command.call_case = PR__COMMAND__CALL_UPLOAD_DROP;
    command.upload_drop = &drop;
    write_start(sweep->duties->service, sweep->group, &command,
                clock_monotonic_ms() + DUTIES_UPLOAD_LOOK_MS, sweep_dropped, sweep);
}

static void sweep_start(struct duties *duties, uint32_t group)
{
    struct sweep *sweep = calloc(1, sizeof(*sweep));

    CHECK(sweep != NULL);
    *sweep = (struct sweep){
        .next = duties->sweeps,
        .duties = duties,
        .group = group,
        .before_ms = clock_wall_ms() - DUTIES_UPLOAD_AGE_MS,
        .job =
            {
                .service = duties->service,
                .group = group,
                .deadline_ms = clock_monotonic_ms() + DUTIES_UPLOAD_LOOK_MS,
                .work = sweep_work,
                .done = sweep_looked,
                .context = sweep,
            },
    };
    duties->sweeps = sweep;
    duty_of(duties, group)->uploads_busy = true;
    read_start(&sweep->job);
}

/* ---- the round over the groups ---- */

static void duty_tick(struct duties *duties, uint32_t group, uint64_t now_ms)
{
    struct duty *duty = duty_of(duties, group);
    bool leads =
        replicator_leader(duties->service->replicator, group) == service_self(duties->service);

    if (!leads) {
        handovers_free(&duty->handovers);
        purges_free(&duty->purges);
        moves_free(&duty->moves);
        scopes_duty_free(&duty->scopes);
        scopes_enrol_free(&duty->enrol);
        role_duty_free(&duty->role);
        return;
    }
    if (duty->purges == NULL)
        duty->purges = purges_new(duties->service, group);
    purges_tick(duty->purges, now_ms);
    if (duty->enrol == NULL)
        duty->enrol = scopes_enrol_new(duties->service, group);
    scopes_enrol_tick(duty->enrol, now_ms);
    if (group == DIRECTORY_GROUP) {
        if (duty->role == NULL)
            duty->role = role_duty_new(duties->service);
        role_duty_tick(duty->role, now_ms);
        return;
    }
    if (duty->moves == NULL)
        duty->moves = moves_new(duties->service, group);
    moves_tick(duty->moves, now_ms);
    if (duty->scopes == NULL)
        duty->scopes = scopes_duty_new(duties->service, group);
    scopes_duty_tick(duty->scopes, now_ms);
    bool begins = duty->handovers == NULL;
    if (begins)
        duty->handovers = handovers_new(duties->service, group);
    if (begins || now_ms - duty->looked_ms >= DUTIES_LOOK_MS) {
        duty->looked_ms = now_ms;
        handovers_look(duty->handovers);
    }
    if (!duty->uploads_busy && now_ms - duty->uploads_looked_ms >= DUTIES_UPLOAD_LOOK_MS) {
        duty->uploads_looked_ms = now_ms;
        sweep_start(duties, group);
    }
}

static void tick(void *context)
{
    struct duties *duties = context;
    struct service *service = duties->service;
    uint64_t now_ms = clock_monotonic_ms();

    if (service->stopping || service->replicator == NULL)
        return;
    uint32_t *groups = malloc(REPLICATOR_GROUPS_MAX * sizeof(*groups));
    CHECK(groups != NULL);
    unsigned count = replicator_groups(service->replicator, groups, REPLICATOR_GROUPS_MAX);
    for (unsigned i = 0; i < count; i++)
        duty_tick(duties, groups[i], now_ms);
    free(groups);
}

void duties_events(struct service *service, const struct machine_events *events)
{
    size_t at = 0;
    uint64_t group = 0;
    void *value = NULL;

    if ((!events->handover_added && !events->moves_changed && !events->scopes_changed) ||
        service->stopping)
        return;
    while (map_next(&service->duties->duties, &at, &group, &value)) {
        struct duty *duty = value;
        if (events->handover_added && duty->handovers != NULL)
            handovers_look(duty->handovers);
        if (events->moves_changed && duty->moves != NULL)
            moves_look_soon(duty->moves);
        if (events->scopes_changed && duty->scopes != NULL)
            scopes_duty_look_soon(duty->scopes);
    }
}

struct duties *duties_new(struct service *service)
{
    struct duties *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    map_init(&made->duties);
    made->passwords = passwords_new(service->loop);
    made->timer = loop_timer_start(service->loop, TICK_MS, TICK_MS, tick, made);
    return made;
}

void duties_free(struct duties **duties)
{
    struct duties *closing = *duties;
    size_t at = 0;
    uint64_t group = 0;
    void *value = NULL;

    if (closing == NULL)
        return;
    *duties = NULL;
    loop_timer_stop(&closing->timer);
    for (struct sweep *sweep = closing->sweeps; sweep != NULL; sweep = sweep->next)
        sweep->duties = NULL;
    while (map_next(&closing->duties, &at, &group, &value)) {
        struct duty *duty = value;
        moves_free(&duty->moves);
        scopes_duty_free(&duty->scopes);
        scopes_enrol_free(&duty->enrol);
        role_duty_free(&duty->role);
        handovers_free(&duty->handovers);
        purges_free(&duty->purges);
        free(duty);
    }
    map_fini(&closing->duties);
    passwords_free(&closing->passwords);
    free(closing);
}
