/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One message into one mailbox; APPEND. */
#include <endian.h>

#include "storage/machine/deliver.h"
#include "storage/machine/keyword.h"
#include "storage/machine/quota.h"
#include "storage/schema/entry.h"

void deliver_email_id(struct message_record *message, uint32_t group)
{
    uint32_t group_big = htobe32(group);
    uint64_t blob_big = htobe64(message->blob);

    memset(message->email_id, 0, sizeof(message->email_id));
    memcpy(message->email_id, &group_big, sizeof(group_big));
    memcpy(message->email_id + 8, &blob_big, sizeof(blob_big));
}

uint32_t deliver_message(struct apply *apply, struct account *account, struct mailbox *mailbox,
                         struct message_record message)
{
    uint32_t uid;

    account_make(apply->txn, account);
    uid = message_add(apply, account, mailbox, &message);
    mailbox_store(apply->txn, account, mailbox);
    account_store(apply->txn, account);
    event_mailbox(apply, account->id, mailbox->id, mailbox->record.modseq, false);
    return uid;
}

enum err apply_append(struct apply *apply)
{
    const Pr__Append *call = apply->command->append;
    struct message_record message = {.flags = call->flags};
    struct account account;
    struct mailbox mailbox;
    struct blob_source source;
    struct keyword_set keywords;
    struct range_list uids = {0};
    uint32_t uid;
    enum err err;

    if ((err = account_mailbox(apply, call->account_id, call->mailbox_id, &account,
                               &mailbox)) != ERR_OK ||
        (err = flags_check(apply, call->flags)) != ERR_OK ||
        (err = keyword_check(apply, &account, &mailbox, call->keywords, call->n_keywords, true,
                             &keywords)) != ERR_OK ||
        (err = blob_check(apply, call->body, &source)) != ERR_OK)
        return err;
    if (call->internal_zone < -INTERNAL_ZONE_MAX || call->internal_zone > INTERNAL_ZONE_MAX)
        return apply_refuse(apply, ERR_INVALID, "a time zone of %d minutes",
                            call->internal_zone);
    if (!message_fits(&mailbox, 1))
        return apply_refuse(apply, ERR_FULL, "the UIDs of the mailbox are used up");
    if ((err = quota_check(apply, &account, call->quota, 1, call->body->size)) != ERR_OK ||
        (err = scope_check(apply, &account, call->scopes, 1, call->body->size)) != ERR_OK)
        return err;
    scope_enrol(apply, &account, call->scopes);
    account_make(apply->txn, &account);
    message.flags |= keyword_make(apply, &account, &mailbox, &keywords);
    message.blob = blob_make(apply, call->body, &source, 1);
    message.size = call->body->size;
    message.internal_s = call->internal_s;
    message.internal_zone = (int16_t)call->internal_zone;
    message.saved_s = (int64_t)(apply->command->time_ms / 1000);
    deliver_email_id(&message, apply->group);
    uid = deliver_message(apply, &account, &mailbox, message);
    range_add(apply->arena, &uids, uid, uid);
    apply->outcome->uids = uids.at;
    apply->outcome->n_uids = uids.count;
    apply->outcome->uid_validity = mailbox.record.uid_validity;
    apply->outcome->modseq = mailbox.record.modseq;
    return ERR_OK;
}
