/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/moves.h"

#include "storage/machine/directory.h"
#include "storage/machine/moving.h"
#include "storage/query/directory.h"

Pr__MoveRecord *moves_of(struct db_txn *txn, uint64_t account_id, struct arena *arena)
{
    struct key key;

    return directory_load(txn, TABLE_ACCOUNT_MOVE,
                          key_number(&key, DIRECTORY_GROUP, account_id),
                          &pr__move_record__descriptor, arena);
}

void moves_truth(struct db_txn *txn, uint64_t account_id, struct move_truth *truth)
{
    struct arena arena;
    struct bytes address;
    struct key key;
    Pr__MoveRecord *move;

    arena_init(&arena);
    *truth = (struct move_truth){0};
    if (!directory_account_by_id(txn, account_id, &arena, &address, &truth->group)) {
        const Pr__PurgeDueRecord *due =
            directory_load(txn, TABLE_PURGE_DUE, key_number(&key, DIRECTORY_GROUP, account_id),
                           &pr__purge_due_record__descriptor, &arena);
        truth->group = due != NULL && due->account != NULL ? due->account->group : 0;
    }
    if ((move = moves_of(txn, account_id, &arena)) != NULL) {
        truth->moves = true;
        truth->from = move->from;
        truth->to = move->to;
    }
    arena_fini(&arena);
}

enum move_duty moves_duty(uint32_t group, const struct moving_record *moving,
                          const struct move_truth *truth)
{
    bool out = moving->state == MOVING_OUT_COPY || moving->state == MOVING_OUT_FROZEN;

    if (out && truth->group != group)
        return moving->state == MOVING_OUT_FROZEN ? MOVE_DUTY_MOVED : MOVE_DUTY_NONE;
    if (out)
        return truth->moves && truth->from == group ? MOVE_DUTY_COPY : MOVE_DUTY_STAYS;
    if (truth->group == group)
        return moving->state == MOVING_IN_DONE ? MOVE_DUTY_SETTLE : MOVE_DUTY_NONE;
    return truth->moves && truth->to == group ? MOVE_DUTY_NONE : MOVE_DUTY_DROP;
}

uint64_t moves_next(struct db_txn *txn, uint32_t group, uint64_t after,
                    struct moving_record *moving)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_MOVING, key_group(&prefix, group));
    uint64_t found = 0;

    if (db_cursor_seek(cursor, key_number(&at, group, after + 1), &key, &row)) {
        found = key_last_u64(key);
        if (!moving_decode(row, moving)) {
            db_fail(txn, ERR_MALFORMED);
            found = 0;
        }
    }
    db_cursor_close(&cursor);
    return found;
}

Pr__MoveRecord *moves_wanted(struct db_txn *txn, uint32_t from, uint64_t after,
                             struct arena *arena)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_ACCOUNT_MOVE, key_group(&prefix, DIRECTORY_GROUP));
    Pr__MoveRecord *found = NULL;

    for (bool more =
             db_cursor_seek(cursor, key_number(&at, DIRECTORY_GROUP, after + 1), &key, &row);
         more && found == NULL; more = db_cursor_next(cursor, &key, &row)) {
        Pr__MoveRecord *move = directory_unpack(txn, row, &pr__move_record__descriptor, arena);
        if (move != NULL && (from == 0 || move->from == from))
            found = move;
    }
    db_cursor_close(&cursor);
    return found;
}

enum err moves_read(struct db_txn *txn, struct query_account account,
                    Pr__MoveReadAnswer *answer)
{
    struct moving_record moving;

    if (moving_load(txn, account.group, account.account_id, &moving))
        answer->messages = moving.messages;
    return db_error(txn);
}
