/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of accounts, mailboxes and messages, and what may be true of them. */
#include <stdlib.h>

#include "tests/sim/mail.h"

struct mail_account *mail_account(struct world *world, const struct mail_op *op)
{
    return &world->mail->groups[op->group].accounts[op->account];
}

struct mail_mailbox *mail_mailbox(struct mail_account *account, uint32_t id)
{
    CHECK(id > 0);
    if (id > account->mailbox_count) {
        account->mailboxes =
            realloc(account->mailboxes, (size_t)id * sizeof(*account->mailboxes));
        CHECK(account->mailboxes != NULL);
        for (; account->mailbox_count < id; account->mailbox_count++)
            account->mailboxes[account->mailbox_count] =
                (struct mail_mailbox){.id = account->mailbox_count + 1,
                                      .made_end = MAIL_LATER,
                                      .gone_end = MAIL_LATER};
    }
    return &account->mailboxes[id - 1];
}

struct mail_mailbox *mail_mailbox_of(struct mail_account *account, uint32_t uid_validity)
{
    for (unsigned i = 0; i < account->mailbox_count; i++)
        if (account->mailboxes[i].uid_validity == uid_validity)
            return &account->mailboxes[i];
    return NULL;
}

struct mail_message *mail_message(struct mail_mailbox *mailbox, uint32_t uid)
{
    CHECK(uid > 0 && uid < 1 << 20);
    if (uid > mailbox->message_room) {
        unsigned room = uid + uid / 2 + 16;
        mailbox->messages = realloc(mailbox->messages, room * sizeof(*mailbox->messages));
        CHECK(mailbox->messages != NULL);
        for (; mailbox->message_room < room; mailbox->message_room++)
            mailbox->messages[mailbox->message_room] =
                (struct mail_message){.added_end = MAIL_LATER, .gone_end = MAIL_LATER};
    }
    return &mailbox->messages[uid - 1];
}

uint64_t mail_floor(const struct mail_floors *floors, uint64_t before)
{
    unsigned low = 0;
    unsigned high = floors->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (floors->steps[middle].at < before)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? floors->steps[low - 1].value : 0;
}

void mail_floor_raise(struct mail_floors *floors, uint64_t at, uint64_t value)
{
    if (floors->count > 0 && floors->steps[floors->count - 1].value >= value)
        return;
    if (floors->count == floors->room) {
        floors->room = floors->room > 0 ? floors->room * 2 : 16;
        floors->steps = realloc(floors->steps, floors->room * sizeof(*floors->steps));
        CHECK(floors->steps != NULL);
    }
    floors->steps[floors->count++] = (struct mail_floor){at, value};
}

void mail_write_add(struct mail_message *message, struct mail_op *op)
{
    if (message->write_count == message->write_room) {
        message->write_room = message->write_room > 0 ? message->write_room * 2 : 4;
        message->writes =
            realloc(message->writes, message->write_room * sizeof(*message->writes));
        CHECK(message->writes != NULL);
    }
    message->writes[message->write_count++] = op;
}

void mail_write_drop(struct mail_message *message, const struct mail_op *op)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < message->write_count; i++)
        if (message->writes[i] != op)
            message->writes[kept++] = message->writes[i];
    message->write_count = kept;
}

/* Whether the operation says anything of the flag, and what. */
static bool write_says(const struct mail_op *op, uint64_t flag, bool *set)
{
    switch (op->mode) {
    case PR__FLAGS_CHANGE__MODE__ADD:
        *set = true;
        return (op->flags & flag) != 0;
    case PR__FLAGS_CHANGE__MODE__REMOVE:
        *set = false;
        return (op->flags & flag) != 0;
    default:
        *set = (op->flags & flag) != 0;
        return true;
    }
}

/* Whether what was written up to `ended` was surely written over before the look began. */
static bool overwritten(const struct mail_message *message, uint64_t flag, bool value,
                        uint64_t ended, uint64_t begun)
{
    for (unsigned i = 0; i < message->write_count; i++) {
        const struct mail_op *op = message->writes[i];
        bool set;
        if (op->state == MAIL_DONE && op->begun > ended && op->ended < begun &&
            write_says(op, flag, &set) && set != value)
            return true;
    }
    return false;
}

static bool flag_possible(const struct mail_message *message, uint64_t flag, bool value,
                          uint64_t begun)
{
    if ((message->any_flags || ((message->flags & flag) != 0) == value) &&
        !overwritten(message, flag, value, message->added_end, begun))
        return true;
    for (unsigned i = 0; i < message->write_count; i++) {
        const struct mail_op *op = message->writes[i];
        bool set;
        if (op->state != MAIL_NEVER && op->state != MAIL_REFUSED &&
            write_says(op, flag, &set) && set == value &&
            !overwritten(message, flag, value, op->ended, begun))
            return true;
    }
    return false;
}

bool mail_flags_possible(const struct mail_message *message, uint64_t flags, uint64_t begun)
{
    for (uint64_t flag = 1; flag & FLAGS_SYSTEM; flag <<= 1)
        if (!flag_possible(message, flag, (flags & flag) != 0, begun))
            return false;
    return true;
}

bool mail_message_stayed(const struct mail_account *account, const struct mail_mailbox *mailbox,
                         const struct mail_message *message, uint64_t begun)
{
    return message->added_end < begun && message->removers == 0 &&
           message->gone_end == MAIL_LATER && mailbox->removers == 0 &&
           mailbox->gone_end == MAIL_LATER && account->gone_begin == MAIL_LATER &&
           !(mailbox->sweepers > 0 && (message->deletable || message->any_flags));
}

/* Notes that it was seen there; false when it was not to come there. */
static bool found_in(struct mail_op *body, unsigned group, unsigned account)
{
    if (group == body->group && (body->recipients >> account & 1) != 0) {
        body->found |= 1U << account;
        return true;
    }
    if (group == body->hand_group && (body->hand_recipients >> account & 1) != 0) {
        body->hand_found |= 1U << account;
        return true;
    }
    return false;
}

bool mail_message_is(struct world *world, struct mail_op *body, unsigned group,
                     unsigned account, struct mail_mailbox *mailbox, uint32_t uid)
{
    struct mail_message *message = mail_message(mailbox, uid);

    if (message->known && message->token != body->number) {
        sim_fail(world,
                 "UID: %u of mailbox %u of account %u of group %u was message %llu and is %llu",
                 uid, mailbox->id, account, group, (unsigned long long)message->token,
                 (unsigned long long)body->number);
        return false;
    }
    if (!found_in(body, group, account)) {
        sim_fail(world, "STRAY: message %llu is in account %u of group %u",
                 (unsigned long long)body->number, account, group);
        return false;
    }
    if (message->known)
        return true;
    message->known = true;
    message->token = body->number;
    message->added_begin = body->begun;
    /* A copy, unless whoever knows better says so. */
    message->any_flags = body->copies > 0;
    message->flags = body->flags;
    body->instances++;
    if (body->state == MAIL_NEVER)
        sim_fail(world, "GHOST: message %llu was never to be, and is there",
                 (unsigned long long)body->number);
    if (body->instances > (unsigned)__builtin_popcount(body->recipients) +
                              (unsigned)__builtin_popcount(body->hand_recipients) +
                              body->copies)
        sim_fail(world, "TWICE: message %llu has come %u times",
                 (unsigned long long)body->number, body->instances);
    return true;
}
