/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be so once an operation has begun, and what is so once it was answered. */
#include <limits.h>

#include "tests/sim/mail.h"

#define LLU(value) (unsigned long long)(value)

static struct mail_op *body_of(struct world *world, const struct mail_message *message)
{
    return world->mail->ops[message->token - 1];
}

static void earlier(uint64_t *moment, uint64_t other)
{
    if (other < *moment)
        *moment = other;
}

static bool is_flags_deleted(const struct mail_op *op)
{
    return (op->flags & FLAG_DELETED) != 0 && op->mode != PR__FLAGS_CHANGE__MODE__REMOVE;
}

/* An operation that may remove things comes, or has gone. */
static void removers_count(struct world *world, const struct mail_op *op, unsigned more)
{
    struct mail_mailbox *mailbox;

    if (op->kind != MAIL_DELETE && op->kind != MAIL_EXPUNGE && op->kind != MAIL_MOVE)
        return;
    mailbox = mail_mailbox(mail_account(world, op), op->mailbox);
    if (op->kind == MAIL_DELETE)
        mailbox->removers += more;
    else if (op->uid_count == 0)
        mailbox->sweepers += more;
    for (unsigned i = 0; i < op->uid_count; i++)
        mail_message(mailbox, op->uids[i])->removers += more;
}

void mail_begun(struct world *world, struct mail_op *op)
{
    struct mail_account *account = mail_account(world, op);

    if (op->kind == MAIL_PURGE)
        earlier(&account->gone_begin, op->begun);
    removers_count(world, op, 1);
    for (unsigned i = 0; i < op->uid_count; i++) {
        struct mail_message *message =
            mail_message(mail_mailbox(account, op->mailbox), op->uids[i]);
        if (op->kind == MAIL_FLAGS) {
            mail_write_add(message, op);
            message->deletable = message->deletable || is_flags_deleted(op);
        } else if (message->known) {
            body_of(world, message)->copies += op->kind != MAIL_EXPUNGE;
        }
    }
}

void mail_resolved(struct world *world, struct mail_op *op)
{
    CHECK(!op->resolved);
    op->resolved = true;
    removers_count(world, op, UINT_MAX);
}

/* A hand-over that was carried out before is answered with what came out then. */
static uint64_t effect_begun(const struct mail_op *op)
{
    return op->kind == MAIL_HANDOVER ? op->of->begun : op->begun;
}

/* A new message, by who made it. */
static void message_added(struct world *world, struct mail_op *op, struct mail_op *body,
                          struct mail_mailbox *mailbox, uint32_t uid)
{
    struct mail_message *message;

    if (uid < mail_floor(&mailbox->uid_next, effect_begun(op)))
        sim_fail(world, "UID: %u is given out by %llu in mailbox %u, after %llu", uid,
                 LLU(op->number), mailbox->id,
                 LLU(mail_floor(&mailbox->uid_next, effect_begun(op))));
    if (!mail_message_is(world, body, op->group, op->account, mailbox, uid))
        return;
    message = mail_message(mailbox, uid);
    earlier(&message->added_end, world->mail->moment);
    mail_floor_raise(&mailbox->uid_next, world->mail->moment, (uint64_t)uid + 1);
    message->any_flags = op->kind == MAIL_COPY || op->kind == MAIL_MOVE;
    message->flags = body->flags;
}

static void modseq_told(struct world *world, struct mail_op *op, struct mail_mailbox *mailbox,
                        uint64_t modseq, bool changed)
{
    uint64_t floor = mail_floor(&mailbox->modseq, effect_begun(op));

    if (modseq < floor || (changed && modseq == floor))
        sim_fail(world, "MODSEQ: %llu after %llu in mailbox %u", LLU(modseq), LLU(floor),
                 mailbox->id);
    mail_floor_raise(&mailbox->modseq, world->mail->moment, modseq);
}

static void add_done(struct world *world, struct mail_op *op, unsigned node,
                     const Pr__Outcome *outcome)
{
    const struct mail_account *account = mail_account(world, op);
    struct mail_mailbox *mailbox;

    if (outcome->n_uids == 0 && op->kind != MAIL_APPEND && op->recipients != 1U << op->account)
        return; /* more than one recipient: none is told */
    if (outcome->n_uids == 0 && account->gone_begin != MAIL_LATER)
        return; /* only to be handed over */
    mailbox = mail_mailbox_find(world, node, op, outcome->uid_validity);
    if (mailbox == NULL)
        return;
    if (outcome->n_uids != 1 || outcome->uids[0]->first != outcome->uids[0]->last) {
        sim_fail(world, "message %llu has not one UID", LLU(op->number));
        return;
    }
    message_added(world, op, op->kind == MAIL_HANDOVER ? op->of : op, mailbox,
                  outcome->uids[0]->first);
    modseq_told(world, op, mailbox, outcome->modseq, true);
}

