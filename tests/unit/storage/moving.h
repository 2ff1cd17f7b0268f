/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_MOVING_H
#define TESTS_UNIT_STORAGE_MOVING_H

#include "storage/query/moves.h"
#include "storage/transfer/account.h"
#include "tests/unit/storage/model.h"

/*
 * Whoever moves accounts of a model between groups, a command at a time, as the service does:
 * it may be forgotten between any two commands, and another one goes on.
 */
enum { MOVING_OTHER_GROUP = 5 };

enum moving_step {
    MOVING_IDLE,
    MOVING_CLAIM,
    MOVING_START,
    MOVING_BEGIN,
    MOVING_COPY,
    MOVING_DONE,
    MOVING_FLIP,
    MOVING_SETTLE,
    MOVING_END
};

struct mover {
    struct model *model;
    struct model_account *account;
    uint32_t from;
    uint32_t to;
    uint64_t attempt;
    enum moving_step step;
    struct account_copy *copy;
    struct account_copy_look look;
    uint64_t seed;
    unsigned frozen_commands; /* of copies, after the freeze */
    unsigned commands;
    /* Another one has taken over, and this one does not know: it may be refused, and must not
     * bring the move to its end. */
    bool replaced;
};

/* The directory with the model's accounts in it, all in MODEL_GROUP; formats are raised. */
void moving_open(struct model *model);
/* Asks the directory to move; returns what it says. */
enum err moving_ask(struct model *model, const struct model_account *account, uint32_t to);
void moving_begin(struct mover *mover, struct model *model, struct model_account *account,
                  uint64_t seed);
/* One command. False: there is nothing left to do. */
bool moving_next(struct mover *mover);
/* The mover is gone; what it had in mind is forgotten. */
void moving_crash(struct mover *mover);
/* Finishes what tables of both groups and the directory say, as new leaders do. */
void moving_recover(struct mover *mover);
/* Aborts unless the account's rows are the same in both groups, but for where its bodies are.
 */
void moving_rows_equal(struct model *model, uint64_t account_id, uint32_t from, uint32_t to);

#endif
