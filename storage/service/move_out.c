/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/move_out_steps.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/moves.h"
#include "storage/schema/entry.h"

static void move_delete(struct move_out *move)
{
    if (move->in_pool || move->calls > 0)
        return; /* comes back */
    loop_timer_stop(&move->timer);
    account_copy_free(&move->copy);
    arena_fini(&move->step_arena);
    buffer_fini(&move->entry);
    free(move);
}

void move_out_free(struct move_out **move)
{
    struct move_out *ending = *move;

    if (ending == NULL)
        return;
    *move = NULL;
    ending->ended = true;
    loop_timer_stop(&ending->timer);
    if (!ending->in_pool)
        account_copy_free(&ending->copy); /* before the database closes */
    move_delete(ending);
}

void move_out_ended(struct move_out *move, enum err err, const char *step)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (err != ERR_OK)
        log_warn(NULL, "an account's move begins again later",
                 LOG_FIELDS(LOG_U64("account", move->account_id), LOG_U64("from", move->from),
                            LOG_U64("to", move->to), LOG_TEXT("step", step),
                            LOG_TEXT("error", err_name(err))));
    else
        log_info(NULL, "an account has moved",
                 LOG_FIELDS(LOG_U64("account", move->account_id), LOG_U64("from", move->from),
                            LOG_U64("to", move->to), LOG_U64("rows", move->look.rows),
                            LOG_U64("bytes", move->look.bytes),
                            LOG_U64("ms", now_ms - move->begun_ms),
                            LOG_U64("frozen_ms", move->frozen_ms)));
    move_out_done *done = move->done;
    void *context = move->context;
    done(context, err); /* frees it */
}

/* ---- commands ---- */

struct step {
    struct move_out *move;
    move_out_step_done *done;
    const char *name;
};

static void on_step(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct step step = *(struct step *)context;

    (void)index;
    free(context);
    step.move->calls--;
    if (step.move->ended)
        move_delete(step.move);
    else if (err != ERR_OK)
        move_out_ended(step.move, err, step.name);
    else
        step.done(step.move, outcome);
}

void move_out_send(struct move_out *move, uint32_t group, Pr__Command *command,
                   move_out_step_done *done, const char *name)
{
    struct step *step = malloc(sizeof(*step));

    CHECK(step != NULL);
    *step = (struct step){move, done, name};
    move->calls++;
    write_start(move->service, group, command,
                clock_monotonic_ms() +
                    (move->frozen ? MOVE_OUT_FROZEN_WRITE_MS : MOVE_OUT_WRITE_MS),
                on_step, step);
}

bool move_out_refused(struct move_out *move, const Pr__Outcome *outcome, const char *step)
{
    if (outcome->err == ERR_OK)
        return false;
    move_out_ended(move, (enum err)outcome->err, step);
    return true;
}

struct look {
    struct move_out *move;
    move_out_looked *looked;
    const char *name;
};

static void on_look(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct look look = *(struct look *)context;

    (void)index;
    (void)unused;
    free(context);
    look.move->calls--;
    if (look.move->ended)
        move_delete(look.move);
    else if (err != ERR_OK)
        move_out_ended(look.move, err, look.name);
    else
        look.looked(look.move);
}

void move_out_look(struct move_out *move, move_out_looked *looked, const char *name)
{
    struct look *look = malloc(sizeof(*look));

    CHECK(look != NULL);
    *look = (struct look){move, looked, name};
    move->calls++;
    replicator_read(move->service->replicator, DIRECTORY_GROUP,
                    clock_monotonic_ms() + MOVE_OUT_WRITE_MS, on_look, look);
}

static void later(struct move_out *move, uint64_t delay_ms, void (*fired)(void *context))
{
    CHECK(move->timer == NULL);
    move->timer = loop_timer_start(move->service->loop, delay_ms, 0, fired, move);
}

/* ---- the copy ---- */

static void copy_step(struct move_out *move);

static void on_copy_timer(void *context)
{
    struct move_out *move = context;

    move->timer = NULL;
    copy_step(move);
}

