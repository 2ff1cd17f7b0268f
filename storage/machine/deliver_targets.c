/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose mailboxes a delivery goes to, and whether there is room for all of it. */
#include "storage/machine/deliver.h"
#include "storage/machine/quota.h"
#include "storage/schema/format.h"

bool deliver_target_load(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                         struct account *account, struct mailbox *mailbox)
{
    account_load(apply->txn, apply->group, account_id, account);
    if (account->state != ACCOUNT_NEW && account->state != ACCOUNT_THERE)
        return false;
    return mailbox_load(apply->txn, account, mailbox_id, mailbox) ||
           mailbox_load(apply->txn, account, 0, mailbox);
}

/* What the delivery brings to an account, and to a mailbox, beside what is looked at. */
struct coming {
    bool here; /* to this mailbox, in the part that is looked at */
    bool account;
    uint64_t messages; /* of the account */
    uint64_t size;
    uint64_t mailbox_messages;
};

static struct coming coming_to(const struct delivery *delivery, const struct deliver_part *part,
                               struct deliver_target target)
{
    struct coming coming = {.here = false};

    for (size_t i = 0; i < delivery->count; i++) {
        const struct deliver_target *other = &delivery->targets[i];
        if (other->account_id != target.account_id)
            continue;
        coming.account = true;
        coming.messages++;
        coming.size += other->size;
        coming.mailbox_messages += other->mailbox_id == target.mailbox_id;
        coming.here =
            coming.here || (other->mailbox_id == target.mailbox_id && i >= part->first_target);
    }
    return coming;
}

/* Whether the account has room for this message too. Below format 4 each message was compared
 * with what the account had before the delivery. */
static enum err room_check(struct apply *apply, const struct account *account,
                           const Pr__AccountQuota *quota, struct coming coming, uint64_t size)
{
    if (apply_format(apply) < FORMAT_ADDRESSES)
        return quota_check(apply, account, quota, 1, size);
    return quota_check(apply, account, quota, coming.messages + 1, coming.size + size);
}

static enum err target_add(struct apply *apply, struct delivery *delivery,
                           struct deliver_part *part, const Pr__Recipient *recipient)
{
    uint64_t size = part->body->size;
    struct account account;
    struct mailbox mailbox;
    struct deliver_target target;
    struct coming coming;
    enum err err;

    if (recipient->account_id == 0)
        return apply_refuse(apply, ERR_INVALID, "a recipient without account");
    if (!deliver_target_load(apply, recipient->account_id, recipient->mailbox_id, &account,
                             &mailbox))
        return account.state == ACCOUNT_GONE ? ERR_OK : account_writable(apply, &account);
    if ((err = account_writable(apply, &account)) != ERR_OK)
        return err;
    target = (struct deliver_target){account.id, mailbox.id, size, recipient->scopes};
    coming = coming_to(delivery, part, target);
    if (!message_fits(&mailbox, coming.here ? 1 : coming.mailbox_messages + 1))
        return apply_refuse(apply, ERR_FULL, "the UIDs of a mailbox are used up");
    if (coming.here)
        return ERR_OK; /* said twice */
    if ((err = room_check(apply, &account, recipient->quota, coming, size)) != ERR_OK)
        return err; /* nobody gets it: a part of a delivery cannot be refused */
    scope_needs_add(apply, &delivery->needs, &account, recipient->scopes, coming.account, 1,
                    size);
    if (delivery->count == 0) {
        delivery->account = account;
        delivery->mailbox = mailbox;
    }
    delivery->targets[delivery->count++] = target;
    part->target_count++;
    return ERR_OK;
}

enum err deliver_targets_check(struct apply *apply, struct delivery *delivery)
{
    size_t room = 0;

    for (size_t i = 0; i < delivery->part_count; i++)
        room += delivery->parts[i].recipient_count;
    delivery->targets = arena_alloc(apply->arena, room * sizeof(*delivery->targets));
    for (size_t i = 0; i < delivery->part_count; i++) {
        struct deliver_part *part = &delivery->parts[i];
        part->first_target = delivery->count;
        for (size_t r = 0; r < part->recipient_count; r++) {
            enum err err = target_add(apply, delivery, part, part->recipients[r]);
            if (err != ERR_OK)
                return err;
        }
    }
    return scope_needs_check(apply, &delivery->needs);
}
