/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold between the tables of a mail group after every command. Brute force: every row
 * is looked at, every relation is counted again.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "record.pb-c.h"
#include "storage/db/key.h"
#include "storage/machine/account.h"
#include "storage/machine/blob.h"
#include "storage/machine/expunged.h"
#include "storage/query/queue.h"
#include "storage/query/scopes.h"
#include "tests/unit/storage/lab.h"

struct rows {
    struct db_cursor *cursor;
    struct key prefix;
    struct bytes key;
    struct bytes row;
    bool started;
};

static void rows_begin(struct rows *rows, struct db_txn *txn, enum db_table table,
                       struct bytes prefix)
{
    rows->prefix.len = prefix.len;
    memcpy(rows->prefix.at, prefix.at, prefix.len);
    rows->cursor = db_cursor_open(txn, table, bytes_from(rows->prefix.at, prefix.len));
    rows->started = false;
}

static bool rows_next(struct rows *rows)
{
    bool more = rows->started ? db_cursor_next(rows->cursor, &rows->key, &rows->row)
                              : db_cursor_first(rows->cursor, &rows->key, &rows->row);

    rows->started = true;
    if (!more)
        db_cursor_close(&rows->cursor);
    return more;
}

static unsigned rows_count(struct db_txn *txn, enum db_table table, struct bytes prefix)
{
    struct rows rows;
    unsigned count = 0;

    rows_begin(&rows, txn, table, prefix);
    while (rows_next(&rows))
        count++;
    return count;
}

static bool row_there(struct db_txn *txn, enum db_table table, struct bytes key)
{
    struct bytes row;

    return db_get(txn, table, key, &row) == ERR_OK;
}

/* The live uids by the ranges: their number; each must be a message, ranges must not touch. */
static unsigned ranges_check(struct db_txn *txn, const struct account *account,
                             const struct mailbox *mailbox)
{
    struct rows rows;
    struct key key;
    uint32_t behind = 0; /* the last uid of the range before */
    unsigned uids = 0;

    rows_begin(&rows, txn, TABLE_UID_RANGE,
               key_mailbox(&key, account->group, account->id, mailbox->id));
    for (bool tail = false; !tail;) {
        uint32_t first = mailbox->record.tail_first;
        uint32_t last = mailbox->record.uid_next - 1;
        if (rows_next(&rows)) {
            first = key_last_u32(rows.key);
            CHECK(uid_decode(rows.row, &last));
            CHECK(first <= last && last < mailbox->record.tail_first);
        } else {
            tail = true;
            if (first > last)
                break;
        }
        CHECK(behind == 0 || first > behind + 1);
        behind = last;
        for (uint32_t uid = first; uid <= last; uid++, uids++)
            CHECK(row_there(txn, TABLE_MESSAGE,
                            key_uid(&key, account->group, account->id, mailbox->id, uid)));
    }
    return uids;
}

static void changes_check(struct db_txn *txn, const struct account *account,
                          const struct mailbox *mailbox)
{
    struct rows rows;
    struct key key;
    struct change_record change;
    unsigned ranges = 0;

    rows_begin(&rows, txn, TABLE_CHANGE,
               key_mailbox(&key, account->group, account->id, mailbox->id));
    for (; rows_next(&rows); ranges += change.expunged) {
        struct message_record message;
        struct bytes row;

        CHECK(change_decode(rows.row, &change));
        CHECK(!change.expunged || key_last_u64(rows.key) > mailbox->record.forgotten);
        CHECK(key_last_u64(rows.key) <= mailbox->record.modseq);
        CHECK(change.first <= change.last && change.last < mailbox->record.uid_next);
        for (uint32_t uid = change.first; uid <= change.last; uid++) {
            bool live = db_get(txn, TABLE_MESSAGE,
                               key_uid(&key, account->group, account->id, mailbox->id, uid),
                               &row) == ERR_OK;
            CHECK(live == !change.expunged);
            if (live) {
                CHECK(message_decode(row, &message));
                CHECK(message.modseq == key_last_u64(rows.key));
            }
        }
    }
    CHECK(mailbox->record.ranges <= ranges); /* those of the first format are not counted */
    CHECK(mailbox->record.ranges <= 2 * CHANGE_RANGES_MAX); /* rows of flags take looks too */
}

/* What can be brought back: counted again. */
static void expunged_check(struct db_txn *txn, const struct account *account)
{
    struct rows rows;
    struct key key;
    struct blob_record blob;
    uint64_t count = 0;
    uint64_t size = 0;

    rows_begin(&rows, txn, TABLE_EXPUNGED, key_number(&key, account->group, account->id));
    for (; rows_next(&rows); count++) {
        struct expunged expunged;

        CHECK(expunged_decode(rows.key, rows.row, &expunged));
        CHECK(blob_load(txn, account->group, expunged.record.blob, &blob));
        CHECK(blob.size == expunged.record.size);
        CHECK(expunged.mailbox_id >= 1 && expunged.mailbox_id <= account->record.mailboxes);
        CHECK(!row_there(
            txn, TABLE_MESSAGE,
            key_uid(&key, account->group, account->id, expunged.mailbox_id, expunged.uid)));
        size += expunged.record.size;
    }
    CHECK(count == account->record.expunged && size == account->record.expunged_size);
}

