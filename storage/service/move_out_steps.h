/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_MOVE_OUT_STEPS_H
#define STORAGE_SERVICE_MOVE_OUT_STEPS_H

#include "storage/service/move_out.h"
#include "storage/transfer/account.h"

/*
 * Between move_out.c, which brings the rows over, and move_out_end.c, which comes behind them.
 *
 * claim      the directory gives the attempt its number; older ones cannot finish any more
 * start      the group that the account leaves takes that number, and thaws what was frozen
 * import     the other group frees what an older attempt left there
 * copy       rows go over, in rounds
 * freeze     nothing changes any more; what has changed since goes over
 * finish     the other group checks that it has all
 * flip       the directory says that the account is there
 * settle     the other group takes commands for it, and forgets how the rows came
 * end        the old group frees its rows
 */
struct move_out {
    struct service *service;
    uint64_t account_id;
    uint32_t from;
    uint32_t to;
    uint64_t attempt;
    struct account_copy *copy;
    struct account_copy_look look;
    uint64_t bytes; /* that the frozen account holds */
    uint64_t messages;
    struct arena step_arena; /* of one step in the pool */
    struct buffer entry;
    enum err err; /* of that step */
    bool in_pool;
    bool opening; /* the pool makes the copy */
    bool frozen;
    bool ended;     /* nobody cares any more */
    unsigned calls; /* writes and looks under way: 0 or 1 */
    struct loop_timer *timer;
    uint64_t begun_ms;
    uint64_t through_ms; /* when all rows had gone once; 0: not yet */
    uint64_t frozen_at_ms;
    uint64_t frozen_ms; /* how long */
    move_out_done *done;
    void *context;
};

/* What a step does with its outcome; another err than OK of the write itself ends the attempt.
 */
typedef void move_out_step_done(struct move_out *move, const Pr__Outcome *outcome);
/* `name` is told in the log, and static. */
void move_out_send(struct move_out *move, uint32_t group, Pr__Command *command,
                   move_out_step_done *done, const char *name);
/* Ends the attempt when it is. */
bool move_out_refused(struct move_out *move, const Pr__Outcome *outcome, const char *step);

/* The directory here is as new as the leader's was when this was called. */
typedef void move_out_looked(struct move_out *move);
void move_out_look(struct move_out *move, move_out_looked *looked, const char *name);

/* `done` frees it. */
void move_out_ended(struct move_out *move, enum err err, const char *step);

/* All rows have gone over, and the account is frozen. */
void move_out_finish(struct move_out *move);

#endif
