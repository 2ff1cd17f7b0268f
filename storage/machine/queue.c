/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/queue.h"

#include "storage/machine/blob.h"
#include "storage/machine/directory.h"
#include "storage/machine/utf8.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"

/* ---- what may come in ---- */

/* Whatever is said to another host later, or to an operator: no control characters. */
static bool text_valid(const char *text, size_t size_max)
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

    return text_valid(address, QUEUE_ADDRESS_SIZE_MAX) &&
           address_split(bytes_of(address), &local, &domain);
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
    if (!text_valid(envelope->envid, QUEUE_ENVID_SIZE_MAX) ||
        (unsigned)envelope->ret > PR__ENVELOPE__RET__RET_HDRS ||
        (unsigned)envelope->by_mode > PR__ENVELOPE__BY_MODE__BY_RETURN)
        return apply_refuse(apply, ERR_INVALID, "an envelope that cannot be");
    return ERR_OK;
}

static bool recipient_valid(const Pr__QueueRecipient *recipient)
{
    return address_valid(recipient->address) && sender_valid(recipient->sender) &&
           text_valid(recipient->orcpt, QUEUE_ORCPT_SIZE_MAX) &&
           recipient->notify <= QUEUE_NOTIFY_ALL &&
           (!(recipient->notify & QUEUE_NOTIFY_NEVER) ||
            recipient->notify == QUEUE_NOTIFY_NEVER) &&
           !(recipient->null_sender && *recipient->sender != '\0') &&
           recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING &&
           recipient->attempts == 0 && *recipient->last_reply == '\0';
}

static uint64_t due_first(const struct apply *apply, const Pr__Envelope *envelope)
{
    uint64_t time_ms = apply->command->time_ms;
    uint64_t due_ms = envelope->hold_until_ms > time_ms ? envelope->hold_until_ms : time_ms;

    return due_ms != 0 ? due_ms : 1;
}

static void record_make(const struct apply *apply, const Pr__Deliver *call,
                        const struct queue_recipients *recipients, Pr__QueueRecord *record)
{
    pr__queue_record__init(record);
    record->delivery_id = field_of_bytes(apply->request_id);
    record->account_id = recipients->account_id;
    record->time_ms = call->internal_ms != 0 ? call->internal_ms : apply->command->time_ms;
    record->due_ms = due_first(apply, call->envelope);
    record->envelope = call->envelope;
    record->recipients = recipients->at;
    record->n_recipients = recipients->count;
}

enum err queue_check(struct apply *apply, const Pr__Deliver *call,
                     const struct queue_recipients *recipients)
{
    Pr__QueueRecord record;
    enum err err;

    if (recipients->count == 0)
        return ERR_OK;
    if (apply->request_id.len == 0)
        return apply_refuse(apply, ERR_INVALID,
                            "recipients on other hosts without delivery id");
    if ((err = envelope_check(apply, call->envelope)) != ERR_OK)
        return err;
    for (size_t i = 0; i < recipients->count; i++)
        if (!recipient_valid(recipients->at[i]))
            return apply_refuse(apply, ERR_INVALID, "recipient %zu on another host cannot be",
                                i);
    record_make(apply, call, recipients, &record);
    record.id = record.blob = record.size = UINT64_MAX; /* as long as they can be */
    if (pr__queue_record__get_packed_size(&record) > QUEUE_RECORD_SIZE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu recipients of more than %d bytes",
                            recipients->count, QUEUE_RECORD_SIZE_MAX);
    return ERR_OK;
}

/* ---- rows ---- */

static void record_store(struct apply *apply, const Pr__QueueRecord *record)
{
    struct key key;

    directory_store(apply, TABLE_QUEUE, key_number(&key, apply->group, record->id),
                    &record->base);
}

static void due_put(struct apply *apply, const Pr__QueueRecord *record)
{
    struct key key;

    db_put(apply->txn, TABLE_QUEUE_DUE,
           key_queue_due(&key, apply->group, record->due_ms, record->id), bytes_from(NULL, 0));
    apply->events->queue_due = true;
}

static void due_delete(struct apply *apply, const Pr__QueueRecord *record)
{
    struct key key;

    db_delete(apply->txn, TABLE_QUEUE_DUE,
              key_queue_due(&key, apply->group, record->due_ms, record->id));
}