static void message_check(struct db_txn *txn, const struct account *account,
                          const struct mailbox *mailbox, uint32_t uid,
                          const struct message_record *message)
{
    struct blob_record blob;
    struct key key;
    unsigned bits = KEYWORD_FIRST_BIT + mailbox->record.keywords;

    CHECK(uid >= 1 && uid < mailbox->record.uid_next);
    CHECK(message->modseq >= message->made && message->modseq <= mailbox->record.modseq);
    CHECK((message->flags & 0xe0) == 0 && (bits == 64 || message->flags >> bits == 0));
    CHECK(row_there(txn, TABLE_DELETED,
                    key_uid(&key, account->group, account->id, mailbox->id, uid)) ==
          ((message->flags & FLAG_DELETED) != 0));
    CHECK(row_there(txn, TABLE_CHANGE,
                    key_change(&key, account->group, account->id, mailbox->id,
                               message->modseq)) == (message->modseq != message->made));
    CHECK(blob_load(txn, account->group, message->blob, &blob) && blob.size == message->size);
}

static void mailbox_check(struct db_txn *txn, const struct account *account,
                          const struct mailbox *mailbox)
{
    struct rows rows;
    struct key key;
    struct mailbox_record count = {0};
    struct name_record name;
    uint64_t made = 0;
    struct bytes prefix = key_mailbox(&key, account->group, account->id, mailbox->id);

    CHECK(rows_count(txn, TABLE_KEYWORD, prefix) == mailbox->record.keywords);
    CHECK(rows_count(txn, TABLE_DELETED, prefix) == mailbox->record.deleted);
    rows_begin(&rows, txn, TABLE_MESSAGE, prefix);
    while (rows_next(&rows)) {
        struct message_record message;
        CHECK(message_decode(rows.row, &message));
        CHECK(message.made > made);
        made = message.made;
        message_check(txn, account, mailbox, key_last_u32(rows.key), &message);
        count.messages++;
        count.unseen += !(message.flags & FLAG_SEEN);
        count.deleted += (message.flags & FLAG_DELETED) != 0;
        count.size += message.size;
    }
    CHECK(count.messages == mailbox->record.messages);
    CHECK(count.unseen == mailbox->record.unseen);
    CHECK(count.deleted == mailbox->record.deleted);
    CHECK(count.size == mailbox->record.size);
    CHECK(ranges_check(txn, account, mailbox) == count.messages);
    changes_check(txn, account, mailbox);
    CHECK(mailbox->record.modseq >= 1 && mailbox->record.modseq <= account->record.modseq);
    CHECK(mailbox_name_load(txn, account, mailbox_name(mailbox), &name));
    CHECK(name.mailbox == mailbox->id);
}

static void account_check(struct db_txn *txn, const struct account *account)
{
    struct rows rows;
    struct key key;
    struct mailbox mailbox;
    uint64_t messages = 0;
    uint64_t size = 0;
    unsigned mailboxes = 0;
    unsigned names = 0;

    rows_begin(&rows, txn, TABLE_MAILBOX, key_number(&key, account->group, account->id));
    while (rows_next(&rows)) {
        if (key_last_u32(rows.key) == 0)
            continue;
        CHECK(mailbox_load(txn, account, key_last_u32(rows.key), &mailbox));
        CHECK(mailbox.id <= account->record.mailboxes);
        CHECK((mailbox.record.special == SPECIAL_INBOX) ==
              (mailbox.id == account->record.inbox));
        mailbox_check(txn, account, &mailbox);
        messages += mailbox.record.messages;
        size += mailbox.record.size;
        mailboxes++;
    }
    CHECK(messages == account->record.messages && size == account->record.size);
    expunged_check(txn, account);
    CHECK(mailbox_load(txn, account, 0, &mailbox));
    CHECK(bytes_equal(mailbox_name(&mailbox), BYTES("INBOX")));
    rows_begin(&rows, txn, TABLE_MAILBOX_NAME, key_number(&key, account->group, account->id));
    for (; rows_next(&rows); names++) {
        struct name_record name;
        CHECK(name_decode(rows.row, &name));
        CHECK(name.mailbox != 0 || name.subscribed);
        mailboxes -= name.mailbox != 0;
    }
    CHECK(mailboxes == 0); /* each has one name */
    CHECK(names == account->record.names);
}

