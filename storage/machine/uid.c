/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live uids of a mailbox as ranges (record.h): closed ones as rows, the tail in the
 * mailbox's record. Ranges are disjoint and never touch: between two there is a dead uid.
 */
#include "storage/machine/message.h"

bool uid_any(struct db_txn *txn, const struct account *account, uint32_t mailbox_id,
             uint32_t first, uint32_t last)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor;
    bool found;

    if (first > last)
        return false;
    cursor = db_cursor_open(txn, TABLE_MESSAGE,
                            key_mailbox(&prefix, account->group, account->id, mailbox_id));
    found = db_cursor_seek(cursor, key_uid(&at, account->group, account->id, mailbox_id, first),
                           &key, &value) &&
            key_last_u32(key) <= last;
    db_cursor_close(&cursor);
    return found;
}

static void closed_put(struct apply *apply, const struct account *account, uint32_t mailbox_id,
                       uint32_t first, uint32_t last)
{
    struct key key;
    struct record row;

    uid_encode(last, &row);
    db_put(apply->txn, TABLE_UID_RANGE,
           key_uid(&key, account->group, account->id, mailbox_id, first), record_bytes(&row));
}

/* The closed range with the highest start in front of `before`. */
static bool closed_before(struct apply *apply, const struct account *account,
                          uint32_t mailbox_id, uint32_t before, uint32_t *first, uint32_t *last)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_UID_RANGE,
                       key_mailbox(&prefix, account->group, account->id, mailbox_id));
    bool found = db_cursor_before(
        cursor, key_uid(&at, account->group, account->id, mailbox_id, before), &key, &value);

    if (found) {
        *first = key_last_u32(key);
        if (!uid_decode(value, last))
            db_fail(apply->txn, ERR_MALFORMED);
    }
    db_cursor_close(&cursor);
    return found && db_error(apply->txn) == ERR_OK;
}

static void closed_remove(struct apply *apply, const struct account *account,
                          uint32_t mailbox_id, uint32_t first, uint32_t last)
{
    uint32_t start = 0;
    uint32_t end = 0;

    while (closed_before(apply, account, mailbox_id, last + 1, &start, &end) && end >= first) {
        struct key key;

        if (start < first) {
            closed_put(apply, account, mailbox_id, start, first - 1);
        } else {
            db_delete(apply->txn, TABLE_UID_RANGE,
                      key_uid(&key, account->group, account->id, mailbox_id, start));
        }
        if (end > last)
            closed_put(apply, account, mailbox_id, last + 1, end);
        if (start <= first)
            return;
        /* Everything from `start` on is done. */
        last = start - 1;
    }
}

void uid_remove(struct apply *apply, const struct account *account, struct mailbox *mailbox,
                uint32_t first, uint32_t last)
{
    struct mailbox_record *record = &mailbox->record;
    uint32_t tail_first = record->tail_first;

    if (last >= tail_first) {
        if (first > tail_first)
            closed_put(apply, account, mailbox->id, tail_first, first - 1);
        record->tail_first = last + 1;
    }
    if (first < tail_first)
        closed_remove(apply, account, mailbox->id, first,
                      last < tail_first ? last : tail_first - 1);
}