static void freeze_send(struct move_out *move);

static void on_freeze_timer(void *context)
{
    struct move_out *move = context;

    move->timer = NULL;
    freeze_send(move);
}

static void ticked(struct move_out *move, const Pr__Outcome *outcome)
{
    (void)outcome;
    later(move, MOVE_OUT_AGAIN_MS, on_freeze_timer);
}

static void frozen(struct move_out *move, const Pr__Outcome *outcome)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Tick tick = PR__TICK__INIT;

    if (outcome->err == ERR_BUSY) { /* a mailbox that was deleted goes first */
        tick.rows = MOVE_OUT_ROWS;
        command.call_case = PR__COMMAND__CALL_TICK;
        command.tick = &tick;
        move_out_send(move, move->from, &command, ticked, "tick");
    } else if (!move_out_refused(move, outcome, "freeze")) {
        move->frozen = true;
        copy_step(move);
    }
}

static void freeze_send(struct move_out *move)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__MoveFreeze freeze = PR__MOVE_FREEZE__INIT;

    freeze.account_id = move->account_id;
    freeze.attempt = move->attempt;
    command.call_case = PR__COMMAND__CALL_MOVE_FREEZE;
    command.move_freeze = &freeze;
    move->frozen_at_ms = clock_monotonic_ms();
    move_out_send(move, move->from, &command, frozen, "freeze");
}

static bool nearly_done(struct move_out *move)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (!move->look.through)
        return false;
    if (move->through_ms == 0)
        move->through_ms = now_ms;
    return move->look.left <= MOVE_OUT_LEFT ||
           now_ms - move->through_ms >= MOVE_OUT_CATCH_UP_MS;
}

static void on_rows(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct move_out *move = context;

    (void)index;
    move->calls--;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (move->ended)
        move_delete(move);
    else if (err != ERR_OK)
        move_out_ended(move, err, "rows");
    else if (move->frozen)
        copy_step(move);
    else if (nearly_done(move))
        freeze_send(move);
    else
        later(move, MOVE_OUT_PAUSE_MS, on_copy_timer);
}

/* Back from the pool. */
static void copy_stepped(void *context)
{
    struct move_out *move = context;

    move->in_pool = false;
    if (move->ended) {
        move_delete(move);
    } else if (move->opening) {
        move->opening = false;
        if (move->err != ERR_OK)
            move_out_ended(move, move->err, "open");
        else
            copy_step(move);
    } else if (move->err == ERR_OK) {
        move->calls++;
        write_entry(move->service, move->to, buffer_bytes(&move->entry), bytes_from(NULL, 0),
                    clock_monotonic_ms() +
                        (move->frozen ? MOVE_OUT_FROZEN_WRITE_MS : MOVE_OUT_WRITE_MS),
                    on_rows, move);
    } else if (move->err != ERR_NOTFOUND) {
        move_out_ended(move, move->err, "copy");
    } else if (!move->frozen) {
        freeze_send(move);
    } else if (move->look.frozen) {
        move_out_finish(move);
    } else if (clock_monotonic_ms() - move->frozen_at_ms > MOVE_OUT_FROZEN_WRITE_MS) {
        move_out_ended(move, ERR_TIMEOUT, "copy");
    } else {
        later(move, 1, on_copy_timer); /* the freeze is not applied here yet */
    }
}

/* What the account holds; nothing changes it any more when it is frozen. */
static void usage_read(struct move_out *move)
{
    struct db_txn *txn = db_read_begin(service_db(move->service, move->from));

    query_account_usage(txn, (struct query_account){move->from, move->account_id},
                        &move->messages, &move->bytes);
    if (move->err == ERR_NOTFOUND && db_error(txn) != ERR_OK)
        move->err = db_error(txn);
    db_abort(&txn);
}

