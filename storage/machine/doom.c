/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is no longer used but too large to free at once. A row of the doomed table is kind, then
 * the blob, or the account and mailbox, or the account; nothing else refers to their rows. Its
 * value is empty, or, for a mailbox whose messages can be brought back, the time at which it
 * was deleted and its name. Each later command of the group frees a little, which is
 * deterministic; in a group where nothing happens its leader proposes a Tick.
 */
#include "storage/machine/blob.h"
#include "storage/machine/expunged.h"
#include "storage/machine/moving.h"

enum doom_kind { DOOM_BLOB = 1, DOOM_MAILBOX = 2, DOOM_ACCOUNT = 3, DOOM_IMPORT = 4 };
enum {
    DOOM_BLOB_SIZE = 1 + 8,
    DOOM_ACCOUNT_SIZE = 1 + 8,
    DOOM_MAILBOX_SIZE = 1 + 8 + 4,
    DOOM_TIME_SIZE = 8
};

/* A row of a mailbox that is more than its own record. Messages come with bodies to release. */
static const enum db_table mailbox_tables[] = {TABLE_UID_RANGE, TABLE_DELETED, TABLE_CHANGE,
                                               TABLE_KEYWORD};

static uint64_t number_at(struct bytes from, unsigned at, unsigned size)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < size; i++)
        number = number << 8 | from.at[at + i];
    return number;
}

static void number_put(uint8_t *to, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

static void doom_add(struct apply *apply, struct bytes what, struct bytes value)
{
    struct key key;
    struct bytes row;
    struct bytes at = key_name(&key, apply->group, what);

    if (db_get(apply->txn, TABLE_DOOMED, at, &row) == ERR_OK)
        return; /* an account may be doomed again before all of it is freed */
    db_put(apply->txn, TABLE_DOOMED, at, value);
    apply->record.doomed++;
}

void doom_blob(struct apply *apply, uint64_t blob)
{
    uint8_t what[DOOM_BLOB_SIZE] = {DOOM_BLOB};

    number_put(what + 1, blob, 8);
    doom_add(apply, bytes_from(what, sizeof(what)), bytes_from(NULL, 0));
}

void doom_mailbox(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                  uint64_t kept_ms, struct bytes name)
{
    uint8_t what[DOOM_MAILBOX_SIZE] = {DOOM_MAILBOX};
    uint8_t *value = arena_alloc(apply->arena, DOOM_TIME_SIZE + name.len);

    number_put(what + 1, account_id, 8);
    number_put(what + 9, mailbox_id, 4);
    number_put(value, kept_ms, DOOM_TIME_SIZE);
    if (name.len > 0)
        memcpy(value + DOOM_TIME_SIZE, name.at, name.len);
    doom_add(apply, bytes_from(what, sizeof(what)),
             bytes_from(value, kept_ms != 0 ? DOOM_TIME_SIZE + name.len : 0));
}

static struct bytes doomed_key(struct key *key, uint32_t group, enum doom_kind kind,
                               uint64_t account_id)
{
    uint8_t what[DOOM_ACCOUNT_SIZE] = {(uint8_t)kind};

    number_put(what + 1, account_id, 8);
    return key_name(key, group, bytes_from(what, sizeof(what)));
}

static void account_add(struct apply *apply, enum doom_kind kind, uint64_t account_id)
{
    struct key key;

    doom_add(apply, key_behind_group(doomed_key(&key, apply->group, kind, account_id)),
             bytes_from(NULL, 0));
}

void doom_account(struct apply *apply, uint64_t account_id)
{
    account_add(apply, DOOM_ACCOUNT, account_id);
}

void doom_import(struct apply *apply, uint64_t account_id)
{
    account_add(apply, DOOM_IMPORT, account_id);
}

unsigned doom_forget(struct apply *apply, uint64_t account_id, unsigned rows)
{
    unsigned gone = 0;

    for (enum doom_kind kind = DOOM_MAILBOX; kind <= DOOM_IMPORT; kind++) {
        struct key key;
        gone += rows_delete(apply->txn, TABLE_DOOMED,
                            doomed_key(&key, apply->group, kind, account_id), rows - gone);
    }
    apply->record.doomed -= gone;
    return gone;
}

bool doom_of_account(struct db_txn *txn, uint32_t group, uint64_t account_id)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_DOOMED, doomed_key(&prefix, group, DOOM_MAILBOX, account_id));
    bool found = db_cursor_first(cursor, &key, &value);

    db_cursor_close(&cursor);
    return found;
}

