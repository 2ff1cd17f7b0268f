/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/scopes_duty.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/machine/machine.h"
#include "storage/query/scopes.h"
#include "storage/schema/format.h"
#include "storage/service/scopes.h"
#include "storage/service/scopes_plan.h"
#include "storage/service/sending_tenants.h"

/* A wish for room that this leader has seen, and answered by giving back what was not used. */
struct honoured {
    struct scopes_place scope;
    uint64_t wanted_ms;
};

/* One thing to do; `share` is the group's own row, or for a GRANT what the directory says. */
struct act {
    enum scopes_duty duty;
    struct scopes_amount amount;
    Pr__ScopeShare share;
    uint64_t limit; /* the directory's */
};

/* A look and what came of it. With `owner` NULL nobody cares any more. */
struct round {
    struct scopes_duty_of_group *owner;
    struct service *service;
    uint32_t group;
    struct read_job job;
    struct scopes_place after;
    bool more;
    uint64_t begun_ms;
    struct honoured honoured[SCOPES_HONOURED_MAX]; /* before */
    struct honoured seen[SCOPES_HONOURED_MAX];     /* in this round */
    unsigned seen_count;
    struct act acts[SCOPES_ACTS_MAX];
    unsigned count;
    unsigned at;
    bool quiet; /* nothing has moved the group's clock for long, and it counts by it */
};

struct scopes_duty_of_group {
    struct service *service;
    uint32_t group;
    struct round *round;
    struct scopes_place after;
    uint64_t next_ms;
    bool soon;
    struct honoured honoured[SCOPES_HONOURED_MAX];
    unsigned honoured_at;
};

struct scopes_duty_of_group *scopes_duty_new(struct service *service, uint32_t group)
{
    struct scopes_duty_of_group *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    made->group = group;
    return made;
}

void scopes_duty_free(struct scopes_duty_of_group **duty)
{
    struct scopes_duty_of_group *closing = *duty;

    if (closing == NULL)
        return;
    *duty = NULL;
    if (closing->round != NULL)
        closing->round->owner = NULL;
    free(closing);
}

static void round_end(struct round *round)
{
    struct scopes_duty_of_group *owner = round->owner;
    uint64_t now_ms = clock_monotonic_ms();

    if (owner != NULL) {
        uint64_t rest_ms = (now_ms - round->begun_ms) * SCOPES_LOOK_PART;
        uint64_t pause_ms = round->more   ? 0
                            : owner->soon ? SCOPES_LOOK_SOON_MS
                                          : SCOPES_LOOK_MS;
        if (round->count > 0) /* that was commands, not looking */
            rest_ms = 0;
        owner->round = NULL;
        owner->soon = false;
        owner->after = round->more ? round->after : (struct scopes_place){0};
        owner->next_ms = now_ms + (rest_ms > pause_ms ? rest_ms : pause_ms);
    }
    free(round);
}

/* ---- what comes of a look, one after the other ---- */

static void act_next(struct round *round);

/* Whatever became of it, a later look finds what is left. */
static void act_done(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct round *round = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK && err != ERR_CONFLICT && err != ERR_UNAVAILABLE)
        log_warn(NULL, "a part of a limit waits",
                 LOG_FIELDS(LOG_U64("group", round->group), LOG_TEXT("error", err_name(err))));
    round->at++;
    if (err == ERR_UNAVAILABLE)
        round->more = false;
    if (round->owner == NULL || err == ERR_UNAVAILABLE)
        round_end(round);
    else
        act_next(round);
}

/* The directory has said what the group may use now. */
static void act_answered(void *context, enum err err, const Pr__Outcome *outcome,
                         uint64_t index)
{
    struct round *round = context;

    if (round->owner != NULL && err == ERR_OK && outcome->err == ERR_OK &&
        outcome->share != NULL)
        scopes_grant(round->service, round->group, outcome->share, act_done, round);
    else
        act_done(context, err, outcome, index);
}

static void returned_send(struct round *round, const Pr__ScopeShare *share)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ScopeReturned returned = PR__SCOPE_RETURNED__INIT;
    Pr__ScopeShare told = *share;

    /* No fact: what is used is asked for (scopes_plan.h). */
    told.used_bytes = told.used_messages = 0;
    returned.share = &told;
    command.call_case = PR__COMMAND__CALL_SCOPE_RETURNED;
    command.scope_returned = &returned;
    write_start(round->service, DIRECTORY_GROUP, &command, clock_monotonic_ms() + SCOPES_ASK_MS,
                act_answered, round);
}

