/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages that come in: by delivery, with hand-over to other groups, and by APPEND. */
#include <endian.h>

#include "node/base/buffer.h"
#include "record.pb-c.h"
#include "storage/machine/blob.h"
#include "storage/machine/keyword.h"
#include "storage/machine/message.h"
#include "storage/machine/quota.h"
#include "storage/machine/scope.h"
#include "storage/schema/entry.h"

/* A recipient whose account is there, or will be made. */
struct target {
    uint64_t account_id;
    uint32_t mailbox_id;
    const Pr__AccountScopes *scopes; /* NULL: none */
};

struct delivery {
    struct target *targets;
    size_t count;
    struct scope_needs needs;
    /* Of the first target, so that the usual delivery, to one, reads nothing twice. */
    struct account account;
    struct mailbox mailbox;
};

/* Where a recipient's message goes: the INBOX when that mailbox is gone. */
static bool target_load(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                        struct account *account, struct mailbox *mailbox)
{
    account_load(apply->txn, apply->group, account_id, account);
    if (account->state != ACCOUNT_NEW && account->state != ACCOUNT_THERE)
        return false;
    return mailbox_load(apply->txn, account, mailbox_id, mailbox) ||
           mailbox_load(apply->txn, account, 0, mailbox);
}

static bool target_known(const struct delivery *delivery, struct target target)
{
    for (size_t i = 0; i < delivery->count; i++)
        if (delivery->targets[i].account_id == target.account_id &&
            delivery->targets[i].mailbox_id == target.mailbox_id)
            return true;
    return false;
}

static bool account_known(const struct delivery *delivery, uint64_t account_id)
{
    for (size_t i = 0; i < delivery->count; i++)
        if (delivery->targets[i].account_id == account_id)
            return true;
    return false;
}

static enum err targets_check(struct apply *apply, const Pr__Deliver *call,
                              struct delivery *delivery)
{
    enum err err;

    delivery->targets =
        arena_alloc(apply->arena, call->n_recipients * sizeof(*delivery->targets));
    for (size_t i = 0; i < call->n_recipients; i++) {
        const Pr__Recipient *recipient = call->recipients[i];
        struct account account;
        struct mailbox mailbox;
        struct target target;

        if (recipient->account_id == 0)
            return apply_refuse(apply, ERR_INVALID, "a recipient without account");
        if (!target_load(apply, recipient->account_id, recipient->mailbox_id, &account,
                         &mailbox)) {
            if (account.state == ACCOUNT_GONE)
                continue;
            return account_writable(apply, &account);
        }
        if ((err = account_writable(apply, &account)) != ERR_OK)
            return err;
        if (!message_fits(&mailbox, 1))
            return apply_refuse(apply, ERR_FULL, "the UIDs of a mailbox are used up");
        target = (struct target){account.id, mailbox.id, recipient->scopes};
        if (target_known(delivery, target))
            continue;
        if ((err = quota_check(apply, &account, recipient->quota, 1, call->body->size)) !=
            ERR_OK)
            return err; /* nobody gets it: a part of a delivery cannot be refused */
        scope_needs_add(apply, &delivery->needs, &account, recipient->scopes,
                        account_known(delivery, account.id), 1, call->body->size);
        if (delivery->count == 0) {
            delivery->account = account;
            delivery->mailbox = mailbox;
        }
        delivery->targets[delivery->count++] = target;
    }
    return scope_needs_check(apply, &delivery->needs);
}

static enum err deliver_check(struct apply *apply, const Pr__Deliver *call)
{
    size_t recipients = call->n_recipients;

    if (call->n_handovers > 0 && apply->request_id.len == 0)
        return apply_refuse(apply, ERR_INVALID, "a hand-over without delivery id");
    for (size_t i = 0; i < call->n_handovers; i++) {
        const Pr__Handover *handover = call->handovers[i];
        if (handover->group == 0 || handover->group == apply->group)
            return apply_refuse(apply, ERR_INVALID, "a hand-over to group %u", handover->group);
        if (handover->n_recipients == 0)
            return apply_refuse(apply, ERR_INVALID, "a hand-over without recipients");
        recipients += handover->n_recipients;
    }
    if (recipients == 0)
        return apply_refuse(apply, ERR_INVALID, "no recipients");
    if (recipients > DELIVER_RECIPIENTS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu recipients; %d are the most", recipients,
                            DELIVER_RECIPIENTS_MAX);
    return ERR_OK;
}

/* Unique for good: blob ids are not given out again. */
static void email_id_set(struct message_record *message, uint32_t group)
{
    uint32_t group_big = htobe32(group);
    uint64_t blob_big = htobe64(message->blob);

    memset(message->email_id, 0, sizeof(message->email_id));
    memcpy(message->email_id, &group_big, sizeof(group_big));
    memcpy(message->email_id + 8, &blob_big, sizeof(blob_big));
}

