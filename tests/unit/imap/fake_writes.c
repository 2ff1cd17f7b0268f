/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/fake_internal.h"

#include <stdio.h>

static void answer_flags(struct fake_call *call)
{
    const Pr__FlagsChange *asked = call->request->flags_change;
    struct fake_uids changed = fake_uids_new(call->arena);
    uint64_t flags = asked->flags;

    for (size_t i = 0; i < asked->n_keywords; i++)
        flags |= fake_keyword_bit(call->store, asked->keywords[i]);
    for (size_t i = 0; i < call->store->message_count; i++) {
        struct fake_message *message = &call->store->messages[i];
        if (message->mailbox != asked->mailbox_id || message->expunged ||
            !fake_uids_have(asked->uids, asked->n_uids, message->uid))
            continue;
        uint64_t old = message->flags;
        if (asked->mode == PR__FLAGS_CHANGE__MODE__ADD)
            message->flags |= flags;
        else if (asked->mode == PR__FLAGS_CHANGE__MODE__REMOVE)
            message->flags &= ~flags;
        else
            message->flags = flags;
        if (message->flags == old)
            continue;
        message->modseq = ++call->store->modseq;
        fake_uids_add(&changed, message->uid);
    }
    call->outcome->uids = changed.at;
    call->outcome->n_uids = changed.count;
    call->outcome->modseq = call->store->modseq;
}

static void answer_copy(struct fake_call *call)
{
    const Pr__Copy *asked = call->request->copy;
    struct fake_uids from = fake_uids_new(call->arena);
    struct fake_uids to = fake_uids_new(call->arena);
    size_t count = call->store->message_count;

    for (size_t i = 0; i < count; i++) {
        struct fake_message *message = &call->store->messages[i];
        if (message->mailbox != asked->mailbox_id || message->expunged ||
            !fake_uids_have(asked->uids, asked->n_uids, message->uid))
            continue;
        uint32_t uid = fake_store_deliver(call->store, asked->target_mailbox_id, message->body,
                                          message->flags);
        if (uid == 0)
            break;
        fake_uids_add(&from, message->uid);
        fake_uids_add(&to, uid);
        if (asked->move)
            fake_store_expunge(call->store, asked->mailbox_id, message->uid);
    }
    call->outcome->modseq = call->store->modseq;
    call->outcome->uid_validity = 1000 + asked->target_mailbox_id;
    call->outcome->source_uids = from.at;
    call->outcome->n_source_uids = from.count;
    call->outcome->uids = to.at;
    call->outcome->n_uids = to.count;
}

static void answer_expunge(struct fake_call *call)
{
    const Pr__Expunge *asked = call->request->expunge;
    struct fake_uids gone = fake_uids_new(call->arena);

    for (size_t i = 0; i < call->store->message_count; i++) {
        struct fake_message *message = &call->store->messages[i];
        if (message->mailbox != asked->mailbox_id || message->expunged ||
            !(message->flags & FLAG_DELETED) ||
            (asked->n_uids > 0 && !fake_uids_have(asked->uids, asked->n_uids, message->uid)))
            continue;
        fake_uids_add(&gone, message->uid);
        fake_store_expunge(call->store, asked->mailbox_id, message->uid);
    }
    call->outcome->uids = gone.at;
    call->outcome->n_uids = gone.count;
}

static void answer_append(struct fake_call *call)
{
    const Pr__Append *asked = call->request->append;
    struct fake_uids uids = fake_uids_new(call->arena);
    uint64_t flags = asked->flags;

    for (size_t i = 0; i < asked->n_keywords; i++)
        flags |= fake_keyword_bit(call->store, asked->keywords[i]);
    /* The body's bytes came by another way: the driver put them where `digest` points. */
    uint32_t uid = fake_store_deliver(
        call->store, asked->mailbox_id,
        bytes_from(asked->body->digest.data, asked->body->digest.len), flags);
    if (uid == 0) {
        call->outcome->err = ERR_FULL;
        return;
    }
    call->store->messages[call->store->message_count - 1].internal_s = asked->internal_s;
    call->store->messages[call->store->message_count - 1].internal_zone = asked->internal_zone;
    fake_uids_add(&uids, uid);
    call->outcome->uids = uids.at;
    call->outcome->n_uids = uids.count;
    call->outcome->modseq = call->store->modseq;
    call->outcome->uid_validity = 1000 + asked->mailbox_id;
}

static void answer_create(struct fake_call *call)
{
    const Pr__MailboxCreate *asked = call->request->mailbox_create;

    if (fake_mailbox_named(call->store, asked->name) != NULL)
        call->outcome->err = ERR_EXISTS;
    else if (call->store->mailbox_count == FAKE_MAILBOXES_MAX)
        call->outcome->err = ERR_TOOBIG;
    else
        fake_mailbox_add(call->store, asked->name)->special_use = asked->special_use;
}

static void answer_rename(struct fake_call *call)
{
    const Pr__MailboxRename *asked = call->request->mailbox_rename;
    struct fake_mailbox *mailbox = fake_mailbox_of(call->store, asked->mailbox_id);

    if (fake_mailbox_named(call->store, asked->name) != NULL)
        call->outcome->err = ERR_EXISTS;
    else
        snprintf(mailbox->name, sizeof(mailbox->name), "%s", asked->name);
}

static void answer_subscribe(struct fake_call *call)
{
    const Pr__MailboxSubscribe *asked = call->request->mailbox_subscribe;
    struct fake_mailbox *mailbox = fake_mailbox_named(call->store, asked->name);

    if (mailbox == NULL)
        call->outcome->err = ERR_NOTFOUND;
    else
        mailbox->subscribed = asked->subscribed;
}

bool fake_answer_write(struct fake_call *call)
{
    switch (call->request->call_case) {
    case PR__REQUEST__CALL_FLAGS_CHANGE:
        answer_flags(call);
        return true;
    case PR__REQUEST__CALL_COPY:
        answer_copy(call);
        return true;
    case PR__REQUEST__CALL_EXPUNGE:
        answer_expunge(call);
        return true;
    case PR__REQUEST__CALL_APPEND:
        answer_append(call);
        return true;
    case PR__REQUEST__CALL_MAILBOX_CREATE:
        answer_create(call);
        return true;
    case PR__REQUEST__CALL_MAILBOX_RENAME:
        answer_rename(call);
        return true;
    case PR__REQUEST__CALL_MAILBOX_DELETE:
        fake_mailbox_of(call->store, call->request->mailbox_delete->mailbox_id)->exists = false;
        return true;
    case PR__REQUEST__CALL_MAILBOX_SUBSCRIBE:
        answer_subscribe(call);
        return true;
    default:
        return false;
    }
}
