/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/expunged.h"

#include "storage/machine/blob.h"

static struct bytes row_key(struct key *key, const struct account *account, uint64_t time_ms,
                            uint32_t mailbox_id, uint32_t uid)
{
    return key_expunged(key, account->group, account->id, time_ms, mailbox_id, uid);
}

void expunged_put(struct apply *apply, struct account *account, const struct expunged *expunged)
{
    struct key key;
    struct record row;

    expunged_encode(&expunged->record, expunged->name, &row);
    db_put(apply->txn, TABLE_EXPUNGED,
           row_key(&key, account, expunged->time_ms, expunged->mailbox_id, expunged->uid),
           record_bytes(&row));
    account->record.expunged++;
    account->record.expunged_size += expunged->record.size;
}

bool expunged_decode(struct bytes key, struct bytes row, struct expunged *expunged)
{
    struct bytes behind = key_behind_account(key);

    expunged->time_ms = key_last_u64(bytes_from(behind.at, behind.len < 8 ? 0 : 8));
    expunged->mailbox_id = key_last_u32(bytes_from(key.at, key.len < 4 ? 0 : key.len - 4));
    expunged->uid = key_last_u32(key);
    return expunged_row_decode(row, &expunged->record, &expunged->name);
}

bool expunged_load(struct db_txn *txn, const struct account *account, uint64_t time_ms,
                   uint32_t mailbox_id, uint32_t uid, struct expunged *expunged)
{
    struct key key;
    struct bytes row;
    struct bytes at = row_key(&key, account, time_ms, mailbox_id, uid);

    if (db_get(txn, TABLE_EXPUNGED, at, &row) != ERR_OK)
        return false;
    if (expunged_decode(at, row, expunged))
        return true;
    db_fail(txn, ERR_MALFORMED);
    return false;
}

void expunged_take(struct apply *apply, struct account *account,
                   const struct expunged *expunged)
{
    struct key key;

    db_delete(apply->txn, TABLE_EXPUNGED,
              row_key(&key, account, expunged->time_ms, expunged->mailbox_id, expunged->uid));
    account->record.expunged--;
    account->record.expunged_size -= expunged->record.size;
}

unsigned expunged_free(struct apply *apply, struct account *account, uint64_t before_ms,
                       unsigned rows)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(apply->txn, TABLE_EXPUNGED,
                                              key_number(&prefix, account->group, account->id));
    unsigned gone = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more && gone < rows;
         more = db_cursor_next(cursor, &key, &row)) {
        struct expunged expunged;

        if (!expunged_decode(key, row, &expunged)) {
            db_fail(apply->txn, ERR_MALFORMED);
            break;
        }
        if (expunged.time_ms >= before_ms)
            break;
        db_cursor_delete(cursor);
        account->record.expunged--;
        account->record.expunged_size -= expunged.record.size;
        blob_release(apply, expunged.record.blob);
        gone++;
    }
    db_cursor_close(&cursor);
    return gone;
}

/* Rows lie by account, then time: the first row of an account says whether it has old ones. */
uint64_t expunged_due(struct db_txn *txn, uint32_t group, uint64_t from, uint64_t before_ms,
                      unsigned looks, uint64_t *next)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_EXPUNGED, key_group(&prefix, group));
    uint64_t found = 0;

    *next = 0;
    while (found == 0 && from != UINT64_MAX &&
           db_cursor_seek(cursor, key_number(&at, group, from), &key, &row)) {
        struct expunged expunged;
        uint64_t account_id = key_last_u64(bytes_from(key.at, 12));

        if (looks-- == 0) {
            *next = account_id;
            break;
        }
        if (!expunged_decode(key, row, &expunged)) {
            db_fail(txn, ERR_MALFORMED);
            break;
        }
        if (expunged.time_ms < before_ms)
            found = account_id;
        from = account_id + 1;
    }
    db_cursor_close(&cursor);
    return found;
}

enum err apply_expunged_purge(struct apply *apply)
{
    const Pr__ExpungedPurge *call = apply->command->expunged_purge;
    unsigned rows = call->limit < APPLY_PURGE_MAX ? call->limit : APPLY_PURGE_MAX;
    uint64_t from = call->account_id != 0 ? call->account_id : call->from_account_id;

    if (rows == 0)
        return apply_refuse(apply, ERR_INVALID, "a purge of nothing");
    while (rows > 0 && db_error(apply->txn) == ERR_OK) {
        struct account account;
        uint64_t next;
        uint64_t id = call->account_id != 0
                          ? call->account_id
                          : expunged_due(apply->txn, apply->group, from, call->before_ms,
                                         APPLY_PURGE_LOOKS_MAX, &next);

        if (id == 0) {
            apply->outcome->id = next;
            return ERR_OK;
        }
        account_load(apply->txn, apply->group, id, &account);
        if (account.state != ACCOUNT_THERE || account.record.place != PLACE_HERE) {
            if (call->account_id != 0)
                return account.state == ACCOUNT_GONE ? ERR_OK
                                                     : account_writable(apply, &account);
            from = id + 1; /* the purge of the account frees it, or its new group does */
            continue;
        }
        rows -= expunged_free(apply, &account, call->before_ms, rows);
        account_store(apply->txn, &account);
        if (call->account_id != 0 && rows > 0)
            return ERR_OK;
        from = id;
    }
    apply->outcome->id = from;
    return ERR_OK;
}