static bool ranges_have(Pr__UidRange *const *ranges, size_t count, uint32_t uid)
{
    for (size_t i = 0; i < count; i++)
        if (ranges[i]->first <= uid && uid <= ranges[i]->last)
            return true;
    return false;
}

/* Each uid of the ranges is one that the operation named. */
static bool ranges_named(const struct mail_op *op, Pr__UidRange *const *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t uid = ranges[i]->first; uid <= ranges[i]->last; uid++) {
            bool named = false;
            for (unsigned j = 0; j < op->uid_count; j++)
                named = named || op->uids[j] == uid;
            if (!named)
                return false;
        }
    return true;
}

static void flags_done(struct world *world, struct mail_op *op, struct mail_mailbox *mailbox,
                       const Pr__Outcome *outcome)
{
    if (!ranges_named(op, outcome->uids, outcome->n_uids) ||
        !ranges_named(op, outcome->failed_uids, outcome->n_failed_uids))
        sim_fail(world, "operation %llu changed messages that it did not name",
                 LLU(op->number));
    for (unsigned i = 0; i < op->uid_count; i++)
        if (ranges_have(outcome->failed_uids, outcome->n_failed_uids, op->uids[i]))
            mail_write_drop(mail_message(mailbox, op->uids[i]), op);
    modseq_told(world, op, mailbox, outcome->modseq, outcome->n_uids > 0);
}

/* The pairs of COPYUID. */
static void copies_done(struct world *world, struct mail_op *op, struct mail_mailbox *source,
                        const Pr__Outcome *outcome)
{
    struct mail_mailbox *target = mail_mailbox(mail_account(world, op), op->target);
    size_t at = 0;
    uint32_t to = outcome->n_uids > 0 ? outcome->uids[0]->first : 0;

    for (size_t i = 0; i < outcome->n_source_uids; i++) {
        const Pr__UidRange *range = outcome->source_uids[i];
        for (uint32_t uid = range->first; uid <= range->last && at < outcome->n_uids; uid++) {
            struct mail_message *message = mail_message(source, uid);
            if (op->kind == MAIL_MOVE)
                earlier(&message->gone_end, world->mail->moment);
            message_added(world, op, body_of(world, message), target, to);
            if (to++ == outcome->uids[at]->last && ++at < outcome->n_uids)
                to = outcome->uids[at]->first;
        }
    }
    if (at != outcome->n_uids)
        sim_fail(world, "COPYUID of %llu has two lists of different lengths", LLU(op->number));
}

static void copy_done(struct world *world, struct mail_op *op, struct mail_mailbox *source,
                      const Pr__Outcome *outcome)
{
    if (!ranges_named(op, outcome->source_uids, outcome->n_source_uids)) {
        sim_fail(world, "operation %llu copied messages that it did not name", LLU(op->number));
        return;
    }
    for (unsigned i = 0; i < op->uid_count; i++)
        if (mail_message_stayed(mail_account(world, op), source,
                                mail_message(source, op->uids[i]), op->begun) &&
            !ranges_have(outcome->source_uids, outcome->n_source_uids, op->uids[i]))
            sim_fail(world, "operation %llu did not copy %u of mailbox %u", LLU(op->number),
                     op->uids[i], source->id);
    copies_done(world, op, source, outcome);
}

static void expunge_done(struct world *world, struct mail_op *op, struct mail_mailbox *mailbox,
                         const Pr__Outcome *outcome)
{
    if (op->uid_count > 0 && !ranges_named(op, outcome->uids, outcome->n_uids))
        sim_fail(world, "operation %llu expunged what it did not name", LLU(op->number));
    for (size_t i = 0; i < outcome->n_uids; i++)
        for (uint32_t uid = outcome->uids[i]->first; uid <= outcome->uids[i]->last; uid++) {
            struct mail_message *message = mail_message(mailbox, uid);
            if (message->known && !message->deletable && !message->any_flags)
                sim_fail(world, "%u of mailbox %u was expunged, nobody deleted it", uid,
                         mailbox->id);
            earlier(&message->gone_end, world->mail->moment);
            world->stats->expunged++;
        }
    modseq_told(world, op, mailbox, outcome->modseq, outcome->n_uids > 0);
}

