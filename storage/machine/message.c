/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/message.h"

#include "node/base/check.h"
#include "storage/machine/blob.h"
#include "storage/machine/expunged.h"
#include "storage/schema/format.h"

bool message_fits(const struct mailbox *mailbox, uint64_t count)
{
    return count < UINT32_MAX - mailbox->record.uid_next;
}

static void message_put(struct apply *apply, const struct account *account, uint32_t mailbox_id,
                        uint32_t uid, const struct message_record *message)
{
    struct key key;
    struct record row;

    message_encode(message, &row);
    db_put(apply->txn, TABLE_MESSAGE,
           key_uid(&key, account->group, account->id, mailbox_id, uid), record_bytes(&row));
}

static void deleted_set(struct apply *apply, const struct account *account, uint32_t mailbox_id,
                        uint32_t uid, bool deleted)
{
    struct key key;
    struct bytes at = key_uid(&key, account->group, account->id, mailbox_id, uid);

    if (deleted)
        db_put(apply->txn, TABLE_DELETED, at, bytes_from(NULL, 0));
    else
        db_delete(apply->txn, TABLE_DELETED, at);
}

static void change_put(struct apply *apply, const struct account *account, uint32_t mailbox_id,
                       uint64_t modseq, struct change_record change)
{
    struct key key;
    struct record row;

    change_encode(&change, &row);
    db_put(apply->txn, TABLE_CHANGE,
           key_change(&key, account->group, account->id, mailbox_id, modseq),
           record_bytes(&row));
}

/* The row of a message's last change of flags, which a newer one makes worthless. */
static void change_drop(struct apply *apply, const struct account *account, uint32_t mailbox_id,
                        const struct message_record *message)
{
    struct key key;

    if (message->modseq != message->made)
        db_delete(apply->txn, TABLE_CHANGE,
                  key_change(&key, account->group, account->id, mailbox_id, message->modseq));
}

uint32_t message_add(struct apply *apply, struct account *account, struct mailbox *mailbox,
                     struct message_record *message)
{
    struct mailbox_record *record = &mailbox->record;
    uint32_t uid = record->uid_next++;

    CHECK(uid < UINT32_MAX);
    message->modseq = message->made = ++account->record.modseq;
    message_put(apply, account, mailbox->id, uid, message);
    if (message->flags & FLAG_DELETED) {
        deleted_set(apply, account, mailbox->id, uid, true);
        record->deleted++;
    }
    record->unseen += !(message->flags & FLAG_SEEN);
    record->messages++;
    record->size += message->size;
    record->modseq = message->modseq;
    account->record.messages++;
    account->record.size += message->size;
    return uid;
}

void message_flags_set(struct apply *apply, struct account *account, struct mailbox *mailbox,
                       uint32_t uid, struct message_record *message, uint64_t flags)
{
    uint64_t changed = message->flags ^ flags;

    change_drop(apply, account, mailbox->id, message);
    if (changed & FLAG_SEEN)
        mailbox->record.unseen += flags & FLAG_SEEN ? UINT32_MAX : 1;
    if (changed & FLAG_DELETED) {
        deleted_set(apply, account, mailbox->id, uid, flags & FLAG_DELETED);
        mailbox->record.deleted += flags & FLAG_DELETED ? 1 : UINT32_MAX;
    }
    message->flags = flags;
    message->modseq = mailbox->record.modseq = ++account->record.modseq;
    message_put(apply, account, mailbox->id, uid, message);
    change_put(apply, account, mailbox->id, message->modseq,
               (struct change_record){.first = uid, .last = uid});
}

