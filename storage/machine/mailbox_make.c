/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/mailbox_make.h"

#include "storage/machine/mailbox_name.h"

unsigned mailbox_missing(struct apply *apply, const struct account *account, struct bytes name)
{
    unsigned count = 0;
    struct name_record record;

    for (; name.len > 0; name = mailbox_name_parent(name))
        if (!mailbox_name_load(apply->txn, account, name, &record) || record.mailbox == 0)
            count++;
    return count;
}

enum err mailbox_room(struct apply *apply, const struct account *account, unsigned more)
{
    if (account->record.names + more > MAILBOX_COUNT_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "an account has %d mailboxes at most",
                            MAILBOX_COUNT_MAX);
    if (account->record.mailboxes > UINT32_MAX - more)
        return apply_refuse(apply, ERR_FULL, "the account's mailbox ids are used up");
    return ERR_OK;
}

/* Gives a free name a new, empty mailbox; keeps the name's subscription. */
void mailbox_make(struct apply *apply, struct account *account, struct bytes name,
                  uint8_t special, struct mailbox *mailbox)
{
    struct name_record record;

    mailbox_name_load(apply->txn, account, name, &record);
    record.mailbox = ++account->record.mailboxes;
    mailbox_init(account, record.mailbox, special, name, mailbox);
    mailbox_store(apply->txn, account, mailbox);
    mailbox_name_store(apply->txn, account, name, record);
}

/* Makes the parents of `name` that are missing. */
void mailbox_parents_make(struct apply *apply, struct account *account, struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        struct bytes parent = {name.at, i};
        struct name_record record;
        struct mailbox mailbox;

        if (name.at[i] == '/' &&
            (!mailbox_name_load(apply->txn, account, parent, &record) || record.mailbox == 0))
            mailbox_make(apply, account, parent, SPECIAL_NONE, &mailbox);
    }
}

void mailbox_ensure(struct apply *apply, struct account *account, struct bytes name,
                    struct mailbox *mailbox)
{
    struct name_record record;

    if (mailbox_name_load(apply->txn, account, name, &record) && record.mailbox != 0 &&
        mailbox_load(apply->txn, account, record.mailbox, mailbox))
        return;
    mailbox_parents_make(apply, account, name);
    mailbox_make(apply, account, name, SPECIAL_NONE, mailbox);
}