static void create_done(struct world *world, struct mail_op *op, struct mail_account *account,
                        const Pr__Outcome *outcome)
{
    struct mail_mailbox *mailbox = mail_mailbox(account, (uint32_t)outcome->id);
    struct mail_mailbox *other = mail_mailbox_of(account, outcome->uid_validity);

    if (other != NULL && other != mailbox)
        sim_fail(world, "UIDVALIDITY: mailboxes %u and %u share %u", other->id, mailbox->id,
                 outcome->uid_validity);
    if (mailbox->uid_validity != 0 && mailbox->uid_validity != outcome->uid_validity)
        sim_fail(world, "UIDVALIDITY: mailbox %u had %u and has %u", mailbox->id,
                 mailbox->uid_validity, outcome->uid_validity);
    mailbox->known = true;
    mailbox->uid_validity = outcome->uid_validity;
    earlier(&mailbox->made_end, world->mail->moment);
    (void)op;
}

static bool may_be_gone(const struct mail_mailbox *mailbox)
{
    return mailbox->removers > 0 || mailbox->gone_end != MAIL_LATER;
}

/* Errors that are true: somebody removed what was asked for, or made what was to be made. */
static bool refusal_possible(struct world *world, const struct mail_op *op, enum err err)
{
    struct mail_account *account = mail_account(world, op);
    const struct mail_mailbox *mailbox =
        op->mailbox > 0 ? mail_mailbox(account, op->mailbox) : NULL;
    const struct mail_mailbox *target =
        op->target > 0 ? mail_mailbox(account, op->target) : NULL;

    switch (err) {
    case ERR_NOTFOUND:
        return account->gone_begin != MAIL_LATER ||
               (op->kind != MAIL_DELIVER && mailbox != NULL && may_be_gone(mailbox)) ||
               (target != NULL && may_be_gone(target));
    case ERR_INVALID: /* an upload that was dropped; INBOX, or a folder below itself */
        return op->blocks > 1 || op->kind == MAIL_UPLOAD || op->kind == MAIL_DELETE ||
               op->kind == MAIL_RENAME;
    case ERR_EXISTS:
        return op->kind == MAIL_CREATE || op->kind == MAIL_RENAME;
    case ERR_CONFLICT:
        return op->kind == MAIL_PURGE;
    case ERR_QUOTA: /* goes with some, as small as it likes */
        return op->kind == MAIL_DELIVER || op->kind == MAIL_APPEND;
    case ERR_UNSUPPORTED: /* the group's format is not raised yet */
        return op->kind == MAIL_UNDELETE || op->kind == MAIL_FORGET;
    default:
        return false;
    }
}

static void refused(struct world *world, struct mail_op *op, const Pr__Outcome *outcome)
{
    enum err err = (enum err)outcome->err;

    op->state = err == ERR_CANCELLED ? MAIL_NEVER : MAIL_REFUSED;
    world->stats->cancelled += err == ERR_CANCELLED;
    if (err != ERR_CANCELLED && !refusal_possible(world, op, err))
        sim_fail(world, "operation %llu of kind %d is refused: %s", LLU(op->number),
                 (int)op->kind, outcome->text);
    if (op->instances > 0)
        sim_fail(world, "GHOST: message %llu was there and is refused", LLU(op->number));
}

void mail_done(struct world *world, struct mail_op *op, unsigned node,
               const Pr__Outcome *outcome)
{
    struct mail_account *account = mail_account(world, op);
    struct mail_mailbox *mailbox = NULL;

    op->ended = mail_moment(world);
    mail_resolved(world, op);
    if (outcome->err != ERR_OK && op->kind != MAIL_CANCEL) {
        refused(world, op, outcome);
        return;
    }
    op->state = MAIL_DONE;
    world->stats->settled += op->kind == MAIL_CANCEL && outcome->err == ERR_OK;
    if (op->mailbox > 0)
        mailbox = mail_mailbox(account, op->mailbox);
    if (op->kind == MAIL_DELIVER || op->kind == MAIL_APPEND || op->kind == MAIL_HANDOVER)
        add_done(world, op, node, outcome);
    else if (op->kind == MAIL_FLAGS)
        flags_done(world, op, mailbox, outcome);
    else if (op->kind == MAIL_COPY || op->kind == MAIL_MOVE)
        copy_done(world, op, mailbox, outcome);
    else if (op->kind == MAIL_EXPUNGE)
        expunge_done(world, op, mailbox, outcome);
    else if (op->kind == MAIL_CREATE)
        create_done(world, op, account, outcome);
    else if (op->kind == MAIL_DELETE)
        earlier(&mailbox->gone_end, op->ended);
    else if (op->kind == MAIL_PURGE)
        earlier(&account->gone_end, op->ended);
}
