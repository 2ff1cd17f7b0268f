/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message that comes in: into mailboxes, over to other groups, and into the queue. From
 * format 4 on it may come in several parts, the same message in other words; all of it is
 * accepted, or nothing.
 */
#include "storage/machine/deliver.h"

#include "storage/machine/sending.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"

static void parts_make(struct apply *apply, const Pr__Deliver *call, struct delivery *delivery)
{
    size_t more = call->n_parts;

    *delivery = (struct delivery){.part_count = 1 + more};
    delivery->parts = arena_alloc(apply->arena, (1 + more) * sizeof(*delivery->parts));
    delivery->parts[0] = (struct deliver_part){
        .body = call->body,
        .recipients = call->recipients,
        .recipient_count = call->n_recipients,
        .handovers = call->handovers,
        .handover_count = call->n_handovers,
        .queue = {.at = call->queue,
                  .count = call->n_queue,
                  .account_id = call->queue_account_id,
                  .queue_class = call->queue_class,
                  .tenant_id = call->queue_tenant_id},
    };
    for (size_t i = 0; i < more; i++) {
        const Pr__DeliverPart *part = call->parts[i];
        delivery->parts[i + 1] = (struct deliver_part){
            .number = (uint32_t)(i + 1),
            .body = part->body,
            .recipients = part->recipients,
            .recipient_count = part->n_recipients,
            .handovers = part->handovers,
            .handover_count = part->n_handovers,
            .queue = {.at = part->queue,
                      .count = part->n_queue,
                      .account_id = part->queue_account_id,
                      .queue_class = part->queue_class,
                      .tenant_id = part->queue_tenant_id},
        };
    }
}

/* How many recipients a part has; refuses hand-overs that are none. */
static enum err part_check(struct apply *apply, const struct deliver_part *part,
                           size_t *recipients)
{
    enum err err;

    *recipients = part->recipient_count + part->queue.count;
    if (part->handover_count > 0 && apply->request_id.len == 0)
        return apply_refuse(apply, ERR_INVALID, "a hand-over without delivery id");
    for (size_t i = 0; i < part->handover_count; i++) {
        if ((err = deliver_handover_check(apply, part->handovers[i])) != ERR_OK)
            return err;
        *recipients += part->handovers[i]->n_recipients;
    }
    if (*recipients == 0 && part->number > 0)
        return apply_refuse(apply, ERR_INVALID, "part %u without recipients", part->number);
    return ERR_OK;
}

static bool same_upload(const struct deliver_part *one, const struct deliver_part *other)
{
    return one->source.uploaded && other->source.uploaded &&
           bytes_equal(bytes_of_field(one->body->upload_id),
                       bytes_of_field(other->body->upload_id));
}

/* A body for which there is nobody is not looked at: the first part of a message to nobody but
 * the members of lists. */
static enum err bodies_check(struct apply *apply, struct delivery *delivery, bool first_unused)
{
    enum err err;

    for (size_t i = first_unused ? 1 : 0; i < delivery->part_count; i++) {
        struct deliver_part *part = &delivery->parts[i];
        if ((err = blob_check(apply, part->body, &part->source)) != ERR_OK)
            return err;
        for (size_t other = 0; other < i; other++)
            if (same_upload(part, &delivery->parts[other]))
                return apply_refuse(apply, ERR_INVALID, "two bodies of one upload");
    }
    return ERR_OK;
}

/* They are recipients already, or stand for some. */
static size_t told_count(const struct delivery *delivery)
{
    size_t told = 0;

    for (size_t i = 0; i < delivery->part_count; i++)
        for (size_t r = 0; r < delivery->parts[i].queue.count; r++)
            told += queue_is_told(delivery->parts[i].queue.at[r]);
    return told;
}

static enum err deliver_check(struct apply *apply, const Pr__Deliver *call,
                              struct delivery *delivery)
{
    size_t recipients = 0;
    size_t in_first = 0;
    enum err err;

    if (delivery->part_count > 1 + DELIVER_PARTS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu parts; %d are the most",
                            delivery->part_count - 1, DELIVER_PARTS_MAX);
    for (size_t i = 0; i < delivery->part_count; i++) {
        size_t in_part;
        if ((err = part_check(apply, &delivery->parts[i], &in_part)) != ERR_OK)
            return err;
        recipients += in_part;
        in_first = i == 0 ? in_part : in_first;
    }
    if (recipients == 0)
        return apply_refuse(apply, ERR_INVALID, "no recipients");
    size_t told = told_count(delivery);
    if (recipients - told > DELIVER_RECIPIENTS_MAX || told > DELIVER_RECIPIENTS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu recipients; %d are the most", recipients,
                            DELIVER_RECIPIENTS_MAX);
    for (size_t i = 0; i < delivery->part_count; i++)
        if ((err = queue_check(apply, call, &delivery->parts[i].queue)) != ERR_OK)
            return err;
    return bodies_check(apply, delivery, in_first == 0);
}