/* Stores one message, and all records it changes. */
static uint32_t message_store(struct apply *apply, struct account *account,
                              struct mailbox *mailbox, struct message_record message)
{
    uint32_t uid;

    account_make(apply->txn, account);
    uid = message_add(apply, account, mailbox, &message);
    mailbox_store(apply->txn, account, mailbox);
    account_store(apply->txn, account);
    event_mailbox(apply, account->id, mailbox->id, mailbox->record.modseq, false);
    return uid;
}

static void handover_store(struct apply *apply, const Pr__Handover *handover, uint64_t blob)
{
    Pr__HandoverRecord record = PR__HANDOVER_RECORD__INIT;
    struct buffer packed = BUFFER_EMPTY;
    struct key key;

    record.group = handover->group;
    record.delivery_id = field_of_bytes(apply->request_id);
    record.time_ms = apply->command->time_ms;
    record.blob = blob;
    record.n_recipients = handover->n_recipients;
    record.recipients = handover->recipients;
    message_pack(&record.base, &packed);
    db_put(apply->txn, TABLE_HANDOVER,
           key_number(&key, apply->group, ++apply->record.handovers), buffer_bytes(&packed));
    buffer_fini(&packed);
    apply->events->handover_added = true;
}

static void deliver_store(struct apply *apply, const Pr__Deliver *call,
                          const struct blob_source *source, struct delivery *delivery)
{
    uint64_t accepted_ms = call->internal_ms != 0 ? call->internal_ms : apply->command->time_ms;
    struct message_record message = {
        .size = call->body->size,
        .internal_s = (int64_t)(accepted_ms / 1000),
        .saved_s = (int64_t)(apply->command->time_ms / 1000),
    };
    uint32_t uid = 0;

    message.blob = blob_make(apply, call->body, source, delivery->count + call->n_handovers);
    email_id_set(&message, apply->group);
    for (size_t i = 0; i < delivery->count; i++) {
        if (i > 0)
            target_load(apply, delivery->targets[i].account_id, delivery->targets[i].mailbox_id,
                        &delivery->account, &delivery->mailbox);
        scope_enrol(apply, &delivery->account, delivery->targets[i].scopes);
        uid = message_store(apply, &delivery->account, &delivery->mailbox, message);
    }
    for (size_t i = 0; i < call->n_handovers; i++)
        handover_store(apply, call->handovers[i], message.blob);
    if (delivery->count == 1) {
        struct range_list uids = {0};
        range_add(apply->arena, &uids, uid, uid);
        apply->outcome->uids = uids.at;
        apply->outcome->n_uids = uids.count;
        apply->outcome->uid_validity = delivery->mailbox.record.uid_validity;
        apply->outcome->modseq = delivery->mailbox.record.modseq;
    }
}

enum err apply_deliver(struct apply *apply)
{
    const Pr__Deliver *call = apply->command->deliver;
    struct blob_source source;
    struct delivery delivery = {.count = 0};
    enum err err;

    if ((err = deliver_check(apply, call)) != ERR_OK ||
        (err = blob_check(apply, call->body, &source)) != ERR_OK ||
        (err = targets_check(apply, call, &delivery)) != ERR_OK)
        return err;
    if (delivery.count == 0 && call->n_handovers == 0)
        return apply_refuse(apply, ERR_NOTFOUND, "no recipient's account is there any more");
    deliver_store(apply, call, &source, &delivery);
    return ERR_OK;
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
    email_id_set(&message, apply->group);
    uid = message_store(apply, &account, &mailbox, message);
    range_add(apply->arena, &uids, uid, uid);
    apply->outcome->uids = uids.at;
    apply->outcome->n_uids = uids.count;
    apply->outcome->uid_validity = mailbox.record.uid_validity;
    apply->outcome->modseq = mailbox.record.modseq;
    return ERR_OK;
}

enum err apply_handover_done(struct apply *apply)
{
    struct key key;
    struct bytes row;
    struct bytes at =
        key_number(&key, apply->group, apply->command->handover_done->handover_id);
    ProtobufCAllocator allocator = arena_allocator(apply->arena);
    Pr__HandoverRecord *record;

    if (db_get(apply->txn, TABLE_HANDOVER, at, &row) != ERR_OK)
        return ERR_OK; /* done before */
    record = pr__handover_record__unpack(&allocator, row.len, row.at);
    if (record == NULL) {
        db_fail(apply->txn, ERR_MALFORMED);
        return ERR_OK;
    }
    db_delete(apply->txn, TABLE_HANDOVER, at);
    blob_release(apply, record->blob);
    return ERR_OK;
}
