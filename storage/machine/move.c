/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An account leaves this group. Its leader copies the rows; these commands say when they stand
 * still, and what becomes of them. */
#include "storage/machine/blob.h"
#include "storage/machine/moving.h"
#include "storage/machine/scope.h"
#include "storage/schema/format.h"

bool moving_load(struct db_txn *txn, uint32_t group, uint64_t account_id,
                 struct moving_record *moving)
{
    struct key key;
    struct bytes row;

    *moving = (struct moving_record){0};
    if (db_get(txn, TABLE_MOVING, key_number(&key, group, account_id), &row) != ERR_OK)
        return false;
    if (!moving_decode(row, moving))
        db_fail(txn, ERR_MALFORMED);
    return true;
}

void moving_store(struct apply *apply, uint64_t account_id, const struct moving_record *moving)
{
    struct key key;
    struct record row;

    moving_encode(moving, &row);
    db_put(apply->txn, TABLE_MOVING, key_number(&key, apply->group, account_id),
           record_bytes(&row));
}

void moving_delete(struct apply *apply, uint64_t account_id)
{
    struct key key;

    db_delete(apply->txn, TABLE_MOVING, key_number(&key, apply->group, account_id));
}

bool moving_is_out(const struct moving_record *moving)
{
    return moving->state == MOVING_OUT_COPY || moving->state == MOVING_OUT_FROZEN;
}

enum err account_writable(struct apply *apply, const struct account *account)
{
    if (account->state == ACCOUNT_GONE)
        return apply_refuse(apply, ERR_NOTFOUND, "the account was removed");
    if (account->record.place != PLACE_HERE)
        return apply_refuse(apply, ERR_MOVED, "account %llu moves, or has moved, to group %u",
                            (unsigned long long)account->id, account->record.peer);
    return ERR_OK;
}

enum err apply_move_start(struct apply *apply)
{
    const Pr__MoveStart *call = apply->command->move_start;
    struct moving_record moving;
    struct account account;
    bool moves;

    if (call->account_id == 0 || call->attempt == 0 || call->to == 0 ||
        call->to == apply->group)
        return apply_refuse(apply, ERR_INVALID, "a move of no account, or to group %u",
                            call->to);
    account_load(apply->txn, apply->group, call->account_id, &account);
    moves = moving_load(apply->txn, apply->group, account.id, &moving);
    if (account.state == ACCOUNT_GONE || account.state == ACCOUNT_AWAY)
        return account_writable(apply, &account);
    if (moves && moving_is_out(&moving) && moving.attempt == call->attempt)
        return ERR_OK;
    if (call->attempt <= account.record.attempt)
        return apply_refuse(apply, ERR_CONFLICT, "there was a newer attempt");
    if (moves && moving.state == MOVING_IN_DONE) /* it came from elsewhere a moment ago */
        doom_import(apply, account.id);
    account_make(apply->txn, &account);
    account.record.place = PLACE_HERE;
    account.record.peer = call->to;
    account.record.attempt = call->attempt;
    account_store(apply->txn, &account);
    moving = (struct moving_record){
        .state = MOVING_OUT_COPY,
        .peer = call->to,
        .attempt = call->attempt,
        .begun_ms = apply->command->time_ms,
    };
    moving_store(apply, account.id, &moving);
    return ERR_OK;
}

enum err apply_move_freeze(struct apply *apply)
{
    const Pr__MoveFreeze *call = apply->command->move_freeze;
    struct moving_record moving;
    struct account account;

    if (!moving_load(apply->txn, apply->group, call->account_id, &moving) ||
        !moving_is_out(&moving) || moving.attempt != call->attempt)
        return apply_refuse(apply, ERR_CONFLICT, "there was a newer attempt, or an end");
    if (moving.state == MOVING_OUT_FROZEN)
        return ERR_OK;
    if (doom_of_account(apply->txn, apply->group, call->account_id))
        return apply_refuse(apply, ERR_BUSY, "a mailbox that was deleted is being freed");
    account_load(apply->txn, apply->group, call->account_id, &account);
    account.record.place = PLACE_FROZEN;
    account_store(apply->txn, &account);
    moving.state = MOVING_OUT_FROZEN;
    moving_store(apply, account.id, &moving);
    return ERR_OK;
}

/* What the group is granted now that the account is gone; none below the format. */
static enum err shares_check(struct apply *apply, const Pr__MoveEnd *call, size_t *count)
{
    enum err err = ERR_OK;

    *count = call->moved && apply_format(apply) >= FORMAT_SCOPES ? call->n_shares : 0;
    if (*count > MOVE_SHARES_MAX)
        return apply_refuse(apply, ERR_INVALID, "more than a domain and a tenant");
    for (size_t i = 0; i < *count && err == ERR_OK; i++)
        err = scope_share_check(apply, call->shares[i]);
    return err;
}

enum err apply_move_end(struct apply *apply)
{
    const Pr__MoveEnd *call = apply->command->move_end;
    struct moving_record moving;
    struct scope_record scope;
    struct account account;
    size_t share_count;
    enum err err;

    if (!moving_load(apply->txn, apply->group, call->account_id, &moving) ||
        !moving_is_out(&moving))
        return ERR_OK; /* ended before */
    if (moving.attempt != call->attempt)
        return apply_refuse(apply, ERR_CONFLICT, "there was a newer attempt");
    if (call->moved && moving.state != MOVING_OUT_FROZEN)
        return apply_refuse(apply, ERR_CONFLICT, "the account is in use here");
    if ((err = shares_check(apply, call, &share_count)) != ERR_OK)
        return err;
    account_load(apply->txn, apply->group, call->account_id, &account);
    moving_delete(apply, account.id);
    if (call->moved) {
        account.record = (struct account_record){
            .place = PLACE_ELSEWHERE, .peer = moving.peer, .attempt = moving.attempt};
        doom_account(apply, account.id);
    } else {
        account.record.place = PLACE_HERE;
    }
    account_store(apply->txn, &account);
    /* In the same entry: what was granted for the account has gone along with it, and nobody
     * here may fill that room again. */
    for (size_t i = 0; i < share_count; i++)
        scope_hear(apply, call->shares[i], &scope);
    return ERR_OK;
}