/* How often its body is used. */
static uint64_t part_uses(const struct deliver_part *part)
{
    return part->target_count + part->handover_count + part->queue.split.records;
}

/* Those who are told of get nothing by it. */
static bool anybody_there(const struct delivery *delivery)
{
    for (size_t i = 0; i < delivery->part_count; i++) {
        const struct deliver_part *part = &delivery->parts[i];
        if (part->target_count + part->handover_count > 0 ||
            part->queue.count > part->queue.told)
            return true;
    }
    return false;
}

/* Returns the uid of the last message. */
static uint32_t part_store(struct apply *apply, struct delivery *delivery,
                           const struct deliver_part *part)
{
    const Pr__Deliver *call = apply->command->deliver;
    uint64_t accepted_ms = call->internal_ms != 0 ? call->internal_ms : apply->command->time_ms;
    struct message_record message = {
        .size = part->body->size,
        .internal_s = (int64_t)(accepted_ms / 1000),
        .saved_s = (int64_t)(apply->command->time_ms / 1000),
    };
    uint32_t uid = 0;

    message.blob = blob_make(apply, part->body, &part->source, part_uses(part));
    deliver_email_id(&message, apply->group);
    for (size_t i = part->first_target; i < part->first_target + part->target_count; i++) {
        const struct deliver_target *target = &delivery->targets[i];
        if (i > 0)
            deliver_target_load(apply, target->account_id, target->mailbox_id,
                                &delivery->account, &delivery->mailbox);
        scope_enrol(apply, &delivery->account, target->scopes);
        uid = deliver_message(apply, &delivery->account, &delivery->mailbox, message);
    }
    for (size_t i = 0; i < part->handover_count; i++)
        deliver_handover_store(apply, part, part->handovers[i], message.blob);
    if (part->queue.count > 0) {
        uint64_t id = queue_add(apply, call, &part->queue, message.blob, message.size);
        if (apply->outcome->id == 0)
            apply->outcome->id = id;
    }
    return uid;
}

static void deliver_store(struct apply *apply, struct delivery *delivery)
{
    struct range_list uids = {0};
    uint32_t uid = 0;

    for (size_t i = 0; i < delivery->part_count; i++) {
        const struct deliver_part *part = &delivery->parts[i];
        uint32_t made = part_uses(part) > 0 ? part_store(apply, delivery, part) : 0;
        uid = made != 0 ? made : uid;
    }
    if (delivery->count == 1) {
        range_add(apply->arena, &uids, uid, uid);
        apply->outcome->uids = uids.at;
        apply->outcome->n_uids = uids.count;
        apply->outcome->uid_validity = delivery->mailbox.record.uid_validity;
        apply->outcome->modseq = delivery->mailbox.record.modseq;
    }
}

/*
 * Parts and recipients on other hosts are for format 4. Below it such a delivery is a command
 * that nobody knows: without them it would be accepted, and half of it lost. A directory may be
 * raised before its groups, so it does come; then no node runs a release that would apply half.
 */
static enum err format_check(struct apply *apply, const Pr__Deliver *call)
{
    if (apply_format(apply) >= FORMAT_ADDRESSES || (call->n_parts == 0 && call->n_queue == 0))
        return ERR_OK;
    return apply_refuse(apply, ERR_UNSUPPORTED, "a command that this version does not know");
}

enum err apply_deliver(struct apply *apply)
{
    const Pr__Deliver *call = apply->command->deliver;
    const Pr__SendingLimits *limits =
        apply_format(apply) >= FORMAT_ADDRESSES ? call->limits : NULL;
    struct sending_counted sending;
    struct delivery delivery;
    enum err err;

    if ((err = format_check(apply, call)) != ERR_OK)
        return err;
    parts_make(apply, call, &delivery);
    if ((err = deliver_check(apply, call, &delivery)) != ERR_OK ||
        (err = sending_check(apply, limits, &sending)) != ERR_OK ||
        (err = deliver_targets_check(apply, &delivery)) != ERR_OK)
        return err;
    if (!anybody_there(&delivery))
        return apply_refuse(apply, ERR_NOTFOUND, "no recipient's account is there any more");
    sending_store(apply, limits, &sending);
    deliver_store(apply, &delivery);
    return ERR_OK;
}