unsigned rows_delete(struct db_txn *txn, enum db_table table, struct bytes prefix,
                     unsigned rows)
{
    struct db_cursor *cursor = db_cursor_open(txn, table, prefix);
    struct bytes key;
    struct bytes value;
    unsigned gone = 0;

    if (rows > 0 && db_cursor_first(cursor, &key, &value)) {
        do {
            db_cursor_delete(cursor);
            gone++;
        } while (gone < rows && db_cursor_next(cursor, &key, &value));
    }
    db_cursor_close(&cursor);
    return gone;
}

unsigned rows_delete_messages(struct apply *apply, struct bytes prefix, unsigned rows)
{
    struct db_cursor *cursor = db_cursor_open(apply->txn, TABLE_MESSAGE, prefix);
    struct bytes key;
    struct bytes value;
    unsigned gone = 0;

    if (rows > 0 && db_cursor_first(cursor, &key, &value)) {
        do {
            struct message_record message;
            if (!message_decode(value, &message)) {
                db_fail(apply->txn, ERR_MALFORMED);
                break;
            }
            db_cursor_delete(cursor);
            blob_release(apply, message.blob);
            gone++;
        } while (gone < rows && db_cursor_next(cursor, &key, &value));
    }
    db_cursor_close(&cursor);
    return gone;
}

/* The messages of a mailbox that was deleted become expunged ones. */
static unsigned messages_keep(struct apply *apply, struct account *account, uint32_t mailbox_id,
                              struct bytes value, unsigned rows)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(
        apply->txn, TABLE_MESSAGE, key_mailbox(&prefix, apply->group, account->id, mailbox_id));
    unsigned gone = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more && gone < rows;
         more = db_cursor_next(cursor, &key, &row), gone++) {
        struct expunged expunged = {
            .time_ms = number_at(value, 0, DOOM_TIME_SIZE),
            .mailbox_id = mailbox_id,
            .uid = key_last_u32(key),
            .name = bytes_skip(value, DOOM_TIME_SIZE),
        };
        if (!message_decode(row, &expunged.record)) {
            db_fail(apply->txn, ERR_MALFORMED);
            break;
        }
        db_cursor_delete(cursor);
        expunged_put(apply, account, &expunged);
    }
    db_cursor_close(&cursor);
    if (gone > 0)
        account_store(apply->txn, account);
    return gone;
}

static unsigned mailbox_rows_delete(struct apply *apply, struct bytes what, struct bytes value,
                                    unsigned rows)
{
    uint64_t account_id = number_at(what, 1, 8);
    uint32_t mailbox_id = (uint32_t)number_at(what, 9, 4);
    struct key key;
    struct bytes prefix = key_mailbox(&key, apply->group, account_id, mailbox_id);
    struct account account;
    unsigned gone;

    account_load(apply->txn, apply->group, account_id, &account);
    /* Of an account that was purged in the meantime nothing comes back. */
    if (value.len >= DOOM_TIME_SIZE && account.state == ACCOUNT_THERE)
        gone = messages_keep(apply, &account, mailbox_id, value, rows);
    else
        gone = rows_delete_messages(apply, prefix, rows);
    for (unsigned i = 0; i < sizeof(mailbox_tables) / sizeof(*mailbox_tables); i++)
        gone += rows_delete(apply->txn, mailbox_tables[i], prefix, rows - gone);
    return gone;
}

/* The first doomed row, copied; false when there is none. */
static bool doomed_first(struct apply *apply, struct key *doomed, struct bytes *value_copy)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_DOOMED, key_group(&prefix, apply->group));
    bool found = db_cursor_first(cursor, &key, &value);

    if (found) {
        key_name(doomed, apply->group, key_behind_group(key));
        *value_copy = arena_copy(apply->arena, value);
    }
    db_cursor_close(&cursor);
    return found;
}

void doom_step(struct apply *apply)
{
    unsigned rows = apply->doomed_rows;

    while (apply->record.doomed > 0 && rows > 0 && db_error(apply->txn) == ERR_OK) {
        struct key doomed;
        struct bytes what;
        struct bytes value;
        unsigned gone;

        if (!doomed_first(apply, &doomed, &value)) {
            db_fail(apply->txn, ERR_MALFORMED); /* the count is wrong */
            return;
        }
        what = key_behind_group(bytes_from(doomed.at, doomed.len));
        if (what.at[0] == DOOM_BLOB)
            gone = blob_blocks_delete(apply, number_at(what, 1, 8), rows);
        else if (what.at[0] == DOOM_MAILBOX)
            gone = mailbox_rows_delete(apply, what, value, rows);
        else if (what.at[0] == DOOM_ACCOUNT)
            gone = account_rows_free(apply, number_at(what, 1, 8), rows);
        else
            gone = import_rows_free(apply, number_at(what, 1, 8), rows);
        rows -= gone;
        if (rows > 0) { /* all of it went */
            db_delete(apply->txn, TABLE_DOOMED, bytes_from(doomed.at, doomed.len));
            apply->record.doomed--;
        }
    }
}
