/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/account.h"

#include "node/base/check.h"
#include "storage/db/key.h"
#include "storage/machine/scope.h"

/* The mailbox of row n has id n + 1. */
static const struct default_mailbox {
    struct bytes name;
    enum special_use special;
} default_mailboxes[DEFAULT_MAILBOX_COUNT] = {
    {BYTES_INIT("INBOX"), SPECIAL_INBOX}, {BYTES_INIT("Drafts"), SPECIAL_DRAFTS},
    {BYTES_INIT("Sent"), SPECIAL_SENT},   {BYTES_INIT("Junk"), SPECIAL_JUNK},
    {BYTES_INIT("Trash"), SPECIAL_TRASH}, {BYTES_INIT("Archive"), SPECIAL_ARCHIVE},
};

/*
 * Needs no clock: an account never exists under two ids, and a mailbox id is never given out
 * again, so a recreated mailbox has another value.
 */
static uint32_t uid_validity(uint64_t account_id, uint32_t mailbox_id)
{
    return (uint32_t)(1 + (account_id * 4096 + mailbox_id) % UINT32_MAX);
}

/* What was removed, or is not (or not wholly) in this group, counts for nobody here. */
static struct account_counted counted_of(const struct account_record *record)
{
    if (record->gone || record->place >= PLACE_IMPORTED)
        return (struct account_counted){0};
    return (struct account_counted){record->domain_id, record->tenant_id, record->messages,
                                    record->size};
}

void account_load(struct db_txn *txn, uint32_t group, uint64_t account_id,
                  struct account *account)
{
    struct key key;
    struct bytes row;

    *account = (struct account){.group = group, .id = account_id, .state = ACCOUNT_NEW};
    if (db_get(txn, TABLE_MAILBOX, key_mailbox(&key, group, account_id, 0), &row) == ERR_OK) {
        if (!account_decode(row, &account->record))
            db_fail(txn, ERR_MALFORMED);
        account->state = account->record.gone                      ? ACCOUNT_GONE
                         : account->record.place >= PLACE_IMPORTED ? ACCOUNT_AWAY
                                                                   : ACCOUNT_THERE;
        account->counted = counted_of(&account->record);
        return;
    }
    account->record = (struct account_record){
        .modseq = 1, /* RFC 7162: HIGHESTMODSEQ is never 0 */
        .mailboxes = DEFAULT_MAILBOX_COUNT,
        .inbox = 1,
        .names = DEFAULT_MAILBOX_COUNT,
    };
}

static void defaults_store(struct db_txn *txn, const struct account *account)
{
    for (uint32_t id = 1; id <= DEFAULT_MAILBOX_COUNT; id++) {
        struct mailbox mailbox;
        struct key key;
        struct record record;

        mailbox_default(account, id, &mailbox);
        mailbox_store(txn, account, &mailbox);
        name_encode(&(struct name_record){.mailbox = id, .subscribed = true}, &record);
        db_put(txn, TABLE_MAILBOX_NAME,
               key_mailbox_name(&key, account->group, account->id, mailbox_name(&mailbox)),
               record_bytes(&record));
    }
}

void account_make(struct db_txn *txn, struct account *account)
{
    CHECK(account->state == ACCOUNT_NEW || account->state == ACCOUNT_THERE);
    if (account->state == ACCOUNT_NEW)
        defaults_store(txn, account);
    account->state = ACCOUNT_THERE;
}

void account_store(struct db_txn *txn, struct account *account)
{
    struct account_counted counts = counted_of(&account->record);
    struct key key;
    struct record record;

    CHECK(account->state != ACCOUNT_NEW);
    scope_count(txn, account->group, &account->counted, &counts);
    account->counted = counts;
    account_encode(&account->record, &record);
    db_put(txn, TABLE_MAILBOX, key_mailbox(&key, account->group, account->id, 0),
           record_bytes(&record));
}

bool mailbox_load(struct db_txn *txn, const struct account *account, uint32_t mailbox_id,
                  struct mailbox *mailbox)
{
    struct key key;
    struct bytes row;

