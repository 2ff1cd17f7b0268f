/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands on mailboxes, and the end of an account. */
#include "node/base/check.h"
#include "storage/machine/blob.h"
#include "storage/machine/keyword.h"
#include "storage/machine/mailbox_make.h"
#include "storage/machine/mailbox_name.h"
#include "storage/schema/format.h"

static enum err account_check(struct apply *apply, uint64_t account_id, struct account *account)
{
    if (account_id == 0)
        return apply_refuse(apply, ERR_INVALID, "no account");
    account_load(apply->txn, apply->group, account_id, account);
    return account_writable(apply, account);
}

static enum err name_check(struct apply *apply, const char *text, struct bytes *name)
{
    const char *wrong = mailbox_name_wrong(bytes_of(text));

    if (wrong != NULL)
        return apply_refuse(apply, ERR_INVALID, "%s", wrong);
    *name = mailbox_name_normal(apply->arena, bytes_of(text));
    return ERR_OK;
}

/* Whether a mailbox of the account has that use. */
static bool special_taken(struct apply *apply, const struct account *account, uint32_t special)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor;
    bool taken = false;

    if (account->state == ACCOUNT_NEW)
        return true;
    cursor = db_cursor_open(apply->txn, TABLE_MAILBOX,
                            key_number(&prefix, account->group, account->id));
    for (bool more = db_cursor_first(cursor, &key, &row); more && !taken;
         more = db_cursor_next(cursor, &key, &row)) {
        struct mailbox_record record;
        if (key_last_u32(key) == 0)
            continue; /* the account's own row */
        if (!mailbox_decode(row, &record))
            db_fail(apply->txn, ERR_MALFORMED);
        taken = record.special == special;
    }
    db_cursor_close(&cursor);
    return taken;
}

static enum err special_check(struct apply *apply, const struct account *account,
                              uint32_t special)
{
    if (special == SPECIAL_NONE)
        return ERR_OK;
    if (special == SPECIAL_INBOX || special > SPECIAL_ARCHIVE)
        return apply_refuse(apply, ERR_INVALID, "there is no special use %u to give", special);
    if (special_taken(apply, account, special))
        return apply_refuse(apply, ERR_EXISTS, "another mailbox has that special use");
    return ERR_OK;
}

enum err apply_mailbox_create(struct apply *apply)
{
    const Pr__MailboxCreate *call = apply->command->mailbox_create;
    struct account account;
    struct mailbox mailbox;
    struct name_record known;
    struct bytes name;
    enum err err;

    if ((err = account_check(apply, call->account_id, &account)) != ERR_OK ||
        (err = name_check(apply, call->name, &name)) != ERR_OK)
        return err;
    if (mailbox_name_load(apply->txn, &account, name, &known) && known.mailbox != 0)
        return apply_refuse(apply, ERR_EXISTS, "there is such a mailbox already");
    if ((err = special_check(apply, &account, call->special_use)) != ERR_OK ||
        (err = mailbox_room(apply, &account, mailbox_missing(apply, &account, name))) != ERR_OK)
        return err;
    account_make(apply->txn, &account);
    mailbox_parents_make(apply, &account, name);
    mailbox_make(apply, &account, name, (uint8_t)call->special_use, &mailbox);
    account_store(apply->txn, &account);
    event_mailbox(apply, account.id, 0, account.record.modseq, false);
    apply->outcome->id = mailbox.id;
    apply->outcome->uid_validity = mailbox.record.uid_validity;
    apply->outcome->modseq = mailbox.record.modseq;
    return ERR_OK;
}

/* Takes the mailbox off its name. RFC 3501 section 6.3.9: a subscription stays. */
static void name_free(struct apply *apply, struct account *account, struct bytes name)
{
    struct name_record record;

    mailbox_name_load(apply->txn, account, name, &record);
    record.mailbox = 0;
    mailbox_name_store(apply->txn, account, name, record);
}

