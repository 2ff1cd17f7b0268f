/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_MOVES_H
#define STORAGE_QUERY_MOVES_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"
#include "storage/machine/record.h"
#include "storage/query/mail.h"

/* Accounts on their way from one group to another (storage/machine/moving.h), as whoever leads
 * a group has to see them. */

/* What the directory says of an account, live or removed but not yet purged. */
struct move_truth {
    uint32_t group; /* 0: the account is purged */
    bool moves;     /* it is to move */
    uint32_t from;
    uint32_t to;
};
void moves_truth(struct db_txn *txn, uint64_t account_id, struct move_truth *truth);

/* What is to be done in a group about an account that its moving table names. */
enum move_duty {
    MOVE_DUTY_NONE,   /* another group's leader goes on */
    MOVE_DUTY_COPY,   /* out: begin again */
    MOVE_DUTY_MOVED,  /* out: it is in the other group; free what is here */
    MOVE_DUTY_STAYS,  /* out: it does not move after all */
    MOVE_DUTY_SETTLE, /* in: it is in this group for good */
    MOVE_DUTY_DROP,   /* in: it never will be */
};
/* `truth` is of a directory that was read after the row, and after a read-index round. */
enum move_duty moves_duty(uint32_t group, const struct moving_record *moving,
                          const struct move_truth *truth);

/* The first account of a group behind `after` that is on its way; 0: none. */
uint64_t moves_next(struct db_txn *txn, uint32_t group, uint64_t after,
                    struct moving_record *moving);
/* The first move behind account `after` that the directory wants out of a group (0: any). NULL:
 * none. In `arena`. */
Pr__MoveRecord *moves_wanted(struct db_txn *txn, uint32_t from, uint64_t after,
                             struct arena *arena);
/* That of one account. */
Pr__MoveRecord *moves_of(struct db_txn *txn, uint64_t account_id, struct arena *arena);

/* How far an account has come in. */
enum err moves_read(struct db_txn *txn, struct query_account account,
                    Pr__MoveReadAnswer *answer);

#endif
