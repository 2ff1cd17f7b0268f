/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mailboxes: their list, and the view that a session opens one with. */
#include <stdlib.h>

#include "storage/machine/mailbox_name.h"
#include "storage/query/view.h"
#include "storage/schema/entry.h"

bool query_load(struct db_txn *txn, struct query_account account, uint32_t mailbox_id,
                struct account *loaded, struct mailbox *mailbox)
{
    account_load(txn, account.group, account.account_id, loaded);
    return mailbox_id != 0 && mailbox_load(txn, loaded, mailbox_id, mailbox);
}

enum err query_error(struct db_txn *txn, bool found)
{
    if (db_error(txn) != ERR_OK)
        return db_error(txn);
    return found ? ERR_OK : ERR_NOTFOUND;
}

Pr__MailboxInfo *query_info(struct arena *arena, const struct mailbox *mailbox, bool subscribed)
{
    Pr__MailboxInfo *info = arena_alloc(arena, sizeof(*info));
    const struct mailbox_record *record = &mailbox->record;

    pr__mailbox_info__init(info);
    info->id = mailbox->id;
    info->name = arena_string(arena, mailbox_name(mailbox));
    info->special_use = record->special;
    info->subscribed = subscribed;
    info->exists = true;
    info->uid_validity = record->uid_validity;
    info->uid_next = record->uid_next;
    info->messages = record->messages;
    info->unseen = record->unseen;
    info->highest_modseq = record->modseq;
    info->size = record->size;
    info->deleted = record->deleted;
    return info;
}

void query_keywords(struct db_txn *txn, const struct account *account,
                    const struct mailbox *mailbox, struct arena *arena, char ***keywords,
                    size_t *count)
{
    struct bytes *names;

    keyword_list(txn, account, mailbox->id, mailbox->record.keywords, arena, &names);
    *count = mailbox->record.keywords;
    *keywords = arena_alloc(arena, (*count + 1) * sizeof(**keywords));
    for (size_t i = 0; i < *count; i++)
        (*keywords)[i] = arena_string(arena, names[i]);
}

/* The bytes of the messages with \\Deleted: each is looked at. */
static uint64_t deleted_size(struct db_txn *txn, const struct account *account,
                             const struct mailbox *mailbox)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(
        txn, TABLE_DELETED, key_mailbox(&prefix, account->group, account->id, mailbox->id));
    uint64_t size = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        struct message_record message;
        struct bytes found;
        /* Both tables have the same keys. */
        if (db_get(txn, TABLE_MESSAGE, key, &found) == ERR_OK &&
            message_decode(found, &message))
            size += message.size;
    }
    db_cursor_close(&cursor);
    return size;
}

/* A name of the list. NULL for a mailbox whose record is missing, which is an error. */
static Pr__MailboxInfo *name_info(struct db_txn *txn, const struct account *account,
                                  struct bytes name, struct name_record record,
                                  const Pr__MailboxList *call, struct arena *arena)
{
    struct mailbox mailbox;
    Pr__MailboxInfo *info;

    if (record.mailbox == 0) {
        info = arena_alloc(arena, sizeof(*info));
        pr__mailbox_info__init(info);
        info->name = arena_string(arena, name);
        info->subscribed = record.subscribed;
        return info;
    }
    if (!mailbox_load(txn, account, record.mailbox, &mailbox)) {
        db_fail(txn, ERR_MALFORMED);
        return NULL;
    }
    info = query_info(arena, &mailbox, record.subscribed);
    if (!call->with_status) {
        info->messages = info->unseen = info->deleted = 0;
        info->size = 0;
    } else if (call->with_deleted_size && mailbox.record.deleted > 0) {
        info->deleted_size = deleted_size(txn, account, &mailbox);
    }
    return info;
}

static int name_compare(const void *a, const void *b)
{
    const Pr__MailboxInfo *const *left = a;
    const Pr__MailboxInfo *const *right = b;
    bool left_inbox = strcmp((*left)->name, "INBOX") == 0;
    bool right_inbox = strcmp((*right)->name, "INBOX") == 0;

    if (left_inbox != right_inbox)
        return left_inbox ? -1 : 1;
    return strcmp((*left)->name, (*right)->name);
}