    if (mailbox_id == 0)
        mailbox_id = account->record.inbox;
    if (account->state == ACCOUNT_GONE || account->state == ACCOUNT_AWAY)
        return false;
    if (account->state == ACCOUNT_NEW) {
        if (mailbox_id > DEFAULT_MAILBOX_COUNT)
            return false;
        mailbox_default(account, mailbox_id, mailbox);
        return true;
    }
    if (db_get(txn, TABLE_MAILBOX, key_mailbox(&key, account->group, account->id, mailbox_id),
               &row) != ERR_OK)
        return false;
    if (!mailbox_decode(row, &mailbox->record)) {
        db_fail(txn, ERR_MALFORMED);
        return false;
    }
    mailbox->id = mailbox_id;
    mailbox->name_len = mailbox->record.name.len;
    memcpy(mailbox->name, mailbox->record.name.at, mailbox->name_len);
    mailbox->record.name = bytes_from(NULL, 0);
    return true;
}

void mailbox_store(struct db_txn *txn, const struct account *account,
                   const struct mailbox *mailbox)
{
    struct mailbox_record stored = mailbox->record;
    struct key key;
    struct record record;

    CHECK(mailbox->id != 0);
    stored.name = mailbox_name(mailbox);
    mailbox_encode(&stored, &record);
    db_put(txn, TABLE_MAILBOX, key_mailbox(&key, account->group, account->id, mailbox->id),
           record_bytes(&record));
}

bool mailbox_name_load(struct db_txn *txn, const struct account *account, struct bytes name,
                       struct name_record *record)
{
    struct key key;
    struct bytes row;

    *record = (struct name_record){0};
    if (account->state == ACCOUNT_NEW) {
        for (uint32_t i = 0; i < DEFAULT_MAILBOX_COUNT; i++) {
            if (bytes_equal(default_mailboxes[i].name, name)) {
                *record = (struct name_record){.mailbox = i + 1, .subscribed = true};
                return true;
            }
        }
        return false;
    }
    if (account->state == ACCOUNT_GONE || account->state == ACCOUNT_AWAY ||
        db_get(txn, TABLE_MAILBOX_NAME,
               key_mailbox_name(&key, account->group, account->id, name), &row) != ERR_OK)
        return false;
    if (!name_decode(row, record))
        db_fail(txn, ERR_MALFORMED);
    return true;
}

void mailbox_name_store(struct db_txn *txn, struct account *account, struct bytes name,
                        struct name_record record)
{
    struct name_record old;
    struct key key;
    struct record row;
    bool was;
    struct bytes name_key;

    CHECK(account->state == ACCOUNT_THERE);
    was = mailbox_name_load(txn, account, name, &old);
    name_key = key_mailbox_name(&key, account->group, account->id, name);
    if (record.mailbox == 0 && !record.subscribed) {
        if (was) {
            db_delete(txn, TABLE_MAILBOX_NAME, name_key);
            account->record.names--;
        }
        return;
    }
    if (!was)
        account->record.names++;
    name_encode(&record, &row);
    db_put(txn, TABLE_MAILBOX_NAME, name_key, record_bytes(&row));
}

void mailbox_init(const struct account *account, uint32_t mailbox_id, uint8_t special,
                  struct bytes name, struct mailbox *mailbox)
{
    CHECK(name.len <= sizeof(mailbox->name));
    mailbox->id = mailbox_id;
    mailbox->record = (struct mailbox_record){
        .special = special,
        .uid_validity = uid_validity(account->id, mailbox_id),
        .uid_next = 1,
        .tail_first = 1,
        .modseq = account->record.modseq,
    };
    mailbox->name_len = name.len;
    memcpy(mailbox->name, name.at, name.len);
}

void mailbox_default(const struct account *account, uint32_t mailbox_id,
                     struct mailbox *mailbox)
{
    CHECK(mailbox_id >= 1 && mailbox_id <= DEFAULT_MAILBOX_COUNT);
    mailbox_init(account, mailbox_id, (uint8_t)default_mailboxes[mailbox_id - 1].special,
                 default_mailboxes[mailbox_id - 1].name, mailbox);
    mailbox->record.modseq = 1;
}

struct bytes mailbox_name(const struct mailbox *mailbox)
{
    return bytes_from(mailbox->name, mailbox->name_len);
}
