/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/moves.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/moves.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"
#include "storage/service/move_out.h"
#include "storage/service/scopes.h"

struct looked {
    uint64_t account_id;
    struct moving_record moving;
};

/* A look at the group's state and then at the directory, and a command that follows. With
 * `owner` NULL nobody cares any more. */
struct look {
    struct moves *owner;
    struct service *service;
    uint32_t group;
    uint64_t after;
    struct read_job job;
    struct looked rows[MOVES_ROWS_MAX];
    unsigned count;
    uint64_t account_id; /* what the command is about */
};

/* A FormatRaise of another group. */
struct upgrade {
    struct moves *owner; /* NULL: nobody cares any more */
    unsigned format;
};

struct moves {
    struct service *service;
    uint32_t group;
    struct look *look;
    struct move_out *out;
    struct upgrade *upgrade; /* of the group that the next one goes to */
    uint32_t upgraded;       /* that group has at least this format; 0: not known of any */
    unsigned upgraded_format;
    uint64_t out_account;
    uint32_t out_to;
    uint64_t after; /* accounts up to here had their turn */
    uint64_t next_ms;
};

struct moves *moves_new(struct service *service, uint32_t group)
{
    struct moves *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    made->group = group;
    return made;
}

void moves_free(struct moves **moves)
{
    struct moves *closing = *moves;

    if (closing == NULL)
        return;
    *moves = NULL;
    if (closing->look != NULL)
        closing->look->owner = NULL;
    if (closing->upgrade != NULL)
        closing->upgrade->owner = NULL;
    move_out_free(&closing->out);
    free(closing);
}

void moves_look_soon(struct moves *moves)
{
    moves->next_ms = 0;
    moves_tick(moves, clock_monotonic_ms());
}

static void look_end(struct look *look, uint64_t pause_ms)
{
    struct moves *owner = look->owner;

    free(look);
    if (owner == NULL)
        return;
    owner->look = NULL;
    owner->next_ms = clock_monotonic_ms() + pause_ms;
}

/* ---- what was left half done ---- */

static void on_ended(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct look *look = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK && err != ERR_BUSY) {
        log_warn(NULL, "the end of an account's move waits",
                 LOG_FIELDS(LOG_U64("group", look->group), LOG_U64("account", look->account_id),
                            LOG_TEXT("error", err_name(err))));
        if (look->owner != NULL)
            look->owner->after = look->account_id;
    }
    look_end(look, err == ERR_OK || err == ERR_BUSY ? 0 : MOVES_AGAIN_MS);
}

static void end_send(struct look *look, Pr__Command *command)
{
    write_start(look->service, look->group, command, clock_monotonic_ms() + MOVES_WRITE_MS,
                on_ended, look);
}

static void out_end(struct look *look, const struct looked *row, bool moved)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__MoveEnd end = PR__MOVE_END__INIT;
    struct db_txn *txn = service_directory_begin(look->service);
    struct arena arena;

    arena_init(&arena);
    end.account_id = row->account_id;
    end.attempt = row->moving.attempt;
    end.moved = moved;
    if (moved)
        scopes_of_move_end(txn, row->account_id, look->group, &arena, &end);
    command.call_case = PR__COMMAND__CALL_MOVE_END;
    command.move_end = &end;
    end_send(look, &command);
    db_abort(&txn);
    arena_fini(&arena);
}

static void in_end(struct look *look, const struct looked *row, Pr__ImportEnd__Kind kind)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ImportEnd end = PR__IMPORT_END__INIT;

    end.account_id = row->account_id;
    end.attempt = row->moving.attempt;
    end.kind = kind;
    end.limit = MOVES_FREED_ROWS;
    command.call_case = PR__COMMAND__CALL_IMPORT_END;
    command.import_end = &end;
    end_send(look, &command);
}

/* Returns whether a command is under way. */
static bool duty_do(struct look *look, const struct looked *row, enum move_duty duty)
{
    look->account_id = row->account_id;
    switch (duty) {
    case MOVE_DUTY_MOVED:
        out_end(look, row, true);
        return true;
    case MOVE_DUTY_STAYS:
        out_end(look, row, false);
        return true;
    case MOVE_DUTY_SETTLE:
        in_end(look, row, PR__IMPORT_END__KIND__SETTLED);
        return true;
    case MOVE_DUTY_DROP:
        in_end(look, row, PR__IMPORT_END__KIND__DROPPED);
        return true;
    default:
        return false; /* a copy begins with what the directory wants */
    }
}

/* ---- what the directory wants ---- */

static void on_out_done(void *context, enum err err)
{
    struct moves *moves = context;

    move_out_free(&moves->out);
    if (err != ERR_OK)
        moves->after = moves->out_account;
    moves->next_ms = clock_monotonic_ms() + (err == ERR_OK ? 0 : MOVES_AGAIN_MS);
}

static void on_upgraded(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct upgrade *upgrade = context;
    struct moves *moves = upgrade->owner;
    unsigned format = upgrade->format;

    (void)index;
    free(upgrade);
    if (moves == NULL)
        return;
    moves->upgrade = NULL;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err == ERR_OK) { /* what is wanted may have changed meanwhile */
        moves->upgraded = moves->out_to;
        moves->upgraded_format = format;
        moves->next_ms = 0;
        return;
    }
    log_warn(NULL, "an account's move waits: the group it goes to is not upgraded yet",
             LOG_FIELDS(LOG_U64("account", moves->out_account), LOG_U64("from", moves->group),
                        LOG_U64("to", moves->out_to), LOG_TEXT("error", err_name(err))));
    moves->after = moves->out_account;
    moves->next_ms = clock_monotonic_ms() + MOVES_AGAIN_MS;
}