uint64_t queue_add(struct apply *apply, const Pr__Deliver *call,
                   const struct queue_recipients *recipients, uint64_t blob, uint64_t size)
{
    Pr__QueueRecord record;

    record_make(apply, call, recipients, &record);
    record.id = ++apply->record.queue_ids;
    record.blob = blob;
    record.size = size;
    record_store(apply, &record);
    due_put(apply, &record);
    apply->record.queue++;
    return record.id;
}

/* ---- QueueChange ---- */

static bool hold(struct apply *apply, Pr__QueueRecord *record)
{
    if (!record->held) {
        due_delete(apply, record);
        apply->record.queue_held++;
    }
    if (!record->held || *apply->command->queue_change->reason != '\0')
        record->held_reason = apply->command->queue_change->reason; /* else the first stays */
    record->held = true;
    record_store(apply, record);
    return true;
}

static bool release(struct apply *apply, Pr__QueueRecord *record)
{
    if (!record->held)
        return false;
    record->held = false;
    record->held_reason = (char *)(uintptr_t)protobuf_c_empty_string;
    apply->record.queue_held--;
    record_store(apply, record);
    due_put(apply, record);
    return true;
}

static bool drop(struct apply *apply, Pr__QueueRecord *record)
{
    struct key key;

    if (record->held)
        apply->record.queue_held--;
    else
        due_delete(apply, record);
    db_delete(apply->txn, TABLE_QUEUE, key_number(&key, apply->group, record->id));
    apply->record.queue--;
    blob_release(apply, record->blob);
    return true;
}

/* What is due already keeps its place. One that is held is due at once when it is released. */
static bool retry(struct apply *apply, Pr__QueueRecord *record)
{
    uint64_t now_ms = apply->command->time_ms != 0 ? apply->command->time_ms : 1;

    if (record->due_ms <= now_ms)
        return true;
    if (!record->held)
        due_delete(apply, record);
    record->due_ms = now_ms;
    record_store(apply, record);
    if (!record->held)
        due_put(apply, record);
    return true;
}

static bool (*const actions[])(struct apply *apply, Pr__QueueRecord *record) = {
    [PR__QUEUE_CHANGE__ACTION__HOLD] = hold,
    [PR__QUEUE_CHANGE__ACTION__RELEASE] = release,
    [PR__QUEUE_CHANGE__ACTION__DROP] = drop,
    [PR__QUEUE_CHANGE__ACTION__RETRY] = retry,
};

static enum err change_check(struct apply *apply, const Pr__QueueChange *call)
{
    size_t bytes = 0;
    struct key key;
    struct bytes row;

    if ((size_t)call->action >= sizeof(actions) / sizeof(*actions))
        return apply_refuse(apply, ERR_UNSUPPORTED, "a change that is not known");
    if (call->n_ids == 0)
        return apply_refuse(apply, ERR_INVALID, "a change of nothing");
    if (call->n_ids > QUEUE_CHANGE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu messages; %d are the most", call->n_ids,
                            QUEUE_CHANGE_MAX);
    if (!text_valid(call->reason, QUEUE_REASON_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID, "a reason that cannot be");
    for (size_t i = 0; i < call->n_ids; i++)
        if (db_get(apply->txn, TABLE_QUEUE, key_number(&key, apply->group, call->ids[i]),
                   &row) == ERR_OK)
            bytes += row.len;
    if (bytes > QUEUE_CHANGE_BYTES_MAX)
        return apply_refuse(apply, ERR_TOOBIG,
                            "the recipients of these %zu messages: ask for fewer", call->n_ids);
    return ERR_OK;
}

/* Returns whether there is such a message, and it was not so already. */
static bool change_one(struct apply *apply, const Pr__QueueChange *call, uint64_t id)
{
    struct arena record_arena;
    struct key key;
    Pr__QueueRecord *record;
    bool changed = false;

    arena_init(&record_arena);
    record = directory_load(apply->txn, TABLE_QUEUE, key_number(&key, apply->group, id),
                            &pr__queue_record__descriptor, &record_arena);
    if (record != NULL)
        changed = actions[call->action](apply, record);
    arena_fini(&record_arena);
    return changed;
}

enum err apply_queue_change(struct apply *apply)
{
    const Pr__QueueChange *call = apply->command->queue_change;
    enum err err;

    if ((err = change_check(apply, call)) != ERR_OK)
        return err;
    for (size_t i = 0; i < call->n_ids; i++)
        apply->outcome->id += change_one(apply, call, call->ids[i]);
    return ERR_OK;
}
