/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What somebody wants next. */
#include "tests/sim/mail.h"

enum { PURGE_BEFORE_CALM_MS = 4000, UPLOAD_BLOCKS_MAX = 4, LOOKS = 8 };

static const struct wish {
    enum mail_kind kind;
    unsigned weight;
} wishes[] = {
    {MAIL_DELIVER, 34}, {MAIL_APPEND, 12},  {MAIL_FLAGS, 22},      {MAIL_COPY, 6},
    {MAIL_MOVE, 5},     {MAIL_EXPUNGE, 9},  {MAIL_CREATE, 4},      {MAIL_DELETE, 2},
    {MAIL_RENAME, 2},   {MAIL_PURGE, 1},    {MAIL_SUBSCRIBE, 2},   {MAIL_FORMAT, 1},
    {MAIL_FORGET, 1},   {MAIL_UNDELETE, 3}, {MAIL_UPLOAD_DROP, 1},
};

static enum mail_kind kind_choose(struct world *world)
{
    unsigned sum = 0;
    unsigned chosen;

    for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++)
        sum += wishes[i].weight;
    chosen = (unsigned)sim_below(world, sum);
    for (size_t i = 0;; i++) {
        if (chosen < wishes[i].weight)
            return wishes[i].kind;
        chosen -= wishes[i].weight;
    }
}

/* A mailbox that nobody deletes; the INBOX of the beginning when luck is out. */
static struct mail_mailbox *mailbox_choose(struct world *world, struct mail_account *account)
{
    for (unsigned i = 0; i < LOOKS; i++) {
        uint32_t id = 1 + (uint32_t)sim_below(world, account->mailbox_count);
        struct mail_mailbox *mailbox = mail_mailbox(account, id);
        if (mailbox->known && mailbox->removers == 0 && mailbox->gone_end == MAIL_LATER)
            return mailbox;
    }
    return mail_mailbox(account, 1);
}

/* Some messages that are known of; now and then one that is gone already. */
static void messages_choose(struct world *world, struct mail_op *op,
                            struct mail_mailbox *mailbox)
{
    unsigned wanted = 1 + (unsigned)sim_below(world, MAIL_UIDS_MAX);

    for (unsigned i = 0; mailbox->message_room > 0 && i < LOOKS * wanted; i++) {
        uint32_t uid = 1 + (uint32_t)sim_below(world, mailbox->message_room);
        const struct mail_message *message = mail_message(mailbox, uid);
        bool chosen = false;
        for (unsigned j = 0; j < op->uid_count; j++)
            chosen = chosen || op->uids[j] == uid;
        if (message->known && !chosen &&
            (message->gone_end == MAIL_LATER || sim_below(world, 10) == 0))
            op->uids[op->uid_count++] = uid;
        if (op->uid_count == wanted)
            return;
    }
}

static void flags_choose(struct world *world, struct mail_op *op)
{
    static const uint64_t flags[] = {FLAG_SEEN, FLAG_ANSWERED, FLAG_FLAGGED, FLAG_DRAFT};

    op->mode = (unsigned)sim_below(world, 3);
    op->flags = flags[sim_below(world, sizeof(flags) / sizeof(*flags))];
    if (sim_below(world, 3) == 0)
        op->flags |= flags[sim_below(world, sizeof(flags) / sizeof(*flags))];
    if (sim_below(world, 3) == 0) {
        op->flags |= FLAG_DELETED;
        op->mode = PR__FLAGS_CHANGE__MODE__ADD;
    }
}

static void body_choose(struct world *world, struct mail_op *op)
{
    op->blocks = 1;
    if (sim_below(world, 12) == 0)
        op->blocks = 2 + (unsigned)sim_below(world, UPLOAD_BLOCKS_MAX - 1);
    for (unsigned i = 0; i < sizeof(op->upload_id); i++)
        op->upload_id[i] = (uint8_t)sim_random(world);
}

static void deliver_choose(struct world *world, struct mail_op *op,
                           struct mail_account *account)
{
    body_choose(world, op);
    if (sim_below(world, 5) == 0)
        op->recipients |= 1U << sim_below(world, MAIL_ACCOUNTS);
    if (sim_below(world, 5) == 0)
        op->mailbox = mailbox_choose(world, account)->id;
    if (sim_below(world, 6) == 0 && world->plan.groups > 1 && op->blocks == 1) {
        op->hand_group = (op->group + 1) % world->plan.groups;
        op->hand_recipients = 1 + (unsigned)sim_below(world, (1U << MAIL_ACCOUNTS) - 1);
    }
}

/* Fills in what the wish needs; false when it makes no sense now. */
static bool wish_fill(struct world *world, struct mail_op *op)
{
    struct mail_account *account = mail_account(world, op);
    struct mail_mailbox *mailbox = mailbox_choose(world, account);

    if (op->kind == MAIL_DELIVER) {
        deliver_choose(world, op, account);
        return true;
    }
    op->mailbox = mailbox->id;
    switch (op->kind) {
    case MAIL_APPEND:
        body_choose(world, op);
        op->flags = sim_below(world, 2) == 0 ? FLAG_SEEN : FLAG_DRAFT | FLAG_FLAGGED;
        return true;
    case MAIL_FLAGS:
        flags_choose(world, op);
        messages_choose(world, op, mailbox);
        return op->uid_count > 0;
    case MAIL_COPY:
    case MAIL_MOVE:
        op->target = mailbox_choose(world, account)->id;
        messages_choose(world, op, mailbox);
        return op->uid_count > 0;
    case MAIL_EXPUNGE:
        if (sim_below(world, 3) != 0)
            messages_choose(world, op, mailbox);
        return true;
    case MAIL_UNDELETE:
        mail_expunged_find(world, op);
        return op->uid_count > 0;
    case MAIL_DELETE: /* no default one, so that it is not the INBOX too often */
        return mailbox->id > MAIL_DEFAULT_MAILBOXES;
    default:
        return true;
    }
}

struct mail_op *mail_choose(struct world *world, unsigned group)
{
    enum mail_kind kind = kind_choose(world);
    unsigned account = (unsigned)sim_below(world, MAIL_ACCOUNTS);
    struct mail_op *op;

    if (kind == MAIL_PURGE) {
        if (world->seed % 4 != 0 || world->now_ms + PURGE_BEFORE_CALM_MS < world->calm_at_ms)
            return NULL;
        account = MAIL_ACCOUNTS - 1;
    }
    op = mail_op_new(world, kind, group, account);
    if (wish_fill(world, op))
        return op;
    op->state = MAIL_NEVER;
    return NULL;
}
