/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of an account: a tombstone at once, its rows step by step. */
#include "storage/machine/account.h"
#include "storage/machine/blob.h"
#include "storage/machine/expunged.h"
#include "storage/machine/moving.h"

/* Messages go first, since their bodies must be released; then whatever begins with the
 * account. */
static const enum db_table account_tables[] = {
    TABLE_CHANGE,  TABLE_UID_RANGE,    TABLE_DELETED,
    TABLE_KEYWORD, TABLE_MAILBOX_NAME, TABLE_SENDING,
};

static void tombstone_put(struct apply *apply, struct account *account)
{
    if (account->state == ACCOUNT_GONE)
        return;
    moving_delete(apply, account->id); /* whoever moves it finds that it was removed */
    account->state = ACCOUNT_GONE;
    account->record = (struct account_record){.gone = true};
    account_store(apply->txn, account);
    event_mailbox(apply, account->id, 0, 0, true);
}

/* The mailboxes of an account behind its own row. */
static unsigned mailboxes_delete(struct apply *apply, uint64_t account_id, unsigned rows)
{
    struct key prefix;
    struct key start;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor = db_cursor_open(apply->txn, TABLE_MAILBOX,
                                              key_number(&prefix, apply->group, account_id));
    bool more =
        db_cursor_seek(cursor, key_mailbox(&start, apply->group, account_id, 1), &key, &value);
    unsigned gone = 0;

    for (; more && gone < rows; more = db_cursor_next(cursor, &key, &value), gone++)
        db_cursor_delete(cursor);
    db_cursor_close(&cursor);
    return gone;
}

unsigned import_rows_free(struct apply *apply, uint64_t account_id, unsigned rows)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_IMPORT, key_number(&prefix, apply->group, account_id));
    unsigned gone = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more && gone < rows;
         more = db_cursor_next(cursor, &key, &row), gone++) {
        uint64_t blob;

        if (!blob_id_decode(row, &blob)) {
            db_fail(apply->txn, ERR_MALFORMED);
            break;
        }
        db_cursor_delete(cursor);
        blob_release(apply, blob);
    }
    db_cursor_close(&cursor);
    return gone;
}

unsigned account_rows_free(struct apply *apply, uint64_t account_id, unsigned rows)
{
    struct account counts = {.group = apply->group, .id = account_id}; /* not stored */
    struct key key;
    struct bytes prefix = key_number(&key, apply->group, account_id);
    unsigned gone = rows_delete_messages(apply, prefix, rows);

    gone += expunged_free(apply, &counts, UINT64_MAX, rows - gone);
    gone += import_rows_free(apply, account_id, rows - gone);
    for (unsigned i = 0; i < sizeof(account_tables) / sizeof(*account_tables); i++)
        gone += rows_delete(apply->txn, account_tables[i], prefix, rows - gone);
    return gone + mailboxes_delete(apply, account_id, rows - gone);
}

enum err apply_account_purge(struct apply *apply)
{
    const Pr__AccountPurge *call = apply->command->account_purge;
    unsigned rows = call->limit < APPLY_PURGE_MAX ? call->limit : APPLY_PURGE_MAX;
    struct account account;
    unsigned gone;

    if (call->account_id == 0 || rows == 0)
        return apply_refuse(apply, ERR_INVALID, "a purge of no account, or of nothing");
    account_load(apply->txn, apply->group, call->account_id, &account);
    tombstone_put(apply, &account);
    gone = account_rows_free(apply, account.id, rows);
    gone += doom_forget(apply, account.id, rows - gone);
    if (gone == rows)
        return apply_refuse(apply, ERR_CONFLICT, "there is more to free: purge again");
    return ERR_OK;
}
