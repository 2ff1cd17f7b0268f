/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expunged messages come back, as new ones. */
#include "storage/machine/expunged.h"
#include "storage/machine/keyword.h"
#include "storage/machine/mailbox_make.h"
#include "storage/machine/mailbox_name.h"
#include "storage/machine/message.h"
#include "storage/machine/quota.h"
#include "storage/machine/scope.h"

/* A mailbox that messages come back to. */
struct target {
    bool made;         /* it is there, or was made by this command */
    struct bytes name; /* of one that is to be made */
    struct mailbox mailbox;
    uint64_t count;
};

struct undelete {
    const Pr__Undelete *call;
    struct account account;
    struct expunged *found;
    struct target **to; /* side by side with `found` */
    size_t found_count;
    struct target *targets;
    size_t target_count;
    uint64_t size;
};

static bool mailbox_by_name(struct apply *apply, const struct account *account,
                            struct bytes name, struct mailbox *mailbox)
{
    struct name_record record;

    return mailbox_name_load(apply->txn, account, name, &record) && record.mailbox != 0 &&
           mailbox_load(apply->txn, account, record.mailbox, mailbox);
}

static struct target *target_find(struct undelete *undelete, const struct target *wanted)
{
    for (size_t i = 0; i < undelete->target_count; i++) {
        struct target *target = &undelete->targets[i];
        if (target->made == wanted->made &&
            (wanted->made ? target->mailbox.id == wanted->mailbox.id
                          : bytes_equal(target->name, wanted->name)))
            return target;
    }
    return NULL;
}

/* Where a message goes: NULL when the command has too many such mailboxes. */
static struct target *target_of(struct apply *apply, struct undelete *undelete,
                                const struct expunged *expunged)
{
    struct bytes to = bytes_of(undelete->call->to);
    struct target wanted = {.made = false};
    struct target *target;

    if (to.len == 0 && expunged->mailbox_id != 0)
        wanted.made =
            mailbox_load(apply->txn, &undelete->account, expunged->mailbox_id, &wanted.mailbox);
    if (!wanted.made) {
        struct bytes name = to.len > 0 ? to : expunged->name;
        if (mailbox_name_wrong(name) != NULL)
            name = BYTES("INBOX"); /* it cannot be: names were checked when they were given */
        wanted.name = mailbox_name_normal(apply->arena, name);
        wanted.made = mailbox_by_name(apply, &undelete->account, wanted.name, &wanted.mailbox);
    }
    if ((target = target_find(undelete, &wanted)) != NULL)
        return target;
    if (undelete->target_count == UNDELETE_MAILBOXES_MAX)
        return NULL;
    target = &undelete->targets[undelete->target_count++];
    *target = wanted;
    return target;
}

/* The messages that are there, and their mailboxes. A message that is named twice comes once.
 */
static enum err messages_find(struct apply *apply, struct undelete *undelete)
{
    const Pr__Undelete *call = undelete->call;

    undelete->found = arena_alloc(apply->arena, call->n_messages * sizeof(*undelete->found));
    undelete->to = arena_alloc(apply->arena, call->n_messages * sizeof(*undelete->to));
    undelete->targets =
        arena_alloc(apply->arena, UNDELETE_MAILBOXES_MAX * sizeof(*undelete->targets));
    for (size_t i = 0; i < call->n_messages; i++) {
        const Pr__ExpungedId *id = call->messages[i];
        const Pr__ExpungedId *before = i > 0 ? call->messages[i - 1] : NULL;
        struct expunged *found = &undelete->found[undelete->found_count];
        struct target *target;

        if (before != NULL &&
            (id->time_ms < before->time_ms ||
             (id->time_ms == before->time_ms &&
              (id->mailbox_id < before->mailbox_id ||
               (id->mailbox_id == before->mailbox_id && id->uid <= before->uid)))))
            return apply_refuse(apply, ERR_INVALID, "messages that are not in their order");
        if (!expunged_load(apply->txn, &undelete->account, id->time_ms, id->mailbox_id, id->uid,
                           found))
            continue;
        found->name = arena_copy(apply->arena, found->name);
        if ((target = target_of(apply, undelete, found)) == NULL)
            return apply_refuse(apply, ERR_TOOBIG, "messages of more than %d mailboxes",
                                UNDELETE_MAILBOXES_MAX);
        target->count++;
        undelete->size += found->record.size;
        undelete->to[undelete->found_count++] = target;
    }
    return ERR_OK;
}

