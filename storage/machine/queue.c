/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail for other hosts that comes in. */
#include "storage/machine/queue_row.h"
#include "storage/machine/utf8.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"

/* ---- what may come in ---- */

bool queue_text_valid(const char *text, size_t size_max)
{
    struct bytes bytes = bytes_of(text);

    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] < ' ' || bytes.at[i] == 0x7f)
            return false;
    return bytes.len <= size_max && utf8_valid(bytes);
}

static bool address_valid(const char *address)
{
    struct bytes local;
    struct bytes domain;

    return queue_text_valid(address, QUEUE_ADDRESS_SIZE_MAX) &&
           address_split(bytes_of(address), &local, &domain) &&
           domain.len <= QUEUE_DOMAIN_SIZE_MAX;
}

static bool sender_valid(const char *sender)
{
    return *sender == '\0' || address_valid(sender);
}

static enum err envelope_check(struct apply *apply, const Pr__Envelope *envelope)
{
    if (envelope == NULL)
        return apply_refuse(apply, ERR_INVALID, "recipients on other hosts without envelope");
    if (!sender_valid(envelope->sender))
        return apply_refuse(apply, ERR_INVALID, "a sender that is no address");
    if (!queue_text_valid(envelope->envid, QUEUE_ENVID_SIZE_MAX) ||
        (unsigned)envelope->ret > PR__ENVELOPE__RET__RET_HDRS ||
        (unsigned)envelope->by_mode > PR__ENVELOPE__BY_MODE__BY_RETURN)
        return apply_refuse(apply, ERR_INVALID, "an envelope that cannot be");
    return ERR_OK;
}

bool queue_is_told(const Pr__QueueRecipient *recipient)
{
    return recipient->state == PR__QUEUE_RECIPIENT__STATE__DELIVERED ||
           recipient->state == PR__QUEUE_RECIPIENT__STATE__EXPANDED;
}

/* It waits, or is told of under the envelope's sender, who has asked for that. */
static bool recipient_state_valid(const Pr__Envelope *envelope,
                                  const Pr__QueueRecipient *recipient)
{
    if (!queue_is_told(recipient))
        return recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING && !recipient->tell;
    return recipient->tell && (recipient->notify & QUEUE_NOTIFY_SUCCESS) != 0 &&
           recipient->account_id == 0 && *recipient->sender == '\0' &&
           !recipient->null_sender && *envelope->sender != '\0';
}

/* Nothing is said to have been tried. */
static bool recipient_new(const Pr__QueueRecipient *recipient)
{
    return recipient->attempts == 0 && *recipient->last_reply == '\0' &&
           recipient->number == 0 && recipient->destination == 0 &&
           *recipient->status == '\0' && *recipient->remote == '\0' &&
           recipient->tried_ms == 0 && recipient->delays_told == 0 && recipient->notice == 0;
}

static bool recipient_valid(const Pr__Envelope *envelope, const Pr__QueueRecipient *recipient)
{
    return address_valid(recipient->address) && sender_valid(recipient->sender) &&
           queue_text_valid(recipient->orcpt, QUEUE_ORCPT_SIZE_MAX) &&
           recipient->notify <= QUEUE_NOTIFY_ALL &&
           (!(recipient->notify & QUEUE_NOTIFY_NEVER) ||
            recipient->notify == QUEUE_NOTIFY_NEVER) &&
           !(recipient->null_sender && *recipient->sender != '\0') &&
           recipient_state_valid(envelope, recipient) && recipient_new(recipient);
}

enum {
    RECIPIENT_FIXED_SIZE_MAX = 128, /* numbers, and the tags of all fields */
    RECORD_FIXED_SIZE_MAX = 512,
};
_Static_assert(QUEUE_RECORD_RECIPIENTS_MAX *(2 * QUEUE_ADDRESS_SIZE_MAX + QUEUE_ORCPT_SIZE_MAX +
                                             QUEUE_REPLY_SIZE_MAX + QUEUE_STATUS_SIZE_MAX +
                                             QUEUE_REMOTE_SIZE_MAX + QUEUE_DOMAIN_SIZE_MAX +
                                             2 * RECIPIENT_FIXED_SIZE_MAX) +
                       QUEUE_ADDRESS_SIZE_MAX + QUEUE_ENVID_SIZE_MAX + QUEUE_REASON_SIZE_MAX +
                       RECORD_FIXED_SIZE_MAX <=
                   QUEUE_RECORD_SIZE_MAX,
               "whatever becomes of it, a record has room");