static void act_given_back(void *context, enum err err, const Pr__Outcome *outcome,
                           uint64_t index)
{
    struct round *round = context;

    if (round->owner == NULL || err != ERR_OK || outcome->err != ERR_OK ||
        outcome->share == NULL)
        act_done(context, err, outcome, index);
    else
        returned_send(round, outcome->share);
}

static void return_send(struct round *round, const struct act *act)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ScopeReturn call = PR__SCOPE_RETURN__INIT;

    call.kind = act->share.kind;
    call.scope_id = act->share.scope_id;
    call.limit = act->share.limit;
    call.version = act->share.version;
    call.keep_bytes = act->amount.bytes;
    call.keep_messages = act->amount.messages;
    command.call_case = PR__COMMAND__CALL_SCOPE_RETURN;
    command.scope_return = &call;
    write_start(round->service, round->group, &command, clock_monotonic_ms() + SCOPES_ASK_MS,
                act_given_back, round);
}

static void ask_send(struct round *round, const struct act *act)
{
    Pr__ScopeAsk ask = PR__SCOPE_ASK__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;

    ask.share = &share;
    scopes_plan_tell(&act->share, act->limit, act->amount, &ask);
    scopes_ask_send(round->service, &ask, act_answered, round);
}

static void on_ticked(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    (void)err;
    (void)outcome;
    (void)index;
    round_end(context);
}

/* Takes the group's clock along (apply.h). After a quiet night it would lag behind and make up
 * for that at twice the speed: what is sent meanwhile would not count for a whole day. */
static void tick_send(struct round *round)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Tick tick = PR__TICK__INIT;

    command.call_case = PR__COMMAND__CALL_TICK;
    command.tick = &tick;
    write_start(round->service, round->group, &command, clock_monotonic_ms() + SCOPES_ASK_MS,
                on_ticked, round);
}

static void act_next(struct round *round)
{
    const struct act *act = &round->acts[round->at];

    if (round->at == round->count && round->count == 0 && round->quiet) {
        tick_send(round);
        return;
    }
    if (round->at == round->count) {
        round_end(round);
        return;
    }
    switch (act->duty) {
    case SCOPES_DUTY_GRANT:
        scopes_grant(round->service, round->group, &act->share, act_done, round);
        break;
    case SCOPES_DUTY_TOLD:
        returned_send(round, &act->share);
        break;
    case SCOPES_DUTY_RETURN:
        return_send(round, act);
        break;
    default:
        ask_send(round, act);
    }
}

/* ---- the look ---- */

static bool is_honoured(const struct round *round, const Pr__ScopeRecord *record)
{
    for (unsigned i = 0; i < SCOPES_HONOURED_MAX; i++)
        if (round->honoured[i].scope.kind == record->kind &&
            round->honoured[i].scope.id == record->id &&
            round->honoured[i].wanted_ms == record->wanted_ms)
            return true;
    return false;
}

static void act_add(struct round *round, const struct scopes_step *step,
                    const Pr__ScopeShare *row, uint64_t limit)
{
    struct act *act = &round->acts[round->count++];

    *act = (struct act){
        .duty = step->duty,
        .amount = step->amount,
        .share = step->share != NULL ? *step->share : *row,
        .limit = limit,
    };
    act->share.base = (ProtobufCMessage)PROTOBUF_C_MESSAGE_INIT(&pr__scope_share__descriptor);
}

static void row_look(struct round *round, const Pr__ScopeShare *row,
                     const Pr__ScopeRecord *record, unsigned groups)
{
    struct scopes_look look = {.row = row, .record = record, .groups = groups};

    look.wanted = record != NULL && record->wanted_ms != 0 && !is_honoured(round, record);
    if (look.wanted && round->seen_count < SCOPES_HONOURED_MAX)
        round->seen[round->seen_count++] =
            (struct honoured){{record->kind, record->id}, record->wanted_ms};
    const struct scopes_step step = scopes_plan_duty(&look);
    if (step.duty != SCOPES_DUTY_NONE)
        act_add(round, &step, row, record != NULL ? record->limit : row->limit);
}