static enum err targets_check(struct apply *apply, const struct undelete *undelete)
{
    unsigned missing = 0;

    for (size_t i = 0; i < undelete->target_count; i++) {
        const struct target *target = &undelete->targets[i];
        if (!target->made)
            missing += mailbox_missing(apply, &undelete->account, target->name);
        else if (!message_fits(&target->mailbox, target->count))
            return apply_refuse(apply, ERR_FULL, "the UIDs of a mailbox are used up");
    }
    return missing == 0 ? ERR_OK : mailbox_room(apply, &undelete->account, missing);
}

static uint32_t message_restore(struct apply *apply, struct undelete *undelete,
                                const struct expunged *expunged, struct target *target)
{
    struct message_record message = expunged->record;

    expunged_take(apply, &undelete->account, expunged);
    /* A mailbox that was made again does not know the old one's keywords. */
    message.flags &= target->mailbox.id == expunged->mailbox_id ? ~(uint64_t)FLAG_DELETED
                                                                : FLAGS_SYSTEM & ~FLAG_DELETED;
    message.saved_s = (int64_t)(apply->command->time_ms / 1000);
    return message_add(apply, &undelete->account, &target->mailbox, &message);
}

static void messages_restore(struct apply *apply, struct undelete *undelete)
{
    struct range_list uids = {0};

    for (size_t i = 0; i < undelete->target_count; i++) {
        struct target *target = &undelete->targets[i];
        if (!target->made)
            mailbox_ensure(apply, &undelete->account, target->name, &target->mailbox);
    }
    for (size_t i = 0; i < undelete->found_count; i++) {
        uint32_t uid = message_restore(apply, undelete, &undelete->found[i], undelete->to[i]);
        if (undelete->target_count == 1)
            range_add(apply->arena, &uids, uid, uid);
    }
    for (size_t i = 0; i < undelete->target_count; i++) {
        struct target *target = &undelete->targets[i];
        mailbox_store(apply->txn, &undelete->account, &target->mailbox);
        event_mailbox(apply, undelete->account.id, target->mailbox.id,
                      target->mailbox.record.modseq, false);
        apply->outcome->uid_validity = target->mailbox.record.uid_validity;
    }
    account_store(apply->txn, &undelete->account);
    event_mailbox(apply, undelete->account.id, 0, undelete->account.record.modseq, false);
    apply->outcome->uids = uids.at;
    apply->outcome->n_uids = uids.count;
    apply->outcome->modseq = undelete->account.record.modseq;
}

enum err apply_undelete(struct apply *apply)
{
    const Pr__Undelete *call = apply->command->undelete;
    struct undelete undelete = {.call = call};
    enum err err;

    if (call->account_id == 0)
        return apply_refuse(apply, ERR_INVALID, "no account");
    if (call->n_messages > UNDELETE_MESSAGES_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "more than %d messages in one command",
                            UNDELETE_MESSAGES_MAX);
    if (call->to[0] != '\0' && mailbox_name_wrong(bytes_of(call->to)) != NULL)
        return apply_refuse(apply, ERR_INVALID, "%s", mailbox_name_wrong(bytes_of(call->to)));
    account_load(apply->txn, apply->group, call->account_id, &undelete.account);
    if ((err = account_writable(apply, &undelete.account)) != ERR_OK ||
        (err = messages_find(apply, &undelete)) != ERR_OK ||
        (err = targets_check(apply, &undelete)) != ERR_OK ||
        (err = quota_check(apply, &undelete.account, call->quota, undelete.found_count,
                           undelete.size)) != ERR_OK)
        return err;
    if (undelete.found_count == 0)
        return ERR_OK;
    if ((err = scope_check(apply, &undelete.account, call->scopes, undelete.found_count,
                           undelete.size)) != ERR_OK)
        return err;
    scope_enrol(apply, &undelete.account, call->scopes);
    apply->outcome->id = undelete.found_count;
    messages_restore(apply, &undelete);
    return ERR_OK;
}