enum err queue_check(struct apply *apply, const Pr__Deliver *call,
                     struct queue_recipients *recipients)
{
    enum err err;

    if (recipients->count == 0)
        return ERR_OK;
    if (apply->request_id.len == 0)
        return apply_refuse(apply, ERR_INVALID,
                            "recipients on other hosts without delivery id");
    if ((unsigned)recipients->queue_class > PR__QUEUE_CLASS__QUEUE_BULK)
        return apply_refuse(apply, ERR_INVALID, "a class of mail that is not known");
    if ((err = envelope_check(apply, call->envelope)) != ERR_OK)
        return err;
    for (size_t i = 0; i < recipients->count; i++) {
        if (!recipient_valid(call->envelope, recipients->at[i]))
            return apply_refuse(apply, ERR_INVALID, "recipient %zu on another host cannot be",
                                i);
        recipients->told += queue_is_told(recipients->at[i]);
    }
    queue_split(apply->arena, recipients->at, recipients->count, &recipients->split);
    return ERR_OK;
}

/* ---- new records ---- */

static uint64_t due_first(const struct apply *apply, const Pr__Envelope *envelope)
{
    uint64_t now_ms = queue_now_ms(apply);

    return envelope->hold_until_ms > now_ms ? envelope->hold_until_ms : now_ms;
}

static void destination_add(struct arena *arena, Pr__QueueRecord *record, struct bytes domain)
{
    Pr__QueueDestination *destination = arena_alloc(arena, sizeof(*destination));

    pr__queue_destination__init(destination);
    destination->number = (uint32_t)(record->n_destinations + 1);
    destination->domain = arena_string(arena, domain);
    destination->due_ms = record->due_ms;
    record->destinations[record->n_destinations++] = destination;
}

/* It is told of at once: nothing that is under way belongs to the same notice. */
static void recipient_tell(const struct apply *apply, Pr__QueueRecord *record,
                           Pr__QueueRecipient *recipient)
{
    recipient->tried_ms = record->notice_ms = queue_now_ms(apply);
}

/* From a run of recipients that is sorted by domain; those who are told of come first. */
static void recipients_add(const struct apply *apply, Pr__QueueRecord *record,
                           const struct queue_sorted *sorted, size_t count)
{
    struct arena *arena = apply->arena;

    record->recipients = arena_alloc(arena, count * sizeof(*record->recipients));
    record->destinations = arena_alloc(arena, count * sizeof(*record->destinations));
    for (size_t i = 0; i < count; i++) {
        Pr__QueueRecipient *recipient = arena_alloc(arena, sizeof(*recipient));
        *recipient = *sorted[i].recipient;
        if (queue_is_told(recipient))
            recipient_tell(apply, record, recipient);
        else if (i == 0 || !bytes_equal(sorted[i].domain, sorted[i - 1].domain))
            destination_add(arena, record, sorted[i].domain);
        recipient->number = (uint32_t)(i + 1);
        recipient->destination = (uint32_t)record->n_destinations;
        record->recipients[record->n_recipients++] = recipient;
    }
}

static void record_add(struct apply *apply, Pr__QueueRecord *record)
{
    const struct queue_places none = {.count = 0};
    struct queue_places places;

    record->id = ++apply->record.queue_ids;
    queue_record_store(apply, record);
    queue_places_of(record, &places);
    queue_places_change(apply, record, &none, &places);
    apply->record.queue++;
}

uint64_t queue_add(struct apply *apply, const Pr__Deliver *call,
                   const struct queue_recipients *recipients, uint64_t blob, uint64_t size)
{
    const struct queue_split *split = &recipients->split;
    uint64_t first = apply->record.queue_ids + 1;
    size_t begin = 0;

    for (size_t i = 0; i < split->records; i++) {
        Pr__QueueRecord record = PR__QUEUE_RECORD__INIT;
        record.delivery_id = field_of_bytes(apply->request_id);
        record.account_id = recipients->account_id;
        record.class_ = recipients->queue_class;
        record.tenant_id = recipients->tenant_id;
        record.time_ms = call->internal_ms != 0 ? call->internal_ms : apply->command->time_ms;
        record.due_ms = due_first(apply, call->envelope);
        record.blob = blob;
        record.size = size;
        record.envelope = call->envelope;
        recipients_add(apply, &record, split->sorted + begin, split->ends[i] - begin);
        if (record.n_destinations == 0)
            record.due_ms = record.notice_ms;
        record_add(apply, &record);
        begin = split->ends[i];
    }
    return first;
}