bool message_collect(struct apply *apply, const struct account *account, uint32_t mailbox_id,
                     const struct range_list *ranges, size_t max, struct message **messages,
                     size_t *count)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_MESSAGE,
                       key_mailbox(&prefix, account->group, account->id, mailbox_id));
    size_t room = 0;
    bool fits = true;

    *messages = NULL;
    *count = 0;
    for (size_t i = 0; i < ranges->count && fits; i++) {
        bool more = db_cursor_seek(
            cursor, key_uid(&at, account->group, account->id, mailbox_id, ranges->at[i]->first),
            &key, &value);
        for (; more && key_last_u32(key) <= ranges->at[i]->last;
             more = db_cursor_next(cursor, &key, &value)) {
            if (*count == max) {
                fits = false;
                break;
            }
            if (*count == room) {
                struct message *grown;
                room = room == 0 ? 16 : room * 4;
                grown = arena_alloc(apply->arena, room * sizeof(*grown));
                if (*count > 0)
                    memcpy(grown, *messages, *count * sizeof(*grown));
                *messages = grown;
            }
            (*messages)[*count].uid = key_last_u32(key);
            if (!message_decode(value, &(*messages)[*count].record))
                db_fail(apply->txn, ERR_MALFORMED);
            (*count)++;
        }
        if (!more)
            break;
    }
    db_cursor_close(&cursor);
    return fits;
}

/* Takes one message out of all but the live ranges. */
static void message_drop(struct apply *apply, struct account *account, struct mailbox *mailbox,
                         const struct message *message, bool keep)
{
    struct mailbox_record *record = &mailbox->record;
    struct key key;

    db_delete(apply->txn, TABLE_MESSAGE,
              key_uid(&key, account->group, account->id, mailbox->id, message->uid));
    if (message->record.flags & FLAG_DELETED) {
        deleted_set(apply, account, mailbox->id, message->uid, false);
        record->deleted--;
    }
    change_drop(apply, account, mailbox->id, &message->record);
    record->unseen -= !(message->record.flags & FLAG_SEEN);
    record->messages--;
    record->size -= message->record.size;
    account->record.messages--;
    account->record.size -= message->record.size;
    if (keep)
        expunged_put(apply, account,
                     &(struct expunged){.time_ms = apply->command->time_ms,
                                        .mailbox_id = mailbox->id,
                                        .uid = message->uid,
                                        .record = message->record,
                                        .name = mailbox_name(mailbox)});
    else
        blob_release(apply, message->record.blob);
}

void change_trim(struct apply *apply, const struct account *account, struct mailbox *mailbox)
{
    struct mailbox_record *record = &mailbox->record;
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor;
    bool more;

    if (record->ranges <= CHANGE_RANGES_MAX)
        return;
    cursor = db_cursor_open(apply->txn, TABLE_CHANGE,
                            key_mailbox(&prefix, account->group, account->id, mailbox->id));
    more = db_cursor_seek(
        cursor,
        key_change(&at, account->group, account->id, mailbox->id, record->forgotten + 1), &key,
        &row);
    /* Rows of flags in between are passed once: `forgotten` only grows. */
    for (unsigned looks = 0; more && looks < CHANGE_TRIM_LOOKS_MAX &&
                             record->ranges > CHANGE_RANGES_MAX - CHANGE_TRIM_ROWS;
         looks++, more = db_cursor_next(cursor, &key, &row)) {
        struct change_record change;

        if (!change_decode(row, &change)) {
            db_fail(apply->txn, ERR_MALFORMED);
            break;
        }
        record->forgotten = key_last_u64(key);
        if (change.expunged) {
            db_cursor_delete(cursor);
            record->ranges--;
        }
    }
    db_cursor_close(&cursor);
}

void message_remove(struct apply *apply, struct account *account, struct mailbox *mailbox,
                    const struct message *messages, size_t count, bool keep,
                    struct range_list *removed)
{
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;

        while (end < count && !uid_any(apply->txn, account, mailbox->id,
                                       messages[end - 1].uid + 1, messages[end].uid - 1))
            end++;
        uid_remove(apply, account, mailbox, messages[i].uid, messages[end - 1].uid);
        mailbox->record.modseq = ++account->record.modseq;
        change_put(apply, account, mailbox->id, mailbox->record.modseq,
                   (struct change_record){.expunged = true,
                                          .first = messages[i].uid,
                                          .last = messages[end - 1].uid});
        if (apply_format(apply) >= FORMAT_DEPTH)
            mailbox->record.ranges++;
        for (; i < end; i++) {
            message_drop(apply, account, mailbox, &messages[i], keep);
            range_add(apply->arena, removed, messages[i].uid, messages[i].uid);
        }
    }
    change_trim(apply, account, mailbox);
}