/* Children stay; the name is then a parent that does not exist. */
enum err apply_mailbox_delete(struct apply *apply)
{
    const Pr__MailboxDelete *call = apply->command->mailbox_delete;
    struct account account;
    struct mailbox mailbox;
    struct key key;
    enum err err;

    if ((err = account_mailbox(apply, call->account_id, call->mailbox_id, &account,
                               &mailbox)) != ERR_OK)
        return err;
    if (mailbox.id == account.record.inbox)
        return apply_refuse(apply, ERR_INVALID, "INBOX cannot be deleted");
    account_make(apply->txn, &account);
    name_free(apply, &account, mailbox_name(&mailbox));
    db_delete(apply->txn, TABLE_MAILBOX,
              key_mailbox(&key, apply->group, account.id, mailbox.id));
    account.record.messages -= mailbox.record.messages;
    account.record.size -= mailbox.record.size;
    account_store(apply->txn, &account);
    if (call->keep && apply_format(apply) >= FORMAT_DEPTH)
        doom_mailbox(apply, account.id, mailbox.id, apply->command->time_ms,
                     mailbox_name(&mailbox));
    else
        doom_mailbox(apply, account.id, mailbox.id, 0, bytes_from(NULL, 0));
    event_mailbox(apply, account.id, mailbox.id, mailbox.record.modseq, true);
    event_mailbox(apply, account.id, 0, account.record.modseq, false);
    return ERR_OK;
}

/* Gives the mailbox another name. The old name keeps its subscription, the new one gets it. */
static void mailbox_move(struct apply *apply, struct account *account, struct mailbox *mailbox,
                         struct bytes name)
{
    struct name_record old;
    struct name_record record;

    mailbox_name_load(apply->txn, account, mailbox_name(mailbox), &old);
    mailbox_name_load(apply->txn, account, name, &record);
    record.mailbox = mailbox->id;
    record.subscribed = record.subscribed || old.subscribed;
    name_free(apply, account, mailbox_name(mailbox));
    mailbox_name_store(apply->txn, account, name, record);
    CHECK(name.len <= sizeof(mailbox->name));
    memcpy(mailbox->name, name.at, name.len);
    mailbox->name_len = name.len;
    mailbox_store(apply->txn, account, mailbox);
}

/* A mailbox below the one that is renamed, and its new name. */
struct moving {
    struct moving *next;
    uint32_t mailbox_id;
    struct bytes name;
};

/* The children of `from`, with their names below `to`; refuses when one cannot be. */
static enum err children_collect(struct apply *apply, const struct account *account,
                                 struct bytes from, struct bytes to, struct moving **children,
                                 unsigned *count)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct bytes below =
        bytes_of(arena_printf(apply->arena, "%.*s/", (int)from.len, (const char *)from.at));
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_MAILBOX_NAME,
                       key_mailbox_name(&prefix, account->group, account->id, below));
    enum err err = ERR_OK;

    *children = NULL;
    *count = 0;
    if (account->state == ACCOUNT_NEW) {
        db_cursor_close(&cursor);
        return ERR_OK; /* the default mailboxes have no children */
    }
    for (bool more = db_cursor_first(cursor, &key, &row); more && err == ERR_OK;
         more = db_cursor_next(cursor, &key, &row)) {
        struct bytes old = key_behind_account(key);
        struct moving *child = arena_alloc(apply->arena, sizeof(*child));
        struct name_record record;
        struct name_record taken;
        const char *wrong;

        if (!name_decode(row, &record))
            db_fail(apply->txn, ERR_MALFORMED);
        if (record.mailbox == 0)
            continue; /* only a subscription */
        child->name =
            bytes_of(arena_printf(apply->arena, "%.*s%.*s", (int)to.len, (const char *)to.at,
                                  (int)(old.len - from.len), (const char *)old.at + from.len));
        child->mailbox_id = record.mailbox;
        child->next = *children;
        *children = child;
        (*count)++;
        if ((wrong = mailbox_name_wrong(child->name)) != NULL)
            err = apply_refuse(apply, ERR_INVALID, "below the new name: %s", wrong);
        else if (mailbox_name_load(apply->txn, account, child->name, &taken) &&
                 taken.mailbox != 0)
            err = apply_refuse(apply, ERR_EXISTS, "a mailbox below the new name is there");
    }
    db_cursor_close(&cursor);
    return err;
}

