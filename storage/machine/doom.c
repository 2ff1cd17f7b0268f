/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is no longer used but too large to free at once. A row of the doomed table is kind, then
 * the blob, or the account and mailbox; nothing else refers to their rows. Each later command
 * of the group frees a little, which is deterministic and needs nobody to ask for it.
 */
#include "storage/machine/blob.h"

enum doom_kind { DOOM_BLOB = 1, DOOM_MAILBOX = 2 };
enum { DOOM_BLOB_SIZE = 1 + 8, DOOM_MAILBOX_SIZE = 1 + 8 + 4 };

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

static void doom_add(struct apply *apply, struct bytes what)
{
    struct key key;

    db_put(apply->txn, TABLE_DOOMED, key_name(&key, apply->group, what), bytes_from(NULL, 0));
    apply->record.doomed++;
}

void doom_blob(struct apply *apply, uint64_t blob)
{
    uint8_t what[DOOM_BLOB_SIZE] = {DOOM_BLOB};

    number_put(what + 1, blob, 8);
    doom_add(apply, bytes_from(what, sizeof(what)));
}

void doom_mailbox(struct apply *apply, uint64_t account_id, uint32_t mailbox_id)
{
    uint8_t what[DOOM_MAILBOX_SIZE] = {DOOM_MAILBOX};

    number_put(what + 1, account_id, 8);
    number_put(what + 9, mailbox_id, 4);
    doom_add(apply, bytes_from(what, sizeof(what)));
}

unsigned doom_forget(struct apply *apply, uint64_t account_id, unsigned rows)
{
    uint8_t what[1 + 8] = {DOOM_MAILBOX};
    struct key key;
    unsigned gone;

    number_put(what + 1, account_id, 8);
    gone = rows_delete(apply->txn, TABLE_DOOMED,
                       key_name(&key, apply->group, bytes_from(what, sizeof(what))), rows);
    apply->record.doomed -= gone;
    return gone;
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

static unsigned mailbox_rows_delete(struct apply *apply, struct bytes what, unsigned rows)
{
    struct key key;
    struct bytes prefix =
        key_mailbox(&key, apply->group, number_at(what, 1, 8), (uint32_t)number_at(what, 9, 4));
    unsigned gone = rows_delete_messages(apply, prefix, rows);

    for (unsigned i = 0; i < sizeof(mailbox_tables) / sizeof(*mailbox_tables); i++)
        gone += rows_delete(apply->txn, mailbox_tables[i], prefix, rows - gone);
    return gone;
}

/* The first doomed row, copied; false when there is none. */
static bool doomed_first(struct apply *apply, struct key *doomed)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_DOOMED, key_group(&prefix, apply->group));
    bool found = db_cursor_first(cursor, &key, &value);

    if (found)
        key_name(doomed, apply->group, key_behind_group(key));
    db_cursor_close(&cursor);
    return found;
}

void doom_step(struct apply *apply)
{
    unsigned rows = APPLY_DOOMED_ROWS_MAX;

    while (apply->record.doomed > 0 && rows > 0 && db_error(apply->txn) == ERR_OK) {
        struct key doomed;
        struct bytes what;
        unsigned gone;

        if (!doomed_first(apply, &doomed)) {
            db_fail(apply->txn, ERR_MALFORMED); /* the count is wrong */
            return;
        }
        what = key_behind_group(bytes_from(doomed.at, doomed.len));
        if (what.at[0] == DOOM_BLOB)
            gone = blob_blocks_delete(apply, number_at(what, 1, 8), rows);
        else
            gone = mailbox_rows_delete(apply, what, rows);
        rows -= gone;
        if (rows > 0) { /* all of it went */
            db_delete(apply->txn, TABLE_DOOMED, bytes_from(doomed.at, doomed.len));
            apply->record.doomed--;
        }
    }
}