/* In a pool thread. */
static void copy_work(void *context)
{
    struct move_out *move = context;
    Pr__Command command;

    if (move->opening) {
        struct account_copy_config config = {
            .db = service_db(move->service, move->from),
            .group = move->from,
            .account_id = move->account_id,
            .attempt = move->attempt,
        };
        randombytes_buf(config.seed, sizeof(config.seed));
        move->err = account_copy_new(&config, &move->copy);
        return;
    }
    arena_fini(&move->step_arena);
    arena_init(&move->step_arena);
    buffer_clear(&move->entry);
    move->err = account_copy_next(move->copy, &move->step_arena, &command, &move->look);
    if (move->err == ERR_OK) {
        command.time_ms = clock_wall_ms();
        entry_encode(&command, &move->entry);
    } else if (move->err != ERR_NOTFOUND || move->look.frozen) {
        usage_read(move);
        account_copy_free(&move->copy); /* it waits for the writer: not in the loop's thread */
    }
}

static void copy_step(struct move_out *move)
{
    move->in_pool = true;
    loop_work(move->service->loop, copy_work, copy_stepped, move);
}

/* ---- the beginning ---- */

static void import_send(struct move_out *move);

static void on_import_timer(void *context)
{
    struct move_out *move = context;

    move->timer = NULL;
    import_send(move);
}

static void imported(struct move_out *move, const Pr__Outcome *outcome)
{
    if (outcome->err == ERR_BUSY) {
        later(move, MOVE_OUT_PAUSE_MS, on_import_timer);
    } else if (!move_out_refused(move, outcome, "import")) {
        move->opening = true;
        copy_step(move);
    }
}

static void import_send(struct move_out *move)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ImportBegin begin = PR__IMPORT_BEGIN__INIT;

    begin.account_id = move->account_id;
    begin.from = move->from;
    begin.attempt = move->attempt;
    begin.limit = MOVE_OUT_ROWS;
    command.call_case = PR__COMMAND__CALL_IMPORT_BEGIN;
    command.import_begin = &begin;
    move_out_send(move, move->to, &command, imported, "import");
}

static void started(struct move_out *move, const Pr__Outcome *outcome)
{
    if (!move_out_refused(move, outcome, "start"))
        import_send(move);
}

/* The wish may be another one than that which this attempt began with, to another group. What
 * the claim is of cannot change any more without the claim being lost. */
static void claim_known(struct move_out *move)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__MoveStart start = PR__MOVE_START__INIT;
    struct db_txn *txn = service_directory_begin(move->service);
    struct arena arena;

    arena_init(&arena);
    const Pr__MoveRecord *wanted = moves_of(txn, move->account_id, &arena);
    bool ours = wanted != NULL && wanted->attempt == move->attempt && wanted->to == move->to;
    db_abort(&txn);
    arena_fini(&arena);
    if (!ours) {
        move_out_ended(move, ERR_CONFLICT, "claim");
        return;
    }
    start.account_id = move->account_id;
    start.to = move->to;
    start.attempt = move->attempt;
    command.call_case = PR__COMMAND__CALL_MOVE_START;
    command.move_start = &start;
    move_out_send(move, move->from, &command, started, "start");
}

static void claimed(struct move_out *move, const Pr__Outcome *outcome)
{
    if (move_out_refused(move, outcome, "claim"))
        return;
    move->attempt = outcome->id;
    move_out_look(move, claim_known, "claim");
}

struct move_out *move_out_new(struct service *service, uint64_t account_id, uint32_t from,
                              uint32_t to, move_out_done *done, void *context)
{
    struct move_out *move = calloc(1, sizeof(*move));
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountMoveClaim claim = PR__ACCOUNT_MOVE_CLAIM__INIT;

    CHECK(move != NULL);
    move->service = service;
    move->account_id = account_id;
    move->from = from;
    move->to = to;
    move->done = done;
    move->context = context;
    move->begun_ms = clock_monotonic_ms();
    arena_init(&move->step_arena);
    claim.account_id = account_id;
    claim.from = from;
    command.call_case = PR__COMMAND__CALL_ACCOUNT_MOVE_CLAIM;
    command.account_move_claim = &claim;
    move_out_send(move, DIRECTORY_GROUP, &command, claimed, "claim");
    return move;
}