/*
 * INBOX gives its messages to a mailbox of the new name and is empty then (RFC 9051 section
 * 6.3.6). For any number of messages at once: the mailbox itself gets the name, and INBOX is a
 * new one. Children of INBOX stay.
 */
static void inbox_rename(struct apply *apply, struct account *account, struct mailbox *mailbox,
                         struct bytes name)
{
    struct bytes inbox = arena_copy(apply->arena, mailbox_name(mailbox));
    struct mailbox fresh;

    mailbox->record.special = SPECIAL_NONE;
    mailbox_move(apply, account, mailbox, name);
    mailbox_make(apply, account, inbox, SPECIAL_INBOX, &fresh);
    account->record.inbox = fresh.id;
    event_mailbox(apply, account->id, mailbox->id, mailbox->record.modseq, true);
}

enum err apply_mailbox_rename(struct apply *apply)
{
    const Pr__MailboxRename *call = apply->command->mailbox_rename;
    struct account account;
    struct mailbox mailbox;
    struct name_record known;
    struct moving *children = NULL;
    unsigned count = 0;
    struct bytes name;
    bool is_inbox;
    enum err err;

    if ((err = account_mailbox(apply, call->account_id, call->mailbox_id, &account,
                               &mailbox)) != ERR_OK ||
        (err = name_check(apply, call->name, &name)) != ERR_OK)
        return err;
    is_inbox = mailbox.id == account.record.inbox;
    if (mailbox_name_load(apply->txn, &account, name, &known) && known.mailbox != 0)
        return apply_refuse(apply, ERR_EXISTS, "there is such a mailbox already");
    if (mailbox_name_below(name, mailbox_name(&mailbox)) && !is_inbox)
        return apply_refuse(apply, ERR_INVALID, "a mailbox cannot move below itself");
    if (!is_inbox && (err = children_collect(apply, &account, mailbox_name(&mailbox), name,
                                             &children, &count)) != ERR_OK)
        return err;
    err = mailbox_room(apply, &account, mailbox_missing(apply, &account, name) + count + 1);
    if (err != ERR_OK)
        return err;
    account_make(apply->txn, &account);
    mailbox_parents_make(apply, &account, name);
    for (; children != NULL; children = children->next) {
        struct mailbox child;
        if (mailbox_load(apply->txn, &account, children->mailbox_id, &child))
            mailbox_move(apply, &account, &child, children->name);
    }
    if (is_inbox)
        inbox_rename(apply, &account, &mailbox, name);
    else
        mailbox_move(apply, &account, &mailbox, name);
    account_store(apply->txn, &account);
    event_mailbox(apply, account.id, 0, account.record.modseq, false);
    apply->outcome->id = mailbox.id;
    apply->outcome->uid_validity = mailbox.record.uid_validity;
    return ERR_OK;
}

/* A name may be subscribed without a mailbox (RFC 3501 section 6.3.6). */
enum err apply_mailbox_subscribe(struct apply *apply)
{
    const Pr__MailboxSubscribe *call = apply->command->mailbox_subscribe;
    struct account account;
    struct name_record record;
    struct bytes name;
    bool known;
    enum err err;

    if ((err = account_check(apply, call->account_id, &account)) != ERR_OK ||
        (err = name_check(apply, call->name, &name)) != ERR_OK)
        return err;
    known = mailbox_name_load(apply->txn, &account, name, &record);
    if (!known && call->subscribed && (err = mailbox_room(apply, &account, 1)) != ERR_OK)
        return err;
    if (record.subscribed == call->subscribed)
        return ERR_OK;
    account_make(apply->txn, &account);
    record.subscribed = call->subscribed;
    mailbox_name_store(apply->txn, &account, name, record);
    account_store(apply->txn, &account);
    event_mailbox(apply, account.id, 0, account.record.modseq, false);
    return ERR_OK;
}