enum err query_mailbox_list(struct db_txn *txn, struct query_account account,
                            const Pr__MailboxList *call, struct arena *arena,
                            Pr__MailboxListAnswer *answer)
{
    struct account loaded;
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor;
    Pr__MailboxInfo **list;
    size_t count = 0;

    account_load(txn, account.group, account.account_id, &loaded);
    if (loaded.state == ACCOUNT_GONE)
        return query_error(txn, false);
    list = arena_alloc(arena, (loaded.record.names + 1) * sizeof(*list));
    for (uint32_t id = 1; loaded.state == ACCOUNT_NEW && id <= DEFAULT_MAILBOX_COUNT; id++) {
        struct mailbox mailbox;
        mailbox_default(&loaded, id, &mailbox);
        list[count++] = query_info(arena, &mailbox, true);
    }
    cursor = db_cursor_open(txn, TABLE_MAILBOX_NAME,
                            key_number(&prefix, account.group, account.account_id));
    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        struct name_record record;
        if (count >= loaded.record.names || !name_decode(row, &record)) {
            db_fail(txn, ERR_MALFORMED);
            break;
        }
        list[count] = name_info(txn, &loaded, key_behind_account(key), record, call, arena);
        count += list[count] != NULL;
    }
    db_cursor_close(&cursor);
    qsort(list, count, sizeof(*list), name_compare);
    answer->mailboxes = list;
    answer->n_mailboxes = count;
    if (call->with_status) {
        answer->usage = arena_alloc(arena, sizeof(*answer->usage));
        pr__quota_read_answer__init(answer->usage);
        return query_quota(txn, account, answer->usage);
    }
    return query_error(txn, true);
}

void query_live(struct db_txn *txn, const struct account *account,
                const struct mailbox *mailbox, struct arena *arena, struct range_list *uids)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(
        txn, TABLE_UID_RANGE, key_mailbox(&prefix, account->group, account->id, mailbox->id));

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        uint32_t last;
        if (!uid_decode(row, &last))
            db_fail(txn, ERR_MALFORMED);
        range_add(arena, uids, key_last_u32(key), last);
    }
    db_cursor_close(&cursor);
    if (mailbox->record.tail_first < mailbox->record.uid_next)
        range_add(arena, uids, mailbox->record.tail_first, mailbox->record.uid_next - 1);
}

enum err query_mailbox_open(struct db_txn *txn, struct query_account account,
                            const Pr__MailboxOpen *call, struct arena *arena,
                            Pr__MailboxOpenAnswer *answer)
{
    struct bytes name = bytes_of(call->name);
    struct account loaded;
    struct mailbox mailbox;
    struct name_record record;
    struct range_list uids = {0};

    if (mailbox_name_wrong(name) != NULL)
        return query_error(txn, false);
    account_load(txn, account.group, account.account_id, &loaded);
    if (!mailbox_name_load(txn, &loaded, mailbox_name_normal(arena, name), &record) ||
        record.mailbox == 0 || !mailbox_load(txn, &loaded, record.mailbox, &mailbox))
        return query_error(txn, false);
    answer->info = query_info(arena, &mailbox, record.subscribed);
    if (call->with_deleted_size && mailbox.record.deleted > 0)
        answer->info->deleted_size = deleted_size(txn, &loaded, &mailbox);
    if (!call->only_status) {
        query_live(txn, &loaded, &mailbox, arena, &uids);
        answer->uids = uids.at;
        answer->n_uids = uids.count;
    }
    query_keywords(txn, &loaded, &mailbox, arena, &answer->keywords, &answer->n_keywords);
    return query_error(txn, true);
}

void query_account_usage(struct db_txn *txn, struct query_account account, uint64_t *messages,
                         uint64_t *size)
{
    struct account loaded;

    account_load(txn, account.group, account.account_id, &loaded);
    *messages = loaded.record.messages;
    *size = loaded.record.size;
}

uint64_t query_highest_modseq(struct db_txn *txn, struct query_account account,
                              uint32_t mailbox_id)
{
    struct account loaded;
    struct mailbox mailbox;

    return query_load(txn, account, mailbox_id, &loaded, &mailbox) ? mailbox.record.modseq : 0;
}