/* How many messages, hand-overs and messages in the queue use a blob. */
static uint64_t references_count(struct db_txn *txn, uint32_t group, uint64_t blob)
{
    struct rows rows;
    struct key key;
    uint64_t count = 0;

    rows_begin(&rows, txn, TABLE_MESSAGE, key_group(&key, group));
    while (rows_next(&rows)) {
        struct message_record message;
        CHECK(message_decode(rows.row, &message));
        count += message.blob == blob;
    }
    rows_begin(&rows, txn, TABLE_EXPUNGED, key_group(&key, group));
    while (rows_next(&rows)) {
        struct expunged expunged;
        CHECK(expunged_decode(rows.key, rows.row, &expunged));
        count += expunged.record.blob == blob;
    }
    rows_begin(&rows, txn, TABLE_IMPORT, key_group(&key, group));
    while (rows_next(&rows)) {
        uint64_t mapped;
        CHECK(blob_id_decode(rows.row, &mapped));
        count += mapped == blob;
    }
    rows_begin(&rows, txn, TABLE_HANDOVER, key_group(&key, group));
    while (rows_next(&rows)) {
        Pr__HandoverRecord *record =
            pr__handover_record__unpack(NULL, rows.row.len, rows.row.at);
        CHECK(record != NULL);
        count += record->blob == blob;
        pr__handover_record__free_unpacked(record, NULL);
    }
    rows_begin(&rows, txn, TABLE_QUEUE, key_group(&key, group));
    while (rows_next(&rows)) {
        Pr__QueueRecord *record = pr__queue_record__unpack(NULL, rows.row.len, rows.row.at);
        CHECK(record != NULL);
        count += record->blob == blob;
        pr__queue_record__free_unpacked(record, NULL);
    }
    return count;
}

/* Every piece belongs to a body, an upload, or something doomed. */
static void blocks_check(struct db_txn *txn, uint32_t group)
{
    struct rows rows;
    struct rows uploads;
    struct key key;
    struct blob_record blob;

    rows_begin(&rows, txn, TABLE_BLOCK, key_group(&key, group));
    while (rows_next(&rows)) {
        uint64_t number = key_last_u64(bytes_from(rows.key.at, 12));
        uint8_t doomed[9] = {1};
        bool owned = blob_load(txn, group, number, &blob);

        CHECK(rows.row.len >= 1 && rows.row.len <= BLOB_PIECE_SIZE);
        rows_begin(&uploads, txn, TABLE_UPLOAD, key_group(&key, group));
        while (rows_next(&uploads)) {
            struct upload_record upload;
            CHECK(upload_decode(uploads.row, &upload));
            owned = owned || upload.blob == number;
        }
        memcpy(doomed + 1, rows.key.at + 4, 8);
        owned = owned || row_there(txn, TABLE_DOOMED,
                                   key_name(&key, group, bytes_from(doomed, sizeof(doomed))));
        CHECK(owned);
    }
}

static void blobs_check(struct db_txn *txn, uint32_t group)
{
    struct rows rows;
    struct key key;
    unsigned blobs = 0;

    rows_begin(&rows, txn, TABLE_BLOB, key_group(&key, group));
    for (; rows_next(&rows); blobs++) {
        struct blob_record blob;
        uint64_t number = key_last_u64(rows.key);

        CHECK(blob_decode(rows.row, &blob));
        CHECK(blob.references > 0);
        CHECK(blob.references == references_count(txn, group, number));
        CHECK(row_there(txn, TABLE_SUMMARY, key_number(&key, group, number)));
        for (uint32_t i = 0; i < blob.blocks; i++)
            CHECK(row_there(txn, TABLE_BLOCK, key_block(&key, group, number, i, 0)));
    }
    CHECK(rows_count(txn, TABLE_SUMMARY, key_group(&key, group)) == blobs);
    blocks_check(txn, group);
}

/* What domains and tenants hold, counted again. */
static void scopes_check(struct db_txn *txn, uint32_t group)
{
    struct scopes_difference difference;

    CHECK(scopes_recount(txn, group, UINT64_MAX, &difference) == ERR_OK);
    CHECK(difference.different == 0);
}

/* Queue and greylist, counted again. */
static void queue_check(struct db_txn *txn, uint32_t group)
{
    struct queue_recount recount;

    CHECK(query_queue_recount(txn, group, &recount) == ERR_OK);
    CHECK(recount.wrong == 0);
}

void lab_invariants(struct lab *lab, uint32_t group)
{
    struct db_txn *txn = lab->txn != NULL ? lab->txn : db_read_begin(lab->db);
    struct rows rows;
    struct key key;
    struct bytes row;
    struct group_record record = {0};

    if (db_get(txn, TABLE_META, key_group(&key, group), &row) == ERR_OK)
        CHECK(group_decode(row, &record));
    CHECK(rows_count(txn, TABLE_UPLOAD, key_group(&key, group)) == record.uploads);
    CHECK(rows_count(txn, TABLE_DOOMED, key_group(&key, group)) == record.doomed);
    rows_begin(&rows, txn, TABLE_MAILBOX, key_group(&key, group));
    while (rows_next(&rows)) {
        struct account account;
        if (key_last_u32(rows.key) != 0)
            continue;
        account_load(txn, group, key_last_u64(bytes_from(rows.key.at, 12)), &account);
        if (account.state == ACCOUNT_THERE)
            account_check(txn, &account);
    }
    blobs_check(txn, group);
    scopes_check(txn, group);
    queue_check(txn, group);
    CHECK(db_error(txn) == ERR_OK);
    if (lab->txn == NULL)
        CHECK(db_commit(&txn) == ERR_OK);
}