/* What a tenant sends. Whoever may send without limit asks nobody; when the settings say
 * something new, the directory has to hear of it. */
static void sending_look(struct round *round, struct db_txn *txn, struct db_txn *directory,
                         Pr__ScopeShare *row, const Pr__ScopeRecord *record, unsigned groups,
                         struct arena *arena)
{
    const Pr__AccountQuota *total = sending_tenant_total(directory, row->scope_id, arena);
    const struct scopes_step tell = {.duty = SCOPES_DUTY_ASK};
    uint64_t now_ms = clock_wall_ms();

    if (!sending_is_limited(total))
        return;
    scopes_sent_at(txn, round->group, now_ms, row);
    if (record != NULL && sending_tenant_changed(directory, record, total))
        act_add(round, &tell, row, record->limit);
    else
        row_look(round, row, record, groups);
}

/* In a pool thread. */
static void look_work(struct read_job *job, struct db_txn *txn)
{
    struct round *round = job->context;
    struct db_txn *directory;
    struct arena arena;
    Pr__ScopeShare **rows;
    size_t count;

    if (machine_format(txn, round->group) < FORMAT_SCOPES)
        return;
    round->quiet = machine_format(txn, round->group) >= FORMAT_ADDRESSES &&
                   clock_wall_ms() > machine_seen_ms(txn, round->group) + SCOPES_QUIET_MS;
    arena_init(&arena);
    /* Behind the group's: what the row has heard of lies in this one, if it is not behind. */
    directory = db_read_begin(service_db(round->service, DIRECTORY_GROUP));
    unsigned groups = scopes_groups(directory, &arena);
    round->more =
        scopes_shares(txn, round->group, round->after, SCOPES_LOOK_ROWS, &arena, &rows, &count);
    for (size_t i = 0; i < count; i++) {
        if (round->count == SCOPES_ACTS_MAX) {
            round->more = true;
            break;
        }
        round->after = (struct scopes_place){rows[i]->kind, rows[i]->scope_id};
        const Pr__ScopeRecord *record = scopes_record(directory, round->after, &arena);
        if (rows[i]->kind == PR__SCOPE_KIND__SCOPE_SENDING)
            sending_look(round, txn, directory, rows[i], record, groups, &arena);
        else
            row_look(round, rows[i], record, groups);
    }
    db_abort(&directory);
    arena_fini(&arena);
}

static void on_looked(struct read_job *job, enum err err, uint64_t index)
{
    struct round *round = job->context;
    struct scopes_duty_of_group *owner = round->owner;

    (void)index;
    if (owner == NULL || err != ERR_OK) {
        round->count = 0;
        round->more = false;
        round_end(round);
        return;
    }
    for (unsigned i = 0; i < round->seen_count; i++)
        owner->honoured[owner->honoured_at++ % SCOPES_HONOURED_MAX] = round->seen[i];
    act_next(round);
}

void scopes_duty_tick(struct scopes_duty_of_group *duty, uint64_t now_ms)
{
    struct round *round;

    if (duty->round != NULL || duty->service->stopping || now_ms < duty->next_ms)
        return;
    round = calloc(1, sizeof(*round));
    CHECK(round != NULL);
    round->owner = duty;
    round->service = duty->service;
    round->group = duty->group;
    round->after = duty->after;
    round->begun_ms = now_ms;
    memcpy(round->honoured, duty->honoured, sizeof(round->honoured));
    round->job = (struct read_job){
        .service = duty->service,
        .group = duty->group,
        .deadline_ms = now_ms + SCOPES_ASK_MS,
        .work = look_work,
        .done = on_looked,
        .context = round,
    };
    duty->round = round;
    duty->soon = false;
    read_start(&round->job);
}

void scopes_duty_look_soon(struct scopes_duty_of_group *duty)
{
    uint64_t now_ms = clock_monotonic_ms();

    duty->soon = true;
    if (duty->round != NULL)
        return;
    if (now_ms + SCOPES_LOOK_SOON_MS < duty->next_ms)
        duty->next_ms = now_ms + SCOPES_LOOK_SOON_MS;
    scopes_duty_tick(duty, now_ms);
}