/* Rows of this group's format are none in a lower one: the other group has to have it before
 * anything begins. Its own leader raises it, too, but perhaps later (formats.c). */
static void upgrade_start(struct moves *moves, unsigned format)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;
    struct upgrade *upgrade = malloc(sizeof(*upgrade));

    CHECK(upgrade != NULL);
    upgrade->owner = moves;
    upgrade->format = format;
    moves->upgrade = upgrade;
    raise.format = format;
    command.call_case = PR__COMMAND__CALL_FORMAT_RAISE;
    command.format_raise = &raise;
    write_start(moves->service, moves->out_to, &command, clock_monotonic_ms() + MOVES_WRITE_MS,
                on_upgraded, upgrade);
}

/* Formats only rise. Of a group that has no replica here only what was told is known. */
static bool has_format(const struct moves *moves, uint32_t group, unsigned format)
{
    return service_format(moves->service, group) >= format ||
           (moves->upgraded == group && moves->upgraded_format >= format);
}

/* Returns whether a move began. One at a time. */
static bool out_begin(struct moves *moves)
{
    struct arena arena;
    const Pr__MoveRecord *wanted;

    if (moves->out != NULL || moves->upgrade != NULL)
        return false;
    struct db_txn *txn = service_directory_begin(moves->service);
    arena_init(&arena);
    wanted = moves_wanted(txn, moves->group, moves->after, &arena);
    if (wanted == NULL && moves->after != 0)
        wanted = moves_wanted(txn, moves->group, 0, &arena);
    if (wanted != NULL) {
        moves->out_account = wanted->account_id;
        moves->out_to = wanted->to;
    }
    bool begun = wanted != NULL;
    db_abort(&txn);
    arena_fini(&arena);
    if (!begun)
        return false;
    unsigned format = service_format(moves->service, moves->group);
    if (has_format(moves, moves->out_to, format))
        moves->out = move_out_new(moves->service, moves->out_account, moves->group,
                                  moves->out_to, on_out_done, moves);
    else
        upgrade_start(moves, format);
    return true;
}

/* ---- the look ---- */

/* Its mover says how it goes on. */
static bool is_going(const struct moves *moves, uint64_t account_id)
{
    return moves->out != NULL && moves->out_account == account_id;
}

static void on_fresh(void *context, enum err err, uint64_t index, struct bytes unused)
{
    struct look *look = context;

    (void)index;
    (void)unused;
    if (look->owner == NULL || err != ERR_OK) {
        look_end(look, MOVES_AGAIN_MS);
        return;
    }
    for (unsigned i = 0; i < look->count; i++) {
        struct move_truth truth;

        if (is_going(look->owner, look->rows[i].account_id))
            continue;
        struct db_txn *txn = service_directory_begin(look->service);
        moves_truth(txn, look->rows[i].account_id, &truth);
        enum err read = db_error(txn);
        db_abort(&txn);
        if (read == ERR_OK && duty_do(look, &look->rows[i],
                                      moves_duty(look->group, &look->rows[i].moving, &truth)))
            return;
    }
    struct moves *owner = look->owner;
    owner->after = look->count == MOVES_ROWS_MAX ? look->rows[look->count - 1].account_id : 0;
    bool begun = out_begin(owner);
    look_end(look, begun || owner->after != 0 ? 0 : MOVES_LOOK_MS);
}

/* In a pool thread. */
static void look_work(struct read_job *job, struct db_txn *txn)
{
    struct look *look = job->context;
    uint64_t at = look->after;

    while (look->count < MOVES_ROWS_MAX &&
           (at = moves_next(txn, look->group, at, &look->rows[look->count].moving)) != 0)
        look->rows[look->count++].account_id = at;
}

static void on_looked(struct read_job *job, enum err err, uint64_t index)
{
    struct look *look = job->context;

    (void)index;
    if (look->owner == NULL || err != ERR_OK) {
        look_end(look, MOVES_AGAIN_MS);
    } else if (look->count > 0) {
        replicator_read(look->service->replicator, DIRECTORY_GROUP,
                        clock_monotonic_ms() + MOVES_WRITE_MS, on_fresh, look);
    } else {
        struct moves *owner = look->owner;
        bool begun = out_begin(owner);
        bool again = owner->after != 0;
        if (!begun)
            owner->after = 0;
        look_end(look, begun || again ? 0 : MOVES_LOOK_MS);
    }
}

void moves_tick(struct moves *moves, uint64_t now_ms)
{
    struct look *look;

    if (moves->look != NULL || moves->service->stopping || now_ms < moves->next_ms ||
        service_format(moves->service, moves->group) < FORMAT_DEPTH)
        return;
    look = calloc(1, sizeof(*look));
    CHECK(look != NULL);
    look->owner = moves;
    look->service = moves->service;
    look->group = moves->group;
    look->after = moves->after;
    look->job = (struct read_job){
        .service = moves->service,
        .group = moves->group,
        .deadline_ms = now_ms + MOVES_WRITE_MS,
        .work = look_work,
        .done = on_looked,
        .context = look,
    };
    moves->look = look;
    read_start(&look->job);
}
